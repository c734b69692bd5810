/* ops_attr.c - attributes, extended attributes, statfs. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "ops.h"
#include "store/acl.h"
#include "store/clock.h"
#include "store/space.h"

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	double timeout = MOUNT_TIMEOUT_S;
	struct caller caller;
	struct error e = { 0 };
	struct stat st;
	int rc;

	(void)fi;
	if (history_is_node(ino)) {
		caller_of(req, &caller);
		struct credentials who = identity_credentials(&caller);
		rc = history_getattr(m->history, &who, ino, &st, &timeout, &e);
	} else {
		rc = stat_of(m, ino, &st, &e);
	}
	if (rc < 0)
		reply_error(req, "getattr", ino, rc, &e);
	else
		fuse_reply_attr(req, &st, timeout);
}

/* Times are kept in 64 bits of nanoseconds: from 1677 to 2262; what is beyond is cut to that. */
static int64_t ns_of(struct timespec t)
{
	if (t.tv_sec >= INT64_MAX / NS_PER_SECOND)
		return INT64_MAX;
	if (t.tv_sec <= INT64_MIN / NS_PER_SECOND)
		return INT64_MIN;
	return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

/* What the kernel asks for, but for the size. */
static struct attributes wanted(const struct stat *attr, int to_set)
{
	struct attributes set = { 0 };
	int64_t now = clock_now();

	set.set_mode = to_set & FUSE_SET_ATTR_MODE;
	set.mode = attr->st_mode & 07777;
	set.set_uid = to_set & FUSE_SET_ATTR_UID;
	set.uid = attr->st_uid;
	set.set_gid = to_set & FUSE_SET_ATTR_GID;
	set.gid = attr->st_gid;
	set.set_atime = to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW);
	set.atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : ns_of(attr->st_atim);
	set.set_mtime = to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW);
	set.mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : ns_of(attr->st_mtim);
	return set;
}

static bool sets_anything(const struct attributes *set)
{
	return set->set_mode || set->set_uid || set->set_gid || set->set_atime || set->set_mtime;
}

/* A new owner ends setuid and setgid (chown(2)), also when root gives it and when it is the same:
 * chown(-1, -1) arrives with nothing set. */
static void kill_privileges(const struct inode *inode, struct attributes *set)
{
	uint32_t mode = (uint32_t)inode->r.mode & 07777, kept = mode;
	bool chown = set->set_uid || set->set_gid || !sets_anything(set);

	if (!chown || S_ISDIR(inode->r.mode) || set->set_mode)
		return;
	kept &= ~(uint32_t)S_ISUID;
	if (kept & S_IXGRP)
		kept &= ~(uint32_t)S_ISGID;
	if (kept != mode) {
		set->set_mode = true;
		set->mode = kept;
	}
}

static int set_attributes(struct mount *m, const struct caller *caller, uint64_t ino,
			  struct attributes *set, struct error *e)
{
	CLEANUP(inode_release) struct inode *before = NULL;
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct actor actor = identity_actor(&caller->who);
	int rc = inode_get(m->store, ino, &before, e);

	if (rc < 0)
		return rc;
	kill_privileges(before, set);
	if (!sets_anything(set))
		return 0;
	rc = files_prepare(m->files, ino, &caller->who, set, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* An mtime that is set must not be overwritten by the save's. */
	rc = set->set_mtime ? files_settle(m->files, ino, e)
			    : files_settle_written(m->files, ino, e);
	return rc < 0 ? rc : namespace_setattr(m->store, &actor, ino, set, &inode, e);
}

static int set_size(struct mount *m, const struct caller *caller, uint64_t ino, uint64_t size,
		    struct fuse_file_info *fi, struct error *e)
{
	struct handle *handle = NULL;
	struct file *file;
	int rc = fi ? handle_find(m->handles, fi->fh, &handle, e) : 0;

	if (rc == 0)
		rc = file_get(m->files, ino, &file, e);
	if (rc < 0)
		return rc;
	rc = file_truncate(m->files, file, handle, handle ? &handle->who : &caller->who, size, e);
	file_put(m->files, file);
	return rc;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct attributes set = wanted(attr, to_set);
	struct caller caller;
	struct error e = { 0 };
	struct stat st;
	int rc = 0;

	if (history_is_node(ino)) {
		fuse_reply_err(req, error_errno(history_refusal(m->history, ino, &e)));
		return;
	}
	caller_of(req, &caller);
	if (to_set & FUSE_SET_ATTR_SIZE)
		rc = set_size(m, &caller, ino, (uint64_t)attr->st_size, fi, &e);
	if (rc == 0 && (sets_anything(&set) || !(to_set & FUSE_SET_ATTR_SIZE)))
		rc = set_attributes(m, &caller, ino, &set, &e);
	if (rc == 0)
		rc = stat_of(m, ino, &st, &e);
	if (rc < 0) {
		notifier_inode(m->notifier, ino); /* some of it may have been done */
		reply_error(req, "setattr", ino, rc, &e);
	} else {
		fuse_reply_attr(req, &st, MOUNT_TIMEOUT_S);
	}
}

/* XATTR_KILL_SETGID when the ACL of a setgid file is set by somebody who is not in its group. */
static int acl_flags(struct mount *m, struct caller *caller, uint64_t ino, const char *name)
{
	CLEANUP(inode_release) struct inode *inode = NULL;

	if (strcmp(name, ACL_ACCESS_NAME) != 0 || caller->who.uid == 0)
		return 0;
	if (inode_get(m->store, ino, &inode, NULL) < 0 || !(inode->r.mode & S_ISGID))
		return 0;
	struct credentials who = identity_credentials(caller);
	return access_is_member(&who, (uint32_t)inode->r.gid) ? 0 : XATTR_KILL_SETGID;
}

/* An access control list that says no more than a mode, on an inode without another, is a chmod: cp
 * -p does so. */
static bool is_chmod(struct mount *m, uint64_t ino, struct view name, struct view value, int flags,
		     struct attributes *set)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	uint32_t kept = flags & XATTR_KILL_SETGID ? 05000 : 07000;
	struct view old;

	if ((flags & ~XATTR_KILL_SETGID) || !view_equal(name, view_str(ACL_ACCESS_NAME)) ||
	    !acl_is_valid(value) || !acl_is_mode_only(value) ||
	    inode_get(m->store, ino, &inode, NULL) < 0 || xattr_find(inode->r.xattrs, name, &old))
		return false;
	*set = (struct attributes){ .set_mode = true,
				    .mode = ((uint32_t)inode->r.mode & kept) | acl_mode(value) };
	return true;
}

/* Sets an attribute, or, when value is NULL, removes it. */
static void change_xattr(fuse_req_t req, const char *operation, fuse_ino_t ino, const char *name,
			 const char *value, size_t size, int flags)
{
	struct mount *m = mount_of(req);
	struct attributes set;
	struct caller caller;
	struct error e = { 0 };

	if (history_is_node(ino)) {
		fuse_reply_err(req, error_errno(history_refusal(m->history, ino, &e)));
		return;
	}
	caller_of(req, &caller);
	struct actor actor = identity_actor(&caller.who);
	flags |= value ? acl_flags(m, &caller, ino, name) : 0;
	bool chmod = value && is_chmod(m, ino, view_str(name), view_of(value, size), flags, &set);
	int rc = chmod ? set_attributes(m, &caller, ino, &set, &e)
		       : files_settle_written(m->files, ino, &e);
	if (rc == 0 && !chmod)
		rc = value ? namespace_setxattr(m->store, &actor, ino, view_str(name),
						view_of(value, size), flags, &e)
			   : namespace_removexattr(m->store, &actor, ino, view_str(name), &e);
	reply_status(req, operation, ino, rc, &e);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	change_xattr(req, "setxattr", ino, name, value, size, flags);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	change_xattr(req, "removexattr", ino, name, NULL, 0, 0);
}

/* Answers with a value or a list: its length when the caller only asks for that. */
static void reply_bytes(fuse_req_t req, const char *operation, uint64_t ino, size_t size, int rc,
			const struct buf *bytes, const struct error *e)
{
	if (rc < 0)
		reply_error(req, operation, ino, rc, e);
	else if (size == 0)
		fuse_reply_xattr(req, bytes->len);
	else if (bytes->len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)bytes->data, bytes->len);
}

static int get_live(struct mount *m, uint64_t ino, struct view name, struct buf *out,
		    struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct view value;
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc < 0)
		return rc;
	if (history_is_fact(name)) {
		rc = files_settle(m->files, ino, e);
		inode_put(inode);
		inode = NULL;
		rc = rc < 0 ? rc : inode_get(m->store, ino, &inode, e);
		return rc < 0 ? rc
			      : history_fact(m->store, inode->r.doc, inode->r.version, name, out,
					     e);
	}
	if (!xattr_find(inode->r.xattrs, name, &value))
		return error_set(e, -E_NO_XATTR, "");
	buf_append(out, value.data, value.len);
	return buf_check(out, e);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };
	int rc;

	if (history_is_node(ino)) {
		caller_of(req, &caller);
		struct credentials who = identity_credentials(&caller);
		rc = history_getxattr(m->history, &who, ino, view_str(name), &value, &e);
	} else {
		rc = get_live(m, ino, view_str(name), &value, &e);
	}
	reply_bytes(req, "getxattr", ino, size, rc, &value, &e);
}

static int list_live(struct mount *m, uint64_t ino, struct buf *out, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct view rest, name, value;
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc < 0)
		return rc;
	rest = inode->r.xattrs;
	while (xattr_next(&rest, &name, &value)) {
		buf_append(out, name.data, name.len);
		buf_u8(out, 0);
	}
	return buf_check(out, e);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	CLEANUP(buf_release) struct buf list = { 0 };
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };
	int rc;

	if (history_is_node(ino)) {
		caller_of(req, &caller);
		struct credentials who = identity_credentials(&caller);
		rc = history_listxattr(m->history, &who, ino, &list, &e);
	} else {
		rc = list_live(m, ino, &list, &e);
	}
	reply_bytes(req, "listxattr", ino, size, rc, &list, &e);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	if (fstatvfs(store_staging_fd(mount_of(req)->store), &st) < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	st.f_bavail = space_for_unsaved(&st) / st.f_frsize;
	st.f_namemax = NAME_LEN_MAX;
	fuse_reply_statfs(req, &st);
}
