/* verify_versions.c - documents, their versions, and what refers to them. */
#include <sys/stat.h>

#include "clock.h"
#include "verify_parts.h"

#define N(x) ((unsigned long long)(x))

static int is_there(struct verifier *v, enum family family, struct key key, struct error *e)
{
	struct view value;

	return verify_get(v, family, key, &value, e);
}

/* --- documents ------------------------------------------------------------ */

/* The number of the document's newest version record, 0 when it has none. */
static int newest_version(struct verifier *v, uint64_t doc, uint64_t *ret, struct error *e)
{
	struct key prefix = key_number(doc);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_VERSION, key_view(&prefix), false);
	struct view key;
	int r = kv_iter_next(it, &key, NULL, e);

	*ret = 0;
	if (r <= 0)
		return r == -E_CORRUPT ? 0 : r;
	struct reader in = reader_of(key);
	reader_u64(&in);
	*ret = ~reader_u64(&in);
	return 0;
}

static int check_relatives(struct verifier *v, uint64_t id, const struct document_record *d,
			   struct error *e)
{
	uint64_t relatives[] = { d->pred, d->copy_of, d->absorbed_by };

	for (size_t i = 0; i < sizeof(relatives) / sizeof(relatives[0]); i++) {
		int found = relatives[i] ? is_there(v, FAMILY_DOCUMENT, key_number(relatives[i]), e)
					 : 1;

		if (found == 0)
			found = verify_damage(
				v, "document %llu refers to document %llu, which is missing", N(id),
				N(relatives[i]));
		if (found < 0)
			return found;
	}
	return 0;
}

static int check_holder(struct verifier *v, uint64_t id, const struct document_record *d,
			struct error *e)
{
	struct inode_record inode;
	struct view value;
	int found;

	if (!d->ino)
		return 0;
	found = verify_get(v, FAMILY_INODE, key_number(d->ino), &value, e);
	if (found < 0)
		return found;
	if (!found || inode_decode(&inode, value, NULL) < 0 || inode.doc != id)
		return verify_damage(v,
				     "document %llu says that inode %llu holds it, but it does not",
				     N(id), N(d->ino));
	/* Version 0: made anew in the document's slot (L3), nothing saved in it yet. */
	if (inode.version && inode.version != d->head)
		return verify_damage(v,
				     "document %llu: its newest version is %llu, but the file "
				     "holds version %llu",
				     N(id), N(d->head), N(inode.version));
	return 0;
}

static int visit_document(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in), newest;
	struct document_record d;
	int r;

	v->report.documents++;
	if (!reader_done(&in) || document_decode(&d, value, NULL) < 0)
		return verify_damage(v, "document %llu: its record is damaged", N(id));
	v->document_last = id;
	r = newest_version(v, id, &newest, e);
	if (r == 0 && newest != d.head)
		r = verify_damage(v,
				  "document %llu: its newest version should be %llu, but %llu is",
				  N(id), N(d.head), N(newest));
	if (r == 0)
		r = check_relatives(v, id, &d, e);
	return r == 0 ? check_holder(v, id, &d, e) : r;
}

/* --- versions ------------------------------------------------------------- */

static int check_bytes(struct verifier *v, uint64_t doc, uint64_t number,
		       const struct version_record *r, struct error *e)
{
	struct content_record content = { 0 };
	struct view value;
	int found;

	if (r->flags & VERSION_LOST)
		return 0;
	if (r->content == 0)
		return r->size == 0
			       ? 0
			       : verify_damage(
					 v,
					 "document %llu, version %llu has a size, but no content",
					 N(doc), N(number));
	found = verify_get(v, FAMILY_CONTENT, key_number(r->content), &value, e);
	if (found < 0)
		return found;
	if (!found || content_decode(&content, value, NULL) < 0)
		return verify_damage(v, "document %llu, version %llu: its content %llu is missing",
				     N(doc), N(number), N(r->content));
	if (content.size != r->size ||
	    memcmp(content.digest.bytes, r->digest.bytes, DIGEST_LEN) != 0)
		return verify_damage(v,
				     "document %llu, version %llu does not have the size or digest "
				     "of its content %llu",
				     N(doc), N(number), N(r->content));
	return 0;
}

/* The log, which is chained, must tell of these bytes, where it tells of them at all. */
static int check_logged(struct verifier *v, uint64_t doc, uint64_t number,
			const struct version_record *r, struct error *e)
{
	struct log_record log;
	struct view value;
	int found = verify_get(v, FAMILY_LOG, key_number(r->change), &value, e);

	if (found < 0 || (found == 0 && verify_is_named_gap(v, r->change)))
		return found;
	if (!found || log_decode(&log, value, NULL) < 0 || log.time < r->time)
		return verify_damage(v,
				     "document %llu, version %llu: the log has no such change %llu",
				     N(doc), N(number), N(r->change));
	if (log.doc == doc && log.version == number && !(log.flags & LOG_UNCHANGED) &&
	    (log.op == OP_SAVE || log.op == OP_RESTORE) &&
	    memcmp(log.digest_after.bytes, r->digest.bytes, DIGEST_LEN) != 0)
		return verify_damage(v,
				     "document %llu, version %llu does not have the digest that "
				     "change %llu of the log "
				     "gives it",
				     N(doc), N(number), N(r->change));
	return 0;
}

static int check_order(struct verifier *v, uint64_t doc, uint64_t number,
		       const struct version_record *r, struct error *e)
{
	int found =
		r->prev ? is_there(v, FAMILY_VERSION, key_numbers(doc, ~r->prev), e) : number == 1;

	if (found < 0)
		return found;
	if (!found || r->prev >= number)
		return verify_damage(
			v, "document %llu: version %llu, the one before version %llu, is missing",
			N(doc), N(r->prev ? r->prev : number - 1), N(number));
	found = is_there(v, FAMILY_DOCUMENT, key_number(doc), e);
	return found == 0  ? verify_damage(v, "document %llu is missing, its version %llu is there",
					   N(doc), N(number))
	       : found < 0 ? found
			   : 0;
}

static int tell_lost(struct verifier *v, uint64_t number, const struct version_record *r)
{
	char where[WHERE_MAX], time[CLOCK_NAME_LEN + 1], digest[2 * DIGEST_LEN + 1];

	clock_name(time, r->time);
	hex_encode(digest, r->digest.bytes, DIGEST_LEN);
	return verify_known(v, "%s, version %llu of %.*s, %s, %llu bytes, digest %s: its content",
			    verify_where(v, r->parent, r->name, where), N(number),
			    (int)r->author.len, (const char *)r->author.data, time, N(r->size),
			    digest);
}

static int visit_version(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t doc = reader_u64(&in), number = ~reader_u64(&in);
	struct version_record r;
	int rc, found;

	v->report.versions++;
	if (!reader_done(&in) || version_decode(&r, value, NULL) < 0)
		return verify_damage(v, "document %llu, version %llu: its record is damaged",
				     N(doc), N(number));
	rc = check_order(v, doc, number, &r, e);
	if (rc == 0)
		rc = check_bytes(v, doc, number, &r, e);
	if (rc == 0)
		rc = check_logged(v, doc, number, &r, e);
	if (rc == 0 && r.flags & VERSION_LOST)
		rc = tell_lost(v, number, &r);
	if (rc < 0)
		return rc;
	found = is_there(v, FAMILY_BY_DIGEST, key_by_digest(&r.digest, doc, number), e);
	return found == 0
		       ? verify_damage(
				 v,
				 "document %llu, version %llu is missing from the index of digests",
				 N(doc), N(number))
	       : found < 0 ? found
			   : 0;
}

static int visit_digest(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key), content = reader_of(value);
	struct view digest = reader_bytes(&in, DIGEST_LEN), record;
	uint64_t doc = reader_u64(&in), number = reader_u64(&in), id = reader_varint(&content);
	struct version_record r;
	int found;

	if (!reader_done(&in) || !reader_done(&content))
		return verify_damage(v, "an entry of the index of digests is damaged");
	found = verify_get(v, FAMILY_VERSION, key_numbers(doc, ~number), &record, e);
	if (found < 0)
		return found;
	if (!found || version_decode(&r, record, NULL) < 0 || r.content != id ||
	    memcmp(r.digest.bytes, digest.data, DIGEST_LEN) != 0)
		return verify_damage(v,
				     "the index of digests names document %llu, version %llu, "
				     "which does not have that "
				     "digest",
				     N(doc), N(number));
	return 0;
}

/* --- conflicts and tags --------------------------------------------------- */

static int visit_conflict(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t directory = reader_u64(&in), change = reader_u64(&in);
	struct conflict_record r;
	int found;

	if (!reader_done(&in) || change > v->head || conflict_decode(&r, value, NULL) < 0)
		return verify_damage(v, "a conflict record of directory %llu is damaged",
				     N(directory));
	found = is_there(v, FAMILY_DOCUMENT, key_number(r.doc), e);
	return found == 0  ? verify_damage(v,
					   "the conflict of change %llu is about document %llu, "
					    "which is missing",
					   N(change), N(r.doc))
	       : found < 0 ? found
			   : 0;
}

static int visit_tag(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t directory = reader_u64(&in);
	struct view name = key_name_left(&in);
	struct tag_record r;
	int found;

	if (in.failed || tag_decode(&r, value, NULL) < 0 || r.change > v->head)
		return verify_damage(v, "a tag of directory %llu is damaged", N(directory));
	found = verify_inode_known(v, directory, NULL, e);
	return found == 0  ? verify_damage(v, "tag %.*s is in directory %llu, which never was",
					   (int)name.len, (const char *)name.data, N(directory))
	       : found < 0 ? found
			   : 0;
}

int verify_versions(struct verifier *v, struct error *e)
{
	int r = verify_each(v, FAMILY_DOCUMENT, visit_document, e);

	if (r == 0)
		r = verify_each(v, FAMILY_VERSION, visit_version, e);
	if (r == 0)
		r = verify_each(v, FAMILY_BY_DIGEST, visit_digest, e);
	if (r == 0)
		r = verify_each(v, FAMILY_CONFLICT, visit_conflict, e);
	return r == 0 ? verify_each(v, FAMILY_TAG, visit_tag, e) : r;
}
