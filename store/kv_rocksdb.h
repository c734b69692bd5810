/* kv_rocksdb.h - an open RocksDB, shared by the files kv*.c; nobody else includes this or
 * <rocksdb/c.h>. */
#ifndef DAYBOOK_KV_ROCKSDB_H
#define DAYBOOK_KV_ROCKSDB_H

#include <rocksdb/c.h>

#include "coalesce.h"
#include "kv_batch.h"
#include "seal.h"
#include "space.h"

extern const char *const kv_column_names[COLUMNS];

struct kv {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *columns[COLUMNS];
	rocksdb_options_t *options[COLUMNS];
	/* read_once: what it reads is not cached. */
	rocksdb_readoptions_t *read, *read_once;
	rocksdb_writeoptions_t *write, *write_unlogged;
	rocksdb_cache_t *cache;
	char *path;
	int directory; /* to ask for free space */
	bool read_only, flushed; /* flushed: everything, at the close */
	struct lock writing;
	/* The last sequence number that is in a log; changed under writing. */
	atomic_uint_least64_t logged;
	struct coalesce sync;
	struct space space;
	struct seal seal; /* boot, and sequence numbers: also for the marks in the log */
	struct buf note;
	atomic_uint_least64_t stalled_ms; /* when a write first failed, 0: writes go well */
	/* The code of a failure that RocksDB must not be asked to get over, or 0. */
	atomic_int stuck;
};

/* Turns what RocksDB said into a code and a sentence, and frees it. */
int kv_error(const struct kv *kv, char *message, struct error *e);

#endif
