/* namespace.h - the live tree: what is there now, and the operations that change it.
 *
 * An *inode* is a POSIX object with a 64-bit number that is never used again; a *dirent* is a
 * name in a directory. Each operation is one change (change.h): it is checked, given a number,
 * written to the log and to the tree in one atomic batch, or leaves everything as it was.
 * Operations are ordered by the store's commit lock, which they take themselves; the caller must
 * not hold it.  Permission is not checked here: the kernel did (fs/), or the caller does with
 * access.h (tools).  Names are raw bytes: 1 to 255, no '/' and no NUL, not "." or "..", not
 * ".history" (E_NAME_LONG, E_NAME_BAD, E_NAME_RESERVED). Which document a name's content belongs
 * to is decided by lineage.h. */
#ifndef DAYBOOK_NAMESPACE_H
#define DAYBOOK_NAMESPACE_H

#include "store.h"

/* Directories are made and moved at most this deep below the share's root (E_TOO_DEEP); a tree that
 * is moved as a whole takes what is in it along.  A way up that is longer than DEPTH_DAMAGED is a
 * loop, which only damage makes. */
#define DIRECTORY_DEPTH_MAX 2048
#define DEPTH_DAMAGED 100000

/* A decoded inode record that stays valid while held; immutable and shared (the record cache holds
 * it too). */
struct inode {
	struct inode_record r; /* views borrow from the inode's own memory */
	/* private */
	unsigned refs;
	size_t bytes;
	struct inode *newer, *older; /* the cache's LRU */
	struct inode *bucket;
	bool cached, kept;
};

/* Looks an inode up, from memory when warm.  *ret is held by the caller until inode_put() (accepts
 * NULL). -E_STALE: there is no such inode. */
int inode_get(struct store *store, uint64_t ino, struct inode **ret, struct error *e);
void inode_put(struct inode *inode);
static inline void inode_release(struct inode **inode)
{
	inode_put(*inode);
}

/* Finds name in directory parent: -E_NO_ENTRY when it is not there. */
int namespace_lookup(struct store *store, uint64_t parent, struct view name,
		     struct dirent_record *ret, struct error *e);

/* Reads a live directory in cookie order, beginning after cookie (below STORE_COOKIE_MIN: from the
 * start; "." and ".." are not among them).  each() returns false to stop; views are valid during
 * the call only. */
typedef bool (*dirent_visitor)(void *arg, struct view name, uint64_t cookie,
			       const struct dirent_record *dirent);
int namespace_readdir(struct store *store, uint64_t parent, uint64_t cookie, dirent_visitor each,
		      void *arg, struct error *e);

/* The path from the root to an inode's (one) name, without a leading slash, "" for the root;
 * appended to out. */
int namespace_path(struct store *store, uint64_t ino, struct buf *out, struct error *e);

/* Walks a path relative to the root ("", "a/b", leading slashes ignored) without following
 * symlinks. */
int namespace_walk(struct store *store, struct view path, struct inode **ret, struct error *e);

struct make {
	/* St_mode whole: type and permissions, umask and default ACL already applied. */
	uint32_t mode;
	uint32_t uid, gid;
	uint64_t rdev;      /* devices */
	struct view target; /* symlinks: 1 to 4095 bytes */
	struct view xattrs; /* list (format.h): inherited ACLs */
};

/* Makes a file, directory, symlink, fifo, socket or device under parent.  *ret is the new inode,
 * held. */
int namespace_make(struct store *store, const struct actor *actor, uint64_t parent,
		   struct view name, const struct make *make, struct inode **ret, struct error *e);

/* O_TMPFILE: an inode without a name (nlink 0), an orphan until it is linked; not logged until
 * then. */
int namespace_make_unnamed(struct store *store, const struct actor *actor, const struct make *make,
			   struct inode **ret, struct error *e);

int namespace_link(struct store *store, const struct actor *actor, uint64_t ino, uint64_t parent,
		   struct view name, struct inode **ret, struct error *e);

/* Removes a name.  *ret_ino is its inode; when that has no name left it becomes an orphan: it can
 * be read and written on until namespace_drop_orphan(). */
int namespace_unlink(struct store *store, const struct actor *actor, uint64_t parent,
		     struct view name, uint64_t *ret_ino, struct error *e);
/* 0, or -E_NOT_EMPTY when directory ino has names in it. */
int namespace_is_empty(struct store *store, uint64_t ino, struct error *e);
int namespace_rmdir(struct store *store, const struct actor *actor, uint64_t parent,
		    struct view name, struct error *e);

/* The document that a file renamed to this free name would continue (L3), 0 when there is none. */
int namespace_vacated(struct store *store, uint64_t parent, struct view name, uint64_t *ret_doc,
		      struct error *e);

/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE of renameat2(2).  base: as in version_save(), for the
 * destination's document.  What the rename did to an inode that was replaced: *ret_replaced is its
 * number, or 0. Unsaved bytes of the source must have been saved before (version_save). */
int namespace_rename(struct store *store, const struct actor *actor, uint64_t parent,
		     struct view name, uint64_t new_parent, struct view new_name, unsigned flags,
		     uint64_t base, uint64_t *ret_replaced, struct error *e);

/* The last handle of an inode without a name is gone: forget it (its versions stay).  No-op for
 * others.  Several are dropped by one write: all or none. */
int namespace_drop_orphan(struct store *store, uint64_t ino, struct error *e);
int namespace_drop_orphans(struct store *store, const uint64_t *inodes, size_t n,
			   struct error *e);

/* What setattr changes; sizes go through staging and version_save. */
struct attributes {
	bool set_mode, set_uid, set_gid, set_atime, set_mtime, set_ctime;
	uint32_t mode;  /* permission bits and setuid, setgid, sticky */
	uint32_t uid, gid;
	int64_t atime, mtime, ctime; /* ns since 1970 */
};
/* Changing the mode changes the access ACL with it.  Within 5 s of a save by the same session this
 * folds into that version (L1).  An owner and mode that the inode has already are no change: only
 * its ctime is set. */
int namespace_setattr(struct store *store, const struct actor *actor, uint64_t ino,
		      const struct attributes *set, struct inode **ret, struct error *e);
/* The same for a file made just now whose first save is on its way: that save tells (struct
 * save.attributes), and this is no change of its own.  1: done, but for the times: the save brings
 * them.  0: the file is no such file, nothing was done. */
int namespace_prepare(struct store *store, const struct actor *actor, uint64_t ino,
		      const struct attributes *set, struct error *e);

/* An owner and a mode as the log says them: "0:0", "644", or "0:0 644". */
#define ATTRIBUTES_TEXT_ROOM 64
void attributes_describe(const struct inode_record *inode, bool owner, bool mode,
			 char out[ATTRIBUTES_TEXT_ROOM]);

/* flags: XATTR_CREATE, XATTR_REPLACE, XATTR_KILL_SETGID.  system.posix_acl_access also sets the
 * mode bits (and is dropped when it says no more than they do; removing one that is not there is no
 * error); a malformed ACL is E_INVALID. user.daybook.* is E_NOT_PERMITTED. */
/* An access ACL is set by somebody outside the file's group: setgid goes. */
#define XATTR_KILL_SETGID (1 << 16)
int namespace_setxattr(struct store *store, const struct actor *actor, uint64_t ino,
		       struct view name, struct view value, int flags, struct error *e);
int namespace_removexattr(struct store *store, const struct actor *actor, uint64_t ino,
			  struct view name, struct error *e);

#endif
