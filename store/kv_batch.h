/* kv_batch.h - the inside of a batch: the very bytes that RocksDB writes to its log, so that they
 * are put together once.  (Its own functions want the column handle of an open database at every
 * put, and take three times as long.)
 *
 * A head of KV_BATCH_HEAD bytes: sequence number u64 (RocksDB's affair), how many operations u32,
 * little-endian, and the mark (wal.h), which is only known when the batch is written.  Then the
 * operations in the order they were given: a type; of another column than the first, its number;
 * the key, which begins with its family's letter; and, unless it is a deletion, the value: each
 * behind its length.  Numbers and lengths are varints. */
#ifndef DAYBOOK_KV_BATCH_H
#define DAYBOOK_KV_BATCH_H

#include "kv.h"
#include "wal.h"

/* What each family's keys begin with. */
extern const char kv_family_letters[FAMILY_COUNT];

/* Two column families: "default" for everything small, "chunk" for content (already compressed,
 * large blocks).  Their place is their number: RocksDB counts them as they are made. */
#define COLUMNS 2
static inline size_t kv_column_of(enum family family)
{
	return family == FAMILY_CHUNK;
}

enum kv_batch_type {
	KV_BATCH_DELETE = 0,
	KV_BATCH_PUT = 1,
	KV_BATCH_NOTE = 3, /* the mark */
	KV_BATCH_COLUMN_DELETE = 4,
	KV_BATCH_COLUMN_PUT = 5,
};

#define KV_BATCH_COUNTED 12 /* sequence number and count */
#define KV_BATCH_HEAD (KV_BATCH_COUNTED + 2 + WAL_MARK_LEN)

/* Fills a head in. */
void kv_batch_head(uint8_t out[KV_BATCH_HEAD], size_t count, const uint8_t mark[WAL_MARK_LEN]);

#endif
