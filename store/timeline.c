/* timeline.c - see timeline.h.  Everything is found by seeking; what is walked is what is listed,
 * and the names of one directory that ended before. */
#include "timeline.h"

#include <limits.h>
#include <stdlib.h>

#include "changelog.h"
#include "clock.h"
#include "internal.h"
#include "lineage.h"

/* --- instants --- */

static int store_begins_later(struct error *e)
{
	return error_set(e, -E_TIME_RANGE, "the store began after that time");
}

int timeline_instant(struct store *store, int64_t time_ns, uint64_t *ret_change, struct error *e)
{
	struct view key, value;
	uint64_t head;
	int64_t head_time;
	int rc;

	if (time_ns < 0)
		return store_begins_later(e);
	store_head(store, &head, &head_time);
	if (time_ns / NS_PER_SECOND >= head_time / NS_PER_SECOND) {
		*ret_change = head; /* the newest second has no entry yet */
		return 0;
	}
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store_kv(store), NULL, FAMILY_CLOCK, view_of("", 0), true);
	struct key second = key_number((uint64_t)(time_ns / NS_PER_SECOND));
	kv_iter_seek(it, key_view(&second));
	rc = kv_iter_next(it, &key, &value, e);
	if (rc == 0)
		return store_begins_later(e);
	if (rc < 0)
		return rc;
	struct reader r = reader_of(value);
	uint64_t change = reader_varint(&r);
	if (!reader_done(&r))
		return error_set(e, -E_CORRUPT, "an entry of the clock index is damaged");
	*ret_change = change;
	return 0;
}

int timeline_time(struct store *store, uint64_t change, int64_t *ret_ns, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(change);
	struct log_record record;
	int rc = kv_get(store_kv(store), NULL, FAMILY_LOG, key_view(&key), &value, e);

	if (rc == 0)
		return error_set(e, -E_TIME_RANGE, "there is no change %llu",
				 (unsigned long long)change);
	if (rc > 0)
		rc = log_decode(&record, buf_view(&value), e);
	if (rc == 0)
		*ret_ns = record.time;
	return rc;
}

/* A walk of the changes in and below a directory, newest first. */
struct under_walk {
	struct store *store;
	struct log_walk *log;
	uint64_t change;
	int64_t time;
};

static void under_open(struct under_walk *w, struct store *store, uint64_t dir)
{
	struct log_query query = { .under = dir };

	*w = (struct under_walk){ .store = store, .log = changelog_walk(store, &query) };
}

static void under_release(struct under_walk *w)
{
	changelog_walk_close(w->log);
}

/* Moves to the next older change: 1, 0 at the end, or a code. */
static int under_next(struct under_walk *w, struct error *e)
{
	struct log_record record;
	int rc = changelog_walk_next(w->log, &record, e);

	if (rc > 0) {
		w->change = record.change;
		w->time = record.time;
	}
	return rc;
}

int timeline_newest(struct store *store, uint64_t dir, uint64_t *ret_change, int64_t *ret_time,
		    struct error *e)
{
	CLEANUP(under_release) struct under_walk w;

	under_open(&w, store, dir);
	int rc = under_next(&w, e);
	if (rc < 0)
		return rc;
	*ret_change = w.change;
	*ret_time = w.time;
	return 0;
}

/* Moves to the newest change at or before time_ns. */
static int under_seek(struct under_walk *w, int64_t time_ns, struct error *e)
{
	uint64_t change;
	int rc = timeline_instant(w->store, time_ns, &change, e);

	if (rc == -E_TIME_RANGE)
		return 0;
	if (rc < 0)
		return rc;
	changelog_walk_seek(w->log, change);
	return under_next(w, e);
}

static int64_t period_start(int64_t ns, int64_t seconds)
{
	int64_t length = seconds * NS_PER_SECOND;

	return ns / length * length;
}

/* Moves to the newest change before the period (of `seconds`, counted from 1970) that the walk
 * stands in. */
static int under_leave(struct under_walk *w, int64_t seconds, struct error *e)
{
	int64_t start = period_start(w->time, seconds);
	int rc = 1;

	/* A few steps are cheaper than a seek, and mostly enough. */
	for (int steps = 0; rc > 0 && w->time >= start && steps < 4; steps++)
		rc = under_next(w, e);
	return rc > 0 && w->time >= start ? under_seek(w, start - 1, e) : rc;
}

/* Lists one instant for each period of `seconds`, at most max; *more tells whether the walk stands
 * on another. */
static int list_periods(struct under_walk *w, int64_t seconds, int64_t *times, size_t max,
			bool *more, struct error *e)
{
	size_t n = 0;
	int rc = 1;

	while (*more && n < max) {
		times[n++] = period_start(w->time, 1);
		rc = under_leave(w, seconds, e);
		if (rc < 0)
			return rc;
		*more = rc > 0;
	}
	return (int)n;
}

/* The newest 512 when that is all there is; else the newest half, then one an hour, one a day, one
 * a week. */
int timeline_instants(struct store *store, uint64_t dir, int64_t *times, size_t max,
		      struct error *e)
{
	CLEANUP(under_release) struct under_walk w;
	static const int64_t periods[] = { 3600, 86400, 7 * 86400 };
	size_t shares[] = { max * 3 / 16, max * 3 / 16, max - max / 2 - 2 * (max * 3 / 16) };
	int rc, n;

	under_open(&w, store, dir);
	rc = under_next(&w, e);
	bool more = rc > 0;

	if (rc < 0)
		return rc;
	n = list_periods(&w, 1, times, max, &more, e);
	if (n < 0 || !more)
		return n;
	n = (int)(max / 2);
	rc = n > 0 ? under_seek(&w, times[n - 1] - 1, e) : 0;
	for (size_t i = 0; i < 3 && rc > 0; i++) {
		more = true;
		rc = list_periods(&w, periods[i], times + n, shares[i], &more, e);
		if (rc < 0)
			return rc;
		n += rc;
		rc = more;
	}
	return rc < 0 ? rc : n;
}

/* --- names --- */

static int damaged_name(uint64_t parent, struct error *e)
{
	return error_set(e, -E_CORRUPT, "an entry of directory %llu is damaged",
			 (unsigned long long)parent);
}

/* A name of a directory, where the store keeps it. */
struct slot {
	uint64_t cookie;
	size_t len;
	char name[NAME_LEN_MAX];
};

/* A walk of the live names of a directory, or of its past intervals, in order of cookie and
 * name. */
struct name_walk {
	struct kv_iter *it;
	uint64_t parent;
	bool past, at_end;
	struct slot slot;
	struct dirent_record dirent;
};

static struct view slot_name(const struct slot *slot)
{
	return view_of(slot->name, slot->len);
}

static int slot_order(const struct slot *a, const struct slot *b)
{
	if (a->cookie != b->cookie)
		return a->cookie < b->cookie ? -1 : 1;
	return view_order(slot_name(a), slot_name(b));
}

/* Whether an interval began when its key says: walks count on it to move on. */
static bool is_in_order(const struct name_walk *w, struct view key)
{
	struct reader r = reader_of(view_of((const uint8_t *)key.data + key.len - 8, 8));

	return !w->past || (w->dirent.since > 0 && w->dirent.since == ~reader_u64(&r));
}

/* Moves on: 0 (then it stands somewhere or at_end is set) or a code. */
static int name_next(struct name_walk *w, struct error *e)
{
	struct view key, value;
	int rc = w->at_end ? 0 : kv_iter_next(w->it, &key, &value, e);

	w->at_end = rc <= 0;
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(key);
	size_t tail = w->past ? 9 : 0; /* a NUL and ~since */
	reader_u64(&r);
	w->slot.cookie = reader_u64(&r);
	size_t left = reader_left(&r);
	struct view name = reader_bytes(&r, left > tail ? left - tail : 0);
	if (r.failed || !key_name_is_sound(name))
		return damaged_name(w->parent, e);
	w->slot.len = name.len;
	view_copy(w->slot.name, name);
	rc = dirent_decode(&w->dirent, value, e);
	if (rc < 0)
		return error_prefix(e, rc, "directory %llu", (unsigned long long)w->parent);
	return is_in_order(w, key) ? 0 : damaged_name(w->parent, e);
}

/* Opens a walk that begins after cookie (0: with the first). */
static int name_walk_open(struct store *store, const struct kv_snapshot *snapshot, bool past,
			  uint64_t parent, uint64_t cookie, struct name_walk *w, struct error *e)
{
	struct key prefix = key_number(parent), from = key_numbers(parent, cookie + 1);

	w->past = past;
	w->parent = parent;
	w->it = kv_iter_open(store_kv(store), snapshot, past ? FAMILY_PAST_DIRENT : FAMILY_DIRENT,
			     key_view(&prefix), false);
	if (cookie)
		kv_iter_seek(w->it, key_view(&from));
	return name_next(w, e);
}

/* Opens a walk of one name's past intervals, newest first. */
static int slot_walk_open(struct store *store, uint64_t parent, struct view name, uint64_t since,
			  struct name_walk *w, struct error *e)
{
	struct key from = key_past_name(parent, store_cookie(store, name), name, since),
		   prefix = from;

	prefix.len -= 8;
	w->past = true;
	w->parent = parent;
	w->it = kv_iter_open(store_kv(store), NULL, FAMILY_PAST_DIRENT, key_view(&prefix), false);
	kv_iter_seek(w->it, key_view(&from));
	return name_next(w, e);
}

static void name_walk_release(struct name_walk *w)
{
	kv_iter_close(w->it);
}

static bool stands_on(const struct name_walk *w, const struct slot *slot)
{
	return !w->at_end && slot_order(&w->slot, slot) == 0;
}

/* Moves on within a past walk to the interval of slot that began at or before `since`, or past the
 * slot. */
static int slot_skip(struct name_walk *w, const struct slot *slot, uint64_t since, struct error *e)
{
	int rc = 0;

	for (int steps = 0; rc == 0 && stands_on(w, slot) && w->dirent.since > since; steps++) {
		struct key key = key_past_name(w->parent, slot->cookie, slot_name(slot), since);

		/* Names have mostly lived once; one much used is left by a seek. */
		if (steps == 2)
			kv_iter_seek(w->it, key_view(&key));
		rc = name_next(w, e);
	}
	return rc;
}

/* Leaves the slot that the past walk stands on; 1 and *ret when its name was there at the instant,
 * else 0. */
static int past_state(struct name_walk *w, uint64_t at, struct dirent_record *ret, struct error *e)
{
	struct slot slot = w->slot;
	int rc = slot_skip(w, &slot, at, e), found = 0;

	if (rc == 0 && stands_on(w, &slot)) {
		found = at < w->dirent.until;
		*ret = w->dirent;
		rc = slot_skip(w, &slot, 0, e);
	}
	return rc < 0 ? rc : found;
}

/* Both walks of a directory, as of one snapshot. */
struct directory_walk {
	struct store *store;
	struct kv_snapshot *snapshot;
	struct name_walk live, past;
};

static void directory_walk_release(struct directory_walk *d)
{
	name_walk_release(&d->live);
	name_walk_release(&d->past);
	kv_snapshot_release(store_kv(d->store), d->snapshot);
}

static int directory_walk_open(struct directory_walk *d, uint64_t parent, uint64_t cookie,
			       struct error *e)
{
	int rc = kv_snapshot_take(store_kv(d->store), &d->snapshot, e);

	if (rc == 0)
		rc = name_walk_open(d->store, d->snapshot, false, parent, cookie, &d->live, e);
	return rc < 0 ? rc
		      : name_walk_open(d->store, d->snapshot, true, parent, cookie, &d->past, e);
}

static bool directory_at_end(const struct directory_walk *d)
{
	return d->live.at_end && d->past.at_end;
}

/* Whose slot comes first: negative the live walk's, positive the past walk's, 0 both stand on
 * it. */
static int directory_order(const struct directory_walk *d)
{
	if (d->live.at_end || d->past.at_end)
		return d->live.at_end - d->past.at_end;
	return slot_order(&d->live.slot, &d->past.slot);
}

/* Leaves the first slot; 1, *ret_slot and *ret when its name was there at the instant, else 0. */
static int directory_state(struct directory_walk *d, uint64_t at, struct slot *ret_slot,
			   struct dirent_record *ret, struct error *e)
{
	int order = directory_order(d), rc = 0, found = 0;

	*ret_slot = order <= 0 ? d->live.slot : d->past.slot;
	if (order >= 0)
		rc = found = past_state(&d->past, at, ret, e);
	if (rc < 0 || order > 0)
		return rc;
	if (d->live.dirent.since <= at) {
		*ret = d->live.dirent;
		found = 1;
	}
	rc = name_next(&d->live, e);
	return rc < 0 ? rc : found;
}

int timeline_readdir(struct store *store, uint64_t at, uint64_t parent, uint64_t cookie,
		     dirent_visitor each, void *arg, struct error *e)
{
	CLEANUP(directory_walk_release) struct directory_walk d = { .store = store };
	int rc = directory_walk_open(&d, parent, cookie, e);

	while (rc >= 0 && !directory_at_end(&d)) {
		struct dirent_record then;
		struct slot slot;

		rc = directory_state(&d, at, &slot, &then, e);
		if (rc > 0 && !each(arg, slot_name(&slot), slot.cookie, &then))
			return 0;
	}
	return rc < 0 ? rc : 0;
}

int timeline_lookup(struct store *store, uint64_t at, uint64_t parent, struct view name,
		    struct dirent_record *ret, struct error *e)
{
	CLEANUP(name_walk_release) struct name_walk w = { 0 };
	int rc = namespace_lookup(store, parent, name, ret, e);

	if (rc == 0 && ret->since <= at)
		return 0;
	if (rc == 0 || rc == -E_NO_ENTRY)
		rc = slot_walk_open(store, parent, name, at, &w, e);
	if (rc < 0)
		return rc;
	if (w.at_end || at >= w.dirent.until)
		return error_set(e, -E_NO_ENTRY, "%.*s: was not there then", (int)name.len,
				 (const char *)name.data);
	*ret = w.dirent;
	return 0;
}

/* Copies an encoded record, or a held inode's, so that it outlives what it came from. */
static int copy_inode(struct view encoded, const struct inode *inode, struct inode_record *ret,
		      struct buf *memory, struct error *e)
{
	buf_clear(memory);
	if (inode)
		inode_encode(memory, &inode->r);
	else
		buf_append(memory, encoded.data, encoded.len);
	int rc = buf_check(memory, e);
	return rc < 0 ? rc : inode_decode(ret, buf_view(memory), e);
}

int timeline_inode(struct store *store, uint64_t at, uint64_t ino, struct inode_record *ret,
		   struct buf *memory, struct error *e)
{
	CLEANUP(inode_release) struct inode *live = NULL;
	struct key prefix = key_number(ino), from = key_numbers(ino, ~at);
	struct view key, value;
	int rc = inode_get(store, ino, &live, e);

	if (rc == 0 && live->r.since <= at)
		return copy_inode(view_of(NULL, 0), live, ret, memory, e);
	if (rc < 0 && rc != -E_STALE)
		return rc;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store_kv(store), NULL, FAMILY_PAST_INODE, key_view(&prefix), false);
	kv_iter_seek(it, key_view(&from));
	rc = kv_iter_next(it, &key, &value, e);
	if (rc == 0)
		return error_set(e, -E_STALE, "inode %llu did not exist then",
				 (unsigned long long)ino);
	return rc < 0 ? rc : copy_inode(value, NULL, ret, memory, e);
}

/* Gives the past walk's newest intervals of slot and leaves it: 1, 0 when each() stopped, or a
 * code. */
static int give_past(struct name_walk *w, const struct slot *slot, unsigned most,
		     dirent_visitor each, void *arg, struct error *e)
{
	int rc = 0;

	for (; rc == 0 && most > 0 && stands_on(w, slot); most--) {
		if (!each(arg, slot_name(slot), slot->cookie, &w->dirent))
			return 0;
		rc = name_next(w, e);
	}
	if (rc == 0)
		rc = slot_skip(w, slot, 0, e);
	return rc < 0 ? rc : 1;
}

int timeline_name(struct store *store, uint64_t parent, struct view name, dirent_visitor each,
		  void *arg, struct error *e)
{
	CLEANUP(name_walk_release) struct name_walk w = { 0 };
	struct dirent_record live;
	int rc = namespace_lookup(store, parent, name, &live, e);

	if (rc == 0 && !each(arg, name, store_cookie(store, name), &live))
		return 0;
	if (rc == 0 || rc == -E_NO_ENTRY)
		rc = slot_walk_open(store, parent, name, UINT64_MAX, &w, e);
	if (rc == 0 && !w.at_end) {
		struct slot slot = w.slot;

		rc = give_past(&w, &slot, UINT_MAX, each, arg, e);
	}
	return rc < 0 ? rc : 0;
}

int timeline_names(struct store *store, uint64_t parent, uint64_t cookie, unsigned most,
		   dirent_visitor each, void *arg, struct error *e)
{
	CLEANUP(directory_walk_release) struct directory_walk d = { .store = store };
	int rc = directory_walk_open(&d, parent, cookie, e);

	while (rc >= 0 && !directory_at_end(&d)) {
		int order = directory_order(&d);
		struct slot slot = order <= 0 ? d.live.slot : d.past.slot;

		if (order <= 0 && !each(arg, slot_name(&slot), slot.cookie, &d.live.dirent))
			return 0;
		if (order <= 0)
			rc = name_next(&d.live, e);
		if (rc < 0 || order < 0)
			continue;
		rc = give_past(&d.past, &slot, order == 0 ? most - 1 : most, each, arg, e);
		if (rc == 0)
			return 0;
	}
	return rc < 0 ? rc : 0;
}

int timeline_cookie_name(struct store *store, uint64_t parent, uint64_t cookie,
			 struct buf *ret_name, struct error *e)
{
	CLEANUP(directory_walk_release) struct directory_walk d = { .store = store };
	int rc = directory_walk_open(&d, parent, cookie - 1, e);

	if (rc < 0)
		return rc;
	const struct name_walk *first = directory_order(&d) <= 0 ? &d.live : &d.past;
	if (first->at_end || first->slot.cookie != cookie)
		return error_set(e, -E_NO_ENTRY, "no name has that number");
	buf_clear(ret_name);
	buf_append(ret_name, first->slot.name, first->slot.len);
	return buf_check(ret_name, e);
}

/* --- versions of a name --- */

/* A document that the name shows, up to when it left: versions made before both limits. */
struct name_document {
	uint64_t doc, change_limit;
	int64_t time_limit;
};

struct found_version {
	uint64_t doc, number, change;
	size_t at, len; /* the encoded record */
};

struct name_history {
	struct store *store;
	uint64_t parent;
	struct view name;
	bool scratch, failed;
	int64_t now;
	size_t doc_count, version_count, version_room;
	struct name_document *docs;
	struct found_version *versions;
	struct buf records;
};

static void name_history_release(struct name_history *h)
{
	free(h->docs);
	free(h->versions);
	buf_release(&h->records);
}

/* Adds a document, or widens what is shown of it. */
static void add_document(struct name_history *h, uint64_t doc, uint64_t change_limit,
			 int64_t time_limit)
{
	struct name_document *d = h->docs, *grown;

	for (; d < h->docs + h->doc_count; d++) {
		if (d->doc != doc)
			continue;
		d->change_limit = change_limit > d->change_limit ? change_limit : d->change_limit;
		d->time_limit = time_limit > d->time_limit ? time_limit : d->time_limit;
		return;
	}
	grown = reallocarray(h->docs, h->doc_count + 1, sizeof(*h->docs));
	h->failed |= !grown;
	if (!grown)
		return;
	h->docs = grown;
	h->docs[h->doc_count++] = (struct name_document){ .doc = doc,
							  .change_limit = change_limit,
							  .time_limit = time_limit };
}

static bool add_interval(void *arg, struct view name, uint64_t cookie,
			 const struct dirent_record *dirent)
{
	struct name_history *h = arg;

	(void)name;
	(void)cookie;
	if (dirent->doc)
		add_document(h, dirent->doc, dirent->until ? dirent->until : UINT64_MAX, INT64_MAX);
	return !h->failed;
}

static bool is_hidden(struct name_history *h, uint64_t doc, const struct document_record *document)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record head = { 0 };

	if (h->scratch || document->ino)
		return false;
	if (document->head)
		version_get(h->store, doc, document->head, &head, &memory, NULL);
	return lineage_is_hidden(document, head.size, h->now);
}

struct collect {
	struct name_history *history;
	struct name_document document;
};

static bool collect_version(void *arg, uint64_t number, const struct version_record *version)
{
	struct collect *c = arg;
	struct name_history *h = c->history;
	size_t at = h->records.len;

	if (version->change >= c->document.change_limit || version->time >= c->document.time_limit)
		return true;
	if (h->version_count == h->version_room) {
		size_t room = h->version_room * 2 + 16;
		void *grown = reallocarray(h->versions, room, sizeof(*h->versions));

		h->failed |= !grown;
		if (!grown)
			return false;
		h->versions = grown;
		h->version_room = room;
	}
	version_encode(&h->records, version);
	h->failed |= h->records.failed;
	h->versions[h->version_count++] =
		(struct found_version){ c->document.doc, number, version->change, at,
					h->records.len - at };
	return !h->failed;
}

/* Adds the versions of document i, and behind it the document that it succeeded (L4). */
static int collect_document(struct name_history *h, size_t i, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record document;
	struct name_document d = h->docs[i];
	int rc = document_get(h->store, d.doc, &document, &memory, e);

	if (rc < 0)
		return rc;
	if (document.pred)
		add_document(h, document.pred, UINT64_MAX, document.born);
	if (!document.ino && document.parent == h->parent && view_equal(document.name, h->name))
		d.change_limit = UINT64_MAX; /* it ended here; a save may have come after unlink */
	if (is_hidden(h, d.doc, &document))
		return 0;
	struct collect c = { h, d };
	return version_each(h->store, d.doc, 0, collect_version, &c, e);
}

static int newest_first(const void *a, const void *b)
{
	const struct found_version *x = a, *y = b;

	if (x->change != y->change)
		return x->change > y->change ? -1 : 1;
	return x->doc != y->doc ? (x->doc > y->doc ? -1 : 1) : 0;
}

int timeline_name_versions(struct store *store, uint64_t parent, struct view name, bool scratch,
			   name_version_visitor each, void *arg, struct error *e)
{
	CLEANUP(name_history_release) struct name_history h = { .store = store, .parent = parent,
								.name = name, .scratch = scratch,
								.now = clock_now() };
	int rc = timeline_name(store, parent, name, add_interval, &h, e);

	for (size_t i = 0; rc >= 0 && i < h.doc_count; i++)
		rc = collect_document(&h, i, e);
	if (rc >= 0 && h.failed)
		rc = error_set(e, -E_NO_MEMORY, "out of memory for the versions of a name");
	if (rc < 0)
		return rc;
	if (h.version_count)
		qsort(h.versions, h.version_count, sizeof(*h.versions), newest_first);
	for (size_t i = 0; i < h.version_count; i++) {
		struct found_version *v = &h.versions[i];
		struct version_record version;
		struct name_version shown = { v->doc, v->number, &version };

		rc = version_decode(&version, view_of(h.records.data + v->at, v->len), e);
		if (rc < 0)
			return rc;
		if (!each(arg, &shown))
			break;
	}
	return 0;
}

int timeline_conflicts(struct store *store, uint64_t dir, conflict_visitor each, void *arg,
		       struct error *e)
{
	struct key prefix = key_number(dir);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store_kv(store), NULL, FAMILY_CONFLICT, key_view(&prefix), true);
	struct view key, value;
	int rc;

	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader r = reader_of(key);
		struct conflict_record conflict;

		reader_u64(&r);
		uint64_t change = reader_u64(&r);
		if (!reader_done(&r))
			return error_set(e, -E_CORRUPT, "a conflict of directory %llu is damaged",
					 (unsigned long long)dir);
		rc = conflict_decode(&conflict, value, e);
		if (rc < 0)
			return rc;
		if (!each(arg, change, &conflict))
			return 0;
	}
	return rc;
}
