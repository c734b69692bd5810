/* internal.h - the inside of struct store, for the parts of store/ that read and write its records themselves. */
#ifndef DAYBOOK_INTERNAL_H
#define DAYBOOK_INTERNAL_H

#include <stdatomic.h>

#include "change.h"
#include "lock.h"

struct inode_cache;

struct store {
	char *path;
	int directory_fd, staging_fd, lock_fd;
	bool read_only;
	uint64_t boot; /* wal.h */
	uint8_t secret[32];
	char id[33];
	struct kv *kv;
	struct content_store *contents;
	struct inode_cache *inodes;
	struct buf report;
	atomic_flag packing; /* set while a thread packs */

	struct lock commit; /* guards what follows */
	uint64_t head_change, next_inode, next_document;
	struct digest head_digest;
	int64_t first_time, last_time;
	uint64_t live_files, live_bytes;
};

/* The cache of inode records: bounded by bytes, least recently used goes first. */
int inode_cache_new(size_t bytes, struct inode_cache **ret, struct error *e);
void inode_cache_free(struct inode_cache *cache);
/* What a committed change made of an inode: its encoded record, or an empty view when it is gone. */
void inode_cache_replace(struct inode_cache *cache, uint64_t ino, struct view encoded);

/* Puts the counts into the batch as they are once files and bytes are added.  Holds the commit lock. */
void store_put_counts(const struct store *store, struct kv_batch *batch, int64_t files, int64_t bytes);

/* The keys, each appended to an empty buf. */
#define KEY_ROOM 288
struct key {
	uint8_t bytes[KEY_ROOM];
	size_t len;
};
struct key key_number(uint64_t a);
struct key key_numbers(uint64_t a, uint64_t b);
struct key key_name(uint64_t parent, uint64_t cookie, struct view name);
struct key key_past_name(uint64_t parent, uint64_t cookie, struct view name, uint64_t since);
struct key key_link(uint64_t ino, uint64_t parent, struct view name);
struct key key_tag(uint64_t directory, struct view name);
struct key key_by_user(uint32_t uid, uint64_t change);
struct key key_by_digest(const struct digest *digest, uint64_t doc, uint64_t number);
static inline struct view key_view(const struct key *key)
{
	return view_of(key->bytes, key->len);
}

/* The newest ended interval of a name: 1 and *ret, or 0. */
int past_dirent_newest(struct store *store, uint64_t parent, struct view name, struct dirent_record *ret,
		       struct error *e);

#endif
