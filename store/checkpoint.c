/* checkpoint.c - see checkpoint.h. */
#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "directory.h"
#include "internal.h"

#define PREFIX "checkpoint-"
#define OLD_S 86400

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static bool is_name(const char *name)
{
	size_t n = strlen(PREFIX);

	return strncmp(name, PREFIX, n) == 0 && name[n] &&
	       strspn(name + n, "0123456789.") == strlen(name + n) &&
	       strlen(name) < CHECKPOINT_NAME_MAX;
}

int checkpoint_drop(struct store *store, const char *name, struct error *e)
{
	CLEANUP(buf_release) struct buf path = { 0 };

	if (!is_name(name))
		return error_set(e, -E_INVALID, "%s: not the name of a checkpoint", name);
	buf_printf(&path, "%s/%s", store->path, name);
	const char *whole = buf_cstr(&path);
	int rc = buf_check(&path, e);
	if (rc < 0)
		return rc;
	if (nftw(whole, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return error_system(e, "%s", whole);
	return 0;
}

struct dropping {
	struct store *store;
	int64_t age_s;
};

static int drop_old(void *arg, const char *name, struct error *e)
{
	struct dropping *d = arg;
	struct stat st;

	(void)e;
	if (is_name(name) && fstatat(d->store->directory_fd, name, &st, 0) == 0 &&
	    st.st_mtim.tv_sec <= clock_now() / NS_PER_SECOND - d->age_s)
		checkpoint_drop(d->store, name, NULL);
	return 0;
}

void checkpoint_drop_old(struct store *store, int64_t age_s)
{
	struct dropping dropping = { store, age_s };

	directory_each(store->directory_fd, ".", store->path, drop_old, &dropping, NULL);
}

/* Copies a file as long as it is now; the end of one that grows meanwhile is cut where it falls. */
static int copy_file(int from_fd, const char *from_name, int to_fd, const char *to_name,
		     struct error *e)
{
	int from = openat(from_fd, from_name, O_RDONLY | O_CLOEXEC), to, rc = 0;
	ssize_t n = 0;

	if (from < 0)
		return errno == ENOENT ? 0 : error_system(e, "%s", from_name); /* saved and gone */
	to = openat(to_fd, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		rc = error_system(e, "%s", to_name);
	while (rc == 0 && (n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0)) > 0)
		;
	if (rc == 0 && n < 0)
		rc = error_system(e, "%s", to_name);
	close(from);
	if (to >= 0)
		close(to);
	return rc;
}

struct copying {
	int from, to;
};

static int copy_journal(void *arg, const char *name, struct error *e)
{
	struct copying *c = arg;

	return name[0] == '.' ? 0 : copy_file(c->from, name, c->to, name, e);
}

/* Journals come before the database: what is saved in between is then in both, and found
 * unchanged. */
static int copy_journals(struct store *store, int to_fd, struct error *e)
{
	struct copying copying = { store->staging_fd, -1 };

	if (mkdirat(to_fd, "staging", 0700) < 0 ||
	    (copying.to = openat(to_fd, "staging", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return error_system(e, "a checkpoint's staging");
	int rc = directory_each(store->staging_fd, ".", "staging", copy_journal, &copying, e);
	close(copying.to);
	return rc;
}

static int fill(struct store *store, struct checkpoint *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf database = { 0 };
	int fd = openat(store->directory_fd, ret->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? error_system(e, "%s/%s", store->path, ret->name)
			: copy_journals(store, fd, e);

	if (rc == 0)
		rc = copy_file(store->directory_fd, STORE_FORMAT_NAME, fd, STORE_FORMAT_NAME, e);
	if (rc == 0)
		rc = kv_flush(store->kv, e); /* the most of it, while others go on saving */
	buf_printf(&database, "%s/%s/db", store->path, ret->name);
	const char *path = buf_cstr(&database);
	if (rc == 0)
		rc = buf_check(&database, e);
	if (rc == 0) {
		lock_take(&store->commit);
		ret->change = store->head_change;
		ret->time = store->last_time;
		rc = kv_checkpoint(store->kv, path, e);
		lock_drop(&store->commit);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

int checkpoint_make(struct store *store, struct checkpoint *ret, struct error *e)
{
	static atomic_uint count;
	int rc;

	if (store->read_only)
		return error_set(e, -E_READ_ONLY, "the store is open for looking only");
	checkpoint_drop_old(store, OLD_S);
	snprintf(ret->name, sizeof(ret->name), PREFIX "%lld.%ld.%u",
		 (long long)(clock_now() / NS_PER_SECOND), (long)getpid(),
		 atomic_fetch_add(&count, 1));
	if (mkdirat(store->directory_fd, ret->name, 0700) < 0)
		return error_system(e, "%s/%s", store->path, ret->name);
	rc = fill(store, ret, e);
	if (rc < 0)
		checkpoint_drop(store, ret->name, NULL);
	return rc;
}
