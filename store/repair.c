/* repair.c - see repair.h. */
#include "repair.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "changelog.h"
#include "chunk.h"
#include "clock.h"
#include "internal.h"
#include "manifest.h"
#include "timeline.h"

#define BATCH_BYTES ((size_t)1 << 20)
#define TICK 1024

struct repair {
	struct store *store;
	struct kv *kv;
	struct kv_batch batch;
	bool dry;
	bool (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t done, total;
	struct repair_report *report;
	struct buf value;        /* of what was looked up */
	int64_t time;            /* of the log record before */
	uint64_t number;         /* and its number */
	struct indexed indexed;  /* entries that were looked for */
	uint64_t files, bytes, versions, version_bytes;
	bool unreadable;         /* something was: what was counted is not all */
};

static int flush(struct repair *r, size_t least, struct error *e)
{
	if (kv_batch_count(&r->batch) == 0 || kv_batch_bytes(&r->batch) < least)
		return 0;
	int rc = r->dry ? 0 : kv_write(r->kv, &r->batch, e);
	kv_batch_clear(&r->batch);
	return rc;
}

static int tick(struct repair *r, struct error *e)
{
	if (++r->done % TICK || !r->progress || r->progress(r->arg, r->done, r->total))
		return 0;
	return error_set(e, -ECANCELED, "stopped; what was mended is mended");
}

/* The entry is there with this value, or is made. */
static int expect(struct repair *r, enum family family, struct key key, const struct buf *value,
		  struct error *e)
{
	int rc = buf_check(value, e);

	if (rc == 0)
		rc = kv_get(r->kv, NULL, family, key_view(&key), &r->value, e);
	if (rc < 0 || (rc > 0 && view_equal(buf_view(&r->value), buf_view(value))))
		return rc < 0 ? rc : 0;
	kv_batch_put_buf(&r->batch, family, key_view(&key), value);
	r->report->added[family]++;
	return flush(r, BATCH_BYTES, e);
}

/* What cannot be read is passed over and left as it is; verify tells of it. */
static int pass_over(struct repair *r, int rc, int instead)
{
	if (rc != -E_CORRUPT)
		return rc;
	r->unreadable = true;
	return instead;
}

typedef int (*visitor)(struct repair *r, struct view key, struct view value, struct error *e);

static int each(struct repair *r, enum family family, visitor visit, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(r->kv, NULL, family, view_of(NULL, 0), false);
	struct view key, value;
	int rc;

	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		rc = pass_over(r, visit(r, key, value, e), 0);
		if (rc == 0)
			rc = tick(r, e);
		if (rc < 0)
			return rc;
	}
	rc = pass_over(r, rc, 0);
	/* What looks through an index next sees what was added. */
	return rc < 0 ? rc : flush(r, 0, e);
}

/* Removes the entries of an index that is_right() says 0 of. */
static int prune(struct repair *r, enum family family, visitor is_right, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(r->kv, NULL, family, view_of(NULL, 0), false);
	struct view key, value;
	int rc;

	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		rc = pass_over(r, is_right(r, key, value, e), 1);
		if (rc == 0) {
			kv_batch_delete(&r->batch, family, key);
			r->report->removed[family]++;
			rc = flush(r, BATCH_BYTES, e);
		}
		if (rc >= 0)
			rc = tick(r, e);
		if (rc < 0)
			return rc;
	}
	return pass_over(r, rc, 0);
}

/* ------------------------------------------------------- the log's indexes */

static const struct buf nothing;

/* Of somebody who looked for what was: it was not there, or is lost. */
static bool is_not_there(int rc)
{
	return rc == -E_STALE || rc == -E_NO_ENTRY || rc == -E_CORRUPT || rc == -E_FORMAT_NEWER;
}

static int expect_clock(struct repair *r, const struct log_record *record, struct error *e)
{
	CLEANUP(buf_release) struct buf last = { 0 };
	struct key second = key_number((uint64_t)(r->time / NS_PER_SECOND));
	bool over = r->number && r->time / NS_PER_SECOND != record->time / NS_PER_SECOND;
	uint64_t number = r->number;

	r->time = record->time;
	r->number = record->change;
	if (!over)
		return 0;
	int rc = number + 1 < record->change
			 ? kv_get(r->kv, NULL, FAMILY_CLOCK, key_view(&second), &r->value, e)
			 : 0;
	struct reader in = reader_of(buf_view(&r->value));
	uint64_t there = rc > 0 ? reader_varint(&in) : 0;
	if (rc < 0 || (there >= number && there < record->change))
		return rc < 0 ? rc : 0; /* of a gap in the log any change will do */
	buf_varint(&last, number);
	return expect(r, FAMILY_CLOCK, second, &last, e);
}

/* Whether the second lies where the log lacks that change, which was its last. */
static int is_in_gap(struct repair *r, uint64_t second, uint64_t change, struct error *e)
{
	struct key from = key_number(change);
	struct view key, value;
	struct log_record record;
	int64_t ends[2] = { 0, 0 };
	int rc = 1;

	for (int i = 0; i < 2 && rc > 0; i++) {
		CLEANUP(kv_iter_release)
		struct kv_iter *it =
			kv_iter_open(r->kv, NULL, FAMILY_LOG, view_of(NULL, 0), i == 0);

		kv_iter_seek(it, key_view(&from));
		rc = kv_iter_next(it, &key, &value, e);
		if (rc > 0 && log_decode(&record, value, NULL) == 0)
			ends[i] = record.time / NS_PER_SECOND;
	}
	return rc <= 0 ? rc : (int64_t)second >= ends[0] && (int64_t)second < ends[1];
}

static int expect_index(struct repair *r, uint64_t change, enum family family, uint64_t id,
			struct key key, struct error *e)
{
	return indexed_note(&r->indexed, change, family, id) ? 0
							     : expect(r, family, key, &nothing, e);
}

static int visit_log(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct log_record record;

	(void)key;
	if (log_decode(&record, value, NULL) < 0)
		return 0; /* verify tells of it */
	uint64_t change = record.change;
	struct reader above = reader_of(record.above);
	int rc = expect_index(r, change, FAMILY_BY_USER, record.uid,
			      key_by_user((uint32_t)record.uid, change), e);
	while (rc == 0 && reader_left(&above) > 0) {
		uint64_t directory = reader_varint(&above);

		if (directory != ROOT_INODE)
			rc = expect_index(r, change, FAMILY_UNDER, directory,
					  key_under(directory, change), e);
	}
	return rc == 0 ? expect_clock(r, &record, e) : rc;
}

static int record_of(struct repair *r, uint64_t change, struct log_record *ret, struct error *e)
{
	struct key key = key_number(change);
	int rc = kv_get(r->kv, NULL, FAMILY_LOG, key_view(&key), &r->value, e);

	return rc <= 0 ? rc : log_decode(ret, buf_view(&r->value), NULL) == 0;
}

/* Whether a block has a change that is by the user or in and below the directory: 1 or 0. */
static int has_change(struct repair *r, uint64_t block, bool by_user, uint64_t id, struct error *e)
{
	struct log_record record;

	for (uint64_t i = 0; i < INDEX_BLOCK; i++) {
		int rc = record_of(r, block * INDEX_BLOCK + i, &record, e);

		if (rc < 0)
			return rc;
		if (rc > 0 && (by_user ? record.uid == id : log_is_above(&record, id)))
			return 1;
	}
	return 0;
}

static int is_right_user(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint32_t uid = reader_u32(&in);
	uint64_t block = reader_u64(&in);

	return reader_done(&in) && value.len == 0 ? has_change(r, block, true, uid, e) : 0;
}

static int is_right_under(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t directory = reader_u64(&in), block = reader_u64(&in);

	return reader_done(&in) && value.len == 0 && directory != ROOT_INODE
		       ? has_change(r, block, false, directory, e)
		       : 0;
}

/* The entry names the last change in its second. */
static int is_right_clock(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key), number = reader_of(value);
	uint64_t second = reader_u64(&in), change = reader_varint(&number);
	struct log_record record;
	if (!reader_done(&in) || !reader_done(&number))
		return 0;
	int rc = record_of(r, change, &record, e);
	if (rc == 0)
		return is_in_gap(r, second, change, e);
	if (rc < 0 || (uint64_t)(record.time / NS_PER_SECOND) != second)
		return rc < 0 ? rc : 0;
	rc = record_of(r, change + 1, &record, e);
	return rc < 0 ? rc : rc == 0 || (uint64_t)(record.time / NS_PER_SECOND) != second;
}

/* ----------------------------------------- versions, links, chunks, counts */

static int visit_version(struct repair *r, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf content = { 0 };
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in), number = ~reader_u64(&in);
	struct version_record version;

	if (!reader_done(&in) || version_decode(&version, value, NULL) < 0)
		return 0;
	buf_varint(&content, version.content);
	return expect(r, FAMILY_BY_DIGEST, key_by_digest(&version.digest, doc, number), &content,
		      e);
}

static int is_right_digest(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key), content = reader_of(value);
	struct version_record version;
	struct view digest = reader_bytes(&in, DIGEST_LEN);
	uint64_t doc = reader_u64(&in), number = reader_u64(&in);

	if (!reader_done(&in))
		return 0;
	struct key at = key_numbers(doc, ~number);
	int rc = kv_get(r->kv, NULL, FAMILY_VERSION, key_view(&at), &r->value, e);
	if (rc <= 0)
		return rc;
	return version_decode(&version, buf_view(&r->value), NULL) == 0 &&
	       memcmp(version.digest.bytes, digest.data, DIGEST_LEN) == 0 &&
	       reader_varint(&content) == version.content;
}

/* The parent and name of a dirent's key; false: it is damaged. */
static bool read_name(struct view key, uint64_t *ret_parent, struct view *ret_name)
{
	struct reader in = reader_of(key);

	*ret_parent = reader_u64(&in);
	reader_u64(&in);
	*ret_name = key_name_left(&in);
	return !in.failed;
}

static int inode_of(struct repair *r, uint64_t ino, struct inode_record *ret, struct error *e)
{
	struct key key = key_number(ino);
	int rc = kv_get(r->kv, NULL, FAMILY_INODE, key_view(&key), &r->value, e);

	return rc <= 0 ? rc : inode_decode(ret, buf_view(&r->value), NULL) == 0;
}

static int visit_name(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct dirent_record dirent;
	struct inode_record inode;
	struct view name;
	uint64_t parent;

	if (!read_name(key, &parent, &name) || dirent_decode(&dirent, value, NULL) < 0)
		return 0;
	r->files += dirent.type == S_IFREG;
	int rc = inode_of(r, dirent.ino, &inode, e);
	if (rc <= 0 || !(inode.flags & INODE_LINKED))
		return rc;
	return expect(r, FAMILY_LINK, key_link(dirent.ino, parent, name), &nothing, e);
}

static int is_right_link(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in), parent = reader_u64(&in);
	struct view name = key_name_left(&in);
	struct dirent_record dirent;

	(void)value;
	if (in.failed)
		return 0;
	int rc = namespace_lookup(r->store, parent, name, &dirent, e);
	return rc == -E_NO_ENTRY ? 0 : rc < 0 ? rc : dirent.ino == ino;
}

/* Each chunk is found by its bytes, or another of the same name is. */
static int visit_chunk(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct chunks *chunks = &store_contents(r->store)->chunks;
	CLEANUP(buf_release) struct buf id = { 0 };
	struct reader in = reader_of(key);
	uint64_t number = reader_u64(&in);
	struct key name = { .len = CHUNK_NAME_LEN };
	struct chunk *chunk;

	(void)value;
	if (!reader_done(&in))
		return 0;
	int rc = chunk_load_fresh(chunks, number, &chunk, e);
	if (rc < 0)
		return is_not_there(rc) ? 0 : rc;
	chunk_name(chunks, view_of(chunk->data, chunk->len), name.bytes);
	chunk_drop(chunks, chunk);
	rc = kv_get(r->kv, NULL, FAMILY_CHUNK_NAME, key_view(&name), &r->value, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	buf_varint(&id, number);
	return expect(r, FAMILY_CHUNK_NAME, name, &id, e);
}

static int is_right_name(struct repair *r, struct view key, struct view value, struct error *e)
{
	size_t len;
	int rc = content_check_name(store_contents(r->store), key, value, &len, NULL);

	(void)e;
	return rc != -E_CORRUPT; /* any other failure says nothing of the name */
}

static int count_inode(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct inode_record inode;

	(void)key;
	(void)e;
	if (inode_decode(&inode, value, NULL) == 0 && S_ISREG(inode.mode) && inode.nlink)
		r->bytes += inode.size;
	return 0;
}

static int count_version(struct repair *r, struct view key, struct view value, struct error *e)
{
	struct version_record v;

	(void)key;
	(void)e;
	if (version_decode(&v, value, NULL) == 0 && version_counts(&v)) {
		r->versions++;
		r->version_bytes += v.size;
	}
	return 0;
}

static int repair_counts(struct repair *r, struct error *e)
{
	struct store *store = r->store;
	int rc = each(r, FAMILY_INODE, count_inode, e);

	if (rc == 0)
		rc = each(r, FAMILY_VERSION, count_version, e);
	if (rc < 0 || r->unreadable ||
	    (r->files == store->live_files && r->bytes == store->live_bytes &&
	     r->versions == store->versions && r->version_bytes == store->version_bytes))
		return rc;
	r->report->added[FAMILY_META]++;
	if (r->dry)
		return 0;
	store->live_files = r->files; /* the record of the repair will say so */
	store->live_bytes = r->bytes;
	store->versions = r->versions;
	store->version_bytes = r->version_bytes;
	return 0;
}

/* --------------------------------------------------------------- all of it */

static int repair_all(struct repair *r, struct error *e)
{
	int rc = each(r, FAMILY_LOG, visit_log, e);

	if (rc == 0)
		rc = prune(r, FAMILY_BY_USER, is_right_user, e);
	if (rc == 0)
		rc = prune(r, FAMILY_UNDER, is_right_under, e);
	if (rc == 0)
		rc = prune(r, FAMILY_CLOCK, is_right_clock, e);
	if (rc == 0)
		rc = each(r, FAMILY_VERSION, visit_version, e);
	if (rc == 0)
		rc = prune(r, FAMILY_BY_DIGEST, is_right_digest, e);
	if (rc == 0)
		rc = each(r, FAMILY_DIRENT, visit_name, e);
	if (rc == 0)
		rc = prune(r, FAMILY_LINK, is_right_link, e);
	if (rc == 0)
		rc = prune(r, FAMILY_CHUNK_NAME, is_right_name, e);
	if (rc == 0)
		rc = flush(r, 0, e);
	if (rc == 0)
		rc = each(r, FAMILY_CHUNK, visit_chunk, e);
	if (rc == 0)
		rc = flush(r, 0, e);
	return rc == 0 ? repair_counts(r, e) : rc;
}

static int note(struct repair *r, const struct actor *actor, struct error *e)
{
	char text[96];
	uint64_t added = 0, removed = 0;

	for (int i = 0; i < FAMILY_COUNT; i++) {
		added += r->report->added[i];
		removed += r->report->removed[i];
	}
	r->report->total = added + removed;
	if (!r->report->total || r->dry)
		return 0;
	snprintf(text, sizeof(text), "index entries: %llu made again, %llu removed",
		 (unsigned long long)added, (unsigned long long)removed);
	int rc = change_note(r->store, actor, OP_REPAIR, view_str(text), e);
	return rc < 0 ? rc : store_sync(r->store, e);
}

int repair_store(struct store *store, const struct actor *actor, bool dry,
		 bool (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
		 struct repair_report *ret, struct error *e)
{
	struct repair r = { .store = store,
			    .kv = store->kv,
			    .dry = dry,
			    .progress = progress,
			    .arg = arg,
			    .report = ret };

	*ret = (struct repair_report){ 0 };
	if (store->read_only && !dry)
		return error_set(e, -E_READ_ONLY, "the store is open for looking only");
	r.total = store->head_change * 6;
	int rc = repair_all(&r, e);
	kv_batch_release(&r.batch);
	buf_release(&r.value);
	return rc < 0 ? rc : note(&r, actor, e);
}
