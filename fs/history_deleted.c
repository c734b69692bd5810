/* history_deleted.c - deleted/ and conflicts/. */
#include "history_tree.h"
#include "store/changelog.h"
#include "store/timeline.h"

/* --- deleted/ --- */

struct fill_deleted {
	struct history *h;
	struct listing *l;
	struct error *e;
	int rc;
};

static bool is_deleted_thing(void *arg, struct view name, uint64_t cookie,
			     const struct dirent_record *dirent)
{
	bool *found = arg;

	(void)name;
	(void)cookie;
	*found = dirent->doc || S_ISDIR(dirent->type);
	return !*found;
}

/* Who ended the interval, as names show it. */
static int deleted_by(struct fill_deleted *f, uint64_t change, char author[NAMES_AUTHOR_ROOM])
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct log_record record;
	int rc = changelog_get(f->h->store, change, &record, &memory, f->e);

	if (rc == 0)
		history_author(f->h, author, record.author, (uint32_t)record.uid);
	return rc;
}

static int add_deleted(struct fill_deleted *f, struct view raw, uint64_t cookie,
		       const struct dirent_record *dirent, uint64_t number,
		       const struct listing_entry *entry)
{
	char author[NAMES_AUTHOR_ROOM];
	int rc = deleted_by(f, dirent->until, author);
	struct names_version name = { .raw = raw,
				      .cookie = cookie,
				      .time = dirent->until_time,
				      .number = number,
				      .author = view_str(author) };

	if (rc < 0)
		return rc;
	listing_add(f->l, &name, entry);
	return f->l->failed ? error_set(f->e, -E_NO_MEMORY, "out of memory for a listing") : 0;
}

/* A deleted directory is a folder with what was deleted in it, when there is anything. */
static int add_directory(struct fill_deleted *f, struct view raw, uint64_t cookie,
			 const struct dirent_record *dirent)
{
	struct listing_entry entry = { .kind = NODE_DELETED, .dir = dirent->ino };
	bool found = false;
	int rc = timeline_names(f->h->store, dirent->ino, 0, 1, is_deleted_thing, &found, f->e);

	return rc < 0 || !found ? rc : add_deleted(f, raw, cookie, dirent, 0, &entry);
}

static int add_file(struct fill_deleted *f, struct view raw, uint64_t cookie,
		    const struct dirent_record *dirent)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct listing_entry entry = { .kind = NODE_VERSION, .a = dirent->doc };
	struct document_record document;
	int rc = document_get(f->h->store, dirent->doc, &document, &memory, f->e);

	if (rc < 0 || document.ino ||
	    !document.head) /* it lives under another name, or there is nothing to show */
		return rc;
	rc = history_is_hidden(f->h, dirent->doc, f->e);
	if (rc < 0)
		return rc;
	entry.hidden = rc;
	entry.b = document.head;
	return add_deleted(f, raw, cookie, dirent, document.head, &entry);
}

static bool take_interval(void *arg, struct view name, uint64_t cookie,
			  const struct dirent_record *dirent)
{
	struct fill_deleted *f = arg;

	if (dirent->ended != SLOT_UNLINKED)
		return true;
	if (S_ISDIR(dirent->type))
		f->rc = add_directory(f, name, cookie, dirent);
	else if (dirent->doc)
		f->rc = add_file(f, name, cookie, dirent);
	return f->rc == 0;
}

int history_fill_deleted(struct history *h, const struct node *folder, struct listing *l,
			 struct error *e)
{
	struct fill_deleted f = { .h = h, .l = l, .e = e };
	int rc = timeline_names(h->store, folder->dir, 0, 1, take_interval, &f, e);

	return rc < 0 ? rc : f.rc;
}

/* --- conflicts/ --- */

struct fill_conflicts {
	struct history *h;
	struct listing *l;
	struct error *e;
	int rc;
};

static bool take_conflict(void *arg, uint64_t change, const struct conflict_record *conflict)
{
	struct fill_conflicts *f = arg;
	/* The save, and what it went over. */
	uint64_t numbers[] = { conflict->number, conflict->head };

	(void)change;
	for (size_t i = 0; i < 2 && f->rc == 0; i++) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct version_record v;

		f->rc = version_get(f->h->store, conflict->doc, numbers[i], &v, &memory, f->e);
		if (f->rc == 0)
			f->rc = history_add_version(f->h, f->l, conflict->doc, numbers[i], &v,
						    conflict->name, false, f->e);
		else if (f->rc == -E_NO_VERSION)
			f->rc = 0;
	}
	return f->rc == 0;
}

int history_fill_conflicts(struct history *h, const struct node *folder, struct listing *l,
			   struct error *e)
{
	struct fill_conflicts f = { h, l, e, 0 };
	int rc = timeline_conflicts(h->store, folder->dir, take_conflict, &f, e);

	return rc < 0 ? rc : f.rc;
}
