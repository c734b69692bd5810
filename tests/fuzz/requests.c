/* requests.c - requests as the kernel sends them, to a whole mount without a kernel: fs/kernel.h
 * and all operations.
 *
 * What the kernel guarantees is kept (lengths that are true, strings that end, sizes of answers
 * that it has room for); everything else is the input's: operations, inodes, handles, names,
 * offsets, flags.  Every request is answered once. Input: requests one after the other, each an
 * opcode's index, who asks, an inode, then its fields as numbers. */
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fs/kernel.h"
#include "fs/log.h"
#include "fs/ops.h"
#include "fs/publisher.h"
#include "share.h"

#define REQUESTS_MAX 24
#define ANSWER_MAX 65536u

/* Fields: d u32, q u64, h a handle, n an inode, s a size of the answer, L the length of the data at
 * the end, c the number 1, m a mode with the type of a file that is no directory; then so many
 * names, and the data. */
static const struct {
	uint32_t opcode;
	const char *fields;
	unsigned names;
} kinds[] = {
	{ FUSE_LOOKUP, "", 1 },
	{ FUSE_FORGET, "q", 0 },
	{ FUSE_GETATTR, "ddh", 0 },
	{ FUSE_SETATTR, "ddhqqqqqdddddddd", 0 },
	{ FUSE_READLINK, "", 0 },
	{ FUSE_SYMLINK, "", 2 },
	{ FUSE_MKNOD, "mddd", 1 },
	{ FUSE_MKDIR, "dd", 1 },
	{ FUSE_UNLINK, "", 1 },
	{ FUSE_RMDIR, "", 1 },
	{ FUSE_RENAME, "n", 2 },
	{ FUSE_LINK, "n", 1 },
	{ FUSE_OPEN, "dd", 0 },
	{ FUSE_READ, "hqsdqdd", 0 },
	{ FUSE_WRITE, "hqLdqdd", 0 },
	{ FUSE_STATFS, "", 0 },
	{ FUSE_RELEASE, "hddq", 0 },
	{ FUSE_FSYNC, "hdd", 0 },
	{ FUSE_SETXATTR, "Ld", 1 },
	{ FUSE_GETXATTR, "sd", 1 },
	{ FUSE_LISTXATTR, "sd", 0 },
	{ FUSE_REMOVEXATTR, "", 1 },
	{ FUSE_FLUSH, "hddq", 0 },
	{ FUSE_OPENDIR, "dd", 0 },
	{ FUSE_READDIR, "hqsdqdd", 0 },
	{ FUSE_RELEASEDIR, "hddq", 0 },
	{ FUSE_FSYNCDIR, "hdd", 0 },
	{ FUSE_CREATE, "dmdd", 1 },
	{ FUSE_BATCH_FORGET, "cdnq", 0 },
	{ FUSE_FALLOCATE, "hqqdd", 0 },
	{ FUSE_READDIRPLUS, "hqsdqdd", 0 },
	{ FUSE_RENAME2, "ndd", 2 },
	{ FUSE_LSEEK, "hqdd", 0 },
	{ FUSE_COPY_FILE_RANGE, "hqnhqqq", 0 },
	{ FUSE_SYNCFS, "q", 0 },
	{ FUSE_TMPFILE, "dmdd", 0 },
	{ 52 /* STATX */, "ddhdd", 0 },
};

static struct mount m;
static struct bases *bases;
static uint64_t unique, seen_nodes[16], seen_handles[32];
static unsigned node_count, handle_count;
static int answers[2]; /* a socket pair: kernel.c writes its answers to a descriptor by itself */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static uint64_t last_answered;

/* --- the kernel's side ---------------------------------------------------- */

static void note_node(uint64_t node)
{
	seen_nodes[node_count++ % 16] = node;
}

static void note_handle(uint64_t fh)
{
	seen_handles[handle_count++ % 32] = fh;
}

/* An answer came: what it tells of inodes and handles is for the requests to come. */
static void note_answer(uint32_t opcode, const uint8_t *body, size_t n)
{
	struct fuse_entry_out entry;
	struct fuse_open_out opened;
	bool is_entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKNOD || opcode == FUSE_MKDIR ||
			opcode == FUSE_SYMLINK || opcode == FUSE_LINK || opcode == FUSE_CREATE ||
			opcode == FUSE_TMPFILE;
	bool is_open = opcode == FUSE_OPEN || opcode == FUSE_OPENDIR || opcode == FUSE_CREATE ||
		       opcode == FUSE_TMPFILE;

	if (is_entry && n >= sizeof(entry)) {
		memcpy(&entry, body, sizeof(entry));
		must(entry.nodeid == 0 || entry.attr.mode & S_IFMT);
		note_node(entry.nodeid);
		body += sizeof(entry);
		n -= sizeof(entry);
	}
	if (is_open && n >= sizeof(opened)) {
		memcpy(&opened, body, sizeof(opened));
		note_handle(opened.fh);
	}
}

static uint32_t current_opcode;

static ssize_t take_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	static uint8_t bytes[ANSWER_MAX * 2];
	const struct fuse_out_header *header = (const void *)bytes;
	size_t n = 0;

	(void)fd, (void)userdata;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < count; i++) {
		must(n + iov[i].iov_len <= sizeof(bytes));
		memcpy(bytes + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	must(n >= sizeof(*header) && header->len == n);
	must(header->error <= 0 && header->error > -512);
	if (header->unique) { /* else a notification */
		must(header->unique == unique && last_answered == unique - 1);
		last_answered = header->unique;
		if (header->error == 0)
			note_answer(current_opcode, bytes + sizeof(*header), n - sizeof(*header));
		pthread_cond_broadcast(&answered);
	}
	pthread_mutex_unlock(&lock);
	return (ssize_t)n;
}

/* What kernel.c answers goes to a socket, from where it comes here. */
static void *relay(void *arg)
{
	static uint8_t bytes[ANSWER_MAX * 2];
	ssize_t n;

	(void)arg;
	while ((n = recv(answers[1], bytes, sizeof(bytes), 0)) > 0 || errno == EINTR) {
		if (n <= 0)
			continue; /* libFuzzer's clock ticks */
		struct iovec iov = { bytes, (size_t)n };

		take_answer(-1, &iov, 1, NULL);
	}
	return NULL;
}

static void send_request(uint8_t *bytes, size_t n)
{
	struct fuse_in_header *in = (void *)bytes;
	struct fuse_buf buf = { .size = n, .mem = bytes };
	struct timespec until;

	in->len = (uint32_t)n;
	in->unique = ++unique;
	current_opcode = in->opcode;
	if (!kernel_handle(&m, answers[0], &buf))
		fuse_session_process_buf(m.session, &buf);
	if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET)
		last_answered = unique;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&lock);
	while (last_answered < unique)
		must(pthread_cond_timedwait(&answered, &lock, &until) == 0);
	pthread_mutex_unlock(&lock);
}

/* --- making requests ------------------------------------------------------ */

static uint64_t choose(struct input *in, const uint64_t *seen, unsigned count)
{
	uint8_t which = take_u8(in);

	if (which >= 0xf0)
		return take_number(in);
	return which < 0x80 && count ? seen[which % (count < 16 ? count : 16)] : which & 0x1fu;
}

static void put(uint8_t *bytes, size_t *n, const void *from, size_t len)
{
	memcpy(bytes + *n, from, len);
	*n += len;
}

static void put_field(uint8_t *bytes, size_t *n, char kind, struct input *in, size_t data)
{
	static const uint32_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR };
	uint64_t wide = kind == 'h'
				? choose(in, seen_handles, handle_count < 32 ? handle_count : 32)
			: kind == 'n' ? choose(in, seen_nodes, node_count)
			: kind == 'L' ? data
			: kind == 'c' ? 1
				      : take_number(in);
	uint32_t narrow = (uint32_t)wide;

	if (kind == 'm')
		narrow = (narrow & 07777) | types[narrow >> 12 & 3];
	if (kind == 's')
		narrow = narrow < ANSWER_MAX ? narrow : ANSWER_MAX;
	if (strchr("qhn", kind))
		put(bytes, n, &wide, sizeof(wide));
	else
		put(bytes, n, &narrow, sizeof(narrow));
}

static void put_name(uint8_t *bytes, size_t *n, struct input *in)
{
	static const char *const known[] = { "dept",
					     "budget.csv",
					     HISTORY_NAME,
					     "new.xlsx",
					     "at",
					     "files",
					     "tags",
					     "by",
					     "a",
					     "b",
					     "user.note",
					     "system.posix_acl_access",
					     "system.posix_acl_default",
					     "now",
					     "secret",
					     "security.x" };
	uint8_t kind = take_u8(in);
	struct view name = kind < 0x80 ? view_str(known[kind & 15]) : take_string(in);

	for (size_t i = 0; i < name.len && ((const char *)name.data)[i]; i++)
		put(bytes, n, (const char *)name.data + i, 1);
	put(bytes, n, "", 1);
}

static void make_request(struct input *in)
{
	static uint8_t bytes[8192] __attribute__((aligned(8)));
	size_t which = take_u8(in) % (sizeof(kinds) / sizeof(kinds[0])),
	       n = sizeof(struct fuse_in_header);
	struct credentials who = share_person(take_u8(in));
	struct fuse_in_header *head = (void *)bytes;
	bool has_data = strchr(kinds[which].fields, 'L');
	struct view data = has_data ? take_string(in) : (struct view){ 0 };

	*head = (struct fuse_in_header){ .opcode = kinds[which].opcode,
					 .uid = who.uid,
					 .gid = who.gid,
					 .nodeid = choose(in, seen_nodes, node_count) };
	for (const char *field = kinds[which].fields; *field; field++)
		put_field(bytes, &n, *field, in, data.len);
	for (unsigned i = 0; i < kinds[which].names; i++)
		put_name(bytes, &n, in);
	if (data.len)
		put(bytes, &n, data.data, data.len);
	send_request(bytes, n);
}

/* --- the mount ------------------------------------------------------------ */

static void greet(void)
{
	struct {
		struct fuse_in_header head;
		struct fuse_init_in init;
	} request = { .head = { .opcode = FUSE_INIT },
		      .init = { .major = 7,
				.minor = 38,
				.max_readahead = 65536,
				.flags = ~(uint32_t)FUSE_INIT_EXT } };

	send_request((uint8_t *)&request, sizeof(request));
}

static void ignore_stop(void *arg)
{
	(void)arg;
}

static void begin(void)
{
	static const struct fuse_custom_io io = { .writev = take_answer, .read = kernel_read };
	char *argv[] = { "daybookd", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	static int null = -1;
	static struct region region;

	share_begin();
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	m = (struct mount){
		.store = share, .mountpoint = "/nowhere", .fd = null, .region = &region
	};
	region = (struct region){ 0 };
	made(bases_new(NULL, &bases, NULL));
	made(files_new(share, bases, &m.files, NULL));
	made(handles_new(NULL, &m.handles, NULL));
	made(history_open(share, NULL, &m.history, NULL));
	made(syncer_start(share, &m.syncer, NULL));
	made(publisher_start(m.files, m.store, ignore_stop, NULL, &m.publisher, NULL));
	m.session = fuse_session_new(&args, &ops_table, sizeof(ops_table), &m);
	must(m.session && fuse_session_custom_io(m.session, &io, dup(null)) == 0);
	fuse_opt_free_args(&args);
	made(notifier_start(-1, &m.notifier, NULL));
	greet();
}

static void end(void)
{
	if (!share)
		return;
	notifier_stop(m.notifier);
	publisher_stop(m.publisher);
	syncer_stop(m.syncer);
	fuse_session_destroy(m.session);
	files_free(m.files, false);
	handles_free(m.handles);
	history_close(m.history);
	bases_free(bases);
	share_close();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;

	(void)argc, (void)argv;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, answers) == 0);
	must(pthread_create(&thread, NULL, relay, NULL) == 0 && pthread_detach(thread) == 0);
	share_begin(); /* so that what ends it is registered first and called last */
	share_close();
	atexit(end);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (share_worn()) {
		end();
		begin();
	}
	node_count = handle_count = 0;
	note_node(ROOT_INODE);
	for (unsigned i = 0; i < REQUESTS_MAX && in.left > 0; i++)
		make_request(&in);
	/* The kernel closes what is open, and says goodbye to what it knows. */
	for (unsigned i = 0; i < handle_count && i < 32; i++) {
		struct {
			struct fuse_in_header head;
			struct fuse_release_in release;
		} request = { .head = { .opcode = FUSE_RELEASE, .nodeid = 1 },
			      .release = { .fh = seen_handles[i] } };

		send_request((uint8_t *)&request, sizeof(request));
	}
	return 0;
}
