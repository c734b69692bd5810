/* ops_data.c - content: open, read, write, flush, sync and what moves bytes about. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "ops.h"
#include "store/clock.h"

static bool is_writable(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* O_TRUNC of a file that had bytes is a change by this handle; of an empty one, only of its
 * times. */
static int truncate_at_open(struct mount *m, struct handle *handle, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct actor actor = identity_actor(&handle->who);
	struct attributes now = { .set_mtime = true, .mtime = clock_now() };
	struct stat st;
	int rc = stat_of(m, handle->ino, &st, e);

	if (rc < 0)
		return rc;
	if (st.st_size == 0)
		return namespace_setattr(m->store, &actor, handle->ino, &now, &inode, e);
	return file_truncate(m->files, handle->file, handle, &handle->who, 0, e);
}

static void note_reading(struct mount *m, const struct handle *handle, const struct inode *inode)
{
	if ((handle->flags & O_ACCMODE) != O_WRONLY && !(handle->flags & O_TRUNC))
		bases_set(files_bases(m->files), &handle->who, inode->r.doc, inode->r.version);
}

int open_live(struct mount *m, const struct caller *caller, const struct inode *inode,
	      struct fuse_file_info *fi, struct error *e)
{
	struct handle *handle;
	int rc = handle_add(m->handles, request_number, &handle, e);

	if (rc < 0)
		return rc;
	handle->ino = inode->r.ino;
	handle->who = caller->who;
	handle->flags = fi->flags;
	rc = file_get(m->files, handle->ino, &handle->file, e);
	if (rc < 0) {
		handle_remove(m->handles, handle);
		return rc;
	}
	file_open(m->files, handle->file);
	note_reading(m, handle, inode);
	if (fi->flags & O_TRUNC)
		rc = truncate_at_open(m, handle, e);
	if (rc < 0) {
		file_close(m->files, handle->file, handle, NULL);
		file_put(m->files, handle->file);
		handle_remove(m->handles, handle);
		return rc;
	}
	fi->fh = handle->id;
	fi->keep_cache = 1;
	fi->noflush = !is_writable(fi->flags);
	return 0;
}

static int open_past(struct mount *m, struct caller *caller, uint64_t node,
		     struct fuse_file_info *fi, struct error *e)
{
	struct credentials who = identity_credentials(caller);
	bool keep = false, direct = false;
	struct handle *handle;
	int rc = history_refusal(m->history, node, e);

	if (rc == -E_READ_ONLY && !(fi->flags & O_TRUNC))
		rc = 0;
	if (rc == 0)
		rc = handle_add(m->handles, request_number, &handle, e);
	if (rc < 0)
		return rc;
	handle->ino = node;
	handle->who = caller->who;
	handle->flags = fi->flags;
	rc = history_open_file(m->history, &who, node, &handle->past, &keep, &direct, e);
	if (rc < 0) {
		handle_remove(m->handles, handle);
		return rc;
	}
	fi->fh = handle->id;
	fi->keep_cache = keep;
	fi->direct_io = direct;
	fi->noflush = 1;
	return 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };
	int rc;

	caller_of(req, &caller);
	if (history_is_node(ino)) {
		rc = open_past(m, &caller, ino, fi, &e);
	} else {
		rc = inode_get(m->store, ino, &inode, &e);
		if (rc == 0)
			rc = open_live(m, &caller, inode, fi, &e);
	}
	if (rc < 0)
		reply_error(req, "open", ino, rc, &e);
	else if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(m, fi->fh); /* interrupted: the kernel does not have the handle */
}

/* The handle of something that has bytes, live or past. */
static int find_readable(struct mount *m, uint64_t fh, struct handle **ret, struct error *e)
{
	int rc = handle_find(m->handles, fh, ret, e);

	if (rc == 0 && !(*ret)->file && !(*ret)->past)
		rc = error_set(e, -E_IS_DIR, "is a folder");
	return rc;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	char *out = malloc(size ? size : 1);
	int rc = out ? find_readable(m, fi->fh, &handle, &e)
		     : error_set(&e, -E_NO_MEMORY, "out of memory to read");

	if (rc == 0)
		rc = handle->past
			     ? history_read(handle->past, (uint64_t)offset, out, size, &e)
			     : file_read(m->files, handle->file, (uint64_t)offset, out, size, &e);
	if (rc < 0)
		reply_error(req, "read", ino, rc, &e);
	else
		fuse_reply_buf(req, out, (size_t)rc);
	free(out);
}

/* A live file's handle for a change; -E_READ_ONLY in the past. */
static int find_writable(struct mount *m, uint64_t fh, struct handle **ret, struct error *e)
{
	int rc = handle_find(m->handles, fh, ret, e);

	if (rc == 0 && !(*ret)->file)
		rc = error_set(e, -E_READ_ONLY, "the past is read-only");
	return rc;
}

/* The rest of a request that waits for the disk; reply is what it is then answered with. */
struct waiting_request {
	fuse_req_t req;
	size_t written; /* 0: reply 0; else reply with this count */
};

static void durable(void *arg, int rc)
{
	struct waiting_request *waiting = arg;

	if (rc < 0)
		fuse_reply_err(waiting->req, error_errno(rc));
	else if (waiting->written)
		fuse_reply_write(waiting->req, waiting->written);
	else
		fuse_reply_err(waiting->req, 0);
	free(waiting);
}

static void wait_for_disk(fuse_req_t req, size_t written)
{
	struct waiting_request *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	waiting->req = req;
	waiting->written = written;
	syncer_queue(mount_of(req)->syncer, durable, waiting);
}

void reply_when_durable(fuse_req_t req)
{
	wait_for_disk(req, 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	int rc = find_writable(m, fi->fh, &handle, &e);

	if (rc == 0)
		rc = file_write(m->files, handle->file, handle, (uint64_t)offset, data, size, &e);
	bool synchronous = rc == 0 && (handle->flags & (O_SYNC | O_DSYNC)) && !fi->writepage;
	if (synchronous)
		rc = file_sync(m->files, handle->file, handle, &e);
	if (rc < 0)
		reply_error(req, "write", ino, rc, &e);
	else if (synchronous)
		wait_for_disk(req, size);
	else
		fuse_reply_write(req, size);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	int rc = handle_find(m->handles, fi->fh, &handle, &e);

	if (rc == 0 && handle->file && file_is_owed(handle->file, handle)) {
		/* A dying writer, or smbd closing for a client whose connection broke (L8).  Of
		 * others, root closes users' files every day: sudo's output in a file that the
		 * user's shell opened. */
		bool lost = ctx->uid == 0 && handle->who.uid != 0 && handle->who.client[0];
		bool killed = lost || identity_is_killed(ctx->pid);

		rc = file_flush(m->files, handle->file, handle, killed, &e);
	}
	reply_status(req, "flush", ino, rc, &e);
}

void end_handle(struct mount *m, struct handle *handle)
{
	if (handle->directory && !history_is_node(handle->ino))
		inode_set_has(&m->listed, handle->ino, true);
	history_release(handle->past);
	handle_remove(m->handles, handle);
}

void close_handle(struct mount *m, uint64_t fh)
{
	struct handle *handle;
	struct error e = { 0 };

	if (handle_find(m->handles, fh, &handle, &e) < 0)
		return;
	if (handle->file) {
		if (file_close(m->files, handle->file, handle, &e) < 0)
			log_line(LOG_ERR, "release: inode %llu: %s",
				 (unsigned long long)handle->ino, e.text);
		file_put(m->files, handle->file);
	}
	end_handle(m, handle);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(mount_of(req), fi->fh);
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	int rc = handle_find(m->handles, fi->fh, &handle, &e);

	(void)datasync;
	if (rc == 0 && handle->file)
		rc = file_sync(m->files, handle->file, handle, &e);
	if (rc < 0)
		reply_error(req, "fsync", ino, rc, &e);
	else
		reply_when_durable(req);
}

static int allocate(struct mount *m, struct handle *handle, int mode, uint64_t offset, uint64_t n,
		    struct error *e)
{
	bool keep_size = mode & FALLOC_FL_KEEP_SIZE;
	struct stat st;
	int rc;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0: /* space is not reserved; the size grows */
		rc = stat_of(m, handle->ino, &st, e);
		if (rc < 0 || keep_size || offset + n <= (uint64_t)st.st_size)
			return rc;
		return file_truncate(m->files, handle->file, handle, &handle->who, offset + n, e);
	case FALLOC_FL_PUNCH_HOLE:
		if (!keep_size)
			return error_set(e, -EOPNOTSUPP, "a hole is punched with KEEP_SIZE only");
		return file_zero(m->files, handle->file, handle, offset, n, true, e);
	case FALLOC_FL_ZERO_RANGE:
		return file_zero(m->files, handle->file, handle, offset, n, keep_size, e);
	default:
		return error_set(e, -EOPNOTSUPP, "fallocate mode %d is not supported", mode);
	}
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	int rc = find_writable(m, fi->fh, &handle, &e);

	if (rc == 0)
		rc = allocate(m, handle, mode, (uint64_t)offset, (uint64_t)length, &e);
	reply_status(req, "fallocate", ino, rc, &e);
}

/* What copy_file_range takes: an immutable content behind the source, from offset on. */
static int share_of(struct mount *m, struct caller *caller, uint64_t ino, uint64_t offset,
		    struct share *ret, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct history_source past;
	int rc;

	if (history_is_node(ino)) {
		struct credentials who = identity_credentials(caller);

		rc = history_source(m->history, &who, ino, &past, e);
		*ret = (struct share){ past.content, offset, past.size, past.doc, past.version };
		return rc;
	}
	rc = files_settle(m->files, ino, e);
	if (rc == 0)
		rc = inode_get(m->store, ino, &inode, e);
	if (rc == 0)
		*ret = (struct share){ inode->r.content, offset, inode->r.size, inode->r.doc,
				       inode->r.version };
	return rc;
}

/* What of a version is lost, only reading tells (-EXDEV has the kernel copy by reading and
 * writing): who shared its content would make a version that nobody knows to be lost. */
static int check_whole(struct mount *m, const struct share *share, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record version;
	int rc = -E_NO_VERSION;

	if (share->content && share->from_version)
		rc = version_get(m->store, share->from_doc, share->from_version, &version, &memory,
				 e);
	if (rc < 0)
		return rc == -E_NO_VERSION ? 0 : rc;
	return version.flags & VERSION_LOST ? error_set(e, -EXDEV, "the version is lost") : 0;
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			struct fuse_file_info *fi_out, size_t n, int flags)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct share share;
	struct caller caller;
	struct error e = { 0 };
	uint64_t count = 0;

	(void)fi_in;
	(void)flags;
	caller_of(req, &caller);
	int rc = find_writable(m, fi_out->fh, &handle, &e);
	if (rc == 0)
		rc = share_of(m, &caller, ino_in, (uint64_t)off_in, &share, &e);
	if (rc == 0)
		rc = check_whole(m, &share, &e);
	if (rc == 0 && share.from < share.size)
		count = share.size - share.from < n ? share.size - share.from : n;
	count = count > 0x40000000 ? 0x40000000 : count; /* the answer has 32 bits */
	if (count && share.content)
		rc = file_share(m->files, handle->file, handle, (uint64_t)off_out, count, &share,
				&e);
	else if (count)
		rc = file_zero(m->files, handle->file, handle, (uint64_t)off_out, count, false, &e);
	if (rc < 0)
		reply_error(req, "copy_file_range", ino_out, rc, &e);
	else
		fuse_reply_write(req, count);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct error e = { 0 };
	uint64_t at = 0;
	int rc = find_readable(m, fi->fh, &handle, &e);

	if (rc == 0 && whence != SEEK_DATA && whence != SEEK_HOLE)
		rc = error_set(&e, -E_INVALID, "lseek knows SEEK_DATA and SEEK_HOLE");
	if (rc == 0)
		rc = handle->past ? history_seek(handle->past, (uint64_t)offset,
						 whence == SEEK_HOLE, &at, &e)
				  : file_seek(m->files, handle->file, (uint64_t)offset,
					      whence == SEEK_HOLE, &at, &e);
	if (rc < 0)
		reply_error(req, "lseek", ino, rc, &e);
	else
		fuse_reply_lseek(req, (off_t)at);
}
