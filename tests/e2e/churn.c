/* churn - random operations on one file against a copy in memory: read, write, maps, sizes, holes,
 * copies.
 *
 * churn DIR OPERATIONS [SEED]: prints "ok - what" or "not ok - what" with the seed, which makes the
 * same run again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_FILE (256u << 10)
#define LENGTH_MAX (48u << 10)

static unsigned char good[SIZE_MAX_FILE], buf[SIZE_MAX_FILE];
static size_t size;
static int fd;
static uint64_t state;

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (uint32_t)(state >> 20) % below : 0;
}

static void fill(unsigned char *at, size_t n)
{
	unsigned char first = (unsigned char)any(255);

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)(first + i % 251);
}

/* The range [at, at + n) is data or zeros now, and the file as long as that. */
static void grown(size_t at, size_t n)
{
	if (at > size)
		memset(good + size, 0, at - size);
	size = at + n > size ? at + n : size;
}

static bool do_write(size_t at, size_t n)
{
	fill(buf, n);
	if (pwrite(fd, buf, n, (off_t)at) != (ssize_t)n)
		return false;
	grown(at, n);
	memcpy(good + at, buf, n);
	return true;
}

static bool do_read(size_t at, size_t n)
{
	size_t there = at >= size ? 0 : size - at < n ? size - at : n;

	return pread(fd, buf, n, (off_t)at) == (ssize_t)there && memcmp(buf, good + at, there) == 0;
}

/* Maps the pages around a range of the file; change: writes it, else compares. */
static bool do_map(size_t at, size_t n, bool change)
{
	size_t page = at & ~(size_t)4095;

	if (at >= size)
		return true;
	n = size - at < n ? size - at : n;
	unsigned char *p =
		mmap(NULL, at - page + n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)page);
	if (p == MAP_FAILED)
		return false;
	bool same = true;
	if (change) {
		fill(good + at, n);
		memcpy(p + (at - page), good + at, n);
		same = any(2) || msync(p, at - page + n, MS_SYNC) == 0;
	} else {
		same = memcmp(p + (at - page), good + at, n) == 0;
	}
	return munmap(p, at - page + n) == 0 && same;
}

static void lengthened(size_t to)
{
	if (to > size) {
		memset(good + size, 0, to - size);
		size = to;
	}
}

static bool do_truncate(size_t to)
{
	if (ftruncate(fd, (off_t)to) != 0)
		return false;
	lengthened(to);
	size = to;
	return true;
}

static bool do_fallocate(int mode, size_t at, size_t n)
{
	if (fallocate(fd, mode, (off_t)at, (off_t)n) != 0)
		return false;
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		lengthened(at + n);
	if ((mode & ~FALLOC_FL_KEEP_SIZE) && at < size)
		memset(good + at, 0, size - at < n ? size - at : n);
	return true;
}

static bool do_copy(size_t from, size_t to, size_t n)
{
	loff_t in = (loff_t)from, out = (loff_t)to;

	if (from >= size || (from < to + n && to < from + n))
		return true;
	n = size - from < n ? size - from : n;
	for (size_t left = n; left;) {
		ssize_t done = copy_file_range(fd, &in, fd, &out, left, 0);

		if (done <= 0)
			return false;
		left -= (size_t)done;
	}
	memcpy(buf, good + from, n);
	grown(to, n);
	memcpy(good + to, buf, n);
	return true;
}

static bool do_reopen(void)
{
	return close(fd) == 0 && (fd = open("churn", O_RDWR)) >= 0;
}

static const char *const names[] = { "write",     "read",  "map and write", "map and read",
				     "truncate",  "punch", "zero",          "zero, keep size",
				     "fallocate", "copy",  "fsync",         "reopen" };

static bool step(unsigned what, size_t at, size_t n)
{
	switch (what) {
	case 0: return do_write(at, n);
	case 1: return do_read(at, n);
	case 2: return do_map(at, n, true);
	case 3: return do_map(at, n, false);
	case 4: return do_truncate(at);
	case 5: return do_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n);
	case 6: return do_fallocate(FALLOC_FL_ZERO_RANGE, at, n);
	case 7: return do_fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, n);
	case 8: return do_fallocate(0, at, n);
	case 9: return do_copy(at, any(SIZE_MAX_FILE - LENGTH_MAX), n);
	case 10: return fsync(fd) == 0;
	default: return do_reopen();
	}
}

static bool whole(void)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (size_t)st.st_size == size && do_read(0, SIZE_MAX_FILE);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL);
	unsigned operations = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;

	if (argc < 3 || chdir(argv[1])) {
		fprintf(stderr, "usage: churn DIR OPERATIONS [SEED]\n");
		return 2;
	}
	state = seed * 0x9e3779b97f4a7c15u + 1;
	fd = open("churn", O_RDWR | O_CREAT | O_TRUNC, 0644);
	for (unsigned i = 0; i < operations; i++) {
		size_t at = any(SIZE_MAX_FILE - LENGTH_MAX), n = 1 + any(LENGTH_MAX);
		unsigned what = any(sizeof(names) / sizeof(names[0]));

		if (!step(what, at, n) || (i % 100 == 99 && !whole())) {
			printf("not ok - %u operations, seed %llu: number %u, %s at %zu of %zu, "
			       "size %zu [%s]\n",
			       operations, (unsigned long long)seed, i, names[what], at, n, size,
			       strerror(errno));
			return 0;
		}
	}
	bool end = do_reopen() && whole();
	printf("%s - %u random operations, maps among them, seed %llu\n", end ? "ok" : "not ok",
	       operations, (unsigned long long)seed);
	return 0;
}
