/* content.c - see content.h: contents are opened, read and checked here; content_put.c makes
 * them. */
#include "content.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "digest.h"
#include "manifest.h"
#include "packed.h"

/* Read further than asked by a reader that goes through a content in order. */
#define AHEAD_BYTES (512u << 10)

/* After a power cut a staging journal may name a content whose record was lost with the log's
 * unsynced tail.  Its id must not come to mean another content: ids begin past all that half a
 * minute of saves could have taken. */
#define CONTENT_ID_SKIP (1u << 20)

/* ---- open and close ---- */

static int last_id(struct kv *kv, enum family family, uint64_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(kv, NULL, family, view_of(NULL, 0), true);
	struct view key = view_of(NULL, 0);
	int r = kv_iter_next(it, &key, NULL, e);

	if (r < 0)
		return r;
	struct reader in = reader_of(key);
	*ret = r == 0 ? 0 : reader_u64(&in);
	return reader_done(&in) ? 0
				: error_set(e, -E_CORRUPT,
					    "the key of the last content or segment is damaged");
}

/* Numbers of early contents are not given again either. */
static int last_content(struct content_store *cs, uint64_t *ret, struct error *e)
{
	uint64_t early = 0;
	int r = last_id(cs->kv, FAMILY_CONTENT, ret, e);

	if (r == 0)
		r = early_last(cs, &early, e);
	atomic_store(&cs->any_early, early > 0);
	*ret = early > *ret ? early : *ret;
	return r;
}

static int open_parts(struct content_store *cs, const uint8_t secret[32], size_t cache_bytes,
		      struct error *e)
{
	uint64_t content, segment;
	int r = last_content(cs, &content, e);

	if (r == 0)
		r = last_id(cs->kv, FAMILY_SEGMENT, &segment, e);
	if (r == 0)
		r = chunks_open(&cs->chunks, cs->kv, secret, cache_bytes - cache_bytes / 4, e);
	if (r < 0)
		return r;
	atomic_store(&cs->next_content, content + CONTENT_ID_SKIP);
	atomic_store(&cs->next_segment, segment + 1);
	r = lru_init(&cs->contents, cache_bytes / 16);
	if (r == 0)
		r = lru_init(&cs->segments, cache_bytes / 16);
	if (r == 0)
		r = lru_init(&cs->unpacked, cache_bytes / 8);
	lock_init(&cs->unpacking, LOCK_UNPACK);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

int content_store_open(struct kv *kv, const uint8_t secret[32], size_t cache_bytes,
		       struct content_store **ret, struct error *e)
{
	struct content_store *cs;

	if (sodium_init() < 0)
		return error_set(e, -E_INVALID, "libsodium does not start");
	cs = calloc(1, sizeof(*cs));
	if (!cs)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	cs->kv = kv;
	int r = open_parts(cs, secret, cache_bytes, e);
	if (r < 0) {
		content_store_close(cs);
		return r;
	}
	*ret = cs;
	return 0;
}

void content_store_close(struct content_store *cs)
{
	if (!cs)
		return;
	packed_drop(cs, cs->recent);
	lru_release(&cs->unpacked);
	lock_destroy(&cs->unpacking);
	chunks_close(&cs->chunks);
	lru_release(&cs->contents);
	lru_release(&cs->segments);
	free(cs);
}

int content_stat(struct content_store *cs, uint64_t content, struct content_ref *ret,
		 struct error *e)
{
	struct pieces *manifest;
	int r = manifest_load(cs, content, &manifest, e);

	if (r < 0)
		return r;
	*ret = (struct content_ref){ .id = content,
				     .size = manifest->size,
				     .digest = manifest->digest,
				     .data_bytes = manifest->data };
	manifest_drop(cs, manifest);
	return 0;
}

int content_data_bytes(struct content_store *cs, uint64_t content, uint64_t *ret, struct error *e)
{
	struct content_ref ref;
	int r = content_stat(cs, content, &ref, e);

	if (r == 0)
		*ret = ref.data_bytes;
	return r;
}

/* ---- reading contents ---- */

/* Chunks of one segment in a row that a read wants, and some more ahead. */
struct row {
	uint64_t ids[CHUNK_MANY_MAX];
	struct chunk *chunks[CHUNK_MANY_MAX];
	size_t count;
};

/* Where to stop loading: at what is asked for, but further on when the chunk is new and the one
 * before was read. */
static uint64_t load_until(const struct place *p, uint64_t end)
{
	const struct piece *at = p->segment->at;
	bool in_order =
		p->chunk_index == 0 || lru_has(&p->cs->chunks.cache, at[p->chunk_index - 1].id);

	return in_order && !lru_has(&p->cs->chunks.cache, at[p->chunk_index].id) ? end + AHEAD_BYTES
										 : end;
}

static int row_load(struct row *row, struct place *p, uint64_t end, struct error *e)
{
	end = load_until(p, end);
	row->count = 0;
	for (size_t i = p->chunk_index; i < p->segment->count && row->count < CHUNK_MANY_MAX; i++) {
		if (p->segment_start + piece_start(p->segment, i) >= end ||
		    p->segment->at[i].id == 0)
			break;
		row->ids[row->count++] = p->segment->at[i].id;
	}
	int r = chunk_load_many(&p->cs->chunks, row->count, row->ids, row->chunks, e);
	return r < 0 ? error_prefix(e, r, "content %llu", (unsigned long long)p->content) : 0;
}

/* Copies what the row has of [offset, offset + n); the count, which is more than 0. */
static int row_copy(const struct row *row, const struct place *p, uint64_t offset, uint8_t *out,
		    size_t n, struct error *e)
{
	size_t done = 0;

	for (size_t i = 0; i < row->count && done < n; i++) {
		size_t index = p->chunk_index + i;
		uint64_t start = p->segment_start + piece_start(p->segment, index);
		uint64_t end = p->segment_start + p->segment->at[index].end;
		size_t skip = (size_t)(offset + done - start), part = (size_t)(end - start) - skip;

		if (row->chunks[i]->len != end - start)
			return error_set(
				e, -E_CORRUPT,
				"chunk %llu is damaged: it is not as long as content %llu has "
				"it",
				(unsigned long long)row->ids[i], (unsigned long long)p->content);
		part = part < n - done ? part : n - done;
		memcpy(out + done, row->chunks[i]->data + skip, part);
		done += part;
	}
	return (int)done;
}

static int read_packed(struct place *p, uint64_t offset, uint8_t *out, size_t n, struct error *e)
{
	uint64_t skip = offset - p->segment_start;
	struct chunk *bytes = NULL;
	int r = packed_load(p->cs, p->segment->entry.key, &bytes, e);

	if (r < 0)
		return r;
	n = bytes->len - skip < n ? bytes->len - skip : n;
	memcpy(out, bytes->data + skip, n);
	packed_drop(p->cs, bytes);
	return (int)n;
}

/* Reads from the place up to the end of a hole or row of chunks; the count, more than 0. */
static int read_some(struct place *p, uint64_t offset, uint8_t *out, size_t n, struct error *e)
{
	struct row row;
	uint64_t start, end;

	if (p->segment && p->segment->packed)
		return read_packed(p, offset, out, n, e);
	if (place_chunk(p, &start, &end) == 0) {
		n = end - offset < n ? (size_t)(end - offset) : n;
		memset(out, 0, n);
		return (int)n;
	}
	int r = row_load(&row, p, offset + n, e);
	if (r == -E_CORRUPT && place_refresh(p, NULL) == 1)
		return read_packed(p, offset, out, n, e);
	if (r < 0)
		return r;
	r = row_copy(&row, p, offset, out, n, e);
	for (size_t i = 0; i < row.count; i++)
		chunk_drop(&p->cs->chunks, row.chunks[i]);
	return r;
}

/* content_read with a place to begin from; [offset, offset + n) lies within the content. */
static int read_at(struct place *p, struct content_store *cs, uint64_t content, uint64_t offset,
		   uint8_t *out, size_t n, struct error *e)
{
	for (size_t done = 0; done < n;) {
		int r = place_set(p, cs, content, offset + done, e);

		if (r == 0)
			r = read_some(p, offset + done, out + done, n - done, e);
		if (r < 0)
			return r;
		done += (size_t)r;
	}
	return (int)n;
}

/* Who read what is damaged may save it anew. */
static int told(struct content_store *cs, int r)
{
	if (r == -E_CORRUPT)
		known_doubt(&cs->known);
	return r;
}

int content_read(struct content_store *cs, uint64_t content, uint64_t offset, void *out, size_t n,
		 struct error *e)
{
	CLEANUP(place_release) struct place p = { 0 };
	struct content_ref ref;
	int r = content_stat(cs, content, &ref, e);

	if (r < 0 || offset >= ref.size)
		return r;
	n = n > INT_MAX ? INT_MAX : n;
	n = n > ref.size - offset ? (size_t)(ref.size - offset) : n;
	return told(cs, read_at(&p, cs, content, offset, out, n, e));
}

/* ---- reading works ---- */

/* Index of the extent that holds offset, which is below the work's size. */
static size_t extent_find(const struct work *work, uint64_t offset)
{
	size_t low = 0, high = work->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (work->extents[middle].at + work->extents[middle].len <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int read_staged(int fd, uint64_t offset, uint8_t *out, size_t n, struct error *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, out + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno != EINTR)
			return error_system(e, "reading unsaved bytes");
		if (got == 0)
			return error_set(e, -E_CORRUPT,
					 "the file of unsaved bytes is shorter than it was");
		done += got > 0 ? (size_t)got : 0;
	}
	return (int)n;
}

static int read_extent(struct place *p, struct content_store *cs, const struct work *work,
		       const struct extent *x, uint64_t skip, uint8_t *out, size_t n,
		       struct error *e)
{
	switch (x->kind) {
	case EXTENT_CONTENT:
		return told(cs, read_at(p, cs, x->content, x->from + skip, out, n, e));
	case EXTENT_STAGED:
		return read_staged(work->fd, x->from + skip, out, n, e);
	case EXTENT_ZERO:
		break;
	}
	memset(out, 0, n);
	return (int)n;
}

int work_read(struct content_store *cs, const struct work *work, uint64_t offset, void *out,
	      size_t n, struct error *e)
{
	CLEANUP(place_release) struct place p = { 0 };
	size_t done = 0, i;

	if (offset >= work->size)
		return 0;
	n = n > INT_MAX ? INT_MAX : n;
	n = n > work->size - offset ? (size_t)(work->size - offset) : n;
	for (i = extent_find(work, offset); done < n && i < work->count; i++) {
		const struct extent *x = &work->extents[i];
		uint64_t skip = offset + done - x->at;
		size_t part = x->len - skip < n - done ? (size_t)(x->len - skip) : n - done;
		int r = read_extent(&p, cs, work, x, skip, (uint8_t *)out + done, part, e);

		if (r < 0)
			return r;
		done += part;
	}
	return (int)done;
}

int work_run(struct place *p, struct content_store *cs, const struct work *work, uint64_t offset,
	     bool *ret_hole, uint64_t *ret_end, struct error *e)
{
	const struct extent *x = &work->extents[extent_find(work, offset)];

	*ret_hole = x->kind == EXTENT_ZERO;
	*ret_end = x->at + x->len;
	if (x->kind != EXTENT_CONTENT)
		return 0;
	int r = content_run(p, cs, x->content, x->from + (offset - x->at), ret_hole, ret_end, e);
	if (r < 0)
		return r;
	*ret_end = x->at + (*ret_end - x->from);
	*ret_end = *ret_end < x->at + x->len ? *ret_end : x->at + x->len;
	return 0;
}

int work_seek(struct content_store *cs, const struct work *work, uint64_t offset, bool hole,
	      uint64_t *ret_offset, struct error *e)
{
	CLEANUP(place_release) struct place p = { 0 };

	while (offset < work->size) {
		bool is_hole;
		uint64_t end;
		int r = work_run(&p, cs, work, offset, &is_hole, &end, e);

		if (r < 0)
			return r;
		if (is_hole == hole) {
			*ret_offset = offset;
			return 0;
		}
		offset = end;
		if (offset >= work->size && hole) {
			*ret_offset = work->size; /* the end of a file counts as a hole */
			return 0;
		}
	}
	return error_set(e, -ENXIO, "no such place before the end of the file");
}

uint64_t work_data_bytes(struct content_store *cs, const struct work *work)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < work->count; i++) {
		const struct extent *extent = &work->extents[i];
		uint64_t n = extent->kind == EXTENT_ZERO ? 0 : extent->len, data = n;

		if (extent->kind == EXTENT_CONTENT)
			content_data_bytes(cs, extent->content, &data, NULL);
		sum += data < n ? data : n;
	}
	return sum;
}

/* ---- holds ---- */

unsigned content_hold(struct content_store *cs)
{
	for (;;) {
		unsigned epoch = atomic_load(&cs->epoch);

		atomic_fetch_add(&cs->holds[epoch & 1], 1);
		if (atomic_load(&cs->epoch) == epoch)
			return epoch;
		/* Too late: it may have been waited for already. */
		atomic_fetch_sub(&cs->holds[epoch & 1], 1);
	}
}

void content_unhold(struct content_store *cs, unsigned hold)
{
	atomic_fetch_sub(&cs->holds[hold & 1], 1);
}

/* ---- checking ---- */

static int check_chunk(struct content_store *cs, uint64_t id, uint64_t len, struct digester *d,
		       struct error *e)
{
	struct chunk *chunk = NULL;
	int r;

	if (id == 0) {
		digest_add_zeros(d, len);
		return 0;
	}
	r = chunk_load_fresh(&cs->chunks, id, &chunk, e);
	if (r < 0)
		return r;
	if (chunk->len != len)
		r = error_set(e, -E_CORRUPT,
			      "chunk %llu is damaged: its length is not the one that was saved",
			      (unsigned long long)id);
	digest_add(d, chunk->data, chunk->len);
	chunk_drop(&cs->chunks, chunk);
	return r;
}

/* After a digest did not match: the first chunk whose bytes are not known by their name is the
 * damaged one. */
static int blame(struct content_store *cs, const struct pieces *segment, struct error *e)
{
	unsigned long long segment_id = segment->entry.key;

	for (size_t i = 0; i < segment->count; i++) {
		struct chunk *chunk = NULL;
		uint64_t id = segment->at[i].id;

		if (id == 0 || chunk_load_fresh(&cs->chunks, id, &chunk, NULL) < 0)
			continue;
		int known = chunk_is_known(&cs->chunks, view_of(chunk->data, chunk->len), NULL);
		chunk_drop(&cs->chunks, chunk);
		if (known == 0)
			return error_set(
				e, -E_CORRUPT,
				"chunk %llu in segment %llu is damaged: its bytes do not have "
				"their name",
				(unsigned long long)id, segment_id);
	}
	return error_set(e, -E_CORRUPT, "segment %llu is damaged: its bytes do not have its digest",
			 segment_id);
}

static int check_segment(struct content_store *cs, const struct pieces *segment, struct error *e)
{
	struct digester d;

	if (segment->packed)
		return packed_check(cs, segment->entry.key, e);
	digest_start(&d);
	for (size_t i = 0; i < segment->count; i++) {
		int r = check_chunk(cs, segment->at[i].id,
				    segment->at[i].end - piece_start(segment, i), &d, e);

		if (r < 0)
			return r;
	}
	struct digest digest = digest_end(&d);
	return digest_equal(&digest, &segment->digest) ? 0 : blame(cs, segment, e);
}

static int check_pieces(struct content_store *cs, const struct pieces *manifest,
			struct digest_list *digests, uint64_t *data, content_was_read read,
			void *arg, struct error *e)
{
	CLEANUP(place_release) struct place p = { 0 };

	for (size_t i = 0; i < manifest->count; i++) {
		uint64_t start = piece_start(manifest, i);
		int r = place_set(&p, cs, manifest->entry.key, start, e);

		if (r == 0 && p.segment)
			r = check_segment(cs, p.segment, e);
		if (r == -E_CORRUPT && place_refresh(&p, NULL) == 1)
			r = check_segment(cs, p.segment, e);
		if (r < 0)
			return r;
		uint64_t before = *data;
		for (size_t k = 0; p.segment && k < p.segment->count; k++)
			*data += p.segment->at[k].id
					 ? p.segment->at[k].end - piece_start(p.segment, k)
					 : 0;
		r = read ? read(arg, *data - before, e) : 0;
		if (r < 0)
			return r;
		digest_list_add(digests, manifest->at[i].end - start,
				p.segment ? &p.segment->digest : NULL);
	}
	return 0;
}

int content_check(struct content_store *cs, uint64_t content, content_was_read read, void *arg,
		  struct error *e)
{
	struct digest_list digests;
	struct pieces *manifest;
	uint64_t data = 0;
	int r = manifest_load(cs, content, &manifest, e);

	if (r < 0)
		return r;
	digest_list_start(&digests);
	r = check_pieces(cs, manifest, &digests, &data, read, arg, e);
	struct digest digest = digest_list_end(&digests);
	if (r < 0)
		error_prefix(e, r, "content %llu", (unsigned long long)content);
	else if (!digest_equal(&digest, &manifest->digest) || data != manifest->data)
		r = error_set(e, -E_CORRUPT,
			      "content %llu is damaged: its segments do not have its digest",
			      (unsigned long long)content);
	manifest_drop(cs, manifest);
	return told(cs, r);
}

int content_check_name(struct content_store *cs, struct view key, struct view value,
		       size_t *ret_len, struct error *e)
{
	struct reader in = reader_of(value);
	unsigned long long id = reader_varint(&in);
	uint8_t name[CHUNK_NAME_LEN];
	struct chunk *chunk = NULL;

	if (!reader_done(&in) || id == 0 || key.len != CHUNK_NAME_LEN)
		return error_set(e, -E_CORRUPT, "the name of chunk %llu is damaged", id);
	int r = chunk_load_fresh(&cs->chunks, id, &chunk, e);
	if (r < 0)
		return r;
	chunk_name(&cs->chunks, view_of(chunk->data, chunk->len), name);
	*ret_len = chunk->len;
	chunk_drop(&cs->chunks, chunk);
	return view_equal(key, view_of(name, sizeof(name)))
		       ? 0
		       : error_set(e, -E_CORRUPT,
				   "chunk %llu is damaged: its bytes do not have their name", id);
}
