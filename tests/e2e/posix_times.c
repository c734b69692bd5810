/* posix_times - which operation marks which time of which inode, and what times can be set (see
 * posix.h). */
#include "posix.h"

#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

enum { MTIME = 1, CTIME = 2, BOTH = 3 };

static void pause_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* The times of a path, as the filesystem itself has them: not what the kernel remembers. */
static void times_of(const char *path, struct statx *stx)
{
	memset(stx, 0, sizeof(*stx));
	statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_ALL, stx);
}

static int64_t ns_of(struct statx_timestamp t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int moved(const struct statx *a, const struct statx *b)
{
	return (ns_of(b->stx_mtime) != ns_of(a->stx_mtime) ? MTIME : 0) |
	       (ns_of(b->stx_ctime) != ns_of(a->stx_ctime) ? CTIME : 0);
}

/* Operations on t/f (t/g is another name of it, t/d an empty directory, t/x another file). */
static int op_chmod(void) { return chmod("t/f", 0640); }
static int op_chmod_same(void) { return chmod("t/f", 0644); }
static int op_chown(void) { return chown("t/f", other_uid, other_gid); }
static int op_chown_same(void) { return chown("t/f", 0, 0); }
static int op_setxattr(void) { return setxattr("t/f", "user.a", "1", 1, 0); }
static int op_removexattr(void) { return removexattr("t/f", "user.z"); }
static int op_link(void) { return link("t/f", "t/h"); }
static int op_unlink(void) { return unlink("t/g"); }
static int op_rename(void) { return rename("t/f", "t/h") ? -1 : rename("t/h", "t/f"); }
static int op_rename_same(void) { return rename("t/f", "t/g"); }
static int op_truncate_shorter(void) { return truncate("t/f", 2); }
static int op_truncate_longer(void) { return truncate("t/f", 9000); }
static int op_truncate_same(void) { return truncate("t/f", 8); }
static int op_mkdir(void) { return mkdir("t/n", 0755); }
static int op_rmdir(void) { return rmdir("t/d"); }
static int op_symlink(void) { return symlink("x", "t/n"); }
static int op_mkfifo(void) { return mkfifo("t/n", 0644); }
static int op_access(void) { return access("t/f", R_OK | W_OK); }
static int exchange(void) { return renameat2(AT_FDCWD, "t/f", AT_FDCWD, "t/x", RENAME_EXCHANGE); }
static int op_exchange(void) { return exchange() ? -1 : exchange(); }
static int op_rename_over(void) { return rename("t/f", "t/x") ? -1 : rename("t/x", "t/f"); }

static int op_omit(void)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };

	return utimensat(AT_FDCWD, "t/f", t, 0);
}

static int op_set_atime(void)
{
	struct timespec t[2] = { { 1000, 1 }, { 0, UTIME_OMIT } };

	return utimensat(AT_FDCWD, "t/f", t, 0);
}

static int op_touch(void)
{
	return utimensat(AT_FDCWD, "t/f", NULL, 0);
}

static int with_file(int flags, int (*f)(int fd))
{
	int fd = open("t/f", flags), rc = fd < 0 ? -1 : f(fd);

	return fd < 0 || close(fd) ? -1 : rc;
}

static int nothing(int fd) { return fd < 0; }
static int read_some(int fd) { char c[8]; return read(fd, c, 8) == 8 ? 0 : -1; }
static int write_some(int fd) { return write(fd, "W", 1) == 1 ? 0 : -1; }
static int write_none(int fd) { return write(fd, "", 0) == 0 ? 0 : -1; }
static int sync_it(int fd) { return fsync(fd); }
static int punch(int fd) { return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4); }
static int grow(int fd) { return fallocate(fd, 0, 0, 20000); }

static int map(int fd)
{
	char *p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	p[3] = 'M';
	return msync(p, 8, MS_SYNC) || munmap(p, 8) ? -1 : 0;
}

static int op_open(void) { return with_file(O_RDWR, nothing); }
static int op_read(void) { return with_file(O_RDONLY, read_some); }
static int op_write(void) { return with_file(O_WRONLY, write_some); }
static int op_write_none(void) { return with_file(O_WRONLY, write_none); }
static int op_fsync(void) { return with_file(O_RDWR, sync_it); }
static int op_punch(void) { return with_file(O_RDWR, punch); }
static int op_grow(void) { return with_file(O_RDWR, grow); }
static int op_map(void) { return with_file(O_RDWR, map); }
static int op_empty(void) { return with_file(O_WRONLY | O_TRUNC, nothing); }

static int op_empty_empty(void)
{
	int fd = open("t/empty", O_WRONLY | O_TRUNC);

	return fd < 0 ? -1 : close(fd);
}

static int op_create_there(void)
{
	int fd = open("t/f", O_WRONLY | O_CREAT, 0600);

	return fd < 0 ? -1 : close(fd);
}

/* What moves: of t/f (of t/empty for the last but one), and of the directory t. */
static const struct {
	const char *what;
	int (*run)(void);
	int file, directory;
} operations[] = {
	{ "chmod", op_chmod, CTIME, 0 },
	{ "chmod to the mode it has", op_chmod_same, CTIME, 0 },
	{ "chown", op_chown, CTIME, 0 },
	{ "chown to who has it", op_chown_same, CTIME, 0 },
	{ "setxattr", op_setxattr, CTIME, 0 },
	{ "removexattr", op_removexattr, CTIME, 0 },
	{ "link", op_link, CTIME, BOTH },
	{ "unlink of one of two names", op_unlink, CTIME, BOTH },
	{ "rename and back", op_rename, CTIME, BOTH },
	{ "rename onto another name of the same inode", op_rename_same, 0, 0 },
	{ "rename over a file and back", op_rename_over, CTIME, BOTH },
	{ "exchange and back", op_exchange, CTIME, BOTH },
	{ "truncate, shorter", op_truncate_shorter, BOTH, 0 },
	{ "truncate, longer", op_truncate_longer, BOTH, 0 },
	{ "truncate to the size it has", op_truncate_same, BOTH, 0 },
	{ "open and close", op_open, 0, 0 },
	{ "open O_CREAT of what is there", op_create_there, 0, 0 },
	{ "open O_TRUNC", op_empty, BOTH, 0 },
	{ "open O_TRUNC of an empty file", op_empty_empty, BOTH, 0 },
	{ "read", op_read, 0, 0 },
	{ "write", op_write, BOTH, 0 },
	{ "write of no bytes", op_write_none, 0, 0 },
	{ "fsync of a clean file", op_fsync, 0, 0 },
	{ "punch a hole", op_punch, BOTH, 0 },
	{ "fallocate", op_grow, BOTH, 0 },
	{ "a write to a map, msync", op_map, BOTH, 0 },
	{ "access", op_access, 0, 0 },
	{ "utimensat of now", op_touch, BOTH, 0 },
	{ "utimensat of atime only", op_set_atime, CTIME, 0 },
	{ "utimensat with two UTIME_OMIT", op_omit, 0, 0 },
	{ "mkdir", op_mkdir, 0, BOTH },
	{ "rmdir", op_rmdir, 0, BOTH },
	{ "symlink", op_symlink, 0, BOTH },
	{ "mkfifo", op_mkfifo, 0, BOTH },
};

static void set_stage(void)
{
	if (system("rm -rf t && mkdir t t/d && printf x > t/x && : > t/empty && printf 01234567 > "
		   "t/f && ln t/f t/g") ||
	    setxattr("t/f", "user.z", "z", 1, 0))
		say(false, "the stage is set");
	pause_ms(12);
}

static void test_operations(void)
{
	struct statx file[2], directory[2], shown;

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const char *name = operations[i].run == op_empty_empty ? "t/empty" : "t/f";

		set_stage();
		times_of(name, &file[0]);
		times_of("t", &directory[0]);
		errno = 0;
		bool done = operations[i].run() == 0;
		statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_ALL, &shown);
		times_of(name, &file[1]);
		times_of("t", &directory[1]);
		int of_file = moved(&file[0], &file[1]),
		    of_directory = moved(&directory[0], &directory[1]);

		say(done && of_file == operations[i].file &&
			    of_directory == operations[i].directory,
		    "%s: times of the file (m 1, c 2: %d, wanted %d), of its directory (%d, wanted "
		    "%d)",
		    operations[i].what, of_file, operations[i].file, of_directory,
		    operations[i].directory);
		say(moved(&shown, &file[1]) == 0,
		    "%s: what stat showed is what the filesystem keeps", operations[i].what);
	}
}

/* What stat shows after a write never goes back and, once the file is closed, stays. */
static void test_settling(void)
{
	struct statx at[6];
	int fd = make("settle", "first");

	pause_ms(12);
	say(write(fd, "second", 6) == 6, "a write, looked at on its way");
	statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &at[0]);
	pause_ms(12);
	statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, &at[1]);
	fsync(fd);
	statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, &at[2]);
	close(fd);
	statx(AT_FDCWD, "settle", 0, STATX_ALL, &at[3]);
	pause_ms(12);
	times_of("settle", &at[4]);
	pause_ms(500);
	times_of("settle", &at[5]);
	for (int i = 1; i < 6; i++)
		say(moved(&at[0], &at[i]) == 0,
		    "times after a write stay (step %d: %+lld, %+lld ns)", i,
		    (long long)(ns_of(at[i].stx_mtime) - ns_of(at[0].stx_mtime)),
		    (long long)(ns_of(at[i].stx_ctime) - ns_of(at[0].stx_ctime)));
	say(ns_of(at[5].stx_btime) <= ns_of(at[5].stx_ctime),
	    "the birth time is not after the last change");
	fd = open("settle", O_RDWR);
	struct timespec set[2] = { { 5, 5 }, { 7, 7 } };

	say(write(fd, "third", 5) == 5 && futimens(fd, set) == 0,
	    "times set between write and close");
	close(fd);
	times_of("settle", &at[0]);
	say(at[0].stx_mtime.tv_sec == 7 && at[0].stx_mtime.tv_nsec == 7, "are what stays");
	fd = open("settle", O_RDWR);
	char *p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	times_of("settle", &at[0]);
	pause_ms(12);
	p[0] = 'm';
	say(msync(p, 8, MS_SYNC) == 0 && munmap(p, 8) == 0,
	    "a map written after the file was closed");
	times_of("settle", &at[1]);
	say(moved(&at[0], &at[1]) == BOTH, "moves its times");
}

static void test_range(void)
{
	static const int64_t seconds[] = {
		0, 1, -1, -2147483647ll, 2147483647, 2147483648ll, 4294967296ll, 7258118400ll
	};
	static const long ns[] = { 0, 1, 999999999 };
	struct stat st;
	bool good = true;

	make_closed("range", "r");
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		for (size_t j = 0; j < 3; j++) {
			struct timespec set[2] = { { seconds[i], ns[j] },
						   { seconds[i], ns[2 - j] } };

			good &= utimensat(AT_FDCWD, "range", set, 0) == 0 &&
				stat("range", &st) == 0 &&
				memcmp(&st.st_atim, &set[0], sizeof(set[0])) == 0 &&
				memcmp(&st.st_mtim, &set[1], sizeof(set[1])) == 0;
		}
	}
	say(good, "times from 1901 to 2200 are kept to the nanosecond");
	static const struct timespec epoch[2];
	int fd = open("range-new", O_CREAT | O_WRONLY, 0644);

	good = write(fd, "r", 1) == 1 && futimens(fd, epoch) == 0 && close(fd) == 0 &&
	       stat("range-new", &st) == 0;
	say(good && st.st_mtim.tv_sec == 0 && st.st_atim.tv_sec == 0,
	    "a new file's too, to the start of 1970");
	struct timespec bad[2] = { { 0, 1000000000 }, { 0, 0 } };

	REFUSED(utimensat(AT_FDCWD, "range", bad, 0), EINVAL, "a billion nanoseconds");
	say(symlink("range", "range-link") == 0, "a symlink");
	struct timespec set[2] = { { 11, 1 }, { 22, 2 } };

	say(utimensat(AT_FDCWD, "range-link", set, AT_SYMLINK_NOFOLLOW) == 0 &&
		    lstat("range-link", &st) == 0 && st.st_mtim.tv_sec == 22 &&
		    st.st_mtim.tv_nsec == 2,
	    "has times of its own");
	say(mkdir("range-dir", 0755) == 0 && utimensat(AT_FDCWD, "range-dir", set, 0) == 0 &&
		    stat("range-dir", &st) == 0 && st.st_mtim.tv_sec == 22, "and a directory");
}

static bool set_explicitly(void)
{
	struct timespec set[2] = { { 11, 1 }, { 22, 2 } };

	return utimensat(AT_FDCWD, "writable", set, 0) == -1 && errno == EPERM;
}

static bool set_now(void)
{
	struct timespec set[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	return utimensat(AT_FDCWD, "writable", NULL, 0) == 0 &&
	       utimensat(AT_FDCWD, "writable", set, 0) == 0;
}

static bool set_one_now(void)
{
	struct timespec set[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };

	return utimensat(AT_FDCWD, "writable", set, 0) == -1 && errno == EPERM;
}

static bool set_omitted(void)
{
	struct timespec set[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };

	return utimensat(AT_FDCWD, "unwritable", set, 0) == 0;
}

static bool set_unwritable(void)
{
	return utimensat(AT_FDCWD, "unwritable", NULL, 0) == -1 && errno == EACCES;
}

static void test_who(void)
{
	make_closed("writable", "w");
	chmod("writable", 0666);
	make_closed("unwritable", "u");
	say(as_other(set_explicitly), "another's times cannot be set by whoever may write");
	say(as_other(set_now), "but to now");
	say(as_other(set_one_now), "both of them");
	say(as_other(set_omitted), "two UTIME_OMIT need no right");
	say(as_other(set_unwritable), "now needs the right to write");
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_operations();
	test_settling();
	test_range();
	test_who();
	return 0;
}
