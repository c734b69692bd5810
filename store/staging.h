/* staging.h - the unsaved bytes of files that are being written.
 *
 * Each dirty inode has one file in the store's staging/ directory: an append-only journal of
 * self-describing, checksummed entries (who began, over which content, then writes, zeroed ranges,
 * sizes, shared ranges), because every write(2) that was answered must survive the death of the
 * daemon.  It is written without sync: a power cut is fsync's affair, and fsync makes a save
 * (version.h).  In memory an extent map says where each byte now is. A staging is used under its
 * inode's lock (the caller's).
 *
 * Making and removing a file costs far more than writing to one, so a few *journals* that are done
 * with are kept, open and with an entry that says so, for the next staging to begin in. */
#ifndef DAYBOOK_STAGING_H
#define DAYBOOK_STAGING_H

#include "content.h"

struct staging;
struct journals;

/* The journals in directory_fd (the store's staging/), which stays the caller's and open.  Freeing
 * removes those that are done with, and accepts NULL; no staging is left that would be ended.  From
 * any thread. */
int journals_new(int directory_fd, struct journals **ret, struct error *e);
/* Where early contents are, that end with their staging. */
void journals_set_contents(struct journals *journals, struct content_store *contents);
void journals_free(struct journals *journals);

/* Who writes, and on what; kept in the journal's first entry so that recovery can sign the
 * version. */
struct staging_origin {
	uint64_t ino;
	uint64_t content, size;  /* what the file was when writing began */
	uint64_t uid, gid, tgid;
	struct view author, command, client;
	uint64_t base;           /* version the session had last read, 0 = unknown */
	int64_t mtime;
	uint64_t handle;         /* the front end's number for the open file, 0: none */
	/* The handle's last save is the head and may be folded into (L1). */
	bool folds;
	/* The store's newest change then, and the machine's boot: store_date_origin(). */
	uint64_t change, boot;
};

/* Begins a journal for origin->ino.  The staging is the caller's. */
int staging_begin(struct journals *journals, const struct staging_origin *origin,
		  struct staging **ret, struct error *e);

/* Each changes the file as the system call of that name does, and returns only when the journal has
 * it. staging_write: extends the size when it ends past it.  staging_zero: the range becomes a hole
 * (keep_size: never extends).  staging_share: the range takes bytes of an existing content.
 * -E_NO_SPACE: nothing changed; writes are refused while there is still room to save what is
 * staged.  -E_TOO_BIG: past CONTENT_SIZE_MAX. */
int staging_write(struct staging *s, uint64_t offset, const void *data, size_t n, struct error *e);
int staging_truncate(struct staging *s, uint64_t size, struct error *e);
int staging_zero(struct staging *s, uint64_t offset, uint64_t n, bool keep_size, struct error *e);
int staging_share(struct staging *s, uint64_t offset, uint64_t n, uint64_t content, uint64_t from,
		  struct error *e);

/* The file's times were set, and go with its save.  0: as it was. */
struct staging_times {
	int64_t mtime, atime;
};
int staging_set_times(struct staging *s, const struct staging_times *times, struct error *e);
/* Those that were set and still hold; a later change of the bytes ends the mtime. */
struct staging_times staging_times(const struct staging *s);

/* The file as it is now; borrowed until the next change. */
struct work staging_work(const struct staging *s);
uint64_t staging_size(const struct staging *s);
/* Bytes that the journal takes on the disk, garbage included. */
uint64_t staging_staged_bytes(const struct staging *s);

/* How many pieces the file is in, 40 bytes of memory each: past STAGING_EXTENTS_FEW it is time to
 * save. */
size_t staging_extent_count(const struct staging *s);
#define STAGING_EXTENTS_FEW 16384

/* What is written in order can become content before it is saved (content.h, EARLY CONTENTS): a
 * segment that was written from its beginning to its end without anything else between is *full*.
 *
 * staging_take: the next one and its bytes as a work, whose extents are the caller's to free; they
 * are read without the inode's lock, for what a journal holds does not change.  1; 0: none is full;
 * -E_NO_MEMORY.  It is given back by staging_moved(), which makes the range that content and the
 * journal's bytes of it free, or by staging_give_up(), after which the bytes stay where they are;
 * meanwhile the staging must be neither rebased nor ended. */
struct staged_segment {
	uint64_t at;       /* in the file */
	uint64_t from, to; /* entries of the journal that hold nothing else */
	uint64_t seen;     /* how far the journal was when it was taken */
};
#define STAGED_FULL_MAX 16
int staging_take(struct staging *s, struct staged_segment *ret, struct extent **ret_extents,
		 struct work *ret_work, struct error *e);
int staging_moved(struct staging *s, const struct staged_segment *segment, uint64_t content,
		  struct error *e);
void staging_give_up(struct staging *s);
/* How many are full or taken, and bytes of the journal that are, or may yet be. */
size_t staging_full_count(const struct staging *s);
uint64_t staging_full_bytes(const struct staging *s);
/* The contents that segments became; borrowed until the next change. */
const uint64_t *staging_early(const struct staging *s, size_t *ret_count);

/* After a save: the journal starts over on the content that was saved.  Appends one entry; a
 * journal that has grown past a megabyte is overwritten from its start and cut.  A crash in between
 * recovers the same bytes again, found unchanged; a failure leaves the staging as it was. */
int staging_rebase(struct staging *s, const struct staging_origin *origin, struct error *e);

/* Ends the staging: its journal is done with, and used again or removed.  Accepts NULL. */
void staging_end(struct staging *s);
/* The same, and the journal is removed. */
void staging_remove(struct staging *s);
/* Lets go of the memory but leaves the journal for recovery (shutdown after a failed save).
 * Accepts NULL. */
void staging_abandon(struct staging *s);

/* Reads one leftover journal: *ret_origin and *ret_strings (which its views borrow from) and a
 * staging that holds what was written up to the last whole entry; *ret_torn tells that bytes after
 * it were dropped.  1: nothing is in it, it was done with or had not come to its first entry; none
 * of these is set. -E_CORRUPT: the first entry is unreadable; the file was renamed to lost-NAME and
 * the sentence says so. */
int staging_recover(struct journals *journals, const char *name, struct staging **ret,
		    struct staging_origin *ret_origin, struct buf *ret_strings, bool *ret_torn,
		    struct error *e);

/* Of a recovered one: is the journal damaged where reading it ended, with whole entries behind?
 * (If not, that was the last one, cut short.)  Those can be told from noise, but not be applied. */
bool staging_is_damaged(const struct staging *s);

/* Test hook: the n-th following journal write fails with errno code, after `part` bytes when part >
 * 0. */
void staging_fail_nth(unsigned n, int code, size_t part);

/* Keeps a journal that cannot become a version, under a name of its own that begins with
 * STAGING_KEPT: nothing that was kept before is written over.  -ENOENT: it is not there. */
#define STAGING_KEPT "lost-"
#define STAGING_KEPT_MAX 64
int staging_set_aside(int directory_fd, const char *name, char kept[STAGING_KEPT_MAX],
		      struct error *e);

#endif
