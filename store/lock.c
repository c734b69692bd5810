/* lock.c - see lock.h. */
#include "lock.h"

#include <assert.h>

static __thread unsigned held;

void lock_init(struct lock *lock, enum lock_rank rank)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->rank = rank;
}

void lock_destroy(struct lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

void lock_take(struct lock *lock)
{
	assert(held >> lock->rank == 0);
	pthread_mutex_lock(&lock->mutex);
	held |= 1u << lock->rank;
}

void lock_drop(struct lock *lock)
{
	assert(held & 1u << lock->rank);
	held &= ~(1u << lock->rank);
	pthread_mutex_unlock(&lock->mutex);
}

void lock_wait(struct lock *lock, pthread_cond_t *condition)
{
	assert(held & 1u << lock->rank);
	held &= ~(1u << lock->rank);
	pthread_cond_wait(condition, &lock->mutex);
	held |= 1u << lock->rank;
}

void lock_wait_for(struct lock *lock, pthread_cond_t *condition, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	assert(held & 1u << lock->rank);
	held &= ~(1u << lock->rank);
	pthread_cond_clockwait(condition, &lock->mutex, CLOCK_MONOTONIC, &until);
	held |= 1u << lock->rank;
}

int lock_is_held(enum lock_rank rank)
{
	return (held >> rank & 1) != 0;
}
