/* file.h - a live file that is open or has unsaved bytes, and the rules of when its bytes become a
 * save (L1, L8).
 *
 * A *file* exists while handles, unsaved bytes or an unlinked name need it.  Its unsaved bytes
 * stand in a staging journal (store/staging.h) and have one *writer*, the handle that wrote them;
 * before somebody else's write they are saved, so that each version has one author.
 *
 * A save by the same handle as the one before, with no other writer in between, folds into the same
 * version; FLUSH saves provisionally, RELEASE finally, and files_publish() what stays open for long
 * (L6). */
#ifndef DAYBOOK_FS_FILE_H
#define DAYBOOK_FS_FILE_H

#include "bases.h"
#include "handle.h"
#include "store/lock.h"
#include "store/staging.h"
#include "store/version.h"

struct files;

struct file {
	uint64_t ino;
	struct lock lock;         /* FS_INODE: guards all below but refs */
	bool draining;            /* drain.h has it; what it waits for is told by `drained` */
	pthread_cond_t drained;
	unsigned refs, opens;     /* the table's; of handles */
	struct file *next;        /* in its bucket */
	struct staging *staging;  /* NULL: clean */
	bool dirty, truncated, written, kill_privileges;
	struct identity writer;   /* of the unsaved bytes */
	uint64_t writer_handle;   /* 0: by path */
	uint64_t fold_handle;     /* its save is the head of this inode's document; 0: nobody's */
	uint64_t base;
	int64_t mtime, ctime, atime; /* atime 0: as it was */
	bool attributes;             /* were set meanwhile: the save tells of them */
	/* Clock_monotonic(): last change; first since a published version, or 0. */
	int64_t changed, unpublished;
	bool synced;                  /* by fsync, since the last change */
	uint64_t from_doc, from_version; /* the unsaved bytes are a whole copy of this version */
};

int files_new(struct store *store, struct bases *bases, struct files **ret, struct error *e);
/* Saves what is unsaved; what cannot be saved stays in its journal for the next start.  keep: all
 * of it does, for another worker to go on with. */
void files_free(struct files *files, bool keep);
struct bases *files_bases(struct files *files);

/* The file of an inode, made when there is none; held until file_put(). */
int file_get(struct files *files, uint64_t ino, struct file **ret, struct error *e);
void file_put(struct files *files, struct file *file);
/* The file if it exists, held; else NULL. */
struct file *file_peek(struct files *files, uint64_t ino);

/* A handle opens or closes it.  file_close saves what the handle left unsaved; killed: see
 * file_flush. */
void file_open(struct files *files, struct file *file);
int file_close(struct files *files, struct file *file, const struct handle *handle,
	       struct error *e);

/* Whether the handle wrote what is not saved yet: if not, its close has nothing to do. */
bool file_is_owed(struct file *file, const struct handle *handle);
/* close(2) was called on the handle (not yet the last one, perhaps): saves what it wrote; that it
 * only emptied the file is left to file_close().  killed: its process is dying or its connection
 * was lost, so the save is incomplete. */
int file_flush(struct files *files, struct file *file, struct handle *handle, bool killed,
	       struct error *e);

/* Saves whatever is unsaved, whoever wrote it (fsync, rename, link, chmod, a reader of the
 * history). */
int file_settle(struct files *files, struct file *file, struct error *e);
/* The same by inode number; nothing to do when it is not open. */
int files_settle(struct files *files, uint64_t ino, struct error *e);
/* For fsync on the handle: saves, and marks that the program wanted it so (L6). */
int file_sync(struct files *files, struct file *file, const struct handle *handle, struct error *e);
/* Gives files that stay open their versions (L6); to be called about once a second. */
void files_publish(struct files *files);
/* files_settle() before a change of attributes: an open file that was only emptied waits for its
 * bytes. */
int files_settle_written(struct files *files, uint64_t ino, struct error *e);
/* Attributes that whoever makes a file gives it before its first save go with that save: 1.  0:
 * they are a change of their own, to be made after files_settle(). */
int files_prepare(struct files *files, uint64_t ino, const struct identity *who,
		  const struct attributes *set, struct error *e);
/* A version was put back in the inode: open handles go on from its bytes, and what they save next
 * is a version of its own. */
void files_restored(struct files *files, uint64_t ino);

/* Writing.  handle NULL: by path, as who, saved at once. */
int file_write(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	       const void *data, size_t n, struct error *e);
int file_truncate(struct files *files, struct file *file, const struct handle *handle,
		  const struct identity *who, uint64_t size, struct error *e);
int file_zero(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	      uint64_t n, bool keep_size, struct error *e);
/* Takes n bytes of a content; whole: they are all of version from_version of from_doc. */
struct share {
	uint64_t content, from, size; /* offset in it, its size */
	uint64_t from_doc, from_version;
};
int file_share(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	       uint64_t n, const struct share *share, struct error *e);

/* Reading: what is there now, unsaved bytes included. */
int file_read(struct files *files, struct file *file, uint64_t offset, void *out, size_t n,
	      struct error *e);
int file_seek(struct files *files, struct file *file, uint64_t offset, bool hole, uint64_t *ret,
	      struct error *e);

/* What unsaved bytes change of the inode's attributes; call with the stored ones filled in.  False:
 * nothing is unsaved, and a record of the inode that was read before the call may be older than the
 * last save. */
struct file_attributes {
	uint64_t size, mode;
	uint64_t data; /* bytes that are not holes, about; set only when there are unsaved bytes */
	int64_t mtime, ctime, atime;
};
bool files_attributes(struct files *files, uint64_t ino, struct file_attributes *attributes);

/* An inode lost its last name, or got one again: it is forgotten when nobody needs it any more. */
void files_orphaned(struct files *files, uint64_t ino);
void files_adopted(struct files *files, uint64_t ino);
/* The kernel forgot the inode: when it is an orphan that is not open, it is dropped soon. */
void files_forget(struct files *files, uint64_t ino);
/* Drops those now. */
void files_drop_orphans(struct files *files);

#endif
