/* opbench.c - one kind of operation, again and again: seconds.
 *
 * usage: opbench DIR PHASE COUNT [PER_DIRECTORY [BYTES]]       files DIR/dNNN/file-NNNNNN, see
 *        PHASES opbench FILE PHASE MIB                                one large file, see
 *        LARGE_PHASES
 * Prints {"seconds":...,"operations":...}.  What is written can be neither compressed nor found
 * elsewhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1u << 20)
#define RANDOM_BLOCK 4096
#define RANDOM_COUNT 4000
#define PATH_ROOM 4096

static const char *top;
static int count, per_directory = 1000, bytes;
static char *buffer;
static uint64_t noise;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static uint64_t next_noise(void)
{
	uint64_t z = noise += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill(size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = next_noise();

		memcpy(buffer + i, &word, 8);
	}
}

static void directory(char *to, int i)
{
	snprintf(to, PATH_ROOM, "%s/d%03d", top, i / per_directory);
}

static const char *path(int i, const char *suffix)
{
	static char paths[2][PATH_ROOM];
	static int turn;
	char *to = paths[turn++ & 1];

	snprintf(to, PATH_ROOM, "%s/d%03d/file-%06d%s", top, i / per_directory, i, suffix);
	return to;
}

/* --- on file i of many --- */

static void create(int i)
{
	char d[PATH_ROOM];

	if (i % per_directory == 0) {
		directory(d, i);
		need(mkdir(d, 0777) == 0, d);
	}
	int fd = open(path(i, ""), O_WRONLY | O_CREAT | O_EXCL, 0666);
	fill((size_t)bytes);
	need(fd >= 0 && write(fd, buffer, (size_t)bytes) == bytes && close(fd) == 0, path(i, ""));
}

static void list(int i)
{
	char d[PATH_ROOM];

	if (i % per_directory)
		return;
	directory(d, i);
	DIR *dir = opendir(d);
	int seen = 0;
	need(dir != NULL, d);
	while (readdir(dir))
		seen++;
	closedir(dir);
	need(seen >= 2 + (count - i < per_directory ? count - i : per_directory),
	     "a listing lacks names");
}

static void status(int i)
{
	struct stat st;

	need(stat(path(i, ""), &st) == 0, path(i, ""));
}

static void open_close(int i)
{
	int fd = open(path(i, ""), O_RDONLY);

	need(fd >= 0 && close(fd) == 0, path(i, ""));
}

static void read_all(int i)
{
	int fd = open(path(i, ""), O_RDONLY);

	need(fd >= 0 && read(fd, buffer, (size_t)bytes) == bytes && close(fd) == 0, path(i, ""));
}

/* On FUSE one request that is answered at once. */
static void round_trip(int i)
{
	need(getxattr(path(i, ""), "user.absent", buffer, 100) == -1 && errno == ENODATA,
	     "getxattr");
}

static void rename_away(int i)
{
	need(rename(path(i, ""), path(i, ".new")) == 0, path(i, ""));
}

static void rename_back(int i)
{
	need(rename(path(i, ".new"), path(i, "")) == 0, path(i, ".new"));
}

static void remove_file(int i)
{
	char d[PATH_ROOM];

	need(unlink(path(i, "")) == 0, path(i, ""));
	if (i % per_directory == per_directory - 1 || i == count - 1) {
		directory(d, i);
		need(rmdir(d) == 0, d);
	}
}

/* --- on one large file --- */

static int open_large(int flags)
{
	int fd = open(top, flags, 0666);

	need(fd >= 0, top);
	return fd;
}

static void write_large(void)
{
	int fd = open_large(O_WRONLY | O_CREAT | O_TRUNC);

	fill(BLOCK);
	for (int i = 0; i < count; i++) {
		/* Every sector differs from all others. */
		for (size_t at = 0; at < BLOCK; at += 512) {
			uint64_t word = next_noise();

			memcpy(buffer + at, &word, 8);
		}
		need(write(fd, buffer, BLOCK) == BLOCK, top);
	}
	need(fsync(fd) == 0 && close(fd) == 0, top);
}

static void read_large(void)
{
	int fd = open_large(O_RDONLY);

	for (int i = 0; i < count; i++)
		need(read(fd, buffer, BLOCK) == BLOCK, top);
	close(fd);
}

static off_t somewhere(void)
{
	uint64_t blocks = (uint64_t)count * BLOCK / RANDOM_BLOCK;

	return (off_t)(next_noise() % blocks * RANDOM_BLOCK);
}

static void read_random(void)
{
	int fd = open_large(O_RDONLY);

	for (int i = 0; i < RANDOM_COUNT; i++)
		need(pread(fd, buffer, RANDOM_BLOCK, somewhere()) == RANDOM_BLOCK, top);
	close(fd);
}

static void write_random(void)
{
	int fd = open_large(O_WRONLY);

	for (int i = 0; i < RANDOM_COUNT; i++) {
		fill(RANDOM_BLOCK);
		need(pwrite(fd, buffer, RANDOM_BLOCK, somewhere()) == RANDOM_BLOCK, top);
	}
	need(fsync(fd) == 0 && close(fd) == 0, top);
}

static const struct {
	const char *name;
	void (*each)(int i);
} phases[] = {
	{ "create", create },         { "list", list },           { "stat", status },
	{ "open+close", open_close }, { "read", read_all },       { "round-trip", round_trip },
	{ "rename", rename_away },    { "rename-back", rename_back }, { "unlink", remove_file },
};

static const struct {
	const char *name;
	void (*all)(void);
	int operations; /* 0: one a MiB */
} large_phases[] = {
	{ "write", write_large, 0 },
	{ "read-large", read_large, 0 },
	{ "read-random", read_random, RANDOM_COUNT },
	{ "write-random", write_random, RANDOM_COUNT },
};

static int run(const char *phase)
{
	for (size_t p = 0; p < sizeof(phases) / sizeof(phases[0]); p++) {
		if (strcmp(phase, phases[p].name) != 0)
			continue;
		for (int i = 0; i < count; i++)
			phases[p].each(i);
		return count;
	}
	for (size_t p = 0; p < sizeof(large_phases) / sizeof(large_phases[0]); p++) {
		if (strcmp(phase, large_phases[p].name) != 0)
			continue;
		large_phases[p].all();
		return large_phases[p].operations ? large_phases[p].operations : count;
	}
	fprintf(stderr, "opbench: there is no phase %s\n", phase);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 6 || atoi(argv[3]) < 1) {
		fprintf(stderr,
			"usage: opbench DIR-OR-FILE PHASE COUNT-OR-MIB [PER_DIRECTORY [BYTES]]\n");
		return 2;
	}
	top = argv[1];
	count = atoi(argv[3]);
	per_directory = argc > 4 ? atoi(argv[4]) : per_directory;
	bytes = argc > 5 ? atoi(argv[5]) : 1024;
	buffer = malloc(BLOCK > (unsigned)bytes ? BLOCK : (unsigned)bytes + 8);
	need(buffer != NULL, "memory");
	noise = (uint64_t)(now() * 1e9);
	double start = now();
	int operations = run(argv[2]);
	printf("{\"seconds\":%.6f,\"operations\":%d}\n", now() - start, operations);
	free(buffer);
	return 0;
}
