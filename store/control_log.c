/* control_log.c - what happened: the log, and conflicts. */
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "changelog.h"
#include "clock.h"
#include "control_parts.h"
#include "key.h"
#include "logtext.h"
#include "timeline.h"

#define PROGRESS_EVERY 4096 /* records looked at */

struct listing {
	const struct command *command;
	struct log_query query;
	int64_t since, until;
	/* When the user is not known here any more: by name; data NULL: anybody. */
	struct view author;
	struct spot spot;
	bool of_file;        /* only what concerns the spot's file */
	uint64_t limit, seen, shown;
	struct buf memory, path_memory;
	struct error *e;
	int r;
};

static void listing_release(struct listing *l)
{
	buf_release(&l->memory);
	buf_release(&l->path_memory);
}

/* --- which ---------------------------------------------------------------- */

/* Does the record concern the file at the spot? */
static bool is_about(const struct listing *l, const struct log_record *r)
{
	const struct spot *s = &l->spot;
	struct view ends[2] = { r->path, r->path2 };

	if ((s->doc && r->doc == s->doc) || (s->ino && r->ino == s->ino))
		return true;
	for (size_t i = 0; i < 2; i++) {
		if (view_equal(ends[i], s->path))
			return true;
	}
	/* The directory may have had another name then. */
	const char *slash = r->path.len ? memrchr(r->path.data, '/', r->path.len) : NULL;
	const char *name = slash ? slash + 1 : r->path.data;
	return r->parent == s->parent && r->path.len &&
	       view_equal(view_of(name, (size_t)((const char *)r->path.data + r->path.len - name)),
			  s->name);
}

static bool matches(const struct listing *l, const struct log_record *r)
{
	if (r->time < l->since || r->time > l->until)
		return false;
	if (l->author.data && !view_equal(l->author, r->author))
		return false;
	return !l->of_file || is_about(l, r);
}

static bool list_record(void *arg, const struct log_record *record)
{
	struct listing *l = arg;
	const struct command *c = l->command;
	struct cell cells[LOG_COLUMN_COUNT];

	if (++l->seen % PROGRESS_EVERY == 0 && c->answer->progress &&
	    !c->answer->progress(c->answer->arg, l->seen, 0)) {
		l->r = control_canceled(l->e);
		return false;
	}
	if (!matches(l, record))
		return true;
	l->r = access_log_record(c->store, c->who, record, l->e);
	if (l->r <= 0)
		return l->r == 0;
	logtext_cells(cells, record, &l->memory);
	l->r = buf_check(&l->memory, l->e);
	if (l->r == 0)
		l->r = control_row(c, cells, LOG_COLUMN_COUNT, l->e);
	return l->r == 0 && (++l->shown < l->limit || !l->limit);
}

/* --- the question --------------------------------------------------------- */

static bool is_number(struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (((const char *)text.data)[i] < '0' || ((const char *)text.data)[i] > '9')
			return false;
	}
	return text.len > 0 && text.len < 10;
}

static int read_user(struct listing *l, struct error *e)
{
	struct view by = request_get(l->command->request, "by");
	char name[256], memory[4096];
	struct passwd entry, *found = NULL;

	if (!by.data)
		return 0;
	if (by.len == 0 || by.len >= sizeof(name))
		return error_set(e, -E_USAGE, "--by takes a user's name or number");
	view_copy(name, by);
	name[by.len] = '\0';
	if (is_number(by)) {
		l->query.by_uid = true;
		l->query.uid = (uint32_t)strtoul(name, NULL, 10);
	} else if (getpwnam_r(name, &entry, memory, sizeof(memory), &found) == 0 && found) {
		l->query.by_uid = true;
		l->query.uid = found->pw_uid;
	} else {
		l->author = by;
	}
	return 0;
}

/* The change at or before a time, 0 before the store began. */
static int change_at(struct store *store, int64_t time, uint64_t *ret, struct error *e)
{
	int r = timeline_instant(store, time, ret, e);

	if (r == -E_TIME_RANGE)
		*ret = 0;
	return r == -E_TIME_RANGE ? 0 : r;
}

/* Times become change numbers as far as whole seconds go; matches() does the rest.
 * 1, or 0 when nothing can match. */
static int read_times(struct listing *l, struct error *e)
{
	const struct request *request = l->command->request;
	struct view since = request_get(request, "since"), until = request_get(request, "until");
	int64_t now = clock_now(), other;
	uint64_t change = 0;
	int r = 0;

	l->since = INT64_MIN;
	l->until = INT64_MAX;
	if (since.data) {
		r = clock_parse_period(since, now, &l->since, &other, e);
		if (r == 0)
			r = change_at(l->command->store,
				      l->since / NS_PER_SECOND * NS_PER_SECOND - 1, &change, e);
		l->query.first = change + 1;
	}
	if (r == 0 && until.data) {
		r = clock_parse(until, now, &l->until, e);
		if (r == 0)
			r = change_at(l->command->store, l->until, &l->query.last, e);
		if (r == 0 && l->query.last == 0)
			return 0;
	}
	return r < 0 ? r : 1;
}

struct elsewhere {
	uint64_t parent;
	bool found;
};

static bool is_elsewhere(void *arg, uint64_t number, const struct version_record *version)
{
	struct elsewhere *at = arg;

	(void)number;
	at->found |= version->parent != at->parent;
	return !at->found;
}

/* Was the file at the spot, or its document, ever in another directory? */
static int was_elsewhere(const struct listing *l, bool *ret, struct error *e)
{
	struct elsewhere at = { l->spot.parent, false };
	struct key prefix = key_number(l->spot.ino);
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct inode_record inode;
	struct view key, value;
	int r = l->spot.doc ? version_each(l->command->store, l->spot.doc, 0, is_elsewhere, &at, e)
			    : 0;

	it = kv_iter_open(store_kv(l->command->store), NULL, FAMILY_PAST_INODE, key_view(&prefix),
			  false);
	while (r >= 0 && !at.found && (r = kv_iter_next(it, &key, &value, e)) > 0) {
		r = inode_decode(&inode, value, e);
		at.found = r == 0 && inode.parent != at.parent;
	}
	*ret = at.found;
	return r < 0 ? r : 0;
}

/* Also said of a name that was there, to those who may see nothing of it. */
static int no_name(const struct spot *spot, struct error *e)
{
	return error_set(e, -E_NO_ENTRY,
			 "%.*s: there is no such name, nor was one that you may see",
			 (int)spot->path.len, (const char *)spot->path.data);
}

/* A directory's changes stand in an index of their own; a file's are sought among its directory's,
 * or everywhere when it moved. */
static int read_path(struct listing *l, struct error *e)
{
	struct view path = request_get(l->command->request, "path");
	bool elsewhere;
	int r = control_find(l->command, path, &l->spot, &l->path_memory, e);

	if (r < 0)
		return r;
	if (!l->spot.known)
		return no_name(&l->spot, e);
	if (l->spot.path.len == 0)
		return 0;
	if (l->spot.type == S_IFDIR) {
		l->query.under = l->spot.ino;
		return 0;
	}
	l->of_file = true;
	r = was_elsewhere(l, &elsewhere, e);
	l->query.under = elsewhere ? 0 : l->spot.parent;
	return r;
}

int control_log(const struct command *c, struct error *e)
{
	CLEANUP(listing_release) struct listing l = { .command = c, .e = e };
	int r = control_number(c, "limit", 0, &l.limit, e);

	l.query.oldest_first = control_flag(c, "reverse");
	if (r == 0)
		r = read_user(&l, e);
	if (r == 0)
		r = read_path(&l, e);
	if (r == 0)
		r = read_times(&l, e);
	if (r <= 0)
		return r;
	r = changelog_each(c->store, &l.query, list_record, &l, e);
	if (l.r < 0 || r < 0)
		return l.r < 0 ? l.r : r;
	return l.shown || l.spot.live || c->who->uid == 0 ? 0 : no_name(&l.spot, e);
}

/* --- conflicts ------------------------------------------------------------ */

/* One row; what the caller may not see is passed over. */
static int list_conflict(const struct command *c, uint64_t change, const struct conflict_record *r,
			 struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, version_memory = { 0 };
	struct version_record version;
	struct log_record record;
	int rc = changelog_get(c->store, change, &record, &memory, e);

	if (rc == 0)
		rc = access_log_record(c->store, c->who, &record, e);
	if (rc <= 0)
		return rc;
	rc = version_get(c->store, r->doc, r->number, &version, &version_memory, e);
	if (rc == -E_NO_VERSION)
		return 0;
	if (rc == 0)
		rc = access_version(c->store, c->who, r->doc, r->number, &version, e);
	if (rc <= 0)
		return rc;
	struct cell cells[] = { cell_number("change", change),
				cell_time("time", record.time),
				cell_text("author", record.author),
				cell_text("path", record.path),
				cell_number("document", r->doc),
				cell_number("version", r->number),
				cell_number("over", r->head),
				cell_number_some("read", r->base) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

int control_conflicts(const struct command *c, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct view key, value;
	struct spot spot;
	int r = control_find(c, request_get(c->request, "path"), &spot, &memory, e);

	if (r < 0)
		return r;
	if (!spot.known || spot.type != S_IFDIR)
		return error_set(e, -E_NOT_DIR,
				 "conflicts are listed for a directory and what is below it");
	struct key prefix = key_number(spot.ino);
	it = kv_iter_open(store_kv(c->store), NULL, FAMILY_CONFLICT, key_view(&prefix), true);
	while (r >= 0 && (r = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader in = reader_of(key);
		struct conflict_record record;

		reader_u64(&in);
		uint64_t change = reader_u64(&in);
		r = conflict_decode(&record, value, e);
		if (r == 0)
			r = list_conflict(c, change, &record, e);
	}
	return r;
}
