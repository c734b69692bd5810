/* posix - the everyday operations of an ordinary filesystem (posix.h has how it is run). */
#include "posix.h"

#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>

static void test_open_flags(void)
{
	int fd = open("excl", O_CREAT | O_EXCL | O_RDWR, 0640);
	struct stat st;

	say(fd >= 0, "O_CREAT|O_EXCL makes a file");
	say(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640,
	    "with the mode that was asked for");
	close(fd);
	REFUSED(open("excl", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST,
		"O_EXCL on a file that is there");
	REFUSED(open("absent", O_RDONLY), ENOENT, "open what is not there");
	REFUSED(open(".", O_RDWR), EISDIR, "open a directory for writing");
	REFUSED(open("excl/below", O_RDONLY), ENOTDIR, "a file as a directory");
	REFUSED(open("excl", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY on a file");
	umask(077);
	fd = open("masked", O_CREAT | O_RDWR, 0666);
	umask(022);
	say(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600, "the umask counts");
	close(fd);
	make_closed("trunc", "long text");
	fd = open("trunc", O_WRONLY | O_TRUNC);
	say(fstat(fd, &st) == 0 && st.st_size == 0, "O_TRUNC empties");
	close(fd);
	say(symlink("excl", "to-excl") == 0 && open("to-excl", O_RDONLY | O_NOFOLLOW) == -1 &&
		    errno == ELOOP,
	    "O_NOFOLLOW stops at a symlink");
}

static void test_append(void)
{
	int a = open("append", O_WRONLY | O_CREAT | O_APPEND, 0644),
	    b = open("append", O_WRONLY | O_APPEND);
	bool good = a >= 0 && b >= 0;

	for (int i = 0; i < 50; i++)
		good &= write(a, "a", 1) == 1 && write(b, "b", 1) == 1;
	struct stat st;

	say(good && fstat(a, &st) == 0 && st.st_size == 100,
	    "O_APPEND through two handles loses nothing");
	say(pwrite(a, "XY", 2, 0) == 2 && fstat(a, &st) == 0 && st.st_size == 102,
	    "pwrite with O_APPEND appends");
	close(a);
	close(b);
}

static void test_truncate(void)
{
	char zeros[100] = { 0 }, buf[200];
	int fd = make("size", "0123456789");
	struct stat st;

	say(ftruncate(fd, 4) == 0 && fstat(fd, &st) == 0 && st.st_size == 4, "ftruncate shortens");
	say(truncate("size", 104) == 0 && stat("size", &st) == 0 && st.st_size == 104,
	    "truncate lengthens");
	say(pread(fd, buf, 200, 0) == 104 && memcmp(buf, "0123", 4) == 0 &&
		    memcmp(buf + 4, zeros, 100) == 0,
	    "what was cut off does not come back");
	REFUSED(ftruncate(fd, -1), EINVAL, "a negative size");
	close(fd);
	fd = open("size", O_RDONLY);
	REFUSED(ftruncate(fd, 1), EINVAL, "ftruncate on a handle for reading");
	REFUSED(write(fd, "x", 1), EBADF, "write on a handle for reading");
	close(fd);
	REFUSED(truncate(".", 0), EISDIR, "truncate a directory");
}

static void test_sparse(void)
{
	int fd = open("sparse", O_RDWR | O_CREAT, 0644);
	const off_t far = 3ll << 30;
	struct stat st;
	char c[4096];

	say(pwrite(fd, "end", 3, far) == 3 && fstat(fd, &st) == 0 && st.st_size == far + 3,
	    "a write at 3 GiB");
	say(st.st_blocks < 4096, "takes little room (%lld blocks)", (long long)st.st_blocks);
	say(pread(fd, c, sizeof(c), far / 2) == (ssize_t)sizeof(c) && c[0] == 0 && c[4095] == 0,
	    "holes read as zeros");
	fsync(fd);
	say(lseek(fd, 0, SEEK_DATA) <= far && lseek(fd, 0, SEEK_DATA) > far / 2,
	    "SEEK_DATA finds the end");
	say(lseek(fd, 0, SEEK_HOLE) == 0, "SEEK_HOLE finds the hole at 0");
	say(lseek(fd, far, SEEK_HOLE) == far + 3, "SEEK_HOLE after the last data is the size");
	REFUSED(lseek(fd, far + 3, SEEK_DATA), ENXIO, "SEEK_DATA at the end");
	close(fd);
}

static void test_fallocate(void)
{
	static char data[1 << 20], back[1 << 20];
	int fd = open("falloc", O_RDWR | O_CREAT, 0644);
	struct stat st;

	memset(data, 'd', sizeof(data));
	say(write(fd, data, sizeof(data)) == (ssize_t)sizeof(data), "write 1 MiB");
	say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 512 << 10) == 0,
	    "punch a hole");
	memset(data + 4096, 0, 512 << 10);
	say(pread(fd, back, sizeof(back), 0) == (ssize_t)sizeof(back) &&
		    !memcmp(data, back, sizeof(data)),
	    "it reads as zeros, the rest as before");
	say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 10) == 0 &&
		    pread(fd, back, 20, 995) == 20 &&
		    !memcmp(back, "ddddd\0\0\0\0\0\0\0\0\0\0ddddd", 20),
	    "a hole of 10 bytes");
	say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (1 << 20) - 10, 4096) == 0 &&
		    fstat(fd, &st) == 0 && st.st_size == 1 << 20,
	    "a hole past the end leaves the size");
	say(fallocate(fd, 0, 0, 2 << 20) == 0 && fstat(fd, &st) == 0 && st.st_size == 2 << 20,
	    "fallocate lengthens");
	say(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 << 20) == 0 && fstat(fd, &st) == 0 &&
		    st.st_size == 2 << 20,
	    "fallocate KEEP_SIZE leaves the size");
	say(fallocate(fd, FALLOC_FL_ZERO_RANGE, 800 << 10, 100) == 0 &&
		    pread(fd, back, 102, (800 << 10) - 1) == 102 && back[0] == 'd' &&
		    back[1] == 0 && back[100] == 0 && back[101] == 'd',
	    "FALLOC_FL_ZERO_RANGE");
	close(fd);
	say(truncate("falloc", 5000) == 0 && stat("falloc", &st) == 0 && st.st_size == 5000,
	    "and is cut");
}

static void test_copy_file_range(void)
{
	static char data[300000], back[300000];
	int a = open("cfr-a", O_RDWR | O_CREAT, 0644), b = open("cfr-b", O_RDWR | O_CREAT, 0644);
	loff_t from = 1000, to = 7;
	size_t left = 250000;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 2654435761u >> 11);
	say(write(a, data, sizeof(data)) == (ssize_t)sizeof(data), "copy_file_range: a source");
	while (left > 0) {
		ssize_t n = copy_file_range(a, &from, b, &to, left, 0);

		if (n <= 0)
			break;
		left -= n;
	}
	say(left == 0 && from == 251000 && to == 250007,
	    "copy_file_range copies and moves both offsets");
	say(pread(b, back, 250007, 0) == 250007 && memcmp(back, "\0\0\0\0\0\0\0", 7) == 0 &&
		    memcmp(back + 7, data + 1000, 250000) == 0, "the bytes are the same");
	from = 300000;
	say(copy_file_range(a, &from, b, &to, 10, 0) == 0, "at the source's end it copies nothing");
	from = 0, to = 100;
	say(copy_file_range(b, &from, a, &to, 5000, 0) == 5000 &&
		    pread(a, back, 5000, 100) == 5000 && memcmp(back, "\0\0\0\0\0\0\0", 7) == 0 &&
		    memcmp(back + 7, data + 1000, 4993) == 0 && pread(a, back, 100, 0) == 100 &&
		    memcmp(back, data, 100) == 0,
	    "into the middle of a file");
	close(a);
	close(b);
}

static void test_xattrs(void)
{
	char buf[70000], value[4096];

	memset(value, 'v', sizeof(value));
	make_closed("x", "");
	say(setxattr("x", "user.one", "1", 1, 0) == 0 && setxattr("x", "user.empty", "", 0, 0) == 0,
	    "setxattr");
	say(getxattr("x", "user.one", buf, 10) == 1 && buf[0] == '1' &&
		    getxattr("x", "user.empty", buf, 10) == 0,
	    "getxattr");
	REFUSED(getxattr("x", "user.none", buf, 10), ENODATA, "getxattr of none");
	REFUSED(setxattr("x", "user.one", "2", 1, XATTR_CREATE), EEXIST,
		"XATTR_CREATE of one that is there");
	REFUSED(setxattr("x", "user.none", "2", 1, XATTR_REPLACE), ENODATA,
		"XATTR_REPLACE of none");
	say(setxattr("x", "user.big", value, 4000, 0) == 0 &&
		    getxattr("x", "user.big", NULL, 0) == 4000,
	    "4000 bytes");
	REFUSED(getxattr("x", "user.big", buf, 10), ERANGE, "a buffer too small");
	ssize_t n = listxattr("x", buf, sizeof(buf));

	say(n > 0 && memmem(buf, n, "user.one", 9) && memmem(buf, n, "user.empty", 11) &&
		    memmem(buf, n, "user.big", 9),
	    "listxattr");
	say(removexattr("x", "user.one") == 0 && getxattr("x", "user.one", buf, 10) == -1 &&
		    errno == ENODATA,
	    "removexattr");
	REFUSED(removexattr("x", "user.one"), ENODATA, "removexattr of none");
	say(setxattr("x", "trusted.t", "t", 1, 0) == 0 && getxattr("x", "trusted.t", buf, 10) == 1,
	    "trusted.*");
	say(setxattr("x", "security.s", "s", 1, 0) == 0 &&
		    getxattr("x", "security.s", buf, 10) == 1,
	    "security.*");
	say(mkdir("xdir", 0755) == 0 && setxattr("xdir", "user.d", "d", 1, 0) == 0 &&
		    getxattr("xdir", "user.d", buf, 10) == 1, "on a directory");
}

static void test_mmap(void)
{
	const size_t size = 100000;
	int fd = open("mapped", O_RDWR | O_CREAT, 0644);
	char *p, buf[16];

	say(ftruncate(fd, size) == 0, "mmap: a file");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say(p != MAP_FAILED, "mmap shared, writable");
	if (p == MAP_FAILED)
		return;
	memcpy(p + 50000, "through the map", 15);
	say(msync(p, size, MS_SYNC) == 0, "msync");
	say(pread(fd, buf, 15, 50000) == 15 && memcmp(buf, "through the map", 15) == 0,
	    "read sees the map's bytes");
	say(pwrite(fd, "by write", 8, 60000) == 8 && memcmp(p + 60000, "by write", 8) == 0,
	    "the map sees write's bytes");
	close(fd);
	memcpy(p + 70000, "after close", 11);
	say(munmap(p, size) == 0, "munmap after close");
	fd = open("mapped", O_RDONLY);
	say(pread(fd, buf, 11, 70000) == 11 && memcmp(buf, "after close", 11) == 0,
	    "what was written to the map stays");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	memcpy(p, "private", 7);
	say(pread(fd, buf, 7, 0) == 7 && buf[0] == 0, "a private map stays private");
	munmap(p, size);
	close(fd);
}

static void test_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];
	struct stat st;

	say(fd >= 0, "O_TMPFILE");
	if (fd < 0)
		return;
	say(write(fd, "nameless", 8) == 8 && fstat(fd, &st) == 0 && st.st_nlink == 0 &&
		    st.st_size == 8,
	    "it has no name and takes bytes");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0,
	    "linkat gives it one");
	say(holds("named", "nameless") && fstat(fd, &st) == 0 && st.st_nlink == 1,
	    "under which it is read");
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say(fd >= 0 && linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW) == -1 &&
		    errno == ENOENT,
	    "O_TMPFILE|O_EXCL can have none");
	close(fd);
}

static void test_unlinked_open(void)
{
	int fd = make("gone", "still ");
	struct stat st;
	char buf[32];

	say(unlink("gone") == 0 && access("gone", F_OK) == -1, "unlink an open file");
	say(write(fd, "here", 4) == 4 && pread(fd, buf, 32, 0) == 10 &&
		    memcmp(buf, "still here", 10) == 0,
	    "it can be written and read");
	say(fstat(fd, &st) == 0 && st.st_nlink == 0, "with no link");
	say(fchmod(fd, 0600) == 0 && ftruncate(fd, 2) == 0 && fstat(fd, &st) == 0 &&
		    st.st_size == 2,
	    "and changed");
	make_closed("gone", "another");
	say(holds("gone", "another") && pread(fd, buf, 32, 0) == 2,
	    "the name's next file is another one");
	close(fd);
	say(holds("gone", "another"), "which stays when the handle is closed");
	fd = make("over", "old bytes");
	make_closed("over2", "new");
	say(rename("over2", "over") == 0 && pread(fd, buf, 32, 0) == 9,
	    "a handle outlives a rename over its file");
	close(fd);
}

static void test_times(void)
{
	struct timespec set[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
	struct stat st, before;
	struct statx stx;

	make_closed("times", "t");
	say(statx(AT_FDCWD, "times", 0, STATX_ALL, &stx) == 0 && (stx.stx_mask & STATX_BTIME) &&
		    llabs(stx.stx_btime.tv_sec - time(NULL)) < 10, "birth time");
	int64_t born = stx.stx_btime.tv_sec * 1000000000ll + stx.stx_btime.tv_nsec;

	say(utimensat(AT_FDCWD, "times", set, 0) == 0 && stat("times", &st) == 0 &&
		    memcmp(&st.st_atim, &set[0], sizeof(set[0])) == 0 &&
		    memcmp(&st.st_mtim, &set[1], sizeof(set[1])) == 0,
	    "times to the nanosecond");
	set[0].tv_nsec = UTIME_OMIT;
	set[1].tv_nsec = UTIME_NOW;
	say(utimensat(AT_FDCWD, "times", set, 0) == 0 && stat("times", &st) == 0 &&
		    st.st_atim.tv_sec == 1000000000 && llabs(st.st_mtim.tv_sec - time(NULL)) < 10,
	    "UTIME_OMIT and UTIME_NOW");
	say(statx(AT_FDCWD, "times", 0, STATX_ALL, &stx) == 0 &&
		    born == stx.stx_btime.tv_sec * 1000000000ll + stx.stx_btime.tv_nsec,
	    "the birth time stays");
	set[0] = (struct timespec){ -3600, 5 };
	set[1] = (struct timespec){ 9000000000ll, 0 };
	say(utimensat(AT_FDCWD, "times", set, 0) == 0 && stat("times", &st) == 0 &&
		    st.st_atim.tv_sec == -3600 && st.st_mtim.tv_sec == 9000000000ll,
	    "before 1970 and after 2106");
	stat(".", &before);
	usleep(20000);
	make_closed("in-dir", "");
	stat(".", &st);
	say(st.st_mtim.tv_nsec != before.st_mtim.tv_nsec &&
		    st.st_ctim.tv_nsec != before.st_ctim.tv_nsec,
	    "a new name changes the directory's times");
	stat("in-dir", &before);
	usleep(20000);
	chmod("in-dir", 0600);
	stat("in-dir", &st);
	say(st.st_ctim.tv_nsec != before.st_ctim.tv_nsec &&
		    st.st_mtim.tv_nsec == before.st_mtim.tv_nsec,
	    "chmod changes ctime, not mtime");
	usleep(20000);
	int fd = open("in-dir", O_WRONLY);

	say(write(fd, "x", 1) == 1, "a write");
	close(fd);
	before = st;
	stat("in-dir", &st);
	say(st.st_mtim.tv_nsec != before.st_mtim.tv_nsec &&
		    st.st_ctim.tv_nsec != before.st_ctim.tv_nsec,
	    "changes mtime and ctime");
}

static void test_statfs(void)
{
	struct statvfs v;

	say(statvfs(".", &v) == 0 && v.f_blocks > 0 && v.f_bavail > 0 && v.f_bavail <= v.f_blocks &&
		    v.f_namemax == 255,
	    "statfs: blocks, room and the longest name");
}

static void test_special(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	struct stat st;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	char buf[8];

	say(mkfifo("fifo", 0644) == 0 && stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode), "mkfifo");
	int r = open("fifo", O_RDONLY | O_NONBLOCK), w = open("fifo", O_WRONLY | O_NONBLOCK);

	say(r >= 0 && w >= 0 && write(w, "through", 7) == 7 && read(r, buf, 8) == 7,
	    "bytes go through it");
	close(r);
	close(w);
	say(bind(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(s, 1) == 0 &&
		    stat("socket", &st) == 0 && S_ISSOCK(st.st_mode),
	    "a socket is bound");
	say(connect(c, (struct sockaddr *)&addr, sizeof(addr)) == 0, "and connected to");
	close(s);
	close(c);
	say(mknod("chr", S_IFCHR | 0600, makedev(1, 3)) == 0 && stat("chr", &st) == 0 &&
		    S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3),
	    "a character device");
	say(mknod("blk", S_IFBLK | 0600, makedev(259, 70000)) == 0 && stat("blk", &st) == 0 &&
		    S_ISBLK(st.st_mode) && st.st_rdev == makedev(259, 70000),
	    "a block device with large numbers");
	say(mknod("reg", S_IFREG | 0640, 0) == 0 && stat("reg", &st) == 0 && S_ISREG(st.st_mode),
	    "mknod of a file");
}

static void test_links(void)
{
	struct stat a, b;
	char target[PATH_MAX], buf[PATH_MAX];

	make_closed("first", "linked");
	say(link("first", "second") == 0 && stat("first", &a) == 0 && stat("second", &b) == 0 &&
		    a.st_ino == b.st_ino && b.st_nlink == 2,
	    "link");
	int fd = open("second", O_WRONLY | O_TRUNC);

	say(write(fd, "changed", 7) == 7 && close(fd) == 0 && holds("first", "changed"),
	    "both names show a change");
	say(rename("first", "second") == 0 && access("first", F_OK) == 0,
	    "rename onto the same inode does nothing");
	say(unlink("first") == 0 && holds("second", "changed") && stat("second", &b) == 0 &&
		    b.st_nlink == 1,
	    "unlink one");
	REFUSED(link("second", "second"), EEXIST, "link onto a name that is there");
	REFUSED(link(".", "dirlink"), EPERM, "link of a directory");
	memset(target, 't', 4000);
	target[4000] = 0;
	say(symlink(target, "long-link") == 0 && readlink("long-link", buf, sizeof(buf)) == 4000,
	    "a symlink of 4000 bytes");
	say(symlink("nowhere", "dangling") == 0 && stat("dangling", &a) == -1 && errno == ENOENT &&
		    lstat("dangling", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 7,
	    "a dangling symlink");
	say(link("dangling", "dangling2") == 0 && readlink("dangling2", buf, sizeof(buf)) == 7,
	    "link of a symlink");
	say(lchown("dangling", other_uid, other_gid) == 0 && lstat("dangling", &a) == 0 &&
		    a.st_uid == other_uid,
	    "lchown");
}

static void test_rename(void)
{
	struct stat a, b;

	make_closed("r1", "one");
	make_closed("r2", "two");
	say(renameat2(AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_NOREPLACE) == -1 && errno == EEXIST &&
		    holds("r2", "two"),
	    "RENAME_NOREPLACE refuses");
	say(renameat2(AT_FDCWD, "r1", AT_FDCWD, "r3", RENAME_NOREPLACE) == 0 && holds("r3", "one"),
	    "RENAME_NOREPLACE renames");
	stat("r2", &a);
	say(renameat2(AT_FDCWD, "r2", AT_FDCWD, "r3", RENAME_EXCHANGE) == 0 && holds("r3", "two") &&
		    holds("r2", "one") && stat("r3", &b) == 0 && a.st_ino == b.st_ino,
	    "RENAME_EXCHANGE swaps");
	REFUSED(renameat2(AT_FDCWD, "r2", AT_FDCWD, "no", RENAME_EXCHANGE), ENOENT,
		"RENAME_EXCHANGE with nothing");
	say(rename("r2", "r3") == 0 && holds("r3", "one") && access("r2", F_OK) == -1,
	    "rename over");
	say(mkdir("d1", 0755) == 0 && mkdir("d2", 0755) == 0 && mkdir("d1/in", 0755) == 0,
	    "directories");
	say(renameat2(AT_FDCWD, "d1", AT_FDCWD, "r3", RENAME_EXCHANGE) == 0 &&
		    stat("r3", &a) == 0 && S_ISDIR(a.st_mode) && holds("d1", "one") &&
		    rename("d1", "r4") == 0 && rename("r3", "d1") == 0,
	    "RENAME_EXCHANGE of a file and a directory");
	REFUSED(rename("d1", "d1/in/d"), EINVAL, "a directory below itself");
	REFUSED(rename("d2", "d1"), ENOTEMPTY, "over a directory with something in it");
	REFUSED(rename("r4", "d1"), EISDIR, "a file over a directory");
	REFUSED(rename("d1", "r4"), ENOTDIR, "a directory over a file");
	say(rename("d1", "d2") == 0 && access("d2/in", F_OK) == 0, "a directory over an empty one");
	REFUSED(rename("absent", "x2"), ENOENT, "rename of what is not there");
	say(mkdir("d3", 0755) == 0 && stat("d3", &a) == 0 && rename("d2/in", "d3/in") == 0 &&
		    stat("d3/in/..", &b) == 0 && a.st_ino == b.st_ino,
	    "a moved directory's .. is the new parent");
}

static void test_directories(void)
{
	int seen = 0;
	struct dirent *d;
	char name[32];
	struct stat st;

	say(mkdir("many", 0755) == 0, "mkdir");
	REFUSED(mkdir("many", 0755), EEXIST, "mkdir of what is there");
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many/%04d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	REFUSED(rmdir("many"), ENOTEMPTY, "rmdir of a full directory");
	DIR *dir = opendir("many");

	while ((d = readdir(dir)))
		seen++;
	say(seen == 2002, "readdir shows 2000 names, . and .. (%d)", seen);
	rewinddir(dir);
	for (int i = 0; i < 1000; i++)
		d = readdir(dir);
	long at = telldir(dir);
	char next[256] = "", after[256] = "";

	if ((d = readdir(dir)))
		strcpy(next, d->d_name);
	for (int i = 0; i < 500; i++)
		d = readdir(dir);
	seekdir(dir, at);
	if ((d = readdir(dir)))
		strcpy(after, d->d_name);
	say(next[0] && strcmp(next, after) == 0, "seekdir comes back to where telldir was");
	rewinddir(dir);
	int removed = 0;

	while ((d = readdir(dir)))
		if (d->d_name[0] != '.') {
			snprintf(name, sizeof(name), "many/%.20s", d->d_name);
			removed += unlink(name) == 0;
		}
	say(removed == 2000, "removing while reading misses nothing (%d)", removed);
	closedir(dir);
	say(rmdir("many") == 0 && stat("many", &st) == -1 && errno == ENOENT, "rmdir");
	REFUSED(rmdir("excl"), ENOTDIR, "rmdir of a file");
	REFUSED(unlink("d3"), EISDIR, "unlink of a directory");
	REFUSED(rmdir("d3/in/."), EINVAL, "rmdir of .");
	say(mkdir("setgid", 0755) == 0 && chown("setgid", 0, other_gid) == 0 &&
		    chmod("setgid", 02775) == 0 && mkdir("setgid/d", 0755) == 0 &&
		    stat("setgid/d", &st) == 0 && st.st_gid == other_gid && (st.st_mode & S_ISGID),
	    "a setgid directory gives its group and setgid on");
	make_closed("setgid/f", "");
	say(stat("setgid/f", &st) == 0 && st.st_gid == other_gid && !(st.st_mode & S_ISGID),
	    "and a file its group");
}

static bool open_private(void)
{
	return open("private", O_RDONLY) == -1 && errno == EACCES;
}

static bool write_readable(void)
{
	return open("readable", O_WRONLY) == -1 && errno == EACCES;
}

static bool chmod_foreign(void)
{
	return chmod("readable", 0666) == -1 && errno == EPERM;
}

static bool unlink_sticky(void)
{
	return unlink("sticky/f") == -1 && (errno == EPERM || errno == EACCES);
}

static bool chown_away(void)
{
	return chown("theirs", 0, -1) == -1 && errno == EPERM;
}

static bool write_setuid(void)
{
	int fd = open("suid", O_WRONLY);

	return fd >= 0 && write(fd, "x", 1) == 1;
}

static bool enter_closed(void)
{
	return access("closed/f", F_OK) == -1 && errno == EACCES;
}

static void test_rights(void)
{
	struct stat st;

	make_closed("private", "p");
	chmod("private", 0600);
	make_closed("readable", "r");
	say(as_other(open_private), "mode 0600 keeps others from reading");
	say(as_other(write_readable), "mode 0644 keeps others from writing");
	say(as_other(chmod_foreign), "chmod is the owner's");
	mkdir("sticky", 0777);
	chmod("sticky", 01777);
	make_closed("sticky/f", "");
	say(as_other(unlink_sticky), "the sticky bit keeps others from removing");
	mkdir("closed", 0700);
	make_closed("closed/f", "");
	say(as_other(enter_closed), "a directory without search permission");
	make_closed("theirs", "");
	say(chown("theirs", other_uid, other_gid) == 0 && stat("theirs", &st) == 0 &&
		    st.st_uid == other_uid && st.st_gid == other_gid,
	    "chown");
	say(as_other(chown_away), "chown is root's");
	make_closed("suid", "s");
	say(chown("suid", other_uid, other_gid) == 0 && chmod("suid", 06777) == 0 &&
		    stat("suid", &st) == 0 && (st.st_mode & 07777) == 06777,
	    "setuid and setgid bits");
	say(as_other(write_setuid) && stat("suid", &st) == 0 && (st.st_mode & 07777) == 0777,
	    "are lost by a write");
	say(chmod("suid", 06755) == 0 && chown("suid", 0, 0) == 0 && stat("suid", &st) == 0 &&
		    (st.st_mode & 07777) == 0755,
	    "and by chown");
}

static void test_locks(void)
{
	int a = open("lock", O_RDWR | O_CREAT, 0644), b = open("lock", O_RDWR);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };

	say(flock(a, LOCK_EX | LOCK_NB) == 0 && flock(b, LOCK_EX | LOCK_NB) == -1 &&
		    errno == EWOULDBLOCK,
	    "flock");
	say(flock(a, LOCK_UN) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0, "and unlock");
	say(fcntl(a, F_OFD_SETLK, &fl) == 0 && fcntl(b, F_OFD_SETLK, &fl) == -1 && errno == EAGAIN,
	    "OFD locks");
	fl.l_type = F_UNLCK;
	say(fcntl(a, F_OFD_SETLK, &fl) == 0, "and unlock");
	close(a);
	close(b);
}

static void test_io(void)
{
	static char data[3 << 20], back[3 << 20];
	int fd = open("io", O_RDWR | O_CREAT | O_SYNC, 0644);
	struct iovec v[2] = { { "two ", 4 }, { "parts", 5 } };

	say(writev(fd, v, 2) == 9 && holds("io", "two parts"), "writev, O_SYNC");
	close(fd);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 2246822519u >> 13);
	fd = open("io", O_RDWR | O_TRUNC);
	say(write(fd, data, sizeof(data)) == (ssize_t)sizeof(data), "one write of 3 MiB");
	say(fsync(fd) == 0 && fdatasync(fd) == 0, "fsync, fdatasync");
	say(pread(fd, back, sizeof(back), 0) == (ssize_t)sizeof(back) &&
		    !memcmp(data, back, sizeof(data)),
	    "reads back");
	for (int i = 0; i < 300; i++) {
		size_t at = (size_t)i * 7919 % (sizeof(data) - 3000),
		       n = 1 + (size_t)i * 131 % 2999;

		memset(data + at, i, n);
		if (pwrite(fd, data + at, n, at) != (ssize_t)n)
			say(false, "pwrite %d", i);
	}
	say(pread(fd, back, sizeof(back), 0) == (ssize_t)sizeof(back) &&
		    !memcmp(data, back, sizeof(data)),
	    "300 small overwrites");
	say(syncfs(fd) == 0, "syncfs");
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	say(fsync(fd) == 0, "fsync of a directory");
	close(fd);
	fd = open("io", O_RDONLY);
	say(pread(fd, back, 100, 3 << 20) == 0 && pread(fd, back, 100, (3 << 20) - 1) == 1,
	    "the end is the end");
	close(fd);
	fd = open("io", O_RDWR | O_DIRECT);
	if (fd >= 0) {
		char *page = aligned_alloc(4096, 8192);

		say(pread(fd, page, 8192, 4096) == 8192 && !memcmp(page, data + 4096, 8192),
		    "O_DIRECT reads");
		memset(page, 'D', 8192);
		say(pwrite(fd, page, 8192, 8192) == 8192 && pread(fd, page, 8192, 8192) == 8192 &&
			    page[8191] == 'D',
		    "O_DIRECT writes");
		free(page);
		close(fd);
	}
	int a = open("io", O_RDONLY), b = open("io", O_WRONLY);

	say(pread(a, back, 5, 0) == 5 && pwrite(b, "fresh", 5, 0) == 5 &&
		    pread(a, back, 5, 0) == 5 && memcmp(back, "fresh", 5) == 0,
	    "one handle sees what another wrote");
	say(ftruncate(b, 3) == 0 && pread(a, back, 10, 0) == 3, "and cut");
	close(a);
	close(b);
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_open_flags();
	test_append();
	test_truncate();
	test_sparse();
	test_fallocate();
	test_copy_file_range();
	test_xattrs();
	test_mmap();
	test_tmpfile();
	test_unlinked_open();
	test_times();
	test_statfs();
	test_special();
	test_links();
	test_rename();
	test_directories();
	test_rights();
	test_locks();
	test_io();
	return 0;
}
