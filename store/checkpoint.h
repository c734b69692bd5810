/* checkpoint.h - the store as of one instant, as files that stay as they are: for backups.
 *
 * A *checkpoint* is a directory STORE/checkpoint-NUMBER.N that is laid out as a store: FORMAT, db/
 * (tables are hard links, so it takes no room and no time that counts), staging/ (copies of the
 * journals of unsaved bytes).  What is left behind by somebody who died is removed when the store
 * is opened, and those a day old when the next is made. */
#ifndef DAYBOOK_CHECKPOINT_H
#define DAYBOOK_CHECKPOINT_H

#include "store.h"

#define CHECKPOINT_NAME_MAX 64

struct checkpoint {
	char name[CHECKPOINT_NAME_MAX]; /* in the store's directory */
	uint64_t change;                /* everything up to this one is in it, and nothing after */
	int64_t time;                   /* of that change, ns */
};

/* Makes one.  Saves wait for some milliseconds at most.  Nothing is left behind when it fails. */
int checkpoint_make(struct store *store, struct checkpoint *ret, struct error *e);

/* Removes one by its name.  -E_INVALID: that is no checkpoint's name. */
int checkpoint_drop(struct store *store, const char *name, struct error *e);

/* Removes those that are older than so many seconds (0: all). */
void checkpoint_drop_old(struct store *store, int64_t age_s);

#endif
