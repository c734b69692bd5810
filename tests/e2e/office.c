/* office.c - plays system calls, one per argument, as an office program makes them when it saves:
 *
 *   create NAME | open NAME | truncate NAME     the current file, for writing; it must not exist |
 *   exist | either use N                                       another current file: 0 to 7
 *   write TEXT | fill KIB | cut BYTES           at its position; that much; ftruncate
 *   sync | close
 *   read NAME                                   opened, read to its end, closed
 *   rename FROM TO | exchange A B | link OLD NEW | unlink NAME | chmod OCTAL NAME
 *   signal PATH | wait PATH                     makes a file; until somebody has made it
 *   kill                                        ends itself by SIGKILL
 *
 * The first call that fails ends it, with a line on standard error. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int files[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
static int *current = files;

static bool open_as(const char *name, int flags)
{
	*current = open(name, flags | O_CLOEXEC, 0666);
	return *current >= 0;
}

static bool close_it(void)
{
	int fd = *current;

	*current = -1;
	return close(fd) == 0;
}

static bool write_all(const char *data, size_t n)
{
	return write(*current, data, n) == (ssize_t)n;
}

/* Numbers from a simple generator: bytes that do not compress, others in every process. */
static bool fill(unsigned kib)
{
	static unsigned state;
	unsigned block[256];

	if (!state)
		state = 2463534242u ^ (unsigned)getpid() << 8;
	while (kib--) {
		for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
			state ^= state << 13;
			state ^= state >> 17;
			state ^= state << 5;
			block[i] = state;
		}
		if (!write_all((char *)block, sizeof(block)))
			return false;
	}
	return true;
}

static bool read_whole(const char *name)
{
	char block[65536];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, block, sizeof(block))) > 0)
		;
	close(fd);
	return n == 0;
}

static bool wait_for(const char *path)
{
	for (int i = 0; i < 6000; i++) {
		if (access(path, F_OK) == 0)
			return true;
		usleep(5000);
	}
	errno = ETIME;
	return false;
}

static bool signal_by(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	return fd >= 0 && close(fd) == 0;
}

/* The calls on names. */
static int play_name(const char *call, const char *a, const char *b)
{
	if (!strcmp(call, "rename"))
		return rename(a, b) == 0;
	if (!strcmp(call, "exchange"))
		return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
	if (!strcmp(call, "link"))
		return link(a, b) == 0;
	if (!strcmp(call, "unlink"))
		return unlink(a) == 0;
	if (!strcmp(call, "chmod"))
		return chmod(b, (mode_t)strtoul(a, NULL, 8)) == 0;
	if (!strcmp(call, "read"))
		return read_whole(a);
	if (!strcmp(call, "signal"))
		return signal_by(a);
	if (!strcmp(call, "wait"))
		return wait_for(a);
	return -1;
}

/* 1, 0 with errno, or -1: there is no such call. */
static int play(const char *call, const char *a, const char *b)
{
	if (!strcmp(call, "create"))
		return open_as(a, O_RDWR | O_CREAT | O_EXCL);
	if (!strcmp(call, "open"))
		return open_as(a, O_RDWR);
	if (!strcmp(call, "truncate"))
		return open_as(a, O_WRONLY | O_CREAT | O_TRUNC);
	if (!strcmp(call, "use"))
		return (current = &files[*a & 7]) != NULL;
	if (!strcmp(call, "write"))
		return write_all(a, strlen(a));
	if (!strcmp(call, "fill"))
		return fill((unsigned)atoi(a));
	if (!strcmp(call, "cut"))
		return ftruncate(*current, atol(a)) == 0;
	if (!strcmp(call, "sync"))
		return fsync(*current) == 0;
	if (!strcmp(call, "close"))
		return close_it();
	if (!strcmp(call, "kill"))
		return kill(getpid(), SIGKILL) == 0;
	return play_name(call, a, b);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *line = strdup(argv[i]), *rest = line;
		char *call = strsep(&rest, " "), *a = strsep(&rest, " "), *b = strsep(&rest, " ");
		int done = play(call, a ? a : "", b ? b : "");

		if (done != 1) {
			fprintf(stderr, "office: %s: %s\n", argv[i],
				done ? "unknown" : strerror(errno));
			return 1;
		}
		free(line);
	}
	return 0;
}
