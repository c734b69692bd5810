/* coalesce.h - concurrent callers of one slow operation share a run of it.
 *
 * What a run does for everybody who asked before it began (a sync of a log, say), it need not do
 * for each of them. One caller leads a run, the others wait; whoever comes while one runs waits for
 * the next. */
#ifndef DAYBOOK_COALESCE_H
#define DAYBOOK_COALESCE_H

#include <stdint.h>

#include "error.h"
#include "lock.h"

struct coalesce {
	struct lock lock;
	pthread_cond_t done;
	uint64_t started, finished; /* numbers of the last run begun and ended */
	uint64_t failed;            /* number of the last one that failed, 0 = none */
	struct error error;         /* of that one */
};

void coalesce_init(struct coalesce *c, enum lock_rank rank);
void coalesce_release(struct coalesce *c);

/* Returns the outcome of a run that began after this call: this thread's or another's.  When a
 * later run ended before a waiter woke, a failure of either is reported. */
int coalesce_run(struct coalesce *c, int (*run)(void *arg, struct error *e), void *arg,
		 struct error *e);

#endif
