/* control_folder.c - restore of a folder: whatever was in it at an instant, and below, is put back.
 *
 * A file that holds other bytes now gets a new version; what is gone is made again, with the rights
 * it had; what came later stays.  What cannot be put back does not stop the rest: at the end the
 * first of these is told, and how many. Each file is a change of its own, so that others save
 * meanwhile, and all are on stable storage at the end. */
#include <errno.h>
#include <sys/stat.h>

#include "clock.h"
#include "control_parts.h"
#include "timeline.h"

#define TELL_EVERY 64           /* files between two calls of progress() */
#define RESTS 4
#define REST_NS_MAX 50000000ll
#define BUSY_NS 200000000ll

struct folder {
	const struct command *command;
	uint64_t instant;
	struct buf path;    /* of what is at hand, in the live tree */
	uint64_t done, bad;
	/* The newest change when work on this name began, and how many were made here since. */
	uint64_t head, own;
	int64_t resumed_ns; /* when that was */
	int64_t busy_ns;    /* others saved; until then more of that is expected */
	struct error first; /* of what could not be put back */
	int stop;           /* the code that ends it all */
};

/* A live directory that is being filled. */
struct level {
	struct folder *folder;
	uint64_t live;
};

static int fill(struct folder *f, uint64_t then, uint64_t live, struct error *e);

/* --- one name ------------------------------------------------------------- */

static int denied(const struct folder *f, const char *what, struct error *e)
{
	return error_set(e, -E_DENIED, "%.*s: permission denied: you may not %s", (int)f->path.len,
			 (const char *)f->path.data, what);
}

/* The inode as it was, when the caller may see it (P4). */
static int inode_then(const struct folder *f, uint64_t ino, struct inode_record *ret,
		      struct buf *memory, struct error *e)
{
	int r = timeline_inode(f->command->store, f->instant, ino, ret, memory, e);

	if (r == 0)
		r = access_past(f->command->store, f->command->who, ret, e);
	return r == 0 ? denied(f, "see what it was", e) : r < 0 ? r : 0;
}

/* What bears the name in the live directory: 1 and its inode, 0 when it is free and the caller may
 * make it. */
static int inode_now(const struct folder *f, uint64_t live, struct view name, uint32_t type,
		     struct inode **ret, struct error *e)
{
	CLEANUP(inode_release) struct inode *directory = NULL;
	struct dirent_record dirent;
	int r = namespace_lookup(f->command->store, live, name, &dirent, e);

	if (r == 0 && (dirent.type & S_IFMT) != type)
		return error_set(e, -E_EXISTS, "%.*s: something else bears that name now",
				 (int)f->path.len, (const char *)f->path.data);
	if (r == 0) {
		r = inode_get(f->command->store, dirent.ino, ret, e);
		return r < 0 ? r : 1;
	}
	if (r == -E_NO_ENTRY)
		r = inode_get(f->command->store, live, &directory, e);
	if (r == 0 && !access_inode(f->command->who, &directory->r, ACCESS_WRITE | ACCESS_SEARCH))
		return denied(f, "write in its directory", e);
	return r;
}

static void changed(const struct folder *f, uint64_t ino, uint64_t parent, struct view name)
{
	const struct control_context *context = f->command->context;

	if (context->changed)
		context->changed(context->arg, ino, parent, name);
}

static int make(struct folder *f, uint64_t live, struct view name, const struct inode_record *then,
		struct inode **ret, struct error *e)
{
	const struct actor *actor = &f->command->context->actor;
	struct make how = { .mode = (uint32_t)then->mode & (S_IFMT | 0777),
			    .uid = actor->uid,
			    .gid = actor->gid,
			    .target = then->target };
	int r = namespace_make(f->command->store, actor, live, name, &how, ret, e);

	if (r == 0)
		changed(f, (*ret)->r.ino, live, name);
	f->own++;
	return r;
}

static int put_directory(struct folder *f, uint64_t live, struct view name,
			 const struct inode_record *then, struct error *e)
{
	CLEANUP(inode_release) struct inode *now = NULL;
	int r = inode_now(f, live, name, S_IFDIR, &now, e);

	if (r == 0)
		r = make(f, live, name, then, &now, e);
	return r < 0 ? r : fill(f, then->ino, now->r.ino, e);
}

static int put_link(struct folder *f, uint64_t live, struct view name,
		    const struct inode_record *then, struct error *e)
{
	CLEANUP(inode_release) struct inode *now = NULL;
	int r = inode_now(f, live, name, S_IFLNK, &now, e);

	return r == 0 ? make(f, live, name, then, &now, e) : r < 0 ? r : 0;
}

/* Unsaved bytes become a version first; the inode is read again after that. */
static int settle(const struct folder *f, struct inode **now, struct error *e)
{
	const struct control_context *context = f->command->context;
	uint64_t ino = (*now)->r.ino;

	if (!access_inode(f->command->who, &(*now)->r, ACCESS_WRITE))
		return denied(f, "write it", e);
	if (!context->settle)
		return 0;
	int r = context->settle(context->arg, ino, e);
	if (r < 0)
		return r;
	inode_put(*now);
	*now = NULL;
	return inode_get(f->command->store, ino, now, e);
}

static int check_version(const struct folder *f, const struct inode_record *then, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	int r = version_get(f->command->store, then->doc, then->version, &v, &memory, e);

	if (r == 0)
		r = access_version(f->command->store, f->command->who, then->doc, then->version, &v,
				   e);
	return r == 0 ? denied(f, "read that version", e) : r < 0 ? r : 0;
}

static int put_version(struct folder *f, uint64_t live, struct view name,
		       const struct inode_record *then, struct inode *now, struct error *e)
{
	const struct command *c = f->command;
	const struct actor *actor = &c->context->actor;
	struct dirent_record dirent = { .ino = now ? now->r.ino : 0 };
	struct saved saved = { 0 };
	int r = now ? version_restore(c->store, actor, dirent.ino, then->doc, then->version, &saved,
				      e)
		    : version_restore_at(c->store, actor, live, name, then->doc, then->version,
					 &saved, e);

	f->own += now ? 1 : 2;
	if (r == 0 && !now)
		r = namespace_lookup(c->store, live, name, &dirent, e);
	if (r < 0)
		return r;
	changed(f, dirent.ino, live, name);
	struct cell cells[] = { cell_text("path", buf_view(&f->path)),
				cell_number("document", saved.doc),
				cell_number("version", saved.number),
				cell_number("from_document", then->doc),
				cell_number("from_version", then->version),
				cell_number("size", saved.size),
				cell_flag("unchanged", saved.unchanged) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

static int put_file(struct folder *f, uint64_t live, struct view name,
		    const struct inode_record *then, struct error *e)
{
	CLEANUP(inode_release) struct inode *now = NULL;
	int r = inode_now(f, live, name, S_IFREG, &now, e);

	if (r > 0 && then->version)
		r = settle(f, &now, e);
	if (r < 0 || (now && (!then->version || now->r.content == then->content)))
		return r < 0 ? r : 0;
	if (!then->version) /* made, but nothing had been saved in it */
		return make(f, live, name, then, &now, e);
	r = check_version(f, then, e);
	return r < 0 ? r : put_version(f, live, name, then, now, e);
}

/* --- all of them ---------------------------------------------------------- */

static int put_back(struct level *at, struct view name, const struct dirent_record *dirent,
		    struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct folder *f = at->folder;
	struct inode_record then;
	int r = inode_then(f, dirent->ino, &then, &memory, e);

	if (r < 0)
		return r;
	switch (then.mode & S_IFMT) {
	case S_IFDIR:
		return put_directory(f, at->live, name, &then, e);
	case S_IFLNK:
		return put_link(f, at->live, name, &then, e);
	case S_IFREG:
		return put_file(f, at->live, name, &then, e);
	default:
		return 0; /* sockets, fifos and devices hold nothing */
	}
}

static int64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

/* Saves go first: while others change things, this thread rests for some times as long as it
 * worked. */
static void give_way(struct folder *f)
{
	int64_t time, now = monotonic_ns(), rest = (now - f->resumed_ns) * RESTS;
	uint64_t head;

	store_head(f->command->store, &head, &time);
	if (f->head && head > f->head + f->own)
		f->busy_ns = now + BUSY_NS;
	if (now < f->busy_ns)
		nanosleep(&(struct timespec){ .tv_nsec = rest < REST_NS_MAX ? rest : REST_NS_MAX },
			  NULL);
	store_head(f->command->store, &f->head, &time);
	f->own = 0;
	f->resumed_ns = monotonic_ns();
}

static bool visit(void *arg, struct view name, uint64_t cookie, const struct dirent_record *dirent)
{
	struct level *at = arg;
	struct folder *f = at->folder;
	const struct answer *answer = f->command->answer;
	size_t len = f->path.len;
	struct error e = { 0 };

	(void)cookie;
	if (len)
		buf_u8(&f->path, '/');
	buf_append(&f->path, name.data, name.len);
	int r = f->path.failed ? error_set(&e, -E_NO_MEMORY, "out of memory")
			       : put_back(at, name, dirent, &e);
	f->path.len = len;
	give_way(f);
	if (r < 0 && f->bad++ == 0)
		f->first = e;
	if (r == -ECANCELED || r == -E_NO_MEMORY || r == -E_NO_SPACE)
		f->stop = r;
	if (++f->done % TELL_EVERY == 0 && answer->progress &&
	    !answer->progress(answer->arg, f->done, 0))
		f->stop = control_canceled(&f->first);
	return f->stop == 0;
}

/* Puts what was in directory `then` into the live directory. */
static int fill(struct folder *f, uint64_t then, uint64_t live, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct level at = { f, live };
	struct inode_record was;
	int r = inode_then(f, then, &was, &memory, e);

	if (r == 0 && !access_inode(f->command->who, &was, ACCESS_READ | ACCESS_SEARCH))
		r = denied(f, "list what was in it", e);
	return r < 0 ? r : timeline_readdir(f->command->store, f->instant, then, 0, visit, &at, e);
}

/* The live directory that takes it all: the folder's own, or --to; made when it is not there. */
static int find_directory(struct folder *f, const struct spot *to, uint64_t then,
			  struct inode **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record was;
	int length = (int)to->path.len, r;

	if (!to->name.len)
		return inode_get(f->command->store, ROOT_INODE, ret, e);
	if (!to->parent_live)
		return error_set(
			e, -E_NO_ENTRY,
			"%.*s: its directory is not there any more: make it, or give another "
			"place with --to",
			length, (const char *)to->path.data);
	r = inode_then(f, then, &was, &memory, e);
	if (r == 0)
		r = inode_now(f, to->parent, to->name, S_IFDIR, ret, e);
	return r == 0 ? make(f, to->parent, to->name, &was, ret, e) : r < 0 ? r : 0;
}

int control_restore_folder(const struct command *c, const struct spot *to, uint64_t instant,
			   uint64_t then, struct error *e)
{
	struct folder f = { .command = c, .instant = instant };
	CLEANUP(inode_release) struct inode *live = NULL;

	buf_append(&f.path, to->path.data, to->path.len);
	int r = find_directory(&f, to, then, &live, e);
	if (r == 0)
		r = fill(&f, then, live->r.ino, e);
	int synced = store_sync(c->store, r < 0 ? NULL : e);
	buf_release(&f.path);
	if (r < 0 || synced < 0)
		return r < 0 ? r : synced;
	if (!f.bad)
		return 0;
	*e = f.first;
	return f.bad == 1 ? f.first.code
			  : error_prefix(e, f.first.code,
					 "%llu of %llu could not be put back, the first of them",
					 (unsigned long long)f.bad, (unsigned long long)f.done);
}
