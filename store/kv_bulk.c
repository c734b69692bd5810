/* kv_bulk.c - see kv.h: content that comes in as a table of its own. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "directory.h"
#include "kv_rocksdb.h"

#define MIB ((size_t)1 << 20)
#define BULK_NAME "INCOMING-" /* RocksDB leaves alone what it cannot have named */

struct kv_bulk {
	struct kv *kv;
	rocksdb_envoptions_t *env;
	rocksdb_sstfilewriter_t *writer; /* NULL: nothing was put */
	char *path;
	size_t unasked; /* bytes since the disk was asked for room */
};

int kv_bulk_begin(struct kv *kv, struct kv_bulk **ret, struct error *e)
{
	static atomic_ullong next;
	int r = kv_check_writable(kv, "write", e);

	if (r < 0)
		return r;
	struct kv_bulk *bulk = calloc(1, sizeof(*bulk));
	if (!bulk || asprintf(&bulk->path, "%s/" BULK_NAME "%llu", kv->path,
			      atomic_fetch_add(&next, 1)) < 0) {
		free(bulk);
		return error_set(e, -E_NO_MEMORY, "out of memory");
	}
	bulk->kv = kv;
	bulk->unasked = MIB;
	*ret = bulk;
	return 0;
}

void kv_bulk_free(struct kv_bulk *bulk)
{
	if (!bulk)
		return;
	if (bulk->writer) {
		rocksdb_sstfilewriter_destroy(bulk->writer);
		rocksdb_envoptions_destroy(bulk->env);
		unlink(bulk->path); /* moved into the database, it is not there */
	}
	free(bulk->path);
	free(bulk);
}

static int said(const struct kv_bulk *bulk, char *message, struct error *e)
{
	return message ? kv_error(bulk->kv, message, e) : 0;
}

static int bulk_open(struct kv_bulk *bulk, struct error *e)
{
	char *message = NULL;

	if (bulk->writer)
		return 0;
	bulk->env = rocksdb_envoptions_create();
	bulk->writer = rocksdb_sstfilewriter_create(
		bulk->env, bulk->kv->options[kv_column_of(FAMILY_CHUNK)]);
	rocksdb_sstfilewriter_open(bulk->writer, bulk->path, &message);
	return said(bulk, message, e);
}

int kv_bulk_put(struct kv_bulk *bulk, struct view key, struct view value, struct error *e)
{
	uint8_t full[1 + KV_BULK_KEY_MAX] = { (uint8_t)kv_family_letters[FAMILY_CHUNK] };
	char *message = NULL;
	int r = 0;

	assert(key.len <= KV_BULK_KEY_MAX);
	memcpy(full + 1, key.data, key.len);
	bulk->unasked += value.len;
	if (bulk->unasked >= MIB) {
		r = kv_check_space(bulk->kv, bulk->unasked, true, e);
		bulk->unasked = 0;
	}
	if (r == 0)
		r = bulk_open(bulk, e);
	if (r < 0)
		return r;
	rocksdb_sstfilewriter_put(bulk->writer, (char *)full, 1 + key.len, value.data, value.len,
				  &message);
	return said(bulk, message, e);
}

/* No key of it is in the database, so it goes to the lowest level and is never merged with
 * anything. */
static int ingest(struct kv_bulk *bulk, struct error *e)
{
	rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
	struct kv *kv = bulk->kv;
	const char *paths[1] = { bulk->path };
	char *message = NULL;

	rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
	/* Snapshots may show it: nothing that they show refers to it. */
	rocksdb_ingestexternalfileoptions_set_snapshot_consistency(options, 0);
	rocksdb_ingest_external_file_cf(kv->db, kv->columns[kv_column_of(FAMILY_CHUNK)], paths, 1,
					options, &message);
	rocksdb_ingestexternalfileoptions_destroy(options);
	int r = said(bulk, message, e);
	if (r < 0)
		kv_note_failure(kv, r);
	return r;
}

int kv_bulk_end(struct kv_bulk *bulk, struct error *e)
{
	char *message = NULL;
	int r = kv_check_writable(bulk->kv, "flush", e);

	if (r < 0 || !bulk->writer)
		return r;
	rocksdb_sstfilewriter_finish(bulk->writer, &message); /* and syncs it */
	r = said(bulk, message, e);
	if (r == 0)
		r = kv_check_recovered(bulk->kv, e);
	return r < 0 ? r : ingest(bulk, e);
}

static int remove_bulk(void *arg, const char *name, struct error *e)
{
	const int *directory = arg;

	if (strncmp(name, BULK_NAME, strlen(BULK_NAME)) != 0 || unlinkat(*directory, name, 0) == 0)
		return 0;
	return error_system(e, "db/%s", name);
}

int kv_bulk_clean(int directory_fd, struct error *e)
{
	return directory_each(directory_fd, ".", "db", remove_bulk, &directory_fd, e);
}
