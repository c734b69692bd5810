/* pack_segment.c - see pack_segment.h. */
#include "pack_segment.h"

#include "delta.h"
#include "key.h"
#include "plain.h"

#define INLINE_BYTES_MAX 4096 /* a larger delta is kept in chunks */
#define RECORD_BYTES 64       /* a gain below this is none */

/* The segment and its base, as they are and as they become. */
struct work_in_hand {
	struct segment_record old, base, new;
	struct buf old_memory, base_memory;
	struct buf bytes, base_plain, plain, delta; /* base_plain: empty without a base */
	struct buf plan, base_plan, chunks;
};

static void hand_release(struct work_in_hand *w)
{
	struct buf *all[] = { &w->old_memory, &w->base_memory, &w->bytes, &w->base_plain, &w->plain,
			      &w->delta, &w->plan, &w->base_plan, &w->chunks };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_release(all[i]);
}

/* 1 unless making segment a descendant of base would close a circle or a chain too long. */
static int is_chain(struct segment_packing *s, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct segment_record record;
	int length = 0;

	for (uint64_t id = s->base; id; id = record.form == SEGMENT_PACKED ? record.base : 0) {
		int r = packed_record(s->cs, NULL, id, &record, &memory, e);

		if (r < 0)
			return r;
		if (id == s->segment || ++length > PACKED_CHAIN_MAX / 2 ||
		    (record.doc && record.doc != s->doc))
			return 0;
	}
	return 1;
}

/* The bytes. */
static int load_self(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	struct chunk *unpacked = NULL;
	int r;

	if (w->old.form == SEGMENT_CHUNKS)
		return packed_chunks(s->cs, NULL, &w->old, &w->bytes, e);
	r = packed_load(s->cs, s->segment, &unpacked, e);
	if (r == 0)
		buf_append(&w->bytes, unpacked->data, unpacked->len);
	packed_drop(s->cs, unpacked);
	return r < 0 ? r : buf_check(&w->bytes, e);
}

/* Whether the segment gets its plan now; once it has one, it stays. */
static bool is_planned_now(const struct work_in_hand *w)
{
	return w->old.plan.len == 0 && w->old.form == SEGMENT_CHUNKS;
}

/* Its plain form. */
static int make_plain(struct work_in_hand *w, size_t proof, struct error *e)
{
	buf_clear(&w->plan);
	buf_clear(&w->plain);
	w->new.plan = w->old.plan;
	if (!is_planned_now(w))
		return plain_make(buf_view(&w->bytes), w->new.plan, &w->plain, e);
	int r = plain_plan(buf_view(&w->bytes), proof, &w->plan, &w->plain, e);
	w->new.plan = buf_view(&w->plan);
	return r;
}

/* The base's plain bytes.  A base of chunks gets its plan now. */
static int load_base(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };
	int r = packed_record(s->cs, NULL, s->base, &w->base, &w->base_memory, e);

	if (r < 0)
		return r;
	if (w->base.form != SEGMENT_CHUNKS || w->base.plan.len)
		return packed_plain(s->cs, s->base, &w->base_plain, e);
	r = packed_chunks(s->cs, NULL, &w->base, &bytes, e);
	return r < 0 ? r
		     : plain_plan(buf_view(&bytes), PLAN_PROVED, &w->base_plan, &w->base_plain, e);
}

static bool lists(struct view chunks, uint64_t wanted)
{
	struct reader in = reader_of(chunks);

	while (reader_left(&in) > 0 && !in.failed) {
		if (reader_varint(&in) == wanted)
			return true;
		reader_varint(&in);
	}
	return false;
}

/* The stored bytes of the record's chunks that the others do not name. */
static int own_bytes(struct segment_packing *s, const struct segment_record *record,
		     struct view other, struct view another, uint64_t *ret, struct error *e)
{
	struct reader in = reader_of(record->chunks);

	*ret = record->chunks.len + record->delta.len;
	while (reader_left(&in) > 0 && !in.failed) {
		uint64_t id = reader_varint(&in), bytes;

		reader_varint(&in);
		if (lists(other, id) || lists(another, id))
			continue;
		int r = chunk_stored_bytes(&s->cs->chunks, 1, &id, &bytes, e);
		if (r < 0)
			return r;
		*ret += bytes;
	}
	return 0;
}

static int count_before(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct segment_record newest;
	int r = packed_record(s->cs, NULL, s->newest, &newest, &memory, e);

	return r < 0 ? r : own_bytes(s, &w->old, newest.chunks, w->base.chunks, &s->before, e);
}

/* Makes the delta: 1, or 0 when it gains nothing. */
static int make_delta(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	buf_clear(&w->delta);
	int r = delta_make(buf_view(&w->plain), buf_view(&w->base_plain), &w->delta, e);

	w->new.digest = w->old.digest;
	w->new.form = SEGMENT_PACKED;
	w->new.size = s->size = w->bytes.len;
	w->new.base = s->base;
	w->new.doc = s->doc;
	s->after = w->delta.len + w->new.plan.len;
	return r < 0 ? r : w->old.form != SEGMENT_CHUNKS || s->after + RECORD_BYTES <= s->before;
}

/* Whether the bytes are made again. */
static int prove(struct work_in_hand *w, struct error *e)
{
	CLEANUP(buf_release) struct buf again = { 0 };
	int r = packed_bytes(&w->new, buf_view(&w->delta), buf_view(&w->base_plain), &again, e);

	if (r < 0)
		return r == -E_CORRUPT ? 0 : r;
	return view_equal(buf_view(&again), buf_view(&w->bytes));
}

/* 1, or 0 when it gains nothing or would not be made again.  What is made again anyway needs a plan
 * that is likely right; if it was not, it gets one that is. */
static int pack_bytes(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	static const size_t proofs[] = { PLAN_LIKELY, PLAN_PROVED };
	bool proved = false;
	int r = 1;

	for (int i = 0; r == 1 && !proved && i < (is_planned_now(w) ? 2 : 1); i++) {
		r = make_plain(w, proofs[i], e);
		if (r == 0)
			r = make_delta(s, w, e);
		if (r == 1) {
			r = prove(w, e);
			proved = r == 1;
			r = r < 0 ? r : 1;
		}
	}
	return r == 1 ? proved : r;
}

static int store_delta(struct segment_packing *s, struct work_in_hand *w, struct kv_batch *batch,
		       struct error *e)
{
	struct chunk_writer writer;
	size_t at = 0;
	int r = 0;

	if (w->delta.len <= INLINE_BYTES_MAX) {
		w->new.delta = buf_view(&w->delta);
		return 0;
	}
	chunk_writer_init(&writer, &s->cs->chunks, batch);
	while (r == 0 && at < w->delta.len) {
		size_t n = w->delta.len - at < CHUNK_LEN_MAX ? w->delta.len - at : CHUNK_LEN_MAX;
		uint64_t id;

		r = chunk_store(&writer, view_of(w->delta.data + at, n), &id, e);
		buf_varint(&w->chunks, id);
		buf_varint(&w->chunks, n);
		at += n;
	}
	chunk_writer_release(&writer);
	w->new.chunks = buf_view(&w->chunks);
	return r < 0 ? r : buf_check(&w->chunks, e);
}

static int put_segment(struct kv_batch *batch, uint64_t id, const struct segment_record *record,
		       struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(id);

	segment_encode(&value, record);
	kv_batch_put_buf(batch, FAMILY_SEGMENT, key_view(&key), &value);
	return buf_check(&value, e);
}

static int pack_in_hand(struct segment_packing *s, struct work_in_hand *w, struct error *e)
{
	int r = packed_record(s->cs, NULL, s->segment, &w->old, &w->old_memory, e);

	if (r < 0)
		return r;
	s->repacked = w->old.form == SEGMENT_PACKED;
	if (s->repacked && (w->old.base == s->base || w->old.doc != s->doc))
		return 0;
	r = is_chain(s, e);
	if (r == 1 && s->base)
		r = load_base(s, w, e);
	else if (r == 1)
		r = 0;
	else
		return r;
	if (r == 0)
		r = load_self(s, w, e);
	if (r == 0)
		r = count_before(s, w, e);
	return r < 0 ? r : pack_bytes(s, w, e);
}

int segment_pack(struct segment_packing *s, struct kv_batch *batch, struct error *e)
{
	CLEANUP(hand_release) struct work_in_hand w = { 0 };
	int r = pack_in_hand(s, &w, e);

	if (r <= 0)
		return r;
	s->left = s->before;
	r = store_delta(s, &w, batch, e);
	if (r == 0)
		r = put_segment(batch, s->segment, &w.new, e);
	if (r == 0 && w.base_plan.len) {
		w.base.plan = buf_view(&w.base_plan);
		r = put_segment(batch, s->base, &w.base, e);
	}
	return r < 0 ? r : 1;
}

int segment_repack_commit(struct segment_packing *s, struct kv_batch *batch, struct error *e)
{
	int r = kv_write(s->cs->kv, batch, e);

	if (r < 0)
		return r;
	atomic_fetch_add(&s->cs->repacks, 1);
	lru_remove(&s->cs->segments, s->segment);
	return 0;
}
