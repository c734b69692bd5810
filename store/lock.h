/* lock.h - every lock of store/ and fs/, in the order in which they may be taken.
 *
 * A thread may take a lock only while it holds none of the same or a later row (rows marked "many"
 * are sets of which a thread holds one at a time).  A thread-local mask asserts this in every
 * build.  No lock is held across a FUSE reply, a kernel notification or socket I/O. */
#ifndef DAYBOOK_LOCK_H
#define DAYBOOK_LOCK_H

#include <pthread.h>
#include <stdint.h>

/* X(NAME, what it guards) - first may be held while later ones are taken. */
#define LOCKS(X) \
	X(FS_INODE,  "one open or dirty inode of the mount: its staging and handles (many)") \
	X(FS_TABLE,  "the mount's tables of open inodes, handles and sessions") \
	X(HISTORY,   "the history tree's node table") \
	X(COMMIT,    "the state that changes apply to; change numbers and log order") \
	X(UNPACK,    "unpacking: one at a time, so that its memory is bounded") \
	X(REMOVAL,   "which chunks are about to be removed") \
	X(CONTENT,   "content.c's chunk and segment caches") \
	X(CACHE,     "the inode record cache") \
	X(QUEUE,     "queues of the sync thread, the workers and the notifier") \
	X(JOURNALS,  "journals that are done with, to be used again") \
	X(KV_SYNC,   "kv.c's shared sync") \
	X(KV_WRITE,  "the order of writes to the key-value store") \
	X(IDENTITY,  "cached user names")

enum lock_rank {
#define X(name, what) LOCK_##name,
	LOCKS(X)
#undef X
	LOCK_COUNT
};

struct lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

#define LOCK_INITIALIZER(rank) { PTHREAD_MUTEX_INITIALIZER, rank }

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_destroy(struct lock *lock);
void lock_take(struct lock *lock);
void lock_drop(struct lock *lock);
/* Waits on a condition with the lock held, as pthread_cond_wait(3). */
void lock_wait(struct lock *lock, pthread_cond_t *condition);
/* The same for at most so many ms. */
void lock_wait_for(struct lock *lock, pthread_cond_t *condition, int64_t ms);
/* Whether this thread holds a lock of the rank (for asserts). */
int lock_is_held(enum lock_rank rank);

#endif
