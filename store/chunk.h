/* chunk.h - chunks: runs of bytes kept once, compressed, under a growing id.
 *
 * A chunk is found again by its *name*, XXH3-128 keyed with the store's secret; a name is a hint
 * only, the bytes are compared on every hit.  Of two different chunks with one name both live; the
 * later takes the name. */
#ifndef DAYBOOK_CHUNK_H
#define DAYBOOK_CHUNK_H

#include <stdatomic.h>

#include "chunker.h"
#include "format.h"
#include "kv.h"
#include "lru.h"

#define CHUNK_NAME_LEN 16
#define CHUNK_SECRET_LEN 192
#define CHUNK_MANY_MAX 64 /* chunks loaded by one call */

/* First byte of a chunk's value. */
enum chunk_codec {
	CHUNK_RAW = 0,
	CHUNK_ZSTD = 1,
};

/* A decoded chunk, pinned in the cache. */
struct chunk {
	struct lru_entry entry; /* key: its id */
	size_t len;
	uint8_t data[];
};

/* All chunks of a store.  Any thread. */
struct chunks {
	struct kv *kv;
	uint8_t secret[CHUNK_SECRET_LEN];
	atomic_uint_least64_t next_id;
	struct lru cache;
	/* Contexts of zstd that nobody uses now, or NULL: making one costs more than compressing a
	 * small file. */
	_Atomic(void *) compressor, decompressor;
	struct lock removal;
	struct doomed *doomed;  /* by id; guarded by removal, as the rest */
	size_t doomed_count;
	unsigned keepers;
	atomic_bool any_doomed; /* whether to look at all */
};

/* A chunk that no segment names, about to be removed, unless a save finds it by its name first. */
struct doomed {
	uint64_t id;
	uint8_t name[CHUNK_NAME_LEN];
	bool rescued;
};

/* Dooms the chunks of that list, ordered by id, which is the caller's and stays until
 * chunks_doom(c, NULL, 0). */
void chunks_doom(struct chunks *c, struct doomed *list, size_t count);
/* Rescues a chunk if it is doomed. */
void chunks_rescue(struct chunks *c, uint64_t id);
/* Removes what is doomed among count chunks of the list from first on, and the names that are still
 * theirs, in one batch; *ret_removed is how many were.  Waits for nobody; a save that looks for a
 * name meanwhile waits for the batch to be written. 1: done; 0: somebody keeps all chunks for
 * now. */
int chunks_remove(struct chunks *c, size_t first, size_t count, size_t *ret_removed,
		  struct error *e);
/* While kept, no chunk is removed: for who reads on a snapshot what refers to chunks. */
void chunks_keep(struct chunks *c, bool keep);

int chunks_open(struct chunks *c, struct kv *kv, const uint8_t secret[32], size_t cache_bytes,
		struct error *e);
void chunks_close(struct chunks *c); /* accepts a zeroed one */

void chunk_name(const struct chunks *c, struct view bytes, uint8_t name[CHUNK_NAME_LEN]);

/* The chunks with those ids (n <= CHUNK_MANY_MAX), in one read of the database for all that are not
 * cached; each is the caller's to drop.  -E_CORRUPT when one is absent or does not decode; then
 * none is returned. */
int chunk_load_many(struct chunks *c, size_t n, const uint64_t *ids, struct chunk **ret,
		    struct error *e);
void chunk_drop(struct chunks *c, struct chunk *chunk); /* accepts NULL */

/* Reads one chunk from the database, not from the cache, which it leaves alone. */
int chunk_load_fresh(struct chunks *c, uint64_t id, struct chunk **ret, struct error *e);

/* The same as of a snapshot. */
int chunk_load_at(struct chunks *c, const struct kv_snapshot *snapshot, uint64_t id,
		  struct chunk **ret, struct error *e);

/* A chunk that is none of the store's, of len bytes: somebody's own, for an lru.  NULL: out of
 * memory. */
struct chunk *chunk_alloc(uint64_t id, size_t len);

/* The bytes that chunks take as they are stored. */
int chunk_stored_bytes(struct chunks *c, size_t n, const uint64_t *ids, uint64_t *ret,
		       struct error *e);

/* 1: a chunk of the database has the name of those bytes; 0: none has. */
int chunk_is_known(struct chunks *c, struct view bytes, struct error *e);

/* What one thread needs while it stores chunks: compressor, and the names that its batch holds but
 * the database does not yet.  Zeroed = empty. */
struct chunk_writer {
	struct chunks *chunks;
	struct kv_batch *batch;
	bool past;                /* chunk_writer_begin_past() */
	struct kv_batch unlogged; /* the chunks that go past the log */
	uint64_t past_first, past_next, past_end; /* ids that are theirs */
	void *compressor;
	struct buf compressed;
	struct chunk_pending *pending; /* hash table, open addressing */
	size_t pending_count, pending_slots;
	unsigned raw_run;   /* chunks in a row that did not become smaller */
	uint64_t new_bytes; /* of chunks that were not there */
};

void chunk_writer_init(struct chunk_writer *w, struct chunks *c, struct kv_batch *batch);
void chunk_writer_release(struct chunk_writer *w);

/* The id of a chunk with those bytes (at most CHUNK_LEN_MAX): one that is there, or a new one put
 * into the batch. */
int chunk_store(struct chunk_writer *w, struct view bytes, uint64_t *ret_id, struct error *e);

/* What is stored from now on goes past batch and log (kv_write_unlogged): for what is large.
 * bytes: how many there will be, in chunks of min and more; what does not fit goes into the batch
 * all the same.  The batch must not be flushed until chunk_writer_end_past(), which writes all of
 * it: its chunks are in the database then, on stable storage.  A death in between leaves no chunk
 * without a name: META "incoming" tells chunks_open() what to remove. */
int chunk_writer_begin_past(struct chunk_writer *w, uint64_t bytes, size_t min, struct error *e);
int chunk_writer_end_past(struct chunk_writer *w, struct error *e);

/* 1: the chunk came in past the log and waits for its name or, after a failure, for its removal. */
int chunk_is_incoming(struct chunks *c, uint64_t id, struct error *e);

/* Writes the batch and clears it: its chunks are in the database from then on. */
int chunk_writer_flush(struct chunk_writer *w, struct error *e);

/* Test hook: every chunk gets the same name, so that only the comparison of bytes tells them
 * apart. */
void chunk_names_collide(bool collide);

#endif
