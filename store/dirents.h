/* dirents.h - names in memory: what is known of a name in a directory, so that a change need not
 * ask the database.
 *
 * Of a name two things are of interest to a change: the dirent that is live, and the newest
 * interval that has ended (lineage.h: L3, L4).  Each is known (to be so, or to be none) or not.
 * What changes ask for and what they make is kept, bounded by bytes, the least recently used going
 * first.
 *
 * A directory made since the store was opened is *whole* as long as nothing of it was let go: a
 * name of it that is not here neither is nor ever was.  So a tree that is copied or unpacked asks
 * the database for no name at all. */
#ifndef DAYBOOK_DIRENTS_H
#define DAYBOOK_DIRENTS_H

#include "format.h"

struct dirents;

enum dirent_known {
	DIRENT_UNKNOWN,
	DIRENT_NONE,
	DIRENT_THERE,
};

struct dirent_state {
	enum dirent_known live, past;
	struct dirent_record live_record, past_record; /* set when DIRENT_THERE */
};

int dirents_new(size_t bytes, struct dirents **ret, struct error *e);
void dirents_free(struct dirents *dirents); /* accepts NULL */

/* What is known of a name; *ret_epoch is for dirents_offer().  From any thread, as all of these. */
void dirents_find(struct dirents *dirents, uint64_t parent, struct view name,
		  struct dirent_state *ret, uint64_t *ret_epoch);

/* Keeps what was read after dirents_find() gave that epoch, unless something was committed
 * meanwhile: then it may be old.  A half that is unknown leaves what is known of it. */
void dirents_offer(struct dirents *dirents, uint64_t parent, struct view name,
		   const struct dirent_state *state, uint64_t epoch);

/* Keeps what a change has made of a name, once it is written and before the commit lock is
 * dropped. */
void dirents_commit(struct dirents *dirents, uint64_t parent, struct view name,
		    const struct dirent_state *state);
/* The same for a directory that it made: nothing is or was in it. */
void dirents_commit_new(struct dirents *dirents, uint64_t directory);

#endif
