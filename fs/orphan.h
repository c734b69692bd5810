/* orphan.h - a set of inodes that have no name any more but may still be open. */
#ifndef DAYBOOK_FS_ORPHAN_H
#define DAYBOOK_FS_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>

#include "store/lock.h"

#define ORPHAN_BUCKETS 1024

struct orphan;
struct orphans {
	struct lock lock; /* FS_TABLE */
	struct orphan *buckets[ORPHAN_BUCKETS];
};

void orphans_init(struct orphans *orphans);
/* Out of memory: nothing is added; then the next start drops the inode. */
void orphans_add(struct orphans *orphans, uint64_t ino);
/* Whether the inode is in the set; `take`: and is so no longer. */
bool orphans_have(struct orphans *orphans, uint64_t ino, bool take);
/* Empties and releases the set, having called each(), which may be NULL, for every inode in it. */
void orphans_release(struct orphans *orphans, void (*each)(void *arg, uint64_t ino), void *arg);

#endif
