/* history_people.c - by/: who saved something here or below, on which day, and what. */
#include <stdio.h>

#include "history_tree.h"
#include "store/changelog.h"
#include "store/clock.h"
#include "store/timeline.h"

#define DAY_NS (86400 * NS_PER_SECOND)
#define LOOKED_AT_MAX 2000 /* changes that are asked in a row for one that the caller may see */
#define BURST_NS (2 * NS_PER_SECOND)
#define PEOPLE_AGE_NS (10 * NS_PER_SECOND)

/* --- the people --- */

static bool add_person(void *arg, uint32_t uid, const struct log_record *newest)
{
	struct buf *people = arg;

	buf_u32(people, uid);
	buf_string(people, newest->author);
	return !people->failed;
}

/* Copies the list of all who ever changed something, (u32 uid, string name) each; read anew now and
 * then. */
static int copy_people(struct history *h, struct buf *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf fresh = { 0 };
	int64_t now = clock_now();
	bool current;
	int rc;

	lock_take(&h->lock);
	current = h->people_read && now - h->people_read < PEOPLE_AGE_NS;
	if (current)
		buf_append(ret, h->people.data, h->people.len);
	lock_drop(&h->lock);
	if (current)
		return buf_check(ret, e);
	rc = changelog_users(h->store, add_person, &fresh, e);
	if (rc == 0)
		rc = buf_check(&fresh, e);
	if (rc < 0)
		return rc;
	buf_append(ret, fresh.data, fresh.len);
	lock_take(&h->lock);
	buf_release(&h->people);
	h->people = buf_take(&fresh);
	h->people_read = now;
	lock_drop(&h->lock);
	return buf_check(ret, e);
}

static struct view without_domain(struct view author)
{
	const char *slash = author.len ? memrchr(author.data, '\\', author.len) : NULL;

	if (!slash)
		return author;
	return view_of(slash + 1, author.len - (size_t)(slash + 1 - (const char *)author.data));
}

void history_author(struct history *h, char out[NAMES_AUTHOR_ROOM], struct view author,
		    uint32_t uid)
{
	CLEANUP(buf_release) struct buf people = { 0 };
	struct view plain = without_domain(author);
	bool clashes = false;

	if (plain.len != author.len && copy_people(h, &people, NULL) == 0) {
		struct reader r = reader_of(buf_view(&people));

		while (reader_left(&r) && !r.failed && !clashes) {
			reader_u32(&r);
			struct view other = reader_string(&r);
			clashes = !view_equal(other, author) &&
				  view_equal(without_domain(other), plain);
		}
	}
	names_author(out, author, uid, clashes);
}

/* --- saves --- */

/* A search through one user's changes for saves. */
struct save_search {
	struct history *h;
	const struct credentials *who; /* NULL: rights are not asked */
	const struct node *folder;
	struct error *e;
	int rc;
	unsigned looked_at;
	uint64_t change;    /* looked at last, and its time; 0: none */
	int64_t time;
	bool found;         /* it is a save that the caller may see */
	uint64_t doc, number;
	struct listing *l;  /* to fill, or NULL to stop at the first */
};

/* The version that the change made and that still is as the change left it: 1, or 0. */
static int version_of(struct save_search *s, const struct log_record *record,
		      struct version_record *v, struct buf *memory)
{
	int rc;

	if (!record->doc || !record->version)
		return 0;
	rc = version_get(s->h->store, record->doc, record->version, v, memory, s->e);
	if (rc < 0)
		return rc == -E_NO_VERSION ? 0 : rc;
	return v->change == record->change && v->uid == record->uid;
}

/* Was the version followed at once by another save of the same person?  (L7: bursts fold.) */
static int is_in_burst(struct save_search *s, uint64_t doc, uint64_t number,
		       const struct version_record *v)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record next;
	int rc = version_get(s->h->store, doc, number + 1, &next, &memory, s->e);

	if (rc < 0)
		return rc == -E_NO_VERSION ? 0 : rc;
	return next.uid == v->uid && next.time - v->time < BURST_NS;
}

static int list_save(struct save_search *s, const struct log_record *record,
		     const struct version_record *v)
{
	int burst = is_in_burst(s, record->doc, record->version, v);
	int hidden = burst < 0 ? burst : history_is_hidden(s->h, record->doc, s->e);

	return hidden < 0 ? hidden
			  : history_add_version(s->h, s->l, record->doc, record->version, v,
						v->name, burst || hidden, s->e);
}

static bool look_at(void *arg, const struct log_record *record)
{
	struct save_search *s = arg;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;

	s->change = record->change;
	s->time = record->time;
	s->rc = version_of(s, record, &v, &memory);
	if (s->rc > 0 && s->who)
		s->rc = access_version(s->h->store, s->who, record->doc, record->version, &v, s->e);
	s->found = s->rc > 0;
	s->doc = record->doc;
	s->number = record->version;
	if (s->found && s->l)
		s->rc = list_save(s, record, &v);
	s->rc = s->rc > 0 ? 0 : s->rc;
	return s->rc == 0 && (s->l || (!s->found && ++s->looked_at < LOOKED_AT_MAX));
}

static int search(struct save_search *s, uint32_t uid, uint64_t first, uint64_t last)
{
	struct log_query query = {
		.first = first, .last = last, .under = s->folder->dir, .by_uid = true, .uid = uid
	};
	int rc;

	s->looked_at = 0;
	s->change = 0;
	s->found = false;
	rc = changelog_each(s->h->store, &query, look_at, s, s->e);
	return rc < 0 ? rc : s->rc;
}

/* The changes of a day: 1, or 0 when there are none. */
static int changes_of_day(struct history *h, int64_t day, uint64_t *ret_first, uint64_t *ret_last,
			  struct error *e)
{
	int rc = timeline_instant(h->store, day * DAY_NS - 1, ret_first, e);

	if (rc == -E_TIME_RANGE)
		*ret_first = 0;
	else if (rc < 0)
		return rc;
	++*ret_first;
	rc = timeline_instant(h->store, (day + 1) * DAY_NS - 1, ret_last, e);
	if (rc < 0)
		return rc == -E_TIME_RANGE ? 0 : rc;
	return *ret_last >= *ret_first;
}

int history_fill_day(struct history *h, const struct node *folder, struct listing *l,
		     struct error *e)
{
	struct save_search s = { .h = h, .folder = folder, .e = e, .l = l };
	uint64_t first, last;
	int rc = changes_of_day(h, (int64_t)folder->b, &first, &last, e);

	return rc > 0 ? search(&s, (uint32_t)folder->a, first, last) : rc;
}

static struct witness *witness_of(struct history *h, uint64_t dir, uint32_t uid)
{
	return &h->witnesses[(dir * 31 + uid) % WITNESSES];
}

/* What proved last time that the user saved something: may the caller see it?  1 yes, 0 no or not
 * known. */
static int ask_witness(struct history *h, const struct credentials *who, uint64_t dir, uint32_t uid,
		       struct error *e)
{
	struct node version = { .kind = NODE_VERSION };
	bool known;

	lock_take(&h->lock);
	const struct witness *w = witness_of(h, dir, uid);
	known = w->dir == dir && w->uid == uid;
	version.a = w->doc;
	version.b = w->number;
	lock_drop(&h->lock);
	int rc = known ? history_may_see(h, who, &version, e) : 0;
	return rc == -E_NO_VERSION ? 0 : rc;
}

/* Did the user save something that the caller may see?  1 yes, 0 no. */
static int has_saved(struct history *h, const struct credentials *who, const struct node *folder,
		     uint32_t uid, struct error *e)
{
	struct save_search s = { .h = h, .who = who, .folder = folder, .e = e };
	int rc = ask_witness(h, who, folder->dir, uid, e);

	if (rc == 0)
		rc = search(&s, uid, 0, 0);
	if (!s.found)
		return rc;
	lock_take(&h->lock);
	*witness_of(h, folder->dir, uid) = (struct witness){ folder->dir, uid, s.doc, s.number };
	lock_drop(&h->lock);
	return 1;
}

/* --- by/ and by/USER --- */

static bool is_listed(const struct listing *l, struct view name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (view_equal(listing_name(l, &l->entries[i]), name))
			return true;
	}
	return false;
}

static int list_users(struct history *h, const struct credentials *who, const struct node *folder,
		      struct listing *l, struct error *e)
{
	CLEANUP(buf_release) struct buf people = { 0 };
	int rc = copy_people(h, &people, e);
	struct reader r = reader_of(buf_view(&people));

	while (rc >= 0 && reader_left(&r)) {
		uint32_t uid = reader_u32(&r);
		struct view author = reader_string(&r);
		struct listing_entry entry = { .kind = NODE_USER, .dir = folder->dir, .a = uid };
		char name[NAMES_AUTHOR_ROOM], numbered[NAMES_AUTHOR_ROOM + 16];

		rc = has_saved(h, who, folder, uid, e);
		if (rc <= 0)
			continue;
		history_author(h, name, author, uid);
		bool taken = is_listed(l, view_str(name));
		if (!taken)
			listing_add_plain(l, view_str(name), &entry);
		/* Two users of one name are told apart by number; the numbered name always
		 * resolves. */
		entry.hidden = !taken;
		snprintf(numbered, sizeof(numbered), "%s-%u", name, uid);
		listing_add_plain(l, view_str(numbered), &entry);
	}
	return rc < 0 ? rc : 0;
}

static int list_days(struct history *h, const struct credentials *who, const struct node *folder,
		     struct listing *l, struct error *e)
{
	struct save_search s = { .h = h, .who = who, .folder = folder, .e = e };
	uint64_t last = 0;
	int rc = 0;

	do {
		rc = search(&s, (uint32_t)folder->a, 0, last);
		int64_t day = s.time / DAY_NS;
		struct listing_entry entry = {
			.kind = NODE_DAY, .dir = folder->dir, .a = folder->a, .b = (uint64_t)day
		};
		char name[CLOCK_NAME_LEN + 1];

		if (rc < 0 || !s.change)
			break;
		clock_name(name, day * DAY_NS);
		name[10] = '\0'; /* the date alone */
		if (s.found)
			listing_add_plain(l, view_str(name), &entry);
		rc = timeline_instant(h->store, day * DAY_NS - 1, &last, e);
		if (rc == 0 && last >= s.change)
			rc = error_set(e, -E_CORRUPT, "the clock index does not follow the log");
	} while (rc == 0 && last);
	return rc == -E_TIME_RANGE ? 0 : rc;
}

int history_by_list(struct history *h, const struct credentials *who, const struct node *folder,
		    struct listing *l, struct error *e)
{
	return folder->kind == NODE_BY ? list_users(h, who, folder, l, e)
				       : list_days(h, who, folder, l, e);
}

/* Is there one among the first `most` in the day's folder that the caller may see?  1 yes, 0 no. */
static int may_see_day(struct history *h, const struct credentials *who, const struct node *day,
		       bool fresh, size_t most, struct error *e)
{
	struct listing *l;
	int rc = history_listing_get(h, day, fresh, &l, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < l->count && i < most; i++) {
		struct node version = { .kind = NODE_VERSION,
					.a = l->entries[i].a,
					.b = l->entries[i].b };

		rc = history_may_see(h, who, &version, e);
	}
	history_listing_put(h, l);
	return rc;
}

int history_by_for_all(struct history *h, const struct node *node, struct error *e)
{
	return node->kind == NODE_USER
		       ? ask_witness(h, &access_everyone, node->dir, (uint32_t)node->a, e)
		       : may_see_day(h, &access_everyone, node, false, 16, e);
}

static int lookup_day(struct history *h, const struct credentials *who, const struct node *folder,
		      struct view name, struct node *ret, struct error *e)
{
	int64_t ns;
	int rc = name.len == 10 ? clock_parse(name, 0, &ns, e) : -E_BAD_TIME;

	if (rc < 0)
		return error_set(e, -E_NO_ENTRY, "not a day (2026-03-03)");
	*ret = (struct node){
		.kind = NODE_DAY, .dir = folder->dir, .a = folder->a, .b = (uint64_t)(ns / DAY_NS)
	};
	rc = may_see_day(h, who, ret, false, SIZE_MAX, e);
	if (rc == 0)
		rc = may_see_day(h, who, ret, true, SIZE_MAX, e);
	if (rc == 0)
		return error_set(e, -E_NO_ENTRY, "nothing was saved on that day");
	return rc < 0 ? rc : 0;
}

/* The user whose name in names is this, who saved something that the caller may see. */
static int lookup_user(struct history *h, const struct credentials *who, const struct node *folder,
		       struct view name, struct node *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf people = { 0 };
	int rc = copy_people(h, &people, e);
	struct reader r = reader_of(buf_view(&people));

	while (rc >= 0 && reader_left(&r)) {
		char plain[NAMES_AUTHOR_ROOM], numbered[NAMES_AUTHOR_ROOM + 16];
		uint32_t uid = reader_u32(&r);

		history_author(h, plain, reader_string(&r), uid);
		snprintf(numbered, sizeof(numbered), "%s-%u", plain, uid);
		if (!view_equal(view_str(plain), name) && !view_equal(view_str(numbered), name))
			continue;
		rc = has_saved(h, who, folder, uid, e);
		if (rc <= 0)
			continue;
		*ret = (struct node){ .kind = NODE_USER, .dir = folder->dir, .a = uid };
		return 0;
	}
	return rc < 0 ? rc : error_set(e, -E_NO_ENTRY, "nobody of that name saved anything here");
}

int history_by_lookup(struct history *h, const struct credentials *who, const struct node *folder,
		      struct view name, struct node *ret, struct error *e)
{
	return folder->kind == NODE_BY ? lookup_user(h, who, folder, name, ret, e) :
					 lookup_day(h, who, folder, name, ret, e);
}
