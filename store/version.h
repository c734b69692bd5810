/* version.h - a version is one save of one document: immutable, numbered, signed with its
 * author. */
#ifndef DAYBOOK_VERSION_H
#define DAYBOOK_VERSION_H

#include "namespace.h"

struct save {
	const struct work *work; /* the file's bytes as they are to be */
	/* Version of the document that this session last opened for reading, 0 unknown. */
	uint64_t base;
	int64_t mtime, ctime, atime; /* the file's, ns; ctime 0: now; atime 0: as it is */
	/* L1: the version that the inode holds came from the same handle: this save goes into
	 * it. */
	bool fold;
	bool incomplete;   /* L8 */
	bool recovered;
	/* Owner and mode may have been set since the file was made (namespace_prepare). */
	bool attributes;
	bool kill_privileges; /* clear setuid and setgid with the save */
	/* Whose content was copied in whole, 0 = not known (found by digest). */
	uint64_t from_doc, from_version;
};

struct saved {
	uint64_t doc, number;  /* the version that now holds the bytes */
	uint64_t content;      /* id, size: what the inode is now */
	uint64_t size;
	bool unchanged;        /* same digest as the head: no new version, an event in the log */
	/* This save, or the one that it went into, made the version: a further one may fold. */
	bool own;
	bool conflict;
};

/* Saves: makes the bytes a content and the next version of ino's document (an empty document for a
 * file that never had one), or folds it into the head; logs it; updates the inode.  Atomic.  An
 * inode without a name that once had one is saved to its document all the same; one that never had
 * a name (O_TMPFILE) gets content but no version. Not on stable storage before store_sync(). */
int version_save(struct store *store, const struct actor *actor, uint64_t ino,
		 const struct save *save, struct saved *ret, struct error *e);

/* Puts version number of doc back as the content of the live file ino: a new version with `from`.
 * No base check. */
int version_restore(struct store *store, const struct actor *actor, uint64_t ino, uint64_t doc,
		    uint64_t number, struct saved *ret, struct error *e);

/* Restores as a new name (deleted files, copies): makes the file with the version's mode and ACL,
 * owned by the actor, of his group or, in a setgid directory, of its group.  If the name is there
 * already and is a regular file, it is version_restore() on it. */
int version_restore_at(struct store *store, const struct actor *actor, uint64_t parent,
		       struct view name, uint64_t doc, uint64_t number, struct saved *ret,
		       struct error *e);

/* Reads version records.  *memory owns what the record's views borrow from. */
int version_get(struct store *store, uint64_t doc, uint64_t number, struct version_record *ret,
		struct buf *memory, struct error *e);
int document_get(struct store *store, uint64_t doc, struct document_record *ret, struct buf *memory,
		 struct error *e);

/* Newest first, beginning at number `from` (0: the head).  each() returns false to stop. */
typedef bool (*version_visitor)(void *arg, uint64_t number, const struct version_record *version);
int version_each(struct store *store, uint64_t doc, uint64_t from, version_visitor each, void *arg,
		 struct error *e);

#endif
