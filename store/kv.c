/* kv.c - see kv.h: reading and writing the store's keys in RocksDB; kv_open.c opens it. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "kv_rocksdb.h"
#include "kv_words.h"

#define MIB ((size_t)1 << 20)
#define KEY_SMALL 320
#define MANY_ONCE 8 /* who reads so many at once reads a large content, and keeps it himself */
#define STALL_MS_MAX 7000
#define STOPPED_MS 10000         /* RocksDB looks every 5 s whether a full disk has room again */
#define TRIAL_BYTES (4 * MIB)

struct kv_snapshot {
	const rocksdb_snapshot_t *at;
	rocksdb_readoptions_t *read;
};

struct kv_iter {
	rocksdb_iterator_t *at;
	rocksdb_readoptions_t *read;
	const struct kv *kv;
	struct buf lower, upper; /* RocksDB keeps pointers to them */
	struct buf seek;
	bool reverse, started, sought, ended;
};

/* ---- test hook ---- */

static atomic_uint fail_countdown;
static atomic_int fail_code;

void kv_fail_nth(unsigned n, int code)
{
	atomic_store(&fail_code, code);
	atomic_store(&fail_countdown, n);
}

static int injected_failure(const char *what, struct error *e)
{
	unsigned left = atomic_load(&fail_countdown);

	while (left && !atomic_compare_exchange_weak(&fail_countdown, &left, left - 1))
		;
	if (left != 1)
		return 0;
	int code = atomic_load(&fail_code);
	return error_set(e, code, "%s: %s (injected)", what, error_sentence(code));
}

int kv_error(const struct kv *kv, char *message, struct error *e)
{
	int code = kv_words(kv->path, message, e);

	rocksdb_free(message);
	return code;
}

/* ---- reading ---- */

static int no_memory(struct error *e)
{
	return error_set(e, -E_NO_MEMORY, "out of memory");
}

/* A key with its family's letter before it; small ones need no allocation. */
struct full_key {
	uint8_t small[KEY_SMALL], *large;
	size_t len;
};

static void full_key_release(struct full_key *k)
{
	free(k->large);
}

/* NULL: out of memory. */
static const char *full_key_set(struct full_key *k, enum family family, struct view key)
{
	uint8_t *to = k->small;

	k->len = key.len + 1;
	if (k->len > KEY_SMALL)
		to = k->large = malloc(k->len);
	if (!to)
		return NULL;
	to[0] = (uint8_t)kv_family_letters[family];
	view_copy(to + 1, key);
	return (const char *)to;
}

static int take_slice(rocksdb_pinnableslice_t *slice, struct buf *value, struct error *e)
{
	size_t n = 0;
	const char *data = rocksdb_pinnableslice_value(slice, &n);

	buf_append(value, data, n);
	return buf_check(value, e);
}

/* RocksDB counts for each thread what it compares, in thread-local memory that costs more than the
 * comparing. */
static void stop_counting(void)
{
	static __thread bool stopped;

	if (!stopped)
		rocksdb_set_perf_level(rocksdb_disable);
	stopped = true;
}

int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, struct view key,
	   struct buf *value, struct error *e)
{
	CLEANUP(full_key_release) struct full_key k;
	char *message = NULL;
	const char *at;

	stop_counting();
	k.large = NULL;
	at = full_key_set(&k, family, key);
	buf_clear(value);
	if (!at)
		return no_memory(e);
	int r = injected_failure("read", e);
	if (r < 0)
		return r;
	rocksdb_pinnableslice_t *slice =
		rocksdb_get_pinned_cf(kv->db, snapshot ? snapshot->read : kv->read,
				      kv->columns[kv_column_of(family)], at, k.len, &message);
	if (message)
		return kv_error(kv, message, e);
	if (!slice)
		return 0;
	r = take_slice(slice, value, e);
	rocksdb_pinnableslice_destroy(slice);
	return r < 0 ? r : 1;
}

/* The arrays that RocksDB's multi-get wants. */
struct many {
	struct full_key *keys;
	const char **at;
	size_t *len;
	rocksdb_pinnableslice_t **slices;
	char **messages;
	size_t n;
};

static void many_release(struct many *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->keys)
			full_key_release(&m->keys[i]);
		if (m->slices && m->slices[i])
			rocksdb_pinnableslice_destroy(m->slices[i]);
		if (m->messages && m->messages[i])
			rocksdb_free(m->messages[i]);
	}
	free(m->keys);
	free(m->at);
	free(m->len);
	free(m->slices);
	free(m->messages);
}

static int many_init(struct many *m, enum family family, size_t n, const struct view *keys,
		     struct error *e)
{
	m->n = n;
	m->keys = calloc(n, sizeof(*m->keys));
	m->at = calloc(n, sizeof(*m->at));
	m->len = calloc(n, sizeof(*m->len));
	m->slices = calloc(n, sizeof(*m->slices));
	m->messages = calloc(n, sizeof(*m->messages));
	if (!m->keys || !m->at || !m->len || !m->slices || !m->messages)
		return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		m->at[i] = full_key_set(&m->keys[i], family, keys[i]);
		m->len[i] = m->keys[i].len;
		if (!m->at[i])
			return no_memory(e);
	}
	return 0;
}

static int many_show(struct kv *kv, struct many *m, kv_visitor each, void *arg, struct error *e)
{
	for (size_t i = 0; i < m->n; i++) {
		char *message = m->messages[i];
		struct view value;
		size_t len;

		m->messages[i] = NULL;
		if (message)
			return kv_error(kv, message, e);
		const char *data = rocksdb_pinnableslice_value(m->slices[i], &len);
		value = view_of(data, len);
		int r = each(arg, i, m->slices[i] ? &value : NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int kv_get_many(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, size_t n,
		const struct view *keys, kv_visitor each, void *arg, struct error *e)
{
	CLEANUP(many_release) struct many m = { 0 };
	int r = injected_failure("read", e);

	if (r < 0 || n == 0)
		return r;
	r = many_init(&m, family, n, keys, e);
	if (r < 0)
		return r;
	const rocksdb_readoptions_t *now = n < MANY_ONCE ? kv->read : kv->read_once;
	rocksdb_batched_multi_get_cf(kv->db, snapshot ? snapshot->read : now,
				     kv->columns[kv_column_of(family)], n, m.at, m.len, m.slices,
				     m.messages, false);
	return many_show(kv, &m, each, arg, e);
}

int kv_snapshot_take(struct kv *kv, struct kv_snapshot **ret, struct error *e)
{
	struct kv_snapshot *snapshot = *ret = malloc(sizeof(*snapshot));

	if (!snapshot)
		return no_memory(e);
	snapshot->at = rocksdb_create_snapshot(kv->db);
	snapshot->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(snapshot->read, snapshot->at);
	return 0;
}

void kv_snapshot_release(struct kv *kv, struct kv_snapshot *snapshot)
{
	if (!snapshot)
		return;
	rocksdb_readoptions_destroy(snapshot->read);
	rocksdb_release_snapshot(kv->db, snapshot->at);
	free(snapshot);
}

/* ---- iterators ---- */

/* The upper one is the first key after all that begin with the lower: its last byte below 0xff plus
 * one, and what follows cut off.  There always is one, for the family's letter is never 0xff.
 * False: out of memory. */
static bool set_bounds(struct kv_iter *it, enum family family, struct view prefix)
{
	struct buf *upper = &it->upper;

	buf_u8(&it->lower, (uint8_t)kv_family_letters[family]);
	buf_append(&it->lower, prefix.data, prefix.len);
	buf_append(upper, it->lower.data, it->lower.len);
	if (it->lower.failed || upper->failed)
		return false;
	while (upper->data[upper->len - 1] == 0xff)
		upper->len--;
	upper->data[upper->len - 1]++;
	return true;
}

static void iter_free(struct kv_iter *it)
{
	if (!it)
		return;
	buf_release(&it->lower);
	buf_release(&it->upper);
	buf_release(&it->seek);
	free(it);
}

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_snapshot *snapshot, enum family family,
			     struct view prefix, bool reverse)
{
	struct kv_iter *it = calloc(1, sizeof(*it));

	if (!it || !set_bounds(it, family, prefix)) {
		iter_free(it);
		return NULL;
	}
	it->kv = kv;
	it->reverse = reverse;
	it->read = rocksdb_readoptions_create();
	if (snapshot)
		rocksdb_readoptions_set_snapshot(it->read, snapshot->at);
	rocksdb_readoptions_set_iterate_lower_bound(it->read, (char *)it->lower.data,
						    it->lower.len);
	rocksdb_readoptions_set_iterate_upper_bound(it->read, (char *)it->upper.data,
						    it->upper.len);
	it->at = rocksdb_create_iterator_cf(kv->db, it->read, kv->columns[kv_column_of(family)]);
	return it;
}

void kv_iter_seek(struct kv_iter *it, struct view key)
{
	if (!it)
		return;
	buf_clear(&it->seek);
	buf_u8(&it->seek, it->lower.data[0]);
	buf_append(&it->seek, key.data, key.len);
	it->sought = true;
}

/* Goes to the first key of the walk, or to where kv_iter_seek() said, without handing RocksDB a key
 * out of bounds.  False: nothing can be there. */
static bool iter_start(struct kv_iter *it)
{
	bool sought = it->sought;

	it->started = true;
	it->sought = false;
	if (sought && view_order(buf_view(&it->seek), buf_view(&it->lower)) < 0) {
		if (it->reverse)
			return false;
		sought = false;
	} else if (sought && view_order(buf_view(&it->seek), buf_view(&it->upper)) >= 0) {
		if (!it->reverse)
			return false;
		sought = false;
	}
	if (sought && it->reverse)
		rocksdb_iter_seek_for_prev(it->at, (char *)it->seek.data, it->seek.len);
	else if (sought)
		rocksdb_iter_seek(it->at, (char *)it->seek.data, it->seek.len);
	else if (it->reverse)
		rocksdb_iter_seek_to_last(it->at);
	else
		rocksdb_iter_seek_to_first(it->at);
	return true;
}

int kv_iter_next(struct kv_iter *it, struct view *ret_key, struct view *ret_value, struct error *e)
{
	char *message = NULL;
	size_t n;

	if (!it || it->seek.failed)
		return no_memory(e);
	if (!it->started || it->sought)
		it->ended = !iter_start(it);
	else if (!it->ended && it->reverse)
		rocksdb_iter_prev(it->at);
	else if (!it->ended)
		rocksdb_iter_next(it->at);
	if (it->ended || !rocksdb_iter_valid(it->at)) {
		it->ended = true;
		rocksdb_iter_get_error(it->at, &message);
		return message ? kv_error(it->kv, message, e) : 0;
	}
	const char *key = rocksdb_iter_key(it->at, &n);
	*ret_key = view_of(key + 1, n - 1);
	if (ret_value) {
		const char *value = rocksdb_iter_value(it->at, &n);

		*ret_value = view_of(value, n);
	}
	return 1;
}

void kv_iter_close(struct kv_iter *it)
{
	if (!it)
		return;
	rocksdb_iter_destroy(it->at);
	rocksdb_readoptions_destroy(it->read);
	iter_free(it);
}

/* ---- room on the disk ---- */

static uint64_t memtable_bytes(struct kv *kv)
{
	uint64_t sum = 0, bytes = 0;

	for (size_t i = 0; i < COLUMNS; i++) {
		if (rocksdb_property_int_cf(kv->db, kv->columns[i],
					    "rocksdb.cur-size-all-mem-tables", &bytes) == 0)
			sum += bytes;
	}
	return sum;
}

/* What is in the memtables has yet to be written out.  Content is refused sooner than the small
 * records, so that names can still be removed and what was saved be recorded. */
static int check_space(struct kv *kv, const struct kv_batch *batch, struct error *e)
{
	uint64_t bytes = kv_batch_bytes(batch);

	if (space_stale(&kv->space, bytes))
		atomic_store(&kv->space.owed, memtable_bytes(kv));
	return space_check(&kv->space, kv->directory, bytes, batch->bulk ? 2 : 1, e);
}

/* ---- writing ---- */

static int check_writable(const struct kv *kv, const char *what, struct error *e)
{
	int r = injected_failure(what, e);

	if (r < 0)
		return r;
	return kv->read_only ? error_set(e, -EROFS, "the store is open for reading only") : 0;
}

/* With the lock on writing held: the mark says what was logged before.  The batch may be empty. */
static rocksdb_writebatch_t *batch_for_rocksdb(const struct kv *kv, struct kv_batch *batch)
{
	uint8_t mark[WAL_MARK_LEN], alone[KV_BATCH_HEAD];
	bool empty = batch->count == 0;
	uint8_t *whole = empty ? alone : batch->operations.data;

	wal_mark(mark, kv->seal.boot, atomic_load(&kv->seal.stable), atomic_load(&kv->logged));
	kv_batch_head(whole, batch->count, mark);
	return rocksdb_writebatch_create_from((char *)whole,
					      empty ? sizeof(alone) : batch->operations.len);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static bool memtables_are_empty(struct kv *kv)
{
	uint64_t entries = 0;

	for (size_t i = 0; i < COLUMNS && entries == 0; i++)
		rocksdb_property_int_cf(kv->db, kv->columns[i],
					"rocksdb.num-entries-active-mem-table", &entries);
	return entries == 0;
}

/* RocksDB gets over a full disk by writing the memtables out, with which a new log begins.  When
 * there is nothing in them it takes that for done, goes on with the log that could not be written
 * to, and asserts that nobody does (7.8). */
static void note_failure(struct kv *kv, int code)
{
	uint64_t fine = 0;

	if (atomic_compare_exchange_strong(&kv->stalled_ms, &fine, now_ms()) &&
	    memtables_are_empty(kv))
		atomic_store(&kv->stuck, code);
}

static int check_stuck(struct kv *kv, struct error *e)
{
	int code = atomic_load(&kv->stuck);

	return code ? error_set(e, code,
				"a write to the disk that holds the store failed: once it takes "
				"writes again the "
				"store must be opened anew")
		    : 0;
}

/* What no log has takes sequence numbers too, which the seal must not claim: a death takes them
 * along. */
static void note_logged(struct kv *kv)
{
	uint64_t logged = rocksdb_get_latest_sequence_number(kv->db);

	atomic_store(&kv->logged, logged);
	seal_written(&kv->seal, logged);
}

/* An empty batch is only tried. */
static int write_once(struct kv *kv, struct kv_batch *batch, bool logged, struct error *e)
{
	char *message = NULL;
	int r = check_stuck(kv, e);

	if (r < 0)
		return r;
	stop_counting();
	lock_take(&kv->writing);
	rocksdb_writebatch_t *writes = batch_for_rocksdb(kv, batch);
	rocksdb_write(kv->db, logged ? kv->write : kv->write_unlogged, writes, &message);
	if (!message && logged && batch->count)
		note_logged(kv);
	lock_drop(&kv->writing);
	rocksdb_writebatch_destroy(writes);
	if (!message) {
		atomic_store(&kv->stalled_ms, 0);
		return 0;
	}
	r = kv_error(kv, message, e);
	note_failure(kv, r);
	return r;
}

/* Once it met a full disk, RocksDB refuses all writes until it finds, looking every 5 s, that there
 * is room again, and has written its memtables out.  When we see room before it does, we wait for
 * it, but not for ever. */
static bool may_recover_soon(const struct kv *kv)
{
	struct timespec pause = { .tv_nsec = 50000000 };

	if (now_ms() - atomic_load(&kv->stalled_ms) > STALL_MS_MAX)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int write_batch(struct kv *kv, struct kv_batch *batch, bool logged, struct error *e)
{
	int r = check_writable(kv, "write", e);

	if (r < 0 || batch->count == 0)
		return r;
	r = buf_check(&batch->operations, e);
	if (r == 0)
		r = check_space(kv, batch, e);
	if (r < 0)
		return r;
	do {
		r = write_once(kv, batch, logged, e);
	} while (r == -E_NO_SPACE && !atomic_load(&kv->stuck) && check_space(kv, batch, e) == 0 &&
		 may_recover_soon(kv));
	return r;
}

int kv_write(struct kv *kv, struct kv_batch *batch, struct error *e)
{
	return write_batch(kv, batch, true, e);
}

int kv_write_unlogged(struct kv *kv, struct kv_batch *batch, struct error *e)
{
	return write_batch(kv, batch, false, e);
}

/* After a write to its log failed, or a sync of it, RocksDB 7.8 asserts that nobody syncs that log,
 * as a flush does too: so an empty batch goes first, which it refuses until it has begun another
 * log. */
static int check_recovered(struct kv *kv, struct error *e)
{
	struct kv_batch nothing = { 0 };

	return atomic_load(&kv->stalled_ms) == 0 ? 0 : write_once(kv, &nothing, true, e);
}

static int sync_now(void *arg, struct error *e)
{
	struct kv *kv = arg;
	char *message = NULL;
	int r = check_recovered(kv, e);
	uint64_t logged = atomic_load(&kv->logged);

	if (r < 0)
		return r;
	rocksdb_flush_wal(kv->db, 1, &message);
	if (message) {
		r = kv_error(kv, message, e);
		note_failure(kv, r);
		return r;
	}
	seal_stable(&kv->seal, logged);
	return 0;
}

bool kv_has_stopped(struct kv *kv)
{
	uint64_t since = atomic_load(&kv->stalled_ms);

	if (!since || now_ms() - since < STOPPED_MS || check_recovered(kv, NULL) == 0)
		return false;
	return space_try(kv->directory, TRIAL_BYTES, NULL) == 0;
}

int kv_sync(struct kv *kv, struct error *e)
{
	int r = check_writable(kv, "sync", e);

	return r < 0 ? r : coalesce_run(&kv->sync, sync_now, kv, e);
}

/* Content first: nothing refers to a chunk that is not there. */
static int flush_columns(struct kv *kv, size_t first, struct error *e)
{
	char *message = NULL;
	int r = check_recovered(kv, e);

	if (r < 0)
		return r;
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	for (size_t i = COLUMNS; i-- > first && !message;)
		rocksdb_flush_cf(kv->db, options, kv->columns[i], &message);
	rocksdb_flushoptions_destroy(options);
	if (!message)
		return 0;
	r = kv_error(kv, message, e);
	note_failure(kv, r);
	return r;
}

int kv_flush(struct kv *kv, struct error *e)
{
	uint64_t logged = atomic_load(&kv->logged);

	if (kv->read_only)
		return error_set(e, -EROFS, "the store is open for reading only");
	int r = flush_columns(kv, 0, e);
	if (r == 0)
		seal_stable(&kv->seal, logged);
	return r;
}

int kv_flush_content(struct kv *kv, struct error *e)
{
	int r = check_writable(kv, "flush", e);

	return r < 0 ? r : flush_columns(kv, kv_column_of(FAMILY_CHUNK), e);
}

/* ---- inspection ---- */

int kv_checkpoint(struct kv *kv, const char *path, struct error *e)
{
	char *message = NULL;
	rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(kv->db, &message);

	if (!message)
		rocksdb_checkpoint_create(checkpoint, path, 0, &message);
	if (checkpoint)
		rocksdb_checkpoint_object_destroy(checkpoint);
	return message ? kv_error(kv, message, e) : 0;
}
