/* verify_tree.c - names lead to inodes and inodes to names, now and then. */
#include <sys/stat.h>

#include "verify_parts.h"

#define N(x) ((unsigned long long)(x))

/* The live inode record: 1 and *ret (valid until the next verify_get), 0 when absent or damaged. */
static int live_inode(struct verifier *v, uint64_t ino, struct inode_record *ret, struct error *e)
{
	struct view value;
	int r = verify_get(v, FAMILY_INODE, key_number(ino), &value, e);

	return r > 0 && inode_decode(ret, value, NULL) < 0 ? 0 : r;
}

static int live_dirent(struct verifier *v, uint64_t parent, struct view name,
		       struct dirent_record *ret, struct error *e)
{
	struct view value;
	int r = name.len > NAME_LEN_MAX
			? 0
			: verify_get(v, FAMILY_DIRENT,
				     key_name(parent, store_cookie(v->store, name), name), &value,
				     e);

	return r > 0 && dirent_decode(ret, value, NULL) < 0 ? 0 : r;
}

/* --- names ---------------------------------------------------------------- */

/* The inode must know that it has this name. */
static int check_known_name(struct verifier *v, uint64_t parent, struct view name,
			    const struct inode_record *inode, struct error *e)
{
	char where[WHERE_MAX];
	struct view value;
	int found;

	if (!(inode->flags & INODE_LINKED)) {
		if (inode->parent == parent && view_equal(inode->name, name))
			return 0;
	} else {
		found = verify_get(v, FAMILY_LINK, key_link(inode->ino, parent, name), &value, e);
		if (found)
			return found < 0 ? found : 0;
	}
	return verify_damage(v, "%s: its inode does not know this name",
			     verify_where(v, parent, name, where));
}

static int check_dirent(struct verifier *v, uint64_t parent, struct view name,
			const struct dirent_record *d, struct error *e)
{
	struct inode_record inode;
	char where[WHERE_MAX];
	int found = live_inode(v, d->ino, &inode, e);

	if (found < 0)
		return found;
	if (!found)
		return verify_damage(v, "%s: its inode %llu is missing",
				     verify_where(v, parent, name, where), N(d->ino));
	if ((inode.mode & S_IFMT) != d->type || inode.nlink == 0)
		return verify_damage(v, "%s: its inode %llu is of another kind, or unlinked",
				     verify_where(v, parent, name, where), N(d->ino));
	if (d->doc != inode.doc)
		return verify_damage(v, "%s: is document %llu by its name and %llu by its inode",
				     verify_where(v, parent, name, where), N(d->doc), N(inode.doc));
	if (d->until || d->since > v->head)
		return verify_damage(v, "%s: lives by its place, but not by its record",
				     verify_where(v, parent, name, where));
	return check_known_name(v, parent, name, &inode, e);
}

static int visit_dirent(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t parent = reader_u64(&in), cookie = reader_u64(&in);
	struct view name = key_name_left(&in);
	struct dirent_record d;
	char where[WHERE_MAX];
	uint32_t type = 0;
	int r;

	v->report.dirents++;
	if (in.failed || cookie != store_cookie(v->store, name))
		return verify_damage(v, "a name in directory %llu is damaged", N(parent));
	if (dirent_decode(&d, value, NULL) < 0)
		return verify_damage(v, "%s: the record of this name is damaged",
				     verify_where(v, parent, name, where));
	r = verify_inode_known(v, parent, &type, e);
	if (r < 0)
		return r;
	if (r == 0 || type != S_IFDIR)
		r = verify_damage(v, "%.*s: is in directory %llu, which is none", (int)name.len,
				  (const char *)name.data, N(parent));
	return r < 0 ? r : check_dirent(v, parent, name, &d, e);
}

/* --- names of the past ---------------------------------------------------- */

static int check_interval(struct verifier *v, uint64_t parent, struct view name, uint64_t since,
			  const struct dirent_record *d, uint64_t newer_since, struct error *e)
{
	char where[WHERE_MAX];
	int r;

	if (d->since != since || d->since >= d->until || d->until > v->head ||
	    d->ended == SLOT_LIVE)
		return verify_damage(v,
				     "%s: a past interval of this name (changes %llu to %llu) is "
				     "not well formed",
				     verify_where(v, parent, name, where), N(since), N(d->until));
	if (d->until > newer_since)
		return verify_damage(v,
				     "%s: two past intervals of this name overlap at change %llu",
				     verify_where(v, parent, name, where), N(newer_since));
	r = verify_inode_known(v, d->ino, NULL, e);
	if (r == 0)
		r = verify_damage(v, "%s: inode %llu of a past interval was never there",
				  verify_where(v, parent, name, where), N(d->ino));
	return r < 0 ? r : 0;
}

/* Where the interval that is newer than the one with this key begins; keys of one name stand
 * together, newest first. */
static int newer_interval(struct verifier *v, uint64_t parent, struct view name,
			  struct view name_key, uint64_t since, uint64_t *ret, struct error *e)
{
	struct dirent_record live;
	int found = 0;

	if (view_equal(name_key, buf_view(&v->past_name))) {
		*ret = v->newer_since;
	} else {
		found = live_dirent(v, parent, name, &live, e);
		*ret = found > 0 ? live.since : UINT64_MAX;
		buf_clear(&v->past_name);
		buf_append(&v->past_name, name_key.data, name_key.len);
	}
	v->newer_since = since;
	return found < 0 ? found : buf_check(&v->past_name, e);
}

static int visit_past_dirent(struct verifier *v, struct view key, struct view value,
			     struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t parent = reader_u64(&in), cookie = reader_u64(&in), since, newer;
	struct view name = reader_bytes(&in, reader_left(&in) > 9 ? reader_left(&in) - 9 : 0);
	bool zero = reader_u8(&in) == 0;
	struct dirent_record d;
	char where[WHERE_MAX];
	int r;

	since = ~reader_u64(&in);
	v->report.dirents++;
	if (!reader_done(&in) || !zero || !key_name_is_sound(name) ||
	    cookie != store_cookie(v->store, name))
		return verify_damage(v, "a past name in directory %llu is damaged", N(parent));
	r = newer_interval(v, parent, name, view_of(key.data, key.len - 8), since, &newer, e);
	if (r < 0)
		return r;
	if (dirent_decode(&d, value, NULL) < 0)
		return verify_damage(v, "%s: the record of a past interval of this name is damaged",
				     verify_where(v, parent, name, where));
	return check_interval(v, parent, name, since, &d, newer, e);
}

/* --- inodes --------------------------------------------------------------- */

/* Counts the keys that begin with the number: names of an inode in LINK, directories in a directory
 * in DIRENT. */
static int count_links(struct verifier *v, uint64_t ino, uint64_t *ret, struct error *e)
{
	struct key prefix = key_number(ino);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_LINK, key_view(&prefix), false);
	struct view key;
	int r;

	for (*ret = 0; (r = kv_iter_next(it, &key, NULL, e)) > 0; ++*ret)
		;
	return r;
}

static int count_directories(struct verifier *v, uint64_t ino, uint64_t *ret, struct error *e)
{
	struct key prefix = key_number(ino);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_DIRENT, key_view(&prefix), false);
	struct dirent_record d;
	struct view key, value;
	int r;

	*ret = 0;
	while ((r = kv_iter_next(it, &key, &value, e)) > 0)
		*ret += dirent_decode(&d, value, NULL) == 0 && d.type == S_IFDIR;
	return r;
}

/* Link count of an inode that has names. */
static int check_links(struct verifier *v, const struct inode_record *inode, const char *where,
		       struct error *e)
{
	bool directory = S_ISDIR(inode->mode);
	uint64_t count = 1;
	int r = 0;

	if (directory)
		r = count_directories(v, inode->ino, &count, e);
	else if (inode->flags & INODE_LINKED)
		r = count_links(v, inode->ino, &count, e);
	count += directory ? 2 : 0;
	if (r < 0 && r != -E_CORRUPT)
		return r;
	if (count != inode->nlink)
		return verify_damage(v, "%s: inode %llu counts %llu links, but has %llu", where,
				     N(inode->ino), N(inode->nlink), N(count));
	return 0;
}

/* Its (first) name must lead back to it. */
static int check_home(struct verifier *v, const struct inode_record *inode, const char *where,
		      struct error *e)
{
	struct dirent_record d;
	int found;

	if (inode->ino == ROOT_INODE)
		return 0;
	found = live_dirent(v, inode->parent, inode->name, &d, e);
	if (found < 0 || (found && d.ino == inode->ino))
		return found < 0 ? found : 0;
	return verify_damage(
		v, "%s: inode %llu says that it has this name, but the name does not lead to it",
		where, N(inode->ino));
}

/* What the inode says of its content must be what its version says. */
static int check_content(struct verifier *v, const struct inode_record *inode, const char *where,
			 struct error *e)
{
	struct version_record version;
	struct view value;
	int found;

	if (!inode->version) {
		if (inode->content == 0 && inode->size == 0)
			return 0;
		return verify_damage(v, "%s: has content, but no version", where);
	}
	found = verify_get(v, FAMILY_VERSION, key_numbers(inode->doc, ~inode->version), &value, e);
	if (found < 0)
		return found;
	if (!found || version_decode(&version, value, NULL) < 0)
		return verify_damage(v,
				     "%s: document %llu, version %llu, which it holds, is missing",
				     where, N(inode->doc), N(inode->version));
	if (version.size != inode->size || (version.content == 0) != (inode->content == 0))
		return verify_damage(v, "%s: holds %llu bytes, its version has %llu", where,
				     N(inode->size), N(version.size));
	if (version.content != inode->content)
		return verify_damage(v, "%s: holds content %llu, its version has content %llu",
				     where, N(inode->content), N(version.content));
	return 0;
}

static int check_orphan(struct verifier *v, const struct inode_record *inode, struct error *e)
{
	struct view value;
	int found = verify_get(v, FAMILY_ORPHAN, key_number(inode->ino), &value, e);

	if (found)
		return found < 0 ? found : 0;
	return verify_damage(
		v, "inode %llu has no name, and is not among those that are open without one",
		N(inode->ino));
}

/* Past records of one inode must be older than the live one. */
static int check_newest_past(struct verifier *v, const struct inode_record *inode,
			     const char *where, struct error *e)
{
	struct key prefix = key_number(inode->ino);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_PAST_INODE, key_view(&prefix), false);
	struct view key;
	int r = kv_iter_next(it, &key, NULL, e);

	if (r <= 0)
		return r == -E_CORRUPT ? 0 : r;
	struct reader in = reader_of(key);
	reader_u64(&in);
	if (~reader_u64(&in) < inode->since)
		return 0;
	return verify_damage(v, "%s: a past record of inode %llu is as new as the present one",
			     where, N(inode->ino));
}

static int visit_inode(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in);
	struct inode_record inode;
	char where[WHERE_MAX];
	int r;

	v->report.inodes++;
	if (!reader_done(&in) || inode_decode(&inode, value, NULL) < 0 || inode.ino != ino)
		return verify_damage(v, "inode %llu: its record is damaged", N(ino));
	v->inode_last = ino;
	if (inode.nlink == 0)
		return check_orphan(v, &inode, e);
	verify_where(v, inode.parent, inode.name, where);
	if (inode.since > v->head)
		return verify_damage(v, "%s: inode %llu is newer than the log", where, N(ino));
	r = check_links(v, &inode, where, e);
	if (r == 0)
		r = check_home(v, &inode, where, e);
	if (r == 0)
		r = check_newest_past(v, &inode, where, e);
	if (r == 0 && S_ISREG(inode.mode))
		r = check_content(v, &inode, where, e);
	return r;
}

static int visit_past_inode(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in), since = ~reader_u64(&in);
	struct inode_record inode;
	struct view content;
	int found;

	v->report.inodes++;
	if (!reader_done(&in) || inode_decode(&inode, value, NULL) < 0 || inode.ino != ino ||
	    inode.since != since)
		return verify_damage(v, "inode %llu: its record as of change %llu is damaged",
				     N(ino), N(since));
	if (!inode.content)
		return 0;
	found = inode.content == LOST_ID
			? 1
			: verify_get(v, FAMILY_CONTENT, key_number(inode.content), &content, e);
	if (found)
		return found < 0 ? found : 0;
	return verify_damage(v, "inode %llu as of change %llu: its content %llu is missing", N(ino),
			     N(since), N(inode.content));
}

static int visit_link(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in), parent = reader_u64(&in);
	struct view name = key_name_left(&in);
	struct dirent_record d;
	char where[WHERE_MAX];
	int found;

	(void)value;
	if (in.failed)
		return verify_damage(v, "a link key of inode %llu is damaged", N(ino));
	found = live_dirent(v, parent, name, &d, e);
	if (found < 0 || (found && d.ino == ino))
		return found < 0 ? found : 0;
	return verify_damage(
		v,
		"%s: inode %llu says that it has this name too, but the name does not lead to it",
		verify_where(v, parent, name, where), N(ino));
}

static int visit_orphan(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t ino = reader_u64(&in);
	struct inode_record inode;
	int found;

	(void)value;
	if (!reader_done(&in))
		return verify_damage(v, "a key of the inodes without a name is damaged");
	found = live_inode(v, ino, &inode, e);
	if (found < 0 || (found && inode.nlink == 0))
		return found < 0 ? found : 0;
	return verify_damage(
		v, "inode %llu is among those without a name, but has one or is missing", N(ino));
}

int verify_tree(struct verifier *v, struct error *e)
{
	struct inode_record root;
	int r = live_inode(v, ROOT_INODE, &root, e);

	if (r == 0 || (r > 0 && !S_ISDIR(root.mode)))
		r = verify_damage(v, "the root directory is missing");
	if (r >= 0)
		r = verify_each(v, FAMILY_DIRENT, visit_dirent, e);
	if (r == 0)
		r = verify_each(v, FAMILY_PAST_DIRENT, visit_past_dirent, e);
	if (r == 0)
		r = verify_each(v, FAMILY_INODE, visit_inode, e);
	if (r == 0)
		r = verify_each(v, FAMILY_PAST_INODE, visit_past_inode, e);
	if (r == 0)
		r = verify_each(v, FAMILY_LINK, visit_link, e);
	return r == 0 ? verify_each(v, FAMILY_ORPHAN, visit_orphan, e) : r;
}
