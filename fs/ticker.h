/* ticker.h - a thread that works now and then until it is told to stop. */
#ifndef DAYBOOK_FS_TICKER_H
#define DAYBOOK_FS_TICKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/error.h"
#include "store/lock.h"

struct ticker {
	struct lock lock; /* QUEUE */
	pthread_cond_t changed;
	bool stopping;
	pthread_t thread;
};

/* Starts run(arg) on a thread, which must end soon after ticker_rest() was false.  whose: for the
 * sentence of a failure, after which nothing is to be stopped. */
int ticker_start(struct ticker *ticker, void *(*run)(void *arg), void *arg, const char *whose,
		 struct error *e);

/* On that thread: waits so many ms, or less; false when it is time to stop. */
bool ticker_rest(struct ticker *ticker, int64_t ms);

/* Returns when the thread has ended. */
void ticker_stop(struct ticker *ticker);

#endif
