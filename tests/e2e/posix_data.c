/* posix_data - bytes: large offsets, maps, holes, copies, writers beside each other, nodes (see
 * posix.h). */
#include "posix.h"

#include <linux/falloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/un.h>

static void test_offsets(void)
{
	const off_t last = INT64_MAX;
	struct stat st;
	char c = 'x';
	int fd = make("offsets", "start");

	REFUSED(pwrite(fd, &c, 1, last - 1), EFBIG, "a write at 2^63-2");
	REFUSED(pwrite(fd, &c, 1, last - 4096), EFBIG, "a write just below");
	REFUSED(pwrite(fd, &c, 1, -1), EINVAL, "a write at -1");
	REFUSED(ftruncate(fd, last), EFBIG, "a size of 2^63-1");
	REFUSED(truncate("offsets", last), EFBIG, "by name too");
	REFUSED(fallocate(fd, 0, last - 5, 5), EFBIG, "fallocate up to 2^63-1");
	REFUSED(fallocate(fd, 0, last, 5), EFBIG, "and past it");
	REFUSED(fallocate(fd, 0, 0, 0), EINVAL, "fallocate of nothing");
	REFUSED(fallocate(fd, 0, -1, 5), EINVAL, "fallocate at -1");
	say(pread(fd, &c, 1, last - 1) == 0, "a read just below 2^63 finds the end");
	REFUSED(lseek(fd, -1, SEEK_SET), EINVAL, "seek before the start");
	say(lseek(fd, 1ll << 43, SEEK_SET) == 1ll << 43 && read(fd, &c, 1) == 0,
	    "seek past the end");
	say(fstat(fd, &st) == 0 && st.st_size == 5 && holds("offsets", "start"),
	    "all that left the file alone");
	const off_t terabytes = 8ll << 40;

	say(pwrite(fd, "end", 3, terabytes) == 3 && fstat(fd, &st) == 0 &&
		    st.st_size == terabytes + 3,
	    "a byte at 8 TiB");
	say(pread(fd, &c, 1, terabytes) == 1 && c == 'e', "is read back");
	say(ftruncate(fd, 3) == 0 && close(fd) == 0 && holds("offsets", "sta"), "and cut off");
}

static void test_file_size_limit(void)
{
	struct rlimit old, few = { 10000, 10000 };

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open("limited", O_RDWR | O_CREAT, 0644);
		char data[8000] = { 0 };

		signal(SIGXFSZ, SIG_IGN);
		getrlimit(RLIMIT_FSIZE, &old);
		few.rlim_max = old.rlim_max;
		bool good = setrlimit(RLIMIT_FSIZE, &few) == 0 && write(fd, data, 8000) == 8000 &&
			    write(fd, data, 8000) == 2000;

		good &= write(fd, data, 1) == -1 && errno == EFBIG;
		good &= ftruncate(fd, 10001) == -1 && errno == EFBIG;
		good &= fallocate(fd, 0, 0, 10001) == -1 && errno == EFBIG;
		_exit(good ? 0 : 1);
	}
	int status;

	say(waitpid(pid, &status, 0) == pid && status == 0,
	    "RLIMIT_FSIZE holds for write, truncate and fallocate");
}

static sigjmp_buf bus;

static void on_bus(int number)
{
	(void)number;
	siglongjmp(bus, 1);
}

/* True when reading (writing) a byte of a map raises SIGBUS. */
static bool raises_bus(volatile char *at, bool write_it)
{
	struct sigaction action = { .sa_handler = on_bus }, old;
	bool raised = true;

	sigaction(SIGBUS, &action, &old);
	if (sigsetjmp(bus, 1) == 0) {
		if (write_it)
			*at = 1;
		else
			(void)*at;
		raised = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return raised;
}

static void test_maps(void)
{
	static char page[16384];
	int fd = open("maps", O_RDWR | O_CREAT, 0644), other = open("maps", O_RDWR);
	char back[8], zeros[4096] = { 0 };

	memset(page, 'a', sizeof(page));
	say(write(fd, page, 16384) == 16384, "maps: a file of four pages");
	char *p = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *q = mmap(NULL, 4 * 4096, PROT_READ, MAP_SHARED, other, 0);

	say(p != MAP_FAILED && q != MAP_FAILED, "is mapped twice");
	say(raises_bus(p + 4 * 4096, false) && raises_bus(p + 4 * 4096, true),
	    "past its end is SIGBUS");
	p[5000] = 'b';
	say(q[5000] == 'b' && pread(other, back, 1, 5000) == 1 && back[0] == 'b',
	    "one map's write is in the other and in read");
	say(pwrite(other, "cc", 2, 6000) == 2 && p[6000] == 'c' && p[6001] == 'c',
	    "a write is in the map");
	say(ftruncate(other, 4100) == 0, "cut to a page and 4 bytes");
	say(raises_bus(p + 2 * 4096, false) && raises_bus(q + 3 * 4096, false),
	    "what is gone is SIGBUS");
	say(p[4099] == 'a' && p[4100] == 0 && memcmp(p + 4100, zeros, 8192 - 4100) == 0,
	    "the rest of the page is zeros");
	say(ftruncate(fd, 16384) == 0 && pread(fd, back, 8, 4096) == 8 &&
		    memcmp(back, "aaaa\0\0\0\0", 8) == 0,
	    "lengthened: what was cut off is zeros");
	say(!raises_bus(p + 3 * 4096, false) && p[3 * 4096] == 0, "and no SIGBUS any more");
	p[3 * 4096 + 7] = 'k';
	say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * 4096, 4096) == 0 &&
		    p[3 * 4096 + 7] == 0,
	    "a hole is in the map");
	p[100] = 'm';
	close(fd);
	close(other);
	p[101] = 'n';
	say(munmap(q, 4 * 4096) == 0 && munmap(p, 5 * 4096) == 0,
	    "written and unmapped after the close");
	fd = open("maps", O_RDONLY);
	say(pread(fd, back, 2, 100) == 2 && memcmp(back, "mn", 2) == 0, "both bytes are there");
	close(fd);
	fd = open("maps", O_RDONLY);
	REFUSED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0,
		EACCES, "a writable map of a file opened for reading");
	close(fd);
}

static void test_map_between_processes(void)
{
	int fd = open("shared-map", O_RDWR | O_CREAT, 0644), ready[2];

	say(ftruncate(fd, 8192) == 0 && pipe(ready) == 0, "a file mapped by two processes");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int own = open("shared-map", O_RDWR);
		char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);

		memcpy(p + 4000, "over the page's border", 22);
		_exit(write(ready[1], "r", 1) == 1 ? 0 : 1);
	}
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), c;
	int status;

	say(read(ready[0], &c, 1) == 1 && memcmp(p + 4000, "over the page's border", 22) == 0,
	    "shows what the other wrote");
	say(waitpid(pid, &status, 0) == pid && status == 0 && munmap(p, 8192) == 0,
	    "and all ends well");
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void test_holes(void)
{
	static char data[65536];
	int fd = open("holes", O_RDWR | O_CREAT, 0644);
	struct stat st;

	REFUSED(lseek(fd, 0, SEEK_DATA), ENXIO, "SEEK_DATA in an empty file");
	REFUSED(lseek(fd, 0, SEEK_HOLE), ENXIO, "SEEK_HOLE in an empty file");
	memset(data, 'd', sizeof(data));
	say(pwrite(fd, data, 65536, 1 << 20) == 65536 &&
		    pwrite(fd, data, 65536, 4 << 20) == 65536 && fsync(fd) == 0,
	    "two islands");
	off_t one = lseek(fd, 0, SEEK_DATA), end = lseek(fd, 1 << 20, SEEK_HOLE),
	      two = lseek(fd, 2 << 20, SEEK_DATA);

	say(one > 0 && one <= 1 << 20 && end >= (1 << 20) + 65536 && end < 4 << 20 &&
		    two > 2 << 20 && two <= 4 << 20,
	    "are found (%lld, %lld, %lld)", (long long)one, (long long)end, (long long)two);
	say(lseek(fd, (1 << 20) + 5, SEEK_DATA) == (1 << 20) + 5, "SEEK_DATA in data stays");
	say(lseek(fd, 5, SEEK_HOLE) == 5, "SEEK_HOLE in a hole stays");
	REFUSED(lseek(fd, (4 << 20) + 65536, SEEK_DATA), ENXIO, "SEEK_DATA at the end");
	REFUSED(lseek(fd, (4 << 20) + 65537, SEEK_HOLE), ENXIO, "SEEK_HOLE past the end");
	REFUSED(lseek(fd, -1, SEEK_DATA), ENXIO, "SEEK_DATA at -1");
	REFUSED(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP, "a hole without KEEP_SIZE");
	say(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 65536) == 0 &&
		    fsync(fd) == 0 && lseek(fd, 0, SEEK_DATA) > 2 << 20,
	    "a punched island is a hole");
	say(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8 << 20, 4096) == 0 &&
		    fstat(fd, &st) == 0 && st.st_size == (4 << 20) + 65536,
	    "ZERO_RANGE|KEEP_SIZE past the end leaves the size");
	say(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8 << 20, 4096) == 0 && fstat(fd, &st) == 0 &&
		    st.st_size == (8 << 20) + 4096, "ZERO_RANGE moves it");
	close(fd);
	fd = open("holes", O_RDONLY);
	REFUSED(fallocate(fd, 0, 0, 10), EBADF, "fallocate on a handle for reading");
	close(fd);
	fd = open(".", O_RDONLY);
	REFUSED(fallocate(fd, 0, 0, 10), EBADF, "fallocate of a directory");
	close(fd);
}

static void test_copying(void)
{
	static char data[200000], back[200000];
	int a = open("copy-a", O_RDWR | O_CREAT, 0644), b = open("copy-b", O_RDWR | O_CREAT, 0644),
	    ends[2];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 2654435761u >> 9);
	say(write(a, data, sizeof(data)) == (ssize_t)sizeof(data), "a source");
	loff_t from = 100, to = 50;

	REFUSED(copy_file_range(a, &from, a, &to, 100, 0), EINVAL, "copy_file_range over itself");
	REFUSED(copy_file_range(a, &from, b, &to, 100, 1), EINVAL, "with flags");
	to = 150000;
	say(copy_file_range(a, &from, a, &to, 1000, 0) == 1000 &&
		    pread(a, back, 1000, 150000) == 1000 && memcmp(back, data + 100, 1000) == 0,
	    "within one file");
	memcpy(data + 150000, data + 100, 1000);
	from = 199990, to = 0;
	say(copy_file_range(a, &from, b, &to, 1000, 0) == 10 && to == 10, "only what there is");
	int append = open("copy-b", O_WRONLY | O_APPEND), reading = open("copy-b", O_RDONLY),
	    directory = open(".", O_RDONLY);

	from = 0;
	REFUSED(copy_file_range(a, &from, append, NULL, 10, 0), EBADF, "to a handle that appends");
	REFUSED(copy_file_range(a, &from, reading, NULL, 10, 0), EBADF, "to a handle for reading");
	REFUSED(copy_file_range(directory, NULL, b, NULL, 10, 0), EISDIR, "from a directory");
	close(append), close(reading), close(directory);
	off_t at = 7;

	say(ftruncate(b, 0) == 0 && lseek(b, 0, SEEK_SET) == 0 &&
		    sendfile(b, a, &at, 100000) == 100000 && at == 100007 &&
		    pread(b, back, 100000, 0) == 100000 && memcmp(back, data + 7, 100000) == 0,
	    "sendfile from file to file");
	say(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "a socket");
	at = 1;
	say(sendfile(ends[0], a, &at, 5000) == 5000 &&
		    recv(ends[1], back, 5000, MSG_WAITALL) == 5000 &&
		    memcmp(back, data + 1, 5000) == 0,
	    "sendfile to it");
	close(ends[0]), close(ends[1]);
	say(pipe(ends) == 0, "a pipe");
	from = 3;
	say(splice(a, &from, ends[1], NULL, 4000, 0) == 4000, "splice from a file");
	to = 9;
	say(splice(ends[0], NULL, b, &to, 4000, 0) == 4000 && pread(b, back, 4000, 9) == 4000 &&
		    memcmp(back, data + 3, 4000) == 0, "and into another");
	close(ends[0]), close(ends[1]);
	struct iovec v[3] = { { back, 10 }, { back + 10, 0 }, { back + 10, 5000 } };

	say(preadv(a, v, 3, 20) == 5010 && memcmp(back, data + 20, 5010) == 0, "preadv");
	say(pwritev2(b, v, 3, 100, RWF_DSYNC) == 5010 && pread(b, back, 1, 100) == 1 &&
		    back[0] == data[20],
	    "pwritev2, RWF_DSYNC");
	struct stat st;

	say(fstat(b, &st) == 0 && pwritev2(b, v, 1, 0, RWF_APPEND) == 10 &&
		    lseek(b, 0, SEEK_END) == st.st_size + 10, "pwritev2, RWF_APPEND");
	say(sync_file_range(b, 0, 100, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0 &&
		    posix_fadvise(b, 0, 0, POSIX_FADV_DONTNEED) == 0 && readahead(b, 0, 4096) == 0,
	    "sync_file_range, fadvise, readahead");
	close(a), close(b);
}

enum { WRITERS = 4, RECORDS = 250 };

/* Each record: its length, then that many bytes of its writer. */
static void append_records(int writer)
{
	int fd = open("records", O_WRONLY | O_APPEND);
	char record[256];

	for (int i = 0; i < RECORDS; i++) {
		int n = 1 + (i * 37 + writer * 11) % 250;

		record[0] = (char)n;
		memset(record + 1, 'A' + writer, (size_t)n);
		if (write(fd, record, (size_t)n + 1) != n + 1)
			_exit(1);
	}
	_exit(0);
}

static void test_appending(void)
{
	int counts[WRITERS] = { 0 }, status, fd;
	bool good = true;

	make_closed("records", "");
	fflush(stdout);
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0)
			append_records(i);
	for (int i = 0; i < WRITERS; i++)
		good &= wait(&status) > 0 && status == 0;
	fd = open("records", O_RDONLY);
	unsigned char record[256], n;

	while (good && read(fd, &n, 1) == 1) {
		good &= read(fd, record, n) == n && record[0] >= 'A' && record[0] < 'A' + WRITERS;
		for (int i = 1; good && i < n; i++)
			good &= record[i] == record[0];
		if (good)
			counts[record[0] - 'A']++;
	}
	for (int i = 0; i < WRITERS; i++)
		good &= counts[i] == RECORDS;
	say(good, "four processes append 1,000 records: none is lost or torn");
	close(fd);
}

static void test_direct(void)
{
	int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644), plain;
	char *page = aligned_alloc(4096, 8192), c;

	say(fd >= 0, "O_DIRECT is taken");
	plain = open("direct", O_RDWR);
	memset(page, 'D', 8192);
	say(pwrite(fd, page, 8192, 0) == 8192 && pread(plain, &c, 1, 5000) == 1 && c == 'D',
	    "written so, read as usual");
	say(pwrite(plain, "p", 1, 4096) == 1 && pread(fd, page, 4096, 4096) == 4096 &&
		    page[0] == 'p',
	    "and the other way");
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);

	map[1] = 'm';
	say(msync(map, 8192, MS_SYNC) == 0 && pread(fd, page, 4096, 0) == 4096 && page[1] == 'm',
	    "a map's bytes too");
	memset(page, 'E', 4096);
	say(pwrite(fd, page, 4096, 0) == 4096 && map[1] == 'E', "and into the map");
	munmap(map, 8192);
	free(page);
	close(fd), close(plain);
}

static void test_nodes(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "a-socket" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c, status;
	char buf[8];

	say(mkfifo("a-fifo", 0644) == 0, "a fifo between processes");
	say(bind(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(s, 5) == 0,
	    "a socket between processes");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int w = open("a-fifo", O_WRONLY), k = socket(AF_UNIX, SOCK_STREAM, 0);
		bool good = write(w, "fifo", 4) == 4 &&
			    connect(k, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
			    write(k, "sock", 4) == 4;
		_exit(good ? 0 : 1);
	}
	int r = open("a-fifo", O_RDONLY);

	say(read(r, buf, 8) == 4 && memcmp(buf, "fifo", 4) == 0, "bytes through the fifo");
	c = accept(s, NULL, NULL);
	say(c >= 0 && read(c, buf, 4) == 4 && memcmp(buf, "sock", 4) == 0,
	    "bytes through the socket");
	say(waitpid(pid, &status, 0) == pid && status == 0, "the other end is content");
	close(r), close(c), close(s);
	REFUSED(open("a-fifo", O_WRONLY | O_NONBLOCK), ENXIO, "a fifo nobody reads");
	REFUSED(open("a-socket", O_RDWR), ENXIO, "open of a socket");
	REFUSED(truncate("a-fifo", 0), EINVAL, "truncate of a fifo");
}

/* Reads what inotify has to say within half a second: the masks, or'ed by name's first letter. */
static uint32_t events_of(int fd, char first)
{
	char buf[4096] __attribute__((aligned(8)));
	struct pollfd p = { fd, POLLIN, 0 };
	uint32_t all = 0;

	while (poll(&p, 1, 50) > 0) {
		ssize_t n = read(fd, buf, sizeof(buf));

		for (char *at = buf; at < buf + n;) {
			struct inotify_event *e = (struct inotify_event *)at;

			if (e->len && e->name[0] == first)
				all |= e->mask;
			at += sizeof(*e) + e->len;
		}
	}
	return all;
}

static void test_inotify(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	say(mkdir("watched", 0755) == 0 && inotify_add_watch(fd, "watched", IN_ALL_EVENTS) >= 0,
	    "a watched directory");
	make_closed("watched/f", "text");
	uint32_t all = events_of(fd, 'f');

	say((all & IN_CREATE) && (all & IN_MODIFY) && (all & IN_CLOSE_WRITE),
	    "tells of a file made, written and closed");
	chmod("watched/f", 0600);
	say(events_of(fd, 'f') & IN_ATTRIB, "of its attributes");
	rename("watched/f", "watched/g");
	all = events_of(fd, 'f');
	say(all & IN_MOVED_FROM, "of its move");
	rename("watched/g", "watched/h");
	say(events_of(fd, 'h') & IN_MOVED_TO, "both ends");
	truncate("watched/h", 1);
	say(events_of(fd, 'h') & IN_MODIFY, "of a truncate");
	unlink("watched/h");
	say(events_of(fd, 'h') & IN_DELETE, "of its end");
	mkdir("watched/d", 0755);
	say((events_of(fd, 'd') & (IN_CREATE | IN_ISDIR)) == (IN_CREATE | IN_ISDIR),
	    "of a directory");
	close(fd);
}

static void test_filesystem(void)
{
	struct statfs a, b;
	int directory = open(".", O_RDONLY | O_DIRECTORY), fd = make("synced", "s");

	say(fsync(directory) == 0 && fdatasync(directory) == 0 && syncfs(directory) == 0,
	    "fsync of a directory, syncfs");
	say(statfs(".", &a) == 0 && fstatfs(fd, &b) == 0 && a.f_type == b.f_type && a.f_bsize > 0 &&
		    a.f_frsize > 0 && a.f_blocks >= a.f_bfree && a.f_bfree >= a.f_bavail &&
		    a.f_files >= a.f_ffree && a.f_namelen == 255,
	    "statfs is consistent");
	say(pathconf(".", _PC_NAME_MAX) == 255 && pathconf(".", _PC_PATH_MAX) == 4096 &&
		    pathconf(".", _PC_LINK_MAX) > 1,
	    "pathconf: names of 255, paths of 4096");
	REFUSED(read(directory, &a, 1), EISDIR, "read of a directory");
	REFUSED(write(directory, &a, 1), EBADF, "write to a directory");
	close(fd), close(directory);
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_offsets();
	test_file_size_limit();
	test_maps();
	test_map_between_processes();
	test_holes();
	test_copying();
	test_appending();
	test_direct();
	test_nodes();
	test_inotify();
	test_filesystem();
	return 0;
}
