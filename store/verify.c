/* verify.c - see verify.h: the order of the stages, and what they share. */
#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "manifest.h"
#include "verify_parts.h"

#define TICKS_BETWEEN 512 /* records between two calls of progress(), */
#define TICK_BYTES (1u << 20) /* unless one was large */
#define SLICE_BYTES (256ull << 20)
#define SLICE_NS (5 * NS_PER_SECOND)
#define PACKING_NS (1 * NS_PER_SECOND) /* what it is given between two slices, when it waits */
#define FINDINGS_MAX (1u << 20) /* bytes of sentences that are kept */
#define NAP_NS 100000000ll

static void clean(char *text)
{
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
}

int verify_damage(struct verifier *v, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	clean(text);
	v->report.damaged++;
	if (v->keeping) {
		v->kept.damaged++;
		if (v->kept.findings.len < FINDINGS_MAX)
			buf_string(&v->kept.findings, view_str(text));
	}
	return v->finding(v->arg, text) ? 0 : -ECANCELED;
}

int verify_known(struct verifier *v, const char *format, ...)
{
	char text[1024];
	va_list ap;

	v->report.lost++;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	clean(text);
	return !v->options.known || v->options.known(v->arg, text) ? 0 : -ECANCELED;
}

static int stopped(struct error *e)
{
	return error_set(e, -ECANCELED, "the verification was stopped; --resume goes on from here");
}

static bool tell_progress(const struct verifier *v)
{
	return !v->progress || v->progress(v->arg, v->done + v->stage_done, v->total);
}

/* Waits until no more was read than the rate allows. */
static int keep_rate(const struct verifier *v, struct error *e)
{
	double allowed =
		v->options.rate_bytes ? (double)v->read / (double)v->options.rate_bytes : 0;
	int64_t until = v->started_ns + (int64_t)(allowed * (double)NS_PER_SECOND), now;

	while (v->options.rate_bytes && (now = clock_monotonic()) < until) {
		struct timespec nap = clock_timespec(until - now < NAP_NS ? until - now : NAP_NS);

		nanosleep(&nap, NULL);
		if (!tell_progress(v))
			return stopped(e);
	}
	return 0;
}

int verify_tick(struct verifier *v, uint64_t bytes, struct error *e)
{
	v->read += bytes;
	v->stage_done += bytes;
	if (v->stage_done > v->stage_total)
		v->stage_done = v->stage_total;
	if (v->ticks++ % TICKS_BETWEEN != 0 && bytes < TICK_BYTES)
		return 0;
	return tell_progress(v) ? keep_rate(v, e) : stopped(e);
}

static void next_stage(struct verifier *v, uint64_t bytes)
{
	v->done += v->stage_total;
	v->stage_done = 0;
	v->stage_total = bytes;
}

int verify_get(struct verifier *v, enum family family, struct key key, struct view *ret,
	       struct error *e)
{
	struct error why = { 0 };
	int r = kv_get(v->kv, v->snapshot, family, key_view(&key), &v->value, &why);

	*ret = buf_view(&v->value);
	if (r == -E_CORRUPT) {
		/* Named here, once; the caller then finds the record missing. */
		r = strcmp(v->unreadable, why.text) == 0 ? 0 : verify_damage(v, "%s", why.text);
		snprintf(v->unreadable, sizeof(v->unreadable), "%s", why.text);
		return r < 0 ? stopped(e) : 0;
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

static void begin_stage(struct verifier *v, enum family family)
{
	next_stage(v, kv_approximate_bytes(v->kv, family) +
			      (family == FAMILY_CONTENT && v->options.read_contents
				       ? kv_approximate_bytes(v->kv, FAMILY_CHUNK)
				       : 0));
}

/* Calls the visitor; a record that it was stopped at is as if not visited, and comes again. */
static int visit(struct verifier *v, struct verify_mark *mark, uint64_t number, verify_visitor each,
		 struct view key, struct view value, struct error *e)
{
	struct verify_kept before = v->kept;
	int r = each(v, key, value, e);

	if (mark && r == 0) {
		mark->next = number + 1;
	} else if (mark) {
		before.findings.data = v->kept.findings.data;
		before.findings.cap = v->kept.findings.cap;
		v->kept = before;
	}
	return r == 0 ? verify_tick(v, key.len + value.len, e) : r;
}

/* Walks on up to a slice: 1 when there is more, from mark->next or v->from on.  What cannot be read
 * is a finding and the end. */
static int walk(struct verifier *v, struct kv_iter *it, enum family family,
		struct verify_mark *mark, verify_visitor each, struct error *e)
{
	uint64_t begun = v->read;
	int64_t begun_ns = clock_monotonic();
	struct error why = { 0 };
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, &why)) > 0) {
		struct reader in = reader_of(key);
		uint64_t number = mark ? reader_u64(&in) : 0;

		if (v->read - begun >= SLICE_BYTES || clock_monotonic() - begun_ns >= SLICE_NS) {
			if (mark)
				mark->next = number;
			buf_clear(&v->from);
			buf_append(&v->from, key.data, key.len);
			r = buf_check(&v->from, e);
			return r < 0 ? r : 1;
		}
		r = visit(v, mark, number, each, key, value, e);
		if (mark)
			mark->bytes = v->stage_done;
		if (r < 0)
			return r == -ECANCELED ? stopped(e) : r;
	}
	if (r == -E_CORRUPT) {
		r = verify_damage(v, "the records %s cannot be read to their end: %s",
				  family_names[family], why.text);
		return r < 0 ? stopped(e) : 0;
	}
	if (r < 0 && e)
		*e = why;
	return r;
}

/* The newest change on the snapshot. */
static int find_head(struct verifier *v, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_LOG, view_of("", 0), true);
	struct view key;
	int r = kv_iter_next(it, &key, NULL, e);
	struct reader in = reader_of(r > 0 ? key : view_of("", 0));

	if (r > 0)
		v->head = reader_u64(&in);
	return r == -E_CORRUPT ? 0 : r < 0 ? r : 0; /* the walk over the log tells of it */
}

static int renew_snapshot(struct verifier *v, struct error *e)
{
	kv_snapshot_release(v->kv, v->snapshot);
	v->snapshot = NULL;
	int r = kv_snapshot_take(v->kv, &v->snapshot, e);
	return r < 0 ? r : find_head(v, e);
}

static int walk_slice(struct verifier *v, enum family family, struct verify_mark *mark,
		      verify_visitor each, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct key from = key_number(mark ? mark->next : 0);
	int r = renew_snapshot(v, e);

	if (r < 0)
		return r;
	it = kv_iter_open(v->kv, v->snapshot, family, view_of("", 0), false);
	kv_iter_seek(it, mark ? key_view(&from) : buf_view(&v->from));
	return walk(v, it, family, mark, each, e);
}

int verify_each(struct verifier *v, enum family family, verify_visitor each, struct error *e)
{
	int r = 1;

	begin_stage(v, family);
	buf_clear(&v->from);
	while (r > 0)
		r = walk_slice(v, family, NULL, each, e);
	return r;
}

/* Chunks that packing left over may be removed now. */
static int let_packing_on(struct verifier *v, struct error *e)
{
	struct chunks *chunks = &store_contents(v->store)->chunks;
	int64_t until = clock_monotonic() + PACKING_NS;

	while (atomic_load(&chunks->any_doomed) && clock_monotonic() < until) {
		struct timespec nap = { .tv_nsec = NAP_NS / 10 };

		nanosleep(&nap, NULL);
		if (!tell_progress(v))
			return stopped(e);
	}
	return 0;
}

int verify_each_sliced(struct verifier *v, enum family family, struct verify_mark *mark,
		       verify_visitor each, struct error *e)
{
	struct chunks *chunks = &store_contents(v->store)->chunks;
	int r = mark->next < UINT64_MAX;

	begin_stage(v, family);
	v->stage_done = mark->bytes < v->stage_total ? mark->bytes : v->stage_total;
	v->keeping = true;
	while (r > 0) {
		chunks_keep(chunks, true);
		r = walk_slice(v, family, mark, each, e);
		kv_snapshot_release(v->kv, v->snapshot);
		v->snapshot = NULL;
		chunks_keep(chunks, false);
		verify_kept_write(v, VERIFY_STOPPED);
		if (r > 0 && let_packing_on(v, e) < 0)
			r = stopped(e);
	}
	v->keeping = false;
	if (r == 0) {
		mark->through = mark->next;
		mark->next = UINT64_MAX;
	}
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
			 path.data ? (const char *)path.data : "", path.len ? "/" : "", length,
			 (const char *)name.data);
	return out;
}

static int table_read(void *arg, uint64_t bytes, struct error *e)
{
	return verify_tick(arg, bytes, e);
}

/* The tables' checksums: damage there names a file of the database. */
static int verify_tables(struct verifier *v, struct error *e)
{
	struct error why = { 0 };
	int r;

	for (int family = 0; family < FAMILY_COUNT; family++)
		v->stage_total += kv_approximate_bytes(v->kv, family);
	r = kv_check(v->kv, table_read, v, &why);
	snprintf(v->unreadable, sizeof(v->unreadable), "%s", r == -E_CORRUPT ? why.text : "");
	v->kept.tables = r == 0;
	if (r == -E_CORRUPT)
		return verify_damage(v, "%s", why.text);
	if (r < 0 && e)
		*e = why;
	return r;
}

/* Counts what lives, on one snapshot, which takes no longer than reading the two families. */
struct counts {
	uint64_t files, bytes, versions, version_bytes;
};

static void count_record(struct counts *counts, enum family family, struct view value)
{
	struct dirent_record d;
	struct inode_record inode;
	struct version_record version;

	if (family == FAMILY_DIRENT && dirent_decode(&d, value, NULL) == 0) {
		counts->files += d.type == S_IFREG;
	} else if (family == FAMILY_INODE && inode_decode(&inode, value, NULL) == 0) {
		counts->bytes += inode.nlink && S_ISREG(inode.mode) ? inode.size : 0;
	} else if (family == FAMILY_VERSION && version_decode(&version, value, NULL) == 0 &&
		   version_counts(&version)) {
		counts->versions++;
		counts->version_bytes += version.size;
	}
}

static int count_all(struct verifier *v, struct counts *ret, struct error *e)
{
	static const enum family families[] = { FAMILY_DIRENT, FAMILY_INODE, FAMILY_VERSION };
	struct view key, value;
	int r = 0;

	*ret = (struct counts){ 0 };
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++) {
		CLEANUP(kv_iter_release) struct kv_iter *it =
			kv_iter_open(v->kv, v->snapshot, families[i], view_of("", 0), false);

		while ((r = kv_iter_next(it, &key, &value, e)) > 0) {
			count_record(ret, families[i], value);
			if (v->ticks++ % TICKS_BETWEEN == 0 && !tell_progress(v))
				return stopped(e);
		}
	}
	return r;
}

/* The newest record of the log on the snapshot: 1 and *ret (valid as long as *memory), or 0. */
static int newest_record(struct verifier *v, struct log_record *ret, struct buf *memory,
			 struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(v->kv, v->snapshot, FAMILY_LOG, view_of(NULL, 0), true);
	struct view key, value;
	int r = kv_iter_next(it, &key, &value, e);

	if (r <= 0)
		return r;
	buf_append(memory, value.data, value.len);
	r = buf_check(memory, e);
	return r < 0 ? r : log_decode(ret, buf_view(memory), NULL) == 0;
}

static int check_count(struct verifier *v, const char *of, uint64_t number, uint64_t bytes,
		       uint64_t found, uint64_t found_bytes)
{
	if (number == found && bytes == found_bytes)
		return 0;
	return verify_damage(
		v, "the store counts %llu %s of %llu bytes, but there are %llu of %llu",
		(unsigned long long)number, of, (unsigned long long)bytes,
		(unsigned long long)found, (unsigned long long)found_bytes);
}

/* The counts that status shows, and the numbers that are given next, against what was counted. */
static int verify_counts(struct verifier *v, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct key unnamed = { .len = 6 };
	struct counts counts = { 0 };
	struct log_record head;
	struct view value;
	int r = renew_snapshot(v, e);

	if (r == 0)
		r = count_all(v, &counts, e);
	if (r == 0)
		r = newest_record(v, &head, &memory, e);
	if (r <= 0)
		return r == -E_CORRUPT ? 0 : r; /* was told where the records were checked */
	r = check_count(v, "live files", head.live_files, head.live_bytes, counts.files,
			counts.bytes);
	if (r == 0)
		r = check_count(v, "versions", head.versions, head.version_bytes, counts.versions,
				counts.version_bytes);
	if (r < 0)
		return r;
	memcpy(unnamed.bytes, "inodes", 6);
	r = verify_get(v, FAMILY_META, unnamed, &value, e);
	if (r < 0)
		return r;
	struct reader in = reader_of(r ? value : view_of(NULL, 0));
	uint64_t inode = r ? reader_varint(&in) : 0;
	inode = head.inode_next > inode ? head.inode_next : inode;
	if (!reader_done(&in) || inode <= v->inode_last || head.document_next <= v->document_last)
		return verify_damage(
			v, "the store would give numbers again: inode %llu, document %llu",
			(unsigned long long)inode, (unsigned long long)head.document_next);
	return 0;
}

/* What the verification that was stopped found where this one does not look again. */
static int tell_kept(struct verifier *v, struct error *e)
{
	struct reader in = reader_of(buf_view(&v->kept.findings));

	v->report.contents = v->kept.content_count;
	v->report.bytes = v->kept.byte_count;
	v->report.chunks = v->kept.chunk_count;
	v->report.damaged = v->kept.damaged;
	v->named_chunks = v->kept.named_chunks;
	while (reader_left(&in) > 0) {
		CLEANUP(buf_release) struct buf text = { 0 };
		struct view sentence = reader_string(&in);

		buf_append(&text, sentence.data, sentence.len);
		if (!v->finding(v->arg, buf_cstr(&text)))
			return stopped(e);
	}
	return 0;
}

static int verify_all(struct verifier *v, struct error *e)
{
	int r = tell_kept(v, e);

	if (r == 0 && v->options.read_contents && !v->options.only_new && !v->kept.tables)
		r = verify_tables(v, e);
	if (r == 0)
		r = verify_log(v, e);
	if (r == 0)
		r = verify_tree(v, e);
	if (r == 0)
		r = verify_versions(v, e);
	if (r == 0)
		r = verify_counts(v, e);
	return r == 0 ? verify_contents(v, e) : r;
}

static uint64_t total_bytes(struct kv *kv, bool read_contents)
{
	uint64_t all = 0, chunks = kv_approximate_bytes(kv, FAMILY_CHUNK);

	for (int family = 0; family < FAMILY_COUNT; family++)
		all += kv_approximate_bytes(kv, family);
	/* the tables; then what is in them, the chunks for the contents that have them and for
	 * themselves */
	return read_contents ? 2 * all + chunks : all;
}

/* What was read and is well needs not be read by the next quick one. */
static void keep_done(struct verifier *v)
{
	if (!v->options.only_new)
		verify_kept_remove(v);
	if (v->report.damaged)
		return;
	v->kept = (struct verify_kept){ .contents = { .next = v->kept.contents.through },
					.chunks = { .next = v->kept.chunks.through },
					.findings = v->kept.findings };
	buf_clear(&v->kept.findings);
	verify_kept_write(v, VERIFY_DONE);
}

int verify_store(struct store *store, const struct verify_options *options, verify_finding finding,
		 verify_progress progress, void *arg, struct verify_report *ret, struct error *e)
{
	struct verifier v = { .store = store,
			      .kv = store_kv(store),
			      .options = *options,
			      .finding = finding,
			      .progress = progress,
			      .arg = arg,
			      .started_ns = clock_monotonic() };
	int r;

	v.total = total_bytes(v.kv, options->read_contents && !options->only_new);
	if (options->only_new)
		verify_kept_read(&v, VERIFY_DONE);
	else if (options->read_contents && options->resume)
		verify_kept_read(&v, VERIFY_STOPPED);
	else if (options->read_contents)
		verify_kept_remove(&v);
	r = verify_all(&v, e);
	kv_snapshot_release(v.kv, v.snapshot);
	if (options->read_contents && r == 0)
		keep_done(&v);
	buf_release(&v.from);
	buf_release(&v.value);
	buf_release(&v.led);
	buf_release(&v.past_name);
	buf_release(&v.gaps);
	buf_release(&v.kept.findings);
	*ret = v.report;
	if (r < 0)
		return r;
	if (v.report.damaged)
		return error_set(e, -E_FAILED_VERIFY, "%llu %s damaged",
				 (unsigned long long)v.report.damaged,
				 v.report.damaged == 1 ? "thing is" : "things are");
	return 0;
}
