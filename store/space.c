/* space.c - see space.h. */
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

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

/* ext4 counts blocks as free that it keeps to itself: the fiftieth of all, at most 4096. */
uint64_t space_free_at_all(int fd)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) != 0)
		return UINT64_MAX;
	uint64_t kept = fs.f_blocks / 50 < 4096 ? fs.f_blocks / 50 : 4096;
	return fs.f_bfree > kept ? (uint64_t)(fs.f_bfree - kept) * fs.f_frsize : 0;
}

static uint64_t reserve_of(const struct statvfs *fs)
{
	uint64_t eighth = (uint64_t)fs->f_blocks * fs->f_frsize / 8;

	return eighth < SPACE_RESERVE ? eighth : SPACE_RESERVE;
}

uint64_t space_for_unsaved(const struct statvfs *fs)
{
	uint64_t free = (uint64_t)fs->f_bavail * fs->f_frsize,
		 kept = SPACE_TIMES_UNSAVED * reserve_of(fs);

	return free > kept ? free - kept : 0;
}

static int ask(struct space *s, int fd, struct error *e)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) != 0)
		return error_system(e, "the disk that holds the store");
	atomic_store(&s->free, (uint64_t)fs.f_bavail * fs.f_frsize);
	atomic_store(&s->reserve, reserve_of(&fs));
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
		return error_set(e, -E_NO_SPACE,
				 "the disk that holds the store is full: %llu MiB are free there, "
				 "%llu MiB are needed",
				 (unsigned long long)(free / MIB),
				 (unsigned long long)(needed / MIB + 1));
	atomic_fetch_add(&s->unasked, bytes);
	return 0;
}

#define TRIAL "ROOM"

int space_try(int directory_fd, uint64_t bytes, struct error *e)
{
	int fd = openat(directory_fd, TRIAL, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	    rc = 0;

	if (fd < 0)
		return error_system(e, "the disk that holds the store");
	do {
		errno = posix_fallocate(fd, 0, (off_t)bytes);
	} while (errno == EINTR);
	if (errno)
		rc = error_system(e, "the disk that holds the store");
	close(fd);
	unlinkat(directory_fd, TRIAL, 0);
	return rc;
}
