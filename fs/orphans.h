/* orphans.h - inodes that have no name any more: those that may still be open, and those that the
 * kernel forgot, of which one write drops many. */
#ifndef DAYBOOK_FS_ORPHANS_H
#define DAYBOOK_FS_ORPHANS_H

#include "inode_set.h"
#include "store/namespace.h"

#define ORPHANS_FORGOTTEN_MAX 64

struct orphans {
	struct inode_set set;
	struct lock lock; /* FS_TABLE; of the two below */
	size_t count;
	uint64_t forgotten[ORPHANS_FORGOTTEN_MAX];
};

void orphans_init(struct orphans *orphans);
/* The inode lost its last name; out of memory, the next start drops it.  It got one again. */
void orphans_add(struct orphans *orphans, uint64_t ino);
void orphans_adopt(struct orphans *orphans, uint64_t ino);
/* The kernel forgot the inode, which need be no orphan: orphans_drop() will drop it.  False: so
 * many wait for that already. */
bool orphans_forget(struct orphans *orphans, uint64_t ino);
/* Drops those that the kernel forgot, but for those of which is_open(arg) says that a close is
 * under way. */
void orphans_drop(struct orphans *orphans, struct store *store,
		  bool (*is_open)(void *arg, uint64_t ino), void *arg);
/* store: the rest is dropped too; NULL: it stays for the next start. */
void orphans_release(struct orphans *orphans, struct store *store);

#endif
