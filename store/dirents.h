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
 * the database for no name at all.  Of one that was listed since, a name that is not here is not
 * live: so whoever looks for names that are not there, or lists again, does not pay for those that
 * came and went. */
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

/* A listing: begins before the database is asked, is told each name that it has, and ends when that
 * were all.  What changes make of names meanwhile is newer than what it is told.  It comes to
 * nothing when the directory is let go meanwhile.  begin: 0 when the directory is known already, or
 * more than max names of it are, so that dirents_list() would not have it. */
uint64_t dirents_list_begin(struct dirents *dirents, uint64_t directory, size_t max);
void dirents_list_name(struct dirents *dirents, uint64_t directory, uint64_t listing,
		       struct view name, const struct dirent_record *record);
void dirents_list_end(struct dirents *dirents, uint64_t directory, uint64_t listing);

/* Whether all live names of the directory are known, and at most max: then they are appended in no
 * order, each a struct dirent_record, its length in a byte, the name. */
bool dirents_list(struct dirents *dirents, uint64_t directory, size_t max, struct buf *out);

#endif
