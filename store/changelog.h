/* changelog.h - reading the log: every change, in order, chained by BLAKE2b-256.  Writing it is
 * change.h's. */
#ifndef DAYBOOK_CHANGELOG_H
#define DAYBOOK_CHANGELOG_H

#include "store.h"

struct log_query {
	/* Change numbers, inclusive; 0 = from the beginning / to the newest. */
	uint64_t first, last;
	/* Only changes in or below this directory (as it was then); 0 = all. */
	uint64_t under;
	bool by_uid;
	uint32_t uid;              /* only this user's */
	uint64_t limit;            /* 0 = no limit */
	bool oldest_first;         /* else newest first */
};

/* A walk of the changes that a query asks for, in its order; its limit is not kept to, and of first
 * and last only the one that is where it begins.  changelog_walk_next: 1 and *ret, whose views are
 * valid until the next call; 0: the end. changelog_walk_seek: the next one is the first at or
 * beyond that change, in the walk's order. */
struct log_walk;
struct log_walk *changelog_walk(struct store *store, const struct log_query *query);
int changelog_walk_next(struct log_walk *w, struct log_record *ret, struct error *e);
void changelog_walk_seek(struct log_walk *w, uint64_t change);
void changelog_walk_close(struct log_walk *w); /* accepts NULL */
static inline void changelog_walk_release(struct log_walk **w)
{
	changelog_walk_close(*w);
}

/* Calls each() for every matching change; false stops.  Cost: what is listed, not the log: of the
 * blocks of INDEX_BLOCK changes that the indexes name, all are looked at. */
typedef bool (*log_visitor)(void *arg, const struct log_record *record);
int changelog_each(struct store *store, const struct log_query *query, log_visitor each, void *arg,
		   struct error *e);

int changelog_get(struct store *store, uint64_t change, struct log_record *ret, struct buf *memory,
		  struct error *e); /* -E_TIME_RANGE when there is none */

/* Calls each() for every user who ever changed something, in order of uid, with the newest change;
 * false stops. */
typedef bool (*user_visitor)(void *arg, uint32_t uid, const struct log_record *newest);
int changelog_users(struct store *store, user_visitor each, void *arg, struct error *e);

/* The newest change number (0: none), and the digest of its record: what an auditor writes down. */
int changelog_head(struct store *store, uint64_t *ret_change, struct digest *ret_digest,
		   struct error *e);

/* The time of the oldest record there is; 0 when there is none. */
int changelog_first_time(struct store *store, int64_t *ret, struct error *e);

/* A *gap* is a run of changes that the log lacks.  The log's record of a repair that found it names
 * it: `before` is "FIRST-LAST", digest_before the digest of the record before the gap, digest_after
 * what the record behind it names as its predecessor.  So the chain is broken there, but nobody can
 * break it anew, and either side is held as it was. */
struct log_gap {
	uint64_t first, last;
	struct digest before, after;
	int64_t named; /* when it was named, 0: it is not */
};

/* Whether the record names that gap. */
bool changelog_names_gap(const struct log_record *record, const struct log_gap *gap);

/* Checks the chain of changes first..last: 0, or -E_FAILED_VERIFY naming the first change that does
 * not fit.  Gaps that are named later in that range are none. */
int changelog_check(struct store *store, uint64_t first, uint64_t last, struct error *e);

#endif
