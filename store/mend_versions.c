/* mend_versions.c - see mend.h: versions, documents, and the bytes that they have. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "manifest.h"
#include "mend.h"

#define HOLE_MAX 100000 /* versions in a row whose records are gone that get one again */

/* --- versions that are gone ----------------------------------------------- */

/* Up to which number a document may have had versions: a save that was taken back leaves a number
 * in the log. */
static int version_limit(struct mend *m, uint64_t doc, uint64_t *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, held = { 0 };
	struct document_record d;
	struct inode_record inode;
	int r = mend_document(m, doc, &d, &memory, e);

	*ret = r == 0 ? UINT64_MAX : d.head;
	if (r <= 0 || !d.ino)
		return r < 0 ? r : 0;
	r = mend_inode(m, d.ino, &inode, &held, e);
	if (r > 0 && inode.doc == doc && inode.version > *ret)
		*ret = inode.version;
	return r < 0 ? r : 0;
}

/* The rights that a version gets whose record is gone: those that its file has, or nobody's but the
 * owner's. */
static int give_rights(struct mend *m, struct version_record *v, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record inode;
	int r = mend_inode(m, v->ino, &inode, &memory, e);

	v->mode = r > 0 && S_ISREG(inode.mode) ? inode.mode : S_IFREG | 0600;
	v->owner_uid = r > 0 ? inode.uid : v->uid;
	v->owner_gid = r > 0 ? inode.gid : v->gid;
	return r < 0 ? r : 0;
}

static struct view last_component(struct view path)
{
	const char *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
	size_t skip = slash ? (size_t)(slash + 1 - (const char *)path.data) : 0;

	return view_of((const char *)path.data + skip, path.len - skip);
}

/* The content that the index of digests gives a version: 1, or 0 when it has no entry. */
static int content_by_digest(struct mend *m, const struct digest *digest, uint64_t doc,
			     uint64_t number, uint64_t *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int r = mend_get(m, FAMILY_BY_DIGEST, key_by_digest(digest, doc, number), &value, e);
	struct reader in = reader_of(buf_view(&value));

	if (r > 0)
		*ret = reader_varint(&in);
	return r > 0 ? reader_done(&in) : r;
}

/* A save in the log, newest first: its version, when it is gone, is made again. */
static int visit_saved(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	struct log_record r;
	uint64_t limit;

	(void)key;
	if (log_decode(&r, value, NULL) < 0 || (r.op != OP_SAVE && r.op != OP_RESTORE) || !r.doc ||
	    !r.version || (r.flags & LOG_UNCHANGED))
		return 0;
	int rc = mend_version(m, r.doc, r.version, &v, &memory, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	v = (struct version_record){ .change = r.change,
				     .time = r.time,
				     .uid = r.uid,
				     .gid = r.gid,
				     .author = r.author,
				     .tgid = r.tgid,
				     .command = r.command,
				     .client = r.client,
				     .ino = r.ino,
				     .size = r.size_after,
				     .digest = r.digest_after,
				     .prev = r.version - 1,
				     .from = r.from,
				     .from_version = r.from_version,
				     .mtime = r.time,
				     .parent = r.parent,
				     .name = last_component(r.path),
				     .content = r.size_after ? LOST_ID : 0 };
	v.flags = (r.flags & LOG_INCOMPLETE ? VERSION_INCOMPLETE : 0) |
		  (r.flags & LOG_CONFLICT ? VERSION_CONFLICT : 0) |
		  (r.flags & LOG_RECOVERED ? VERSION_RECOVERED : 0);
	rc = content_by_digest(m, &v.digest, r.doc, r.version, &v.content, e);
	if (rc == 0) {
		rc = version_limit(m, r.doc, &limit, e);
		if (rc < 0 || r.version > limit)
			return rc;
	}
	rc = rc < 0 ? rc : give_rights(m, &v, e);
	return rc < 0 ? rc : mend_put_version(m, r.doc, r.version, &v, e);
}

/* What only the index of digests still knows of: a version that came with a rename, or one whose
 * log record is gone too. */
static int visit_digest(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, document = { 0 };
	struct reader in = reader_of(key), id = reader_of(value);
	struct view digest = reader_bytes(&in, DIGEST_LEN);
	uint64_t doc = reader_u64(&in), number = reader_u64(&in), content = reader_varint(&id),
		 limit;
	struct version_record v;
	struct document_record d = { 0 };
	struct content_ref ref = { 0 };

	if (!reader_done(&in) || !reader_done(&id))
		return 0;
	int r = mend_version(m, doc, number, &v, &memory, e);
	if (r == 0)
		r = version_limit(m, doc, &limit, e) < 0 ? -E_CORRUPT : number > limit;
	if (r == 0)
		r = mend_document(m, doc, &d, &document, e);
	if (r < 0 || (r > 0 && !d.since))
		return r < 0 ? r : 0;
	if (content_stat(store_contents(m->store), content, &ref, NULL) < 0)
		ref.size = 0;
	v = (struct version_record){ .change = d.since ? d.since : m->last_logged,
				     .time = d.born,
				     .content = content,
				     .size = ref.size,
				     .prev = number - 1,
				     .mode = S_IFREG | 0600,
				     .mtime = d.born,
				     .ino = d.ino,
				     .parent = d.parent,
				     .name = d.name };
	memcpy(v.digest.bytes, digest.data, DIGEST_LEN);
	return mend_put_version(m, doc, number, &v, e);
}

/* --- documents ------------------------------------------------------------ */

/* A version of which nothing is known but that it was there. */
static int put_unknown(struct mend *m, uint64_t doc, uint64_t number,
		       const struct version_record *after, struct error *e)
{
	struct version_record v = { .change = after->change,
				    .time = after->time,
				    .ino = after->ino,
				    .prev = number - 1,
				    .mode = S_IFREG,
				    .owner_uid = after->owner_uid,
				    .owner_gid = after->owner_gid,
				    .mtime = after->time,
				    .parent = after->parent,
				    .name = after->name,
				    .content = LOST_ID };

	return mend_put_version(m, doc, number, &v, e);
}

/* Each version but the first has one before it. */
static int visit_version(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in), number = ~reader_u64(&in), below = number - 1;
	struct version_record v, other;

	if (!reader_done(&in) || version_decode(&v, value, NULL) < 0 || number == 0)
		return mend_delete(m, FAMILY_VERSION, key, e);
	int r = v.prev && v.prev < number ? mend_version(m, doc, v.prev, &other, &memory, e)
					  : number == 1;
	if (r != 0)
		return r < 0 ? r : 0;
	for (r = 0; r == 0 && below > 0 && number - below <= HOLE_MAX; below--) {
		r = mend_version(m, doc, below, &other, &memory, e);
		if (r == 0)
			r = put_unknown(m, doc, below, &v, e);
		else if (r > 0)
			break;
	}
	if (r < 0 || v.prev == number - 1)
		return r < 0 ? r : 0;
	v.prev = number - 1;
	return mend_put_version(m, doc, number, &v, e);
}

/* The document of its newest version: is there, and knows that it is. */
static int check_head(struct mend *m, uint64_t doc, uint64_t number, const struct version_record *v,
		      struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, held = { 0 };
	struct document_record d;
	struct inode_record inode;
	int r = mend_document(m, doc, &d, &memory, e);

	if (r < 0 || (r > 0 && d.head == number))
		return r < 0 ? r : 0;
	if (r == 0) {
		d = (struct document_record){ .parent = v->parent,
					      .name = v->name,
					      .born = v->time,
					      .uid = v->uid,
					      .tgid = v->tgid,
					      .since = v->change };
		r = mend_inode(m, v->ino, &inode, &held, e);
		d.ino = r > 0 && inode.doc == doc ? v->ino : 0;
		d.died = d.ino ? 0 : v->time;
	}
	d.head = number;
	return r < 0 ? r : mend_put_document(m, doc, &d, e);
}

/* Of each document the newest comes first. */
static int visit_newest(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in), number = ~reader_u64(&in);
	struct key prefix = key_number(doc);
	struct version_record v;
	struct view first;

	it = kv_iter_open(m->kv, NULL, FAMILY_VERSION, key_view(&prefix), false);
	int r = kv_iter_next(it, &first, NULL, e);
	if (r <= 0 || !view_equal(first, key) || version_decode(&v, value, NULL) < 0)
		return r < 0 ? r : 0;
	return check_head(m, doc, number, &v, e);
}

static int forget_missing(struct mend *m, uint64_t *doc, bool *changed, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record d;
	int r = *doc ? mend_document(m, *doc, &d, &memory, e) : 1;

	if (r == 0) {
		*doc = 0;
		*changed = true;
	}
	return r < 0 ? r : 0;
}

/* Versions that a document says to have, when there is none at all. */
static int make_versions(struct mend *m, uint64_t doc, const struct document_record *d,
			 struct error *e)
{
	struct version_record after = { .change = d->since,
					.time = d->born,
					.ino = d->ino,
					.parent = d->parent,
					.name = d->name,
					.owner_uid = d->uid };
	int r = 0;

	for (uint64_t number = d->head; r == 0 && number > 0 && d->head - number <= HOLE_MAX;
	     number--)
		r = put_unknown(m, doc, number, &after, e);
	return r;
}

static int visit_document(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in);
	struct document_record d;
	struct version_record head;
	struct inode_record inode;
	bool changed = false;

	if (!reader_done(&in) || document_decode(&d, value, NULL) < 0)
		return mend_delete(m, FAMILY_DOCUMENT, key, e);
	int r = d.head ? mend_version(m, doc, d.head, &head, &memory, e) : 1;
	r = r == 0 ? make_versions(m, doc, &d, e) : r < 0 ? r : 0;
	if (r == 0)
		r = forget_missing(m, &d.pred, &changed, e);
	if (r == 0)
		r = forget_missing(m, &d.copy_of, &changed, e);
	if (r == 0)
		r = forget_missing(m, &d.absorbed_by, &changed, e);
	if (r == 0 && d.ino) {
		r = mend_inode(m, d.ino, &inode, &memory, e);
		if (r >= 0 && (r == 0 || inode.doc != doc)) {
			d.ino = 0;
			d.died = d.died ? d.died : m->last_time;
			changed = true;
		}
	}
	return r < 0 || !changed ? (r < 0 ? r : 0) : mend_put_document(m, doc, &d, e);
}

int mend_documents(struct mend *m, struct error *e)
{
	return mend_each(m, FAMILY_DOCUMENT, false, visit_document, e);
}

int mend_versions(struct mend *m, struct error *e)
{
	int r = mend_each(m, FAMILY_LOG, true, visit_saved, e);

	if (r == 0)
		r = mend_each(m, FAMILY_BY_DIGEST, false, visit_digest, e);
	if (r == 0)
		r = mend_each(m, FAMILY_VERSION, false, visit_version, e);
	if (r == 0)
		r = mend_each(m, FAMILY_VERSION, false, visit_newest, e);
	return r == 0 ? mend_documents(m, e) : r;
}

/* --- bytes ---------------------------------------------------------------- */

/* Copies a list of (id, bytes), LOST_ID for those that are not in the family; *ret_changed when
 * there are such. */
static int check_list(struct mend *m, struct view list, enum family family, struct buf *out,
		      bool *ret_changed, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct reader in = reader_of(list);

	while (reader_left(&in) > 0 && !in.failed) {
		uint64_t id = reader_varint(&in), bytes = reader_varint(&in);
		int r = id && id != LOST_ID ? mend_get(m, family, key_number(id), &value, e) : 1;

		if (r < 0)
			return r;
		*ret_changed |= r == 0;
		buf_varint(out, r ? id : LOST_ID);
		buf_varint(out, bytes);
	}
	return buf_check(out, e);
}

static int visit_segment(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf chunks = { 0 }, base = { 0 }, encoded = { 0 };
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in);
	struct segment_record r;
	bool changed = false;

	if (!reader_done(&in) || segment_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_SEGMENT, key, e);
	int rc = check_list(m, r.chunks, FAMILY_CHUNK, &chunks, &changed, e);
	int there = rc == 0 && r.base && r.base != LOST_ID
			    ? mend_get(m, FAMILY_SEGMENT, key_number(r.base), &base, e)
			    : 1;
	if (there == 0) {
		r.base = LOST_ID;
		changed = true;
	}
	if (rc < 0 || there < 0 || !changed)
		return rc < 0 ? rc : there < 0 ? there : 0;
	r.chunks = buf_view(&chunks);
	segment_encode(&encoded, &r);
	return mend_put(m, FAMILY_SEGMENT, key_number(id), &encoded, e);
}

static int visit_content(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf segments = { 0 }, encoded = { 0 };
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in);
	struct content_record r;
	bool changed = false;

	if (!reader_done(&in) || content_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_CONTENT, key, e);
	int rc = check_list(m, r.segments, FAMILY_SEGMENT, &segments, &changed, e);
	if (rc < 0 || !changed)
		return rc;
	r.segments = buf_view(&segments);
	content_encode(&encoded, &r);
	return mend_put(m, FAMILY_CONTENT, key_number(id), &encoded, e);
}

static int go_on(void *arg, uint64_t bytes, struct error *e)
{
	struct mend *m = arg;

	(void)bytes;
	return m->progress(m->arg) ? 0
				   : error_set(e, -ECANCELED, "stopped; the store is as it was");
}

static int read_content(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in);
	struct error why = { 0 };

	(void)value;
	int r = content_check(store_contents(m->store), id, go_on, m, &why);
	if (r == -E_CORRUPT || r == -E_FORMAT_NEWER) {
		buf_append(&m->unreadable, &id, sizeof(id));
		return buf_check(&m->unreadable, e);
	}
	if (r < 0 && e)
		*e = why;
	return r;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static bool is_unreadable(const struct mend *m, uint64_t id)
{
	return m->unreadable.len &&
	       bsearch(&id, m->unreadable.data, m->unreadable.len / sizeof(id), sizeof(id), by_id);
}

/* Another content with those bytes: 1, or 0 when there is none. */
static int find_twin(struct mend *m, const struct version_record *v, uint64_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(m->kv, NULL, FAMILY_BY_DIGEST, view_of(&v->digest, DIGEST_LEN), false);
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) == 1) {
		struct reader in = reader_of(value);
		uint64_t id = reader_varint(&in);
		struct content_ref ref;

		if (!reader_done(&in) || is_unreadable(m, id) ||
		    content_stat(store_contents(m->store), id, &ref, NULL) < 0 ||
		    ref.size != v->size ||
		    memcmp(ref.digest.bytes, v->digest.bytes, DIGEST_LEN) != 0)
			continue;
		*ret = id;
		return 1;
	}
	return r;
}

/* Flags versions whose bytes cannot be read. */
static int flag_version(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf content = { 0 };
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in), number = ~reader_u64(&in);
	struct version_record v;

	if (!reader_done(&in) || version_decode(&v, value, NULL) < 0 || !v.content)
		return 0;
	int r = v.content == LOST_ID
			? 0
			: mend_get(m, FAMILY_CONTENT, key_number(v.content), &content, e);
	if (r < 0 || (r > 0 && (!is_unreadable(m, v.content) || (v.flags & VERSION_LOST))))
		return r < 0 ? r : 0;
	bool gone = r == 0, known = v.flags & VERSION_LOST;
	r = find_twin(m, &v, &v.content, e);
	if (r == 0 && gone)
		v.content = LOST_ID;
	v.flags = r > 0 ? v.flags & ~(uint64_t)VERSION_LOST : v.flags | VERSION_LOST;
	if (r == 0 && !known)
		buf_append(&m->lost_versions, &(struct lost_version){ doc, number },
			   sizeof(struct lost_version));
	if (r >= 0)
		r = buf_check(&m->lost_versions, e);
	return r < 0 ? r : mend_put_version(m, doc, number, &v, e);
}

int mend_contents(struct mend *m, struct error *e)
{
	int r = mend_each(m, FAMILY_SEGMENT, false, visit_segment, e);

	if (r == 0)
		r = mend_each(m, FAMILY_CONTENT, false, visit_content, e);
	if (r == 0)
		r = mend_each(m, FAMILY_CONTENT, false, read_content, e);
	return r == 0 ? mend_each(m, FAMILY_VERSION, false, flag_version, e) : r;
}
