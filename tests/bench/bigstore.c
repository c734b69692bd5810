/* bigstore.c - makes a store with millions of changes: what a share looks like after years of work.
 *
 * Everything is done by the store's own functions, in their order, so that it is a store like any
 * other and `daybook verify` finds nothing wrong with it.  In the store's root:
 *   files/NNN/NNNN/fileNNNN  --files of them, 1,000 a directory; one in --saved-every has a content
 *                            of a few lines
 *   deep/docNNNNN            --documents of them, each saved --versions times
 *   churn/                   empty: --temporary names lived and died there
 * usage: bigstore STORE [--files N] [--saved-every N] [--documents N] [--versions N] [--temporary
 * N] [--cache MIB] It prints what it made, how fast, and how much was written to files for it.
 * With --open 1 the store is there: it is opened, which is timed. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/version.h"

#define FILES_PER_DIRECTORY 1000
#define DIRECTORIES_PER_DIRECTORY 100
#define USERS 40

static struct store *store;
static struct error error;
static int content_fd;
static uint64_t saves;

static void need(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bigstore: %s: %s\n", what, error.text);
	exit(1);
}

/* The user whose turn it is; they change every 50 changes, as people do. */
static const struct actor *somebody(uint64_t turn)
{
	static char name[16];
	static struct actor actor;
	unsigned user = (unsigned)(turn / 50 % USERS);

	snprintf(name, sizeof(name), "user%02u", user);
	actor = (struct actor){ .uid = 20001 + user,
				.gid = 20001,
				.tgid = 1000 + user,
				.name = view_str(name),
				.command = { "editor", 6 } };
	return &actor;
}

static uint64_t make(uint64_t parent, const char *name, uint32_t mode, uint64_t turn)
{
	const struct actor *actor = somebody(turn);
	struct make how = { .mode = mode, .uid = actor->uid, .gid = actor->gid };
	struct inode *inode = NULL;

	need(namespace_make(store, actor, parent, view_str(name), &how, &inode, &error), name);
	uint64_t ino = inode->r.ino;
	inode_put(inode);
	return ino;
}

static uint64_t directory(uint64_t parent, const char *name)
{
	return make(parent, name, S_IFDIR | 0777, 0);
}

/* A few rows that differ from file to file and from save to save, by one line. */
static void save(uint64_t ino, uint64_t turn, uint64_t round)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "file,%llu\nregion,EU-North\nstatus,approved by finance\namount,%llu\n",
			 (unsigned long long)ino, (unsigned long long)(round * 7919 % 100000));
	struct extent extent = { 0, (uint64_t)n, EXTENT_STAGED, 0, 0 };
	struct work work = { &extent, 1, (uint64_t)n, content_fd };
	struct save how = { .work = &work };
	struct saved saved;

	if (pwrite(content_fd, text, (size_t)n, 0) != n)
		need(-1, "a content");
	need(version_save(store, somebody(turn), ino, &how, &saved, &error), "a save");
	saves++;
}

static void make_files(uint64_t count, uint64_t saved_every)
{
	uint64_t top = directory(ROOT_INODE, "files"), middle = 0, bottom = 0;
	char name[32];

	for (uint64_t i = 0; i < count; i++) {
		uint64_t d = i / FILES_PER_DIRECTORY;

		if (i % (FILES_PER_DIRECTORY * DIRECTORIES_PER_DIRECTORY) == 0) {
			snprintf(name, sizeof(name), "%03llu",
				 (unsigned long long)(d / DIRECTORIES_PER_DIRECTORY));
			middle = directory(top, name);
		}
		if (i % FILES_PER_DIRECTORY == 0) {
			snprintf(name, sizeof(name), "%04llu",
				 (unsigned long long)(d % DIRECTORIES_PER_DIRECTORY));
			bottom = directory(middle, name);
		}
		snprintf(name, sizeof(name), "file%04llu",
			 (unsigned long long)(i % FILES_PER_DIRECTORY));
		uint64_t ino = make(bottom, name, S_IFREG | 0644, i);
		if (saved_every && i % saved_every == 0)
			save(ino, i, i);
	}
}

/* Saved in turns, so that the versions of one document lie apart, as they do. */
static void make_deep(uint64_t documents, uint64_t versions)
{
	uint64_t top = directory(ROOT_INODE, "deep"),
		 *inodes = calloc(documents + 1, sizeof(*inodes));
	char name[32];

	for (uint64_t i = 0; inodes && i < documents; i++) {
		snprintf(name, sizeof(name), "doc%05llu", (unsigned long long)i);
		inodes[i] = make(top, name, S_IFREG | 0666, i);
	}
	for (uint64_t v = 0; inodes && v < versions; v++) {
		for (uint64_t i = 0; i < documents; i++)
			save(inodes[i], v * documents + i, v);
	}
	free(inodes);
}

static void churn(uint64_t count)
{
	uint64_t top = directory(ROOT_INODE, "churn"), gone;
	char name[32];

	for (uint64_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "~tmp%08llx.tmp", (unsigned long long)i);
		make(top, name, S_IFREG | 0666, i);
		need(namespace_unlink(store, somebody(i), top, view_str(name), &gone, &error),
		     name);
		need(namespace_drop_orphan(store, gone, &error), name);
	}
}

static double seconds(clockid_t of)
{
	struct timespec t;

	clock_gettime(of, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What write(2) and its like were given so far. */
static unsigned long long written(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long bytes = 0;

	if (!f || fscanf(f, "rchar: %*u wchar: %llu", &bytes) != 1)
		need(-1, "/proc/self/io");
	fclose(f);
	return bytes;
}

static int open_only(const char *path, const struct store_options *with)
{
	double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

	need(store_open(path, with, &store, &error), path);
	printf("{\"open_s\":%.3f,\"open_cpu_s\":%.3f}\n", seconds(CLOCK_MONOTONIC) - start,
	       seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	store_close(store);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "files", 1, NULL, 'f' },
		{ "saved-every", 1, NULL, 's' },
		{ "documents", 1, NULL, 'd' },
		{ "versions", 1, NULL, 'v' },
		{ "temporary", 1, NULL, 't' },
		{ "cache", 1, NULL, 'c' },
		{ "open", 1, NULL, 'o' },
		{ 0 },
	};
	uint64_t wanted[128] = { ['s'] = 10, ['c'] = 1024 };
	double start = seconds(CLOCK_MONOTONIC);
	uint64_t change;
	int64_t time;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) > 0 && c != '?')
		wanted[c] = strtoull(optarg, NULL, 10);
	if (c == '?' || optind != argc - 1) {
		fprintf(stderr, "usage: bigstore STORE [--files N] [--saved-every N] [--documents "
				"N] [--versions N] "
				"[--temporary N] [--cache MIB] [--open 1]\n");
		return 2;
	}
	struct store_options with = { .cache_bytes = wanted['c'] << 20 };
	content_fd = memfd_create("content", MFD_CLOEXEC);
	if (wanted['o'])
		return open_only(argv[optind], &with);
	need(store_init(argv[optind], 0777, 0, 0, &error), argv[optind]);
	need(store_open(argv[optind], &with, &store, &error), argv[optind]);
	make_files(wanted['f'], wanted['s']);
	make_deep(wanted['d'], wanted['v']);
	churn(wanted['t']);
	store_head(store, &change, &time);
	store_close(store);
	double took = seconds(CLOCK_MONOTONIC) - start;
	printf("{\"changes\":%llu,\"saves\":%llu,\"seconds\":%.1f,\"changes_per_s\":%.0f,"
	       "\"written_mib\":%llu,\"cpu_s\":%.1f}\n",
	       (unsigned long long)change, (unsigned long long)saves, took, (double)change / took,
	       written() >> 20, seconds(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
