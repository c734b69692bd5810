/* salvage.h - makes a store whose database is damaged whole again, from what of it can be read.
 *
 * The damaged database is not touched.  Beside it db.building is filled with all records that can
 * be read (kv_salvage.h); these are made a store again (mend.h), indexes included (repair.h); then
 * it takes the name db, and the damaged one is kept as db.damaged-DATE until an administrator
 * removes it.  What was lost stands in the new store's log and on its versions.  Whenever it is
 * stopped before the end, the store is as it was. */
#ifndef DAYBOOK_SALVAGE_H
#define DAYBOOK_SALVAGE_H

#include "store.h"

struct salvage_listener {
	/* Each may return false to stop (-ECANCELED). */
	bool (*lost)(void *arg, const char *sentence);
	bool (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct salvage_report {
	uint64_t versions;  /* that are flagged VERSION_LOST from now on */
	uint64_t changes;   /* missing from the log, at most */
	uint64_t sentences; /* told by lost() */
	char kept[64];      /* what the damaged database is called now, in the store's directory */
};

/* Salvages a store that nobody has open.  It needs as much room again as the database takes:
 * -E_NO_SPACE.  What was done stands in the log, signed by the actor. */
int salvage_store(const char *path, const struct actor *actor,
		  const struct salvage_listener *listener, struct salvage_report *ret,
		  struct error *e);

#endif
