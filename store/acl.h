/* acl.h - POSIX access control lists in the form of the system.posix_acl_* attributes (acl(5), and
 * the kernel's include/uapi/linux/posix_acl_xattr.h: u32 version 2, then {u16 tag, u16 perm, u32
 * id} entries, little-endian). An empty view is "no ACL". */
#ifndef DAYBOOK_ACL_H
#define DAYBOOK_ACL_H

#include "bytes.h"

#define ACL_ACCESS_NAME "system.posix_acl_access"
#define ACL_DEFAULT_NAME "system.posix_acl_default"

enum {
	ACL_TAG_USER_OBJ = 1,
	ACL_TAG_USER = 2,
	ACL_TAG_GROUP_OBJ = 4,
	ACL_TAG_GROUP = 8,
	ACL_TAG_MASK = 16,
	ACL_TAG_OTHER = 32
};

struct acl_entry {
	unsigned tag, perm;
	uint32_t id;
};

/* Walks: zero-initialise nothing; start with *rest = the attribute's value after acl_is_valid().
 * false at the end. */
bool acl_next(struct view *rest, struct acl_entry *ret);

/* Well formed: version, sorted tags, exactly one of each base entry, a mask when there are named
 * entries. */
bool acl_is_valid(struct view acl);

/* The permission bits (0 to 0777) that the ACL shows as a mode: the group bits are the mask's where
 * there is one. */
uint32_t acl_mode(struct view acl);

/* Whether the ACL says no more than mode bits do. */
bool acl_is_mode_only(struct view acl);

/* Appends the ACL as chmod(mode) makes it. */
void acl_chmod(struct buf *out, struct view acl, uint32_t mode);

/* A new file in a directory with default ACL `parent_default`: appends its access ACL to out
 * (nothing when mode bits suffice) and returns the permission bits, mode (without umask) cut down
 * by the ACL. */
uint32_t acl_inherit(struct buf *out, struct view parent_default, uint32_t mode);

#endif
