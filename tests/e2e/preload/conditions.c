/* conditions.c - preloaded into daybookd: a kernel, requests and a clock that are not the usual ones.
 *
 *   NO_RESEND=1   the kernel is one that cannot send requests again
 *   POISON=NAME   who serves dies of a request that looks up this name
 *   LINGER=MS     who serves takes so long over each change of a directory
 *   HURRY=N       for who keeps the mount, time goes by N times as fast */
#include <dlfcn.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INIT2_HAS_RESEND (1u << 7)

static bool is_holder;

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	is_holder = argc < 2 || strcmp(argv[1], "--worker") != 0;
}

static void alter(struct fuse_in_header *in, size_t n)
{
	const char *poison = getenv("POISON");
	struct fuse_init_in *init = (void *)(in + 1);

	if (in->opcode == FUSE_INIT && n >= sizeof(*in) + sizeof(*init) && getenv("NO_RESEND"))
		init->flags2 &= ~INIT2_HAS_RESEND;
	if (in->opcode == FUSE_LOOKUP && poison && strcmp((const char *)(in + 1), poison) == 0)
		raise(SIGSEGV);
	if ((in->opcode == FUSE_CREATE || in->opcode == FUSE_UNLINK || in->opcode == FUSE_RENAME2) &&
	    getenv("LINGER"))
		usleep((useconds_t)atoi(getenv("LINGER")) * 1000);
}

ssize_t read(int fd, void *buf, size_t size)
{
	static ssize_t (*real)(int fd, void *buf, size_t size);

	if (!real)
		real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	ssize_t n = real(fd, buf, size);
	struct fuse_in_header *in = buf;
	if (size > 1 << 20 && n >= (ssize_t)sizeof(*in) && in->len == n) /* of the kernel's device */
		alter(in, (size_t)n);
	return n;
}

static int hurry(void)
{
	const char *factor = getenv("HURRY");

	return is_holder && factor ? atoi(factor) : 1;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static int (*real)(clockid_t clock, struct timespec *ret);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int rc = real(clock, ret);
	if (rc == 0 && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)) {
		int64_t ns = (ret->tv_sec * 1000000000ll + ret->tv_nsec) * hurry();

		ret->tv_sec = ns / 1000000000;
		ret->tv_nsec = ns % 1000000000;
	}
	return rc;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	static int (*real)(struct pollfd *fds, nfds_t count, int timeout);

	if (!real)
		real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
	return real(fds, count, timeout > 0 ? (timeout + hurry() - 1) / hurry() : timeout);
}
