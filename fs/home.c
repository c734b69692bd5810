/* home.c - see home.h.  Relaxed on purpose: a count that is off by one changes nothing. */
#include "home.h"

void home_init(struct home *home)
{
	home->asker = home->lone = 0;
	home->at = HOME_NOWHERE;
	if (sched_getaffinity(0, sizeof(home->anywhere), &home->anywhere) < 0)
		CPU_ZERO(&home->anywhere); /* more processors than a cpu_set_t has: stay away */
}

static void set(_Atomic uint32_t *to, uint32_t value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

static uint32_t get(_Atomic uint32_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

void home_note(struct home *home, uint32_t pid, uint64_t bytes, int here)
{
	uint32_t lone = get(&home->lone) + 1;

	if (!pid)
		return;
	if (pid != get(&home->asker) || bytes > HOME_BYTES_MAX || lone > HOME_LONE_MAX) {
		set(&home->asker, pid);
		lone = 0;
	}
	set(&home->lone, lone);
	if (lone == 0)
		atomic_store_explicit(&home->at, HOME_NOWHERE, memory_order_relaxed);
	else if (lone == HOME_LONE_MIN)
		atomic_store_explicit(&home->at, here, memory_order_relaxed);
}

void home_go(struct home *home)
{
	static __thread int at = HOME_NOWHERE;
	int to = atomic_load_explicit(&home->at, memory_order_relaxed);
	cpu_set_t one;

	if (to == at || CPU_COUNT(&home->anywhere) < 2)
		return;
	CPU_ZERO(&one);
	if (to != HOME_NOWHERE)
		CPU_SET(to, &one);
	/* Refused (the processor went away, or the machine's owner decided otherwise): no harm. */
	sched_setaffinity(0, sizeof(one), to == HOME_NOWHERE ? &home->anywhere : &one);
	at = to;
}
