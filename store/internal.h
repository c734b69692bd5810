/* internal.h - the inside of struct store, for the parts of store/ that read and write its records
 * themselves. */
#ifndef DAYBOOK_INTERNAL_H
#define DAYBOOK_INTERNAL_H

#include <stdatomic.h>

#include "change.h"
#include "dirents.h"
#include "key.h"
#include "lagging.h"
#include "lock.h"
#include "lru.h"

struct inode_cache;

/* Entries of the log's indexes for one block of changes, the newest, that need not be written
 * again. */
struct indexed {
	uint64_t block;
	size_t count;
	struct {
		enum family family;
		uint64_t id;
	} at[64];
};

/* Whether the block that change is in has that entry already; if not, it is taken to have it from
 * now on. */
bool indexed_note(struct indexed *indexed, uint64_t change, enum family family, uint64_t id);

struct store {
	char *path;
	int directory_fd, staging_fd, lock_fd;
	bool read_only;
	uint64_t boot; /* wal.h */
	uint8_t secret[32];
	char id[33];
	struct kv *kv;
	struct content_store *contents;
	struct journals *journals;
	struct inode_cache *inodes;
	struct dirents *dirents;
	struct lru documents; /* encoded, what changes use; filled with the commit lock held */
	struct buf report;
	atomic_flag packing; /* set while a thread packs */

	struct lock commit; /* guards what follows */
	uint64_t head_change, next_inode, next_document;
	struct digest head_digest;
	int64_t first_time, last_time;
	uint64_t live_files, live_bytes, versions, version_bytes;
	struct indexed indexed;
	struct lagging lagging;
};

#define DATABASE_NAME "db"

/* store_open() in steps, for salvage.h: FORMAT is checked and the lock taken; then the database of
 * that name is opened, with what stands on it; both are closed by store_close(), the latter also
 * alone. */
int store_begin(const char *path, int lock, struct store **ret, struct error *e);
int store_open_parts(struct store *store, const char *database, const struct store_options *options,
		     bool create, struct error *e);
void store_close_parts(struct store *store);

/* The cache of inode records: bounded by bytes, least recently used goes first. */
int inode_cache_new(size_t bytes, struct inode_cache **ret, struct error *e);
void inode_cache_free(struct inode_cache *cache);
/* An inode of an encoded record, held by the caller and not in the cache. */
int inode_cache_make(struct inode_cache *cache, struct view encoded, struct inode **ret,
		     struct error *e);
/* The inode, which the cache is given or has, stays in it, or need no longer.  For few. */
void inode_cache_keep(struct inode_cache *cache, struct inode *inode, bool keep);
/* What a committed change made of an inode; NULL: it is gone.  The caller's hold stays his. */
void inode_cache_replace(struct inode_cache *cache, uint64_t ino, struct inode *fresh);

/* Keeps a document's encoded record in memory, as it was committed.  Holds the commit lock. */
void document_keep(struct store *store, uint64_t doc, struct view encoded);

/* Puts the number of the next inode into the batch, for one that the log knows nothing of.  Holds
 * the commit lock. */
void store_put_next_inode(const struct store *store, struct kv_batch *batch);

/* Changes, inodes and documents are numbered from 1 up to this: the kernel's numbers above it are
 * nodes of the past. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

/* Takes the number that comes next; `of` says of what, for the sentence.  -E_NUMBERS_END: there is
 * none. */
int store_take_number(uint64_t *next, const char *of, uint64_t *ret, struct error *e);

/* The newest ended interval of a name: 1 and *ret, or 0. */
int past_dirent_newest(struct store *store, uint64_t parent, struct view name,
		       struct dirent_record *ret, struct error *e);

#endif
