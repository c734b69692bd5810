/* history_files.c - files/: one folder per name that ever lived in the directory, its versions in
 * it. */
#include <stdlib.h>

#include "history_tree.h"
#include "store/changelog.h"
#include "store/clock.h"
#include "store/lineage.h"
#include "store/timeline.h"

#define DOCUMENTS_ASKED 16  /* of one name, newest first, until one may be read */
#define INTERVALS_ASKED 256 /* of one name, for its documents */

int history_is_hidden(struct history *h, uint64_t doc, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, version_memory = { 0 };
	struct document_record document;
	struct version_record head = { 0 };
	int rc = document_get(h->store, doc, &document, &memory, e);

	if (rc == 0 && document.head)
		rc = version_get(h->store, doc, document.head, &head, &version_memory, e);
	return rc < 0 ? rc : lineage_is_hidden(&document, head.size, clock_now());
}

int history_add_version(struct history *h, struct listing *l, uint64_t doc, uint64_t number,
			const struct version_record *v, struct view raw, bool hidden,
			struct error *e)
{
	char author[NAMES_AUTHOR_ROOM];
	struct listing_entry entry = {
		.hidden = hidden, .kind = NODE_VERSION, .a = doc, .b = number
	};

	history_author(h, author, v->author, (uint32_t)v->uid);
	struct names_version name = { .raw = raw,
				      .cookie = store_cookie(h->store, raw),
				      .time = v->time,
				      .number = number,
				      .author = view_str(author),
				      .lost = v->flags & VERSION_LOST };
	listing_add(l, &name, &entry);
	return l->failed ? error_set(e, -E_NO_MEMORY, "out of memory for a listing") : 0;
}

struct fill_name {
	struct history *h;
	struct listing *l;
	struct view raw;
	struct error *e;
	int rc;
};

static bool add_name_version(void *arg, const struct name_version *v)
{
	struct fill_name *f = arg;

	f->rc = history_add_version(f->h, f->l, v->doc, v->number, v->version, f->raw, false, f->e);
	return f->rc == 0;
}

int history_fill_name(struct history *h, const struct node *folder, struct listing *l,
		      struct error *e)
{
	struct fill_name f = { h, l, node_name(folder), e, 0 };
	int rc =
		timeline_name_versions(h->store, folder->dir, f.raw, true, add_name_version, &f, e);

	return rc < 0 ? rc : f.rc;
}

/* The documents of one name, newest first, as the intervals come by. */
struct name_documents {
	size_t count, intervals;
	uint64_t docs[DOCUMENTS_ASKED];
};

static void note_document(struct name_documents *n, uint64_t doc)
{
	for (size_t i = 0; i < n->count; i++) {
		if (n->docs[i] == doc)
			return;
	}
	if (doc && n->count < DOCUMENTS_ASKED)
		n->docs[n->count++] = doc;
}

static bool collect_document(void *arg, struct view name, uint64_t cookie,
			     const struct dirent_record *dirent)
{
	struct name_documents *n = arg;

	(void)name;
	(void)cookie;
	note_document(n, dirent->doc);
	return n->count < DOCUMENTS_ASKED && ++n->intervals < INTERVALS_ASKED;
}

/* May the caller see the name: does he read one of its documents?  hidden: those that listings hide
 * count too. */
static int may_see_name(struct history *h, const struct credentials *who,
			const struct name_documents *n, bool hidden, struct error *e)
{
	for (size_t i = 0; i < n->count; i++) {
		int rc = hidden ? 0 : history_is_hidden(h, n->docs[i], e);

		if (rc == 0)
			rc = access_document(h->store, who, n->docs[i], e);
		else if (rc > 0)
			rc = 0;
		if (rc != 0)
			return rc;
	}
	return 0;
}

int history_files_see(struct history *h, const struct credentials *who, const struct node *node,
		      struct error *e)
{
	struct name_documents n = { 0 };
	int rc = timeline_name(h->store, node->dir, node_name(node), collect_document, &n, e);

	return rc < 0 ? rc : may_see_name(h, who, &n, true, e);
}

static int try_name(struct history *h, const struct credentials *who, const struct node *folder,
		    struct view raw, struct node *ret, struct error *e)
{
	if (raw.len == 0 || raw.len > NAMES_LEN_MAX)
		return 0;
	*ret = (struct node){ .kind = NODE_NAME, .dir = folder->dir, .name_len = raw.len };
	view_copy(ret->name, raw);
	return history_files_see(h, who, ret, e);
}

/* A name that was cut when shown: found by its cookie. */
static int try_cookie(struct history *h, const struct credentials *who, const struct node *folder,
		      struct view shown, uint64_t cookie, struct node *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf raw = { 0 };
	char again[NAMES_LEN_MAX + 1];
	int rc =
		cookie ? timeline_cookie_name(h->store, folder->dir, cookie, &raw, e) : -E_NO_ENTRY;

	if (rc < 0)
		return rc == -E_NO_ENTRY ? 0 : rc;
	names_show(again, buf_view(&raw), cookie);
	return view_equal(view_str(again), shown) ? try_name(h, who, folder, buf_view(&raw), ret, e)
						  : 0;
}

int history_files_lookup(struct history *h, const struct credentials *who,
			 const struct node *folder, struct view name, struct node *ret,
			 struct error *e)
{
	char raw[NAMES_LEN_MAX + 1];
	size_t len;
	uint64_t cookie;
	int rc;

	names_read(name, raw, &len, &cookie);
	rc = try_name(h, who, folder, view_of(raw, len), ret, e);
	if (rc == 0)
		rc = try_cookie(h, who, folder, name, cookie, ret, e);
	/* Last, the live name as it is, for people who build the path themselves. */
	if (rc == 0 && len != name.len)
		rc = try_name(h, who, folder, name, ret, e);
	if (rc == 0)
		return error_set(e, -E_NO_ENTRY, "no file had that name here");
	return rc < 0 ? rc : 0;
}

struct files_list {
	struct history *h;
	const struct credentials *who;
	const struct node *folder;
	name_visitor each;
	void *arg;
	struct error *e;
	int rc;
	bool stopped;
	struct node current; /* the name whose intervals come by; name_len 0 before the first */
	uint64_t cookie;
	struct name_documents documents;
};

/* Gives the name whose intervals have all come by. */
static bool give_name(struct files_list *f)
{
	char shown[NAMES_LEN_MAX + 1];

	if (!f->current.name_len || !f->documents.count)
		return true;
	f->rc = may_see_name(f->h, f->who, &f->documents, false, f->e);
	if (f->rc <= 0)
		return f->rc == 0;
	names_show(shown, node_name(&f->current), f->cookie);
	f->rc = 0;
	f->stopped = !f->each(f->arg, view_str(shown), &f->current, f->cookie, S_IFDIR);
	return !f->stopped;
}

static int is_passing(struct files_list *f, const struct dirent_record *dirent)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record document = { 0 };
	struct log_record began;
	int rc = 0;

	if (!dirent->doc ||
	    !lineage_is_passing(dirent, dirent->until_time, true)) /* whenever it began */
		return 0;
	if (dirent->ended == SLOT_UNLINKED)
		rc = document_get(f->h->store, dirent->doc, &document, &memory, f->e);
	bool lives = document.ino;
	if (rc == 0)
		rc = changelog_get(f->h->store, dirent->since, &began, &memory, f->e);
	if (rc == -E_TIME_RANGE)
		return 0;
	return rc < 0 ? rc : lineage_is_passing(dirent, began.time, lives);
}

static bool take_interval(void *arg, struct view name, uint64_t cookie,
			  const struct dirent_record *dirent)
{
	struct files_list *f = arg;

	if (!view_equal(node_name(&f->current), name)) {
		if (!give_name(f))
			return false;
		f->current = (struct node){ .kind = NODE_NAME,
					    .dir = f->folder->dir,
					    .name_len = name.len };
		view_copy(f->current.name, name);
		f->cookie = cookie;
		f->documents.count = 0;
	}
	int passing = is_passing(f, dirent);
	if (passing < 0)
		f->rc = passing;
	else if (!passing)
		note_document(&f->documents, dirent->doc);
	return passing >= 0;
}

int history_files_list(struct history *h, const struct credentials *who, const struct node *folder,
		       uint64_t cookie, name_visitor each, void *arg, struct error *e)
{
	struct files_list f = {
		.h = h, .who = who, .folder = folder, .each = each, .arg = arg, .e = e
	};
	int rc = timeline_names(h->store, folder->dir, cookie, INTERVALS_ASKED, take_interval, &f,
				e);

	if (rc == 0 && f.rc == 0 && !f.stopped)
		give_name(&f);
	return rc < 0 ? rc : f.rc < 0 ? f.rc : 0;
}
