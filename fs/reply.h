/* reply.h - answers to the kernel: where a code becomes an errno, and an inode a struct stat. */
#ifndef DAYBOOK_FS_REPLY_H
#define DAYBOOK_FS_REPLY_H

#include "mount.h"

/* Answers with rc's errno.  Failures that no program causes by itself (damage, a full disk, a bug)
 * are logged here, once: operation, inode, user, code, sentence. */
void reply_error(fuse_req_t req, const char *operation, uint64_t ino, int rc,
		 const struct error *e);
/* Answers 0 or the error. */
void reply_status(fuse_req_t req, const char *operation, uint64_t ino, int rc,
		  const struct error *e);

/* Attributes of a live inode with what is unsaved in it. */
void stat_of_inode(struct mount *m, const struct inode *inode, struct stat *st);
int stat_of(struct mount *m, uint64_t ino, struct stat *st, struct error *e);

/* The entry for a live inode, with the timeouts of the live tree. */
void entry_of_inode(struct mount *m, const struct inode *inode, struct fuse_entry_param *entry);
/* Answers with the entry of inode, or the error when rc < 0. */
void reply_inode(fuse_req_t req, const char *operation, uint64_t parent, int rc,
		 const struct inode *inode, const struct error *e);

/* Who asks. */
void caller_of(fuse_req_t req, struct caller *ret);
static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

#endif
