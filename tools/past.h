/* past.h - a store's whole past as plain files: what is left when nobody wants Daybook any more.
 *
 *   versions/DIRECTORY/NAME/NAME.TIME.vN.AUTHOR.EXT   every version of every name there ever was,
 *                                                     as files/ in .history shows them; time, owner
 *                                                     and mode as they were
 *   versions.csv                                      one line for each file: whose, who, when,
 *                                                     digest
 *   changes.csv                                       the log, oldest first: the columns of
 *                                                     daybook-changelog(5) */
#ifndef DAYBOOK_PAST_H
#define DAYBOOK_PAST_H

#include "store/store.h"

struct past_report {
	/* Written; lines of the list without a file, because the content cannot be read. */
	uint64_t files, lost;
};

/* Writes them into the directory, which is there.  progress: done and total, about; false stops
 * (-ECANCELED). */
int past_write(struct store *store, int directory,
	       bool (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
	       struct past_report *ret, struct error *e);

#endif
