/* lagging.h - times of directories that the database has yet to learn.
 *
 * Every name that is made, removed or moved changes its directory's times, and nothing else of it.
 * Within one second only the first such change writes the directory's record: what it was in
 * between nobody can ask for, and the log tells it anyhow.  Until the record is written again, with
 * the first change of a later second or at the close, it is exact in memory only: such an inode
 * *lags*, and stays in the cache.  After a death the log of the last second tells the times. */
#ifndef DAYBOOK_LAGGING_H
#define DAYBOOK_LAGGING_H

#include "change.h"

#define LAGGING_MAX 16 /* directories; of more, each change is written */

/* Guarded by the commit lock. */
struct lagging {
	size_t count;
	struct inode *at[LAGGING_MAX]; /* each held, and kept in the cache */
};

/* Whether the record of an inode that c edits need not be written. */
bool lagging_may(const struct change *c, const struct inode_edit *edit);
/* Puts those that c does not edit into its batch when it begins another second. */
int lagging_put(struct change *c, struct error *e);
/* After the write, before readers see what it made: notes which lag now. */
void lagging_written(struct change *c);

/* At the close: writes all.  Should that fail, the next opening does it. */
void lagging_close(struct store *store);
/* At the opening for writing, before anything changes: the times that a death left behind. */
int lagging_recover(struct store *store, struct error *e);

#endif
