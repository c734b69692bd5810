/* chunk.c - see chunk.h. */
#include "chunk.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#define XXH_NO_STREAM
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#define COMPRESSION_LEVEL 1
#define RAW_RUN 8
#define RAW_TRY 4
#define PENDING_SLOTS_MIN 256
#define UNLOGGED_BYTES ((size_t)1 << 20)

static atomic_bool all_names_equal;

void chunk_names_collide(bool collide)
{
	atomic_store(&all_names_equal, collide);
}

/* ---- all chunks ---- */

/* XXH3 wants 136 or more bytes of secret: keyed BLAKE2b of 0, 1, 2 under the store's. */
static void stretch_secret(uint8_t out[CHUNK_SECRET_LEN], const uint8_t secret[32])
{
	for (uint8_t i = 0; i < CHUNK_SECRET_LEN / 64; i++)
		crypto_generichash(out + 64 * i, 64, &i, 1, secret, 32);
}

static int last_id(struct kv *kv, uint64_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(kv, NULL, FAMILY_CHUNK, view_of(NULL, 0), true);
	struct view key;
	int r = kv_iter_next(it, &key, NULL, e);

	if (r < 0)
		return r;
	*ret = 0;
	if (r == 0)
		return 0;
	struct reader in = reader_of(key);
	*ret = reader_u64(&in);
	return reader_done(&in) ? 0 : error_set(e, -E_CORRUPT, "a chunk's key is damaged");
}

/* ---- what came in past the log when process or machine died before it had its names ---- */

/* META: behind it the first id, u64; the value is a varint, how many ids from it on. */
#define INCOMING "incoming"
#define REMOVE_BYTES_MAX 65536

static void incoming_key(struct buf *key, uint64_t first)
{
	buf_clear(key);
	buf_append(key, INCOMING, strlen(INCOMING));
	buf_u64(key, first);
}

static int incoming_decode(struct view key, struct view value, uint64_t *ret_first,
			   uint64_t *ret_count, struct error *e)
{
	struct reader at = reader_of(key), in = reader_of(value);

	reader_bytes(&at, strlen(INCOMING));
	*ret_first = reader_u64(&at);
	*ret_count = reader_varint(&in);
	if (reader_done(&at) && reader_done(&in))
		return 0;
	return error_set(e, -E_CORRUPT,
			 "what the database tells of content that came in is damaged");
}

static int delete_range(struct kv *kv, uint64_t first, uint64_t count, struct kv_batch *batch,
			struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(kv, NULL, FAMILY_CHUNK, view_of(NULL, 0), false);
	CLEANUP(buf_release) struct buf start = { 0 };
	struct view key;
	int r;

	buf_u64(&start, first);
	kv_iter_seek(it, buf_view(&start));
	while ((r = kv_iter_next(it, &key, NULL, e)) == 1) {
		struct reader in = reader_of(key);

		if (reader_u64(&in) - first >= count)
			return 0;
		kv_batch_delete(batch, FAMILY_CHUNK, key);
		if (kv_batch_bytes(batch) > REMOVE_BYTES_MAX) {
			r = kv_write(kv, batch, e);
			kv_batch_clear(batch);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* key: of META. */
static int remove_range(struct kv *kv, struct view key, uint64_t first, uint64_t count,
			struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	int r = delete_range(kv, first, count, &batch, e);

	kv_batch_delete(&batch, FAMILY_META, key);
	return r < 0 ? r : kv_write(kv, &batch, e);
}

static int remove_incoming(struct kv *kv, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(kv, NULL, FAMILY_META, view_str(INCOMING), false);
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) == 1) {
		uint64_t first, count;

		r = incoming_decode(key, value, &first, &count, e);
		if (r == 0)
			r = remove_range(kv, key, first, count, e);
		if (r < 0)
			return r == -EROFS ? 0 : r; /* another time */
	}
	return r;
}

int chunk_is_incoming(struct chunks *c, uint64_t id, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(c->kv, NULL, FAMILY_META, view_str(INCOMING), false);
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) == 1) {
		uint64_t first, count;

		r = incoming_decode(key, value, &first, &count, e);
		if (r < 0 || id - first < count)
			return r < 0 ? r : 1;
	}
	return r;
}

int chunks_open(struct chunks *c, struct kv *kv, const uint8_t secret[32], size_t cache_bytes,
		struct error *e)
{
	uint64_t last = 0;
	int r = remove_incoming(kv, e);

	if (r == 0)
		r = last_id(kv, &last, e);
	if (r < 0)
		return r;
	*c = (struct chunks){ .kv = kv };
	atomic_store(&c->next_id, last + 1);
	stretch_secret(c->secret, secret);
	lock_init(&c->removal, LOCK_REMOVAL);
	r = lru_init(&c->cache, cache_bytes);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

void chunks_close(struct chunks *c)
{
	if (c->kv)
		lock_destroy(&c->removal);
	lru_release(&c->cache);
	ZSTD_freeCCtx(atomic_exchange(&c->compressor, NULL));
	ZSTD_freeDCtx(atomic_exchange(&c->decompressor, NULL));
}

void chunk_name(const struct chunks *c, struct view bytes, uint8_t name[CHUNK_NAME_LEN])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSecret(bytes.data, bytes.len,
								     c->secret, CHUNK_SECRET_LEN));
	if (atomic_load_explicit(&all_names_equal, memory_order_relaxed))
		memset(&canonical, 0, sizeof(canonical));
	memcpy(name, canonical.digest, CHUNK_NAME_LEN);
}

/* ---- loading ---- */

struct id_key {
	uint8_t bytes[8];
};

static struct id_key id_key_of(uint64_t id)
{
	struct id_key key;

	for (size_t i = 0; i < 8; i++)
		key.bytes[i] = (uint8_t)(id >> (56 - 8 * i));
	return key;
}

struct chunk *chunk_alloc(uint64_t id, size_t len)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + len);

	if (!chunk)
		return NULL;
	chunk->entry = (struct lru_entry){ .key = id, .bytes = sizeof(*chunk) + len, .users = 1 };
	chunk->len = len;
	return chunk;
}

static size_t decoded_len(uint8_t codec, struct view body)
{
	unsigned long long n;

	if (codec == CHUNK_RAW)
		return body.len;
	n = ZSTD_getFrameContentSize(body.data, body.len);
	return n > CHUNK_LEN_MAX ? 0 : (size_t)n;
}

static int decompress(struct chunks *c, struct chunk *chunk, struct view body, struct error *e)
{
	ZSTD_DCtx *with = atomic_exchange(&c->decompressor, NULL);
	size_t n = 0;

	if (!with)
		with = ZSTD_createDCtx();
	if (with)
		n = ZSTD_decompressDCtx(with, chunk->data, chunk->len, body.data, body.len);
	ZSTD_freeDCtx(atomic_exchange(&c->decompressor, with));
	if (!with || ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	return n == chunk->len
		       ? 0
		       : error_set(e, -E_CORRUPT, "chunk %llu is damaged: it does not decompress",
				   (unsigned long long)chunk->entry.key);
}

/* A chunk's value: codec u8, bytes. */
static int chunk_decode(struct chunks *c, uint64_t id, struct view value, struct chunk **ret,
			struct error *e)
{
	struct reader in = reader_of(value);
	uint8_t codec = reader_u8(&in);
	struct view body = reader_bytes(&in, reader_left(&in));

	if (!in.failed && codec > CHUNK_ZSTD)
		return error_set(e, -E_FORMAT_NEWER,
				 "chunk %llu was written by a newer Daybook: upgrade this one",
				 (unsigned long long)id);
	size_t len = in.failed ? 0 : decoded_len(codec, body);
	if (len == 0 || len > CHUNK_LEN_MAX)
		return error_set(e, -E_CORRUPT, "chunk %llu is damaged", (unsigned long long)id);
	struct chunk *chunk = chunk_alloc(id, len);
	if (!chunk)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	int r = 0;
	if (codec == CHUNK_RAW)
		memcpy(chunk->data, body.data, len);
	else
		r = decompress(c, chunk, body, e);
	if (r < 0)
		free(chunk);
	else
		*ret = chunk;
	return r;
}

static int missing(uint64_t id, struct error *e)
{
	if (id == LOST_ID)
		return error_set(e, -E_CORRUPT, LOST_SENTENCE);
	return error_set(e, -E_CORRUPT, "chunk %llu is missing", (unsigned long long)id);
}

int chunk_load_fresh(struct chunks *c, uint64_t id, struct chunk **ret, struct error *e)
{
	return chunk_load_at(c, NULL, id, ret, e);
}

int chunk_stored_bytes(struct chunks *c, size_t n, const uint64_t *ids, uint64_t *ret,
		       struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		struct id_key key = id_key_of(ids[i]);
		int r = kv_get(c->kv, NULL, FAMILY_CHUNK, view_of(&key, 8), &value, e);

		if (r < 0)
			return r;
		*ret += value.len;
	}
	return 0;
}

int chunk_load_at(struct chunks *c, const struct kv_snapshot *snapshot, uint64_t id,
		  struct chunk **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct id_key key = id_key_of(id);
	int r = kv_get(c->kv, snapshot, FAMILY_CHUNK, view_of(&key, 8), &value, e);

	if (r < 0)
		return r;
	return r == 0 ? missing(id, e) : chunk_decode(c, id, buf_view(&value), ret, e);
}

/* Chunks that are being loaded: the i-th goes to ret[where[i]]. */
struct loading {
	struct chunks *chunks;
	const uint64_t *ids;
	struct chunk **ret;
	size_t where[CHUNK_MANY_MAX];
};

static int loaded(void *arg, size_t i, const struct view *value, struct error *e)
{
	struct loading *l = arg;
	uint64_t id = l->ids[l->where[i]];
	struct chunk **chunk = &l->ret[l->where[i]];
	int r = value ? chunk_decode(l->chunks, id, *value, chunk, e) : missing(id, e);

	if (r == 0)
		lru_add(&l->chunks->cache, &(*chunk)->entry);
	return r;
}

/* Loads those of ids whose place in ret is still NULL. */
static int load_uncached(struct chunks *c, size_t n, const uint64_t *ids, struct chunk **ret,
			 struct error *e)
{
	struct loading l = { .chunks = c, .ids = ids, .ret = ret };
	struct id_key keys[CHUNK_MANY_MAX];
	struct view views[CHUNK_MANY_MAX];
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (ret[i])
			continue;
		keys[count] = id_key_of(ids[i]);
		views[count] = view_of(&keys[count], 8);
		l.where[count++] = i;
	}
	return kv_get_many(c->kv, NULL, FAMILY_CHUNK, count, views, loaded, &l, e);
}

int chunk_load_many(struct chunks *c, size_t n, const uint64_t *ids, struct chunk **ret,
		    struct error *e)
{
	size_t absent = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		ret[i] = lru_find(&c->cache, ids[i]);
		absent += ret[i] == NULL;
	}
	if (absent)
		r = load_uncached(c, n, ids, ret, e);
	for (size_t i = 0; r < 0 && i < n; i++) {
		chunk_drop(c, ret[i]);
		ret[i] = NULL;
	}
	return r;
}

void chunk_drop(struct chunks *c, struct chunk *chunk)
{
	if (chunk)
		lru_drop(&c->cache, &chunk->entry);
}

/* ---- storing ---- */

struct chunk_pending {
	uint8_t name[CHUNK_NAME_LEN];
	uint64_t id; /* 0: free slot */
};

void chunk_writer_init(struct chunk_writer *w, struct chunks *c, struct kv_batch *batch)
{
	*w = (struct chunk_writer){ .chunks = c, .batch = batch };
}

/* What came in for nothing; should that fail, the next opening does it. */
static void give_up_past(struct chunk_writer *w)
{
	CLEANUP(buf_release) struct buf key = { 0 };

	incoming_key(&key, w->past_first);
	if (!key.failed)
		remove_range(w->chunks->kv, buf_view(&key), w->past_first,
			     w->past_end - w->past_first, NULL);
}

void chunk_writer_release(struct chunk_writer *w)
{
	if (w->past)
		give_up_past(w);
	kv_batch_release(&w->unlogged);
	if (w->compressor)
		ZSTD_freeCCtx(atomic_exchange(&w->chunks->compressor, w->compressor));
	buf_release(&w->compressed);
	free(w->pending);
	*w = (struct chunk_writer){ 0 };
}

/* The slot that holds name, or the free one where it would go; NULL while there is no table. */
static struct chunk_pending *pending_slot(const struct chunk_writer *w,
					  const uint8_t name[CHUNK_NAME_LEN])
{
	uint64_t hash;

	if (!w->pending_slots)
		return NULL;
	memcpy(&hash, name, sizeof(hash));
	for (size_t i = hash & (w->pending_slots - 1);; i = (i + 1) & (w->pending_slots - 1)) {
		struct chunk_pending *slot = &w->pending[i];

		if (slot->id == 0 || memcmp(slot->name, name, CHUNK_NAME_LEN) == 0)
			return slot;
	}
}

static int pending_widen(struct chunk_writer *w, struct error *e)
{
	struct chunk_writer wide = { .pending_slots = w->pending_slots ? 2 * w->pending_slots
								       : PENDING_SLOTS_MIN };

	wide.pending = calloc(wide.pending_slots, sizeof(*wide.pending));
	if (!wide.pending)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < w->pending_slots; i++) {
		if (w->pending[i].id)
			*pending_slot(&wide, w->pending[i].name) = w->pending[i];
	}
	free(w->pending);
	w->pending = wide.pending;
	w->pending_slots = wide.pending_slots;
	return 0;
}

static int pending_add(struct chunk_writer *w, const uint8_t name[CHUNK_NAME_LEN], uint64_t id,
		       struct error *e)
{
	struct chunk_pending *slot;

	if (2 * w->pending_count >= w->pending_slots) {
		int r = pending_widen(w, e);

		if (r < 0)
			return r;
	}
	slot = pending_slot(w, name);
	w->pending_count += slot->id == 0;
	memcpy(slot->name, name, CHUNK_NAME_LEN);
	slot->id = id;
	return 0;
}

/* ---- removing ---- */

static int by_id(const void *a, const void *b)
{
	const struct doomed *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

void chunks_doom(struct chunks *c, struct doomed *list, size_t count)
{
	lock_take(&c->removal);
	c->doomed = list;
	c->doomed_count = count;
	atomic_store(&c->any_doomed, count > 0);
	lock_drop(&c->removal);
}

/* With the lock held. */
static void rescue(struct chunks *c, uint64_t id)
{
	struct doomed key = { .id = id }, *found = NULL;

	if (c->doomed_count)
		found = bsearch(&key, c->doomed, c->doomed_count, sizeof(key), by_id);
	if (found)
		found->rescued = true;
}

void chunks_rescue(struct chunks *c, uint64_t id)
{
	lock_take(&c->removal);
	rescue(c, id);
	lock_drop(&c->removal);
}

void chunks_keep(struct chunks *c, bool keep)
{
	lock_take(&c->removal);
	c->keepers += keep ? 1u : -1u;
	lock_drop(&c->removal);
}

static int look_up_any(struct chunks *c, const uint8_t name[CHUNK_NAME_LEN], uint64_t *ret_id,
		       struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int r = kv_get(c->kv, NULL, FAMILY_CHUNK_NAME, view_of(name, CHUNK_NAME_LEN), &value, e);

	if (r <= 0)
		return r;
	struct reader in = reader_of(buf_view(&value));
	*ret_id = reader_varint(&in);
	/* A damaged name costs a second copy, no more. */
	return reader_done(&in) && *ret_id ? 1 : 0;
}

/* With the lock held.  Two saves of the same new bytes at once leave two chunks of one name, which
 * leads to the later. */
static int remove_one(struct chunks *c, const struct doomed *doomed, struct kv_batch *batch,
		      struct error *e)
{
	struct id_key key = id_key_of(doomed->id);
	uint64_t named = 0;
	int r = look_up_any(c, doomed->name, &named, e);

	if (r < 0)
		return r;
	kv_batch_delete(batch, FAMILY_CHUNK, view_of(&key, 8));
	lru_remove(&c->cache, doomed->id);
	if (named == doomed->id)
		kv_batch_delete(batch, FAMILY_CHUNK_NAME,
				view_of(doomed->name, CHUNK_NAME_LEN));
	return 0;
}

int chunks_remove(struct chunks *c, size_t first, size_t count, size_t *ret_removed,
		  struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	size_t removed = 0;
	int r = 0;

	lock_take(&c->removal);
	if (c->keepers) {
		lock_drop(&c->removal);
		return 0;
	}
	for (size_t i = first; r >= 0 && i < first + count; i++) {
		if (c->doomed[i].rescued)
			continue;
		r = remove_one(c, &c->doomed[i], &batch, e);
		removed++;
	}
	r = r >= 0 && removed ? kv_write(c->kv, &batch, e) : r;
	lock_drop(&c->removal);
	*ret_removed = removed;
	return r < 0 ? r : 1;
}

/* 1 and *ret_id when the database knows the name; 0 when not.  What is found so stays. */
static int look_up(struct chunks *c, const uint8_t name[CHUNK_NAME_LEN], uint64_t *ret_id,
		   struct error *e)
{
	if (!atomic_load(&c->any_doomed))
		return look_up_any(c, name, ret_id, e);
	lock_take(&c->removal);
	int r = look_up_any(c, name, ret_id, e);
	if (r == 1)
		rescue(c, *ret_id);
	lock_drop(&c->removal);
	return r;
}

int chunk_is_known(struct chunks *c, struct view bytes, struct error *e)
{
	uint8_t name[CHUNK_NAME_LEN];
	uint64_t id;

	chunk_name(c, bytes, name);
	return look_up(c, name, &id, e);
}

/* The same in the batch and the database. */
static int find_name(struct chunk_writer *w, const uint8_t name[CHUNK_NAME_LEN], uint64_t *ret_id,
		     struct error *e)
{
	const struct chunk_pending *slot = pending_slot(w, name);

	if (!slot || !slot->id)
		return look_up(w->chunks, name, ret_id, e);
	*ret_id = slot->id;
	return 1;
}

/* 1: chunk id holds those very bytes.  One that is gone or damaged holds them not, and is stored
 * anew. */
static int holds(struct chunks *c, uint64_t id, struct view bytes, struct error *e)
{
	struct chunk *chunk = NULL;
	int r = chunk_load_many(c, 1, &id, &chunk, e);

	if (r == -E_CORRUPT)
		return 0;
	if (r < 0)
		return r;
	bool equal = view_equal(view_of(chunk->data, chunk->len), bytes);
	chunk_drop(c, chunk);
	return equal;
}

/* The value of a chunk, in w->compressed: as it is where compression gains less than a sixteenth.
 * Behind some chunks in a row with which it did not (zip members, pictures), it is tried with some
 * only, until it does. */
static int encode(struct chunk_writer *w, struct view bytes, struct error *e)
{
	size_t bound = ZSTD_compressBound(bytes.len), n = SIZE_MAX;

	if (!w->compressor)
		w->compressor = atomic_exchange(&w->chunks->compressor, NULL);
	if (!w->compressor)
		w->compressor = ZSTD_createCCtx();
	buf_clear(&w->compressed);
	buf_u8(&w->compressed, CHUNK_ZSTD);
	void *to = buf_grow(&w->compressed, bound);
	if (!w->compressor || !to)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (w->raw_run < RAW_RUN || w->raw_run % RAW_TRY == 0)
		n = ZSTD_compressCCtx(w->compressor, to, bound, bytes.data, bytes.len,
				      COMPRESSION_LEVEL);
	if (!ZSTD_isError(n) && n < bytes.len - bytes.len / 16) {
		w->compressed.len = 1 + n;
		w->raw_run = 0;
		return 0;
	}
	w->raw_run++;
	buf_clear(&w->compressed);
	buf_u8(&w->compressed, CHUNK_RAW);
	buf_append(&w->compressed, bytes.data, bytes.len);
	return buf_check(&w->compressed, e);
}

/* So that the next of its kind in this batch can be compared with it, and the first reader has it
 * at once. */
static void remember(struct chunks *c, uint64_t id, struct view bytes)
{
	struct chunk *chunk = chunk_alloc(id, bytes.len);

	if (!chunk)
		return;
	view_copy(chunk->data, bytes);
	lru_add(&c->cache, &chunk->entry);
	chunk_drop(c, chunk);
}

static int write_unlogged(struct chunk_writer *w, struct error *e)
{
	int r = kv_write_unlogged(w->chunks->kv, &w->unlogged, e);

	kv_batch_clear(&w->unlogged);
	return r;
}

/* twice: the name is known already, of bytes that are not to be had.  What is large enough to go
 * past the log would push all else out of the cache; there only what comes twice is remembered. */
static int store_new(struct chunk_writer *w, const uint8_t name[CHUNK_NAME_LEN], struct view bytes,
		     bool twice, uint64_t *ret_id, struct error *e)
{
	bool past = w->past && w->past_next < w->past_end;
	uint64_t id = past ? w->past_next++ : atomic_fetch_add(&w->chunks->next_id, 1);
	CLEANUP(buf_release) struct buf value = { 0 };
	struct id_key key = id_key_of(id);
	int r = encode(w, bytes, e);

	if (r == 0)
		r = pending_add(w, name, id, e);
	if (r < 0)
		return r;
	kv_batch_put_buf(past ? &w->unlogged : w->batch, FAMILY_CHUNK, view_of(&key, 8),
			 &w->compressed);
	if (kv_batch_bytes(&w->unlogged) > UNLOGGED_BYTES)
		r = write_unlogged(w, e);
	if (r < 0)
		return r;
	buf_varint(&value, id);
	kv_batch_put_buf(w->batch, FAMILY_CHUNK_NAME, view_of(name, CHUNK_NAME_LEN), &value);
	if (!past || twice)
		remember(w->chunks, id, bytes);
	w->new_bytes += bytes.len;
	*ret_id = id;
	return 0;
}

int chunk_store(struct chunk_writer *w, struct view bytes, uint64_t *ret_id, struct error *e)
{
	uint8_t name[CHUNK_NAME_LEN];
	uint64_t id;

	chunk_name(w->chunks, bytes, name);
	int known = find_name(w, name, &id, e);
	if (known < 0)
		return known;
	int equal = known ? holds(w->chunks, id, bytes, e) : 0;
	if (equal < 0)
		return equal;
	if (equal) {
		*ret_id = id;
		return 0;
	}
	return store_new(w, name, bytes, known, ret_id, e);
}

int chunk_writer_begin_past(struct chunk_writer *w, uint64_t bytes, size_t min, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(buf_release) struct buf key = { 0 }, value = { 0 };
	uint64_t count = bytes / min + 1;

	w->past_first = w->past_next = atomic_fetch_add(&w->chunks->next_id, count);
	w->past_end = w->past_first + count;
	incoming_key(&key, w->past_first);
	buf_varint(&value, count);
	kv_batch_put_buf(&batch, FAMILY_META, buf_view(&key), &value);
	int r = buf_check(&key, e);
	if (r == 0)
		r = kv_write(w->chunks->kv, &batch, e);
	w->past = r == 0;
	/* It must outlive a power cut that the chunks outlive, which reach tables at any time. */
	return r < 0 ? r : kv_sync(w->chunks->kv, e);
}

int chunk_writer_end_past(struct chunk_writer *w, struct error *e)
{
	CLEANUP(buf_release) struct buf key = { 0 };
	int r = write_unlogged(w, e);

	if (r == 0)
		r = kv_flush_content(w->chunks->kv, e);
	incoming_key(&key, w->past_first);
	kv_batch_delete(w->batch, FAMILY_META, buf_view(&key));
	if (r == 0)
		r = buf_check(&key, e);
	if (r == 0)
		r = buf_check(&w->batch->operations, e);
	if (r < 0)
		return r;
	w->past = false; /* should the names be refused, they may be in the log all the same */
	return chunk_writer_flush(w, e);
}

int chunk_writer_flush(struct chunk_writer *w, struct error *e)
{
	int r = kv_write(w->chunks->kv, w->batch, e);

	if (r < 0)
		return r;
	kv_batch_clear(w->batch);
	if (w->pending)
		memset(w->pending, 0, w->pending_slots * sizeof(*w->pending));
	w->pending_count = 0;
	return 0;
}
