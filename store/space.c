/* space.c - see space.h. */
#include "space.h"

#include <sys/statvfs.h>
#include <time.h>

#define MIB (1ull << 20)

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool space_stale(const struct space *s, uint64_t bytes)
{
	uint64_t plenty = 4 * atomic_load(&s->reserve) + atomic_load(&s->owed) + bytes;

	return atomic_load(&s->free) <= plenty || atomic_load(&s->unasked) + bytes >= MIB ||
	       now_ms() - atomic_load(&s->asked_ms) >= 100;
}

uint64_t space_free_at_all(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 ? (uint64_t)fs.f_bfree * fs.f_frsize : UINT64_MAX;
}

static int ask(struct space *s, int fd, struct error *e)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) != 0)
		return error_system(e, "the disk that holds the store");
	uint64_t eighth = (uint64_t)fs.f_blocks * fs.f_frsize / 8;
	atomic_store(&s->free, (uint64_t)fs.f_bavail * fs.f_frsize);
	atomic_store(&s->reserve, eighth < SPACE_RESERVE ? eighth : SPACE_RESERVE);
	atomic_store(&s->unasked, 0);
	atomic_store(&s->asked_ms, now_ms());
	return 0;
}

int space_check(struct space *s, int fd, uint64_t bytes, unsigned times, struct error *e)
{
	if (space_stale(s, bytes)) {
		int r = ask(s, fd, e);

		if (r < 0)
			return r;
	}
	uint64_t free = atomic_load(&s->free);
	uint64_t needed = bytes + times * atomic_load(&s->reserve) + atomic_load(&s->owed);
	if (free < needed)
		return error_set(e, -E_NO_SPACE, "the disk that holds the store is full: %llu MiB are free there, "
				 "%llu MiB are needed", (unsigned long long)(free / MIB),
				 (unsigned long long)(needed / MIB + 1));
	atomic_fetch_add(&s->unasked, bytes);
	return 0;
}
