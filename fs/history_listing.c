/* history_listing.c - listings of folders whose names are made up, and the few that are kept in
 * memory. */
#include <stdlib.h>

#include "history_tree.h"
#include "store/timeline.h"

struct listing *listing_new(void)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (l)
		l->refs = 1;
	return l;
}

void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->entries);
	free(l->by_name);
	buf_release(&l->names);
	free(l);
}

struct view listing_name(const struct listing *l, const struct listing_entry *entry)
{
	return view_of(l->names.data + entry->name_at, entry->name_len);
}

static struct listing_entry *add(struct listing *l, struct view name,
				 const struct listing_entry *entry)
{
	struct listing_entry *e;

	if (l->count == l->room) {
		size_t room = l->room * 2 + 16;
		void *grown = reallocarray(l->entries, room, sizeof(*l->entries));

		l->failed |= !grown;
		if (!grown)
			return NULL;
		l->entries = grown;
		l->room = room;
	}
	e = &l->entries[l->count];
	*e = *entry;
	e->name_at = l->names.len;
	e->name_len = name.len;
	buf_append(&l->names, name.data, name.len);
	l->failed |= l->names.failed;
	if (l->failed)
		return NULL;
	l->count++;
	return e;
}

void listing_add(struct listing *l, const struct names_version *v,
		 const struct listing_entry *entry)
{
	struct names_version single = *v;
	char name[NAMES_LEN_MAX + 1];
	struct listing_entry *e;

	single.twin = 0;
	names_version(name, &single);
	e = add(l, view_str(name), entry);
	if (!e)
		return;
	e->timed = true;
	e->raw_len = v->raw.len;
	e->author_len = v->author.len;
	e->cookie = v->cookie;
	e->number = v->number;
	e->time = v->time;
	e->lost = v->lost;
	buf_append(&l->names, v->raw.data, v->raw.len);
	buf_append(&l->names, v->author.data, v->author.len);
	l->failed |= l->names.failed;
}

void listing_add_plain(struct listing *l, struct view name, const struct listing_entry *entry)
{
	add(l, name, entry);
}

static int order_of_values(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_names(const struct listing *l, const struct listing_entry *a,
			 const struct listing_entry *b)
{
	return view_order(listing_name(l, a), listing_name(l, b));
}

/* By name, then by what the entry stands for, so that twins are numbered the same in every
 * listing. */
static int compare(const void *x, const void *y, void *arg)
{
	const struct listing *l = arg;
	const struct listing_entry *a = &l->entries[*(const uint32_t *)x],
				   *b = &l->entries[*(const uint32_t *)y];
	int order = compare_names(l, a, b);

	order = order ? order : order_of_values(a->dir, b->dir);
	order = order ? order : order_of_values(a->a, b->a);
	return order ? order : order_of_values(a->b, b->b);
}

static int sort(struct listing *l, struct error *e)
{
	if (l->failed)
		return error_set(e, -E_NO_MEMORY, "out of memory for a listing");
	free(l->by_name);
	l->by_name = reallocarray(NULL, l->count + 1, sizeof(*l->by_name));
	if (!l->by_name)
		return error_set(e, -E_NO_MEMORY, "out of memory for a listing");
	for (size_t i = 0; i < l->count; i++)
		l->by_name[i] = (uint32_t)i;
	qsort_r(l->by_name, l->count, sizeof(*l->by_name), compare, l);
	return 0;
}

/* Calls the entry again, with its twin's number. */
static void rename_twin(struct listing *l, struct listing_entry *entry, unsigned twin)
{
	const uint8_t *behind = l->names.data + entry->name_at + entry->name_len;
	struct names_version v = { .raw = view_of(behind, entry->raw_len),
				   .cookie = entry->cookie,
				   .time = entry->time,
				   .number = entry->number,
				   .twin = twin,
				   .lost = entry->lost,
				   .author = view_of(behind + entry->raw_len, entry->author_len) };
	char name[NAMES_LEN_MAX + 1];

	names_version(name, &v);
	size_t at = l->names.len, len = strlen(name);
	buf_append(&l->names, name, len);
	l->failed |= l->names.failed;
	if (l->failed)
		return;
	entry->name_at = at;
	entry->name_len = len;
}

static bool is_same(const struct listing_entry *a, const struct listing_entry *b)
{
	return a->kind == b->kind && a->dir == b->dir && a->a == b->a && a->b == b->b;
}

/* Numbers twins; entries that stand for the same are kept once (the others are marked by name_len
 * 0).  Whether anything was renamed or marked. */
static bool settle_names(struct listing *l)
{
	struct listing_entry *first = NULL, *last = NULL;
	unsigned twin = 1;
	bool changed = false;

	for (size_t i = 0; i < l->count; i++) {
		struct listing_entry *e = &l->entries[l->by_name[i]];

		if (!first || compare_names(l, first, e) != 0) {
			first = last = e;
			twin = 1;
			continue;
		}
		changed = true;
		if (is_same(last, e)) {
			last->hidden &= e->hidden;
			e->name_len = 0;
		} else if (e->timed) {
			rename_twin(l, e, ++twin);
			last = e;
		}
	}
	return changed;
}

int listing_finish(struct listing *l, struct error *e)
{
	size_t kept = 0;
	int rc = sort(l, e);

	if (rc == 0 && settle_names(l)) {
		for (size_t i = 0; i < l->count; i++) {
			if (l->entries[i].name_len)
				l->entries[kept++] = l->entries[i];
		}
		l->count = kept;
		rc = sort(l, e);
	}
	if (rc == 0 && l->failed)
		rc = error_set(e, -E_NO_MEMORY, "out of memory for a listing");
	return rc;
}

const struct listing_entry *listing_find(const struct listing *l, struct view name)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct listing_entry *e = &l->entries[l->by_name[middle]];
		int order = view_order(name, listing_name(l, e));

		if (order == 0)
			return e;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* --- the cache --- */

static void unref(struct listing *l)
{
	if (l && --l->refs == 0)
		listing_free(l);
}

void history_listing_put(struct history *h, struct listing *l)
{
	lock_take(&h->lock);
	unref(l);
	lock_drop(&h->lock);
}

/* The kept listing of the folder, with a reference, or NULL. */
static struct listing *kept(struct history *h, const struct node *folder)
{
	struct listing *found = NULL;

	lock_take(&h->lock);
	for (size_t i = 0; i < CACHED_LISTINGS && !found; i++) {
		struct cached *c = &h->cached[i];

		if (c->listing && node_equal(&c->node, folder)) {
			found = c->listing;
			found->refs++;
			c->used = ++h->uses;
		}
	}
	lock_drop(&h->lock);
	return found;
}

static size_t listing_bytes(const struct listing *l)
{
	return l->room * (sizeof(*l->entries) + sizeof(*l->by_name)) + l->names.cap;
}

/* Keeps the listing in the place of an older one of the folder, or of the least recently used. */
static void keep(struct history *h, const struct node *folder, struct listing *l)
{
	struct cached *place = &h->cached[0];

	if (listing_bytes(l) > CACHED_BYTES_MAX)
		return;
	lock_take(&h->lock);
	for (size_t i = 0; i < CACHED_LISTINGS; i++) {
		struct cached *c = &h->cached[i];

		if (c->listing && node_equal(&c->node, folder)) {
			place = c;
			break;
		}
		if (c->used < place->used)
			place = c;
	}
	unref(place->listing);
	place->node = *folder;
	place->listing = l;
	place->used = ++h->uses;
	l->refs++;
	lock_drop(&h->lock);
}

static folder_fill filler(enum node_kind kind)
{
	switch (kind) {
	case NODE_NAME:
		return history_fill_name;
	case NODE_DAY:
		return history_fill_day;
	case NODE_DELETED:
		return history_fill_deleted;
	default:
		return history_fill_conflicts;
	}
}

int history_listing_get(struct history *h, const struct node *folder, bool fresh,
			struct listing **ret, struct error *e)
{
	struct listing *l = kept(h, folder);
	uint64_t stamp;
	int64_t time;

	if (l && !fresh) {
		*ret = l;
		return 0;
	}
	int rc = timeline_newest(h->store, folder->dir, &stamp, &time, e);
	if (l && rc == 0 && l->stamp == stamp) {
		*ret = l;
		return 0;
	}
	history_listing_put(h, l);
	if (rc < 0)
		return rc;
	l = listing_new();
	if (!l)
		return error_set(e, -E_NO_MEMORY, "out of memory for a listing");
	l->stamp = stamp;
	rc = filler(folder->kind)(h, folder, l, e);
	if (rc == 0)
		rc = listing_finish(l, e);
	if (rc < 0) {
		listing_free(l);
		return rc;
	}
	keep(h, folder, l);
	*ret = l;
	return 0;
}
