/* mend.c - see mend.h: what its parts share, and the log. */
#include "mend.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define TICKS_BETWEEN 256

void mend_release(struct mend *m)
{
	buf_release(&m->gaps);
	buf_release(&m->unreadable);
	buf_release(&m->lost_versions);
}

int mend_get(struct mend *m, enum family family, struct key key, struct buf *value, struct error *e)
{
	return kv_get(m->kv, NULL, family, key_view(&key), value, e);
}

static int write_one(struct mend *m, enum family family, struct view key, const struct buf *value,
		     struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };

	if (value)
		kv_batch_put_buf(&batch, family, key, value);
	else
		kv_batch_delete(&batch, family, key);
	return kv_write(m->kv, &batch, e);
}

int mend_put(struct mend *m, enum family family, struct key key, const struct buf *value,
	     struct error *e)
{
	return write_one(m, family, key_view(&key), value, e);
}

int mend_delete(struct mend *m, enum family family, struct view key, struct error *e)
{
	return write_one(m, family, key, NULL, e);
}

int mend_each(struct mend *m, enum family family, bool reverse, mend_visitor each, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(m->kv, NULL, family, view_of(NULL, 0), reverse);
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) > 0) {
		r = each(m, key, value, e);
		if (r < 0)
			return r;
		if (m->ticks++ % TICKS_BETWEEN == 0 && !m->progress(m->arg))
			return error_set(e, -ECANCELED, "stopped; the store is as it was");
	}
	return r;
}

int mend_tell(struct mend *m, struct error *e, const char *format, ...)
{
	char sentence[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	for (char *at = sentence; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
	return m->lost(m->arg, sentence)
		       ? 0
		       : error_set(e, -ECANCELED, "stopped; the store is as it was");
}

int mend_inode(struct mend *m, uint64_t ino, struct inode_record *ret, struct buf *memory,
	       struct error *e)
{
	int r = mend_get(m, FAMILY_INODE, key_number(ino), memory, e);

	return r <= 0 ? r : inode_decode(ret, buf_view(memory), NULL) == 0;
}

int mend_document(struct mend *m, uint64_t doc, struct document_record *ret, struct buf *memory,
		  struct error *e)
{
	int r = mend_get(m, FAMILY_DOCUMENT, key_number(doc), memory, e);

	return r <= 0 ? r : document_decode(ret, buf_view(memory), NULL) == 0;
}

int mend_version(struct mend *m, uint64_t doc, uint64_t number, struct version_record *ret,
		 struct buf *memory, struct error *e)
{
	int r = mend_get(m, FAMILY_VERSION, key_numbers(doc, ~number), memory, e);

	return r <= 0 ? r : version_decode(ret, buf_view(memory), NULL) == 0;
}

int mend_put_inode(struct mend *m, const struct inode_record *r, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	inode_encode(&value, r);
	return mend_put(m, FAMILY_INODE, key_number(r->ino), &value, e);
}

int mend_put_document(struct mend *m, uint64_t doc, const struct document_record *r,
		      struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	document_encode(&value, r);
	return mend_put(m, FAMILY_DOCUMENT, key_number(doc), &value, e);
}

int mend_put_version(struct mend *m, uint64_t doc, uint64_t number, const struct version_record *r,
		     struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	version_encode(&value, r);
	return mend_put(m, FAMILY_VERSION, key_numbers(doc, ~number), &value, e);
}

/* --- the log -------------------------------------------------------------- */

static void raise_to(uint64_t *at, uint64_t value)
{
	if (value != LOST_ID && value > *at)
		*at = value;
}

static void name_gaps(struct mend *m, const struct log_record *record)
{
	struct log_gap *gaps = (struct log_gap *)m->gaps.data;

	for (size_t i = 0; i < m->gaps.len / sizeof(*gaps); i++) {
		if (changelog_names_gap(record, &gaps[i]))
			gaps[i].named = record->time;
	}
}

static int visit_log(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t number = reader_u64(&in);
	struct log_record r;

	if (!reader_done(&in) || log_decode(&r, value, NULL) < 0 || r.change != number)
		return mend_delete(m, FAMILY_LOG, key, e);
	if (number != m->last_logged + 1) {
		struct log_gap gap = { .first = m->last_logged + 1,
				       .last = number - 1,
				       .before = m->last_digest,
				       .after = r.prev };

		buf_append(&m->gaps, &gap, sizeof(gap));
	}
	name_gaps(m, &r);
	crypto_generichash(m->last_digest.bytes, DIGEST_LEN, value.data, value.len, NULL, 0);
	m->last_logged = number;
	m->last_time = r.time;
	raise_to(&m->last_inode, r.ino);
	raise_to(&m->last_document, r.doc);
	return buf_check(&m->gaps, e);
}

static int visit_user(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);

	(void)value;
	(void)e;
	reader_u32(&in);
	/* That, or one of those behind it. */
	raise_to(&m->last_change, reader_u64(&in) * INDEX_BLOCK);
	return 0;
}

static int visit_inode(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct inode_record r;

	if (inode_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_INODE, key, e);
	raise_to(&m->last_change, r.since);
	raise_to(&m->last_inode, r.ino);
	raise_to(&m->last_document, r.doc);
	return 0;
}

static int visit_past_inode(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct inode_record r;

	if (inode_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_PAST_INODE, key, e);
	return visit_inode(m, key, value, e);
}

static int note_dirent(struct mend *m, enum family family, struct view key, struct view value,
		       struct error *e)
{
	struct dirent_record r;

	if (key.len < 17 || dirent_decode(&r, value, NULL) < 0)
		return mend_delete(m, family, key, e);
	raise_to(&m->last_change, r.since);
	raise_to(&m->last_change, r.until);
	raise_to(&m->last_inode, r.ino);
	raise_to(&m->last_document, r.doc);
	return 0;
}

static int visit_dirent(struct mend *m, struct view key, struct view value, struct error *e)
{
	return note_dirent(m, FAMILY_DIRENT, key, value, e);
}

static int visit_past_dirent(struct mend *m, struct view key, struct view value, struct error *e)
{
	return note_dirent(m, FAMILY_PAST_DIRENT, key, value, e);
}

static int visit_version(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	struct version_record r;

	if (version_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_VERSION, key, e);
	raise_to(&m->last_change, r.change);
	raise_to(&m->last_document, reader_u64(&in));
	raise_to(&m->last_inode, r.ino);
	return 0;
}

static int visit_document(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	struct document_record r;

	if (document_decode(&r, value, NULL) < 0)
		return mend_delete(m, FAMILY_DOCUMENT, key, e);
	raise_to(&m->last_change, r.since);
	raise_to(&m->last_document, reader_u64(&in));
	raise_to(&m->last_inode, r.ino);
	return 0;
}

/* Those that are named already are no news; behind the newest record there may be one too. */
static int settle_gaps(struct mend *m, struct error *e)
{
	struct log_gap *gaps = (struct log_gap *)m->gaps.data;
	size_t count = m->gaps.len / sizeof(*gaps), kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!gaps[i].named)
			gaps[kept++] = gaps[i];
	}
	m->gaps.len = kept * sizeof(*gaps);
	if (m->last_change > m->last_logged) {
		struct log_gap end = { .first = m->last_logged + 1,
				       .last = m->last_change,
				       .before = m->last_digest,
				       .after = m->last_digest };

		buf_append(&m->gaps, &end, sizeof(end));
	}
	return buf_check(&m->gaps, e);
}

int mend_log(struct mend *m, struct error *e)
{
	static const struct {
		enum family family;
		mend_visitor each;
	} others[] = { { FAMILY_BY_USER, visit_user },         { FAMILY_INODE, visit_inode },
		       { FAMILY_PAST_INODE, visit_past_inode }, { FAMILY_DIRENT, visit_dirent },
		       { FAMILY_PAST_DIRENT, visit_past_dirent }, { FAMILY_VERSION, visit_version },
		       { FAMILY_DOCUMENT, visit_document } };
	int r = mend_each(m, FAMILY_LOG, false, visit_log, e);

	for (size_t i = 0; r == 0 && i < sizeof(others) / sizeof(others[0]); i++)
		r = mend_each(m, others[i].family, false, others[i].each, e);
	return r < 0 ? r : settle_gaps(m, e);
}
