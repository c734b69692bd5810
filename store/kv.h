/* kv.h - the ordered, atomic key-value store under everything; only the files kv*.c know
 * RocksDB.
 *
 * The face is small on purpose, so that another ordered transactional engine can stand here later:
 * get, multi-get, range iteration, snapshots, and one atomic write batch.  Keys are given without
 * their family's letter (format.h); it is added here, and CHUNK is kept in a column family tuned
 * for large values. All functions may be called from any thread; an iterator and a batch belong to
 * one thread at a time. No lock of the caller's is needed; a struct kv must not be used in a child
 * after fork(). */
#ifndef DAYBOOK_KV_H
#define DAYBOOK_KV_H

#include "bytes.h"
#include "error.h"
#include "format.h"

struct kv;
struct kv_snapshot;
struct kv_iter;

struct kv_options {
	bool create;        /* make it when absent; else an absent database is E_NOT_STORE */
	/* Opens beside a writer, sees what was flushed and logged at open; writes fail EROFS. */
	bool read_only;
	size_t cache_bytes; /* block cache and memtables together; 0 = 128 MiB */
};

/* Opens the database in directory path.  The end of the log that a power cut tore off is dropped; a
 * log damaged anywhere else is refused (wal.h), and so is a database that went back behind what it
 * was (seal.h). -E_LOCKED: another process has it; -E_CORRUPT: it is damaged, the sentence says
 * which file and why, and nothing was touched; -E_NO_SPACE: the disk is too full to open it for
 * writing. *ret_kv is the caller's, for kv_close(), which flushes memtables (so that the next open
 * replays no log), waits for background work, and accepts NULL. */
int kv_open(const char *path, const struct kv_options *options, struct kv **ret_kv,
	    struct error *e);

/* What opening found and did beyond opening (wal.h), one sentence a line, "" when nothing; valid
 * until kv_close(). */
const char *kv_opening_note(const struct kv *kv);
void kv_close(struct kv *kv);

/* Reads one value into *value (cleared first, the caller's).  1: found.  0: absent.  snapshot NULL
 * = now. */
int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, struct view key,
	   struct buf *value, struct error *e);

/* Reads n values in one call and shows each, value NULL where it is absent, in the order of keys;
 * borrowed until each() returns, whose negative code ends it. */
typedef int (*kv_visitor)(void *arg, size_t i, const struct view *value, struct error *e);
int kv_get_many(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, size_t n,
		const struct view *keys, kv_visitor each, void *arg, struct error *e);

int kv_snapshot_take(struct kv *kv, struct kv_snapshot **ret, struct error *e);
void kv_snapshot_release(struct kv *kv, struct kv_snapshot *snapshot); /* accepts NULL */

/* Walks the keys of one family that begin with prefix, in order (or backwards when reverse).
 * Positioned before the first; kv_iter_next() moves to it.  kv_iter_seek(key) makes the following
 * next() return the first key >= key (reverse: <= key), never outside the prefix. kv_iter_next: 1 =
 * *ret_key (whole, without the family letter) and *ret_value are set and valid until the next call
 * on this iterator; 0 = the end; negative = a code.  ret_value may be NULL. kv_iter_open gives NULL
 * when memory is out, which all of these accept: kv_iter_next then says -E_NO_MEMORY. */
struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_snapshot *snapshot, enum family family,
			     struct view prefix, bool reverse);
void kv_iter_seek(struct kv_iter *it, struct view key);
int kv_iter_next(struct kv_iter *it, struct view *ret_key, struct view *ret_value, struct error *e);
void kv_iter_close(struct kv_iter *it); /* accepts NULL */
static inline void kv_iter_release(struct kv_iter **it)
{
	kv_iter_close(*it);
}

/* A batch is written whole or not at all.  All zero is an empty one.  Building one cannot fail:
 * when memory is out, kv_write() says so.  kv_batch_bytes is its size so far. */
struct kv_batch {
	struct buf operations; /* kv_batch.h */
	size_t count;
	bool bulk;             /* holds content */
};
void kv_batch_release(struct kv_batch *batch);
void kv_batch_clear(struct kv_batch *batch);
void kv_batch_put(struct kv_batch *batch, enum family family, struct view key, struct view value);
/* The same with what was encoded: a record that memory did not suffice for fails the batch. */
void kv_batch_put_buf(struct kv_batch *batch, enum family family, struct view key,
		      const struct buf *value);
void kv_batch_delete(struct kv_batch *batch, enum family family, struct view key);
/* Adds what is in another. */
void kv_batch_append(struct kv_batch *batch, const struct kv_batch *more);
size_t kv_batch_bytes(const struct kv_batch *batch);
size_t kv_batch_count(const struct kv_batch *batch);

/* Writes the batch to the write-ahead log and memtable: it survives the death of this process from
 * then on, and a power cut after the next kv_sync().  -E_NO_SPACE when the disk is full; the
 * database stays usable for reads, and for writes again once space is there.  -E_NO_MEMORY when the
 * batch could not be built. */
int kv_write(struct kv *kv, struct kv_batch *batch, struct error *e);

/* The same for content alone, past the log: nothing of it survives a death before
 * kv_flush_content() has returned, and any of it may.  For what is large; nothing may refer to it
 * before. */
int kv_write_unlogged(struct kv *kv, struct kv_batch *batch, struct error *e);
/* Returns when all content that was written before the call is on stable storage. */
int kv_flush_content(struct kv *kv, struct error *e);

/* Returns when everything that was logged before the call is on stable storage.  Concurrent callers
 * share one sync. */
int kv_sync(struct kv *kv, struct error *e);

/* Whether changes are refused and will be until the database is opened anew: a write or a sync
 * failed some seconds ago, RocksDB has not got over it, and the disk takes writes again.  Not for
 * every moment: it tries. */
bool kv_has_stopped(struct kv *kv);

/* Flushes memtables to tables. */
int kv_flush(struct kv *kv, struct error *e);

/* Makes directory path, which must not exist, on the same file system: the database as it is now,
 * which kv_open() opens; tables are hard links. */
int kv_checkpoint(struct kv *kv, const char *path, struct error *e);

/* Bytes that the family takes on disk, about. */
uint64_t kv_approximate_bytes(struct kv *kv, enum family family);

/* Reads every table and checks its blocks' checksums; -E_CORRUPT names the file.  In slices: what
 * is superseded meanwhile is not kept for it.  read() (may be NULL) is told now and then how many
 * bytes were; a negative code stops. */
int kv_check(struct kv *kv, int (*read)(void *arg, uint64_t bytes, struct error *e), void *arg,
	     struct error *e);

/* A table of content: it has keys of CHUNK from first to last; so many, 0: that is not known. */
struct kv_table {
	struct view first, last;
	uint64_t keys;
};
typedef bool (*kv_table_is_worth)(void *arg, const struct kv_table *table);

/* Deleted chunks take room until their tables are written anew.  Does that, one after the other,
 * with those for which worth() says so, as long as go_on() does. */
int kv_rewrite_chunks(struct kv *kv, kv_table_is_worth worth, bool (*go_on)(void *arg), void *arg,
		      struct error *e);

/* Test hook: the n-th following call that reads, writes, syncs or flushes content fails with code
 * (n = 0: none). */
void kv_fail_nth(unsigned n, int code);

#endif
