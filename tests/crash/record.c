/* record.c - preloaded into a program: writes down every change of the directory CRASH_ROOT
 * (trace.h), and makes the n-th call that touches it fail; with WHERE=1 in the environment it says
 * on stderr which one that was.
 *
 * A change and its record are one step under a lock, so that the order of records is the order
 * of effects; a sync has two records, because it covers only what was there when it began.  What
 * cannot be recorded (writable mappings, copying within the kernel) ends the program with a
 * sentence.  RocksDB's own LOG is left out: its bytes go through stdio and are nothing but
 * words. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fault.h"
#include "trace.h"

#define FDS_MAX 4096
#define PAGE 4096
#define ALIAS(name) __attribute__((alias(#name)))
#define REAL(name, ...) \
	({ \
		static __typeof__(name) *real_; \
		if (!real_) \
			real_ = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
		real_(__VA_ARGS__); \
	})

struct handle {
	uint64_t id;    /* 0: not of the directory */
	char *path;     /* relative to it, "" for itself */
	bool directory;
};

static struct handle handles[FDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len;
static int trace = -1;
static uint64_t next_handle, next_sync;

static void __attribute__((noreturn)) give_up(const char *what)
{
	fprintf(stderr, "crash recorder: %s cannot be recorded\n", what);
	abort();
}

/* ---- records ---- */

static void record(struct trace_head head, const char *path, const char *path2, const void *data,
		   size_t n)
{
	head.magic = TRACE_MAGIC;
	head.path_len = (uint16_t)(path ? strlen(path) : 0);
	head.path2_len = (uint16_t)(path2 ? strlen(path2) : 0);
	head.data_len = (uint32_t)n;
	head.size = (uint32_t)(sizeof(head) + head.path_len + head.path2_len + n);
	struct iovec v[4] = { { &head, sizeof(head) }, { (void *)path, head.path_len },
			      { (void *)path2, head.path2_len }, { (void *)data, n } };
	if (trace >= 0 && REAL(writev, trace, v, 4) != (ssize_t)head.size)
		give_up("the trace's disk being full:");
}

#define RECORD(path, path2, data, n, ...)                                                          \
	record((struct trace_head){ __VA_ARGS__ }, path, path2, data, n)

static int record_found(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + root_len + 1;

	(void)at;
	if (strlen(path) <= root_len || strncmp(strrchr(path, '/') + 1, "LOG", 3) == 0)
		return 0;
	if (type == FTW_D) {
		RECORD(name, NULL, NULL, 0, .op = TRACE_FOUND_DIR);
	} else if (type == FTW_F) {
		char *bytes = malloc((size_t)st->st_size + 1);
		int fd = REAL(open, path, O_RDONLY | O_CLOEXEC);

		if (!bytes || fd < 0 || pread(fd, bytes, (size_t)st->st_size, 0) != st->st_size)
			give_up(path);
		RECORD(name, NULL, bytes, (size_t)st->st_size, .op = TRACE_FOUND);
		free(bytes);
		REAL(close, fd);
	}
	return 0;
}

/* ---- paths ---- */

static bool is_left_out(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return strcmp(name, "LOG") == 0 || strncmp(name, "LOG.old", 7) == 0;
}

/* Whether path is in the directory; then out is how it is called there. */
static bool is_ours(int directory, const char *path, char out[PATH_MAX])
{
	char whole[2 * PATH_MAX];
	size_t n = 0;

	if (!root_len || !path)
		return false;
	if (path[0] == '/')
		snprintf(whole, sizeof(whole), "%s", path);
	else if (directory >= 0 && directory < FDS_MAX && handles[directory].id)
		snprintf(whole, sizeof(whole), "%s/%s/%s", root, handles[directory].path, path);
	else
		return false;
	for (const char *at = whole; *at && n < PATH_MAX - 1;) { /* no double slashes, no "." */
		if (at[0] == '/' && (at[1] == '/' || (at[1] == '.' && (at[2] == '/' || !at[2]))))
			at += at[1] == '/' ? 1 : 2;
		else
			out[n++] = *at++;
	}
	while (n > 1 && out[n - 1] == '/')
		n--;
	out[n] = '\0';
	if (strncmp(out, root, root_len) != 0 || (out[root_len] && out[root_len] != '/'))
		return false;
	memmove(out, out + root_len + (out[root_len] == '/'),
		strlen(out + root_len) + (out[root_len] != '/'));
	return !is_left_out(out);
}

static struct handle *of_fd(int fd)
{
	return fd >= 0 && fd < FDS_MAX && handles[fd].id ? &handles[fd] : NULL;
}

/* ---- faults ---- */

static struct fault fault;
static bool came;

void fault_set(const struct fault *wanted)
{
	pthread_mutex_lock(&lock);
	fault = *wanted;
	came = came && !wanted->nth;
	pthread_mutex_unlock(&lock);
}

bool fault_came(void)
{
	return came;
}

static const char *call_name(enum fault_call call)
{
	static const char *const names[] = {
		"open", "write", "sync", "name", "read", "map", "stat"
	};

	return names[__builtin_ctz(call)];
}

/* Whether this call is the one to fail; the lock is held. */
static bool is_faulty(enum fault_call call, const char *path)
{
	if (!fault.nth || !(fault.calls & call) || (fault.path && !strstr(path, fault.path)) ||
	    --fault.nth)
		return false;
	fault.nth = fault.lasting ? 1 : 0;
	came = true;
	if (getenv("WHERE")) {
		void *frames[32];

		dprintf(2, "%s %s fails:\n", call_name(call), path);
		backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
	}
	errno = fault.code;
	return true;
}

static bool is_faulty_alone(enum fault_call call, const char *path)
{
	pthread_mutex_lock(&lock);
	bool faulty = is_faulty(call, path);
	int code = errno;
	pthread_mutex_unlock(&lock);
	if (faulty)
		errno = code;
	return faulty;
}

#define LOCKED(call_kind, path, call) \
	({ \
		pthread_mutex_lock(&lock); \
		__typeof__(call) done_ = is_faulty(call_kind, path) ? -1 : (call); \
		done_; \
	})
#define UNLOCK() \
	do { \
		int errno_ = errno; \
		pthread_mutex_unlock(&lock); \
		errno = errno_; \
	} while (0)

/* ---- opening and closing ---- */

static int note_open(int fd, const char *path, int flags)
{
	struct stat st;

	if (fd < 0)
		return fd;
	if (fd >= FDS_MAX)
		give_up("a descriptor that high");
	handles[fd] = (struct handle){ ++next_handle, strdup(path),
				       REAL(fstat, fd, &st) == 0 && S_ISDIR(st.st_mode) };
	RECORD(path, NULL, NULL, 0, .op = TRACE_OPEN, .flags = (uint32_t)flags,
	       .handle = next_handle);
	return fd;
}

int openat(int directory, const char *path, int flags, ...)
{
	char ours[PATH_MAX];
	va_list args;

	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!is_ours(directory, path, ours))
		return REAL(openat, directory, path, flags, mode);
	if ((flags & O_TMPFILE) == O_TMPFILE)
		give_up("O_TMPFILE");
	int fd = LOCKED(FAULT_OPEN, ours, REAL(openat, directory, path, flags, mode));
	fd = note_open(fd, ours, flags);
	UNLOCK();
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return openat(AT_FDCWD, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __openat_2(int directory, const char *path, int flags);
int __openat_2(int directory, const char *path, int flags)
{
	return openat(directory, path, flags);
}

/* What the program was started with. */
static void adopt_descriptors(void)
{
	char link[64], path[PATH_MAX], ours[PATH_MAX];

	for (int fd = 0; fd < FDS_MAX; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, path, sizeof(path) - 1);
		path[n < 0 ? 0 : n] = '\0';
		if (n > 0 && is_ours(-1, path, ours))
			note_open(fd, ours, 0);
	}
}

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv("CRASH_ROOT");
	struct stat st;

	if (!path || !realpath(path, root))
		return;
	root_len = strlen(root);
	next_handle = (uint64_t)getpid() << 32;
	next_sync = next_handle;
	trace = trace_open();
	if (trace >= 0 && REAL(fstat, trace, &st) == 0 && st.st_size == 0)
		nftw(root, record_found, 16, FTW_PHYS);
	adopt_descriptors();
}

static void forget(int fd)
{
	free(handles[fd].path);
	handles[fd] = (struct handle){ 0 };
}

int close(int fd)
{
	if (!of_fd(fd))
		return REAL(close, fd);
	pthread_mutex_lock(&lock);
	forget(fd);
	int r = REAL(close, fd);
	UNLOCK();
	return r;
}

int closedir(DIR *directory)
{
	int fd = dirfd(directory);

	pthread_mutex_lock(&lock);
	if (of_fd(fd))
		forget(fd);
	int r = REAL(closedir, directory);
	UNLOCK();
	return r;
}

static int note_copy(int fd, int copy)
{
	if (copy >= 0 && of_fd(fd)) {
		if (copy >= FDS_MAX)
			give_up("a descriptor that high");
		handles[copy] = (struct handle){ handles[fd].id, strdup(handles[fd].path),
						 handles[fd].directory };
	}
	return copy;
}

int dup(int fd)
{
	return note_copy(fd, REAL(dup, fd));
}

int fcntl(int fd, int command, ...)
{
	va_list args;

	va_start(args, command);
	void *more = va_arg(args, void *);
	va_end(args);
	int r = REAL(fcntl, fd, command, more);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note_copy(fd, r) : r;
}

/* ---- writing ---- */

/* One write of n bytes or, when it is to be a short one, of half of them. */
static ssize_t write_at(int fd, const void *data, size_t n, off_t at)
{
	struct handle *handle = of_fd(fd);

	pthread_mutex_lock(&lock);
	bool wanted = is_faulty(FAULT_WRITE, handle->path),
	     short_one = wanted && fault.code == 0 && n > 1;
	ssize_t done =
		wanted && !short_one ? -1 : REAL(pwrite, fd, data, short_one ? n / 2 : n, at);
	if (done > 0)
		RECORD(NULL, NULL, data, (size_t)done, .op = TRACE_WRITE, .handle = handle->id,
		       .offset = (uint64_t)at);
	UNLOCK();
	return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return of_fd(fd) ? write_at(fd, data, n, at) : REAL(pwrite, fd, data, n, at);
}

ssize_t write(int fd, const void *data, size_t n)
{
	if (!of_fd(fd))
		return REAL(write, fd, data, n);
	int flags = fcntl(fd, F_GETFL);
	off_t at = flags & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
	ssize_t done = write_at(fd, data, n, at);
	if (done > 0 && lseek(fd, at + done, SEEK_SET) < 0)
		give_up("a write to what cannot be sought:");
	return done;
}

/* As the kernel writes it, which heeds a kill between two pages alone: the first page's part at
 * once, and the rest. */
static ssize_t write_vector(int fd, const struct iovec *v, int n, off_t at)
{
	size_t whole = 0, copied = 0, first = PAGE - (size_t)at % PAGE;

	for (int i = 0; i < n; i++)
		whole += v[i].iov_len;
	char *bytes = malloc(whole + 1);
	if (!bytes)
		give_up("a write of that size");
	for (int i = 0; i < n; copied += v[i++].iov_len)
		memcpy(bytes + copied, v[i].iov_base, v[i].iov_len);
	first = first < whole ? first : whole;
	ssize_t done = first ? write_at(fd, bytes, first, at) : 0;
	if (done == (ssize_t)first && first < whole) {
		ssize_t more = write_at(fd, bytes + first, whole - first, at + done);

		done += more > 0 ? more : 0;
	}
	free(bytes);
	return done;
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return of_fd(fd) ? write_vector(fd, v, n, at) : REAL(pwritev, fd, v, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (!of_fd(fd))
		return REAL(writev, fd, v, n);
	off_t at = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
	ssize_t done = write_vector(fd, v, n, at);
	if (done > 0 && lseek(fd, at + done, SEEK_SET) < 0)
		give_up("a write to what cannot be sought:");
	return done;
}

ssize_t pread(int fd, void *out, size_t n, off_t at)
{
	struct handle *handle = of_fd(fd);

	if (!handle)
		return REAL(pread, fd, out, n, at);
	ssize_t r = LOCKED(FAULT_READ, handle->path, 0);
	UNLOCK();
	return r < 0 ? r : REAL(pread, fd, out, n, at);
}

ssize_t read(int fd, void *out, size_t n)
{
	struct handle *handle = of_fd(fd);

	if (!handle)
		return REAL(read, fd, out, n);
	ssize_t r = LOCKED(FAULT_READ, handle->path, 0);
	UNLOCK();
	return r < 0 ? r : REAL(read, fd, out, n);
}

int ftruncate(int fd, off_t size)
{
	struct handle *handle = of_fd(fd);

	if (!handle)
		return REAL(ftruncate, fd, size);
	int r = LOCKED(FAULT_WRITE, handle->path, REAL(ftruncate, fd, size));
	if (r == 0)
		RECORD(NULL, NULL, NULL, 0, .op = TRACE_SIZE, .handle = handle->id,
		       .offset = (uint64_t)size);
	UNLOCK();
	return r;
}

int truncate(const char *path, off_t size)
{
	char ours[PATH_MAX];

	if (is_ours(AT_FDCWD, path, ours))
		give_up("truncate");
	return REAL(truncate, path, size);
}

/* A hole that is punched is zeros that were written. */
static void record_zeros(uint64_t id, off_t at, off_t n)
{
	static const char zeros[64 << 10];

	while (n > 0) {
		size_t part = n < (off_t)sizeof(zeros) ? (size_t)n : sizeof(zeros);

		RECORD(NULL, NULL, zeros, part, .op = TRACE_WRITE, .handle = id,
		       .offset = (uint64_t)at);
		at += (off_t)part;
		n -= (off_t)part;
	}
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	struct handle *handle = of_fd(fd);
	struct stat st;

	if (!handle)
		return REAL(fallocate, fd, mode, at, n);
	/* Behind its end a file has no bytes: RocksDB gives back there what it had reserved. */
	bool punches = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) &&
		       REAL(fstat, fd, &st) == 0 && at < st.st_size;
	if (mode & ~FALLOC_FL_KEEP_SIZE && !punches &&
	    (REAL(fstat, fd, &st) < 0 || !(mode & FALLOC_FL_KEEP_SIZE) || at < st.st_size))
		give_up("fallocate that changes bytes");
	if (punches)
		n = n < st.st_size - at ? n : st.st_size - at;
	int r = LOCKED(FAULT_WRITE, handle->path, REAL(fallocate, fd, mode, at, n));
	if (r == 0 && mode == 0)
		RECORD(NULL, NULL, NULL, 0, .op = TRACE_GROW, .handle = handle->id,
		       .offset = (uint64_t)(at + n));
	if (r == 0 && punches)
		record_zeros(handle->id, at, n);
	UNLOCK();
	return r;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return of_fd(fd) ? (fallocate(fd, 0, at, n) < 0 ? errno : 0)
			 : REAL(posix_fallocate, fd, at, n);
}

/* ---- syncing ---- */

static int sync_with(int fd, int (*call)(int fd))
{
	struct handle *handle = of_fd(fd);
	uint64_t id = handle->id, number;

	pthread_mutex_lock(&lock);
	bool faulty = is_faulty(FAULT_SYNC, handle->path);
	number = ++next_sync;
	if (!faulty)
		RECORD(NULL, NULL, NULL, 0, .op = TRACE_SYNC, .handle = id, .offset = number);
	UNLOCK();
	if (faulty)
		return -1;
	int r = call(fd);
	pthread_mutex_lock(&lock);
	if (r == 0)
		RECORD(NULL, NULL, NULL, 0, .op = TRACE_SYNCED, .handle = id, .offset = number);
	UNLOCK();
	return r;
}

static int real_fsync(int fd)
{
	return REAL(fsync, fd);
}

int fsync(int fd)
{
	return of_fd(fd) ? sync_with(fd, real_fsync) : real_fsync(fd);
}

static int real_fdatasync(int fd)
{
	return REAL(fdatasync, fd);
}

int fdatasync(int fd)
{
	return of_fd(fd) ? sync_with(fd, real_fdatasync) : real_fdatasync(fd);
}

/* sync_file_range(2) promises nothing, and syncfs(2) is not recorded: both only make the model
 * harsher. */

/* ---- names ---- */

int renameat2(int from, const char *path, int to, const char *path2, unsigned flags)
{
	char ours[PATH_MAX], ours2[PATH_MAX];
	bool a = is_ours(from, path, ours), b = is_ours(to, path2, ours2);

	if (!a && !b)
		return REAL(renameat2, from, path, to, path2, flags);
	if (a != b ||
	    flags & ~(unsigned)
			    RENAME_NOREPLACE) /* one that replaces nothing is as any that did not */
		give_up("a rename of that kind");
	int r = LOCKED(FAULT_NAME, ours, REAL(renameat2, from, path, to, path2, flags));
	if (r == 0)
		RECORD(ours, ours2, NULL, 0, .op = TRACE_RENAME);
	UNLOCK();
	return r;
}

int renameat(int from, const char *path, int to, const char *path2)
{
	return renameat2(from, path, to, path2, 0);
}

int rename(const char *path, const char *path2)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int linkat(int from, const char *path, int to, const char *path2, int flags)
{
	char ours[PATH_MAX], ours2[PATH_MAX];
	bool a = is_ours(from, path, ours), b = is_ours(to, path2, ours2);

	if (!a && !b)
		return REAL(linkat, from, path, to, path2, flags);
	if (a != b)
		give_up("a link from outside");
	int r = LOCKED(FAULT_NAME, ours, REAL(linkat, from, path, to, path2, flags));
	if (r == 0)
		RECORD(ours, ours2, NULL, 0, .op = TRACE_LINK);
	UNLOCK();
	return r;
}

int link(const char *path, const char *path2)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int unlinkat(int directory, const char *path, int flags)
{
	char ours[PATH_MAX];

	if (!is_ours(directory, path, ours))
		return REAL(unlinkat, directory, path, flags);
	int r = LOCKED(FAULT_NAME, ours, REAL(unlinkat, directory, path, flags));
	if (r == 0)
		RECORD(ours, NULL, NULL, 0,
		       .op = flags & AT_REMOVEDIR ? TRACE_RMDIR : TRACE_UNLINK);
	UNLOCK();
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
	int r = unlink(path);

	return r < 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : r;
}

int mkdirat(int directory, const char *path, mode_t mode)
{
	char ours[PATH_MAX];

	if (!is_ours(directory, path, ours))
		return REAL(mkdirat, directory, path, mode);
	int r = LOCKED(FAULT_NAME, ours, REAL(mkdirat, directory, path, mode));
	if (r == 0)
		RECORD(ours, NULL, NULL, 0, .op = TRACE_MKDIR);
	UNLOCK();
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- looking ---- */

int fstat(int fd, struct stat *st)
{
	struct handle *handle = of_fd(fd);

	return handle && is_faulty_alone(FAULT_STAT, handle->path) ? -1 : REAL(fstat, fd, st);
}

int fstatat(int directory, const char *path, struct stat *st, int flags)
{
	char ours[PATH_MAX];

	return is_ours(directory, path, ours) && is_faulty_alone(FAULT_STAT, ours) ?
		       -1 :
		       REAL(fstatat, directory, path, st, flags);
}

int stat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}

int fstatvfs(int fd, struct statvfs *st)
{
	struct handle *handle = of_fd(fd);

	return handle && is_faulty_alone(FAULT_STAT, handle->path) ? -1 : REAL(fstatvfs, fd, st);
}

int statvfs(const char *path, struct statvfs *st)
{
	char ours[PATH_MAX];

	return is_ours(AT_FDCWD, path, ours) && is_faulty_alone(FAULT_STAT, ours)
		       ? -1
		       : REAL(statvfs, path, st);
}

/* ---- what is not recorded ---- */

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	struct handle *handle = of_fd(fd);

	if (handle && (protection & PROT_WRITE) && (flags & MAP_SHARED))
		give_up("a writable mapping");
	if (handle && is_faulty_alone(FAULT_MAP, handle->path))
		return MAP_FAILED;
	return REAL(mmap, at, n, protection, flags, fd, offset);
}

/* By reading and writing: what it writes is recorded. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	char bytes[65536];

	if (!of_fd(out))
		return REAL(copy_file_range, in, in_at, out, out_at, n, flags);
	if (in_at || out_at)
		give_up("copy_file_range at offsets");
	ssize_t done = read(in, bytes, n < sizeof(bytes) ? n : sizeof(bytes));
	return done > 0 ? write(out, bytes, (size_t)done) : done;
}

ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	if (of_fd(out))
		give_up("sendfile");
	return REAL(sendfile, out, in, at, n);
}

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	if (of_fd(out))
		give_up("splice");
	return REAL(splice, in, in_at, out, out_at, n, flags);
}

/* The same functions by the names that -D_FILE_OFFSET_BITS=64 gives them. */
int open64(const char *path, int flags, ...) ALIAS(open);
int openat64(int directory, const char *path, int flags, ...) ALIAS(openat);
int fcntl64(int fd, int command, ...) ALIAS(fcntl);
int creat64(const char *path, mode_t mode) ALIAS(creat);
int __open64_2(const char *path, int flags) ALIAS(__open_2);
int __openat64_2(int directory, const char *path, int flags) ALIAS(__openat_2);
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) ALIAS(pwrite);
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at) ALIAS(pwritev);
ssize_t pread64(int fd, void *out, size_t n, off64_t at) ALIAS(pread);
int fstat64(int fd, struct stat64 *st) __attribute__((alias("fstat")));
int fstatat64(int directory, const char *path, struct stat64 *st, int flags)
	__attribute__((alias("fstatat")));
int stat64(const char *path, struct stat64 *st) __attribute__((alias("stat")));
int fstatvfs64(int fd, struct statvfs64 *st) __attribute__((alias("fstatvfs")));
int statvfs64(const char *path, struct statvfs64 *st) __attribute__((alias("statvfs")));
int ftruncate64(int fd, off64_t size) ALIAS(ftruncate);
int truncate64(const char *path, off64_t size) ALIAS(truncate);
int fallocate64(int fd, int mode, off64_t at, off64_t n) ALIAS(fallocate);
int posix_fallocate64(int fd, off64_t at, off64_t n) ALIAS(posix_fallocate);
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset) ALIAS(mmap);
ssize_t sendfile64(int out, int in, off64_t *at, size_t n) ALIAS(sendfile);
