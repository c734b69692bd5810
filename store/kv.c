/* kv.c - see kv.h: the store's keys in RocksDB.
 *
 * Two column families: "default" for everything small, "chunk" for content (already compressed, large blocks).
 * The options are those that DESIGN.md's measurements found; each that is not obvious says why. */
#include "kv.h"

#include <errno.h>
#include <fcntl.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "coalesce.h"
#include "kv_batch.h"
#include "kv_words.h"
#include "space.h"
#include "wal.h"

#define MIB ((size_t)1 << 20)
#define COLUMNS 2
#define KEY_SMALL 320
#define STALL_MS_MAX 7000
#define OPEN_BYTES_MIN (2 * MIB)

static const char *const column_names[COLUMNS] = { "default", "chunk" };

static const char family_letters[] = {
#define X(name, letter, key, value, what) letter,
	KEY_FAMILIES(X)
#undef X
};

struct kv {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *columns[COLUMNS];
	rocksdb_options_t *options[COLUMNS];
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
	rocksdb_cache_t *cache;
	char *path;
	int directory; /* to ask for free space */
	bool read_only;
	struct coalesce sync;
	struct space space;
	uint64_t boot;                    /* for the marks in the log */
	atomic_uint_least64_t stable;     /* sequence number up to which all is on stable storage */
	struct buf note;
	atomic_uint_least64_t stalled_ms; /* when a write first failed for want of space, 0: writes go well */
};

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

/* Turns what RocksDB said into a code and a sentence, and frees it. */
static int kv_error(const struct kv *kv, char *message, struct error *e)
{
	int code = kv_words(kv->path, message, e);

	rocksdb_free(message);
	return code;
}

/* ---- options ---- */

static void set_table_options(const struct kv *kv, rocksdb_options_t *options, size_t block_bytes)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(table, kv->cache);
	rocksdb_block_based_options_set_block_size(table, block_bytes);
	rocksdb_block_based_options_set_checksum(table, 4); /* XXH3: Debian's CRC32C is in software */
	rocksdb_block_based_options_set_format_version(table, 5);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
	/* Partitioned, cached in parts: whole filters in a small cache took 27 ms for 100 gets, parts 0.8 ms. */
	rocksdb_block_based_options_set_index_type(
		table, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
}

static void set_database_options(rocksdb_options_t *options, size_t memtable_bytes)
{
	rocksdb_options_set_create_missing_column_families(options, 1);
	rocksdb_options_set_db_write_buffer_size(options, memtable_bytes);
	rocksdb_options_set_max_total_wal_size(options, 64 * MIB); /* bounds replay after a crash */
	rocksdb_options_set_bytes_per_sync(options, MIB);
	rocksdb_options_set_wal_bytes_per_sync(options, MIB);
	rocksdb_options_set_max_open_files(options, 1000);
	rocksdb_options_set_max_background_jobs(options, 3);
	rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
	/* Replays up to a torn end; wal_inspect() has made sure that it is one. */
	rocksdb_options_set_wal_recovery_mode(options, rocksdb_point_in_time_recovery);
	rocksdb_options_set_stats_dump_period_sec(options, 0);
	/* Fatal only: on a full disk Debian's RocksDB aborts at the second line it cannot write to its LOG. */
	rocksdb_options_set_info_log_level(options, 4);
	rocksdb_options_set_max_log_file_size(options, MIB);
	rocksdb_options_set_keep_log_file_num(options, 3);
}

/* Options of the database and the column, in one object as the C API has it.  NULL: RocksDB refused our string. */
static rocksdb_options_t *column_options(const struct kv *kv, size_t column, size_t memtable_bytes, char **message)
{
	rocksdb_options_t *base = rocksdb_options_create(), *options = rocksdb_options_create();
	bool chunks = column == 1;

	set_database_options(base, memtable_bytes);
	set_table_options(kv, base, chunks ? 64 * 1024 : 8 * 1024);
	rocksdb_options_set_compression(base, chunks ? rocksdb_no_compression : rocksdb_lz4_compression);
	if (!chunks)
		rocksdb_options_set_bottommost_compression(base, rocksdb_zstd_compression);
	rocksdb_options_set_write_buffer_size(base, memtable_bytes / (chunks ? 2 : 4));
	rocksdb_options_set_target_file_size_base(base, chunks ? 64 * MIB : 16 * MIB);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(base, 1);
	/* Not in the C API otherwise.  The default of 1 MiB stops group commit near 128 KiB. */
	rocksdb_get_options_from_string(base,
					"max_write_batch_group_size_bytes=8388608;stats_persist_period_sec=0;"
					"bgerror_resume_retry_interval=200000", options, message);
	rocksdb_options_destroy(base);
	if (!*message)
		return options;
	rocksdb_options_destroy(options);
	return NULL;
}

/* ---- open and close ---- */

static void kv_free(struct kv *kv)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (kv->columns[i])
			rocksdb_column_family_handle_destroy(kv->columns[i]);
	}
	if (kv->db)
		rocksdb_close(kv->db);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (kv->options[i])
			rocksdb_options_destroy(kv->options[i]);
	}
	rocksdb_cache_destroy(kv->cache);
	rocksdb_readoptions_destroy(kv->read);
	rocksdb_writeoptions_destroy(kv->write);
	coalesce_release(&kv->sync);
	buf_release(&kv->note);
	if (kv->directory >= 0)
		close(kv->directory);
	free(kv->path);
	free(kv);
}

static struct kv *kv_alloc(const char *path, const struct kv_options *options)
{
	struct kv *kv = calloc(1, sizeof(*kv));

	if (!kv)
		return NULL;
	coalesce_init(&kv->sync, LOCK_KV_SYNC);
	kv->directory = -1;
	kv->read_only = options->read_only;
	kv->path = strdup(path);
	kv->cache = rocksdb_cache_create_lru(options->cache_bytes / 2);
	kv->read = rocksdb_readoptions_create();
	kv->write = rocksdb_writeoptions_create();
	if (kv->path)
		return kv;
	kv_free(kv);
	return NULL;
}

/* CURRENT names the manifest, hence the database.  Without it there is none; or a damaged one, that RocksDB would
 * replace by an empty one. */
static int check_presence(const char *path, bool create, struct error *e)
{
	CLEANUP(buf_release) struct buf current = { 0 }, identity = { 0 };

	buf_printf(&current, "%s/CURRENT", path);
	buf_printf(&identity, "%s/IDENTITY", path);
	if (access(buf_cstr(&current), F_OK) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return error_system(e, "%s", buf_cstr(&current));
	if (access(buf_cstr(&identity), F_OK) == 0)
		return error_set(e, -E_CORRUPT, "%s is missing: restore that file from a backup", buf_cstr(&current));
	return create ? 0 : error_set(e, -E_NOT_STORE, "%s: no database is here", path);
}

static rocksdb_t *open_database(struct kv *kv, bool create, char **message)
{
	const rocksdb_options_t *options[COLUMNS] = { kv->options[0], kv->options[1] };

	if (kv->read_only)
		return rocksdb_open_for_read_only_column_families(options[0], kv->path, COLUMNS, column_names, options,
								  kv->columns, 0, message);
	rocksdb_options_set_create_if_missing(kv->options[0], create);
	return rocksdb_open_column_families(options[0], kv->path, COLUMNS, column_names, options, kv->columns,
					    message);
}

/* RocksDB writes several files when it opens, and aborts when it cannot write the second line of its LOG. */
static int check_room(struct kv *kv, struct error *e)
{
	if (kv->read_only || space_free_at_all(kv->directory) >= OPEN_BYTES_MIN)
		return 0;
	return error_set(e, -E_NO_SPACE, "the disk that holds %s is full: free %zu MiB to open the store, or open it "
			 "for reading only", kv->path, OPEN_BYTES_MIN / MIB);
}

static int open_kv(struct kv *kv, const struct kv_options *options, struct error *e)
{
	char *message = NULL;
	int r;

	if (options->create && !options->read_only && mkdir(kv->path, 0700) < 0 && errno != EEXIST)
		return error_system(e, "%s", kv->path);
	kv->directory = open(kv->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (kv->directory < 0)
		return error_system(e, "%s", kv->path);
	kv->boot = wal_boot();
	r = check_room(kv, e);
	if (r == 0 && !kv->read_only)
		r = wal_inspect(kv->path, kv->boot, &kv->note, e);
	for (size_t i = 0; i < COLUMNS && r == 0 && !message; i++)
		kv->options[i] = column_options(kv, i, options->cache_bytes / 2, &message);
	if (r == 0 && !message)
		kv->db = open_database(kv, options->create, &message);
	buf_cstr(&kv->note);
	return message ? kv_error(kv, message, e) : r;
}

int kv_open(const char *path, const struct kv_options *options, struct kv **ret_kv, struct error *e)
{
	struct kv_options with = *options;
	int r = check_presence(path, options->create && !options->read_only, e);

	if (r < 0)
		return r;
	with.cache_bytes = options->cache_bytes ? options->cache_bytes : 128 * MIB;
	struct kv *kv = kv_alloc(path, &with);
	if (!kv)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	r = open_kv(kv, &with, e);
	if (r < 0)
		kv_free(kv);
	else
		*ret_kv = kv;
	return r;
}

const char *kv_opening_note(const struct kv *kv)
{
	return kv->note.len ? (const char *)kv->note.data : "";
}

void kv_close(struct kv *kv)
{
	if (!kv)
		return;
	if (!kv->read_only)
		kv_flush(kv, NULL); /* should it fail, the write-ahead log has everything */
	kv_free(kv);
}

/* ---- reading ---- */

static size_t column_of(enum family family)
{
	return family == FAMILY_CHUNK;
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

static const char *full_key_set(struct full_key *k, enum family family, struct view key)
{
	uint8_t *to = k->small;

	k->len = key.len + 1;
	if (k->len > KEY_SMALL)
		to = k->large = malloc(k->len);
	if (!to)
		abort(); /* as RocksDB itself does when memory ends */
	to[0] = (uint8_t)family_letters[family];
	if (key.len)
		memcpy(to + 1, key.data, key.len);
	return (const char *)to;
}

static int take_slice(rocksdb_pinnableslice_t *slice, struct buf *value, struct error *e)
{
	size_t n = 0;
	const char *data = rocksdb_pinnableslice_value(slice, &n);

	buf_append(value, data, n);
	return buf_check(value, e);
}

int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, struct view key,
	   struct buf *value, struct error *e)
{
	CLEANUP(full_key_release) struct full_key k;
	char *message = NULL;
	const char *at;

	k.large = NULL;
	at = full_key_set(&k, family, key);
	buf_clear(value);
	int r = injected_failure("read", e);
	if (r < 0)
		return r;
	rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(kv->db, snapshot ? snapshot->read : kv->read,
							       kv->columns[column_of(family)], at, k.len, &message);
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

static int many_init(struct many *m, enum family family, size_t n, const struct view *keys, struct error *e)
{
	m->n = n;
	m->keys = calloc(n, sizeof(*m->keys));
	m->at = calloc(n, sizeof(*m->at));
	m->len = calloc(n, sizeof(*m->len));
	m->slices = calloc(n, sizeof(*m->slices));
	m->messages = calloc(n, sizeof(*m->messages));
	if (!m->keys || !m->at || !m->len || !m->slices || !m->messages)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++) {
		m->at[i] = full_key_set(&m->keys[i], family, keys[i]);
		m->len[i] = m->keys[i].len;
	}
	return 0;
}

static int many_take(struct kv *kv, struct many *m, struct buf *values, bool *found, struct error *e)
{
	for (size_t i = 0; i < m->n; i++) {
		char *message = m->messages[i];

		m->messages[i] = NULL;
		if (message)
			return kv_error(kv, message, e);
		buf_clear(&values[i]);
		found[i] = m->slices[i] != NULL;
		int r = found[i] ? take_slice(m->slices[i], &values[i], e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int kv_get_many(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, size_t n,
		const struct view *keys, struct buf *values, bool *found, struct error *e)
{
	CLEANUP(many_release) struct many m = { 0 };
	int r = injected_failure("read", e);

	if (r < 0 || n == 0)
		return r;
	r = many_init(&m, family, n, keys, e);
	if (r < 0)
		return r;
	rocksdb_batched_multi_get_cf(kv->db, snapshot ? snapshot->read : kv->read, kv->columns[column_of(family)], n,
				     m.at, m.len, m.slices, m.messages, false);
	return many_take(kv, &m, values, found, e);
}

struct kv_snapshot *kv_snapshot_take(struct kv *kv)
{
	struct kv_snapshot *snapshot = malloc(sizeof(*snapshot));

	if (!snapshot)
		abort();
	snapshot->at = rocksdb_create_snapshot(kv->db);
	snapshot->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(snapshot->read, snapshot->at);
	return snapshot;
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

/* The first key after all that begin with lower: its last byte below 0xff plus one, and what follows cut off.
 * There always is one, for the family's letter is never 0xff. */
static void upper_bound(struct buf *upper, const struct buf *lower)
{
	buf_append(upper, lower->data, lower->len);
	while (upper->data[upper->len - 1] == 0xff)
		upper->len--;
	upper->data[upper->len - 1]++;
}

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_snapshot *snapshot, enum family family,
			     struct view prefix, bool reverse)
{
	struct kv_iter *it = calloc(1, sizeof(*it));

	if (!it)
		abort();
	it->kv = kv;
	it->reverse = reverse;
	it->read = rocksdb_readoptions_create();
	if (snapshot)
		rocksdb_readoptions_set_snapshot(it->read, snapshot->at);
	buf_u8(&it->lower, (uint8_t)family_letters[family]);
	buf_append(&it->lower, prefix.data, prefix.len);
	if (it->lower.failed)
		abort();
	upper_bound(&it->upper, &it->lower);
	rocksdb_readoptions_set_iterate_lower_bound(it->read, (char *)it->lower.data, it->lower.len);
	rocksdb_readoptions_set_iterate_upper_bound(it->read, (char *)it->upper.data, it->upper.len);
	it->at = rocksdb_create_iterator_cf(kv->db, it->read, kv->columns[column_of(family)]);
	return it;
}

void kv_iter_seek(struct kv_iter *it, struct view key)
{
	buf_clear(&it->seek);
	buf_u8(&it->seek, it->lower.data[0]);
	buf_append(&it->seek, key.data, key.len);
	it->sought = true;
}

static int order_of(const struct buf *a, const struct buf *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->data, b->data, n);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Goes to the first key of the walk, or to where kv_iter_seek() said, without handing RocksDB a key out of
 * bounds.  False: nothing can be there. */
static bool iter_start(struct kv_iter *it)
{
	bool sought = it->sought;

	it->started = true;
	it->sought = false;
	if (sought && order_of(&it->seek, &it->lower) < 0) {
		if (it->reverse)
			return false;
		sought = false;
	} else if (sought && order_of(&it->seek, &it->upper) >= 0) {
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
	buf_release(&it->lower);
	buf_release(&it->upper);
	buf_release(&it->seek);
	free(it);
}

/* ---- room on the disk ---- */

static uint64_t memtable_bytes(struct kv *kv)
{
	uint64_t sum = 0, bytes = 0;

	for (size_t i = 0; i < COLUMNS; i++) {
		if (rocksdb_property_int_cf(kv->db, kv->columns[i], "rocksdb.cur-size-all-mem-tables", &bytes) == 0)
			sum += bytes;
	}
	return sum;
}

/* What is in the memtables has yet to be written out.  Content is refused sooner than the small records, so that
 * names can still be removed and what was saved be recorded. */
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

static rocksdb_writebatch_t *batch_for_rocksdb(const struct kv *kv, const struct kv_batch *batch)
{
	rocksdb_writebatch_t *writes = rocksdb_writebatch_create();
	struct reader rest = reader_of(buf_view(&batch->operations));
	uint8_t mark[WAL_MARK_LEN];
	struct kv_operation op;

	wal_mark(mark, kv->boot, atomic_load(&kv->stable));
	rocksdb_writebatch_put_log_data(writes, (const char *)mark, sizeof(mark));
	while (kv_operation_next(&rest, &op)) {
		rocksdb_column_family_handle_t *column = kv->columns[column_of(op.family)];
		const char letter = family_letters[op.family];
		const char *key[2] = { &letter, op.key.data }, *value[1] = { op.value.data };
		size_t key_len[2] = { 1, op.key.len }, value_len[1] = { op.value.len };

		if (op.put)
			rocksdb_writebatch_putv_cf(writes, column, 2, key, key_len, 1, value, value_len);
		else
			rocksdb_writebatch_deletev_cf(writes, column, 2, key, key_len);
	}
	return writes;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static int write_once(struct kv *kv, rocksdb_writebatch_t *writes, struct error *e)
{
	char *message = NULL;
	uint64_t fine = 0;

	rocksdb_write(kv->db, kv->write, writes, &message);
	if (!message) {
		atomic_store(&kv->stalled_ms, 0);
		return 0;
	}
	atomic_compare_exchange_strong(&kv->stalled_ms, &fine, now_ms());
	return kv_error(kv, message, e);
}

/* Once it met a full disk, RocksDB refuses all writes until it finds, looking every 5 s, that there is room again, and
 * has written its memtables out.  When we see room before it does, we wait for it, but not for ever. */
static bool may_recover_soon(const struct kv *kv)
{
	struct timespec pause = { .tv_nsec = 50000000 };

	if (now_ms() - atomic_load(&kv->stalled_ms) > STALL_MS_MAX)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

int kv_write(struct kv *kv, struct kv_batch *batch, struct error *e)
{
	int r = check_writable(kv, "write", e);

	if (r < 0 || batch->count == 0)
		return r;
	r = buf_check(&batch->operations, e);
	if (r == 0)
		r = check_space(kv, batch, e);
	if (r < 0)
		return r;
	rocksdb_writebatch_t *writes = batch_for_rocksdb(kv, batch);
	do {
		r = write_once(kv, writes, e);
	} while (r == -E_NO_SPACE && check_space(kv, batch, e) == 0 && may_recover_soon(kv));
	rocksdb_writebatch_destroy(writes);
	return r;
}

/* After a write to its log failed, RocksDB 7.8 asserts that nobody syncs that log: so an empty batch goes first. */
static int check_recovered(struct kv *kv, struct error *e)
{
	if (atomic_load(&kv->stalled_ms) == 0)
		return 0;
	rocksdb_writebatch_t *nothing = rocksdb_writebatch_create();
	int r = write_once(kv, nothing, e);
	rocksdb_writebatch_destroy(nothing);
	return r;
}

static int sync_now(void *arg, struct error *e)
{
	struct kv *kv = arg;
	char *message = NULL;
	int r = check_recovered(kv, e);
	uint64_t written = rocksdb_get_latest_sequence_number(kv->db);

	if (r < 0)
		return r;
	rocksdb_flush_wal(kv->db, 1, &message);
	if (message)
		return kv_error(kv, message, e);
	atomic_store(&kv->stable, written);
	return 0;
}

int kv_sync(struct kv *kv, struct error *e)
{
	int r = check_writable(kv, "sync", e);

	return r < 0 ? r : coalesce_run(&kv->sync, sync_now, kv, e);
}

int kv_flush(struct kv *kv, struct error *e)
{
	rocksdb_flushoptions_t *options;
	char *message = NULL;

	if (kv->read_only)
		return error_set(e, -EROFS, "the store is open for reading only");
	options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	/* Content first: nothing refers to a chunk that is not there. */
	for (size_t i = COLUMNS; i-- > 0 && !message;)
		rocksdb_flush_cf(kv->db, options, kv->columns[i], &message);
	rocksdb_flushoptions_destroy(options);
	return message ? kv_error(kv, message, e) : 0;
}

/* ---- inspection ---- */

uint64_t kv_approximate_bytes(struct kv *kv, enum family family)
{
	char first[1] = { family_letters[family] }, after[1] = { (char)(family_letters[family] + 1) };
	const char *starts[1] = { first }, *limits[1] = { after };
	size_t lens[1] = { 1 };
	uint64_t bytes = 0;
	char *message = NULL;

	rocksdb_approximate_sizes_cf(kv->db, kv->columns[column_of(family)], 1, starts, lens, limits, lens, &bytes,
				     &message);
	if (message)
		rocksdb_free(message);
	return bytes;
}

static int check_column(struct kv *kv, rocksdb_column_family_handle_t *column, struct error *e)
{
	rocksdb_readoptions_t *read = rocksdb_readoptions_create();
	char *message = NULL;

	rocksdb_readoptions_set_verify_checksums(read, 1);
	rocksdb_readoptions_set_fill_cache(read, 0);
	rocksdb_readoptions_set_readahead_size(read, 2 * MIB);
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(kv->db, read, column);
	for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it))
		;
	rocksdb_iter_get_error(it, &message);
	rocksdb_iter_destroy(it);
	rocksdb_readoptions_destroy(read);
	return message ? kv_error(kv, message, e) : 0;
}

int kv_check(struct kv *kv, struct error *e)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		int r = check_column(kv, kv->columns[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}
