/* content_put.c - makes a content of a work: what is there already is shared, the rest is chunked
 * and stored. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "content.h"
#include "digest.h"
#include "key.h"
#include "lanes.h"
#include "manifest.h"

#define WINDOW_BYTES ((size_t)1 << 20)
#define BATCH_BYTES_MAX ((size_t)1 << 20)
/* Unsaved bytes of a segment that are worth a thread, and a way past the log. */
#define LARGE_BYTES_MIN ((uint64_t)16 << 20)

static atomic_uint_least64_t large_bytes_min = LARGE_BYTES_MIN,
			     segment_max = CONTENT_SEGMENT_MAX;

uint64_t content_segment_max(void)
{
	return atomic_load_explicit(&segment_max, memory_order_relaxed);
}

void content_segments_of(uint64_t bytes)
{
	atomic_store(&segment_max, bytes);
}

void content_past_log_from(uint64_t bytes)
{
	atomic_store(&large_bytes_min, bytes);
}

_Static_assert(WINDOW_BYTES >= 2 * CHUNK_LEN_MAX,
	       "a window holds any chunk and what comes after it");

/* One content_put() under way. */
struct put {
	struct content_store *cs;
	struct work work;         /* its extents are ours: those that continue each other are one */
	struct extent *extents;
	struct chunker chunker;
	struct chunk_writer writer;
	/* Where runs are looked up, and whose chunks may be taken over. */
	struct place reading, shared;
	uint8_t *window;          /* bytes of the work from window_at on */
	size_t window_size, window_len;
	uint64_t window_at;
	struct buf segments;      /* the content's list, encoded */
	struct kv_batch records;  /* the new segments': written with what names them */
	struct buf taken;         /* ids of contents whose segments were taken over, varints */
	struct digest_list digests;
	uint64_t data;
	/* The window has all of it, digest is of that. */
	bool hashed;
	struct digest digest;
};

/* A segment being made. */
struct segment_draft {
	struct digester digester;
	bool digested; /* elsewhere */
	struct buf chunks;
	uint64_t data;
};

/* ---- the work ---- */

static int cut_short(struct error *e)
{
	return error_set(e, -E_CORRUPT, "a file that is being saved is shorter than it should be");
}

static bool continues(const struct extent *a, const struct extent *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == EXTENT_ZERO || (a->from + a->len == b->from &&
					  (a->kind == EXTENT_STAGED || a->content == b->content));
}

/* Copies the extents, joining those that continue each other; refuses a work that does not cover
 * its size. */
static int take_work(struct put *put, const struct work *work, struct error *e)
{
	uint64_t at = 0;

	put->extents = calloc(work->count + 1, sizeof(*put->extents));
	if (!put->extents)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	put->work = (struct work){ put->extents, 0, work->size, work->fd };
	for (size_t i = 0; i < work->count; i++) {
		const struct extent *x = &work->extents[i];
		struct extent *last = put->work.count ? &put->extents[put->work.count - 1] : NULL;

		if (x->at != at || x->len == 0 || x->len > CONTENT_SIZE_MAX - at)
			return error_set(e, -E_INVALID, "the extents of a file do not join");
		at += x->len;
		if (last && continues(last, x))
			last->len += x->len;
		else
			put->extents[put->work.count++] = *x;
	}
	return at == work->size
		       ? 0
		       : error_set(e, -E_INVALID, "the extents of a file are not its size");
}

/* The extent that holds offset. */
static const struct extent *extent_at(const struct put *put, uint64_t offset)
{
	size_t low = 0, high = put->work.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (put->extents[middle].at + put->extents[middle].len <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return &put->extents[low];
}

/* The hole or data that begins at offset, whole: *ret_end is where it ends, at most limit. */
static int whole_run(struct put *put, uint64_t offset, uint64_t limit, bool *ret_hole,
		     uint64_t *ret_end, struct error *e)
{
	int r = work_run(&put->reading, put->cs, &put->work, offset, ret_hole, ret_end, e);

	while (r == 0 && *ret_end < limit) {
		uint64_t end;
		bool hole;

		r = work_run(&put->reading, put->cs, &put->work, *ret_end, &hole, &end, e);
		if (r < 0 || hole != *ret_hole)
			break;
		*ret_end = end;
	}
	*ret_end = *ret_end < limit ? *ret_end : limit;
	return r;
}

/* ---- chunks ---- */

/* Makes the window hold the bytes of [at, until), or as many as it has room for. */
static int window_fill(struct put *put, uint64_t at, uint64_t until, struct error *e)
{
	size_t kept = 0, want;

	if (at >= put->window_at && at < put->window_at + put->window_len) {
		kept = (size_t)(put->window_at + put->window_len - at);
		memmove(put->window, put->window + (at - put->window_at), kept);
	}
	want = until - at < put->window_size ? (size_t)(until - at) : put->window_size;
	put->window_at = at;
	put->window_len = kept;
	if (want <= kept)
		return 0;
	int r = work_read(put->cs, &put->work, at + kept, put->window + kept, want - kept, e);
	if (r < 0)
		return r;
	put->window_len += (size_t)r;
	return put->window_len == want ? 0
				       : cut_short(e);
}

/* Ensures that the window holds n bytes from at on, all of which lie before end. */
static int window_need(struct put *put, uint64_t at, size_t n, uint64_t end, struct error *e)
{
	if (at >= put->window_at && at + n <= put->window_at + put->window_len)
		return 0;
	return window_fill(put, at, end, e);
}

static void draft_add(struct segment_draft *draft, uint64_t id, uint64_t len)
{
	buf_varint(&draft->chunks, id);
	buf_varint(&draft->chunks, len);
	draft->data += id ? len : 0;
}

/* When the bytes at offset, of the data run that ends at end, are those of an existing chunk that
 * chunking them anew would give again: its length, and *ret_id.  0 when not. */
static int shareable_chunk(struct put *put, uint64_t offset, uint64_t end, uint64_t *ret_id,
			   struct error *e)
{
	const struct extent *x = extent_at(put, offset);
	uint64_t from = x->from + (offset - x->at), chunk_start, chunk_end;

	if (x->kind != EXTENT_CONTENT)
		return 0;
	int r = place_set(&put->shared, put->cs, x->content, from, e);
	if (r < 0)
		return r;
	*ret_id = place_chunk(&put->shared, &chunk_start, &chunk_end);
	uint64_t len = chunk_end - chunk_start;
	if (*ret_id == 0 || put->shared.segment->packed || chunk_start != from ||
	    from + len > x->from + x->len || offset + len > end ||
	    chunker_for(put->shared.manifest->size).average != put->chunker.average)
		return 0;
	return place_chunk_is_cut(&put->shared) || offset + len == end ? (int)len : 0;
}

static int put_new_chunk(struct put *put, uint64_t offset, uint64_t end, uint64_t *ret_id,
			 struct error *e)
{
	size_t most = end - offset < put->chunker.max ? (size_t)(end - offset) : put->chunker.max;
	int r = window_need(put, offset, most, end, e);

	if (r < 0)
		return r;
	const uint8_t *bytes = put->window + (offset - put->window_at);
	size_t len = chunker_cut(&put->chunker, bytes, most, true);
	r = chunk_store(&put->writer, view_of(bytes, len), ret_id, e);
	if (r == 0 && !put->writer.past && kv_batch_bytes(put->writer.batch) > BATCH_BYTES_MAX)
		r = chunk_writer_flush(&put->writer, e);
	return r < 0 ? r : (int)len;
}

/* Chunks the data run [offset, end). */
static int put_data(struct put *put, struct segment_draft *draft, uint64_t offset, uint64_t end,
		    struct error *e)
{
	while (offset < end) {
		uint64_t id;
		int len = shareable_chunk(put, offset, end, &id, e);

		if (len == 0)
			len = put_new_chunk(put, offset, end, &id, e);
		if (len < 0)
			return len;
		int r = window_need(put, offset, (size_t)len, end, e);
		if (r < 0)
			return r;
		if (!draft->digested && !put->hashed)
			digest_add(&draft->digester, put->window + (offset - put->window_at),
				   (size_t)len);
		draft_add(draft, id, (uint64_t)len);
		offset += (uint64_t)len;
	}
	return 0;
}

/* ---- segments ---- */

static void put_record(struct put *put, enum family family, uint64_t id, struct buf *record)
{
	struct key key = key_number(id);

	kv_batch_put_buf(&put->records, family, key_view(&key), record);
}

static void list_segment(struct put *put, uint64_t id, uint64_t len, const struct digest *digest,
			 uint64_t data)
{
	buf_varint(&put->segments, id);
	buf_varint(&put->segments, len);
	digest_list_add(&put->digests, len, digest);
	put->data += data;
}

static int draft_fill(struct put *put, struct segment_draft *draft, uint64_t start, uint64_t end,
		      struct error *e)
{
	while (start < end) {
		bool hole;
		uint64_t run_end;
		int r = whole_run(put, start, end, &hole, &run_end, e);

		if (r == 0 && !hole)
			r = put_data(put, draft, start, run_end, e);
		if (r < 0)
			return r;
		if (hole) {
			if (!draft->digested)
				digest_add_zeros(&draft->digester, run_end - start);
			draft_add(draft, 0, run_end - start);
		}
		start = run_end;
	}
	return buf_check(&draft->chunks, e);
}

/* ---- large segments: their digest is made on a thread of its own, their chunks go past the
 * log ---- */

struct hasher {
	struct put *put;
	uint64_t start, end;
	struct digester digester;
	struct error error;
	pthread_t thread;
};

static void *hash(void *arg)
{
	struct hasher *h = arg;
	uint8_t *bytes = malloc(WINDOW_BYTES);

	if (!bytes)
		error_set(&h->error, -E_NO_MEMORY, "out of memory");
	while (bytes && h->start < h->end) {
		size_t n = h->end - h->start < WINDOW_BYTES ? (size_t)(h->end - h->start)
							    : WINDOW_BYTES;

		if (work_read(h->put->cs, &h->put->work, h->start, bytes, n, &h->error) != (int)n)
			break;
		digest_add(&h->digester, bytes, n);
		h->start += n;
	}
	free(bytes);
	return NULL;
}

/* Without a thread to be had the digest is made with the chunks. */
static void hasher_start(struct hasher *h, struct put *put, struct segment_draft *draft,
			 uint64_t start, uint64_t end)
{
	*h = (struct hasher){ .put = put, .start = start, .end = end };
	digest_start(&h->digester);
	draft->digested = pthread_create(&h->thread, NULL, hash, h) == 0;
}

static int hasher_end(struct hasher *h, struct segment_draft *draft, struct error *e)
{
	if (!draft->digested)
		return 0;
	pthread_join(h->thread, NULL);
	draft->digester = h->digester;
	if (h->start == h->end)
		return 0;
	return h->error.code ? error_set(e, h->error.code, "%s", h->error.text)
			     : cut_short(e);
}

static bool is_large(const struct put *put, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	for (const struct extent *x = extent_at(put, start);
	     x < put->extents + put->work.count && x->at < end; x++) {
		uint64_t from = x->at > start ? x->at : start,
			 to = x->at + x->len < end ? x->at + x->len : end;

		bytes += x->kind == EXTENT_STAGED ? to - from : 0;
	}
	return bytes >= atomic_load(&large_bytes_min);
}

static int fill_large(struct put *put, struct segment_draft *draft, uint64_t start, uint64_t end,
		      struct error *e)
{
	struct hasher hasher;
	int r = chunk_writer_begin_past(&put->writer, end - start, put->chunker.min, e);

	if (r < 0)
		return r;
	hasher_start(&hasher, put, draft, start, end);
	r = draft_fill(put, draft, start, end, e);
	int hashed = hasher_end(&hasher, draft, r < 0 ? NULL : e);
	r = r < 0 ? r : hashed;
	return r < 0 ? r : chunk_writer_end_past(&put->writer, e);
}

static int put_new_segment(struct put *put, uint64_t start, uint64_t end, struct error *e)
{
	CLEANUP(buf_release) struct buf record = { 0 };
	struct segment_draft draft = { 0 };
	uint64_t id;

	digest_start(&draft.digester);
	int r = is_large(put, start, end) ? fill_large(put, &draft, start, end, e)
					  : draft_fill(put, &draft, start, end, e);
	if (r == 0) {
		struct segment_record segment = { .digest = put->digest,
						  .chunks = buf_view(&draft.chunks) };

		if (!put->hashed)
			segment.digest = digest_end(&draft.digester);

		segment_encode(&record, &segment);
		r = buf_check(&record, e);
		id = atomic_fetch_add(&put->cs->next_segment, 1);
		put_record(put, FAMILY_SEGMENT, id, &record);
		list_segment(put, id, end - start, &segment.digest, draft.data);
	}
	buf_release(&draft.chunks);
	return r;
}

static uint64_t segment_data(const struct pieces *segment)
{
	uint64_t data = 0;

	for (size_t i = 0; i < segment->count; i++)
		data += segment->at[i].id ? segment->at[i].end - piece_start(segment, i) : 0;
	return data;
}

/* Lists the segment of another content whose bytes are [start, end) here: 1.  0: there is none. */
static int share_segment(struct put *put, uint64_t start, uint64_t end, struct error *e)
{
	const struct extent *x = extent_at(put, start);
	struct place *p = &put->shared;
	uint64_t from = x->from + (start - x->at);

	if (x->kind != EXTENT_CONTENT || x->at + x->len < end)
		return 0;
	int r = place_set(p, put->cs, x->content, from, e);
	if (r < 0)
		return r;
	if (!p->segment || p->segment_start != from || p->segment->size != end - start)
		return 0;
	list_segment(put, p->manifest->at[p->segment_index].id, end - start, &p->segment->digest,
		     segment_data(p->segment));
	if (atomic_load(&put->cs->any_early))
		buf_varint(&put->taken, x->content);
	return 1;
}

/* The length of the segment that is nothing but hole from start on, 0 when there is none. */
static int hole_segment(struct put *put, uint64_t start, uint64_t *ret_len, struct error *e)
{
	uint64_t size = put->work.size, end;
	bool hole;
	int r = work_run(&put->reading, put->cs, &put->work, start, &hole, &end, e);

	*ret_len = 0;
	if (r < 0 || !hole)
		return r;
	r = whole_run(put, start, size, &hole, &end, e);
	if (end < size)
		end -= end % content_segment_max();
	*ret_len = end > start ? end - start : 0;
	return r;
}

static int put_segments(struct put *put, struct error *e)
{
	uint64_t size = put->work.size, max = content_segment_max(), start = 0, hole = 0;

	while (start < size) {
		uint64_t end = size - start > max ? start + max : size;
		int r = size > max ? hole_segment(put, start, &hole, e) : 0;

		if (r == 0 && hole) {
			list_segment(put, 0, hole, NULL, 0);
			end = start + hole;
		} else if (r == 0) {
			r = share_segment(put, start, end, e);
			if (r == 0)
				r = put_new_segment(put, start, end, e);
		}
		if (r < 0)
			return r;
		start = end;
	}
	return buf_check(&put->segments, e);
}

/* ---- contents ---- */

/* Whether none of a content's segments is known to be gone. */
static bool is_whole(struct put *put, uint64_t id)
{
	struct pieces *manifest;
	bool whole = true;

	if (manifest_load(put->cs, id, &manifest, NULL) < 0)
		return false;
	for (size_t i = 0; i < manifest->count; i++)
		whole &= manifest->at[i].id != LOST_ID;
	manifest_drop(put->cs, manifest);
	return whole;
}

/* Whether content id can be read here and is those bytes. */
static bool is_same(struct put *put, uint64_t id, const struct digest *digest,
		    struct content_ref *ret)
{
	return content_stat(put->cs, id, ret, NULL) == 0 && ret->size == put->work.size &&
	       digest_equal(&ret->digest, digest) && is_whole(put, id);
}

/* 1 and *ret: a version has a content of that digest already. */
static int find_same(struct put *put, const struct digest *digest, struct content_ref *ret,
		     struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(put->cs->kv, NULL, FAMILY_BY_DIGEST,
					  view_of(digest, DIGEST_LEN), false);
	struct view key, value;
	int r, tries = 4; /* all have the same content but for damage */

	while ((r = kv_iter_next(it, &key, &value, e)) == 1 && tries-- > 0) {
		struct reader in = reader_of(value);
		uint64_t id = reader_varint(&in);

		if (reader_done(&in) && is_same(put, id, digest, ret))
			return 1;
	}
	return r < 0 ? r : 0;
}

/* 1 and *ret: of small new content (most of what is saved), when it was saved lately.  Else its
 * digest is known. */
static int find_known(struct put *put, struct content_ref *ret, struct error *e)
{
	uint64_t size = put->work.size, id;

	for (size_t i = 0; i < put->work.count; i++) {
		if (put->extents[i].kind != EXTENT_STAGED)
			return 0;
	}
	if (size > put->window_size || size > content_segment_max())
		return 0;
	int r = window_fill(put, 0, size, e);
	if (r < 0)
		return r;
	put->digest = digest_of(view_of(put->window, put->window_len));
	put->hashed = true;
	id = known_find(&put->cs->known, &put->digest);
	return id && is_same(put, id, &put->digest, ret) && ret->data_bytes == size;
}

/* 1: it is an early content. */
static int is_early(struct put *put, uint64_t content, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = early_key(content);

	if (!atomic_load(&put->cs->any_early))
		return 0;
	return kv_get(put->cs->kv, NULL, FAMILY_META, key_view(&key), &value, e);
}

/* Ends those early contents whose segments are this content's now. */
static int end_early(struct put *put, struct error *e)
{
	struct reader taken = reader_of(buf_view(&put->taken));
	int r = buf_check(&put->taken, e);

	while (r >= 0 && reader_left(&taken) > 0) {
		uint64_t id = reader_varint(&taken);
		struct key key = early_key(id);

		r = is_early(put, id, e);
		if (r == 1)
			kv_batch_delete(&put->records, FAMILY_META, key_view(&key));
	}
	return r < 0 ? r : 0;
}

static int put_content(struct put *put, struct content_ref *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf record = { 0 };
	struct digest digest = digest_list_end(&put->digests);
	/* What has bytes that no content had is hardly one of those there are (zeros in the place
	 * of a hole, other cuts). */
	int r = put->writer.new_bytes ? 0 : find_same(put, &digest, ret, e);

	if (r == 1)
		known_note(&put->cs->known, &digest, ret->id);
	/* Its own segments stay: of two chunks with the same bytes, stored at once, one has the
	 * name, and were it the one that no segment has any more, the name would go with it. */
	if (r != 0) {
		kv_batch_append(put->writer.batch, &put->records);
		return r < 0 ? r : 0;
	}
	struct content_record content = { put->work.size, digest, buf_view(&put->segments),
					  put->data };
	content_encode(&record, &content);
	*ret = (struct content_ref){ .id = atomic_fetch_add(&put->cs->next_content, 1),
				     .size = put->work.size,
				     .digest = digest,
				     .data_bytes = put->data };
	put_record(put, FAMILY_CONTENT, ret->id, &record);
	known_note(&put->cs->known, &digest, ret->id);
	r = end_early(put, e);
	kv_batch_append(put->writer.batch, &put->records);
	return r < 0 ? r : buf_check(&record, e);
}

/* 1 and *ret when the work is nothing but the whole of one content, which stays. */
static int share_whole(struct put *put, struct content_ref *ret, struct error *e)
{
	const struct extent *x = put->extents;
	bool one = put->work.count == 1 && x->kind == EXTENT_CONTENT && x->from == 0;

	if (put->work.size > 0 && !one)
		return 0;
	int r = one ? is_early(put, x->content, e) : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = content_stat(put->cs, put->work.size ? x->content : 0, ret, e);
	return r < 0 ? r : ret->size == put->work.size;
}

static int put_start(struct put *put, struct error *e)
{
	uint64_t size = put->work.size;

	put->window_size = size < WINDOW_BYTES ? (size_t)size : WINDOW_BYTES;
	put->window = malloc(put->window_size);
	digest_list_start(&put->digests);
	return put->window ? 0 : error_set(e, -E_NO_MEMORY, "out of memory");
}

static void put_release(struct put *put)
{
	chunk_writer_release(&put->writer);
	place_release(&put->reading);
	place_release(&put->shared);
	buf_release(&put->segments);
	buf_release(&put->taken);
	kv_batch_release(&put->records);
	free(put->window);
	free(put->extents);
}

int content_put(struct content_store *cs, const struct work *work, struct kv_batch *batch,
		struct content_ref *ret, struct error *e)
{
	CLEANUP(put_release) struct put put = { .cs = cs };
	int r = take_work(&put, work, e);

	if (r < 0)
		return r;
	r = share_whole(&put, ret, e);
	if (r != 0)
		return r < 0 ? r : 0;
	chunk_writer_init(&put.writer, &cs->chunks, batch);
	put.chunker = chunker_for(work->size);
	r = put_start(&put, e);
	if (r == 0)
		r = find_known(&put, ret, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = put_segments(&put, e);
	if (r == 0)
		r = put_content(&put, ret, e);
	if (r == 0)
		ret->new_bytes = put.writer.new_bytes;
	return r;
}

/* ---- early contents ---- */

/* Digests of several works at once, on a thread of their own. */
struct lanes_hasher {
	struct content_store *cs;
	const struct work *works;
	size_t n;
	struct lanes lanes;
	struct error error;
};

#define LANE_BYTES ((size_t)64 << 10)

_Static_assert(CONTENT_EARLY_MAX == LANES, "early contents are digested side by side");

/* Lanes that have no work go over the first once more. */
static int hash_lanes(struct lanes_hasher *h, uint8_t *bytes)
{
	uint64_t size = h->works[0].size;

	for (uint64_t at = 0; at < size; at += LANE_BYTES) {
		size_t n = size - at < LANE_BYTES ? (size_t)(size - at) : LANE_BYTES;
		const uint8_t *data[LANES];

		for (size_t i = 0; i < LANES; i++) {
			uint8_t *to = bytes + i * LANE_BYTES;
			int r = i < h->n ? work_read(h->cs, &h->works[i], at, to, n, &h->error) : 0;

			if (r < 0 || (i < h->n && (size_t)r != n))
				return r < 0 ? r : cut_short(&h->error);
			data[i] = i < h->n ? to : bytes;
		}
		lanes_add(&h->lanes, data, n, at + n == size);
	}
	return 0;
}

static void *hash_all(void *arg)
{
	struct lanes_hasher *h = arg;
	uint8_t *bytes = malloc(LANES * LANE_BYTES);

	lanes_start(&h->lanes);
	if (bytes)
		hash_lanes(h, bytes);
	else
		error_set(&h->error, -E_NO_MEMORY, "out of memory");
	free(bytes);
	return NULL;
}

/* The chunks of one segment, which is chunked as any of a large content; *chunks is its list. */
static int put_early_chunks(struct content_store *cs, const struct work *work, struct buf *chunks,
			    struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(put_release) struct put put = { .cs = cs,
						.chunker = chunker_for(CONTENT_SIZE_MAX) };
	struct segment_draft draft = { .digested = true };
	int r = take_work(&put, work, e);

	if (r < 0)
		return r;
	chunk_writer_init(&put.writer, &cs->chunks, &batch);
	r = put_start(&put, e);
	if (r == 0)
		r = chunk_writer_begin_past(&put.writer, work->size, put.chunker.min, e);
	if (r == 0)
		r = draft_fill(&put, &draft, 0, work->size, e);
	if (r == 0)
		r = chunk_writer_end_past(&put.writer, e);
	*chunks = draft.chunks;
	return r;
}

static int put_early_records(struct content_store *cs, uint64_t size, const struct buf *chunks,
			     struct digest digest, struct kv_batch *batch, uint64_t *ret_id,
			     struct error *e)
{
	CLEANUP(buf_release) struct buf encoded = { 0 }, list = { 0 };
	struct segment_record segment = { .digest = digest, .chunks = buf_view(chunks) };
	uint64_t segment_id = atomic_fetch_add(&cs->next_segment, 1);
	struct key key = key_number(segment_id);

	segment_encode(&encoded, &segment);
	kv_batch_put_buf(batch, FAMILY_SEGMENT, key_view(&key), &encoded);
	buf_varint(&list, segment_id);
	buf_varint(&list, size);
	struct content_record content = { size, digest, buf_view(&list), size };
	buf_clear(&encoded);
	content_encode(&encoded, &content);
	*ret_id = atomic_fetch_add(&cs->next_content, 1);
	key = early_key(*ret_id);
	kv_batch_put_buf(batch, FAMILY_META, key_view(&key), &encoded);
	return buf_check(&list, e);
}

static int put_early(struct content_store *cs, const struct work works[], size_t n,
		     struct buf chunks[], uint64_t ret_ids[], struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct lanes_hasher hasher = { .cs = cs, .works = works, .n = n };
	pthread_t thread;
	int err = pthread_create(&thread, NULL, hash_all, &hasher), r = 0;

	if (err)
		return error_set(e, -err, "a thread for digests cannot be started");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_early_chunks(cs, &works[i], &chunks[i], e);
	pthread_join(thread, NULL);
	if (r == 0 && hasher.error.code)
		r = error_set(e, hasher.error.code, "%s", hasher.error.text);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_early_records(cs, works[i].size, &chunks[i],
				      lanes_digest(&hasher.lanes, i), &batch, &ret_ids[i], e);
	atomic_store(&cs->any_early, true);
	return r < 0 ? r : kv_write(cs->kv, &batch, e);
}

int content_put_early(struct content_store *cs, const struct work works[], size_t n,
		      uint64_t ret_ids[], struct error *e)
{
	struct buf chunks[CONTENT_EARLY_MAX] = { 0 };
	unsigned hold = content_hold(cs);
	int r;

	for (size_t i = 0; i < n; i++)
		assert(works[i].size == content_segment_max());
	r = put_early(cs, works, n, chunks, ret_ids, e);
	content_unhold(cs, hold);
	for (size_t i = 0; i < n; i++)
		buf_release(&chunks[i]);
	return r;
}
