/* lineage.h - which save is a version of what: the rules L0 to L9, as pure functions of facts.
 *
 * A document belongs to the *slot* (directory, name), not to the inode: programs save by making new
 * inodes. namespace.c and version.c gather the facts and carry the decisions out; nothing here
 * reads or writes. */
#ifndef DAYBOOK_LINEAGE_H
#define DAYBOOK_LINEAGE_H

#include "format.h"

#define LINEAGE_REFILL_NS (15ll * 1000000000)      /* L3: NTFS's tunnelling window */
#define LINEAGE_YOUNG_NS (60ll * 1000000000)       /* L2: born in this dance */
#define LINEAGE_SCRATCH_NS (600ll * 1000000000)    /* L7 */
/* L1: attributes right after a save belong to it. */
#define LINEAGE_FOLD_NS (5ll * 1000000000)
#define LINEAGE_SYNCED_NS (2ll * 1000000000)       /* L6: quiet for so long after an fsync */
#define LINEAGE_IDLE_NS (30ll * 1000000000)        /* L6: quiet for so long without one */
#define LINEAGE_OPEN_NS (600ll * 1000000000)       /* L6: never quiet */
#define LINEAGE_LOCK_SIZE 1024                     /* bytes; L7: "lock-sized" */

/* L3, L4: what becomes of a slot that is filled by create, rename-in or link-in.  past is its last
 * ended interval, NULL when the name never was here. */
enum lineage_fill {
	LINEAGE_NEW,       /* a document without predecessor */
	LINEAGE_SUCCESSOR, /* L4: a new document whose pred is past->doc */
	LINEAGE_CONTINUE,  /* L3: past->doc goes on here; whoever holds it now splits off */
};
enum lineage_fill lineage_fill(const struct dirent_record *past, int64_t now);

/* L2: was the document born in this dance, so that what takes its content absorbs it? */
bool lineage_is_young(const struct document_record *doc, int64_t now);

/* L3b: source_doc is renamed over the name of dest, which split off from it when its slot was
 * refilled: identity returns. */
bool lineage_returns(uint64_t source_doc, const struct document_record *dest, int64_t now);

/* L3c: a name used for one file after another on their way to others (`sort >tmp; mv tmp a; sort
 * >tmp; mv tmp b`). source was refilled here (L3) while copy, untouched since, split off with what
 * had left: is its file, which leaves too, only passing through?  It is when source had been as new
 * then: a file that lived here had versions, or age. */
bool lineage_passes_through(const struct document_record *source,
			    const struct document_record *copy, int64_t now);

/* L7: is a document that dies now scratch: deleted by its own session soon after birth? */
bool lineage_dies_scratch(const struct document_record *doc, uint32_t uid, uint32_t tgid,
			  int64_t now);

/* L7: names that programs give their temporary and lock files. */
bool lineage_is_hint_name(struct view name);

/* L7: is it hidden from default listings?  size: of its newest content, bytes. */
bool lineage_is_hidden(const struct document_record *doc, uint64_t size, int64_t now);

/* L7: did a name hold a document only in passing?  It left within a minute of coming (at `began`)
 * and goes on under another name (lives: it has one): what a save dance renames away and in, and a
 * new file's first name.  Listings of names hide these. */
bool lineage_is_passing(const struct dirent_record *past, int64_t began, bool lives);

/* L1: does a change of attributes by (uid, tgid) belong to the version?  It is the session's that
 * saved, or its process's as root (smbd). */
bool lineage_folds_attributes(const struct version_record *version, uint32_t uid, uint32_t tgid,
			      int64_t now);

/* Conflicts: saved over the head, somebody else's, without having read it.  base 0: unknown, no
 * conflict. */
bool lineage_is_conflict(uint64_t base, uint64_t head, const struct version_record *head_version,
			 uint32_t uid);

/* L6: does what a handle wrote become a version of its own although the handle stays open?  What it
 * writes then is the next one's.  quiet, age: ns since its last change, and since the first that no
 * such version has; synced: fsync was its last act. */
bool lineage_publishes(int64_t quiet, int64_t age, bool synced);

/* L8: emptied and closed with nothing written. */
bool lineage_is_incomplete(uint64_t size_before, uint64_t size_after, bool truncated, bool written);

#endif
