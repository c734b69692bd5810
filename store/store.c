/* store.c - see store.h. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "changelog.h"
#include "directory.h"
#include "clock.h"
#include "internal.h"
#include "recovery.h"
#include "wal.h"

#define CACHE_DEFAULT (512ull << 20)
#define CHAIN_CHECKED_AT_OPEN 64
#define ENDING_S_MAX 10
#define PROCESS_EXITING 0x4u /* PF_EXITING in proc(5)'s flags */

static int sodium_ready(struct error *e)
{
	return sodium_init() < 0
		       ? error_set(e, -E_INVALID, "libsodium does not start on this machine")
		       : 0;
}

void store_close_parts(struct store *store)
{
	lagging_close(store);
	journals_free(store->journals);
	inode_cache_free(store->inodes);
	dirents_free(store->dirents);
	lru_release(&store->documents);
	content_store_close(store->contents);
	kv_close(store->kv);
	store->inodes = NULL;
	store->dirents = NULL;
	store->journals = NULL;
	store->contents = NULL;
	store->kv = NULL;
}

static void store_free(struct store *store)
{
	if (!store)
		return;
	store_close_parts(store);
	buf_release(&store->report);
	for (int *fd = (int[]){ store->staging_fd, store->lock_fd, store->directory_fd, -2 };
	     *fd != -2; fd++) {
		if (*fd >= 0)
			close(*fd);
	}
	lock_destroy(&store->commit);
	free(store->path);
	sodium_memzero(store->secret, sizeof(store->secret));
	free(store);
}

static int store_new(const char *path, struct store **ret, struct error *e)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return error_set(e, -E_NO_MEMORY, "out of memory for a store");
	store->directory_fd = store->staging_fd = store->lock_fd = -1;
	lock_init(&store->commit, LOCK_COMMIT);
	store->boot = wal_boot();
	store->path = realpath(path, NULL);
	store->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!store->path || store->directory_fd < 0) {
		int rc = error_system(e, "%s", path);

		store_free(store);
		return rc;
	}
	*ret = store;
	return 0;
}

/* Whether a process is on its way out: it was ended, and its last threads have yet to let go of
 * what it had open. */
static bool is_ending(const char *pid)
{
	char path[48], text[1024];
	unsigned flags = 0;
	char state = 0;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *after = strrchr(text, ')'); /* of its name, which may hold anything */
	if (n <= 0)
		return true;
	return after && sscanf(after, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 &&
	       (state == 'Z' || state == 'X' || flags & PROCESS_EXITING);
}

/* The first line of LOCK: the process that has the store. */
static void read_lock(const struct store *store, char holder[static 16])
{
	ssize_t n = pread(store->lock_fd, holder, 15, 0);

	holder[n > 0 ? n : 0] = '\0';
	holder[strspn(holder, "0123456789")] = '\0';
}

int store_open_lock(const char *path, struct error *e)
{
	int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (directory >= 0 && faccessat(directory, STORE_FORMAT_NAME, F_OK, 0) == 0)
		fd = openat(directory, "LOCK",
			    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int rc = fd < 0 ? error_system(e, "%s/LOCK", path) : fd;
	if (directory >= 0)
		close(directory);
	return rc;
}

/* With the file that is open as `lock`, or one of its own when that is 0. */
static int take_lock(struct store *store, int lock, struct error *e)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	int64_t patience = clock_monotonic() + ENDING_S_MAX * NS_PER_SECOND;
	char holder[16] = "";

	store->lock_fd = lock ? lock
			      : openat(store->directory_fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC,
				       0600);
	if (store->lock_fd < 0)
		return error_system(e, "%s/LOCK", store->path);
	while (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		read_lock(store, holder);
		if (!holder[0] || !is_ending(holder) || clock_monotonic() > patience)
			return error_set(e, -E_LOCKED,
					 "%s: process %s has this store open; only one may",
					 store->path, holder[0] ? holder : "(unknown)");
		nanosleep(&pause, NULL);
	}
	int n = snprintf(holder, sizeof(holder), "%ld\n", (long)getpid());
	/* Only to be told to others; on a full disk there may be no room for it. */
	bool told = ftruncate(store->lock_fd, 0) == 0 &&
		    pwrite(store->lock_fd, holder, (size_t)n, 0) == n;
	return told || errno == ENOSPC || errno == EDQUOT ? 0
							  : error_system(e, "%s/LOCK", store->path);
}

/* ------------------------------------------------------------------ FORMAT */

static int write_format(struct store *store, struct error *e)
{
	char secret[65], text[256];
	int fd, n;

	hex_encode(secret, store->secret, sizeof(store->secret));
	n = snprintf(text, sizeof(text), "daybook store\nformat %d\nshare %s\nsecret %s\n",
		     STORE_FORMAT, store->id, secret);
	fd = openat(store->directory_fd, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return error_system(e, "%s/FORMAT", store->path);
	bool ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	ok = ok && renameat(store->directory_fd, "FORMAT.new", store->directory_fd,
			    STORE_FORMAT_NAME) == 0;
	ok = ok && fsync(store->directory_fd) == 0;
	return ok ? 0 : error_system(e, "%s/FORMAT", store->path);
}

static int parse_format(struct store *store, const char *text, struct error *e)
{
	char share[64], secret[128];
	unsigned format;
	int n = sscanf(text, "daybook store\nformat %u\nshare %63s\nsecret %127s\n", &format, share,
		       secret);

	if (n < 1)
		return error_set(e, -E_NOT_STORE,
				 "%s: is not a Daybook store: FORMAT does not say so", store->path);
	if (format && format < STORE_FORMAT)
		return error_set(
			e, -E_NOT_STORE,
			"%s: has format %u, of a Daybook that was never released; this one knows "
			"only %d",
			store->path, format, STORE_FORMAT);
	if (format > STORE_FORMAT)
		return error_set(e, -E_FORMAT_NEWER,
				 "%s: has format %u, this Daybook knows up to %d: upgrade Daybook",
				 store->path, format, STORE_FORMAT);
	uint8_t id[16];
	if (n != 3 || format == 0 || hex_decode(id, sizeof(id), share) < 0 ||
	    hex_decode(store->secret, sizeof(store->secret), secret) < 0)
		return error_set(
			e, -E_CORRUPT,
			"%s/FORMAT: is damaged; put it back from a backup of the store's directory",
			store->path);
	hex_encode(store->id, id, sizeof(id));
	return 0;
}

static int read_format(struct store *store, struct error *e)
{
	char text[512];
	int fd = openat(store->directory_fd, STORE_FORMAT_NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return error_set(e, -E_NOT_STORE,
				 "%s: is not a Daybook store; `daybook init %s` makes one",
				 store->path, store->path);
	if (fd < 0)
		return error_system(e, "%s/FORMAT", store->path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int rc = n < 0 ? error_system(e, "%s/FORMAT", store->path) : 0;
	close(fd);
	if (rc < 0)
		return rc;
	text[n] = '\0';
	return parse_format(store, text, e);
}

/* ---------------------------------------------------------- open and close */

/* Of the budget the database gets half, contents an eighth, and inodes, names and documents an
 * eighth together.  A quarter is left for what no cache counts: the heap's gaps, open tables,
 * compactions, threads, listings of the past. */
int store_open_parts(struct store *store, const char *database, const struct store_options *options,
		     bool create, struct error *e)
{
	size_t cache = options->cache_bytes ? options->cache_bytes : CACHE_DEFAULT;
	struct kv_options kv = { .create = create,
				 .read_only = options->read_only,
				 .cache_bytes = cache / 2 };
	char path[4096];
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", store->path, database) >= sizeof(path))
		return error_set(e, -ENAMETOOLONG, "%s: the path is too long", store->path);
	store->read_only = options->read_only;
	if (store->staging_fd < 0)
		store->staging_fd =
			openat(store->directory_fd, "staging", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->staging_fd < 0)
		return error_system(e, "%s/staging", store->path);
	rc = journals_new(store->staging_fd, &store->journals, e);
	if (rc == 0)
		rc = kv_open(path, &kv, &store->kv, e);
	if (rc == 0)
		rc = content_store_open(store->kv, store->secret, cache / 8, &store->contents, e);
	if (rc == 0)
		journals_set_contents(store->journals, store->contents);
	if (rc == 0)
		rc = inode_cache_new(cache / 64 * 5, &store->inodes, e);
	if (rc == 0)
		rc = dirents_new(cache / 64 * 2, &store->dirents, e);
	if (rc == 0 && lru_init(&store->documents, cache / 64) < 0)
		rc = error_set(e, -E_NO_MEMORY, "out of memory for the cache of documents");
	return rc;
}

/* Inodes that never had a name are not in the log. */
static int load_next_inode(struct store *store, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int rc = kv_get(store->kv, NULL, FAMILY_META, view_str("inodes"), &value, e);

	if (rc <= 0)
		return rc;
	struct reader r = reader_of(buf_view(&value));
	uint64_t next = reader_varint(&r);
	if (!reader_done(&r))
		return error_set(e, -E_CORRUPT, "the number of the next inode is damaged");
	store->next_inode = next > store->next_inode ? next : store->next_inode;
	return 0;
}

/* The head of the log: what the next change continues. */
static int load_log(struct store *store, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct log_record record;
	int rc = changelog_head(store, &store->head_change, &store->head_digest, e);

	if (rc < 0 || !store->head_change)
		return rc;
	rc = changelog_get(store, store->head_change, &record, &memory, e);
	if (rc < 0)
		return rc;
	store->last_time = record.time;
	store->live_files = record.live_files;
	store->live_bytes = record.live_bytes;
	store->versions = record.versions;
	store->version_bytes = record.version_bytes;
	store->next_inode = record.inode_next;
	store->next_document = record.document_next;
	rc = changelog_first_time(store, &store->first_time, e);
	if (rc < 0)
		return rc;
	uint64_t first = store->head_change > CHAIN_CHECKED_AT_OPEN
				 ? store->head_change - CHAIN_CHECKED_AT_OPEN
				 : 1;
	return changelog_check(store, first, store->head_change, e);
}

int store_take_number(uint64_t *next, const char *of, uint64_t *ret, struct error *e)
{
	if (*next > NUMBER_MAX)
		return error_set(e, -E_NUMBERS_END, "all 2^63 numbers of %s have been given", of);
	*ret = (*next)++;
	return 0;
}

int store_begin(const char *path, int lock, struct store **ret, struct error *e)
{
	struct store *store = NULL;
	int rc = sodium_ready(e);

	if (rc == 0)
		rc = store_new(path, &store, e);
	if (rc == 0)
		rc = read_format(store, e);
	if (rc == 0)
		rc = take_lock(store, lock, e);
	if (rc < 0)
		store_free(store);
	else
		*ret = store;
	return rc;
}

int store_open(const char *path, const struct store_options *options, struct store **ret,
	       struct error *e)
{
	static const struct store_options defaults = { 0 };
	struct store *store = NULL;
	int rc = store_begin(path, options ? options->lock : 0, &store, e);

	if (rc < 0)
		return rc;
	rc = store_open_parts(store, DATABASE_NAME, options ? options : &defaults, false, e);
	if (rc == 0)
		rc = load_log(store, e);
	if (rc == 0 && !store->head_change)
		rc = error_set(e, -E_CORRUPT, "%s: the log is empty, so the store is damaged",
			       store->path);
	if (rc == 0)
		rc = load_next_inode(store, e);
	if (rc == 0 && !store->read_only)
		rc = lagging_recover(store, e);
	if (rc == 0 && !store->read_only && !(options && options->take_over))
		rc = recovery_run(store, e);
	if (rc < 0) {
		store_free(store);
		return rc;
	}
	*ret = store;
	return 0;
}

int store_take_over(struct store *store, const struct take_over *by, struct error *e)
{
	return recovery_take_over(store, by, e);
}

void store_close(struct store *store)
{
	store_free(store);
}

const char *store_recovery_report(const struct store *store)
{
	return store->report.len ? (const char *)store->report.data : "";
}

/* -------------------------------------------------------------------- init */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_below(const char *path, const char *name)
{
	char full[4096];

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", path, name) < sizeof(full))
		nftw(full, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int refuse_entry(void *path, const char *name, struct error *e)
{
	(void)name;
	return error_set(e, -E_STORE_EXISTS,
			 "%s: is not empty; a store is made in a new or empty directory",
			 (char *)path);
}

/* 0 when the directory is there and empty (made when absent: *ret_made). */
static int empty_directory(const char *path, bool *ret_made, struct error *e)
{
	*ret_made = mkdir(path, 0700) == 0;
	if (*ret_made)
		return 0;
	if (errno != EEXIST)
		return error_system(e, "%s", path);
	return directory_each(AT_FDCWD, path, path, refuse_entry, (void *)path, e);
}

/* Change 1: the root directory. */
static int make_root(struct store *store, uint32_t mode, uint32_t uid, uint32_t gid,
		     struct error *e)
{
	struct actor actor = { .uid = geteuid(), .gid = getegid(), .tgid = (uint32_t)getpid(),
			       .name = view_str("daybook init"), .command = view_str("daybook") };
	CLEANUP(change_abort) struct change c = { 0 };
	struct inode_record *root;

	store->next_inode = ROOT_INODE;
	store->next_document = 1;
	int rc = change_begin(store, &actor, OP_INIT, NULL, &c, e);
	if (rc == 0)
		rc = change_inode_new(&c, &root, e);
	if (rc < 0)
		return rc;
	root->mode = S_IFDIR | (mode & 07777);
	root->uid = uid;
	root->gid = gid;
	root->nlink = 2;
	root->parent = ROOT_INODE;
	root->atime = root->mtime = root->ctime = root->btime = c.time;
	c.log.ino = root->ino;
	rc = change_commit(&c, e);
	return rc < 0 ? rc : kv_sync(store->kv, e);
}

static int init_in(struct store *store, uint32_t mode, uint32_t uid, uint32_t gid, struct error *e)
{
	struct store_options options = { 0 };
	uint8_t id[16];
	int rc = take_lock(store, 0, e);

	if (rc < 0)
		return rc;
	randombytes_buf(store->secret, sizeof(store->secret));
	randombytes_buf(id, sizeof(id));
	hex_encode(store->id, id, sizeof(id));
	if (mkdirat(store->directory_fd, "staging", 0700) < 0)
		return error_system(e, "%s/staging", store->path);
	rc = store_open_parts(store, DATABASE_NAME, &options, true, e);
	if (rc == 0)
		rc = make_root(store, mode, uid, gid, e);
	return rc < 0 ? rc : write_format(store, e);
}

/* The name of the store's directory is on stable storage too.  Who may not read the directory above
 * cannot ask for that. */
static int sync_parent(struct store *store, struct error *e)
{
	int fd = openat(store->directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? (errno == EACCES ? 0 : error_system(e, "%s/..", store->path)) : 0;

	if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL)
		rc = error_system(e, "%s/..", store->path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int store_init(const char *path, uint32_t root_mode, uint32_t uid, uint32_t gid, struct error *e)
{
	struct store *store = NULL;
	bool made = false;
	int rc = sodium_ready(e);

	if (rc == 0)
		rc = empty_directory(path, &made, e);
	if (rc < 0)
		return rc;
	rc = store_new(path, &store, e);
	if (rc == 0)
		rc = init_in(store, root_mode, uid, gid, e);
	if (rc == 0 && made)
		rc = sync_parent(store, e);
	store_free(store);
	if (rc < 0) {
		static const char *const parts[] = { "db", "staging", "LOCK", "FORMAT.new",
						     STORE_FORMAT_NAME };

		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			remove_below(path, parts[i]);
		if (made)
			rmdir(path);
	}
	return rc;
}

/* ------------------------------------------------------------------- parts */

int store_sync(struct store *store, struct error *e)
{
	return kv_sync(store->kv, e);
}

bool store_has_stopped(struct store *store)
{
	return !store->read_only && kv_has_stopped(store->kv);
}

void store_head(struct store *store, uint64_t *ret_change, int64_t *ret_time)
{
	lock_take(&store->commit);
	*ret_change = store->head_change;
	*ret_time = store->last_time;
	lock_drop(&store->commit);
}

int store_facts(struct store *store, struct store_facts *ret, struct error *e)
{
	uint64_t all = 0;

	(void)e;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->id, store->id, sizeof(ret->id));
	ret->path = store->path;
	lock_take(&store->commit);
	ret->changes = store->head_change;
	ret->documents_next = store->next_document;
	ret->inodes_next = store->next_inode;
	ret->first_time = store->first_time;
	ret->last_time = store->last_time;
	ret->live_files = store->live_files;
	ret->live_bytes = store->live_bytes;
	ret->versions = store->versions;
	ret->version_bytes = store->version_bytes;
	lock_drop(&store->commit);
	for (int family = 0; family < FAMILY_COUNT; family++)
		all += kv_approximate_bytes(store->kv, family);
	ret->content_bytes = kv_approximate_bytes(store->kv, FAMILY_CHUNK);
	ret->index_bytes = all - ret->content_bytes;
	return 0;
}

struct kv *store_kv(struct store *store)
{
	return store->kv;
}

struct content_store *store_contents(struct store *store)
{
	return store->contents;
}

int store_staging_fd(struct store *store)
{
	return store->staging_fd;
}

struct journals *store_journals(struct store *store)
{
	return store->journals;
}

void store_date_origin(struct store *store, struct staging_origin *origin)
{
	int64_t time;

	store_head(store, &origin->change, &time);
	origin->boot = store->boot;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

bool store_is_read_only(const struct store *store)
{
	return store->read_only;
}

uint64_t store_cookie(const struct store *store, struct view name)
{
	uint64_t seed, hash;

	memcpy(&seed, store->secret, sizeof(seed));
	hash = XXH3_64bits_withSeed(name.data, name.len, seed) >> 2;
	return hash < STORE_COOKIE_MIN ? hash + STORE_COOKIE_MIN : hash;
}
