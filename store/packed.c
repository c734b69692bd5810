/* packed.c - see packed.h. */
#include "packed.h"

#include <stdlib.h>

#include "delta.h"
#include "plain.h"

/* One segment on the way from what is there to what is wanted. */
struct link {
	uint64_t id;
	struct segment_record record;
	struct buf memory;
};

static void link_release(struct link *link)
{
	buf_release(&link->memory);
}

int packed_record(struct content_store *cs, const struct kv_snapshot *snapshot, uint64_t segment,
		  struct segment_record *ret, struct buf *memory, struct error *e)
{
	uint8_t key[8];

	for (size_t i = 0; i < 8; i++)
		key[i] = (uint8_t)(segment >> (56 - 8 * i));
	int r = kv_get(cs->kv, snapshot, FAMILY_SEGMENT, view_of(key, 8), memory, e);
	if (r == 0)
		return segment == LOST_ID ? error_set(e, -E_CORRUPT, LOST_SENTENCE)
					  : error_set(e, -E_CORRUPT, "segment %llu is missing",
						      (unsigned long long)segment);
	if (r > 0)
		r = segment_decode(ret, buf_view(memory), e);
	return r < 0 ? error_prefix(e, r, "segment %llu", (unsigned long long)segment) : 0;
}

static int add_chunk(struct content_store *cs, const struct kv_snapshot *snapshot, uint64_t id,
		     uint64_t len, struct buf *out, struct error *e)
{
	struct chunk *chunk = NULL;
	int r = chunk_load_at(&cs->chunks, snapshot, id, &chunk, e);

	if (r < 0)
		return r;
	if (chunk->len == len)
		buf_append(out, chunk->data, chunk->len);
	else
		r = error_set(e, -E_CORRUPT,
			      "chunk %llu is damaged: its length is not the one that was saved",
			      (unsigned long long)id);
	chunk_drop(&cs->chunks, chunk);
	return r;
}

int packed_chunks(struct content_store *cs, const struct kv_snapshot *snapshot,
		  const struct segment_record *record, struct buf *out, struct error *e)
{
	struct reader in = reader_of(record->chunks);
	size_t before = out->len;

	while (reader_left(&in) > 0) {
		uint64_t id = reader_varint(&in), len = reader_varint(&in);

		if (in.failed || id == 0 || len > CHUNK_LEN_MAX ||
		    out->len - before > CONTENT_SEGMENT_MAX)
			return error_set(e, -E_CORRUPT,
					 "the list of chunks of a packed segment is damaged");
		int r = add_chunk(cs, snapshot, id, len, out, e);
		if (r < 0)
			return r;
	}
	return buf_check(out, e);
}

/* The delta of a packed segment: *ret borrows from the record or from *memory. */
static int get_delta(struct content_store *cs, const struct kv_snapshot *snapshot,
		     const struct segment_record *record, struct view *ret, struct buf *memory,
		     struct error *e)
{
	int r = record->delta.len ? 0 : packed_chunks(cs, snapshot, record, memory, e);

	*ret = record->delta.len ? record->delta : buf_view(memory);
	return r;
}

/* From the plain bytes of the base, which are in *plain, to those of the segment. */
static int step(struct content_store *cs, const struct kv_snapshot *snapshot,
		const struct link *link, struct buf *plain, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, out = { 0 };
	struct view delta;
	int r;

	if (link->record.form == SEGMENT_CHUNKS) {
		r = packed_chunks(cs, snapshot, &link->record, &memory, e);
		if (r == 0)
			r = plain_make(buf_view(&memory), link->record.plan, &out, e);
	} else {
		r = get_delta(cs, snapshot, &link->record, &delta, &memory, e);
		if (r == 0)
			r = delta_undo(delta, buf_view(plain), PLAIN_BYTES_MAX, &out, e);
	}
	if (r < 0)
		return error_prefix(e, r, "segment %llu", (unsigned long long)link->id);
	buf_release(plain);
	*plain = buf_take(&out);
	return 0;
}

/* Plain bytes of `segment` in *plain, and its record in *ret. */
static int make_plain(struct content_store *cs, const struct kv_snapshot *snapshot,
		      uint64_t segment, struct link *ret, struct buf *plain, struct error *e)
{
	uint64_t chain[PACKED_CHAIN_MAX];
	size_t count = 0;
	int r;

	for (uint64_t id = segment;; id = ret->record.base) {
		if (count == PACKED_CHAIN_MAX)
			return error_set(e, -E_CORRUPT,
					 "segment %llu is damaged: its chain of bases has no end",
					 (unsigned long long)segment);
		chain[count++] = ret->id = id;
		r = packed_record(cs, snapshot, id, &ret->record, &ret->memory, e);
		if (r < 0)
			return r;
		if (ret->record.form > SEGMENT_PACKED)
			return error_set(e, -E_FORMAT_NEWER,
					 "segment %llu was written by a newer Daybook",
					 (unsigned long long)id);
		if (ret->record.form == SEGMENT_CHUNKS || ret->record.base == 0)
			break;
	}
	r = step(cs, snapshot, ret, plain, e);
	while (r == 0 && --count > 0) {
		ret->id = chain[count - 1];
		r = packed_record(cs, snapshot, ret->id, &ret->record, &ret->memory, e);
		if (r == 0)
			r = step(cs, snapshot, ret, plain, e);
	}
	return r;
}

int packed_plain(struct content_store *cs, uint64_t segment, struct buf *out, struct error *e)
{
	CLEANUP(link_release) struct link link = { 0 };
	struct kv_snapshot *snapshot;
	int r = kv_snapshot_take(cs->kv, &snapshot, e);

	if (r == 0)
		r = make_plain(cs, snapshot, segment, &link, out, e);
	kv_snapshot_release(cs->kv, snapshot);
	return r;
}

/* Checked bytes of which plain is plain. */
static int undo(const struct segment_record *record, struct view plain, struct buf *out,
		struct error *e)
{
	size_t before = out->len;
	bool possible = record->size > 0 && record->size <= CONTENT_SEGMENT_MAX;
	int r = possible ? plain_undo(plain, record->plan, (size_t)record->size, out, e) :
			   error_set(e, -E_CORRUPT, "a packed segment is damaged: its size");

	if (r < 0)
		return r;
	struct digest digest = digest_of(view_of(out->data + before, out->len - before));
	return digest_equal(&digest, &record->digest)
		       ? 0
		       : error_set(e, -E_CORRUPT,
				   "a packed segment is damaged: what was made of it does not have "
				   "its digest");
}

int packed_bytes(const struct segment_record *record, struct view delta, struct view base_plain,
		 struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf plain = { 0 };
	int r = delta_undo(delta, base_plain, PLAIN_BYTES_MAX, &plain, e);

	return r < 0 ? r : undo(record, buf_view(&plain), out, e);
}

/* On one snapshot, so that nothing on the way is repacked or removed meanwhile. */
static int unpack(struct content_store *cs, uint64_t segment, struct buf *out, struct error *e)
{
	CLEANUP(link_release) struct link link = { 0 };
	CLEANUP(buf_release) struct buf plain = { 0 };
	struct kv_snapshot *snapshot;
	int r = kv_snapshot_take(cs->kv, &snapshot, e);

	if (r == 0)
		r = make_plain(cs, snapshot, segment, &link, &plain, e);
	kv_snapshot_release(cs->kv, snapshot);
	if (r == 0)
		r = undo(&link.record, buf_view(&plain), out, e);
	return r < 0 ? error_prefix(e, r, "segment %llu", (unsigned long long)segment) : 0;
}

/* With the lock held. */
static int unpack_cached(struct content_store *cs, uint64_t segment, struct chunk **ret,
			 struct error *e)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };
	int r = unpack(cs, segment, &bytes, e);

	if (r < 0)
		return r;
	*ret = chunk_alloc(segment, bytes.len);
	if (!*ret)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	view_copy((*ret)->data, buf_view(&bytes));
	packed_drop(cs, cs->recent);
	cs->recent = *ret;
	lru_add(&cs->unpacked, &(*ret)->entry);
	lru_pin(&cs->unpacked, &(*ret)->entry);
	return 0;
}

int packed_load(struct content_store *cs, uint64_t segment, struct chunk **ret, struct error *e)
{
	int r = 0;

	*ret = lru_find(&cs->unpacked, segment);
	if (*ret)
		return 0;
	lock_take(&cs->unpacking);
	*ret = lru_find(&cs->unpacked, segment); /* another thread may have */
	if (!*ret && cs->recent && cs->recent->entry.key == segment) {
		*ret = cs->recent;
		lru_pin(&cs->unpacked, &(*ret)->entry);
	}
	if (!*ret)
		r = unpack_cached(cs, segment, ret, e);
	lock_drop(&cs->unpacking);
	return r;
}

void packed_drop(struct content_store *cs, struct chunk *bytes)
{
	if (bytes)
		lru_drop(&cs->unpacked, &bytes->entry);
}

int packed_check(struct content_store *cs, uint64_t segment, struct error *e)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };

	lock_take(&cs->unpacking);
	int r = unpack(cs, segment, &bytes, e);
	lock_drop(&cs->unpacking);
	return r;
}
