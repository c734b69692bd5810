/* ops_dir.c - listing directories.  Offsets are the names' cookies; "." is 1, ".." 2 and, with
 * -o show_history, ".history" 3, which no cookie is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

enum { OFFSET_DOT = 1, OFFSET_DOTDOT = 2, OFFSET_HISTORY = 3 };
_Static_assert(OFFSET_HISTORY < STORE_COOKIE_MIN, "names come behind these");

/* The kernel may keep what it lists: it knows of every change, and begins anew after one.  But it
 * asks only at the start of a listing whether there was one.  What one program listed before a
 * change, and ends after it, another would be shown that began between: its own change undone.  So
 * of those who have a directory open, one fills and reads the kernel's memory, by a handle; the
 * others have none and ask us. */
static void open_live_directory(fuse_req_t req, uint64_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;

	fi->keep_cache = 1;
	if (inode_set_add(&m->listed, ino)) {
		fi->cache_readdir = handle_add(m->handles, request_number, &handle, NULL) == 0;
		if (fi->cache_readdir) {
			handle->directory = true;
			handle->ino = ino;
			fi->fh = handle->id;
		} else {
			inode_set_has(&m->listed, ino, true);
		}
	}
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(m, fi->fh); /* interrupted: the kernel does not have the handle */
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *handle;
	struct caller caller;
	struct error e = { 0 };
	int rc;

	if (!history_is_node(ino)) {
		open_live_directory(req, ino, fi);
		return;
	}
	caller_of(req, &caller);
	struct credentials who = identity_credentials(&caller);
	rc = handle_add(m->handles, request_number, &handle, &e);
	if (rc == 0) {
		handle->ino = ino;
		handle->who = caller.who;
		handle->directory = true;
		rc = history_opendir(m->history, &who, ino, &handle->past, &e);
		if (rc < 0)
			handle_remove(m->handles, handle);
	}
	if (rc < 0) {
		reply_error(req, "opendir", ino, rc, &e);
		return;
	}
	fi->fh = handle->id;
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(m, fi->fh); /* interrupted: the kernel does not have the handle */
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	op_release(req, ino, fi);
}

/* A listing on its way into the kernel's buffer. */
struct listing {
	fuse_req_t req;
	struct mount *m;
	char *out;
	size_t room, used;
	bool plus, failed;
	struct error e;
};

/* Adds one entry: false when the buffer is full. */
static bool add(struct listing *l, const char *name, const struct fuse_entry_param *entry,
		uint64_t next)
{
	size_t n = l->plus ? fuse_add_direntry_plus(l->req, l->out + l->used, l->room - l->used,
						    name, entry, (off_t)next)
			   : fuse_add_direntry(l->req, l->out + l->used, l->room - l->used, name,
					       &entry->attr, (off_t)next);

	if (n > l->room - l->used)
		return false;
	l->used += n;
	return true;
}

static bool add_name(void *arg, struct view name, uint64_t cookie,
		     const struct dirent_record *dirent)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = { .attr.st_ino = dirent->ino,
					  .attr.st_mode = (mode_t)dirent->type };
	CLEANUP(inode_release) struct inode *inode = NULL;
	char text[NAME_LEN_MAX + 1];

	view_copy(text, name);
	text[name.len] = '\0';
	if (l->plus) {
		if (inode_get(l->m->store, dirent->ino, &inode, &l->e) < 0)
			return true; /* went meanwhile */
		entry_of_inode(l->m, inode, &entry);
	}
	return add(l, text, &entry, cookie);
}

static bool add_past(void *arg, const char *name, const struct stat *st, uint64_t next)
{
	struct fuse_entry_param entry = { .attr.st_ino = st->st_ino, .attr.st_mode = st->st_mode };

	return add(arg, name, &entry, next);
}

static bool add_dot(struct listing *l, const char *name, uint64_t ino, uint64_t offset)
{
	struct fuse_entry_param entry = { .attr.st_ino = ino, .attr.st_mode = S_IFDIR };

	return add(l, name, &entry, offset); /* READDIRPLUS takes no nodes for these two */
}

static int list_live(struct listing *l, uint64_t ino, uint64_t offset)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc = inode_get(l->m->store, ino, &inode, &l->e);

	if (rc < 0)
		return rc;
	if (offset < OFFSET_DOT && !add_dot(l, ".", ino, OFFSET_DOT))
		return 0;
	if (offset < OFFSET_DOTDOT && !add_dot(l, "..", inode->r.parent, OFFSET_DOTDOT))
		return 0;
	if (l->m->show_history && offset < OFFSET_HISTORY &&
	    !add_dot(l, HISTORY_NAME, ino | HISTORY_NODE_BIT, OFFSET_HISTORY))
		return 0;
	return namespace_readdir(l->m->store, ino, offset, add_name, l, &l->e);
}

static int list_past(struct listing *l, uint64_t fh, uint64_t offset)
{
	struct handle *handle;
	int rc = handle_find(l->m->handles, fh, &handle, &l->e);

	if (rc == 0 && !handle->past)
		rc = error_set(&l->e, -E_NOT_DIR, "is no folder of the past");
	return rc < 0 ? rc : history_readdir(handle->past, offset, add_past, l, &l->e);
}

static void list(fuse_req_t req, uint64_t ino, size_t size, uint64_t offset,
		 struct fuse_file_info *fi, bool plus)
{
	struct listing l = {
		.req = req, .m = mount_of(req), .out = malloc(size), .room = size, .plus = plus
	};
	int rc = -E_NO_MEMORY;

	if (l.out)
		rc = history_is_node(ino) ? list_past(&l, fi->fh, offset)
					  : list_live(&l, ino, offset);
	if (rc < 0)
		reply_error(req, "readdir", ino, rc, &l.e);
	else
		fuse_reply_buf(req, l.out, l.used);
	free(l.out);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	list(req, ino, size, (uint64_t)offset, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	list(req, ino, size, (uint64_t)offset, fi, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	reply_when_durable(req);
}
