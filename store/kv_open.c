/* kv_open.c - see kv.h: how RocksDB is set up, what is checked before it opens, and closing.
 *
 * The options are those that DESIGN.md's measurements found; each that is not obvious says why. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "current.h"
#include "kv_rocksdb.h"
#include "wal.h"

#define MIB ((size_t)1 << 20)
#define DELETIONS_WINDOW 8192 /* keys in a row, of which a quarter are deletions */
#define OPEN_BYTES_MIN (2 * MIB)
#define MANIFEST_BYTES_MAX ((off_t)(64 * MIB))
/* Bounds what a start after a crash replays: full logs take 0.5 to 0.8 s of CPU
 * (tests/bench/replay).  With 64 MiB 8 to 12 % fewer bytes were written in all, with 16 MiB a
 * quarter more. */
#define WAL_BYTES_MAX (32 * MIB)
#define LEVEL_BYTES (64 * MIB)

const char *const kv_column_names[COLUMNS] = { "default", "chunk" };

/* ---- options ---- */

static void set_table_options(const struct kv *kv, rocksdb_options_t *options, size_t block_bytes)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(table, kv->cache);
	rocksdb_block_based_options_set_block_size(table, block_bytes);
	/* XXH3: Debian's CRC32C is in software. */
	rocksdb_block_based_options_set_checksum(table, 4);
	rocksdb_block_based_options_set_format_version(table, 5);
	rocksdb_block_based_options_set_filter_policy(table,
						      rocksdb_filterpolicy_create_bloom_full(10));
	/* Partitioned, cached in parts: whole filters in a small cache took 27 ms for 100 gets,
	 * parts 0.8 ms. */
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
	rocksdb_options_set_max_total_wal_size(options, WAL_BYTES_MAX);
	rocksdb_options_set_bytes_per_sync(options, MIB);
	rocksdb_options_set_wal_bytes_per_sync(options, MIB);
	rocksdb_options_set_max_open_files(options, 1000);
	rocksdb_options_set_max_background_jobs(options, 3);
	/* Who reads a large content reads its chunks in order: the kernel is to read ahead. */
	rocksdb_options_set_advise_random_on_open(options, 0);
	rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
	/* Replays up to a torn end; wal_inspect() has made sure that it is one. */
	rocksdb_options_set_wal_recovery_mode(options, rocksdb_point_in_time_recovery);
	rocksdb_options_set_stats_dump_period_sec(options, 0);
	/* Fatal only: on a full disk Debian's RocksDB aborts at the second line it cannot write to
	 * its LOG. */
	rocksdb_options_set_info_log_level(options, 4);
	rocksdb_options_set_max_log_file_size(options, MIB);
	rocksdb_options_set_keep_log_file_num(options, 3);
}

/* Options of the database and the column, in one object as the C API has it.  NULL: RocksDB refused
 * our string. */
static rocksdb_options_t *column_options(const struct kv *kv, size_t column, size_t memtable_bytes,
					 char **message)
{
	rocksdb_options_t *base = rocksdb_options_create(), *options = rocksdb_options_create();
	bool chunks = column == 1;

	set_database_options(base, memtable_bytes);
	set_table_options(kv, base, chunks ? 64 * 1024 : 8 * 1024);
	/* Records of all levels: most stay where they were first written for long. */
	rocksdb_options_set_compression(base,
					chunks ? rocksdb_no_compression : rocksdb_zstd_compression);
	rocksdb_options_set_write_buffer_size(base, memtable_bytes / (chunks ? 2 : 4));
	rocksdb_options_set_target_file_size_base(base, chunks ? 64 * MIB : 16 * MIB);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(base, 1);
	/* Most records come in the order of their keys, so a level in between spares the last one
	 * from being written anew as a whole by each merge: a sixth less written (and computed) for
	 * a million changes than with 256 MiB. */
	if (!chunks)
		rocksdb_options_set_max_bytes_for_level_base(base, LEVEL_BYTES);
	/* Where temporary names lived and died, walks would step over each: such tables are
	 * compacted soon. */
	rocksdb_options_add_compact_on_deletion_collector_factory(base, DELETIONS_WINDOW,
								  DELETIONS_WINDOW / 4);
	/* Not in the C API otherwise.  The default of 1 MiB stops group commit near 128 KiB.  Many
	 * keys of a family come in order, and changes come one by one: with a hint for each family
	 * (its letter) an insertion begins where the one before it ended.  Names of chunks that are
	 * new, and what is in tables, are not searched in the memtable, which has a filter too. */
	rocksdb_get_options_from_string(
		base,
		"max_write_batch_group_size_bytes=8388608;stats_persist_period_sec=0;"
		"bgerror_resume_retry_interval=200000;"
		"allow_concurrent_memtable_write=false;"
		"memtable_whole_key_filtering=true;memtable_prefix_bloom_size_ratio=0.02;"
		"memtable_insert_with_hint_prefix_extractor=fixed:1",
		options, message);
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
	seal_close(&kv->seal, kv->flushed);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (kv->options[i])
			rocksdb_options_destroy(kv->options[i]);
	}
	rocksdb_cache_destroy(kv->cache);
	rocksdb_readoptions_destroy(kv->read);
	rocksdb_readoptions_destroy(kv->read_once);
	rocksdb_writeoptions_destroy(kv->write);
	rocksdb_writeoptions_destroy(kv->write_unlogged);
	coalesce_release(&kv->sync);
	lock_destroy(&kv->writing);
	buf_release(&kv->note);
	if (kv->directory >= 0)
		close(kv->directory);
	free(kv->path);
	free(kv);
}

/* A quarter; more than the logs may hold would never fill. */
static size_t memtable_bytes(const struct kv_options *options)
{
	return options->cache_bytes / 4 < WAL_BYTES_MAX ? options->cache_bytes / 4 : WAL_BYTES_MAX;
}

static struct kv *kv_alloc(const char *path, const struct kv_options *options)
{
	struct kv *kv = calloc(1, sizeof(*kv));

	if (!kv)
		return NULL;
	coalesce_init(&kv->sync, LOCK_KV_SYNC);
	lock_init(&kv->writing, LOCK_KV_WRITE);
	kv->directory = kv->seal.fd = -1;
	kv->read_only = options->read_only;
	kv->path = strdup(path);
	kv->cache = rocksdb_cache_create_lru(options->cache_bytes - memtable_bytes(options));
	kv->read = rocksdb_readoptions_create();
	kv->read_once = rocksdb_readoptions_create();
	rocksdb_readoptions_set_fill_cache(kv->read_once, 0);
	kv->write = rocksdb_writeoptions_create();
	kv->write_unlogged = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(kv->write_unlogged, 1);
	if (kv->path)
		return kv;
	kv_free(kv);
	return NULL;
}

/* CURRENT names the manifest, hence the database.  Without it there is none; or a damaged one, that
 * RocksDB would replace by an empty one. */
static int check_presence(const char *path, bool create, struct error *e)
{
	CLEANUP(buf_release) struct buf current = { 0 }, identity = { 0 };

	buf_printf(&current, "%s/CURRENT", path);
	buf_printf(&identity, "%s/IDENTITY", path);
	const char *whole = buf_cstr(&current), *other = buf_cstr(&identity);
	if (current.failed || identity.failed)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (access(whole, F_OK) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return error_system(e, "%s", whole);
	if (access(other, F_OK) == 0)
		return error_set(e, -E_CORRUPT, "%s is missing: restore that file from a backup",
				 whole);
	return create ? 0 : error_set(e, -E_NOT_STORE, "%s: no database is here", path);
}

static rocksdb_t *open_database(struct kv *kv, bool create, char **message)
{
	const rocksdb_options_t *options[COLUMNS] = { kv->options[0], kv->options[1] };

	if (kv->read_only)
		return rocksdb_open_for_read_only_column_families(options[0], kv->path, COLUMNS,
								  kv_column_names, options,
								  kv->columns, 0, message);
	rocksdb_options_set_create_if_missing(kv->options[0], create);
	return rocksdb_open_column_families(options[0], kv->path, COLUMNS, kv_column_names, options,
					    kv->columns, message);
}

/* RocksDB writes several files when it opens, and aborts when it cannot write the second line of
 * its LOG. */
static int check_room(struct kv *kv, struct error *e)
{
	bool room = kv->read_only || space_free_at_all(kv->directory) >= OPEN_BYTES_MIN;
	int r = room && !kv->read_only ? space_try(kv->directory, OPEN_BYTES_MIN, e) : 0;

	if (room && r != -E_NO_SPACE)
		return r;
	return error_set(
		e, -E_NO_SPACE,
		"the disk that holds %s is full: free %zu MiB to open the store, or open it "
		"for reading only",
		kv->path, OPEN_BYTES_MIN / MIB);
}

/* Opens the database to look at it, without changing anything; NULL and a message of RocksDB's. */
static rocksdb_t *look_open(struct kv *kv, rocksdb_column_family_handle_t *columns[COLUMNS],
			    char **message)
{
	const rocksdb_options_t *options[COLUMNS] = { kv->options[0], kv->options[1] };

	return rocksdb_open_for_read_only_column_families(options[0], kv->path, COLUMNS,
							  kv_column_names, options, columns, 0,
							  message);
}

static void look_close(rocksdb_t *db, rocksdb_column_family_handle_t *columns[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++)
		rocksdb_column_family_handle_destroy(columns[i]);
	rocksdb_close(db);
}

/* The sequence number that the database comes up to, and the oldest log that it needs.  For when
 * the logs do not show what the seal claims, or lack some numbers: what is missing has been written
 * to tables since, or is gone. */
static int peek(struct kv *kv, uint64_t *ret_sequence, uint64_t *ret_oldest_log, struct error *e)
{
	rocksdb_column_family_handle_t *columns[COLUMNS];
	char *message = NULL;
	rocksdb_t *db = look_open(kv, columns, &message);

	if (message)
		return kv_error(kv, message, e);
	*ret_sequence = rocksdb_get_latest_sequence_number(db);
	if (rocksdb_property_int(db, "rocksdb.min-log-number-to-keep", ret_oldest_log) != 0)
		*ret_oldest_log = 0;
	look_close(db, columns);
	return 0;
}

static bool lacks_files(struct kv *kv)
{
	rocksdb_column_family_handle_t *columns[COLUMNS];
	char *message = NULL;
	rocksdb_t *db = look_open(kv, columns, &message);
	bool lacks = message && strstr(message, "No such file");

	if (!message)
		look_close(db, columns);
	rocksdb_free(message);
	return lacks;
}

/* Goes back to the manifest before when a power cut took files that the one in CURRENT names, or
 * that one itself, or will have RocksDB say what is missing. */
static int settle_current(struct kv *kv, const struct seal_claim *claim, struct error *e)
{
	uint64_t former;
	int r = current_former(kv->directory, &former, e);

	if (r <= 0 || !claim->cut || former < claim->manifest || !lacks_files(kv))
		return r < 0 ? r : 0;
	buf_printf(&kv->note, "a power cut came while the store was being opened; nothing had been "
			      "saved yet, and its database is as it was before\n");
	return current_set(kv->directory, former, e);
}

/* Cuts the manifest at end when the database comes as far without the rest as it must; otherwise
 * the rest is put back. */
static int cut_manifest(struct kv *kv, int fd, struct view whole, uint64_t end, uint64_t must,
			struct error *e)
{
	struct view rest = view_of((const char *)whole.data + end, whole.len - end);
	uint64_t there = 0, oldest;

	if (ftruncate(fd, (off_t)end) < 0)
		return error_system(e, "db/MANIFEST");
	if (fdatasync(fd) == 0 && peek(kv, &there, &oldest, NULL) == 0 && there >= must) {
		buf_printf(&kv->note, "the manifest's last entry reached the disk in part before a "
				      "power cut, and nothing had been told of it: it is gone\n");
		return 0;
	}
	if (pwrite(fd, rest.data, rest.len, (off_t)end) != (ssize_t)rest.len || fdatasync(fd) < 0)
		return error_system(e, "db/MANIFEST");
	return 0; /* RocksDB will say it */
}

/* RocksDB refuses a manifest of which the last entry does not check, as a power cut may leave one
 * that was not synced.  Tables that the entry made obsolete are only removed when it was. */
static int settle_manifest(struct kv *kv, const struct seal_claim *claim, struct error *e)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };
	struct stat st = { 0 };
	uint64_t end;

	if (!claim->known || claim->closed || !claim->cut)
		return 0;
	int fd = current_open(kv->directory, NULL), r = 0;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > MANIFEST_BYTES_MAX)
		st.st_size = 0; /* RocksDB will say it */
	void *to = st.st_size ? buf_grow(&bytes, (size_t)st.st_size) : NULL;
	if (to && pread(fd, to, bytes.len, 0) == st.st_size &&
	    wal_is_torn(bytes.data, bytes.len, &end) && end > 0)
		r = cut_manifest(kv, fd, buf_view(&bytes), end, claim->sequence, e);
	if (fd >= 0)
		close(fd);
	return r == 0 ? buf_check(&bytes, e) : r;
}

/* Whether all is there that should be; RocksDB would not ask. */
static int check_whole(struct kv *kv, struct error *e)
{
	struct seal_claim claim;
	uint64_t there = 0, oldest = 0;
	/* First: a writer beside us goes on. */
	int r = seal_check(kv->directory, kv->seal.boot, &claim, e);

	if (r == 0)
		r = settle_current(kv, &claim, e);
	if (r == 0)
		r = settle_manifest(kv, &claim, e);
	if (r == 0)
		r = wal_inspect(kv->path, kv->seal.boot, 0, &kv->note, &there, e);
	if (r > 0) {
		if (peek(kv, &there, &oldest, NULL) < 0 || !oldest)
			oldest = 1;
		r = wal_inspect(kv->path, kv->seal.boot, oldest, &kv->note, &there, e);
	}
	if (r < 0 || !claim.known || claim.closed || there >= claim.sequence)
		return r;
	r = peek(kv, &there, &oldest, e);
	if (r < 0 || there >= claim.sequence)
		return r;
	return error_set(
		e, -E_CORRUPT,
		"db/ lacks its last %llu changes: a .log file of it is missing or was cut; "
		"nothing was touched; restore db/ from a backup",
		(unsigned long long)(claim.sequence - there));
}

/* Batches name a column by its number (kv_batch.h). */
static int check_columns(const struct kv *kv, struct error *e)
{
	for (uint32_t i = 0; i < COLUMNS; i++) {
		if (rocksdb_column_family_handle_get_id(kv->columns[i]) != i)
			return error_set(e, -E_CORRUPT, "%s: this database is not Daybook's",
					 kv->path);
	}
	return 0;
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
	kv->seal.boot = wal_boot();
	r = check_room(kv, e);
	for (size_t i = 0; i < COLUMNS && r == 0 && !message; i++)
		kv->options[i] = column_options(kv, i, memtable_bytes(options), &message);
	if (r == 0 && !message && !kv->read_only)
		r = check_whole(kv, e);
	if (r == 0 && !message && !kv->read_only)
		r = current_clean(kv->directory, e);
	if (r == 0 && !message)
		kv->db = open_database(kv, options->create, &message);
	if (message)
		return kv_error(kv, message, e);
	if (r == 0)
		r = check_columns(kv, e);
	if (r < 0 || kv->read_only)
		return r;
	buf_cstr(&kv->note);
	atomic_store(&kv->logged, rocksdb_get_latest_sequence_number(kv->db));
	return seal_start(&kv->seal, kv->directory, kv->seal.boot, atomic_load(&kv->logged), e);
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
	/* Should the flush fail, the write-ahead log has everything. */
	kv->flushed = !kv->read_only && kv_flush(kv, NULL) == 0;
	kv_free(kv);
}
