/* pack.c - see pack.h: which versions are packed, in which order, and when it is worth it;
 * pack_segment.c does it. */
#include "pack.h"

#include <errno.h>
#include <stdlib.h>

#include "changelog.h"
#include "clock.h"
#include "internal.h"
#include "manifest.h"
#include "pack_segment.h"
#include "sweep.h"
#include "version.h"

#define GROUP 256             /* versions between two that are packed against nothing */
#define DOCUMENTS_MANY 64     /* looked at before the progress is written */
#define CHANGES_MANY 4096
#define SWEEP_WORTH 32        /* bytes to be read for a byte removed */

/* A version as packing sees it. */
struct candidate {
	uint64_t number, content, segment; /* segment 0: is not one segment, or too large */
	int64_t time;
	struct digest digest;
};

struct packing {
	struct store *store;
	const struct pack_options *options;
	struct pack_report *report;
	struct packing_record state;
	uint64_t through;           /* changes seen to, this time */
	uint64_t head;
	int64_t old_ns;             /* what was superseded before is old */
	uint64_t documents[DOCUMENTS_MANY];
	size_t document_count;
	struct candidate *at;       /* the document's versions, newest first */
	size_t count, room;
};

/* ---- state ---- */

int pack_facts(struct store *store, struct packing_record *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int r = kv_get(store->kv, NULL, FAMILY_META, view_str("packing"), &value, e);

	*ret = (struct packing_record){ 0 };
	return r <= 0 ? r : packing_decode(ret, buf_view(&value), e);
}

static int put_state(struct packing *p, struct kv_batch *batch, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	packing_encode(&value, &p->state);
	kv_batch_put(batch, FAMILY_META, view_str("packing"), buf_view(&value));
	return buf_check(&value, e);
}

static int write_state(struct packing *p, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	int r = p->options->dry_run ? 0 : put_state(p, &batch, e);

	return r < 0 || p->options->dry_run ? r : kv_write(p->store->kv, &batch, e);
}

static int breathe(struct packing *p, struct error *e)
{
	return p->options->pause(p->options->arg, p->through, p->head)
		       ? 0
		       : error_set(e, -ECANCELED, "stopped");
}

/* ---- one document ---- */

static bool add_candidate(struct packing *p, uint64_t number, const struct version_record *v)
{
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct candidate *wide = realloc(p->at, room * sizeof(*wide));

		if (!wide)
			return false;
		p->at = wide;
		p->room = room;
	}
	p->at[p->count++] = (struct candidate){
		.number = number, .content = v->content, .time = v->time, .digest = v->digest
	};
	return true;
}

struct listing {
	struct packing *p;
	uint64_t stop;   /* the last number that matters, once it is known */
	uint64_t through;
	bool failed;
};

/* Versions up to `through` were packed among themselves; only their last group may find better
 * bases. */
static bool list_version(void *arg, uint64_t number, const struct version_record *v)
{
	struct listing *l = arg;

	if (number <= l->stop)
		return false;
	if (!l->stop && v->change <= l->through)
		l->stop = (number - 1) / GROUP * GROUP;
	l->failed = !add_candidate(l->p, number, v);
	return !l->failed;
}

/* Whether version c of document doc is to be packed here: not live anywhere, and in no older
 * document. */
static int is_ours(struct packing *p, uint64_t doc, const struct candidate *c, struct error *e)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(p->store->kv, NULL, FAMILY_BY_DIGEST,
					  view_of(&c->digest, DIGEST_LEN), false);
	struct view key;
	int r;

	while ((r = kv_iter_next(it, &key, NULL, e)) == 1) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct reader in = reader_of(key);
		struct document_record d;

		reader_bytes(&in, DIGEST_LEN);
		uint64_t other = reader_u64(&in), number = reader_u64(&in);
		if (!reader_done(&in) || other < doc)
			return 0;
		r = document_get(p->store, other, &d, &memory, e);
		if (r == -E_NO_VERSION)
			continue;
		if (r < 0)
			return r;
		if (d.head == number && (d.ino || other == doc))
			return 0;
	}
	return r < 0 ? r : 1;
}

/* The number of the version that k is packed against, of n there are; 0: against nothing. */
static uint64_t base_number(uint64_t k, uint64_t n)
{
	uint64_t step = k & -k;

	if (k % GROUP == 0)
		return 0;
	while (step > 1 && (k + step > n))
		step /= 2;
	return k + step <= n ? k + step : 0;
}

/* The candidate to pack at[i] against: that number, or the next newer one that will do.  -1:
 * none. */
static ptrdiff_t find_base(const struct packing *p, size_t i)
{
	uint64_t wanted = base_number(p->at[i].number, p->at[0].number);

	if (!wanted)
		return -1;
	for (size_t k = i; k-- > 0;) {
		if (p->at[k].number >= wanted && p->at[k].segment &&
		    p->at[k].segment != p->at[i].segment)
			return (ptrdiff_t)k;
	}
	return -1;
}

/* Whether a newer version listed here has the same bytes: then they are seen to there. */
static bool is_seen(const struct packing *p, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (p->at[k].content == p->at[i].content)
			return true;
	}
	return false;
}

static int pack_candidate(struct packing *p, uint64_t doc, size_t i, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct content_store *cs = p->store->contents;
	struct segment_packing s = {
		.cs = cs, .doc = doc, .segment = p->at[i].segment, .newest = p->at[0].segment
	};
	ptrdiff_t base = find_base(p, i);

	s.base = base < 0 ? 0 : p->at[base].segment;
	int r = segment_pack(&s, &batch, e);
	if (r <= 0)
		return r;
	p->report->packed++;
	p->report->bytes += s.size;
	p->report->before += s.before;
	p->report->after += s.after;
	p->state.segments += !s.repacked;
	p->state.bytes += s.repacked ? 0 : s.size;
	p->state.stored += s.after - (s.repacked ? s.before : 0);
	p->state.unswept += s.left;
	if (p->options->dry_run)
		return 0;
	r = put_state(p, &batch, e);
	return r < 0 ? r : segment_repack_commit(&s, &batch, e);
}

static int find_segment(struct packing *p, struct candidate *c, struct error *e)
{
	struct pieces *manifest;
	int r = manifest_load(p->store->contents, c->content, &manifest, e);

	if (r < 0)
		return r;
	if (manifest->count == 1 && manifest->data == manifest->size &&
	    manifest->size <= PACK_BYTES_MAX)
		c->segment = manifest->at[0].id;
	manifest_drop(p->store->contents, manifest);
	return 0;
}

static int pack_listed(struct packing *p, uint64_t doc, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		r = find_segment(p, &p->at[i], e);
		if (r < 0 || i == 0 || !p->at[i].segment || p->at[i - 1].time > p->old_ns ||
		    is_seen(p, i))
			continue;
		r = is_ours(p, doc, &p->at[i], e);
		if (r == 1)
			r = pack_candidate(p, doc, i, e);
		if (r == 0)
			r = breathe(p, e);
	}
	return r;
}

static int pack_document(struct packing *p, uint64_t doc, uint64_t through, struct error *e)
{
	struct listing listing = { .p = p, .through = through };

	p->count = 0;
	int r = version_each(p->store, doc, 0, list_version, &listing, e);
	if (r == 0 && listing.failed)
		r = error_set(e, -E_NO_MEMORY, "out of memory");
	p->report->documents++;
	if (r == 0)
		r = pack_listed(p, doc, e);
	/* Damage is verify's to tell; what is whole goes on being packed. */
	return r == -E_CORRUPT || r == -E_FORMAT_NEWER ? 0 : r;
}

/* ---- all that changed ---- */

/* Notes the documents of changes after p->through that are old enough: 1 when there may be more, 0
 * at the end. */
static int collect(struct packing *p, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };

	p->document_count = 0;
	for (int n = 0; n < CHANGES_MANY && p->document_count < DOCUMENTS_MANY; n++) {
		struct log_record record;
		size_t i;

		if (p->through >= p->head)
			return 0;
		int r = changelog_get(p->store, p->through + 1, &record, &memory, e);
		if (r < 0)
			return r;
		if (record.time > p->old_ns)
			return 0;
		p->through++;
		for (i = 0; i < p->document_count && p->documents[i] != record.doc; i++)
			;
		if (record.doc && record.version && i == p->document_count)
			p->documents[p->document_count++] = record.doc;
	}
	return 1;
}

static int pack_changes(struct packing *p, struct error *e)
{
	int more = 1, r = 0;

	while (r == 0 && more) {
		uint64_t through = p->through;

		more = collect(p, e);
		if (more < 0)
			return more;
		for (size_t i = 0; r == 0 && i < p->document_count; i++)
			r = pack_document(p, p->documents[i], through, e);
		if (r == 0 && p->through > p->state.through) {
			p->state.through = p->through;
			r = write_state(p, e);
		}
		if (r == 0)
			r = breathe(p, e);
	}
	return r;
}

/* ---- sweeping ---- */

static bool sweep_breathe(void *arg)
{
	return breathe(arg, NULL) == 0;
}

static int sweep(struct packing *p, struct error *e)
{
	struct kv *kv = p->store->kv;
	uint64_t cost = kv_approximate_bytes(kv, FAMILY_SEGMENT) +
			kv_approximate_bytes(kv, FAMILY_CHUNK_NAME);

	if (p->options->dry_run ||
	    (!p->options->all && (p->state.unswept == 0 || p->state.unswept * SWEEP_WORTH < cost)))
		return 0;
	int r = sweep_run(p->store->contents, sweep_breathe, p, &p->report->removed, e);
	if (r < 0)
		return r;
	p->state.unswept = 0;
	return write_state(p, e);
}

static int run(struct packing *p, struct error *e)
{
	int r = pack_facts(p->store, &p->state, e);

	store_head(p->store, &p->head, &p->old_ns);
	p->old_ns = clock_now() - p->options->age_ns;
	p->through = p->options->all ? 0 : p->state.through;
	if (r == 0 && recode_is_sound())
		r = pack_changes(p, e);
	return r < 0 ? r : sweep(p, e);
}

int pack_run(struct store *store, const struct pack_options *options, struct pack_report *ret,
	     struct error *e)
{
	struct packing p = { .store = store, .options = options, .report = ret };

	*ret = (struct pack_report){ 0 };
	if (store->read_only && !options->dry_run)
		return error_set(e, -E_READ_ONLY, "the store was opened for reading only");
	if (atomic_flag_test_and_set(&store->packing))
		return error_set(e, -E_LOCKED, "this store is being packed already");
	int r = run(&p, e);
	atomic_flag_clear(&store->packing);
	free(p.at);
	return r;
}
