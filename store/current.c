/* current.c - see current.h. */
#include "current.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "MANIFEST-"
#define BUILDING "CURRENT.dbtmp" /* RocksDB removes files of that ending */

/* The number of a manifest's name that ends as end says; 0: it is no such name. */
static uint64_t number_of(const char *name, const char *end)
{
	const char *digits = name + strlen(PREFIX);

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	size_t n = strspn(digits, "0123456789");
	return n > 0 && n < 20 && strcmp(digits + n, end) == 0 ? strtoull(digits, NULL, 10) : 0;
}

static void name_of(uint64_t number, char name[40])
{
	snprintf(name, 40, PREFIX "%06llu", (unsigned long long)number);
}

bool current_look(int directory_fd, uint64_t *ret_number, uint64_t *ret_bytes)
{
	int fd = openat(directory_fd, "CURRENT", O_RDONLY | O_CLOEXEC);
	char text[64] = "", name[40];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	struct stat st;

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	*ret_number = number_of(text, "\n");
	name_of(*ret_number, name);
	bool there = *ret_number && fstatat(directory_fd, name, &st, 0) == 0;
	*ret_bytes = there ? (uint64_t)st.st_size : 0;
	return there;
}

int current_open(int directory_fd, struct error *e)
{
	uint64_t number, bytes;
	char name[40];

	current_look(directory_fd, &number, &bytes);
	name_of(number, name);
	int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? error_system(e, "db/%s", name) : fd;
}

static int is_manifest(const struct dirent *entry)
{
	return number_of(entry->d_name, "") != 0;
}

/* Calls each() with the number of every manifest there is. */
static int each_manifest(int directory_fd, int (*each)(void *arg, uint64_t number, struct error *e),
			 void *arg, struct error *e)
{
	struct dirent **entries;
	int n = scandirat(directory_fd, ".", &entries, is_manifest, NULL), r = 0;

	if (n < 0)
		return error_system(e, "db");
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = each(arg, number_of(entries[i]->d_name, ""), e);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* ---- going back ---- */

struct former {
	uint64_t named, number;
};

static int find_former(void *arg, uint64_t number, struct error *e)
{
	struct former *former = arg;

	(void)e;
	if (number < former->named && number > former->number)
		former->number = number;
	return 0;
}

int current_former(int directory_fd, uint64_t *ret_number, struct error *e)
{
	struct former former = { 0 };
	uint64_t bytes;
	int r;

	current_look(directory_fd, &former.named, &bytes);
	r = each_manifest(directory_fd, find_former, &former, e);
	*ret_number = former.number;
	return r < 0 ? r : former.number != 0;
}

int current_set(int directory_fd, uint64_t number, struct error *e)
{
	int fd = openat(directory_fd, BUILDING, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char text[40 + 1];
	bool fine;

	name_of(number, text);
	strcat(text, "\n");
	fine = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
	if (fd >= 0 && close(fd) < 0)
		fine = false;
	if (!fine || renameat(directory_fd, BUILDING, directory_fd, "CURRENT") < 0 ||
	    fsync(directory_fd) < 0)
		return error_system(e, "db/CURRENT");
	return 0;
}

/* ---- cleaning ---- */

struct cleaning {
	int directory_fd;
	uint64_t named;
	bool dirty;
};

static int remove_other(void *arg, uint64_t number, struct error *e)
{
	struct cleaning *cleaning = arg;
	char name[40];

	if (number == cleaning->named)
		return 0;
	/* What CURRENT named before may only go when CURRENT is on the disk as it is. */
	if (!cleaning->dirty && fsync(cleaning->directory_fd) < 0)
		return error_system(e, "db");
	cleaning->dirty = true;
	name_of(number, name);
	if (unlinkat(cleaning->directory_fd, name, 0) < 0 && errno != ENOENT)
		return error_system(e, "db/%s", name);
	return 0;
}

int current_clean(int directory_fd, struct error *e)
{
	struct cleaning cleaning = { .directory_fd = directory_fd };
	uint64_t bytes;

	if (!current_look(directory_fd, &cleaning.named, &bytes))
		return 0;
	int r = each_manifest(directory_fd, remove_other, &cleaning, e);
	if (r == 0 && cleaning.dirty && fsync(directory_fd) < 0)
		r = error_system(e, "db");
	return r;
}
