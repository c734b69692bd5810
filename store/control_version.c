/* control_version.c - versions of a file: listing them and putting one back. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"
#include "control_parts.h"
#include "logtext.h"
#include "timeline.h"

/* --- history -------------------------------------------------------------- */

struct history {
	const struct command *command;
	uint64_t found, shown;
	struct error *e;
	int r;
};

static int show_version(const struct command *c, const struct name_version *v, struct error *e)
{
	CLEANUP(buf_release) struct buf flags = { 0 };
	const struct version_record *r = v->version;
	char digest[DIGEST_TEXT];

	version_flag_words(&flags, r->flags);
	struct cell cells[] = { cell_number("version", v->number),
				cell_time("time", r->time),
				cell_text("author", r->author),
				cell_number("size", r->size),
				cell_text_some("flags", buf_view(&flags)),
				control_digest("digest", &r->digest, digest),
				cell_number("document", v->doc),
				cell_number_some("from_document", r->from),
				cell_number_some("from_version", r->from_version),
				cell_number_some("read", r->base),
				cell_text("name", r->name),
				cell_time("mtime", r->mtime),
				cell_number("uid", r->uid),
				cell_number_some("process", r->tgid),
				cell_text_some("command", r->command),
				cell_text_some("client", r->client),
				cell_number("change", r->change) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

static bool list_version(void *arg, const struct name_version *v)
{
	struct history *h = arg;
	const struct command *c = h->command;

	h->found++;
	h->r = access_version(c->store, c->who, v->doc, v->number, v->version, h->e);
	if (h->r <= 0)
		return h->r == 0;
	h->shown++;
	h->r = show_version(c, v, h->e);
	return h->r == 0;
}

/* What to say of a path that has no versions for this caller.  That a name was there once is told
 * only to those who may see something of it. */
static int nothing_there(const struct spot *spot, bool hidden, struct error *e)
{
	int length = (int)spot->path.len;
	const char *path = spot->path.data;

	if (spot->live && spot->type == S_IFDIR)
		return error_set(e, -E_IS_DIR,
				 "%.*s: is a directory: name a file; or restore all of it with "
				 "--at TIME; or see "
				 "`daybook log`",
				 length ? length : 1, length ? path : "/");
	if (spot->live && spot->type != S_IFREG)
		return error_set(e, -E_INVALID, "%.*s: only regular files have versions", length,
				 path);
	if (spot->live && hidden)
		return error_set(e, -E_DENIED,
				 "%.*s: permission denied: you may read none of its versions",
				 length, path);
	return error_set(e, -E_NO_ENTRY,
			 "%.*s: there is no such file, and no version of one that you may read",
			 length, path);
}

int control_history(const struct command *c, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct history h = { .command = c, .e = e };
	struct spot spot;
	int r = control_find(c, request_get(c->request, "path"), &spot, &memory, e);

	if (r == 0 && spot.name.len)
		r = timeline_name_versions(c->store, spot.parent, spot.name, control_flag(c, "all"),
					   list_version, &h, e);
	if (r < 0 || h.r < 0)
		return h.r < 0 ? h.r : r;
	if (h.shown || (spot.live && spot.type == S_IFREG && !h.found))
		return 0;
	return nothing_there(&spot, h.found > 0, e);
}

/* --- restore: which version ----------------------------------------------- */

struct wanted {
	const struct command *command;
	bool by_number, found;
	uint64_t doc, number;   /* doc 0: any, best the one that lives there */
	uint64_t live_doc;
	int64_t until;          /* by time: the newest at or before it */
	struct {
		uint64_t doc, number;
		int granted;
	} best;
	struct error *e;
};

/* Newest first: the first that fits is it, but for one of the document that lives there now. */
static bool consider(void *arg, const struct name_version *v)
{
	struct wanted *w = arg;

	if (w->by_number ? v->number != w->number || (w->doc && v->doc != w->doc)
			 : v->version->time > w->until)
		return true;
	bool best = !w->by_number || w->doc || v->doc == w->live_doc;
	if (w->found && !best)
		return true;
	w->found = true;
	w->best.doc = v->doc;
	w->best.number = v->number;
	w->best.granted = access_version(w->command->store, w->command->who, v->doc, v->number,
					 v->version, w->e);
	return !best;
}

static bool read_digits(const char **at, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return true;
}

/* "12" or "3@12", or a time. */
static int read_wanted(struct wanted *w, struct error *e)
{
	struct view version = request_get(w->command->request, "version"),
		    at = request_get(w->command->request, "at");
	char text[64];
	const char *p = text;

	if (!version.data == !at.data)
		return error_set(e, -E_USAGE,
				 "say which version: either --version NUMBER or --at TIME");
	if (at.data)
		return clock_parse(at, clock_now(), &w->until, e);
	w->by_number = true;
	snprintf(text, sizeof(text), "%.*s", (int)(version.len < 60 ? version.len : 60),
		 (const char *)version.data);
	bool ok = read_digits(&p, &w->number);
	if (ok && *p == '@') {
		p++;
		w->doc = w->number;
		ok = read_digits(&p, &w->number);
	}
	if (!ok || *p)
		return error_set(e, -E_USAGE,
				 "--version takes a number (12), or document and number (3@12), as "
				 "`daybook history` lists them");
	return 0;
}

static int choose(const struct command *c, const struct spot *spot, struct wanted *w,
		  struct error *e)
{
	int length = (int)spot->path.len, r;
	const char *path = spot->path.data;

	w->live_doc = spot->live ? spot->doc : 0;
	r = timeline_name_versions(c->store, spot->parent, spot->name, true, consider, w, e);
	if (r < 0 || w->best.granted < 0)
		return r < 0 ? r : w->best.granted;
	if (w->found && w->best.granted)
		return 0;
	if (spot->live && w->found)
		return error_set(e, -E_DENIED,
				 "%.*s: permission denied: you may not read that version", length,
				 path);
	if (w->by_number)
		return error_set(
			e, -E_NO_VERSION,
			"%.*s: no version %llu that you may read; `daybook history` lists them",
			length, path, (unsigned long long)w->number);
	return error_set(
		e, -E_NO_VERSION,
		"%.*s: no version at that time that you may read; `daybook history` lists them",
		length, path);
}

/* --- restore: where to ---------------------------------------------------- */

/* May the caller write the file there, or make it? */
static int check_target(const struct command *c, const struct spot *to, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int length = (int)to->path.len, r;
	const char *path = to->path.data;

	if (!to->parent_live || !to->name.len)
		return error_set(
			e, -E_NO_ENTRY,
			"%.*s: its directory is not there any more: make it, or give another "
			"place with --to",
			length, path);
	if (to->live && to->type != S_IFREG)
		return error_set(e, to->type == S_IFDIR ? -E_IS_DIR : -E_EXISTS,
				 "%.*s: something else than a file bears that name now: give "
				 "another with --to",
				 length, path);
	r = inode_get(c->store, to->live ? to->ino : to->parent, &inode, e);
	if (r < 0)
		return r;
	if (!access_inode(c->who, &inode->r,
			  to->live ? ACCESS_WRITE : ACCESS_WRITE | ACCESS_SEARCH))
		return error_set(e, -E_DENIED, "%.*s: permission denied: you may not write %s",
				 length, path, to->live ? "it" : "in its directory");
	return 0;
}

/* Where to: the path itself, or --to, which in a directory means the file's name there. */
static int find_target(const struct command *c, const struct spot *from, struct spot *ret,
		       struct buf *memory, struct error *e)
{
	CLEANUP(buf_release) struct buf below = { 0 };
	struct view to = request_get(c->request, "to");
	int r;

	if (!to.data) {
		*ret = *from;
		return 0;
	}
	r = control_find(c, to, ret, memory, e);
	if (r < 0 || !ret->live || ret->type != S_IFDIR)
		return r;
	buf_append(&below, to.data, to.len);
	buf_u8(&below, '/');
	buf_append(&below, from->name.data, from->name.len);
	r = buf_check(&below, e);
	return r < 0 ? r : control_find(c, buf_view(&below), ret, memory, e);
}

static int put_back(const struct command *c, struct spot *to, const struct wanted *w,
		    struct saved *ret, struct error *e)
{
	const struct control_context *context = c->context;
	struct dirent_record dirent;
	int r;

	if (to->live)
		r = version_restore(c->store, &context->actor, to->ino, w->best.doc, w->best.number,
				    ret, e);
	else
		r = version_restore_at(c->store, &context->actor, to->parent, to->name, w->best.doc,
				       w->best.number, ret, e);
	if (r == 0)
		r = store_sync(c->store, e);
	if (r < 0)
		return r;
	if (!to->live && namespace_lookup(c->store, to->parent, to->name, &dirent, NULL) == 0)
		to->ino = dirent.ino;
	if (context->changed)
		context->changed(context->arg, to->ino, to->parent, to->name);
	return 0;
}

static int tell_restored(const struct command *c, const struct spot *to, const struct wanted *w,
			 const struct saved *saved, struct error *e)
{
	struct cell cells[] = { cell_text("path", to->path),
				cell_number("document", saved->doc),
				cell_number("version", saved->number),
				cell_number("from_document", w->best.doc),
				cell_number("from_version", w->best.number),
				cell_number("size", saved->size),
				cell_flag("unchanged", saved->unchanged) };

	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

/* Was the path a directory at --at?  1 and the instant and its inode, or 0. */
static int find_folder(const struct command *c, const struct spot *from, const struct wanted *w,
		       uint64_t *ret_instant, uint64_t *ret_ino, struct error *e)
{
	struct dirent_record dirent = { .ino = ROOT_INODE, .type = S_IFDIR };
	int r;

	if (w->by_number || !from->known || (from->live && from->type != S_IFDIR))
		return 0;
	r = timeline_instant(c->store, w->until, ret_instant, e);
	if (r == 0 && from->name.len)
		r = timeline_lookup(c->store, *ret_instant, from->parent, from->name, &dirent, e);
	if (r == -E_NO_ENTRY && from->type == S_IFDIR)
		return error_set(e, r, "%.*s: was not there at that time", (int)from->path.len,
				 (const char *)from->path.data);
	if (r < 0)
		return r == -E_NO_ENTRY ? 0 : r;
	*ret_ino = dirent.ino;
	return (dirent.type & S_IFMT) == S_IFDIR;
}

int control_restore(const struct command *c, struct error *e)
{
	CLEANUP(buf_release) struct buf from_memory = { 0 }, to_memory = { 0 };
	struct wanted wanted = { .command = c, .e = e };
	struct saved saved = { 0 };
	struct spot from, to;
	uint64_t instant = 0, folder = 0;
	int r = read_wanted(&wanted, e);

	if (r == 0)
		r = control_find(c, request_get(c->request, "path"), &from, &from_memory, e);
	if (r == 0)
		r = find_target(c, &from, &to, &to_memory, e);
	if (r < 0)
		return r;
	int is_folder = find_folder(c, &from, &wanted, &instant, &folder, e);
	if (is_folder < 0)
		return is_folder;
	if (!is_folder && (!from.name.len || !from.known || (from.live && from.type != S_IFREG)))
		return nothing_there(&from, false, e);
	if (c->context->read_only || store_is_read_only(c->store))
		return error_set(e, -E_READ_ONLY,
				 "the share is mounted read-only: nothing can be restored in it");
	if (is_folder)
		return control_restore_folder(c, &to, instant, folder, e);
	r = check_target(c, &to, e);
	if (r == 0 && to.live && c->context->settle)
		r = c->context->settle(c->context->arg, to.ino, e);
	if (r == 0)
		r = choose(c, &from, &wanted, e);
	if (r == 0)
		r = put_back(c, &to, &wanted, &saved, e);
	return r < 0 ? r : tell_restored(c, &to, &wanted, &saved, e);
}
