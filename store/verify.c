/* verify.c - see verify.h: the order of the stages, and what they share. */
#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "manifest.h"
#include "verify_parts.h"

#define TICKS_BETWEEN 512 /* records between two calls of progress(), */
#define TICK_BYTES (1u << 20) /* unless one was large */

int verify_damage(struct verifier *v, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
	v->report.damaged++;
	return v->finding(v->arg, text) ? 0 : -ECANCELED;
}

int verify_tick(struct verifier *v, uint64_t bytes, struct error *e)
{
	v->stage_done += bytes;
	if (v->stage_done > v->stage_total)
		v->stage_done = v->stage_total;
	if ((v->ticks++ % TICKS_BETWEEN != 0 && bytes < TICK_BYTES) || !v->progress || v->progress(v->arg, v->done + v->stage_done, v->total))
		return 0;
	return error_set(e, -ECANCELED, "the verification was stopped");
}

static void next_stage(struct verifier *v, uint64_t bytes)
{
	v->done += v->stage_total;
	v->stage_done = 0;
	v->stage_total = bytes;
}

int verify_get(struct verifier *v, enum family family, struct key key, struct view *ret, struct error *e)
{
	struct error why = { 0 };
	int r = kv_get(v->kv, v->snapshot, family, key_view(&key), &v->value, &why);

	*ret = buf_view(&v->value);
	if (r == -E_CORRUPT) {
		/* Named here, once; the caller then finds the record missing. */
		r = strcmp(v->unreadable, why.text) == 0 ? 0 : verify_damage(v, "%s", why.text);
		snprintf(v->unreadable, sizeof(v->unreadable), "%s", why.text);
		return r < 0 ? error_set(e, r, "the verification was stopped") : 0;
	}
	if (r < 0 && e)
		*e = why;
	return r;
}

static const char *const family_names[] = {
#define X(name, letter, key, value, what) [FAMILY_##name] = #name,
	KEY_FAMILIES(X)
#undef X
};

int verify_each(struct verifier *v, enum family family, verify_visitor each, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, family, view_of("", 0), false);
	struct view key, value;
	struct error why = { 0 };
	int r;

	next_stage(v, kv_approximate_bytes(v->kv, family) +
			      (family == FAMILY_CONTENT && v->read_contents ? kv_approximate_bytes(v->kv, FAMILY_CHUNK) : 0));
	while ((r = kv_iter_next(it, &key, &value, &why)) > 0) {
		r = verify_tick(v, key.len + value.len, e);
		if (r == 0)
			r = each(v, key, value, e);
		if (r < 0)
			return r == -ECANCELED ? error_set(e, r, "the verification was stopped") : r;
	}
	if (r == 0)
		return 0;
	if (r == -E_CORRUPT) {
		r = verify_damage(v, "the records %s cannot be read to their end: %s", family_names[family], why.text);
		return r < 0 ? error_set(e, r, "the verification was stopped") : 0;
	}
	if (e)
		*e = why;
	return r;
}

int verify_inode_known(struct verifier *v, uint64_t ino, uint32_t *ret_type, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct key key = key_number(ino);
	struct inode_record r;
	struct view value, past_key;
	int found = verify_get(v, FAMILY_INODE, key, &value, e);

	if (found == 0) {
		it = kv_iter_open(v->kv, v->snapshot, FAMILY_PAST_INODE, key_view(&key), false);
		found = kv_iter_next(it, &past_key, &value, e);
		if (found == -E_CORRUPT)
			return 0;
	}
	if (found <= 0)
		return found;
	if (inode_decode(&r, value, NULL) < 0)
		r.mode = 0;
	if (ret_type)
		*ret_type = (uint32_t)r.mode & S_IFMT;
	return 1;
}

const char *verify_where(struct verifier *v, uint64_t parent, struct view name, char out[WHERE_MAX])
{
	CLEANUP(buf_release) struct buf path = { 0 };
	int length = (int)(name.len < 255 ? name.len : 255);

	if (namespace_path(v->store, parent, &path, NULL) < 0)
		snprintf(out, WHERE_MAX, "directory %llu: %.*s", (unsigned long long)parent, length,
			 (const char *)name.data);
	else
		snprintf(out, WHERE_MAX, "%.*s%s%.*s", (int)(path.len < 200 ? path.len : 200),
			 path.data ? (const char *)path.data : "", path.len ? "/" : "", length, (const char *)name.data);
	return out;
}

/* The tables' checksums: damage there names a file of the database. */
static int verify_tables(struct verifier *v, struct error *e)
{
	struct error why = { 0 };
	int r = kv_check(v->kv, &why);

	snprintf(v->unreadable, sizeof(v->unreadable), "%s", r == -E_CORRUPT ? why.text : "");
	if (r == -E_CORRUPT)
		return verify_damage(v, "%s", why.text);
	if (r < 0 && e)
		*e = why;
	return r;
}

/* The counts that status shows against what was counted. */
static int verify_counts(struct verifier *v, struct error *e)
{
	struct key key = { .len = 4 };
	struct view value;
	int r;

	memcpy(key.bytes, "live", 4);
	r = verify_get(v, FAMILY_META, key, &value, e);
	if (r < 0)
		return r;
	struct reader in = reader_of(value);
	uint64_t files = r ? reader_varint(&in) : 0, bytes = r ? reader_varint(&in) : 0;
	if (files != v->live_files || bytes != v->live_bytes)
		return verify_damage(v, "the store counts %llu live files of %llu bytes, but there are %llu of %llu",
				     (unsigned long long)files, (unsigned long long)bytes,
				     (unsigned long long)v->live_files, (unsigned long long)v->live_bytes);
	if (!r || reader_done(&in)) /* as an older Daybook wrote them */
		return 0;
	uint64_t inode = reader_varint(&in), document = reader_varint(&in);
	if (!reader_done(&in) || inode <= v->inode_last || document <= v->document_last)
		return verify_damage(v, "the store would give numbers again: inode %llu, document %llu",
				     (unsigned long long)inode, (unsigned long long)document);
	return 0;
}

static int verify_all(struct verifier *v, struct error *e)
{
	int r = v->read_contents ? verify_tables(v, e) : 0;

	if (r == 0)
		r = verify_log(v, e);
	if (r == 0)
		r = verify_tree(v, e);
	if (r == 0)
		r = verify_versions(v, e);
	if (r == 0)
		r = verify_counts(v, e);
	if (r == 0)
		r = verify_contents(v, e);
	return r;
}

int verify_store(struct store *store, bool read_contents, verify_finding finding, verify_progress progress, void *arg,
		 struct verify_report *ret, struct error *e)
{
	struct verifier v = { .store = store,
			      .kv = store_kv(store),
			      .read_contents = read_contents,
			      .finding = finding,
			      .progress = progress,
			      .arg = arg };
	int r;

	for (int family = 0; family < FAMILY_COUNT; family++)
		v.total += kv_approximate_bytes(v.kv, family);
	if (read_contents) /* once by the contents, once by the chunks */
		v.total += kv_approximate_bytes(v.kv, FAMILY_CHUNK);
	chunks_keep(&store_contents(store)->chunks, true);
	v.snapshot = kv_snapshot_take(v.kv);
	r = verify_all(&v, e);
	kv_snapshot_release(v.kv, v.snapshot);
	chunks_keep(&store_contents(store)->chunks, false);
	buf_release(&v.value);
	buf_release(&v.past_name);
	*ret = v.report;
	if (r < 0)
		return r;
	if (v.report.damaged)
		return error_set(e, -E_FAILED_VERIFY, "%llu %s damaged", (unsigned long long)v.report.damaged,
				 v.report.damaged == 1 ? "thing is" : "things are");
	return 0;
}
