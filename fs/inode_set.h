/* inode_set.h - a set of inodes: those that have no name any more but may still be open,
 * directories that are being listed. */
#ifndef DAYBOOK_FS_INODE_SET_H
#define DAYBOOK_FS_INODE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "store/lock.h"

#define INODE_SET_BUCKETS 1024

struct inode_member;
struct inode_set {
	struct lock lock; /* FS_TABLE */
	struct inode_member *buckets[INODE_SET_BUCKETS];
};

void inode_set_init(struct inode_set *set);
/* False: it is in the set already, or there is no memory for it. */
bool inode_set_add(struct inode_set *set, uint64_t ino);
/* Whether the inode is in the set; `take`: and is so no longer. */
bool inode_set_has(struct inode_set *set, uint64_t ino, bool take);
/* Empties and releases the set, having called each(), which may be NULL, for every inode in it. */
void inode_set_release(struct inode_set *set, void (*each)(void *arg, uint64_t ino), void *arg);

#endif
