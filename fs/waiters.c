/* waiters.c - see waiters.h. */
#include "waiters.h"

#include <stdbool.h>

void waiters_init(struct waiters *w)
{
	*w = (struct waiters){ 0 };
	lock_init(&w->lock, LOCK_QUEUE);
	pthread_cond_init(&w->changed, NULL);
}

void waiters_destroy(struct waiters *w)
{
	pthread_cond_destroy(&w->changed);
	lock_destroy(&w->lock);
}

void waiters_join(struct waiters *w)
{
	atomic_fetch_add(&w->waiting, 1);
}

/* One more of the parked goes on. */
static void call(struct waiters *w)
{
	lock_take(&w->lock);
	if (w->called < atomic_load(&w->parked)) {
		w->called++;
		pthread_cond_signal(&w->changed);
	}
	lock_drop(&w->lock);
}

void waiters_leave(struct waiters *w)
{
	if (atomic_fetch_sub(&w->waiting, 1) > 1)
		return;
	atomic_store(&w->calm, 0);
	if (atomic_load(&w->parked))
		call(w);
}

void waiters_rest(struct waiters *w)
{
	if (atomic_fetch_add(&w->calm, 1) < CALM || atomic_load(&w->waiting) < WAITING_FEW)
		return;
	lock_take(&w->lock);
	atomic_fetch_add(&w->parked, 1);
	/* Whoever leaves last sees that this one is parked, or is seen to have left. */
	while (!w->called && atomic_load(&w->waiting) && !atomic_load(&w->ended))
		lock_wait(&w->lock, &w->changed);
	w->called -= w->called > 0;
	atomic_fetch_sub(&w->parked, 1);
	lock_drop(&w->lock);
}

void waiters_end(struct waiters *w)
{
	lock_take(&w->lock);
	atomic_store(&w->ended, true);
	pthread_cond_broadcast(&w->changed);
	lock_drop(&w->lock);
}
