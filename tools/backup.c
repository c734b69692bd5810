/* backup.c - see backup.h. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/clock.h"
#include "store/directory.h"

#define HEAD "daybook backups 1"
#define PIECE ((size_t)1 << 20)
#define HEX_LEN (2 * DIGEST_LEN)

void backup_release(struct backup *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->files[i].path);
	free(b->files);
	b->files = NULL;
	b->count = b->room = 0;
}

static int add_file(struct backup *b, const char *path, struct backup_file file, struct error *e)
{
	if (b->count == b->room) {
		size_t room = b->room * 2 + 16;
		struct backup_file *grown = reallocarray(b->files, room, sizeof(*grown));

		if (!grown)
			return error_set(e, -E_NO_MEMORY, "out of memory");
		b->files = grown;
		b->room = room;
	}
	file.path = strdup(path);
	if (!file.path)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	b->files[b->count++] = file;
	b->bytes += file.size;
	return 0;
}

/* ------------------------------------------------------ small files, whole */

static int read_text(int directory, const char *name, struct buf *out, struct error *e)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char piece[65536];
	ssize_t n;

	if (fd < 0)
		return error_system(e, "%s", name);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_append(out, piece, (size_t)n);
	int rc = n < 0 ? error_system(e, "%s", name) : buf_check(out, e);
	close(fd);
	return rc;
}

/* Writes a file so that it is there whole, on stable storage, or not at all. */
static int write_text(int directory, const char *name, struct view text, struct error *e)
{
	char temporary[64];
	size_t done = 0;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_system(e, "%s", temporary);
	while (done < text.len) {
		ssize_t n = write(fd, (const char *)text.data + done, text.len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	int rc = done < text.len || fsync(fd) < 0 ? error_system(e, "%s", temporary) : 0;
	close(fd);
	if (rc == 0 && renameat(directory, temporary, directory, name) < 0)
		rc = error_system(e, "%s", name);
	if (rc < 0)
		unlinkat(directory, temporary, 0);
	return rc < 0 || fsync(directory) == 0 ? rc : error_system(e, "%s", name);
}

/* ----------------------------------------------------------- the directory */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The number of a list's name; 0: it is none. */
static uint64_t number_of(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits && digits < 19 && strcmp(name + digits, ".list") == 0
		       ? strtoull(name, NULL, 10)
		       : 0;
}

static int add_number(void *arg, const char *name, struct error *e)
{
	struct backups *backups = arg;
	uint64_t number = number_of(name), *grown;

	if (!number)
		return 0;
	grown = reallocarray(backups->numbers, backups->count + 1, sizeof(*grown));
	if (!grown)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	backups->numbers = grown;
	backups->numbers[backups->count++] = number;
	return 0;
}

static int find_numbers(struct backups *backups, struct error *e)
{
	int rc = directory_each(backups->fd, ".", backups->path, add_number, backups, e);

	if (backups->count)
		qsort(backups->numbers, backups->count, sizeof(*backups->numbers), by_number);
	return rc;
}

/* A directory that is to hold backups may have what a file system of its own begins with, and what
 * one who was interrupted while making it left. */
static int refuse_entry(void *arg, const char *name, struct error *e)
{
	static const char *const names[] = { "lost+found", "files", "backup.new" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return 0;
	}
	return error_set(e, -E_NOT_STORE,
			 "%s: holds other things; backups want a directory of their own",
			 ((struct backups *)arg)->path);
}

static int make_directory(struct backups *backups, const char *share, struct error *e)
{
	CLEANUP(buf_release) struct buf text = { 0 };
	int rc = directory_each(backups->fd, ".", backups->path, refuse_entry, backups, e);

	if (rc < 0)
		return rc;
	if (mkdirat(backups->fd, "files", 0700) < 0 && errno != EEXIST)
		return error_system(e, "%s/files", backups->path);
	buf_printf(&text, HEAD "\nshare %s\n", share);
	rc = buf_check(&text, e);
	return rc < 0 ? rc : write_text(backups->fd, "backup", buf_view(&text), e);
}

static int read_head(struct backups *backups, struct error *e)
{
	CLEANUP(buf_release) struct buf text = { 0 };
	int rc = read_text(backups->fd, "backup", &text, e);

	if (rc < 0)
		return rc;
	if (sscanf(buf_cstr(&text), HEAD "\nshare %32[0-9a-f]\n", backups->share) != 1)
		return error_set(e, -E_FORMAT_NEWER,
				 "%s/backup: not a directory of backups that this Daybook knows",
				 backups->path);
	return 0;
}

static int take_lock(struct backups *backups, struct error *e)
{
	backups->lock_fd = openat(backups->fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (backups->lock_fd < 0)
		return error_system(e, "%s/LOCK", backups->path);
	if (flock(backups->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(e, -E_LOCKED, "%s: another backup into it is under way",
				 backups->path);
	return 0;
}

int backups_open(const char *path, const char *share_to_make, bool lock, struct backups *ret,
		 struct error *e)
{
	int rc = 0;

	*ret = (struct backups){ .path = path, .fd = -1, .files_fd = -1, .lock_fd = -1 };
	if (share_to_make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_system(e, "%s", path);
	ret->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->fd < 0)
		return error_system(e, "%s", path);
	if (faccessat(ret->fd, "backup", F_OK, 0) < 0)
		rc = share_to_make ? make_directory(ret, share_to_make, e)
				   : error_set(e, -E_NOT_STORE, "%s: no backups are here", path);
	if (rc == 0)
		rc = read_head(ret, e);
	if (rc == 0 && share_to_make && strcmp(share_to_make, ret->share) != 0)
		rc = error_set(e, -E_INVALID, "%s: holds the backups of another share (%s)", path,
			       ret->share);
	if (rc == 0 && lock)
		rc = take_lock(ret, e);
	if (rc == 0 &&
	    (ret->files_fd = openat(ret->fd, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = error_system(e, "%s/files", path);
	if (rc == 0)
		rc = find_numbers(ret, e);
	if (rc < 0)
		backups_close(ret);
	return rc;
}

void backups_close(struct backups *backups)
{
	for (int *fd = (int[]){ backups->fd, backups->files_fd, backups->lock_fd, -2 }; *fd != -2;
	     fd++) {
		if (*fd >= 0)
			close(*fd);
	}
	free(backups->numbers);
	*backups = (struct backups){ .fd = -1, .files_fd = -1, .lock_fd = -1 };
}

/* ------------------------------------------------------------------- lists */

static void list_name(char out[32], uint64_t number)
{
	snprintf(out, 32, "%08" PRIu64 ".list", number);
}

static int write_list(struct backups *backups, const struct backup *b, struct error *e)
{
	CLEANUP(buf_release) struct buf text = { 0 };
	char name[32], hex[HEX_LEN + 1];

	buf_printf(&text,
		   HEAD "\nshare %s\nchange %" PRIu64 "\ntime %" PRId64 "\ntaken %" PRId64 "\n",
		   b->share, b->change, b->time, b->taken);
	for (size_t i = 0; i < b->count; i++) {
		const struct backup_file *file = &b->files[i];

		hex_encode(hex, file->digest.bytes, DIGEST_LEN);
		buf_printf(&text, "%s %" PRIu64 " %" PRId64 " %s\n", hex, file->size, file->mtime,
			   file->path);
	}
	struct digest all = digest_of(buf_view(&text));
	hex_encode(hex, all.bytes, DIGEST_LEN);
	buf_printf(&text, "end %s\n", hex);
	int rc = buf_check(&text, e);
	list_name(name, b->number);
	return rc < 0 ? rc : write_text(backups->fd, name, buf_view(&text), e);
}

/* A path that a backup may write to: two names at most, of our own making. */
static bool is_safe(const char *path)
{
	return path[0] && path[0] != '/' && !strstr(path, "..") && strlen(path) < 256;
}

static int read_line(struct backup *b, const char *line, struct error *e)
{
	struct backup_file file;
	char hex[HEX_LEN + 1], path[257];

	if (sscanf(line, "%64[0-9a-f] %" SCNu64 " %" SCNd64 " %256[^\n]", hex, &file.size,
		   &file.mtime, path) != 4 ||
	    hex_decode(file.digest.bytes, DIGEST_LEN, hex) < 0 || !is_safe(path))
		return error_set(e, -E_CORRUPT, "a line of the list is damaged");
	return add_file(b, path, file, e);
}

/* It is text, and its last line has the digest of all before it. */
static int check_list(const char *text, size_t n, struct error *e)
{
	char hex[HEX_LEN + 1];
	size_t tail = HEX_LEN + strlen("end ") + 1;

	if (n < tail || memcmp(text + n - tail, "end ", 4) != 0 || text[n - 1] != '\n')
		return error_set(e, -E_CORRUPT, "the list is cut short");
	if (memchr(text, '\0', n))
		return error_set(e, -E_CORRUPT, "the list is damaged");
	struct digest all = digest_of(view_of(text, n - tail));
	hex_encode(hex, all.bytes, DIGEST_LEN);
	return memcmp(text + n - tail + 4, hex, HEX_LEN) == 0
		       ? 0
		       : error_set(e, -E_CORRUPT, "the list is damaged");
}

int backups_read(const struct backups *backups, uint64_t number, struct backup *ret,
		 struct error *e)
{
	CLEANUP(buf_release) struct buf text = { 0 };
	char name[32];
	int skip = 0;

	*ret = (struct backup){ .number = number };
	list_name(name, number);
	int rc = read_text(backups->fd, name, &text, e);
	if (rc == -ENOENT)
		return error_set(e, -E_NO_ENTRY, "%s: there is no backup %" PRIu64, backups->path,
				 number);
	if (rc == 0)
		rc = check_list(buf_cstr(&text), text.len, e);
	if (rc == 0 && (sscanf(buf_cstr(&text),
			       HEAD "\nshare %32[0-9a-f]\nchange %" SCNu64 "\ntime %" SCNd64
				    "\ntaken %" SCNd64 "\n%n",
			       ret->share, &ret->change, &ret->time, &ret->taken, &skip) != 4 ||
			!skip))
		rc = error_set(e, -E_CORRUPT, "the head of the list is damaged");
	for (const char *line = buf_cstr(&text) + skip; rc == 0 && strncmp(line, "end ", 4) != 0;
	     line = strchr(line, '\n') + 1)
		rc = read_line(ret, line, e);
	if (rc < 0) {
		backup_release(ret);
		return error_prefix(e, rc, "%s/%s", backups->path, name);
	}
	return 0;
}

/* ----------------------------------------------------------------- copying */

struct copying {
	backup_progress progress;
	void *arg;
	uint64_t done, total;
};

static void advance(struct copying *c, uint64_t n)
{
	c->done += n;
	if (c->progress)
		c->progress(c->arg, c->done, c->total);
}

/* Reads all of a file: its digest and size; writes it to `to` when that is not -1. */
static int read_through(int from, int to, struct digest *ret, uint64_t *ret_size, struct copying *c,
			struct error *e)
{
	char *piece = malloc(PIECE);
	struct digester digester;
	uint64_t size = 0;
	ssize_t n = 0;
	int rc = piece ? 0 : error_set(e, -E_NO_MEMORY, "out of memory");

	digest_start(&digester);
	while (rc == 0 && (n = read(from, piece, PIECE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = error_system(e, "reading");
			break;
		}
		digest_add(&digester, piece, (size_t)n);
		size += (uint64_t)n;
		for (ssize_t done = 0, put;
		     to >= 0 && rc == 0 && done < n; done += put > 0 ? put : 0) {
			put = write(to, piece + done, (size_t)(n - done));
			if (put < 0 && errno != EINTR)
				rc = error_system(e, "writing");
		}
		if (c)
			advance(c, (uint64_t)n);
	}
	*ret = digest_end(&digester);
	*ret_size = size;
	free(piece);
	return rc;
}

/* What is on the disk, not in memory, is what was read. */
static int check_written(int directory, const char *name, const struct digest *digest,
			 struct error *e)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	struct digest found;
	uint64_t size;

	if (fd < 0)
		return error_system(e, "%s", name);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	int rc = read_through(fd, -1, &found, &size, NULL, e);
	close(fd);
	if (rc == 0 && !digest_equal(&found, digest))
		rc = error_set(e, -E_CORRUPT,
			       "what was written is not what is read back: the disk is bad");
	return rc;
}

/* Takes one file into files/, under its digest. */
static int take_file(struct backups *backups, int from, struct backup_file *file, struct backup *b,
		     struct copying *c, struct error *e)
{
	char name[HEX_LEN + 1];
	int to = openat(backups->files_fd, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = to < 0 ? error_system(e, "%s/files/new", backups->path)
			: read_through(from, to, &file->digest, &file->size, c, e);

	hex_encode(name, file->digest.bytes, DIGEST_LEN);
	if (rc == 0 && faccessat(backups->files_fd, name, F_OK, 0) == 0) {
		close(to);
		return 0;
	}
	if (rc == 0 && fsync(to) < 0)
		rc = error_system(e, "%s/files", backups->path);
	if (to >= 0)
		close(to);
	if (rc == 0)
		rc = check_written(backups->files_fd, "new", &file->digest, e);
	if (rc == 0 && renameat(backups->files_fd, "new", backups->files_fd, name) < 0)
		rc = error_system(e, "%s/files/%s", backups->path, name);
	b->new_bytes += rc == 0 ? file->size : 0;
	return rc;
}

static const struct backup_file *find_file(const struct backup *b, const char *path)
{
	for (size_t i = 0; i < b->count; i++) {
		if (strcmp(b->files[i].path, path) == 0)
			return &b->files[i];
	}
	return NULL;
}

/* A table never changes once it is written: one that the backup before had is not read again. */
static bool was_taken(const struct backups *backups, const struct backup *before, const char *path,
		      const struct stat *st, struct backup_file *ret)
{
	const struct backup_file *known = find_file(before, path);
	size_t n = strlen(path);
	char name[HEX_LEN + 1];

	if (!known || n < 4 || strcmp(path + n - 4, ".sst") != 0 ||
	    known->size != (uint64_t)st->st_size ||
	    known->mtime != st->st_mtim.tv_sec * NS_PER_SECOND + st->st_mtim.tv_nsec)
		return false;
	hex_encode(name, known->digest.bytes, DIGEST_LEN);
	*ret = *known;
	return faccessat(backups->files_fd, name, F_OK, 0) == 0;
}

static int add_path(struct backups *backups, const struct backup *before, int from,
		    const char *path, struct backup *b, struct copying *c, struct error *e)
{
	struct backup_file file = { 0 };
	struct stat st;
	int fd = openat(from, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 || fstat(fd, &st) < 0 ? error_system(e, "%s", path) : 0;

	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = error_set(e, -E_CORRUPT, "%s: not a regular file", path);
	if (rc == 0 && was_taken(backups, before, path, &st, &file))
		advance(c, file.size);
	else if (rc == 0)
		rc = take_file(backups, fd, &file, b, c, e);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return error_prefix(e, rc, "%s", path);
	file.mtime = st.st_mtim.tv_sec * NS_PER_SECOND + st.st_mtim.tv_nsec;
	return add_file(b, path, file, e);
}

typedef int (*path_visitor)(void *arg, const char *path, const struct stat *st, struct error *e);

struct listing {
	int from;
	const char *directory;
	path_visitor each;
	void *arg;
};

static int visit_path(void *arg, const char *name, struct error *e)
{
	const struct listing *l = arg;
	struct stat st;
	char path[512];

	snprintf(path, sizeof(path), "%s%s%s", l->directory, l->directory[0] ? "/" : "", name);
	if (fstatat(l->from, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_system(e, "%s", path);
	return S_ISREG(st.st_mode) ? l->each(l->arg, path, &st, e) : 0;
}

/* Calls each() for every file in a directory of the store ("" is the store itself), not below. */
static int each_path(int from, const char *directory, path_visitor each, void *arg, struct error *e)
{
	struct listing listing = { from, directory, each, arg };

	return directory_each(from, directory[0] ? directory : ".", directory, visit_path, &listing,
			      e);
}

static int each_file(int from, path_visitor each, void *arg, struct error *e)
{
	int rc = each_path(from, "", each, arg, e);

	if (rc == 0)
		rc = each_path(from, "db", each, arg, e);
	return rc < 0 ? rc : each_path(from, "staging", each, arg, e);
}

struct adding {
	struct backups *backups;
	struct backup before, *b;
	int from;
	struct copying copying;
};

static int count_bytes(void *arg, const char *path, const struct stat *st, struct error *e)
{
	struct adding *a = arg;

	(void)path;
	(void)e;
	a->copying.total += (uint64_t)st->st_size;
	return 0;
}

static int add_one(void *arg, const char *path, const struct stat *st, struct error *e)
{
	struct adding *a = arg;

	(void)st;
	return add_path(a->backups, &a->before, a->from, path, a->b, &a->copying, e);
}

int backups_add(struct backups *backups, const char *from, struct backup *b,
		backup_progress progress, void *arg, struct error *e)
{
	struct adding a = { .backups = backups,
			    .b = b,
			    .copying = { .progress = progress, .arg = arg } };
	int rc = 0;

	a.from = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a.from < 0)
		return error_system(e, "%s", from);
	if (backups->count)
		rc = backups_read(backups, backups->numbers[backups->count - 1], &a.before, NULL);
	/* A damaged list before this one only costs reading. */
	rc = each_file(a.from, count_bytes, &a, e);
	if (rc == 0)
		rc = each_file(a.from, add_one, &a, e);
	close(a.from);
	backup_release(&a.before);
	unlinkat(backups->files_fd, "new", 0);
	if (rc == 0 && fsync(backups->files_fd) < 0)
		rc = error_system(e, "%s/files", backups->path);
	b->number = backups->count ? backups->numbers[backups->count - 1] + 1 : 1;
	b->taken = clock_now();
	return rc < 0 ? rc : write_list(backups, b, e);
}

static int make_out(const char *to, struct error *e)
{
	CLEANUP(buf_release) struct buf path = { 0 };

	if (mkdir(to, 0700) < 0)
		return errno == EEXIST ? error_set(e, -E_STORE_EXISTS,
						   "%s: is there already; name a new directory", to)
				       : error_system(e, "%s", to);
	buf_printf(&path, "%s/db", to);
	if (mkdir(buf_cstr(&path), 0700) < 0)
		return error_system(e, "%s", buf_cstr(&path));
	buf_clear(&path);
	buf_printf(&path, "%s/staging", to);
	return mkdir(buf_cstr(&path), 0700) < 0 ? error_system(e, "%s", buf_cstr(&path)) : 0;
}

static int copy_out(const struct backups *backups, const struct backup_file *file, int to_directory,
		    struct copying *c, struct error *e)
{
	char name[HEX_LEN + 1];
	struct digest found;
	uint64_t size;
	int to = -1;

	hex_encode(name, file->digest.bytes, DIGEST_LEN);
	int from = openat(backups->files_fd, name, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return error_set(e, -E_CORRUPT, "%s/files/%s, which has %s, is missing",
				 backups->path, name, file->path);
	int rc = 0;
	if (to_directory >= 0 && (to = openat(to_directory, file->path,
					      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		rc = error_system(e, "%s", file->path);
	if (rc == 0)
		rc = read_through(from, to, &found, &size, c, e);
	if (rc == 0 && !digest_equal(&found, &file->digest))
		rc = error_set(e, -E_CORRUPT, "%s/files/%s, which has %s, is damaged",
			       backups->path, name, file->path);
	if (rc == 0 && to >= 0 && fsync(to) < 0)
		rc = error_system(e, "%s", file->path);
	close(from);
	if (to >= 0)
		close(to);
	return rc;
}

int backups_copy_out(const struct backups *backups, const struct backup *b, const char *to,
		     backup_progress progress, void *arg, struct error *e)
{
	struct copying c = { .progress = progress, .arg = arg, .total = b->bytes };
	int fd = -1, rc = to ? make_out(to, e) : 0;

	if (rc == 0 && to && (fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = error_system(e, "%s", to);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = copy_out(backups, &b->files[i], fd, &c, e);
	if (rc == 0 && fd >= 0 && syncfs(fd) < 0)
		rc = error_system(e, "%s", to);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ----------------------------------------------------------------- pruning */

static bool is_listed(const struct backup *kept, size_t count, const char *name)
{
	struct digest digest;

	if (hex_decode(digest.bytes, DIGEST_LEN, name) < 0)
		return true; /* none of ours */
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < kept[i].count; j++) {
			if (digest_equal(&kept[i].files[j].digest, &digest))
				return true;
		}
	}
	return false;
}

struct pruning {
	const struct backups *backups;
	const struct backup *kept;
	size_t count;
};

static int remove_unlisted(void *arg, const char *name, struct error *e)
{
	const struct pruning *p = arg;

	(void)e;
	if (strlen(name) == HEX_LEN && !is_listed(p->kept, p->count, name))
		unlinkat(p->backups->files_fd, name, 0);
	return 0;
}

int backups_prune(struct backups *backups, uint64_t keep, struct error *e)
{
	size_t first = backups->count > keep ? backups->count - keep : 0,
	       count = backups->count - first;
	struct backup *kept = calloc(count ? count : 1, sizeof(*kept));
	int rc = kept ? 0 : error_set(e, -E_NO_MEMORY, "out of memory");
	char name[32];

	/* A list that cannot be read could name any file: then nothing is removed. */
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = backups_read(backups, backups->numbers[first + i], &kept[i], e);
	for (size_t i = 0; rc == 0 && i < first; i++) {
		list_name(name, backups->numbers[i]);
		unlinkat(backups->fd, name, 0);
	}
	if (rc == 0 && fsync(backups->fd) < 0)
		rc = error_system(e, "%s", backups->path);
	struct pruning pruning = { backups, kept, count };
	if (rc == 0)
		rc = directory_each(backups->files_fd, ".", backups->path, remove_unlisted,
				    &pruning, e);
	for (size_t i = 0; kept && i < count; i++)
		backup_release(&kept[i]);
	free(kept);
	return rc;
}
