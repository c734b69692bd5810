/* kv_batch.c - see kv_batch.h. */
#include "kv_batch.h"

#define ROOM_FIRST 1000 /* what most changes take */

const char kv_family_letters[] = {
#define X(name, letter, key, value, what) letter,
	KEY_FAMILIES(X)
#undef X
};

void kv_batch_release(struct kv_batch *batch)
{
	buf_release(&batch->operations);
	*batch = (struct kv_batch){ 0 };
}

void kv_batch_clear(struct kv_batch *batch)
{
	buf_clear(&batch->operations);
	batch->count = 0;
	batch->bulk = false;
}

void kv_batch_head(uint8_t out[KV_BATCH_HEAD], size_t count, const uint8_t mark[WAL_MARK_LEN])
{
	memset(out, 0, KV_BATCH_COUNTED);
	for (size_t i = 0; i < 4; i++)
		out[KV_BATCH_COUNTED - 4 + i] = (uint8_t)(count >> 8 * i);
	out[KV_BATCH_COUNTED] = KV_BATCH_NOTE;
	out[KV_BATCH_COUNTED + 1] = WAL_MARK_LEN;
	memcpy(out + KV_BATCH_COUNTED + 2, mark, WAL_MARK_LEN);
}

static size_t length_bytes(size_t length)
{
	size_t n = 1;

	for (; length >= 0x80; length >>= 7)
		n++;
	return n;
}

static uint8_t *put_length(uint8_t *to, size_t length)
{
	for (; length >= 0x80; length >>= 7)
		*to++ = (uint8_t)(length | 0x80);
	*to++ = (uint8_t)length;
	return to;
}

static uint8_t *put_bytes(uint8_t *to, struct view bytes)
{
	view_copy(to, bytes);
	return to + bytes.len;
}

/* Room for an operation of n bytes, behind the head; NULL: out of memory. */
static uint8_t *room(struct buf *operations, size_t n)
{
	if (operations->len == 0) {
		buf_grow(operations, KV_BATCH_HEAD + (n < ROOM_FIRST ? ROOM_FIRST : n));
		operations->len = operations->failed ? 0 : KV_BATCH_HEAD;
	}
	return buf_grow(operations, n);
}

static uint8_t *add(struct kv_batch *batch, enum family family, bool put, struct view key,
		    size_t value_bytes)
{
	size_t column = kv_column_of(family);
	uint8_t *to = room(&batch->operations, 1 + (column != 0) + length_bytes(key.len + 1) +
						       key.len + 1 + value_bytes);

	batch->count++;
	batch->bulk |= family == FAMILY_CHUNK;
	if (!to)
		return NULL;
	*to++ = (uint8_t)(put ? (column ? KV_BATCH_COLUMN_PUT : KV_BATCH_PUT)
			      : (column ? KV_BATCH_COLUMN_DELETE : KV_BATCH_DELETE));
	if (column)
		*to++ = (uint8_t)column;
	to = put_length(to, key.len + 1);
	*to++ = (uint8_t)kv_family_letters[family];
	return put_bytes(to, key);
}

void kv_batch_put(struct kv_batch *batch, enum family family, struct view key, struct view value)
{
	uint8_t *to = add(batch, family, true, key, length_bytes(value.len) + value.len);

	if (to)
		put_bytes(put_length(to, value.len), value);
}

void kv_batch_put_buf(struct kv_batch *batch, enum family family, struct view key,
		      const struct buf *value)
{
	kv_batch_put(batch, family, key, buf_view(value));
	batch->operations.failed |= value->failed;
}

void kv_batch_delete(struct kv_batch *batch, enum family family, struct view key)
{
	add(batch, family, false, key, 0);
}

void kv_batch_append(struct kv_batch *batch, const struct kv_batch *more)
{
	size_t n = more->operations.len;
	uint8_t *to = n ? room(&batch->operations, n - KV_BATCH_HEAD) : NULL;

	if (to)
		memcpy(to, more->operations.data + KV_BATCH_HEAD, n - KV_BATCH_HEAD);
	batch->operations.failed |= more->operations.failed;
	batch->count += more->count;
	batch->bulk |= more->bulk;
}

size_t kv_batch_bytes(const struct kv_batch *batch)
{
	return batch->operations.len;
}

size_t kv_batch_count(const struct kv_batch *batch)
{
	return batch->count;
}
