/* mend.h - makes the records that were salvaged from a damaged database a store again; for mend*.c
 * and salvage.c only.
 *
 * Records may be missing, older than they were, or back after they had been removed.  What is there
 * is believed in this order: the log; versions and their index of digests; the past of names and
 * inodes; the present.  So a version whose record is gone is made again from the log and the index,
 * a name's inode from its past or from its version, a name from its inode.  A version whose bytes
 * are gone keeps its number, author, time and digest and is flagged VERSION_LOST; ids of what is
 * gone become LOST_ID, so that nothing new can be taken for it.  Indexes are repair.h's.
 *
 * Writes go straight to the new database, which nobody else has open, past all caches. */
#ifndef DAYBOOK_MEND_H
#define DAYBOOK_MEND_H

#include "changelog.h"
#include "internal.h"

struct mend {
	struct store *store;
	struct kv *kv;
	bool (*progress)(void *arg); /* false stops */
	bool (*lost)(void *arg, const char *sentence);
	void *arg;
	struct buf gaps;         /* of struct log_gap: those that no record names */
	struct digest last_digest;
	uint64_t last_logged;    /* newest change in the log */
	uint64_t last_change;    /* newest that anything tells of */
	uint64_t last_inode, last_document;
	int64_t last_time;
	/* U64 each, growing: contents whose bytes are not what they were. */
	struct buf unreadable;
	struct buf lost_versions; /* struct lost_version each */
	uint64_t ticks;
};

struct lost_version {
	uint64_t doc, number;
};

int mend_log(struct mend *m, struct error *e);      /* gaps, and the largest numbers ever given */
int mend_versions(struct mend *m, struct error *e); /* versions and documents */
int mend_contents(struct mend *m, struct error *e); /* what of their bytes is there */
int mend_tree(struct mend *m, struct error *e);     /* names and inodes */
/* What they say of others and of their inodes: again, at the end. */
int mend_documents(struct mend *m, struct error *e);
void mend_release(struct mend *m);

/* --- what the parts share ------------------------------------------------- */

/* 1 and the value, 0 when it is absent. */
int mend_get(struct mend *m, enum family family, struct key key, struct buf *value,
	     struct error *e);
int mend_put(struct mend *m, enum family family, struct key key, const struct buf *value,
	     struct error *e);
int mend_delete(struct mend *m, enum family family, struct view key, struct error *e);

/* Calls each() for all records of a family as they were when it began. */
typedef int (*mend_visitor)(struct mend *m, struct view key, struct view value, struct error *e);
int mend_each(struct mend *m, enum family family, bool reverse, mend_visitor each, struct error *e);

/* Tells a sentence; -ECANCELED when the listener had enough. */
int mend_tell(struct mend *m, struct error *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The records, decoded: 1, or 0 when absent or damaged.  Views borrow from memory. */
int mend_inode(struct mend *m, uint64_t ino, struct inode_record *ret, struct buf *memory,
	       struct error *e);
int mend_document(struct mend *m, uint64_t doc, struct document_record *ret, struct buf *memory,
		  struct error *e);
int mend_version(struct mend *m, uint64_t doc, uint64_t number, struct version_record *ret,
		 struct buf *memory, struct error *e);
int mend_put_inode(struct mend *m, const struct inode_record *r, struct error *e);
int mend_put_document(struct mend *m, uint64_t doc, const struct document_record *r,
		      struct error *e);
int mend_put_version(struct mend *m, uint64_t doc, uint64_t number, const struct version_record *r,
		     struct error *e);

#endif
