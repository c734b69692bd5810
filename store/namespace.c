/* namespace.c - see namespace.h: reading the live tree, making and removing names.  Moving them is
 * rename.c's. */
#include "namespace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"
#include "internal.h"
#include "lineage.h"
#include "slot.h"

#define LINKS_MAX 65000      /* as ext4 */
#define TARGET_LEN_MAX 4095

/* Reads a name from the database: 1 and *ret, or 0. */
static int read_dirent(struct store *store, uint64_t parent, struct view name,
		       struct dirent_record *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_name(parent, store_cookie(store, name), name);
	int rc = kv_get(store->kv, NULL, FAMILY_DIRENT, key_view(&key), &value, e);

	if (rc > 0)
		rc = dirent_decode(ret, buf_view(&value), e) < 0 ? -E_CORRUPT : 1;
	return rc;
}

int namespace_lookup(struct store *store, uint64_t parent, struct view name,
		     struct dirent_record *ret, struct error *e)
{
	struct dirent_state state, read = { 0 };
	uint64_t epoch;
	int rc;

	if (name.len > NAME_LEN_MAX)
		return error_set(e, -E_NAME_LONG, "the name is %zu bytes long, the limit is %d",
				 name.len, NAME_LEN_MAX);
	dirents_find(store->dirents, parent, name, &state, &epoch);
	if (state.live == DIRENT_UNKNOWN) {
		rc = read_dirent(store, parent, name, &read.live_record, e);
		if (rc < 0)
			return rc;
		state.live = read.live = rc ? DIRENT_THERE : DIRENT_NONE;
		state.live_record = read.live_record;
		dirents_offer(store->dirents, parent, name, &read, epoch);
	}
	if (state.live == DIRENT_NONE)
		return error_set(e, -E_NO_ENTRY, "%.*s: no such file or directory", (int)name.len,
				 (const char *)name.data);
	*ret = state.live_record;
	return 0;
}

/* Directories of at most so many names are listed from memory. */
#define LISTED_MAX 128

struct listed_name {
	uint64_t cookie;
	struct view name;
	struct dirent_record dirent;
};

static int by_cookie(const void *a, const void *b)
{
	const struct listed_name *x = a, *y = b;

	return x->cookie != y->cookie ? (x->cookie > y->cookie) - (x->cookie < y->cookie)
				      : view_order(x->name, y->name);
}

/* Lists what dirents_list() gave. */
static void list_known(struct store *store, struct view known, uint64_t cookie,
		       dirent_visitor each, void *arg)
{
	struct listed_name names[LISTED_MAX];
	struct reader in = reader_of(known);
	size_t count = 0;

	while (reader_left(&in) > 0) {
		struct listed_name *to = &names[count];
		struct view record = reader_bytes(&in, sizeof(to->dirent));

		memcpy(&to->dirent, record.data, sizeof(to->dirent));
		size_t len = reader_u8(&in);
		to->name = reader_bytes(&in, len);
		to->cookie = store_cookie(store, to->name);
		count += to->cookie > cookie;
	}
	qsort(names, count, sizeof(*names), by_cookie);
	for (size_t i = 0; i < count; i++) {
		if (!each(arg, names[i].name, names[i].cookie, &names[i].dirent))
			return;
	}
}

/* Lists into memory what is in the directory; that comes to nothing when it is too much. */
struct learning {
	struct store *store;
	uint64_t directory, listing;
	size_t count;
};

static bool learn_name(void *arg, struct view name, uint64_t cookie,
		       const struct dirent_record *dirent)
{
	struct learning *l = arg;

	(void)cookie;
	dirents_list_name(l->store->dirents, l->directory, l->listing, name, dirent);
	return ++l->count <= LISTED_MAX;
}

static int list_stored(struct store *store, uint64_t parent, uint64_t cookie, dirent_visitor each,
		       void *arg, struct error *e);

static void learn(struct store *store, uint64_t directory)
{
	struct learning l = { .store = store, .directory = directory };

	l.listing = dirents_list_begin(store->dirents, directory, LISTED_MAX);
	if (l.listing && list_stored(store, directory, 0, learn_name, &l, NULL) == 0 &&
	    l.count <= LISTED_MAX)
		dirents_list_end(store->dirents, directory, l.listing);
}

int namespace_readdir(struct store *store, uint64_t parent, uint64_t cookie, dirent_visitor each,
		      void *arg, struct error *e)
{
	CLEANUP(buf_release) struct buf known = { 0 };
	bool is_known = dirents_list(store->dirents, parent, LISTED_MAX, &known);

	if (!is_known && cookie < STORE_COOKIE_MIN) {
		learn(store, parent);
		is_known = dirents_list(store->dirents, parent, LISTED_MAX, &known);
	}
	if (!is_known || known.failed)
		return list_stored(store, parent, cookie, each, arg, e);
	list_known(store, buf_view(&known), cookie, each, arg);
	return 0;
}

static int list_stored(struct store *store, uint64_t parent, uint64_t cookie, dirent_visitor each,
		       void *arg, struct error *e)
{
	struct key prefix = key_number(parent), from = key_numbers(parent, cookie + 1);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_DIRENT, key_view(&prefix), false);
	struct view key, value;
	int rc;

	if (cookie == UINT64_MAX)
		return 0;
	kv_iter_seek(it, key_view(&from));
	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader r = reader_of(key);
		struct dirent_record dirent;

		reader_u64(&r);
		uint64_t at = reader_u64(&r);
		struct view name = key_name_left(&r);
		if (r.failed)
			return error_set(e, -E_CORRUPT, "a name in directory %llu is damaged",
					 (unsigned long long)parent);
		rc = dirent_decode(&dirent, value, e);
		if (rc < 0)
			return rc;
		if (!each(arg, name, at, &dirent))
			return 0;
	}
	return rc;
}

/* Walks up from ino to the root: the bytes that its path takes, and, when to is given, the path
 * written backwards from to + length. */
static int walk_up(struct store *store, uint64_t ino, char *to, size_t length, size_t *ret_length,
		   struct error *e)
{
	size_t n = 0;

	for (unsigned depth = 0; ino != ROOT_INODE; depth++) {
		CLEANUP(inode_release) struct inode *inode = NULL;
		int rc = inode_get(store, ino, &inode, e);

		if (rc < 0)
			return rc;
		if (depth > DEPTH_DAMAGED)
			return error_set(e, -E_CORRUPT, "directory %llu is its own ancestor",
					 (unsigned long long)ino);
		size_t part = inode->r.name.len + (n ? 1 : 0);
		if (to && n + part > length)
			return error_set(e, -EAGAIN, "a directory moved meanwhile");
		if (to && n)
			to[length - n - 1] = '/';
		if (to)
			view_copy(to + length - n - part, inode->r.name);
		n += part;
		ino = inode->r.parent;
	}
	*ret_length = n;
	return 0;
}

int namespace_path(struct store *store, uint64_t ino, struct buf *out, struct error *e)
{
	size_t length, written = 0, start = out->len;
	int rc;

	do {
		out->len = start;
		rc = walk_up(store, ino, NULL, 0, &length, e);
		if (rc < 0 || length == 0)
			return rc;
		char *to = buf_grow(out, length);
		if (!to)
			return buf_check(out, e);
		rc = walk_up(store, ino, to, length, &written, e);
	} while (rc == -EAGAIN || (rc == 0 && written != length));
	return rc;
}

int namespace_walk(struct store *store, struct view path, struct inode **ret, struct error *e)
{
	const char *at = path.data, *end = at ? at + path.len : at;
	uint64_t ino = ROOT_INODE;

	while (at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct view name = view_of(at, (size_t)((slash ? slash : end) - at));
		struct dirent_record dirent;

		at += name.len + 1;
		if (name.len == 0 || view_equal(name, view_str(".")))
			continue;
		int rc = namespace_lookup(store, ino, name, &dirent, e);
		if (rc < 0)
			return rc;
		ino = dirent.ino;
	}
	return inode_get(store, ino, ret, e);
}

/* The directory in which a name is to change, for editing, its times set. */
static int edit_directory(struct change *c, uint64_t parent, struct inode_record **ret,
			  struct error *e)
{
	int rc = change_inode(c, parent, ret, e);

	if (rc < 0)
		return rc;
	if (!S_ISDIR((*ret)->mode))
		return error_set(e, -E_NOT_DIR, "inode %llu is not a directory",
				 (unsigned long long)parent);
	if ((*ret)->nlink == 0)
		return error_set(e, -E_NO_ENTRY, "the directory was removed");
	(*ret)->mtime = (*ret)->ctime = c->time;
	return 0;
}

/* -E_EXISTS when the name is taken. */
static int name_is_free(struct change *c, struct place place, struct error *e)
{
	struct dirent_record there;
	int rc = namespace_lookup(c->store, place.parent, place.name, &there, e);

	if (rc == 0)
		return error_set(e, -E_EXISTS, "%.*s: the name is taken", (int)place.name.len,
				 (const char *)place.name.data);
	return rc == -E_NO_ENTRY ? 0 : rc;
}

static enum log_operation make_operation(uint32_t mode)
{
	return S_ISDIR(mode) ? OP_MKDIR : S_ISLNK(mode) ? OP_SYMLINK : OP_CREATE;
}

static void fill_inode(struct inode_record *r, const struct make *make, int64_t now)
{
	r->mode = make->mode;
	r->uid = make->uid;
	r->gid = make->gid;
	r->rdev = make->rdev;
	r->target = make->target;
	r->xattrs = make->xattrs;
	r->size = make->target.len;
	r->atime = r->mtime = r->ctime = r->btime = now;
}

static int check_make(struct place place, const struct make *make, struct error *e)
{
	int rc = place_check(place, e);

	if (rc == 0 && S_ISLNK(make->mode) &&
	    (make->target.len == 0 || make->target.len > TARGET_LEN_MAX))
		rc = error_set(e, -ENAMETOOLONG, "a link's target has 1 to %d bytes",
			       TARGET_LEN_MAX);
	return rc;
}

static int make_in_change(struct change *c, struct place place, const struct make *make,
			  uint64_t *ret_ino, struct error *e)
{
	struct inode_record *directory, *inode;
	int rc = edit_directory(c, place.parent, &directory, e);

	if (rc == 0)
		rc = name_is_free(c, place, e);
	if (rc == 0)
		rc = change_inode_new(c, &inode, e);
	if (rc < 0)
		return rc;
	fill_inode(inode, make, c->time);
	inode->nlink = S_ISDIR(make->mode) ? 2 : 1;
	inode->parent = place.parent;
	inode->name = place.name;
	c->new_directory = S_ISDIR(make->mode) ? inode->ino : 0;
	directory->nlink += S_ISDIR(make->mode) ? 1 : 0;
	if (S_ISREG(make->mode))
		rc = slot_settle_new(c, place, inode, e);
	if (rc == 0)
		rc = change_name(c, inode->ino, place.parent, place.name, false, e);
	if (rc == 0 && S_ISDIR(make->mode))
		rc = change_check_depth(c, false, e);
	if (rc < 0)
		return rc;
	struct dirent_record dirent = { .ino = inode->ino,
					.doc = inode->doc,
					.type = make->mode & S_IFMT };
	change_dirent(c, place.parent, place.name, &dirent);
	buf_clear(&c->path2);
	buf_append(&c->path2, make->target.data, make->target.len);
	c->log.doc = inode->doc;
	c->files = S_ISREG(make->mode);
	*ret_ino = inode->ino;
	return 0;
}

int namespace_make(struct store *store, const struct actor *actor, uint64_t parent,
		   struct view name, const struct make *make, struct inode **ret, struct error *e)
{
	struct place place = { parent, name };
	CLEANUP(change_abort) struct change c = { 0 };
	char mode[16];
	uint64_t ino = 0;
	int rc = check_make(place, make, e);

	if (rc == 0)
		rc = change_begin(store, actor, make_operation(make->mode), NULL, &c, e);
	if (rc == 0)
		rc = make_in_change(&c, place, make, &ino, e);
	if (rc < 0)
		return rc;
	snprintf(mode, sizeof(mode), "%o", make->mode & 07777);
	c.log.after = view_str(mode);
	change_give(&c, ino, ret);
	return change_commit(&c, e);
}

/* Under the commit lock, so that no number is given twice. */
static int put_unnamed(struct store *store, const struct make *make, struct inode **ret,
		       struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(inode_release) struct inode *fresh = NULL;
	CLEANUP(buf_release) struct buf value = { 0 };
	struct inode_record r = { .since = store->head_change + 1 };
	int rc = store_take_number(&store->next_inode, "inodes", &r.ino, e);

	if (rc < 0)
		return rc;
	fill_inode(&r, make, clock_now());
	inode_encode(&value, &r);
	struct key key = key_number(r.ino);
	kv_batch_put(&batch, FAMILY_INODE, key_view(&key), buf_view(&value));
	kv_batch_put(&batch, FAMILY_ORPHAN, key_view(&key), view_of("", 0));
	store_put_next_inode(store, &batch);
	rc = buf_check(&value, e);
	if (rc == 0)
		rc = inode_cache_make(store->inodes, buf_view(&value), &fresh, e);
	if (rc == 0)
		rc = kv_write(store->kv, &batch, e);
	if (rc < 0)
		return rc;
	inode_cache_replace(store->inodes, r.ino, fresh);
	*ret = fresh;
	fresh = NULL;
	return 0;
}

int namespace_make_unnamed(struct store *store, const struct actor *actor, const struct make *make,
			   struct inode **ret, struct error *e)
{
	(void)actor;
	if (store->read_only)
		return error_set(e, -EROFS, "the store was opened read-only");
	lock_take(&store->commit);
	int rc = put_unnamed(store, make, ret, e);
	lock_drop(&store->commit);
	return rc;
}

/* An unnamed inode (O_TMPFILE) gets its first name, and its content becomes a document's
 * version. */
static int name_unnamed(struct change *c, struct inode_record *inode, struct place place,
			struct error *e)
{
	struct key key = key_number(inode->ino);
	struct content_ref content;
	int rc = slot_settle_new(c, place, inode, e);

	kv_batch_delete(c->batch, FAMILY_ORPHAN, key_view(&key));
	c->bytes = (int64_t)inode->size;
	if (rc < 0 || !inode->content)
		return rc;
	rc = content_stat(c->store->contents, inode->content, &content, e);
	if (rc < 0)
		return rc;
	struct document_record *d;
	rc = change_document(c, inode->doc, &d, e);
	if (rc < 0)
		return rc;
	struct version_record v = { .change = c->number, .time = c->time, .uid = c->actor->uid,
		.gid = c->actor->gid, .author = c->actor->name, .tgid = c->actor->tgid,
		.command = c->actor->command, .client = c->actor->client, .content = content.id,
		.size = content.size, .digest = content.digest, .prev = d->head };
	slot_sign(&v, inode, place);
	inode->version = ++d->head;
	change_add_version(c, inode->doc, d->head, &v);
	c->log.version = d->head;
	c->log.size_after = content.size;
	c->log.digest_after = content.digest;
	return 0;
}

/* A further name; L3 for programs that save by unlink and link. */
static int name_again(struct change *c, struct inode_record *inode, struct place place,
		      struct error *e)
{
	struct document_record *d;
	uint64_t vacated = 0;
	bool absorbed = false;
	int rc;

	if (!inode->doc)
		return 0;
	rc = change_document(c, inode->doc, &d, e);
	if (rc < 0 || !lineage_is_young(d, c->time))
		return rc;
	/* Only now: whoever holds the slot's document is split off from it. */
	rc = slot_vacated(c, place, inode, &vacated, e);
	if (rc < 0 || !vacated)
		return rc;
	return slot_adopt(c, inode, vacated, place, (struct place){ 0 }, 0, &absorbed, e);
}

static int link_in_change(struct change *c, uint64_t ino, struct place place, struct error *e)
{
	struct inode_record *directory, *inode;
	int rc = edit_directory(c, place.parent, &directory, e);

	if (rc == 0)
		rc = name_is_free(c, place, e);
	if (rc == 0)
		rc = change_inode(c, ino, &inode, e);
	if (rc < 0)
		return rc;
	if (S_ISDIR(inode->mode))
		return error_set(e, -EPERM, "a directory has one name");
	if (inode->nlink >= LINKS_MAX)
		return error_set(e, -E_TOO_MANY_LINKS, "a file has at most %d names", LINKS_MAX);
	inode->ctime = c->time;
	bool unnamed = inode->nlink == 0;
	rc = unnamed ? change_name(c, ino, place.parent, place.name, false, e)
		     : change_name(c, ino, inode->parent, inode->name, false, e);
	if (rc == 0 && !unnamed)
		rc = change_name(c, ino, place.parent, place.name, true, e);
	if (rc == 0 && S_ISREG(inode->mode))
		rc = unnamed ? name_unnamed(c, inode, place, e) : name_again(c, inode, place, e);
	if (rc < 0)
		return rc;
	slot_name_added(c, inode, place);
	struct dirent_record dirent = { .ino = ino,
					.doc = inode->doc,
					.type = inode->mode & S_IFMT };
	change_dirent(c, place.parent, place.name, &dirent);
	c->log.doc = inode->doc;
	c->files = S_ISREG(inode->mode);
	return 0;
}

int namespace_link(struct store *store, const struct actor *actor, uint64_t ino, uint64_t parent,
		   struct view name, struct inode **ret, struct error *e)
{
	struct place place = { parent, name };
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = place_check(place, e);

	if (rc == 0)
		rc = change_begin(store, actor, OP_LINK, NULL, &c, e);
	if (rc == 0)
		rc = link_in_change(&c, ino, place, e);
	change_give(&c, ino, ret);
	return rc < 0 ? rc : change_commit(&c, e);
}

static int unlink_in_change(struct change *c, struct place place, uint64_t *ret_ino,
			    struct error *e)
{
	struct inode_record *directory, *inode;
	struct dirent_record dirent;
	int rc = edit_directory(c, place.parent, &directory, e);

	if (rc == 0)
		rc = namespace_lookup(c->store, place.parent, place.name, &dirent, e);
	if (rc == 0)
		rc = change_inode(c, dirent.ino, &inode, e);
	if (rc < 0)
		return rc;
	if (S_ISDIR(inode->mode))
		return error_set(e, -E_IS_DIR, "%.*s: is a directory", (int)place.name.len,
				 (const char *)place.name.data);
	rc = change_name(c, inode->ino, place.parent, place.name, false, e);
	if (rc == 0)
		rc = slot_name_removed(c, inode, place, e);
	if (rc < 0)
		return rc;
	inode->ctime = c->time;
	change_dirent_end(c, place.parent, place.name, &dirent, SLOT_UNLINKED);
	c->log.doc = inode->doc;
	c->log.version = inode->version;
	c->log.size_before = inode->size;
	c->files = S_ISREG(inode->mode) ? -1 : 0;
	*ret_ino = inode->ino;
	if (inode->nlink)
		return 0;
	c->bytes = S_ISREG(inode->mode) ? -(int64_t)inode->size : 0;
	return slot_orphan(c, inode, place, e);
}

int namespace_unlink(struct store *store, const struct actor *actor, uint64_t parent,
		     struct view name, uint64_t *ret_ino, struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = change_begin(store, actor, OP_UNLINK, NULL, &c, e);

	if (rc == 0)
		rc = unlink_in_change(&c, (struct place){ parent, name }, ret_ino, e);
	return rc < 0 ? rc : change_commit(&c, e);
}

int namespace_is_empty(struct store *store, uint64_t ino, struct error *e)
{
	CLEANUP(buf_release) struct buf nothing = { 0 };
	struct key prefix = key_number(ino);

	if (dirents_list(store->dirents, ino, 0, &nothing))
		return 0;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_DIRENT, key_view(&prefix), false);
	struct view key;
	int rc = kv_iter_next(it, &key, NULL, e);

	return rc <= 0 ? rc : error_set(e, -E_NOT_EMPTY, "the directory is not empty");
}

static int rmdir_in_change(struct change *c, struct place place, struct error *e)
{
	struct inode_record *directory, *inode;
	struct dirent_record dirent;
	int rc = edit_directory(c, place.parent, &directory, e);

	if (rc == 0)
		rc = namespace_lookup(c->store, place.parent, place.name, &dirent, e);
	if (rc == 0)
		rc = change_inode(c, dirent.ino, &inode, e);
	if (rc < 0)
		return rc;
	if (!S_ISDIR(inode->mode))
		return error_set(e, -E_NOT_DIR, "%.*s: not a directory", (int)place.name.len,
				 (const char *)place.name.data);
	rc = namespace_is_empty(c->store, inode->ino, e);
	if (rc == 0)
		rc = change_name(c, inode->ino, place.parent, place.name, false, e);
	if (rc < 0)
		return rc;
	change_dirent_end(c, place.parent, place.name, &dirent, SLOT_UNLINKED);
	directory->nlink--;
	inode->nlink = 0;
	inode->ctime = c->time;
	return slot_orphan(c, inode, place, e);
}

int namespace_rmdir(struct store *store, const struct actor *actor, uint64_t parent,
		    struct view name, struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = change_begin(store, actor, OP_RMDIR, NULL, &c, e);

	if (rc == 0)
		rc = rmdir_in_change(&c, (struct place){ parent, name }, e);
	return rc < 0 ? rc : change_commit(&c, e);
}

/* Under the commit lock, so that a link(2) of the same inode is either before (then it is no
 * orphan) or fails. */
static int put_dropped(struct store *store, uint64_t ino, struct kv_batch *batch, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf past = { 0 };
	struct key key = key_number(ino);
	int rc = inode_get(store, ino, &inode, e);

	if (rc == -E_STALE)
		return 0;
	if (rc < 0 || inode->r.nlink > 0)
		return rc;
	kv_batch_delete(batch, FAMILY_INODE, key_view(&key));
	kv_batch_delete(batch, FAMILY_ORPHAN, key_view(&key));
	if (inode->r.parent) { /* had a name once: what it was stays known */
		struct key at = key_numbers(ino, ~inode->r.since);

		inode_encode(&past, &inode->r);
		kv_batch_put_buf(batch, FAMILY_PAST_INODE, key_view(&at), &past);
	}
	return 1;
}

static int drop_orphans(struct store *store, const uint64_t *inodes, size_t n, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	int rc = 0;

	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = put_dropped(store, inodes[i], &batch, e);
	if (rc >= 0 && kv_batch_count(&batch))
		rc = kv_write(store->kv, &batch, e);
	for (size_t i = 0; i < n && rc >= 0; i++)
		inode_cache_replace(store->inodes, inodes[i], NULL);
	return rc < 0 ? rc : 0;
}

int namespace_drop_orphans(struct store *store, const uint64_t *inodes, size_t n, struct error *e)
{
	if (store->read_only)
		return 0;
	lock_take(&store->commit);
	int rc = drop_orphans(store, inodes, n, e);
	lock_drop(&store->commit);
	return rc;
}

int namespace_drop_orphan(struct store *store, uint64_t ino, struct error *e)
{
	return namespace_drop_orphans(store, &ino, 1, e);
}
