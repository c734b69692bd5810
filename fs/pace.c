/* pace.c - see pace.h. */
#include "pace.h"

#include "store/clock.h"

static int64_t *ahead_of(struct pace *pace, uint32_t thread, int64_t now)
{
	size_t at = thread % PACE_THREADS;

	if (pace->threads[at].id != thread || pace->threads[at].ahead < now)
		pace->threads[at].ahead = now;
	pace->threads[at].id = thread;
	return &pace->threads[at].ahead;
}

static bool saves_are_made(const struct pace *pace, int64_t now)
{
	int64_t since = pace->saves[pace->oldest];

	return since && now - since < NS_PER_SECOND;
}

bool pace_change(struct pace *pace, uint32_t thread, int64_t now)
{
	int64_t *ahead = ahead_of(pace, thread, now);

	*ahead += NS_PER_SECOND / PACE_CHANGES_PER_S;
	if (*ahead > now + PACE_AHEAD_NS_MAX)
		*ahead = now + PACE_AHEAD_NS_MAX;
	return *ahead > now + NS_PER_SECOND && saves_are_made(pace, now);
}

void pace_save(struct pace *pace, uint32_t thread, int64_t now)
{
	*ahead_of(pace, thread, now) = now;
	pace->saves[pace->oldest] = now;
	pace->oldest = (pace->oldest + 1) % PACE_SAVES;
}

int64_t pace_rest(const struct pace *pace, int64_t now)
{
	return pace->rested > now && saves_are_made(pace, now) ? pace->rested - now : 0;
}

void pace_made(struct pace *pace, int64_t now, int64_t took_ns)
{
	int64_t rest = took_ns < PACE_REST_NS_MAX / PACE_REST ? took_ns * PACE_REST
							      : PACE_REST_NS_MAX;

	pace->rested = now + rest;
}
