/* posix.h - what the programs that play the operations of an ordinary filesystem share: posix.c and
 * posix_*.c.
 *
 * Each is run as root as `PROGRAM DIR UID GID`, the uid being a second, ordinary user, and prints
 * "ok - what" or "not ok - what"; it exits 0 when it came to its end.  On ext4 every line is ok:
 * that is the test of the test. */
#ifndef DAYBOOK_TESTS_POSIX_H
#define DAYBOOK_TESTS_POSIX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static uid_t other_uid;
static gid_t other_gid;

__attribute__((unused, format(printf, 2, 3))) static void say(bool good, const char *format, ...)
{
	int code = errno;
	va_list ap;

	printf(good ? "ok - " : "not ok - ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	if (!good)
		printf(" [errno %d, %s]", code, strerror(code));
	putchar('\n');
	fflush(stdout);
	errno = 0;
}

/* The expression fails, with that errno. */
#define REFUSED(expression, code, what) \
	do { \
		errno = 0; \
		long r_ = (long)(expression); \
		say(r_ == -1 && errno == (code), "%s: %s", what, strerrorname_np(code)); \
	} while (0)

__attribute__((unused)) static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		say(false, "make %s", name);
	return fd;
}

__attribute__((unused)) static void make_closed(const char *name, const char *text)
{
	close(make(name, text));
}

__attribute__((unused)) static bool holds(const char *name, const char *text)
{
	char buf[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

/* Runs f in a child as a user with these supplementary groups; true when it returns true. */
__attribute__((unused)) static bool as_user(uid_t uid, gid_t gid, const gid_t *groups, size_t count,
					    bool (*f)(void))
{
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(count, groups) || setgid(gid) || setuid(uid))
			_exit(2);
		_exit(f() ? 0 : 1);
	}
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* The same as the other user, who is in no further group. */
__attribute__((unused)) static bool as_other(bool (*f)(void))
{
	return as_user(other_uid, other_gid, NULL, 0, f);
}

/* Takes the arguments and goes to the directory. */
static void posix_begin(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[1])) {
		fprintf(stderr, "usage: %s DIR UID GID\n", argv[0]);
		exit(2);
	}
	other_uid = (uid_t)atoi(argv[2]);
	other_gid = (gid_t)atoi(argv[3]);
	umask(022);
}

#endif
