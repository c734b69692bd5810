/* verify_parts.h - what the stages of a verification share; for verify*.c only.
 *
 * A stage walks one family of keys in slices, each on a snapshot of its own, and asks by point
 * reads on it for what each record refers to, so that memory stays small whatever the store holds,
 * and nothing superseded is kept for long.  A visitor returns 0 to go on, having reported what it
 * found with verify_damage(); a negative code ends the verification. */
#ifndef DAYBOOK_VERIFY_PARTS_H
#define DAYBOOK_VERIFY_PARTS_H

#include "changelog.h"
#include "internal.h"
#include "verify.h"

/* How far the walk over a family whose keys are growing numbers came. */
struct verify_mark {
	uint64_t next;  /* number that it goes on with; UINT64_MAX: it is done */
	uint64_t bytes; /* of the stage's, for the progress */
	uint64_t through; /* once it is done: the number after the last */
};

/* What is kept of a verification that did not come to its end. */
struct verify_kept {
	bool tables;                      /* were read */
	struct verify_mark contents, chunks;
	uint64_t named_chunks;
	uint64_t content_count, byte_count, chunk_count; /* of the report */
	uint64_t damaged;
	struct buf findings;              /* strings, the first ones */
};

struct verifier {
	struct store *store;
	struct kv *kv;
	struct kv_snapshot *snapshot;
	struct verify_options options;
	/* Findings are kept too: in stages that are not walked again. */
	bool keeping;
	struct verify_kept kept;
	int64_t started_ns;
	uint64_t read;                     /* bytes since then, for the rate */
	verify_finding finding;
	verify_progress progress;
	void *arg;
	struct verify_report report;
	uint64_t head;                     /* the newest change of the slice's snapshot */
	struct buf from;                   /* the key that the next slice begins with */
	uint64_t done, total;              /* bytes, about; for the progress */
	uint64_t stage_done, stage_total, ticks;
	struct buf value;                  /* of verify_get() */
	/* What was last told of a part of the database that cannot be read. */
	char unreadable[240];
	uint64_t inode_last, document_last; /* the largest numbers seen */
	/* Of PAST_DIRENT: the name of the interval before, its key's beginning. */
	struct buf past_name;
	uint64_t newer_since;              /* and where that, the next newer one, begins */
	struct digest chain;               /* of the log record before */
	uint64_t logged;                   /* its number */
	/* Struct log_gap each: what the log lacks, named or not. */
	struct buf gaps;
	int64_t time;                      /* of the log record before */
	struct buf led;                    /* bits: chunks that names lead to, when it is needed, */
	uint64_t led_at;                   /* as of that change */
	uint64_t named_chunks, names;      /* chunks whose name leads to them; names there are */
};

/* Reports a damage: 0, or -ECANCELED when the listener had enough. */
int verify_damage(struct verifier *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Tells of something that is known to be gone. */
int verify_known(struct verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether the log lacks that change, and names the gap. */
bool verify_is_named_gap(const struct verifier *v, uint64_t change);

/* Reads a record on the snapshot: 1 and *ret (valid until the next verify_get), or 0 when it is
 * absent. */
int verify_get(struct verifier *v, enum family family, struct key key, struct view *ret,
	       struct error *e);

typedef int (*verify_visitor)(struct verifier *v, struct view key, struct view value,
			      struct error *e);
/* Walks a family; what cannot be read is reported and ends the walk, not the verification. */
int verify_each(struct verifier *v, enum family family, verify_visitor each, struct error *e);

/* The same for a family whose keys begin with growing numbers and whose records never change, from
 * *mark on: in slices, each on a snapshot of its own, after which what is kept is written. */
int verify_each_sliced(struct verifier *v, enum family family, struct verify_mark *mark,
		       verify_visitor each, struct error *e);

/* Reads what was kept into v->kept; leaves it zero when there is nothing, or not of this store.
 * Writes it; removes what was kept of one that was stopped.  That it cannot be written harms
 * nothing but the resuming. */
enum verify_file {
	VERIFY_STOPPED, /* how far the last one came that did not come to its end */
	VERIFY_DONE,    /* up to where contents and chunks have been read and are well */
};
void verify_kept_read(struct verifier *v, enum verify_file which);
void verify_kept_write(struct verifier *v, enum verify_file which);
void verify_kept_remove(struct verifier *v);

/* Counts bytes as done; -ECANCELED when the listener had enough. */
int verify_tick(struct verifier *v, uint64_t bytes, struct error *e);

/* 1 when the inode is there or once was, and then *ret_type (may be NULL) is its S_IFMT bits; else
 * 0. */
int verify_inode_known(struct verifier *v, uint64_t ino, uint32_t *ret_type, struct error *e);

/* "dept/budget.xlsx", or "directory 12: budget.xlsx" when its directory has no path. */
#define WHERE_MAX 300
const char *verify_where(struct verifier *v, uint64_t parent, struct view name,
			 char out[WHERE_MAX]);

/* The stages. */
/* Verify_log.c: the log and the indexes that lead to it. */
int verify_log(struct verifier *v, struct error *e);
/* Verify_tree.c: names, inodes, their pasts, links. */
int verify_tree(struct verifier *v, struct error *e);
/* Verify_versions.c: documents, versions, conflicts, tags. */
int verify_versions(struct verifier *v, struct error *e);
/* Verify_contents.c: contents, segments, chunks. */
int verify_contents(struct verifier *v, struct error *e);

#endif
