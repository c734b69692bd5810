/* repair.h - mends what can be made again from what is there.
 *
 * What is kept once and cannot be made again is the log, names, inodes, documents, versions and
 * chunks: what is lost of these is lost, takes nothing else with it, and verify_store() says what
 * it is.  Everything else only leads there: the indexes of the log by user, directory and second,
 * of versions by digest, of names by inode, of chunks by name, and the counts of what lives.
 * Repairing walks what is there, adds the entries that are missing, and removes those that lead to
 * nothing.  What cannot be read, because a table of the database is damaged, is passed over and
 * left as it is; then the counts are not made again.  It can be stopped at any moment and begun
 * again. */
#ifndef DAYBOOK_REPAIR_H
#define DAYBOOK_REPAIR_H

#include "store.h"

/* X(family, what it is called) - what can be made again. */
#define REPAIR_FAMILIES(X) \
	X(BY_USER,    "the log's index of users") \
	X(UNDER,      "the log's index of directories") \
	X(CLOCK,      "the log's index of times") \
	X(BY_DIGEST,  "the versions' index of digests") \
	X(LINK,       "the index of hard links") \
	X(CHUNK_NAME, "the chunks' index of names") \
	X(META,       "the counts of what lives")

struct repair_report {
	uint64_t added[FAMILY_COUNT], removed[FAMILY_COUNT];
	uint64_t total;  /* of both */
};

/* Repairs a store that nobody else uses; dry: only counts what would be done.  What was done stands
 * in the log, signed by the actor.  progress: done and total changes and versions, about; false
 * stops (-ECANCELED). */
int repair_store(struct store *store, const struct actor *actor, bool dry,
		 bool (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
		 struct repair_report *ret, struct error *e);

#endif
