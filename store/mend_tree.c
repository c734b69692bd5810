/* mend_tree.c - see mend.h: names lead to inodes and inodes to names, and both to what they were
 * before. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mend.h"

#define N(x) ((unsigned long long)(x))

/* --- keys and records of names -------------------------------------------- */

static struct key name_key(struct mend *m, uint64_t parent, struct view name)
{
	return key_name(parent, store_cookie(m->store, name), name);
}

static bool read_name(struct view key, uint64_t *ret_parent, struct view *ret_name)
{
	struct reader in = reader_of(key);

	*ret_parent = reader_u64(&in);
	reader_u64(&in);
	*ret_name = view_of(in.at, reader_left(&in));
	return !in.failed && key_name_is_sound(*ret_name);
}

static int get_dirent(struct mend *m, uint64_t parent, struct view name, struct dirent_record *ret,
		      struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int r = name.len && name.len <= NAME_LEN_MAX
			? mend_get(m, FAMILY_DIRENT, name_key(m, parent, name), &value, e)
			: 0;

	return r <= 0 ? r : dirent_decode(ret, buf_view(&value), NULL) == 0;
}

static int put_dirent(struct mend *m, uint64_t parent, struct view name,
		      const struct dirent_record *d, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	dirent_encode(&value, d);
	return mend_put(m, FAMILY_DIRENT, name_key(m, parent, name), &value, e);
}

static int put_past_dirent(struct mend *m, uint64_t parent, struct view name,
			   const struct dirent_record *d, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	dirent_encode(&value, d);
	return mend_put(m, FAMILY_PAST_DIRENT,
			key_past_name(parent, store_cookie(m->store, name), name, d->since), &value,
			e);
}

/* The newest ended interval of a name: 1 or 0. */
static int newest_past(struct mend *m, uint64_t parent, struct view name, struct dirent_record *ret,
		       struct error *e)
{
	struct key prefix = key_past_name(parent, store_cookie(m->store, name), name, 0);
	struct view key, value;

	prefix.len -= 8;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(m->kv, NULL, FAMILY_PAST_DIRENT, key_view(&prefix), false);
	int r = kv_iter_next(it, &key, &value, e);
	return r <= 0 ? r : dirent_decode(ret, value, NULL) == 0;
}

/* The newest record of an inode's past: 1 or 0. */
static int newest_past_inode(struct mend *m, uint64_t ino, struct inode_record *ret,
			     struct buf *memory, struct error *e)
{
	struct key prefix = key_number(ino);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(m->kv, NULL, FAMILY_PAST_INODE, key_view(&prefix), false);
	struct view key, value;
	int r = kv_iter_next(it, &key, &value, e);

	if (r <= 0)
		return r;
	buf_clear(memory);
	buf_append(memory, value.data, value.len);
	r = buf_check(memory, e);
	return r < 0 ? r : inode_decode(ret, buf_view(memory), NULL) == 0;
}

static int forget_past_inode(struct mend *m, uint64_t ino, uint64_t since, struct error *e)
{
	struct key key = key_numbers(ino, ~since);

	return mend_delete(m, FAMILY_PAST_INODE, key_view(&key), e);
}

/* --- names that ended ----------------------------------------------------- */

/* A live name whose past is as new as it is had ended; a past that reaches into it ended where it
 * begins. */
static int settle_name(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct dirent_record live, past;
	struct view name;
	uint64_t parent;

	if (!read_name(key, &parent, &name) || dirent_decode(&live, value, NULL) < 0)
		return mend_delete(m, FAMILY_DIRENT, key, e);
	int r = newest_past(m, parent, name, &past, e);
	if (r <= 0)
		return r;
	if (past.since >= live.since)
		return mend_delete(m, FAMILY_DIRENT, key, e);
	if (past.until <= live.since)
		return 0;
	past.until = live.since;
	return put_past_dirent(m, parent, name, &past, e);
}

/* --- inodes that are gone ------------------------------------------------- */

/* Gives a file what its document's newest version has. */
static int take_version(struct mend *m, struct inode_record *inode, struct buf *memory,
			struct error *e)
{
	CLEANUP(buf_release) struct buf document = { 0 };
	struct document_record d;
	struct version_record v;
	int r = inode->doc ? mend_document(m, inode->doc, &d, &document, e) : 0;

	if (r <= 0 || !d.head)
		return r < 0 ? r : 0;
	r = mend_version(m, inode->doc, d.head, &v, memory, e);
	if (r <= 0)
		return r;
	inode->version = d.head;
	inode->content = v.content;
	inode->size = v.size;
	if (inode->btime == 0) { /* nothing else is known of it */
		inode->mode = v.mode;
		inode->uid = v.owner_uid;
		inode->gid = v.owner_gid;
		inode->atime = inode->mtime = v.mtime;
		inode->ctime = v.time;
		inode->btime = d.born;
	}
	return 1;
}

/* The target of a symbolic link stands in the log, at the change that made it. */
static int take_target(struct mend *m, struct inode_record *inode, uint64_t change,
		       struct buf *memory, struct error *e)
{
	struct log_record log;
	int r = mend_get(m, FAMILY_LOG, key_number(change), memory, e);

	if (r <= 0)
		return r;
	if (log_decode(&log, buf_view(memory), NULL) < 0 || log.op != OP_SYMLINK ||
	    log.ino != inode->ino)
		return 0;
	inode->target = log.path2;
	inode->size = log.path2.len;
	inode->uid = log.uid;
	inode->gid = log.gid;
	inode->mode = S_IFLNK | 0777;
	inode->atime = inode->mtime = inode->ctime = inode->btime = log.time;
	return 1;
}

/* Makes the record of an inode again that a name leads to: 1, or 0 when it cannot be. */
static int remake_inode(struct mend *m, uint64_t parent, struct view name,
			const struct dirent_record *d, bool past, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, more = { 0 }, value = { 0 };
	struct inode_record inode = { 0 };
	int r = newest_past_inode(m, d->ino, &inode, &memory, e);

	if (r < 0)
		return r;
	uint64_t superseded = r > 0 ? inode.since : 0;
	if (r == 0)
		inode = (struct inode_record){ .ino = d->ino,
					       .mode = d->type | (S_ISDIR(d->type) ? 0700 : 0600),
					       .doc = d->doc,
					       .atime = m->last_time,
					       .mtime = m->last_time,
					       .ctime = m->last_time };
	inode.parent = parent;
	inode.name = name;
	inode.since = d->since > superseded ? d->since : superseded;
	inode.nlink = S_ISDIR(d->type) ? 2 : 1;
	inode.doc = d->doc ? d->doc : inode.doc;
	if (S_ISREG(d->type))
		r = take_version(m, &inode, &more, e);
	else if (S_ISLNK(d->type) && !superseded)
		r = take_target(m, &inode, d->since, &more, e);
	else
		r = superseded || !(S_ISCHR(d->type) || S_ISBLK(d->type));
	if (r < 0 || (r == 0 && !S_ISREG(d->type)))
		return r;
	inode_encode(&value, &inode);
	if (past)
		r = mend_put(m, FAMILY_PAST_INODE, key_numbers(inode.ino, ~inode.since), &value, e);
	else if (superseded == inode.since)
		r = forget_past_inode(m, inode.ino, superseded, e);
	if (r >= 0 && !past)
		r = mend_put(m, FAMILY_INODE, key_number(inode.ino), &value, e);
	return r < 0 ? r : 1;
}

static int make_directory(struct mend *m, uint64_t ino, struct error *e);

/* The directory that a name is in is there; without a name of its own it gets one in the root. */
static int ensure_directory(struct mend *m, uint64_t ino, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record inode;
	int r = mend_inode(m, ino, &inode, &memory, e);

	if (r < 0 || (r > 0 && S_ISDIR(inode.mode)))
		return r < 0 ? r : 0;
	return make_directory(m, ino, e);
}

static int make_directory(struct mend *m, uint64_t ino, struct error *e)
{
	struct dirent_record d = { .ino = ino, .type = S_IFDIR, .since = m->last_change };
	char name[40];

	snprintf(name, sizeof(name), "directory-%llu", N(ino));
	int r = remake_inode(m, ROOT_INODE, view_str(ino == ROOT_INODE ? "" : name), &d, false, e);
	if (r <= 0 || ino == ROOT_INODE)
		return r < 0 ? r : 0;
	r = put_dirent(m, ROOT_INODE, view_str(name), &d, e);
	return r < 0 ? r
		     : mend_tell(m, e,
				 "the name of directory %llu: it is called %s now, in the share's "
				 "root",
				 N(ino), name);
}

/* --- names ---------------------------------------------------------------- */

static int drop_name(struct mend *m, uint64_t parent, struct view name, const char *why,
		     struct error *e)
{
	struct key key = name_key(m, parent, name);
	int r = mend_delete(m, FAMILY_DIRENT, key_view(&key), e);

	return r < 0 ? r
		     : mend_tell(m, e, "the name %.*s in directory %llu: %s", (int)name.len,
				 (const char *)name.data, N(parent), why);
}

/* A name that its inode does not know, which has one only: is it the old one, or the new one? */
static int choose_name(struct mend *m, uint64_t parent, struct view name, struct dirent_record *d,
		       struct inode_record *inode, struct error *e)
{
	struct key key = name_key(m, parent, name);
	struct dirent_record other;
	int r = get_dirent(m, inode->parent, inode->name, &other, e);

	if (r < 0)
		return r;
	if (r > 0 && other.ino == inode->ino) {
		d->until = other.since > d->since ? other.since : d->since + 1;
		d->ended = SLOT_MOVED;
		d->until_time = m->last_time;
		r = mend_delete(m, FAMILY_DIRENT, key_view(&key), e);
		return r < 0 ? r : put_past_dirent(m, parent, name, d, e);
	}
	inode->parent = parent;
	inode->name = name;
	return mend_put_inode(m, inode, e);
}

static int visit_name(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct dirent_record d;
	struct inode_record inode;
	struct view name;
	uint64_t parent;

	if (!read_name(key, &parent, &name) || dirent_decode(&d, value, NULL) < 0)
		return mend_delete(m, FAMILY_DIRENT, key, e);
	int r = ensure_directory(m, parent, e);
	if (r == 0)
		r = mend_inode(m, d.ino, &inode, &memory, e);
	if (r == 0) {
		r = remake_inode(m, parent, name, &d, false, e);
		if (r == 0)
			return drop_name(m, parent, name, "nothing is left of what it stood for",
					 e);
		if (r > 0)
			r = mend_inode(m, d.ino, &inode, &memory, e);
	}
	if (r <= 0)
		return r;
	if (inode.nlink == 0) {
		inode.nlink = 1;
		r = mend_put_inode(m, &inode, e);
	}
	if ((inode.mode & S_IFMT) != d.type || inode.doc != d.doc || d.until) {
		d.type = inode.mode & S_IFMT;
		d.doc = inode.doc;
		d.until = d.ended = 0;
		r = put_dirent(m, parent, name, &d, e);
	}
	if (r < 0 || inode.flags & INODE_LINKED ||
	    (inode.parent == parent && view_equal(inode.name, name)))
		return r < 0 ? r : 0;
	return choose_name(m, parent, name, &d, &inode, e);
}

/* --- inodes --------------------------------------------------------------- */

/* Gives an inode that no name leads to the name that it had, or one beside it. */
static int give_name(struct mend *m, struct inode_record *inode, struct error *e)
{
	CLEANUP(buf_release) struct buf name = { 0 };
	struct dirent_record d, past;
	struct view had = inode->name;
	uint64_t parent = inode->parent ? inode->parent : ROOT_INODE;
	int r = ensure_directory(m, parent, e);

	if (r == 0)
		r = get_dirent(m, parent, had, &d, e);
	if (r < 0)
		return r;
	if (r > 0 || had.len == 0) {
		buf_printf(&name, "%.*s.inode-%llu", (int)(had.len < 200 ? had.len : 200),
			   (const char *)had.data, N(inode->ino));
		had = buf_view(&name);
	}
	r = newest_past(m, parent, had, &past, e);
	d = (struct dirent_record){ .ino = inode->ino,
				    .doc = inode->doc,
				    .type = inode->mode & S_IFMT,
				    .since = inode->since };
	if (r > 0 && past.until > d.since)
		d.since = past.until;
	if (r >= 0)
		r = put_dirent(m, parent, had, &d, e);
	if (r < 0 || view_equal(had, inode->name))
		return r < 0 ? r : 0;
	r = mend_tell(m, e, "the name of inode %llu: it is called %.*s now, in directory %llu",
		      N(inode->ino), (int)had.len, (const char *)had.data, N(parent));
	inode->parent = parent;
	inode->name = had;
	return r < 0 ? r : mend_put_inode(m, inode, e);
}

/* An inode's name, or one of several: 1, or 0 when none leads to it. */
static int has_name(struct mend *m, const struct inode_record *inode, struct error *e)
{
	struct key key = key_number(inode->ino);
	struct dirent_record d;
	struct view link;
	int r = get_dirent(m, inode->parent, inode->name, &d, e);

	if (r < 0 || (r > 0 && d.ino == inode->ino))
		return r;
	if (!(inode->flags & INODE_LINKED))
		return 0;
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(m->kv, NULL, FAMILY_LINK, key_view(&key), false);
	return kv_iter_next(it, &link, NULL, e);
}

/* An inode without a name had been removed, when its past says so; else the name is lost. */
static int visit_nameless(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, nothing = { 0 };
	struct inode_record inode, past;

	if (inode_decode(&inode, value, NULL) < 0)
		return mend_delete(m, FAMILY_INODE, key, e);
	if (inode.ino == ROOT_INODE)
		return 0;
	int r = inode.nlink ? has_name(m, &inode, e) : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = newest_past_inode(m, inode.ino, &past, &memory, e);
	if (r > 0 && past.since >= inode.since)
		return mend_delete(m, FAMILY_INODE, key, e);
	if (r < 0)
		return r;
	return inode.nlink ? give_name(m, &inode, e)
			   : mend_put(m, FAMILY_ORPHAN, key_number(inode.ino), &nothing, e);
}

/* The past of an inode is older than its present. */
static int settle_past(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record inode, past;

	if (inode_decode(&inode, value, NULL) < 0)
		return mend_delete(m, FAMILY_INODE, key, e);
	int r = newest_past_inode(m, inode.ino, &past, &memory, e);
	if (r <= 0 || past.since < inode.since)
		return r < 0 ? r : 0;
	r = forget_past_inode(m, inode.ino, past.since, e);
	return r < 0 || past.since == inode.since ? r : mend_put_inode(m, &past, e);
}

static int count_below(struct mend *m, uint64_t ino, uint64_t *ret, struct error *e)
{
	struct key prefix = key_number(ino);
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(m->kv, NULL, FAMILY_DIRENT, key_view(&prefix), false);
	struct dirent_record d;
	struct view key, value;
	int r;

	for (*ret = 2; (r = kv_iter_next(it, &key, &value, e)) > 0;)
		*ret += dirent_decode(&d, value, NULL) == 0 && S_ISDIR(d.type);
	return r;
}

/* The names of an inode that has, or had, several: how many, and that its home is one of them. */
static int count_names(struct mend *m, struct inode_record *inode, struct buf *home,
		       struct error *e)
{
	struct key prefix = key_number(inode->ino);
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(m->kv, NULL, FAMILY_LINK, key_view(&prefix), false);
	uint64_t parent = 0;
	bool at_home = false;
	struct view key;
	int r;

	for (inode->nlink = 0; (r = kv_iter_next(it, &key, NULL, e)) > 0; inode->nlink++) {
		struct reader in = reader_of(key);

		reader_u64(&in);
		parent = reader_u64(&in);
		struct view name = view_of(in.at, reader_left(&in));
		at_home |= parent == inode->parent && view_equal(name, inode->name);
		buf_clear(home);
		buf_append(home, name.data, name.len);
	}
	if (r == 0 && inode->nlink && !at_home) {
		inode->parent = parent;
		inode->name = buf_view(home);
	}
	return r < 0 ? r : buf_check(home, e);
}

static int settle_content(struct mend *m, struct inode_record *inode, struct buf *memory,
			  struct error *e)
{
	CLEANUP(buf_release) struct buf document = { 0 };
	struct document_record d;
	int r = inode->doc ? mend_document(m, inode->doc, &d, &document, e) : 0;

	if (r < 0)
		return r;
	if (r == 0 && inode->doc) {
		d = (struct document_record){ .parent = inode->parent,
					      .name = inode->name,
					      .ino = inode->ino,
					      .born = inode->btime,
					      .uid = inode->uid,
					      .since = inode->since };
		r = mend_put_document(m, inode->doc, &d, e);
	} else if (r > 0 && d.ino != inode->ino) {
		d.ino = inode->ino;
		d.died = 0;
		r = mend_put_document(m, inode->doc, &d, e);
	}
	if (r < 0 || (!inode->version && !inode->content && !inode->size))
		return r < 0 ? r : 0;
	r = take_version(m, inode, memory, e);
	if (r == 0)
		inode->version = inode->content = inode->size = 0;
	return r < 0 ? r : 0;
}

static int visit_inode(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, home = { 0 }, encoded = { 0 };
	struct inode_record inode;
	int r = 0;

	if (inode_decode(&inode, value, NULL) < 0 || !inode.nlink)
		return 0;
	if (S_ISDIR(inode.mode))
		r = count_below(m, inode.ino, &inode.nlink, e);
	else if (inode.flags & INODE_LINKED)
		r = count_names(m, &inode, &home, e);
	else
		inode.nlink = 1;
	if (r == 0 && S_ISREG(inode.mode))
		r = settle_content(m, &inode, &memory, e);
	inode_encode(&encoded, &inode);
	if (r < 0 || view_equal(buf_view(&encoded), value))
		return r;
	(void)key;
	return mend_put(m, FAMILY_INODE, key_number(inode.ino), &encoded, e);
}

/* --- links, orphans, the past --------------------------------------------- */

static int link_name(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, nothing = { 0 };
	struct dirent_record d;
	struct inode_record inode;
	struct view name;
	uint64_t parent;

	if (!read_name(key, &parent, &name) || dirent_decode(&d, value, NULL) < 0)
		return 0;
	int r = mend_inode(m, d.ino, &inode, &memory, e);
	if (r <= 0 || !(inode.flags & INODE_LINKED))
		return r < 0 ? r : 0;
	return mend_put(m, FAMILY_LINK, key_link(d.ino, parent, name), &nothing, e);
}

static int unlink_wrong(struct mend *m, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in), parent = reader_u64(&in);
	struct dirent_record d;
	int r = in.failed ? 0 : get_dirent(m, parent, view_of(in.at, reader_left(&in)), &d, e);

	(void)value;
	return r < 0 || (r > 0 && d.ino == ino) ? (r < 0 ? r : 0)
						: mend_delete(m, FAMILY_LINK, key, e);
}

static int visit_orphan(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct reader in = reader_of(key);
	struct inode_record inode;
	int r = mend_inode(m, reader_u64(&in), &inode, &memory, e);

	(void)value;
	return r < 0 || (r > 0 && inode.nlink == 0) ? (r < 0 ? r : 0)
						    : mend_delete(m, FAMILY_ORPHAN, key, e);
}

static int visit_past_name(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct reader in = reader_of(key);
	uint64_t parent = reader_u64(&in), cookie = reader_u64(&in);
	struct view name = reader_bytes(&in, reader_left(&in) > 9 ? reader_left(&in) - 9 : 0);
	struct dirent_record d;
	struct inode_record inode;

	if (in.failed || !key_name_is_sound(name) ||
	    cookie != store_cookie(m->store, name) || dirent_decode(&d, value, NULL) < 0 ||
	    d.since >= d.until)
		return mend_delete(m, FAMILY_PAST_DIRENT, key, e);
	int r = mend_inode(m, d.ino, &inode, &memory, e);
	if (r == 0)
		r = newest_past_inode(m, d.ino, &inode, &memory, e);
	return r == 0 ? remake_inode(m, parent, name, &d, true, e) : r;
}

/* Two intervals of one name do not overlap: keys of a name stand together, newest first. */
static int settle_intervals(struct mend *m, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(m->kv, NULL, FAMILY_PAST_DIRENT, view_of(NULL, 0), false);
	CLEANUP(buf_release) struct buf before = { 0 };
	uint64_t newer = 0;
	struct view key, value;
	int r;

	while ((r = kv_iter_next(it, &key, &value, e)) > 0) {
		struct dirent_record d;
		struct view name = view_of(key.data, key.len - 8);
		bool same = view_equal(name, buf_view(&before));

		if (dirent_decode(&d, value, NULL) < 0)
			continue;
		if (same && d.until > newer) {
			struct reader in = reader_of(key);
			uint64_t parent = reader_u64(&in);

			d.until = newer;
			r = put_past_dirent(m, parent,
					    view_of((const char *)key.data + 16, key.len - 25), &d,
					    e);
			if (r < 0)
				return r;
		}
		newer = d.since;
		buf_clear(&before);
		buf_append(&before, name.data, name.len);
	}
	return r;
}

static int visit_past_inode(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf content = { 0 }, encoded = { 0 };
	struct inode_record inode;

	if (inode_decode(&inode, value, NULL) < 0)
		return mend_delete(m, FAMILY_PAST_INODE, key, e);
	if (!inode.content || inode.content == LOST_ID)
		return 0;
	int r = mend_get(m, FAMILY_CONTENT, key_number(inode.content), &content, e);
	if (r != 0)
		return r < 0 ? r : 0;
	inode.content = LOST_ID;
	inode_encode(&encoded, &inode);
	return mend_put(m, FAMILY_PAST_INODE, key_numbers(inode.ino, ~inode.since), &encoded, e);
}

/* --- tags and conflicts --------------------------------------------------- */

static int visit_tag(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct reader in = reader_of(key);
	uint64_t directory = reader_u64(&in);
	struct inode_record inode;
	struct tag_record tag;
	int r = mend_inode(m, directory, &inode, &memory, e);

	if (r == 0)
		r = newest_past_inode(m, directory, &inode, &memory, e);
	if (r < 0 || (r > 0 && tag_decode(&tag, value, NULL) == 0))
		return r < 0 ? r : 0;
	r = mend_delete(m, FAMILY_TAG, key, e);
	return r < 0 ? r
		     : mend_tell(m, e, "the tag %.*s: its directory is gone", (int)reader_left(&in),
				 (const char *)in.at);
}

static int visit_conflict(struct mend *m, struct view key, struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct conflict_record c;
	struct document_record d;
	int r = conflict_decode(&c, value, NULL) < 0 ? 0 : mend_document(m, c.doc, &d, &memory, e);

	return r != 0 ? (r < 0 ? r : 0) : mend_delete(m, FAMILY_CONFLICT, key, e);
}

int mend_tree(struct mend *m, struct error *e)
{
	static const struct {
		enum family family;
		mend_visitor each;
	} steps[] = { { FAMILY_DIRENT, settle_name },    { FAMILY_DIRENT, visit_name },
		      { FAMILY_DIRENT, link_name },      { FAMILY_LINK, unlink_wrong },
		      { FAMILY_INODE, visit_nameless },  { FAMILY_DIRENT, link_name },
		      { FAMILY_INODE, settle_past },     { FAMILY_INODE, visit_inode },
		      { FAMILY_ORPHAN, visit_orphan },   { FAMILY_PAST_DIRENT, visit_past_name },
		      { FAMILY_PAST_INODE, visit_past_inode }, { FAMILY_TAG, visit_tag },
		      { FAMILY_CONFLICT, visit_conflict } };
	int r = ensure_directory(m, ROOT_INODE, e);

	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = mend_each(m, steps[i].family, false, steps[i].each, e);
	return r < 0 ? r : settle_intervals(m, e);
}
