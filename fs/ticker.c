/* ticker.c - see ticker.h. */
#include "ticker.h"

#include <string.h>

int ticker_start(struct ticker *ticker, void *(*run)(void *arg), void *arg, const char *whose,
		 struct error *e)
{
	lock_init(&ticker->lock, LOCK_QUEUE);
	pthread_cond_init(&ticker->changed, NULL);
	ticker->stopping = false;
	int err = pthread_create(&ticker->thread, NULL, run, arg);
	return err ? error_set(e, -err, "cannot start the %s thread: %s", whose, strerror(err)) : 0;
}

bool ticker_rest(struct ticker *ticker, int64_t ms)
{
	lock_take(&ticker->lock);
	if (!ticker->stopping)
		lock_wait_for(&ticker->lock, &ticker->changed, ms);
	bool stopping = ticker->stopping;
	lock_drop(&ticker->lock);
	return !stopping;
}

void ticker_stop(struct ticker *ticker)
{
	lock_take(&ticker->lock);
	ticker->stopping = true;
	pthread_cond_signal(&ticker->changed);
	lock_drop(&ticker->lock);
	pthread_join(ticker->thread, NULL);
	pthread_cond_destroy(&ticker->changed);
	lock_destroy(&ticker->lock);
}
