/* reply.c - see reply.h. */
#include "reply.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "store/clock.h"

/* Codes that are a program's everyday business are not worth a line. */
static bool is_worth_logging(int code)
{
	return code == -E_CORRUPT || code == -E_KV || code == -E_NO_SPACE ||
	       code == -E_FORMAT_NEWER || code == -E_NO_MEMORY || code == -EIO;
}

void reply_error(fuse_req_t req, const char *operation, uint64_t ino, int rc, const struct error *e)
{
	if (is_worth_logging(rc))
		log_line(LOG_ERR, "%s: inode %llu, user %u: %s: %s", operation,
			 (unsigned long long)ino, fuse_req_ctx(req)->uid, error_name(rc), e->text);
	fuse_reply_err(req, error_errno(rc));
}

void reply_status(fuse_req_t req, const char *operation, uint64_t ino, int rc,
		  const struct error *e)
{
	if (rc < 0)
		reply_error(req, operation, ino, rc, e);
	else
		fuse_reply_err(req, 0);
}

/* Blocks that hold data.  Only files large enough to be worth a hole are looked into. */
static uint64_t blocks_of(struct mount *m, const struct inode *inode,
			  const struct file_attributes *a)
{
	uint64_t data = a->data ? a->data : a->size;

	if (S_ISREG(inode->r.mode) && !a->data && a->size >= 1 << 20)
		content_data_bytes(store_contents(m->store), inode->r.content, &data, NULL);
	return (data + 4095) / 4096 * 8;
}

static struct file_attributes attributes_of(const struct inode *inode)
{
	return (struct file_attributes){ .size = inode->r.size,
					 .mode = inode->r.mode,
					 .mtime = inode->r.mtime,
					 .ctime = inode->r.ctime,
					 .atime = inode->r.atime };
}

void stat_of_inode(struct mount *m, const struct inode *inode, struct stat *st)
{
	CLEANUP(inode_release) struct inode *saved = NULL;
	struct file_attributes a = attributes_of(inode);

	/* What was unsaved when inode was read may be saved by now: then it stands in a newer
	 * record. */
	if (S_ISREG(inode->r.mode) && !files_attributes(m->files, inode->r.ino, &a) &&
	    inode_get(m->store, inode->r.ino, &saved, NULL) == 0) {
		inode = saved;
		a = attributes_of(inode);
	}
	memset(st, 0, sizeof(*st));
	st->st_ino = inode->r.ino;
	st->st_mode = (mode_t)a.mode;
	st->st_nlink = inode->r.nlink;
	st->st_uid = (uid_t)inode->r.uid;
	st->st_gid = (gid_t)inode->r.gid;
	st->st_rdev = inode->r.rdev;
	st->st_size = (off_t)(S_ISDIR(a.mode) ? 4096 : a.size);
	st->st_blksize = 4096;
	st->st_blocks = S_ISDIR(a.mode) ? 8 : (blkcnt_t)blocks_of(m, inode, &a);
	st->st_atim = clock_timespec(a.atime);
	st->st_mtim = clock_timespec(a.mtime);
	st->st_ctim = clock_timespec(a.ctime);
}

int stat_of(struct mount *m, uint64_t ino, struct stat *st, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc == 0)
		stat_of_inode(m, inode, st);
	return rc;
}

void entry_of_inode(struct mount *m, const struct inode *inode, struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->ino = inode->r.ino;
	entry->attr_timeout = entry->entry_timeout = MOUNT_TIMEOUT_S;
	stat_of_inode(m, inode, &entry->attr);
}

void reply_inode(fuse_req_t req, const char *operation, uint64_t parent, int rc,
		 const struct inode *inode, const struct error *e)
{
	struct fuse_entry_param entry;

	if (rc < 0) {
		reply_error(req, operation, parent, rc, e);
		return;
	}
	entry_of_inode(mount_of(req), inode, &entry);
	fuse_reply_entry(req, &entry);
}

void caller_of(fuse_req_t req, struct caller *ret)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	identity_of_caller(ctx->uid, ctx->gid, ctx->pid, ret);
}
