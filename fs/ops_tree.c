/* ops_tree.c - names: lookup, make, remove, rename. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "ops.h"
#include "store/acl.h"

static bool is_history_name(const char *name)
{
	return strcmp(name, HISTORY_NAME) == 0;
}

static int refuse_history_parent(uint64_t parent, struct error *e)
{
	return history_is_node(parent) ? error_set(e, -E_READ_ONLY, "the past is read-only") : 0;
}

static void history_entry_param(const struct history_entry *from, struct fuse_entry_param *to)
{
	memset(to, 0, sizeof(*to));
	to->ino = from->node;
	to->attr = from->st;
	to->entry_timeout = from->entry_timeout;
	to->attr_timeout = from->attr_timeout;
}

static void reply_history(fuse_req_t req, const char *operation, uint64_t parent, int rc,
			  const struct history_entry *found, const struct error *e)
{
	struct fuse_entry_param entry;

	if (rc < 0) {
		reply_error(req, operation, parent, rc, e);
		return;
	}
	history_entry_param(found, &entry);
	fuse_reply_entry(req, &entry);
}

static void lookup_past(fuse_req_t req, uint64_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct history_entry found;
	struct caller caller;
	struct error e = { 0 };

	caller_of(req, &caller);
	struct credentials who = identity_credentials(&caller);
	int rc = history_lookup(m->history, &who, parent, view_str(name), &found, &e);
	reply_history(req, "lookup", parent, rc, &found, &e);
}

/* A file handle (NFS, open_by_handle_at) may outlive what the kernel remembers: "." of any inode is
 * that inode, and ".." the directory above. */
static int look_up(struct mount *m, uint64_t parent, const char *name, struct dirent_record *ret,
		   struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	bool up = strcmp(name, "..") == 0;

	if (!up && strcmp(name, ".") != 0)
		return namespace_lookup(m->store, parent, view_str(name), ret, e);
	files_drop_orphans(m->files); /* what the kernel forgot is gone for handles too */
	int rc = inode_get(m->store, parent, &inode, e);
	if (rc == 0)
		*ret = (struct dirent_record){ .ino = up ? inode->r.parent : parent };
	return rc;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param negative = { .entry_timeout = MOUNT_TIMEOUT_S };
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct dirent_record dirent;
	struct error e = { 0 };

	if (history_is_node(parent) || is_history_name(name)) {
		lookup_past(req, parent, name);
		return;
	}
	int rc = look_up(m, parent, name, &dirent, &e);
	if (rc == -E_NO_ENTRY) { /* the kernel may remember that there is nothing */
		fuse_reply_entry(req, &negative);
		return;
	}
	if (rc == 0)
		rc = inode_get(m->store, dirent.ino, &inode, &e);
	reply_inode(req, "lookup", parent, rc, inode, &e);
}

static void forget(struct mount *m, uint64_t ino, uint64_t count)
{
	if (history_is_node(ino))
		history_forget(m->history, ino, count);
	else
		files_forget(m->files, ino);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(mount_of(req), ino, count);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(mount_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* What a new inode inherits from its directory: group and setgid, ACLs or the umask. */
static int inherit(struct mount *m, uint64_t parent, mode_t mode, mode_t umask,
		   const struct caller *caller, struct make *make, struct buf *xattrs,
		   struct error *e)
{
	CLEANUP(inode_release) struct inode *directory = NULL;
	CLEANUP(buf_release) struct buf access = { 0 }, list = { 0 };
	struct view acl;
	int rc = inode_get(m->store, parent, &directory, e);

	if (rc < 0)
		return rc;
	make->mode = mode;
	make->uid = caller->who.uid;
	make->gid = caller->who.gid;
	if (directory->r.mode & S_ISGID) {
		make->gid = (uint32_t)directory->r.gid;
		make->mode |= S_ISDIR(mode) ? S_ISGID : 0;
	}
	if (S_ISLNK(mode))
		return 0;
	if (!xattr_find(directory->r.xattrs, view_str(ACL_DEFAULT_NAME), &acl)) {
		make->mode &= ~(umask & 0777);
		return 0;
	}
	make->mode = (make->mode & ~0777u) | acl_inherit(&access, acl, mode);
	if (access.len)
		xattr_set(&list, view_of(NULL, 0), view_str(ACL_ACCESS_NAME), buf_view(&access));
	if (S_ISDIR(mode))
		xattr_set(xattrs, buf_view(&list), view_str(ACL_DEFAULT_NAME), acl);
	else
		buf_append(xattrs, list.data, list.len);
	make->xattrs = buf_view(xattrs);
	rc = buf_check(&access, e);
	rc = rc < 0 ? rc : buf_check(&list, e);
	return rc < 0 ? rc : buf_check(xattrs, e);
}

/* Makes an inode under parent as the caller of req. */
static int make_inode(fuse_req_t req, const struct caller *caller, uint64_t parent,
		      const char *name, mode_t mode, dev_t rdev, const char *target,
		      struct inode **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf xattrs = { 0 };
	struct make make = { .rdev = rdev, .target = target ? view_str(target) : view_of(NULL, 0) };
	struct actor actor = identity_actor(&caller->who);
	struct mount *m = mount_of(req);
	int rc = refuse_history_parent(parent, e);

	if (rc == 0)
		rc = inherit(m, parent, mode, fuse_req_ctx(req)->umask, caller, &make, &xattrs, e);
	return rc < 0 ? rc
		      : namespace_make(m->store, &actor, parent, view_str(name), &make, ret, e);
}

static void make_and_reply(fuse_req_t req, const char *operation, uint64_t parent, const char *name,
			   mode_t mode, dev_t rdev, const char *target)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct caller caller;
	struct error e = { 0 };

	caller_of(req, &caller);
	int rc = make_inode(req, &caller, parent, name, mode, rdev, target, &inode, &e);
	reply_inode(req, operation, parent, rc, inode, &e);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_and_reply(req, "mknod", parent, name, mode, rdev, NULL);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make_and_reply(req, "symlink", parent, name, S_IFLNK | 0777, 0, target);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct mount *m = mount_of(req);
	struct history_entry found;
	struct caller caller;
	struct error e = { 0 };

	if (!history_is_node(parent)) {
		make_and_reply(req, "mkdir", parent, name, S_IFDIR | (mode & 07777), 0, NULL);
		return;
	}
	caller_of(req, &caller);
	struct credentials who = identity_credentials(&caller);
	struct actor actor = identity_actor(&caller.who);
	int rc = history_mkdir(m->history, &who, &actor, parent, view_str(name), &found, &e);
	reply_history(req, "mkdir", parent, rc, &found, &e);
}

/* Notes an inode that may have lost its last name. */
static void note_removed(struct mount *m, uint64_t ino)
{
	CLEANUP(inode_release) struct inode *inode = NULL;

	if (ino && inode_get(m->store, ino, &inode, NULL) == 0 && inode->r.nlink == 0)
		files_orphaned(m->files, ino);
}

/* A file was made that could not be opened: whoever is told so is to find no file. */
static void take_back(struct mount *m, const struct caller *caller, uint64_t parent,
		      const char *name)
{
	struct actor actor = identity_actor(&caller->who);
	uint64_t ino = 0;

	actor.request = 0;
	if (namespace_unlink(m->store, &actor, parent, view_str(name), &ino, NULL) == 0)
		note_removed(m, ino);
	else
		notifier_entry(m->notifier, parent, view_str(name));
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct mount *m = mount_of(req);
	struct fuse_entry_param entry;
	struct caller caller;
	struct error e = { 0 };

	caller_of(req, &caller);
	int rc = make_inode(req, &caller, parent, name, S_IFREG | (mode & 07777), 0, NULL, &inode,
			    &e);
	fi->flags &= ~O_TRUNC; /* it is new: there is nothing to cut */
	if (rc == 0) {
		rc = open_live(m, &caller, inode, fi, &e);
		if (rc < 0)
			take_back(m, &caller, parent, name);
	}
	if (rc < 0) {
		reply_error(req, "create", parent, rc, &e);
		return;
	}
	entry_of_inode(m, inode, &entry);
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		close_handle(m, fi->fh); /* interrupted: the kernel does not have the handle */
}

int make_tmpfile(struct mount *m, const struct caller *caller, uint64_t parent, mode_t mode,
		 mode_t umask, struct fuse_file_info *fi, struct fuse_entry_param *entry,
		 struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf xattrs = { 0 };
	struct actor actor = identity_actor(&caller->who);
	struct make make = { 0 };
	int rc = refuse_history_parent(parent, e);

	if (rc == 0)
		rc = inherit(m, parent, S_IFREG | (mode & 07777), umask, caller, &make, &xattrs, e);
	if (rc == 0)
		rc = namespace_make_unnamed(m->store, &actor, &make, &inode, e);
	if (rc < 0)
		return rc;
	files_orphaned(m->files, inode->r.ino);
	rc = open_live(m, caller, inode, fi, e);
	if (rc == 0)
		entry_of_inode(m, inode, entry);
	return rc;
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };

	caller_of(req, &caller);
	struct actor actor = identity_actor(&caller.who);
	int rc = refuse_history_parent(parent, &e);
	if (rc == 0)
		rc = refuse_history_parent(ino, &e);
	if (rc == 0)
		rc = files_settle(m->files, ino, &e);
	if (rc == 0)
		rc = namespace_link(m->store, &actor, ino, parent, view_str(name), &inode, &e);
	if (rc == 0)
		files_adopted(m->files, ino);
	reply_inode(req, "link", parent, rc, inode, &e);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };
	uint64_t ino = 0;

	caller_of(req, &caller);
	struct actor actor = identity_actor(&caller.who);
	int rc = refuse_history_parent(parent, &e);
	if (rc == 0)
		rc = namespace_unlink(m->store, &actor, parent, view_str(name), &ino, &e);
	if (rc == 0)
		note_removed(m, ino);
	reply_status(req, "unlink", parent, rc, &e);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct dirent_record dirent = { 0 };
	struct caller caller;
	struct error e = { 0 };
	int rc;

	caller_of(req, &caller);
	struct actor actor = identity_actor(&caller.who);
	if (history_is_node(parent)) {
		struct credentials who = identity_credentials(&caller);

		rc = history_rmdir(m->history, &who, &actor, parent, view_str(name), &e);
	} else {
		rc = namespace_lookup(m->store, parent, view_str(name), &dirent, &e);
		if (rc == 0)
			rc = namespace_rmdir(m->store, &actor, parent, view_str(name), &e);
		if (rc == 0)
			note_removed(m, dirent.ino);
	}
	reply_status(req, "rmdir", parent, rc, &e);
}

/* `mv .history/... live`: the old version becomes the newest of the live name, and stays where it
 * is. */
static int restore_by_rename(struct mount *m, struct caller *caller, uint64_t parent,
			     const char *name, uint64_t new_parent, const char *new_name,
			     unsigned flags, struct error *e)
{
	struct credentials who = identity_credentials(caller);
	struct actor actor = identity_actor(&caller->who);
	struct history_source source;
	struct history_entry found;
	struct dirent_record dirent;
	struct saved saved;
	int rc;

	/* mv(1) first asks with NOREPLACE. */
	if ((flags & RENAME_NOREPLACE) &&
	    namespace_lookup(m->store, new_parent, view_str(new_name), &dirent, NULL) == 0)
		return error_set(e, -E_EXISTS, "the name is taken");
	rc = history_lookup(m->history, &who, parent, view_str(name), &found, e);
	if (rc < 0)
		return rc;
	rc = history_source(m->history, &who, found.node, &source, e);
	history_forget(m->history, found.node, 1);
	if (rc == 0 && !source.version)
		rc = error_set(e, -E_READ_ONLY,
			       "only versions of files can be restored by moving them");
	if (rc == 0 &&
	    namespace_lookup(m->store, new_parent, view_str(new_name), &dirent, NULL) == 0)
		rc = files_settle(m->files, dirent.ino, e);
	if (rc == 0)
		rc = version_restore_at(m->store, &actor, new_parent, view_str(new_name),
					source.doc, source.version, &saved, e);
	if (rc < 0)
		return rc;
	history_retire(m->history, found.node);
	if (namespace_lookup(m->store, new_parent, view_str(new_name), &dirent, NULL) == 0) {
		files_restored(m->files, dirent.ino);
		notifier_inode(m->notifier, dirent.ino);
		notifier_wait(m->notifier);
	}
	/* The kernel thinks that the old node is there. */
	notifier_entry(m->notifier, new_parent, view_str(new_name));
	return 0;
}

static int rename_live(struct mount *m, const struct caller *caller, uint64_t parent,
		       const char *name, uint64_t new_parent, const char *new_name, unsigned flags,
		       struct error *e)
{
	struct actor actor = identity_actor(&caller->who);
	CLEANUP(inode_release) struct inode *target = NULL;
	struct dirent_record dirent;
	uint64_t doc, own_doc, base, replaced = 0;
	int rc = namespace_lookup(m->store, parent, view_str(name), &dirent, e);

	if (rc == 0)
		rc = files_settle(m->files, dirent.ino, e);
	if (rc < 0)
		return rc;
	own_doc = dirent.doc;
	if (namespace_lookup(m->store, new_parent, view_str(new_name), &dirent, NULL) == 0) {
		doc = dirent.doc;
		rc = flags & RENAME_EXCHANGE ? files_settle(m->files, dirent.ino, e) : 0;
	} else {
		rc = namespace_vacated(m->store, new_parent, view_str(new_name), &doc, e);
	}
	base = rc == 0 && doc ? bases_get(files_bases(m->files), &caller->who, doc) : 0;
	if (rc == 0)
		rc = namespace_rename(m->store, &actor, parent, view_str(name), new_parent,
				      view_str(new_name), flags, base, &replaced, e);
	if (rc == 0 &&
	    namespace_lookup(m->store, new_parent, view_str(new_name), &dirent, NULL) == 0 &&
	    inode_get(m->store, dirent.ino, &target, NULL) == 0 && target->r.doc != own_doc)
		bases_set(files_bases(m->files), &caller->who, target->r.doc, target->r.version);
	if (rc == 0)
		note_removed(m, replaced);
	return rc;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };

	caller_of(req, &caller);
	int rc = refuse_history_parent(new_parent, &e);
	if (rc == 0 && history_is_node(parent))
		rc = flags & ~(unsigned)RENAME_NOREPLACE
			     ? error_set(&e, -E_READ_ONLY, "the past is read-only")
			     : restore_by_rename(m, &caller, parent, name, new_parent, new_name,
						 flags, &e);
	else if (rc == 0)
		rc = rename_live(m, &caller, parent, name, new_parent, new_name, flags, &e);
	reply_status(req, "rename", parent, rc, &e);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf target = { 0 };
	struct mount *m = mount_of(req);
	struct caller caller;
	struct error e = { 0 };
	int rc;

	if (history_is_node(ino)) {
		caller_of(req, &caller);
		struct credentials who = identity_credentials(&caller);
		rc = history_readlink(m->history, &who, ino, &target, &e);
	} else {
		rc = inode_get(m->store, ino, &inode, &e);
		if (rc == 0)
			buf_append(&target, inode->r.target.data, inode->r.target.len);
	}
	const char *text = buf_cstr(&target);
	if (rc == 0)
		rc = buf_check(&target, &e);
	if (rc < 0)
		reply_error(req, "readlink", ino, rc, &e);
	else
		fuse_reply_readlink(req, text);
}
