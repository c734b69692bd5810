/* kv_batch.c - see kv_batch.h. */
#include "kv_batch.h"

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

static void batch_add(struct kv_batch *batch, enum family family, bool put, struct view key,
		      struct view value)
{
	buf_u8(&batch->operations, (uint8_t)family);
	buf_u8(&batch->operations, put);
	buf_string(&batch->operations, key);
	buf_string(&batch->operations, value);
	batch->count++;
	batch->bulk |= family == FAMILY_CHUNK;
}

void kv_batch_put(struct kv_batch *batch, enum family family, struct view key, struct view value)
{
	batch_add(batch, family, true, key, value);
}

void kv_batch_put_buf(struct kv_batch *batch, enum family family, struct view key,
		      const struct buf *value)
{
	kv_batch_put(batch, family, key, buf_view(value));
	batch->operations.failed |= value->failed;
}

void kv_batch_delete(struct kv_batch *batch, enum family family, struct view key)
{
	batch_add(batch, family, false, key, view_of(NULL, 0));
}

size_t kv_batch_bytes(const struct kv_batch *batch)
{
	return batch->operations.len;
}

size_t kv_batch_count(const struct kv_batch *batch)
{
	return batch->count;
}

bool kv_operation_next(struct reader *rest, struct kv_operation *ret)
{
	if (reader_left(rest) == 0)
		return false;
	ret->family = (enum family)reader_u8(rest);
	ret->put = reader_u8(rest);
	ret->key = reader_string(rest);
	ret->value = reader_string(rest);
	return !rest->failed;
}
