/* posix_names - names: lengths, bytes, loops, slashes, renames onto and into themselves, readdir
 * while others insert and delete, files without a name (see posix.h).  A fourth argument is how
 * many names come and go. */
#include "posix.h"

#include <signal.h>
#include <sys/sysmacros.h>

static void test_lengths(void)
{
	char name[300], path[5000], target[4200], back[4200];
	struct stat st;

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	make_closed(name, "long");
	say(holds(name, "long") && mkdir("lengths", 0755) == 0, "a name of 255 bytes");
	name[255] = 'n', name[256] = 0;
	REFUSED(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG, "open of 256");
	REFUSED(mkdir(name, 0755), ENAMETOOLONG, "mkdir of 256");
	REFUSED(symlink("x", name), ENAMETOOLONG, "symlink of 256");
	REFUSED(mknod(name, S_IFIFO | 0644, 0), ENAMETOOLONG, "mknod of 256");
	REFUSED(rename("lengths", name), ENAMETOOLONG, "rename to 256");
	REFUSED(rename(name, "lengths"), ENAMETOOLONG, "rename of 256");
	REFUSED(link("lengths", name), ENAMETOOLONG, "link to 256");
	REFUSED(stat(name, &st), ENAMETOOLONG, "stat of 256");
	REFUSED(unlink(name), ENAMETOOLONG, "unlink of 256");
	for (size_t i = 0; i < sizeof(path); i += 2)
		memcpy(path + i, "./", 2);
	path[4095] = 0;
	say(stat(path, &st) == 0, "a path of 4,095 bytes");
	path[4095] = '/', path[4096] = 0;
	REFUSED(stat(path, &st), ENAMETOOLONG, "a path of 4,096");
	memset(target, 't', sizeof(target));
	target[4095] = 0;
	say(symlink(target, "long-target") == 0 &&
		    readlink("long-target", back, sizeof(back)) == 4095 &&
		    lstat("long-target", &st) == 0 && st.st_size == 4095,
	    "a symlink of 4,095 bytes");
	target[4095] = 't', target[4096] = 0;
	REFUSED(symlink(target, "longer-target"), ENAMETOOLONG, "a symlink of 4,096");
	REFUSED(symlink("", "empty-target"), ENOENT, "an empty symlink");
}

static void test_loops(void)
{
	char name[32], target[32];
	struct stat st;

	say(symlink("self", "self") == 0 && symlink("b-link", "a-link") == 0 &&
		    symlink("a-link", "b-link") == 0,
	    "symlinks to themselves");
	REFUSED(stat("self", &st), ELOOP, "one");
	REFUSED(open("a-link", O_RDONLY), ELOOP, "two");
	REFUSED(mkdir("self/d", 0755), ELOOP, "on the way");
	make_closed("chain-0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "chain-%d", i);
		snprintf(target, sizeof(target), "chain-%d", i - 1);
		if (symlink(target, name))
			say(false, "chain %d", i);
	}
	say(holds("chain-40", "end"), "40 symlinks in a row");
	REFUSED(stat("chain-41", &st), ELOOP, "41");
}

static void test_bytes(void)
{
	char name[8] = "byte-?";
	int good = 0, seen = 0;
	struct dirent *d;

	mkdir("bytes-dir", 0755);
	if (chdir("bytes-dir"))
		return;
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[5] = (char)c;
		int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		good += fd >= 0 && close(fd) == 0;
	}
	say(good == 254, "names with every byte but / and NUL (%d)", good);
	DIR *dir = opendir(".");

	while ((d = readdir(dir)))
		seen += strncmp(d->d_name, "byte-", 5) == 0 && access(d->d_name, F_OK) == 0;
	closedir(dir);
	say(seen == 254 && chdir("..") == 0, "are listed and found (%d)", seen);
}

static void test_slashes(void)
{
	struct stat st;

	make_closed("slash-file", "s");
	say(mkdir("slash-dir/", 0755) == 0 && stat("slash-dir//", &st) == 0,
	    "mkdir with a slash at the end");
	REFUSED(stat("slash-file/", &st), ENOTDIR, "a file with one");
	REFUSED(open("slash-new/", O_CREAT | O_WRONLY, 0644), EISDIR, "O_CREAT with one");
	REFUSED(rename("slash-file", "slash-new/"), ENOTDIR, "rename of a file to one");
	say(rename("slash-dir/", "slash-dir2/") == 0, "rename of a directory");
	REFUSED(unlink("slash-file/"), ENOTDIR, "unlink");
	say(symlink("slash-dir2", "slash-link") == 0 && lstat("slash-link/", &st) == 0 &&
		    S_ISDIR(st.st_mode),
	    "a symlink to a directory is followed");
	REFUSED(rmdir("slash-link/"), ENOTDIR, "but not removed");
	REFUSED(rmdir("slash-dir2/."), EINVAL, "rmdir of .");
	REFUSED(rmdir("slash-dir2/.."), ENOTEMPTY, "rmdir of ..");
	REFUSED(rename("slash-dir2/.", "x"), EBUSY, "rename of .");
	REFUSED(rename("slash-file", "slash-dir2/.."), EBUSY, "rename to ..");
	REFUSED(mkdir(".", 0755), EEXIST, "mkdir of .");
	REFUSED(open("", O_RDONLY), ENOENT, "an empty path");
	REFUSED(link("slash-file", "no/such"), ENOENT, "link into nothing");
}

static void test_renames(void)
{
	struct stat a, b;

	make_closed("ren", "r");
	stat("ren", &a);
	say(rename("ren", "ren") == 0 && stat("ren", &b) == 0 && a.st_ino == b.st_ino,
	    "a file onto itself");
	say(mkdir("ren-dir", 0755) == 0 && mkdir("ren-dir/child", 0755) == 0 &&
		    mkdir("ren-dir/child/deep", 0755) == 0 && rename("ren-dir", "ren-dir") == 0,
	    "a directory onto itself");
	REFUSED(rename("ren-dir", "ren-dir/child"), EINVAL, "into its own child");
	REFUSED(rename("ren-dir", "ren-dir/child/deep/x"), EINVAL, "deep into itself");
	REFUSED(rename("ren-dir/child/deep", "ren-dir"), ENOTEMPTY, "over its own ancestor");
	REFUSED(renameat2(AT_FDCWD, "ren-dir", AT_FDCWD, "ren-dir/child", RENAME_EXCHANGE), EINVAL,
		"exchange with its child");
	REFUSED(renameat2(AT_FDCWD, "ren-dir/child", AT_FDCWD, "ren-dir", RENAME_EXCHANGE), EINVAL,
		"with its parent");
	REFUSED(renameat2(AT_FDCWD, "ren", AT_FDCWD, "x", RENAME_EXCHANGE | RENAME_NOREPLACE),
		EINVAL, "both flags");
	REFUSED(renameat2(AT_FDCWD, "ren", AT_FDCWD, "ren", RENAME_NOREPLACE), EEXIST,
		"NOREPLACE onto itself");
	say(renameat2(AT_FDCWD, "ren", AT_FDCWD, "ren", RENAME_EXCHANGE) == 0,
	    "exchange with itself");
	say(link("ren", "ren2") == 0 && rename("ren", "ren2") == 0 && access("ren", F_OK) == 0,
	    "onto another name of it: both stay");
	int fd = open("ren", O_RDWR);

	say(rename("ren", "ren-dir/moved") == 0 && unlink("ren2") == 0 &&
		    unlink("ren-dir/moved") == 0 && write(fd, "R2", 2) == 2 && fstat(fd, &a) == 0 &&
		    a.st_nlink == 0 && a.st_size == 2,
	    "a file open through rename and unlink");
	make_closed("ren", "new");
	say(rename("ren", "ren-dir/moved") == 0 && holds("ren-dir/moved", "new") &&
		    pread(fd, &b, 2, 0) == 2 && memcmp(&b, "R2", 2) == 0 && close(fd) == 0,
	    "another file takes its names meanwhile");
	fd = open(".", O_TMPFILE | O_RDWR, 0644);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say(write(fd, "tmp", 3) == 3 &&
		    linkat(AT_FDCWD, path, AT_FDCWD, "from-tmp", AT_SYMLINK_FOLLOW) == 0 &&
		    write(fd, "file", 4) == 4 && rename("from-tmp", "ren-dir/from-tmp") == 0 &&
		    holds("ren-dir/from-tmp", "tmpfile") && close(fd) == 0,
	    "O_TMPFILE, named, written on, renamed");
	REFUSED(linkat(AT_FDCWD, path, AT_FDCWD, "ren-dir/from-tmp", AT_SYMLINK_FOLLOW), ENOENT,
		"linkat of what is closed");
}

static void test_removed_directory(void)
{
	struct stat st;

	say(mkdir("removed", 0755) == 0, "a directory");
	int fd = open("removed", O_RDONLY | O_DIRECTORY);

	say(rmdir("removed") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0,
	    "removed while open has no link");
	REFUSED(openat(fd, "f", O_CREAT | O_WRONLY, 0644), ENOENT, "nothing is made in it");
	REFUSED(mkdirat(fd, "d", 0755), ENOENT, "no directory either");
	REFUSED(linkat(AT_FDCWD, "slash-file", fd, "l", 0), ENOENT, "no link");
	REFUSED(renameat(AT_FDCWD, "slash-file", fd, "l"), ENOENT, "nothing is moved to it");
	DIR *dir = fdopendir(fd);
	int seen = 0;

	while (readdir(dir))
		seen++;
	say(seen <= 2, "and it is empty");
	closedir(dir);
}

static void test_links(void)
{
	struct stat st;

	say(mkdir("count", 0755) == 0 && stat("count", &st) == 0 && st.st_nlink == 2,
	    "a new directory has two links");
	mkdir("count/a", 0755), mkdir("count/b", 0755);
	make_closed("count/f", "");
	say(stat("count", &st) == 0 && st.st_nlink == 4, "one more for each directory in it");
	say(rename("count/a", "a-out") == 0 && stat("count", &st) == 0 && st.st_nlink == 3,
	    "one less for one moved out");
	say(renameat2(AT_FDCWD, "count/b", AT_FDCWD, "slash-file", RENAME_EXCHANGE) == 0 &&
		    stat("count", &st) == 0 && st.st_nlink == 2,
	    "or exchanged for a file");
	say(renameat2(AT_FDCWD, "count/b", AT_FDCWD, "slash-file", RENAME_EXCHANGE) == 0 &&
		    rmdir("count/b") == 0 && stat("count", &st) == 0 && st.st_nlink == 2 &&
		    rename("a-out", "count/a") == 0,
	    "or removed");
	make_closed("count/g", "");
	say(link("count/g", "count/h") == 0 && link("count/h", "g3") == 0 && stat("g3", &st) == 0 &&
		    st.st_nlink == 3,
	    "three names");
	make_closed("over-g", "");
	say(rename("over-g", "g3") == 0 && stat("count/g", &st) == 0 && st.st_nlink == 2,
	    "one was replaced");
}

/* Makes and removes names until it was told how many came and went, or for as long as it lives. */
static void churn(int who, int count)
{
	char name[64];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "busy/churn-%d-%d", who, i % 500);
		int fd = open(name, O_CREAT | O_WRONLY, 0644);

		if (fd < 0 || close(fd) || unlink(name))
			_exit(1);
	}
	_exit(0);
}

/* One reading of the directory: true when every stable name came exactly once, and no name
 * twice. */
static bool reads_stable(int stable)
{
	unsigned char *seen = calloc((size_t)stable, 1);
	DIR *dir = opendir("busy");
	struct dirent *d;
	int count = 0, twice = 0;

	while ((d = readdir(dir))) {
		int n;

		if (sscanf(d->d_name, "stable-%d", &n) == 1 && n >= 0 && n < stable) {
			count++;
			twice += seen[n]++ != 0;
		}
	}
	closedir(dir);
	free(seen);
	return count == stable && !twice;
}

static void test_busy_directory(int names)
{
	const int stable = 3000;
	int readings = 0, status, left = 2;
	bool good = mkdir("busy", 0755) == 0, ended_well = true;
	char name[64];

	for (int i = 0; i < stable; i++) {
		snprintf(name, sizeof(name), "busy/stable-%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	fflush(stdout);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			churn(i, names / 2);
	while (left > 0) {
		good &= reads_stable(stable);
		readings++;
		while (waitpid(-1, &status, WNOHANG) > 0) {
			left--;
			ended_well &= status == 0;
		}
	}
	say(good && ended_well,
	    "while %d names come and go, %d readings show each of %d others once", names, readings,
	    stable);
}

/* Reads on until count names or the end, and notes whether one of them is `wanted`: how many names
 * that were. */
static int read_on(DIR *dir, int count, const char *wanted, bool *found)
{
	struct dirent *d;
	int n = 0;

	while (n < count && (d = readdir(dir))) {
		n++;
		*found |= strcmp(d->d_name, wanted) == 0;
	}
	return n;
}

/* A listing that begins after a change shows it, whatever another one read before the change and
 * reads on meanwhile. */
static void test_overtaken_listing(void)
{
	enum { COUNT = 3000 };
	char name[300], gone[256] = "";
	bool before = false, found = false;
	struct dirent *d;

	mkdir("overtaken", 0755);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "overtaken/a name of some length %d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	DIR *early = opendir("overtaken");

	for (int i = 0; i < 1200 && (d = readdir(early)); i++)
		if (i >= 600 && !gone[0] && d->d_name[0] != '.')
			snprintf(gone, sizeof(gone), "%s", d->d_name);
	snprintf(name, sizeof(name), "overtaken/%s", gone);
	unlink(name);
	DIR *late = opendir("overtaken");
	int seen = read_on(late, 1, gone, &found);

	say(read_on(early, COUNT, gone, &before) + 1200 >= COUNT + 1,
	    "a listing goes on while names go");
	seen += read_on(late, COUNT + 2, gone, &found);
	say(seen == COUNT + 1 && !found, "one that began after a removal does not show the name");
	rewinddir(early);
	seen = read_on(early, COUNT + 2, gone, &found);
	say(seen == COUNT + 1 && !found, "nor does the early one from its start again");
	closedir(early);
	closedir(late);
	say(system("rm -r overtaken") == 0, "and the directory can be removed");
}

static void test_positions(void)
{
	enum { COUNT = 1500 };
	static long at[COUNT + 2];
	static char names[COUNT + 2][16];
	char name[32];
	struct dirent *d;
	int n = 0;
	bool good = true;

	mkdir("positions", 0755);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "positions/%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	DIR *dir = opendir("positions");

	do {
		at[n] = telldir(dir);
		d = readdir(dir);
		if (d)
			snprintf(names[n++], sizeof(names[0]), "%.15s", d->d_name);
	} while (d && n < COUNT + 2);
	say(n == COUNT + 2, "a listing with a position before each name");
	for (int i = 0; i < 300; i++) {
		int k = (i * 7919 + 13) % n;

		seekdir(dir, at[k]);
		d = readdir(dir);
		good &= d && strcmp(d->d_name, names[k]) == 0;
	}
	say(good, "seekdir goes back to each");
	for (int i = 0; i < n; i += 2)
		if (names[i][0] != '.') {
			snprintf(name, sizeof(name), "positions/%.15s", names[i]);
			unlink(name);
		}
	int k = n / 2 | 1;

	seekdir(dir, at[k]);
	d = readdir(dir);
	say(d && (strcmp(d->d_name, names[k]) == 0 || names[k][0] == '.'),
	    "also when the name before it was removed");
	closedir(dir);
	say(system("rm -r positions") == 0, "and it can be removed");
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_lengths();
	test_loops();
	test_bytes();
	test_slashes();
	test_renames();
	test_removed_directory();
	test_links();
	test_positions();
	test_overtaken_listing();
	test_busy_directory(argc > 4 ? atoi(argv[4]) : 4000);
	return 0;
}
