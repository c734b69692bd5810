/* kv_salvage.c - see kv_salvage.h.
 *
 * The whole tables and the logs go through RocksDB's own repair, which puts them all at the first
 * level of a new manifest. Its result is only good for walking: walks merge by sequence number,
 * single reads would trust the order of the files. It knows of a column family only what a table
 * tells, so that each gets one from a database that is made for it; and it moves tables that it
 * cannot read to the end to lost/.  Each of these is then read alone, under a manifest written
 * here, beginning again behind each bad place. */
#include "kv_salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "kv_words.h"
#include "wal.h"

#define COLUMNS 2
#define STEP_LEN 32 /* bytes of a key that count where it is gone on behind a bad place */
#define SEQUENCE_HIGH ((uint64_t)1 << 55)
#define TABLES_MAX_OPEN 1000

static const char *const column_names[COLUMNS] = { "default", "chunk" };

struct salvage {
	const char *path, *scratch;
	const struct kv_salvage *to;
	struct buf tables; /* scratch/tables: all that is there, linked */
	uint64_t sequence;
};

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool ends_with(const char *name, const char *ending)
{
	size_t n = strlen(name), m = strlen(ending);

	return n > m && strcmp(name + n - m, ending) == 0 && strspn(name, "0123456789") == n - m;
}

static int copy_bytes(const char *from, const char *to, struct error *e)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;
	ssize_t n = 0;

	while (in >= 0 && out >= 0 &&
	       (n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0)) > 0)
		;
	if (in < 0 || out < 0 || n < 0)
		r = error_system(e, "%s", from);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

/* Links a file; a file system without links gets a copy. */
static int link_file(const char *from, const char *to, struct error *e)
{
	if (link(from, to) == 0)
		return 0;
	return errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP
		       ? copy_bytes(from, to, e)
		       : error_system(e, "%s", from);
}

static int link_all(struct salvage *s, uint64_t *ret_last, struct error *e)
{
	DIR *directory = opendir(s->path);
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return error_system(e, "%s", s->path);
	while (r == 0 && (entry = readdir(directory))) {
		CLEANUP(buf_release) struct buf from = { 0 }, to = { 0 };
		uint64_t number = strtoull(entry->d_name, NULL, 10);

		if (!ends_with(entry->d_name, ".sst") && !ends_with(entry->d_name, ".log") &&
		    strncmp(entry->d_name, "MANIFEST-", 9) != 0 &&
		    strcmp(entry->d_name, "CURRENT") != 0)
			continue;
		buf_printf(&from, "%s/%s", s->path, entry->d_name);
		buf_printf(&to, "%s/%s", buf_cstr(&s->tables), entry->d_name);
		*ret_last = number > *ret_last ? number : *ret_last;
		r = link_file(buf_cstr(&from), buf_cstr(&to), e);
	}
	closedir(directory);
	return r;
}

/* ---- databases ---- */

struct database {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_column_family_handle_t *columns[COLUMNS];
	size_t count;
};

static rocksdb_options_t *plain_options(void)
{
	rocksdb_options_t *options = rocksdb_options_create();

	rocksdb_options_set_paranoid_checks(options, 0);
	rocksdb_options_set_max_open_files(options, TABLES_MAX_OPEN);
	rocksdb_options_set_disable_auto_compactions(options, 1);
	rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
	rocksdb_options_set_info_log_level(options, 4);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_wal_recovery_mode(options, rocksdb_skip_any_corrupted_records_recovery);
	return options;
}

static void database_close(struct database *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->columns[i])
			rocksdb_column_family_handle_destroy(d->columns[i]);
	}
	if (d->db)
		rocksdb_close(d->db);
	if (d->options)
		rocksdb_options_destroy(d->options);
}

static int database_open(struct database *d, const char *path, size_t columns, bool make,
			 struct error *e)
{
	const rocksdb_options_t *options[COLUMNS];
	char *message = NULL;

	d->options = plain_options();
	for (size_t i = 0; i < COLUMNS; i++)
		options[i] = d->options;
	rocksdb_options_set_create_if_missing(d->options, make);
	rocksdb_options_set_create_missing_column_families(d->options, make);
	if (make)
		d->db = rocksdb_open_column_families(d->options, path, (int)columns, column_names,
						     options, d->columns, &message);
	else
		d->db = rocksdb_open_for_read_only_column_families(d->options, path, (int)columns,
								   column_names, options,
								   d->columns, 0, &message);
	if (!message) {
		d->count = columns;
		return 0;
	}
	int r = kv_words(path, message, e);
	rocksdb_free(message);
	return r;
}

/* ---- records ---- */

static bool family_of(char letter, enum family *ret)
{
	static const char letters[] = {
#define X(name, letter, key, value, what) letter,
		KEY_FAMILIES(X)
#undef X
	};

	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		if (letters[i] == letter) {
			*ret = (enum family)i;
			return true;
		}
	}
	return false;
}

/* A walk over one column. */
struct walk {
	const struct database *database;
	size_t column;
	bool again;
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *at;
	struct buf last; /* key of the last record that was read */
};

static void walk_start(struct walk *w)
{
	if (w->at)
		rocksdb_iter_destroy(w->at);
	w->at = rocksdb_create_iterator_cf(w->database->db, w->options,
					   w->database->columns[w->column]);
}

static void walk_release(struct walk *w)
{
	if (w->at)
		rocksdb_iter_destroy(w->at);
	if (w->options)
		rocksdb_readoptions_destroy(w->options);
	buf_release(&w->last);
}

static bool walk_failed(const struct walk *w)
{
	char *message = NULL;

	rocksdb_iter_get_error(w->at, &message);
	if (message)
		rocksdb_free(message);
	return message != NULL;
}

/* Gives the records up to the first that cannot be read. */
static int give_run(const struct salvage *s, struct walk *w, struct error *e)
{
	int r = 0;

	for (; r >= 0 && rocksdb_iter_valid(w->at); rocksdb_iter_next(w->at)) {
		size_t key_len, len;
		const char *key = rocksdb_iter_key(w->at, &key_len);
		const char *value = rocksdb_iter_value(w->at, &len);
		enum family family;

		buf_clear(&w->last);
		buf_append(&w->last, key, key_len);
		if (key_len && family_of(key[0], &family))
			r = s->to->record(s->to->arg, family, view_of(key + 1, key_len - 1),
					  view_of(value, len), w->again, e);
	}
	return r < 0 ? r : buf_check(&w->last, e);
}

/* Adds 2^bit to a key taken as a number of STEP_LEN bytes; false: it would be no key any more. */
static bool step(uint8_t key[STEP_LEN], unsigned bit)
{
	unsigned carry = 1u << bit % 8;

	for (int i = (int)(STEP_LEN - 1 - bit / 8); carry && i >= 0; i--) {
		carry += key[i];
		key[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return !carry;
}

/* With a new iterator each time: one that failed may take the block that it failed at for
 * another. */
static bool can_seek(struct walk *w, const uint8_t key[STEP_LEN])
{
	walk_start(w);
	rocksdb_iter_seek(w->at, (const char *)key, STEP_LEN);
	return !walk_failed(w);
}

/* Moves on to the first record behind the bad place that follows the last one: ever further, until
 * something can be read again, then back by halves.  False: nothing follows. */
static bool pass_bad_place(struct walk *w)
{
	uint8_t from[STEP_LEN] = { 0 }, at[STEP_LEN];
	unsigned bit = 0;

	if (w->last.len)
		memcpy(from, w->last.data, w->last.len < STEP_LEN ? w->last.len : STEP_LEN);
	for (;; bit++) {
		memcpy(at, from, STEP_LEN);
		if (bit == STEP_LEN * 8 || !step(at, bit))
			return false;
		if (can_seek(w, at))
			break;
	}
	/* from + 2^bit can be read, from cannot: it is moved up as long as that stays so with ever
	 * smaller steps. */
	for (unsigned below = bit; below-- > 0;) {
		memcpy(at, from, STEP_LEN);
		if (step(at, below) && !can_seek(w, at))
			memcpy(from, at, STEP_LEN);
	}
	return step(from, 0) && can_seek(w, from) && rocksdb_iter_valid(w->at);
}

/* Gives all of a column that can be read; *ret_places is at how many places it cannot. */
static int give_column(const struct salvage *s, const struct database *d, size_t column, bool again,
		       uint64_t *ret_places, bool *ret_any, struct error *e)
{
	CLEANUP(walk_release) struct walk w = { .database = d, .column = column, .again = again,
						.options = rocksdb_readoptions_create() };
	bool more = true;
	int r = 0;

	rocksdb_readoptions_set_verify_checksums(w.options, 1);
	rocksdb_readoptions_set_fill_cache(w.options, 0);
	walk_start(&w);
	rocksdb_iter_seek_to_first(w.at);
	while (r == 0 && more) {
		r = give_run(s, &w, e);
		more = r == 0 && walk_failed(&w);
		*ret_places += more;
		more = more && pass_bad_place(&w);
	}
	*ret_any |= w.last.len > 0;
	return r;
}

/* ---- what is whole ---- */

/* Tells of the tables that the manifest names and that are not there; one that cannot be read tells
 * nothing. */
static void tell_missing(const struct salvage *s)
{
	CLEANUP(database_close) struct database d = { 0 };

	if (!s->to->list ||
	    database_open(&d, (const char *)s->tables.data, COLUMNS, false, NULL) < 0)
		return;
	const rocksdb_livefiles_t *files = rocksdb_livefiles(d.db);
	for (int i = 0; i < rocksdb_livefiles_count(files); i++) {
		CLEANUP(buf_release) struct buf path = { 0 }, text = { 0 };
		const char *name = rocksdb_livefiles_name(files, i);

		buf_printf(&path, "%s/%s", (const char *)s->tables.data, name + (name[0] == '/'));
		if (access(buf_cstr(&path), F_OK) == 0)
			continue;
		buf_printf(&text, "db/%s is missing", name + (name[0] == '/'));
		s->to->lost(s->to->arg, buf_cstr(&text));
	}
	rocksdb_livefiles_destroy(files);
}

/* Makes a table for each column, so that the repair knows all of them. */
static int seed_columns(struct salvage *s, uint64_t number, struct error *e)
{
	CLEANUP(buf_release) struct buf seed = { 0 };
	rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
	rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
	CLEANUP(database_close) struct database d = { 0 };
	char *message = NULL;

	buf_printf(&seed, "%s/seed", s->scratch);
	int r = database_open(&d, buf_cstr(&seed), COLUMNS, true, e);
	for (size_t i = 0; r == 0 && i < COLUMNS && !message; i++) {
		rocksdb_put_cf(d.db, write, d.columns[i], "\0", 1, "", 0, &message);
		if (!message)
			rocksdb_flush_cf(d.db, flush, d.columns[i], &message);
	}
	rocksdb_writeoptions_destroy(write);
	rocksdb_flushoptions_destroy(flush);
	if (message) {
		r = kv_words(buf_cstr(&seed), message, e);
		rocksdb_free(message);
	}
	DIR *directory = r < 0 ? NULL : opendir(buf_cstr(&seed));
	for (struct dirent *entry; r == 0 && directory && (entry = readdir(directory));) {
		CLEANUP(buf_release) struct buf from = { 0 }, to = { 0 };

		if (!ends_with(entry->d_name, ".sst"))
			continue;
		buf_printf(&from, "%s/%s", buf_cstr(&seed), entry->d_name);
		buf_printf(&to, "%s/%06llu.sst", buf_cstr(&s->tables),
			   (unsigned long long)++number);
		r = link_file(buf_cstr(&from), buf_cstr(&to), e);
	}
	if (directory)
		closedir(directory);
	return r;
}

static int repair_tables(struct salvage *s, struct error *e)
{
	rocksdb_options_t *options = plain_options();
	char *message = NULL;
	int r = 0;

	rocksdb_repair_db(options, buf_cstr(&s->tables), &message);
	rocksdb_options_destroy(options);
	if (message) {
		r = kv_words(s->path, message, e);
		rocksdb_free(message);
	}
	return r;
}

static int give_whole(struct salvage *s, struct error *e)
{
	CLEANUP(database_close) struct database d = { 0 };
	uint64_t places = 0;
	bool any = false;
	int r = database_open(&d, buf_cstr(&s->tables), COLUMNS, false, e);

	for (size_t i = 0; i < COLUMNS && r == 0; i++)
		r = give_column(s, &d, i, false, &places, &any, e);
	if (r < 0)
		return r;
	s->sequence = rocksdb_get_latest_sequence_number(d.db);
	return places ? error_set(e, -E_CORRUPT,
				  "%s: tables that could be read a moment ago cannot be now: is "
				  "the disk well?",
				  s->path)
		      : 0;
}

/* ---- what is damaged ---- */

/* One record of a manifest: a table at the second level that may hold every key. */
static void encode_edit(struct buf *edit, uint64_t number, uint64_t bytes)
{
	static const char trailer_low[8] = "\1\0\0\0\0\0\0\0",
			  trailer_high[8] = "\1\0\0\0\0\0\0\200";
	CLEANUP(buf_release) struct buf smallest = { 0 }, largest = { 0 };

	buf_append(&smallest, "\0", 1);
	buf_append(&smallest, trailer_high, 8);
	buf_append(&largest, "\377\377\377\377\377\377\377\377", 8);
	buf_append(&largest, trailer_low, 8);
	buf_varint(edit, 1); /* comparator */
	buf_string(edit, view_str("leveldb.BytewiseComparator"));
	buf_varint(edit, 2); /* log number */
	buf_varint(edit, number + 1);
	buf_varint(edit, 3); /* next file */
	buf_varint(edit, number + 2);
	buf_varint(edit, 4); /* last sequence */
	buf_varint(edit, SEQUENCE_HIGH);
	buf_varint(edit, 100); /* a table, with sequence numbers */
	buf_varint(edit, 1);
	buf_varint(edit, number);
	buf_varint(edit, bytes);
	buf_string(edit, buf_view(&smallest));
	buf_string(edit, buf_view(&largest));
	buf_varint(edit, 0);
	buf_varint(edit, SEQUENCE_HIGH);
}

static int write_file(const char *directory, const char *name, struct view bytes, struct error *e)
{
	CLEANUP(buf_release) struct buf path = { 0 };

	buf_printf(&path, "%s/%s", directory, name);
	int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 || write(fd, bytes.data, bytes.len) != (ssize_t)bytes.len
			? error_system(e, "%s", buf_cstr(&path))
			: 0;
	if (fd >= 0)
		close(fd);
	return r;
}

/* Makes directory `alone` a database of one table. */
static int make_alone(const char *alone, const char *table, const char *name, struct error *e)
{
	CLEANUP(buf_release) struct buf edit = { 0 }, manifest = { 0 }, to = { 0 };
	uint64_t number = strtoull(name, NULL, 10);
	struct stat st;
	int r;

	if (mkdir(alone, 0700) < 0 || stat(table, &st) < 0)
		return error_system(e, "%s", alone);
	encode_edit(&edit, number, (uint64_t)st.st_size);
	wal_record(&manifest, buf_view(&edit));
	buf_printf(&to, "%s/%s", alone, name);
	r = link_file(table, buf_cstr(&to), e);
	if (r == 0)
		r = write_file(alone, "MANIFEST-000001", buf_view(&manifest), e);
	return r < 0 ? r : write_file(alone, "CURRENT", view_str("MANIFEST-000001\n"), e);
}

static void tell_table(const struct salvage *s, const char *name, bool any, uint64_t places)
{
	char text[160];

	if (any)
		snprintf(text, sizeof(text),
			 "db/%.40s is damaged in %llu %s; what it holds beside that was read", name,
			 (unsigned long long)places, places == 1 ? "place" : "places");
	else
		snprintf(text, sizeof(text), "db/%.40s is damaged, and nothing of it could be read",
			 name);
	s->to->lost(s->to->arg, text);
}

static int give_alone(const struct salvage *s, const char *table, const char *name, struct error *e)
{
	CLEANUP(buf_release) struct buf alone = { 0 };
	CLEANUP(database_close) struct database d = { 0 };
	uint64_t places = 0;
	bool any = false;

	buf_printf(&alone, "%s/alone-%s", s->scratch, name);
	int r = make_alone(buf_cstr(&alone), table, name, e);
	if (r == 0 && database_open(&d, buf_cstr(&alone), 1, false, NULL) == 0)
		r = give_column(s, &d, 0, true, &places, &any, e);
	if (r == 0)
		tell_table(s, name, any, places);
	remove_tree(buf_cstr(&alone));
	return r;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	unsigned long long x = strtoull((*a)->d_name, NULL, 10),
			   y = strtoull((*b)->d_name, NULL, 10);

	return (x > y) - (x < y);
}

static int is_table(const struct dirent *entry)
{
	return ends_with(entry->d_name, ".sst");
}

static int give_damaged(const struct salvage *s, struct error *e)
{
	CLEANUP(buf_release) struct buf lost = { 0 };
	struct dirent **entries;
	int r = 0;

	buf_printf(&lost, "%s/tables/lost", s->scratch);
	int n = scandir(buf_cstr(&lost), &entries, is_table, by_number);
	for (int i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf table = { 0 };

		buf_printf(&table, "%s/%s", buf_cstr(&lost), entries[i]->d_name);
		if (r == 0)
			r = give_alone(s, buf_cstr(&table), entries[i]->d_name, e);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return r;
}

int kv_salvage(const char *path, const char *scratch, const struct kv_salvage *to,
	       uint64_t *ret_sequence, struct error *e)
{
	struct salvage s = { .path = path, .scratch = scratch, .to = to };
	uint64_t last = 0;
	int r = 0;

	buf_printf(&s.tables, "%s/tables", scratch);
	if (mkdir(scratch, 0700) < 0 || mkdir(buf_cstr(&s.tables), 0700) < 0)
		r = error_system(e, "%s", scratch);
	buf_cstr(&s.tables);
	if (r == 0)
		r = link_all(&s, &last, e);
	if (r == 0)
		tell_missing(&s);
	if (r == 0)
		r = seed_columns(&s, last, e);
	if (r == 0)
		r = repair_tables(&s, e);
	if (r == 0)
		r = give_whole(&s, e);
	if (r == 0)
		r = give_damaged(&s, e);
	remove_tree(scratch);
	buf_release(&s.tables);
	*ret_sequence = s.sequence;
	return r;
}
