/* content_early.c - see content.h: early contents, kept and dropped; content_put.c makes them. */
#include "key.h"
#include "manifest.h"

/* META: behind it the content's id, u64; the value is a content_record. */
#define EARLY "early"

struct key early_key(uint64_t id)
{
	struct key key = key_number(id);

	memmove(key.bytes + strlen(EARLY), key.bytes, key.len);
	memcpy(key.bytes, EARLY, strlen(EARLY));
	key.len += strlen(EARLY);
	return key;
}

static int id_of(struct view key, uint64_t *ret, struct error *e)
{
	struct reader in = reader_of(key);

	reader_bytes(&in, strlen(EARLY));
	*ret = reader_u64(&in);
	return reader_done(&in) ? 0
				: error_set(e, -E_CORRUPT,
					    "the key of content that no save has yet is damaged");
}

int early_last(struct content_store *cs, uint64_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(cs->kv, NULL, FAMILY_META, view_str(EARLY), true);
	struct view key;
	int r = kv_iter_next(it, &key, NULL, e);

	*ret = 0;
	return r == 1 ? id_of(key, ret, e) : r;
}

static int drop(struct content_store *cs, uint64_t id, struct view value, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct key key = early_key(id);
	struct content_record record;

	kv_batch_delete(&batch, FAMILY_META, key_view(&key));
	/* The segment of one that is damaged stays. */
	struct reader in = content_decode(&record, value, NULL) == 0 ? reader_of(record.segments)
								     : reader_of(view_of(NULL, 0));
	while (reader_left(&in) > 0 && !in.failed) {
		key = key_number(reader_varint(&in));
		reader_varint(&in);
		kv_batch_delete(&batch, FAMILY_SEGMENT, key_view(&key));
	}
	return kv_write(cs->kv, &batch, e);
}

void content_drop_early(struct content_store *cs, uint64_t id)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = early_key(id);

	if (kv_get(cs->kv, NULL, FAMILY_META, key_view(&key), &value, NULL) == 1)
		drop(cs, id, buf_view(&value), NULL);
}

int content_forget_early(struct content_store *cs, bool (*is_kept)(void *arg, uint64_t id),
			 void *arg, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(cs->kv, NULL, FAMILY_META, view_str(EARLY), false);
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) == 1) {
		uint64_t id;

		r = id_of(key, &id, e);
		if (r == 0 && !is_kept(arg, id))
			r = drop(cs, id, value, e);
		if (r < 0)
			return r;
	}
	return r;
}
