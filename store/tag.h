/* tag.h - a tag is a name pinned to an instant, in one directory.  Setting and removing one is a
 * change like any. */
#ifndef DAYBOOK_TAG_H
#define DAYBOOK_TAG_H

#include "store.h"

/* Pins the present of directory under name (names_check()): *ret_change is the instant, the tag's
 * own change. -E_EXISTS: the directory has such a tag.  Who may is the caller's question. */
int tag_set(struct store *store, const struct actor *actor, uint64_t directory, struct view name,
	    uint64_t *ret_change, struct error *e);

/* Removes it: -E_NO_ENTRY, or -E_NOT_PERMITTED when the actor is neither the one who set it nor uid
 * 0. */
int tag_remove(struct store *store, const struct actor *actor, uint64_t directory, struct view name,
	       struct error *e);

/* Reads one: -E_NO_ENTRY.  ret's views borrow from *memory. */
int tag_get(struct store *store, uint64_t directory, struct view name, struct tag_record *ret,
	    struct buf *memory, struct error *e);

/* Calls each() for the directory's tags in byte order of their names; false stops. */
typedef bool (*tag_visitor)(void *arg, struct view name, const struct tag_record *tag);
int tag_each(struct store *store, uint64_t directory, tag_visitor each, void *arg, struct error *e);

#endif
