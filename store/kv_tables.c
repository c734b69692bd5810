/* kv_tables.c - see kv.h: RocksDB's tables, as far as they show: how large, whether whole, and
 * written anew. */
#include <stdlib.h>

#include "kv_rocksdb.h"

#define MIB ((size_t)1 << 20)

uint64_t kv_approximate_bytes(struct kv *kv, enum family family)
{
	char first[1] = { kv_family_letters[family] },
	     after[1] = { (char)(kv_family_letters[family] + 1) };
	const char *starts[1] = { first }, *limits[1] = { after };
	size_t lens[1] = { 1 };
	uint64_t bytes = 0;
	char *message = NULL;

	rocksdb_approximate_sizes_cf(kv->db, kv->columns[kv_column_of(family)], 1, starts, lens,
				     limits, lens, &bytes, &message);
	if (message)
		rocksdb_free(message);
	return bytes;
}

#define CHECK_TOLD (1 * MIB)
#define CHECK_SLICE (256 * MIB)

struct table_check {
	struct kv *kv;
	rocksdb_readoptions_t *options;
	int (*read)(void *arg, uint64_t bytes, struct error *e);
	void *arg;
	struct buf at; /* the key that the next slice begins with */
};

/* Reads on from a key, up to a slice: 1 when there is more. */
static int check_slice(struct table_check *c, rocksdb_iterator_t *it, struct error *e)
{
	uint64_t told = 0, read = 0;
	char *message = NULL;
	int r = 0;

	rocksdb_iter_seek(it, (const char *)c->at.data, c->at.len);
	for (; r == 0 && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
		size_t key_len, len;
		const char *key = rocksdb_iter_key(it, &key_len);

		if (read >= CHECK_SLICE) {
			buf_clear(&c->at);
			buf_append(&c->at, key, key_len);
			r = buf_check(&c->at, e);
			return r < 0 ? r : 1;
		}
		rocksdb_iter_value(it, &len);
		read += key_len + len;
		if (c->read && read - told >= CHECK_TOLD) {
			r = c->read(c->arg, read - told, e);
			told = read;
		}
	}
	rocksdb_iter_get_error(it, &message);
	return message ? kv_error(c->kv, message, e) : r;
}

static int check_column(struct table_check *c, rocksdb_column_family_handle_t *column,
			struct error *e)
{
	int r = 1;

	buf_clear(&c->at);
	buf_u8(&c->at, 0);
	while (r > 0) {
		rocksdb_iterator_t *it = rocksdb_create_iterator_cf(c->kv->db, c->options, column);

		r = check_slice(c, it, e);
		rocksdb_iter_destroy(it);
	}
	return r;
}

int kv_check(struct kv *kv, int (*read)(void *arg, uint64_t bytes, struct error *e), void *arg,
	     struct error *e)
{
	struct table_check c = {
		.kv = kv, .options = rocksdb_readoptions_create(), .read = read, .arg = arg
	};
	int r = 0;

	rocksdb_readoptions_set_verify_checksums(c.options, 1);
	rocksdb_readoptions_set_fill_cache(c.options, 0);
	rocksdb_readoptions_set_readahead_size(c.options, 2 * MIB);
	for (size_t i = 0; r == 0 && i < COLUMNS; i++)
		r = check_column(&c, kv->columns[i], e);
	rocksdb_readoptions_destroy(c.options);
	buf_release(&c.at);
	return r;
}

/* ---- writing anew ---- */

struct span {
	struct buf first, last;
};

struct spans {
	struct span *at;
	size_t count;
};

static void spans_release(struct spans *s)
{
	for (size_t i = 0; i < s->count; i++) {
		buf_release(&s->at[i].first);
		buf_release(&s->at[i].last);
	}
	free(s->at);
}

/* Notes a table of chunks that is worth it; its keys begin with the family's letter. */
static int note_table(struct spans *s, const rocksdb_livefiles_t *files, int i,
		      kv_table_is_worth worth, void *arg, struct error *e)
{
	struct kv_table table = { .keys = 0 };
	const char *first = rocksdb_livefiles_smallestkey(files, i, &table.first.len),
		   *last = rocksdb_livefiles_largestkey(files, i, &table.last.len);
	uint64_t entries = rocksdb_livefiles_entries(files, i),
		 deletions = rocksdb_livefiles_deletions(files, i);

	if (table.first.len == 0 || table.last.len == 0)
		return 0;
	table.first = view_of(first + 1, table.first.len - 1);
	table.last = view_of(last + 1, table.last.len - 1);
	table.keys = entries - (deletions < entries ? deletions : entries);
	if (!worth(arg, &table))
		return 0;
	struct span *span = &s->at[s->count++];
	buf_append(&span->first, first, table.first.len + 1);
	buf_append(&span->last, last, table.last.len + 1);
	int r = buf_check(&span->first, e);
	return r < 0 ? r : buf_check(&span->last, e);
}

static int note_tables(struct kv *kv, struct spans *s, kv_table_is_worth worth, void *arg,
		       struct error *e)
{
	const rocksdb_livefiles_t *files = rocksdb_livefiles(kv->db);
	int count = rocksdb_livefiles_count(files), r = 0;

	s->at = calloc((size_t)count + 1, sizeof(*s->at));
	if (!s->at)
		r = error_set(e, -E_NO_MEMORY, "out of memory");
	for (int i = 0; r == 0 && i < count; i++) {
		const char *column = rocksdb_livefiles_column_family_name(files, i);

		if (strcmp(column, kv_column_names[kv_column_of(FAMILY_CHUNK)]) == 0)
			r = note_table(s, files, i, worth, arg, e);
	}
	rocksdb_livefiles_destroy(files);
	return r;
}

int kv_rewrite_chunks(struct kv *kv, kv_table_is_worth worth, bool (*go_on)(void *arg), void *arg,
		      struct error *e)
{
	CLEANUP(spans_release) struct spans spans = { 0 };
	int r = note_tables(kv, &spans, worth, arg, e);

	if (r < 0)
		return r;
	rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();
	/* Others go on beside it. */
	rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
	for (size_t i = 0; i < spans.count && go_on(arg); i++) {
		const struct span *span = &spans.at[i];

		rocksdb_compact_range_cf_opt(kv->db, kv->columns[kv_column_of(FAMILY_CHUNK)],
					     options, (const char *)span->first.data,
					     span->first.len, (const char *)span->last.data,
					     span->last.len);
	}
	rocksdb_compactoptions_destroy(options);
	return 0;
}
