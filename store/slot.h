/* slot.h - slots inside a change: who holds a name's document, and how documents pass on.
 *
 * Carries out what lineage.h decides.  All functions work on the records that the change edits and
 * need the commit lock (an active change). */
#ifndef DAYBOOK_SLOT_H
#define DAYBOOK_SLOT_H

#include "change.h"

/* A name in a directory. */
struct place {
	uint64_t parent;
	struct view name;
};

static inline bool place_equal(struct place a, struct place b)
{
	return a.parent == b.parent && view_equal(a.name, b.name);
}

/* Checks that a name may be made: E_NAME_*. */
int place_check(struct place place, struct error *e);

/* L3, L4: gives a new file's inode its document: the slot's own when it was vacated just now (then
 * whoever holds it splits off), else a new one. */
int slot_settle_new(struct change *c, struct place place, struct inode_record *inode,
		    struct error *e);

/* The inode takes over document doc at place (L2, L3): its content becomes doc's next version
 * unless it is the same. The document that it leaves is absorbed when *absorbed says so or it is
 * young (*absorbed then says it), else `from`.  base: what the session had read of doc; a conflict
 * is recorded.  The names that the inode has besides `leaving` get the document too. */
int slot_adopt(struct change *c, struct inode_record *inode, uint64_t doc, struct place place,
	       struct place leaving, uint64_t base, bool *absorbed, struct error *e);

/* The inode's document stays behind with somebody else: the inode gets a new one, a copy of what it
 * holds (L3). Its names besides `leaving` get the new document. */
int slot_split(struct change *c, struct inode_record *inode, struct place leaving, struct error *e);

/* When the slot was vacated just now (L3) and its document is not this inode's: *ret_doc is it,
 * split off from whoever still held it; else 0. */
int slot_vacated(struct change *c, struct place place, const struct inode_record *inode,
		 uint64_t *ret_doc, struct error *e);

/* Names of an inode: one more, one less.  Removing keeps the inode's home (parent, name) on a name
 * that it has. */
void slot_name_added(struct change *c, struct inode_record *inode, struct place place);
int slot_name_removed(struct change *c, struct inode_record *inode, struct place place,
		      struct error *e);

/* The inode's last name, place, is gone: the document dies (L9), the inode becomes an orphan.  When
 * the name had only been refilled (L3) and nothing was saved under it, who was renamed away gets
 * the document back. */
int slot_orphan(struct change *c, struct inode_record *inode, struct place place, struct error *e);

/* L3c: does the inode, which leaves place, only pass through?  1 or 0. */
int slot_passes_through(struct change *c, const struct inode_record *inode, struct place place,
			struct error *e);

/* The inode moves on from place to `to` (its names besides place stay) and gets a new document, a
 * copy of what it holds; the one that place lent it ends. */
int slot_leave_behind(struct change *c, struct inode_record *inode, struct place place,
		      struct place to, struct error *e);

/* The inode's document changed: its names besides `leaving` say so from now on. */
int slot_redocument(struct change *c, struct inode_record *inode, struct place leaving,
		    struct error *e);

/* Names the inode in the log (change_name): where it lives; for one without a name, where it last
 * lived. */
int slot_log_name(struct change *c, const struct inode_record *inode, struct error *e);

/* Fills version v with what the inode's rights are (P4) and where it is. */
void slot_sign(struct version_record *v, const struct inode_record *inode, struct place place);

/* Records a conflict of doc's new version `number` with its head, for place's directory and all
 * above it. */
int slot_conflict(struct change *c, const struct conflict_record *conflict, struct error *e);

#endif
