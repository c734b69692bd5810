/* history_text.c - the generated files: README.txt and changes.csv, and the few that are kept in
 * memory. */
#include <stdlib.h>

#include "history_tree.h"
#include "store/changelog.h"
#include "store/logtext.h"
#include "store/timeline.h"

#define ROWS_MAX 20000 /* of one changes.csv; what is older, `daybook log` shows */
/* Changes by which a kept text is brought up to date; after more it is made anew. */
#define NEWER_MAX 1024

const char history_readme[] =
	"This folder shows the past of the folder it is in. Nothing in here can be changed or "
	"lost.\n"
	"\n"
	"files/NAME/   every saved version of a file, also of deleted ones; the name says when, "
	"which and by whom:\n"
	"              budget.2026-03-03_14.15.20Z.v12.anna.xlsx (times are UTC)\n"
	"at/TIME/      this whole folder as it was: pick a time from the list, or write one "
	"yourself:\n"
	"              at/2026-03-03_14.15.20Z  at/2026-03-03  at/2026-03  at/yesterday\n"
	"by/WHO/DAY/   what somebody saved on a day\n"
	"deleted/      what was deleted, when and by whom\n"
	"tags/         instants with a name: make a folder here to pin the present, remove it to "
	"unpin\n"
	"conflicts/    saves that went over somebody else's unseen save: both are here\n"
	"changes.csv   the log of this folder and all below it, newest first; opens in Excel\n"
	"\n"
	"To get something back, copy it from here to where you want it (or move it: the past keeps "
	"it all the same).\n"
	"You see here what you may read in the live folder, and nothing else.\n"
	"More: man daybook-history, daybook log, daybook history FILE, daybook restore.\n";

uint64_t history_reader(const struct credentials *who)
{
	uint64_t h = 0xcbf29ce484222325ull;

	if (who->uid == 0)
		return 0;
	h = (h ^ who->uid) * 0x100000001b3ull;
	h = (h ^ who->gid) * 0x100000001b3ull;
	for (size_t i = 0; i < who->group_count; i++)
		h = (h ^ who->groups[i]) * 0x100000001b3ull;
	return h | 1;
}

/* A changes.csv on its way. */
struct rows {
	struct history *h;
	const struct credentials *who;
	struct buf *out, memory;
	struct error *e;
	uint64_t count, most;
	bool is_cut; /* there are more */
	int rc;
};

static bool put_row(void *arg, const struct log_record *record)
{
	struct rows *rows = arg;
	struct cell cells[LOG_COLUMN_COUNT];

	rows->rc = access_log_record(rows->h->store, rows->who, record, rows->e);
	if (rows->rc <= 0)
		return rows->rc == 0;
	rows->is_cut = rows->count == rows->most;
	if (rows->is_cut)
		return false;
	logtext_cells(cells, record, &rows->memory);
	rows->rc = buf_check(&rows->memory, rows->e);
	cells_csv(rows->out, cells, LOG_COLUMN_COUNT);
	if (rows->rc == 0)
		rows->rc = buf_check(rows->out, rows->e);
	rows->count++;
	return rows->rc == 0;
}

static void put_header(struct buf *out)
{
	struct cell cells[LOG_COLUMN_COUNT];

	buf_append(out, CELL_CSV_BOM, strlen(CELL_CSV_BOM));
	logtext_columns(cells);
	cells_csv_header(out, cells, LOG_COLUMN_COUNT);
}

/* The last line of a file that does not reach back to the beginning says so. */
static void put_end(struct text *text)
{
	struct cell cells[LOG_COLUMN_COUNT];

	text->rows_len = text->bytes.len - text->rows_at;
	if (!text->is_cut)
		return;
	logtext_columns(cells);
	cells[LOG_COLUMN_operation] =
		cell_text("operation", view_str("older changes: daybook log"));
	cells_csv(&text->bytes, cells, LOG_COLUMN_COUNT);
}

/* Change numbers, each once, newest first. */
struct numbers {
	struct history *h;
	uint64_t parent;
	size_t count, room;
	uint64_t *at;
	bool failed;
	int rc; /* what went wrong besides */
	struct error *e;
};

static void add_number(struct numbers *n, uint64_t change)
{
	if (!change)
		return;
	if (n->count == n->room) {
		void *grown = reallocarray(n->at, n->room * 2 + 64, sizeof(*n->at));

		n->failed |= !grown;
		if (!grown)
			return;
		n->at = grown;
		n->room = n->room * 2 + 64;
	}
	n->at[n->count++] = change;
}

/* What happened to the inode while the name was its own: one change for each of its records. */
static void add_inode_changes(struct numbers *n, const struct dirent_record *dirent)
{
	uint64_t at = dirent->until ? dirent->until - 1 : UINT64_MAX;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record r;

	while (n->count < 4 * ROWS_MAX) {
		int rc = timeline_inode(n->h->store, at, dirent->ino, &r, &memory, n->e);

		n->rc = rc == -E_STALE ? 0 : rc;
		if (rc < 0 || r.since < dirent->since || r.since > at)
			return;
		add_number(n, r.since);
		at = r.since - 1;
	}
}

static bool add_interval_changes(void *arg, struct view name, uint64_t cookie,
				 const struct dirent_record *dirent)
{
	struct numbers *n = arg;

	(void)name;
	(void)cookie;
	add_number(n, dirent->since);
	add_number(n, dirent->until);
	add_inode_changes(n, dirent);
	return !n->failed && n->rc == 0 && n->count < 4 * ROWS_MAX;
}

static bool add_version_change(void *arg, const struct name_version *v)
{
	struct numbers *n = arg;

	add_number(n, v->version->change);
	return !n->failed && n->count < 8 * ROWS_MAX;
}

static int newest_first(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a < b) - (a > b);
}

static int render_name(struct rows *rows, const struct node *node, struct error *e)
{
	struct numbers n = { .h = rows->h, .e = e };
	int rc = timeline_name(rows->h->store, node->dir, node_name(node), add_interval_changes, &n,
			       e);

	if (rc == 0)
		rc = n.rc;
	if (rc == 0)
		rc = timeline_name_versions(rows->h->store, node->dir, node_name(node), true,
					    add_version_change, &n, e);
	if (rc == 0 && n.failed)
		rc = error_set(e, -E_NO_MEMORY, "out of memory for the log of a name");
	if (n.count)
		qsort(n.at, n.count, sizeof(*n.at), newest_first);
	for (size_t i = 0; rc == 0 && i < n.count; i++) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct log_record record;

		if (i > 0 && n.at[i] == n.at[i - 1])
			continue;
		rc = changelog_get(rows->h->store, n.at[i], &record, &memory, e);
		if (rc == 0 && !put_row(rows, &record))
			break;
	}
	free(n.at);
	return rc;
}

static int render_changes(struct history *h, const struct credentials *who, const struct node *node,
			  struct text *text, struct error *e)
{
	struct rows rows = { .h = h, .who = who, .out = &text->bytes, .e = e, .most = ROWS_MAX };
	struct log_query query = { .under = node->dir, .last = text->stamp };
	int rc;

	put_header(&text->bytes);
	text->rows_at = text->bytes.len;
	rc = node->kind == NODE_CHANGES ? changelog_each(h->store, &query, put_row, &rows, e) :
					  render_name(&rows, node, e);
	text->rows = rows.count;
	text->is_cut = rows.is_cut;
	put_end(text);
	buf_release(&rows.memory);
	return rc < 0 ? rc : rows.rc < 0 ? rows.rc : buf_check(&text->bytes, e);
}

/* Could the change have given or taken rights to see other changes? */
static bool note_rights(void *arg, const struct log_record *record)
{
	bool *changed = arg;
	struct view acl = view_str("system.");

	switch (record->op) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
	case OP_SAVE:
	case OP_UTIMES:
	case OP_UNLINK:
	case OP_RMDIR:
	case OP_TAG:
	case OP_UNTAG:
		break;
	case OP_SETXATTR:
		*changed |= record->after.len >= acl.len &&
			    memcmp(record->after.data, acl.data, acl.len) == 0;
		break;
	default:
		*changed = true;
	}
	return !*changed;
}

/* Makes text of an older one and what happened since: 1, or 0 when it has to be made anew. */
static int bring_up_to_date(struct history *h, const struct credentials *who,
			    const struct node *node, const struct text *old, struct text *text,
			    struct error *e)
{
	struct rows rows = { .h = h, .who = who, .out = &text->bytes, .e = e, .most = UINT64_MAX };
	struct log_query since = { .first = old->stamp + 1, .last = text->stamp };
	bool changed = false;
	int rc = 0;

	if (node->kind != NODE_CHANGES || text->stamp - old->stamp > NEWER_MAX ||
	    old->rows > ROWS_MAX + NEWER_MAX)
		return 0;
	if (who->uid != 0)
		rc = changelog_each(h->store, &since, note_rights, &changed, e);
	if (rc < 0 || changed)
		return rc;
	put_header(&text->bytes);
	text->rows_at = text->bytes.len;
	since.under = node->dir;
	rc = changelog_each(h->store, &since, put_row, &rows, e);
	buf_append(&text->bytes, old->bytes.data + old->rows_at, old->rows_len);
	text->rows = rows.count + old->rows;
	text->is_cut = old->is_cut;
	put_end(text);
	buf_release(&rows.memory);
	rc = rc < 0 ? rc : rows.rc < 0 ? rows.rc : buf_check(&text->bytes, e);
	return rc < 0 ? rc : 1;
}

/* --- what is kept --- */

static void unref(struct text *text)
{
	if (text && --text->refs == 0) {
		buf_release(&text->bytes);
		free(text);
	}
}

void history_text_put(struct history *h, struct text *text)
{
	lock_take(&h->lock);
	unref(text);
	lock_drop(&h->lock);
}

/* The kept text of the node, of whatever age, with a reference; or NULL. */
static struct text *kept(struct history *h, const struct node *node)
{
	struct text *found = NULL;

	lock_take(&h->lock);
	for (size_t i = 0; i < CACHED_TEXTS && !found; i++) {
		struct cached_text *c = &h->texts[i];

		if (c->text && node_equal(&c->node, node)) {
			found = c->text;
			found->refs++;
			c->used = ++h->uses;
		}
	}
	lock_drop(&h->lock);
	return found;
}

static void keep(struct history *h, const struct node *node, struct text *text)
{
	struct cached_text *place = &h->texts[0];

	lock_take(&h->lock);
	for (size_t i = 0; i < CACHED_TEXTS; i++) {
		struct cached_text *c = &h->texts[i];

		if (c->text && node_equal(&c->node, node)) {
			place = c;
			break;
		}
		if (c->used < place->used)
			place = c;
	}
	unref(place->text);
	place->node = *node;
	place->text = text;
	place->used = ++h->uses;
	text->refs++;
	lock_drop(&h->lock);
}

static int text_new(struct history *h, const struct credentials *who, const struct node *node,
		    const struct text *old, uint64_t stamp, struct text **ret, struct error *e)
{
	struct text *text = calloc(1, sizeof(*text));
	int rc;

	if (!text)
		return error_set(e, -E_NO_MEMORY, "out of memory for a generated file");
	text->refs = 1;
	text->stamp = stamp;
	rc = old ? bring_up_to_date(h, who, node, old, text, e) : 0;
	if (rc == 0)
		rc = render_changes(h, who, node, text, e);
	if (rc < 0) {
		history_text_put(h, text);
		return rc;
	}
	keep(h, node, text);
	*ret = text;
	return 0;
}

int history_text_get(struct history *h, const struct credentials *who, const struct node *node,
		     struct text **ret, struct error *e)
{
	struct text *old = kept(h, node);
	struct digest digest;
	uint64_t stamp;
	int rc = changelog_head(h->store, &stamp, &digest, e);

	if (rc == 0 && old && old->stamp == stamp) {
		*ret = old;
		return 0;
	}
	if (rc == 0)
		rc = text_new(h, who, node, old, stamp, ret, e);
	history_text_put(h, old);
	return rc;
}
