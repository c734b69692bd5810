/* change.h - everything that happens is one change: one number, one log record, one atomic batch.
 *
 * change_begin() takes the store's commit lock, so that what is read until change_commit() is the
 * state that the change applies to and log order is the order of effects; change_abort() lets go
 * without a trace.  In between, records are edited in memory; commit encodes them, moves what they
 * supersede into the past, writes log, indexes and tree in one batch, and refreshes the inode
 * cache.  A failed write leaves everything as it was. */
#ifndef DAYBOOK_CHANGE_H
#define DAYBOOK_CHANGE_H

#include "namespace.h"

#define CHANGE_EDITS_MAX 12

/* An inode as the change makes it; r's views may borrow from anything that lives until commit. */
struct inode_edit {
	struct inode_record r;
	struct inode *old;   /* NULL: new with this change */
	struct inode *fresh; /* what it becomes, made before anything is written */
	bool lags;           /* lagging.h: its record is not written */
};

struct document_edit {
	uint64_t id;
	struct document_record r;
	struct buf memory, encoded; /* what r's views borrow from; what it becomes */
};

struct change {
	struct store *store;
	struct kv_batch *batch, own;
	const struct actor *actor;
	struct actor author;     /* what actor becomes when it acted for somebody (attributes.c) */
	struct buf author_memory;
	uint64_t number;
	int64_t time;            /* ns; never before the last change's */
	/* Operation, ino, path... filled by the operation; the rest by commit. */
	struct log_record log;
	struct buf path, path2;  /* what log.path and log.path2 become */
	struct buf home;         /* memory of a name that an inode moved its home to */
	/* What becomes of names, for dirents.h: struct name_edit and the name, one after the
	 * other. */
	struct buf names;
	uint64_t new_directory;  /* that it makes, 0: none */
	struct buf above;        /* what log.above becomes */
	/* Directories whose ancestors (and selves) index the change; 0 = none. */
	uint64_t under[2];
	int64_t files, bytes;    /* what it adds to the live counts */
	int64_t versions, version_bytes; /* and to those of versions */
	size_t inode_count, document_count;
	struct inode_edit inodes[CHANGE_EDITS_MAX];
	struct document_edit documents[CHANGE_EDITS_MAX];
	uint64_t given;          /* change_give() */
	struct inode **ret_given;
	bool active;
};

/* Starts; c is the caller's and needs no initialisation.  batch may bring along puts that must be
 * atomic with the change (new chunks) and stays the caller's; NULL = the change makes its own.
 * -E_READ_ONLY for a read-only store. */
int change_begin(struct store *store, const struct actor *actor, enum log_operation op,
		 struct kv_batch *batch, struct change *c, struct error *e);
/* Whether the second of the change before is over, so that its last change is known. */
bool change_begins_a_second(const struct change *c);
int change_commit(struct change *c, struct error *e);
/* Writes the inodes where they are, under the change that made them, and no record in the log: for
 * what says nothing (a ctime) or what the next change tells.  Only for inodes that are there
 * already. */
int change_commit_untold(struct change *c, struct error *e);
/* What the commit makes of an inode that is edited is given to *ret, held for the caller: so
 * nothing can fail after it. */
void change_give(struct change *c, uint64_t ino, struct inode **ret);
/* Safe after commit and on a failed begin: CLEANUP(change_abort) struct change c. */
void change_abort(struct change *c);

/* A change of the whole share, in the log only: `after` says what. */
int change_note(struct store *store, const struct actor *actor, enum log_operation op,
		struct view after, struct error *e);
struct log_gap;
/* A repair's, which names a gap of the log (changelog.h). */
int change_note_gap(struct store *store, const struct actor *actor, const struct log_gap *gap,
		    struct error *e);

/* The inode's record for editing; the same one when asked again.  -E_STALE when it does not
 * exist. */
int change_inode(struct change *c, uint64_t ino, struct inode_record **ret, struct error *e);
/* A new inode: numbered, zeroed but for ino. */
int change_inode_new(struct change *c, struct inode_record **ret, struct error *e);
/* The document's record for editing; change_document_new: numbered by *ret_id, born now, of the
 * actor's session. */
int change_document(struct change *c, uint64_t doc, struct document_record **ret, struct error *e);
int change_document_new(struct change *c, uint64_t *ret_id, struct document_record **ret,
			struct error *e);

/* Names: begin an interval; end the live one (its record as it stood). */
void change_dirent(struct change *c, uint64_t parent, struct view name,
		   const struct dirent_record *dirent);
void change_dirent_end(struct change *c, uint64_t parent, struct view name,
		       const struct dirent_record *old, enum slot_end how);

/* Plain puts beside these (tags, conflicts, versions: one that is new, one as it now is). */
void change_add_version(struct change *c, uint64_t doc, uint64_t number,
			const struct version_record *v);
void change_put_version(struct change *c, uint64_t doc, uint64_t number,
			const struct version_record *v);
void change_delete_version(struct change *c, uint64_t doc, uint64_t number,
			   const struct version_record *v);
void change_put_conflict(struct change *c, uint64_t directory, const struct conflict_record *r);
void change_put_tag(struct change *c, uint64_t directory, struct view name,
		    const struct tag_record *r);
void change_delete_tag(struct change *c, uint64_t directory, struct view name);

/* Sets log.ino, log.parent, the path and the `under` index for name in directory parent (second:
 * path2). */
int change_name(struct change *c, uint64_t ino, uint64_t parent, struct view name, bool second,
		struct error *e);
/* -E_TOO_DEEP when that name, a directory's, is deeper than DIRECTORY_DEPTH_MAX. */
int change_check_depth(const struct change *c, bool second, struct error *e);

#endif
