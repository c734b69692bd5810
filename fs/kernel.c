/* kernel.c - see kernel.h.  The structures are those of the kernel's include/uapi/linux/fuse.h;
 * what Debian 12's copy of it does not have yet is declared here. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "holder.h"
#include "log.h"
#include "ops.h"
#include "order.h"
#include "store/clock.h"

#define OPCODE_STATX 52 /* protocol 7.39 */
#define NOTIFY_RESEND 7 /* protocol 7.40 */
#define INIT2_HAS_RESEND (1u << 7)

struct statx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t unused;
};

struct statx_attributes {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, unused0;
	uint64_t ino, size, blocks, attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t unused2[14];
};

struct statx_answer {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct statx_attributes stat;
};

/* The INIT request that is being answered: its id, and what the kernel offered. */
static _Atomic uint64_t init_unique;
static _Atomic uint32_t init_offered;
static _Atomic uint64_t replayed; /* the greeting's number, while libfuse hears it again */

#define INIT_WANTED (FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS)

static void want(struct fuse_conn_info *conn, unsigned capability)
{
	if (conn->capable & capability)
		conn->want |= capability;
}

void kernel_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	want(conn, FUSE_CAP_EXPORT_SUPPORT);
	want(conn, FUSE_CAP_DONT_MASK);
	want(conn, FUSE_CAP_POSIX_ACL);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	want(conn, FUSE_CAP_HANDLE_KILLPRIV);
	want(conn, FUSE_CAP_READDIRPLUS);
	want(conn, FUSE_CAP_READDIRPLUS_AUTO);
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);
	/* Write-through: under writeback, writes come as root and kill -9 would lose what was
	 * acknowledged. Locks are the kernel's.  The size and times of a file change only through
	 * this mount, so cached bytes stay valid. */
	conn->want &=
		~(unsigned)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA |
			    FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_SPLICE_READ |
			    FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_write = 1 << 20;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

ssize_t kernel_read(int fd, void *buf, size_t n, void *userdata)
{
	static __thread const void *touched;

	(void)userdata;
	/* Killed while the kernel finds pages for it, the request would end with EIO. */
	if (touched != buf) {
		memset(buf, 0, n);
		touched = buf;
	}
	ssize_t got = read(fd, buf, n);
	if (got > 0)
		order_request(buf, (size_t)got);
	return got;
}

void kernel_expect_replay(const struct region *region)
{
	const struct fuse_in_header *in = (const void *)region->init;

	replayed = in->unique;
}

void kernel_resend(int fd)
{
	kernel_answer(fd, 0, -NOTIFY_RESEND, NULL, 0);
}

/* Keeps the greeting for workers to come. */
static void keep_init(struct region *region, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_init_in *init = (const void *)(in + 1);
	bool extended =
		request->size >= sizeof(*in) + sizeof(*init) && (init->flags & FUSE_INIT_EXT);

	if (region->init_len || request->size > REGION_INIT_MAX)
		return;
	region->resends = extended && (init->flags2 & INIT2_HAS_RESEND);
	memcpy(region->init, request->mem, request->size);
	region->init_len = (uint32_t)request->size;
}

ssize_t kernel_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_out_header *header = iov[0].iov_base;
	const struct mount *m = userdata;

	order_answer(iov, count);
	if (replayed && header->unique == replayed) {
		replayed = 0;
		return header->len;
	}
	if (init_unique && iov[0].iov_len == sizeof(*header) && header->unique == init_unique &&
	    count > 1 && !header->error) {
		struct fuse_init_out *init = iov[1].iov_base;

		init->flags |= init_offered & INIT_WANTED;
		init_unique = 0;
		ssize_t n = writev(fd, iov, count);
		if (m->holder > 0 &&
		    send(m->holder, HOLDER_GREETED, strlen(HOLDER_GREETED), MSG_NOSIGNAL) < 0)
			log_line(LOG_DEBUG, "the holder of the mount is gone");
		return n;
	}
	return writev(fd, iov, count);
}

bool kernel_answer(int fd, uint64_t unique, int err, const void *data, size_t n)
{
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + n),
					  .error = -err,
					  .unique = unique };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)data, n } };

	order_answer(iov, n ? 2 : 1);
	return writev(fd, iov, n ? 2 : 1) >= 0 || errno != ENOENT;
}

/* ------------------------------------------------------------------- statx */

static struct statx_time time_of(struct timespec t)
{
	return (struct statx_time){ .tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec };
}

static void fill_statx(const struct stat *st, struct statx_attributes *to)
{
	to->mask = STATX_BASIC_STATS;
	to->blksize = (uint32_t)st->st_blksize;
	to->nlink = (uint32_t)st->st_nlink;
	to->uid = st->st_uid;
	to->gid = st->st_gid;
	to->mode = (uint16_t)st->st_mode;
	to->ino = st->st_ino;
	to->size = (uint64_t)st->st_size;
	to->blocks = (uint64_t)st->st_blocks;
	to->atime = time_of(st->st_atim);
	to->ctime = time_of(st->st_ctim);
	to->mtime = time_of(st->st_mtim);
	to->rdev_major = major(st->st_rdev);
	to->rdev_minor = minor(st->st_rdev);
}

static int live_statx(struct mount *m, uint64_t ino, struct stat *st, struct statx_attributes *to,
		      struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc < 0)
		return rc;
	stat_of_inode(m, inode, st);
	fill_statx(st, to);
	to->mask |= STATX_BTIME;
	to->btime = time_of(clock_timespec(inode->r.btime));
	return 0;
}

static void handle_statx(struct mount *m, int fd, const struct fuse_in_header *in)
{
	struct statx_answer out = { 0 };
	double timeout = MOUNT_TIMEOUT_S;
	struct caller caller;
	struct error e = { 0 };
	struct stat st;
	int rc;

	if (history_is_node(in->nodeid)) {
		identity_of_caller(in->uid, in->gid, (pid_t)in->pid, &caller);
		struct credentials who = identity_credentials(&caller);
		rc = history_getattr(m->history, &who, in->nodeid, &st, &timeout, &e);
		if (rc == 0)
			fill_statx(&st, &out.stat);
	} else {
		rc = live_statx(m, in->nodeid, &st, &out.stat, &e);
	}
	out.attr_valid = (uint64_t)timeout;
	kernel_answer(fd, in->unique, rc < 0 ? error_errno(rc) : 0, &out, rc < 0 ? 0 : sizeof(out));
}

/* ----------------------------------------------------------------- tmpfile */

void kernel_fill_attr(const struct stat *st, struct fuse_attr *to)
{
	to->ino = st->st_ino;
	to->size = (uint64_t)st->st_size;
	to->blocks = (uint64_t)st->st_blocks;
	to->atime = (uint64_t)st->st_atim.tv_sec;
	to->mtime = (uint64_t)st->st_mtim.tv_sec;
	to->ctime = (uint64_t)st->st_ctim.tv_sec;
	to->atimensec = (uint32_t)st->st_atim.tv_nsec;
	to->mtimensec = (uint32_t)st->st_mtim.tv_nsec;
	to->ctimensec = (uint32_t)st->st_ctim.tv_nsec;
	to->mode = st->st_mode;
	to->nlink = (uint32_t)st->st_nlink;
	to->uid = st->st_uid;
	to->gid = st->st_gid;
	to->blksize = (uint32_t)st->st_blksize;
}

static void handle_tmpfile(struct mount *m, int fd, const struct fuse_in_header *in,
			   const struct fuse_create_in *ask)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	struct fuse_entry_param entry = { 0 };
	struct fuse_file_info fi = { .flags = (int)ask->flags };
	struct caller caller;
	struct error e = { 0 };

	identity_of_caller(in->uid, in->gid, (pid_t)in->pid, &caller);
	fi.flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
	int rc = make_tmpfile(m, &caller, in->nodeid, ask->mode, ask->umask, &fi, &entry, &e);
	if (rc == 0) {
		out.entry.nodeid = entry.ino;
		out.entry.attr_valid = out.entry.entry_valid = (uint64_t)MOUNT_TIMEOUT_S;
		kernel_fill_attr(&entry.attr, &out.entry.attr);
		out.open.fh = fi.fh;
		out.open.open_flags = FOPEN_KEEP_CACHE;
	}
	if (!kernel_answer(fd, in->unique, rc < 0 ? error_errno(rc) : 0, &out,
			   rc < 0 ? 0 : sizeof(out)) &&
	    rc == 0)
		close_handle(m, fi.fh);
}

/* ------------------------------------------------------------------ syncfs */

struct syncfs_request {
	int fd;
	uint64_t unique;
};

static void syncfs_done(void *arg, int rc)
{
	struct syncfs_request *request = arg;

	kernel_answer(request->fd, request->unique, rc < 0 ? error_errno(rc) : 0, NULL, 0);
	free(request);
}

static void handle_syncfs(struct mount *m, int fd, const struct fuse_in_header *in)
{
	struct syncfs_request *request = malloc(sizeof(*request));

	if (!request) {
		kernel_answer(fd, in->unique, ENOMEM, NULL, 0);
		return;
	}
	*request = (struct syncfs_request){ fd, in->unique };
	syncer_queue(m->syncer, syncfs_done, request);
}

bool kernel_handle(struct mount *m, int fd, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	const void *body = in + 1;

	if (request->flags & FUSE_BUF_IS_FD || request->size < sizeof(*in))
		return false;
	size_t n = request->size - sizeof(*in);
	switch (in->opcode) {
	case FUSE_INIT:
		if (n >= sizeof(struct fuse_init_in) || n >= 16) {
			init_offered = ((const struct fuse_init_in *)body)->flags;
			init_unique = in->unique;
			keep_init(m->region, request);
		}
		return false;
	case OPCODE_STATX:
		handle_statx(m, fd, in);
		return true;
	case FUSE_TMPFILE:
		if (n < sizeof(struct fuse_create_in))
			return false;
		handle_tmpfile(m, fd, in, body);
		return true;
	case FUSE_SYNCFS:
		handle_syncfs(m, fd, in);
		return true;
	default:
		return false;
	}
}
