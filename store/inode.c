/* inode.c - inode records in memory: the cache in front of the store (namespace.h has the
 * contract). */
#include "internal.h"

#include <stdlib.h>

#define BUCKETS 65536 /* a power of two */

struct inode_cache {
	struct lock lock;
	size_t bytes, bytes_max;
	/* Counts replacements: a record read before one may be stale. */
	uint64_t epoch;
	struct inode lru;            /* newer and older of this one are the ends */
	struct inode *buckets[BUCKETS];
};

/* Every inode knows its cache, so that inode_put() needs no store. */
struct held_inode {
	struct inode inode;
	struct inode_cache *cache;
	uint8_t encoded[];
};

static struct held_inode *held(struct inode *inode)
{
	return (struct held_inode *)inode;
}

int inode_cache_new(size_t bytes, struct inode_cache **ret, struct error *e)
{
	struct inode_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return error_set(e, -E_NO_MEMORY, "out of memory for the inode cache");
	lock_init(&cache->lock, LOCK_CACHE);
	cache->bytes_max = bytes;
	cache->lru.newer = cache->lru.older = &cache->lru;
	*ret = cache;
	return 0;
}

static struct inode **bucket_of(struct inode_cache *cache, uint64_t ino)
{
	return &cache->buckets[(ino * 0x9e3779b97f4a7c15ull) >> 48];
}

static void lru_unlink(struct inode *inode)
{
	inode->newer->older = inode->older;
	inode->older->newer = inode->newer;
}

static void lru_push(struct inode_cache *cache, struct inode *inode)
{
	inode->older = cache->lru.older;
	inode->newer = &cache->lru;
	inode->older->newer = inode;
	cache->lru.older = inode;
}

static void unref(struct inode *inode)
{
	if (--inode->refs == 0)
		free(inode);
}

/* Takes the inode out of the cache, which holds one reference of it. */
static void evict(struct inode_cache *cache, struct inode *inode)
{
	struct inode **at = bucket_of(cache, inode->r.ino);

	while (*at != inode)
		at = &(*at)->bucket;
	*at = inode->bucket;
	lru_unlink(inode);
	inode->cached = false;
	cache->bytes -= inode->bytes;
	unref(inode);
}

static struct inode *find(struct inode_cache *cache, uint64_t ino)
{
	struct inode *at = *bucket_of(cache, ino);

	while (at && at->r.ino != ino)
		at = at->bucket;
	return at;
}

static void evict_oldest(struct inode_cache *cache)
{
	struct inode *oldest = cache->lru.newer;

	if (!oldest->kept) {
		evict(cache, oldest);
		return;
	}
	lru_unlink(oldest);
	lru_push(cache, oldest);
}

static void insert(struct inode_cache *cache, struct inode *inode)
{
	struct inode **bucket = bucket_of(cache, inode->r.ino);

	inode->bucket = *bucket;
	*bucket = inode;
	inode->cached = true;
	inode->refs++;
	lru_push(cache, inode);
	cache->bytes += inode->bytes;
	while (cache->bytes > cache->bytes_max && cache->lru.newer != inode)
		evict_oldest(cache);
}

void inode_cache_free(struct inode_cache *cache)
{
	if (!cache)
		return;
	while (cache->lru.newer != &cache->lru)
		evict(cache, cache->lru.newer);
	lock_destroy(&cache->lock);
	free(cache);
}

int inode_cache_make(struct inode_cache *cache, struct view encoded, struct inode **ret,
		     struct error *e)
{
	struct held_inode *h = malloc(sizeof(*h) + encoded.len);

	if (!h)
		return error_set(e, -E_NO_MEMORY, "out of memory for an inode");
	memset(h, 0, sizeof(*h));
	view_copy(h->encoded, encoded);
	h->cache = cache;
	h->inode.refs = 1;
	h->inode.bytes = sizeof(*h) + encoded.len + 16;
	int rc = inode_decode(&h->inode.r, view_of(h->encoded, encoded.len), e);
	if (rc < 0) {
		free(h);
		return rc;
	}
	*ret = &h->inode;
	return 0;
}

void inode_cache_replace(struct inode_cache *cache, uint64_t ino, struct inode *fresh)
{
	lock_take(&cache->lock);
	cache->epoch++;
	struct inode *old = find(cache, ino);
	if (old)
		evict(cache, old);
	if (fresh)
		insert(cache, fresh);
	lock_drop(&cache->lock);
}

void inode_cache_keep(struct inode_cache *cache, struct inode *inode, bool keep)
{
	lock_take(&cache->lock);
	inode->kept = keep;
	inode->refs += keep;
	lock_drop(&cache->lock);
}

/* The cached inode with a reference for the caller, or NULL and the epoch at which it was
 * missed. */
static struct inode *lookup(struct inode_cache *cache, uint64_t ino, uint64_t *ret_epoch)
{
	lock_take(&cache->lock);
	struct inode *inode = find(cache, ino);
	if (inode) {
		inode->refs++;
		lru_unlink(inode);
		lru_push(cache, inode);
	}
	*ret_epoch = cache->epoch;
	lock_drop(&cache->lock);
	return inode;
}

static void offer(struct inode_cache *cache, struct inode *inode, uint64_t epoch)
{
	lock_take(&cache->lock);
	if (cache->epoch == epoch && !find(cache, inode->r.ino))
		insert(cache, inode);
	lock_drop(&cache->lock);
}

int inode_get(struct store *store, uint64_t ino, struct inode **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(ino);
	uint64_t epoch;
	int rc;

	*ret = lookup(store->inodes, ino, &epoch);
	if (*ret)
		return 0;
	rc = kv_get(store->kv, NULL, FAMILY_INODE, key_view(&key), &value, e);
	if (rc == 0)
		rc = error_set(e, -E_STALE, "inode %llu does not exist", (unsigned long long)ino);
	if (rc < 0)
		return rc;
	rc = inode_cache_make(store->inodes, buf_view(&value), ret, e);
	if (rc < 0)
		return error_prefix(e, rc, "inode %llu", (unsigned long long)ino);
	if ((*ret)->r.ino != ino) {
		inode_put(*ret);
		*ret = NULL;
		return error_set(e, -E_CORRUPT, "inode %llu: the record is another inode's",
				 (unsigned long long)ino);
	}
	offer(store->inodes, *ret, epoch);
	return 0;
}

void inode_put(struct inode *inode)
{
	if (!inode)
		return;
	struct inode_cache *cache = held(inode)->cache;
	lock_take(&cache->lock);
	unref(inode);
	lock_drop(&cache->lock);
}
