/* waiters.h - how many of the threads that serve wait for requests.
 *
 * The kernel wakes those that read the device in turn, each with caches gone cold, so a single
 * program is served a tenth faster by few than by many; but when all are busy one more must wait,
 * for what keeps them may need to be asked for something.  So: whenever the last one that waits
 * gets a request, one that is parked joins; and when for CALM requests that did not happen, a
 * thread that finds WAITING_FEW others waiting is parked. */
#ifndef DAYBOOK_FS_WAITERS_H
#define DAYBOOK_FS_WAITERS_H

#include <stdatomic.h>

#include "store/lock.h"

#define WAITING_FEW 2
#define CALM 256

struct waiters {
	atomic_uint waiting, parked, calm;
	struct lock lock;
	pthread_cond_t changed;
	unsigned called; /* of the parked */
	atomic_bool ended;
};

void waiters_init(struct waiters *w);
void waiters_destroy(struct waiters *w); /* no thread is there any more */

/* Around a read of the device. */
void waiters_join(struct waiters *w);
void waiters_leave(struct waiters *w);
/* Before waiters_join(): parks the thread if it is not needed, until it is. */
void waiters_rest(struct waiters *w);
/* The connection ended: nobody is parked any more. */
void waiters_end(struct waiters *w);

#endif
