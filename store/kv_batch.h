/* kv_batch.h - the inside of a batch, for kv.c: a list of operations in the order they were given.
 *
 * RocksDB's own batch wants the column handle of an open database at every put; ours is built
 * without one. */
#ifndef DAYBOOK_KV_BATCH_H
#define DAYBOOK_KV_BATCH_H

#include "kv.h"

struct kv_operation { /* as encoded: u8 family, u8 put, string key, string value */
	enum family family;
	bool put; /* else delete */
	struct view key, value;
};

/* Reads the next operation of a batch's list, whose rest is in *rest; false at its end. */
bool kv_operation_next(struct reader *rest, struct kv_operation *ret);

#endif
