/* slot.c - see slot.h. */
#include "slot.h"

#include <sys/stat.h>

#include "acl.h"
#include "internal.h"
#include "lineage.h"
#include "version.h"

int place_check(struct place place, struct error *e)
{
	struct view name = place.name;

	if (name.len == 0 || view_has(name, '/') ||
	    view_has(name, '\0') || view_equal(name, view_str(".")) ||
	    view_equal(name, view_str("..")))
		return error_set(e, -E_NAME_BAD,
				 "a name cannot be empty, '.', '..' or hold a slash");
	if (name.len > NAME_LEN_MAX)
		return error_set(e, -E_NAME_LONG, "the name is %zu bytes long, the limit is %d",
				 name.len, NAME_LEN_MAX);
	if (view_equal(name, view_str(HISTORY_NAME)))
		return error_set(
			e, -E_NAME_RESERVED,
			"the name .history is reserved: it shows the past of each directory");
	return 0;
}

/* Reads the newest ended interval of a name from the database: 1 and *ret, or 0. */
static int read_past(struct store *store, uint64_t parent, struct view name,
		     struct dirent_record *ret, struct error *e)
{
	struct key prefix = key_past_name(parent, store_cookie(store, name), name, 0);
	struct view key, value;

	prefix.len -= 8;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_PAST_DIRENT, key_view(&prefix), false);
	int rc = kv_iter_next(it, &key, &value, e);
	if (rc <= 0)
		return rc;
	rc = dirent_decode(ret, value, e);
	return rc < 0 ? rc : 1;
}

int past_dirent_newest(struct store *store, uint64_t parent, struct view name,
		       struct dirent_record *ret, struct error *e)
{
	struct dirent_state state, read = { 0 };
	uint64_t epoch;

	dirents_find(store->dirents, parent, name, &state, &epoch);
	if (state.past == DIRENT_UNKNOWN) {
		int rc = read_past(store, parent, name, &read.past_record, e);

		if (rc < 0)
			return rc;
		state.past = read.past = rc ? DIRENT_THERE : DIRENT_NONE;
		state.past_record = read.past_record;
		dirents_offer(store->dirents, parent, name, &read, epoch);
	}
	*ret = state.past_record;
	return state.past == DIRENT_THERE;
}

typedef int (*name_visitor)(struct change *c, struct place place, struct inode_record *inode,
			    struct error *e);

/* Calls each() for every name of the inode but `but`, as committed. */
static int each_name(struct change *c, struct inode_record *inode, struct place but,
		     name_visitor each, struct error *e)
{
	struct place home = { inode->parent, inode->name };
	struct key prefix = key_number(inode->ino);
	struct view key;
	int rc;

	if (!(inode->flags & INODE_LINKED))
		return inode->nlink == 0 || place_equal(home, but) ? 0 : each(c, home, inode, e);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(c->store->kv, NULL, FAMILY_LINK, key_view(&prefix), false);
	while ((rc = kv_iter_next(it, &key, NULL, e)) > 0) {
		struct reader r = reader_of(key);
		struct place at = { 0 };

		reader_u64(&r);
		at.parent = reader_u64(&r);
		at.name = key_name_left(&r);
		if (r.failed)
			return error_set(e, -E_CORRUPT, "a link key of inode %llu is damaged",
					 (unsigned long long)inode->ino);
		if (place_equal(at, but))
			continue;
		rc = each(c, at, inode, e);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return rc;
}

/* Ends the name's interval and begins one with the inode's document. */
static int redocument_name(struct change *c, struct place place, struct inode_record *inode,
			   struct error *e)
{
	struct dirent_record dirent;
	int rc = namespace_lookup(c->store, place.parent, place.name, &dirent, e);

	if (rc == -E_NO_ENTRY ||
	    (rc == 0 && (dirent.ino != inode->ino || dirent.doc == inode->doc)))
		return 0;
	if (rc < 0)
		return rc;
	change_dirent_end(c, place.parent, place.name, &dirent, SLOT_REDOCUMENTED);
	dirent.doc = inode->doc;
	change_dirent(c, place.parent, place.name, &dirent);
	return 0;
}

int slot_redocument(struct change *c, struct inode_record *inode, struct place leaving,
		    struct error *e)
{
	return each_name(c, inode, leaving, redocument_name, e);
}

void slot_sign(struct version_record *v, const struct inode_record *inode, struct place place)
{
	v->ino = inode->ino;
	v->mode = inode->mode;
	v->owner_uid = inode->uid;
	v->owner_gid = inode->gid;
	v->acl = view_of(NULL, 0);
	xattr_find(inode->xattrs, view_str(ACL_ACCESS_NAME), &v->acl);
	v->mtime = inode->mtime;
	v->parent = place.parent;
	v->name = place.name;
}

int slot_log_name(struct change *c, const struct inode_record *inode, struct error *e)
{
	int rc = -E_STALE;

	if (inode->nlink || inode->parent)
		rc = change_name(c, inode->ino, inode->parent, inode->name, false, e);
	if (rc != -E_STALE)
		return rc;
	c->under[0] = 0;
	c->log.ino = inode->ino;
	c->log.parent = 0;
	buf_clear(&c->path);
	buf_append(&c->path, inode->name.data, inode->name.len);
	return buf_check(&c->path, e);
}

/* Reads the version that the inode holds of its document: 1 and *v, or 0 when it holds none. */
static int held_version(struct change *c, const struct inode_record *inode,
			struct version_record *v, struct buf *memory, struct error *e)
{
	if (!inode->doc || !inode->version)
		return 0;
	int rc = version_get(c->store, inode->doc, inode->version, v, memory, e);
	return rc < 0 ? rc : 1;
}

int slot_split(struct change *c, struct inode_record *inode, struct place leaving, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record *copy;
	struct version_record v;
	uint64_t id;
	int held, rc;

	held = held_version(c, inode, &v, &memory, e);
	if (held < 0)
		return held;
	rc = change_document_new(c, &id, &copy, e);
	if (rc < 0)
		return rc;
	copy->copy_of = inode->doc;
	copy->copy_of_version = inode->version;
	copy->parent = inode->parent;
	copy->name = inode->name;
	copy->ino = inode->ino;
	if (held) {
		v.from = inode->doc;
		v.from_version = inode->version;
		v.prev = 0;
		v.flags = (v.flags & ~(uint64_t)VERSION_MOVED) | VERSION_COPIED;
		v.change = c->number;
		slot_sign(&v, inode, (struct place){ inode->parent, inode->name });
		copy->head = 1;
		change_add_version(c, id, 1, &v);
	}
	inode->doc = id;
	inode->version = copy->head;
	return slot_redocument(c, inode, leaving, e);
}

/* When somebody with a name still holds the document, he splits off. */
static int free_document(struct change *c, uint64_t doc, struct error *e)
{
	struct document_record *d;
	struct inode_record *holder;
	int rc = change_document(c, doc, &d, e);

	if (rc < 0 || !d->ino)
		return rc;
	rc = change_inode(c, d->ino, &holder, e);
	if (rc == -E_STALE)
		return 0;
	if (rc < 0 || holder->doc != doc || holder->nlink == 0)
		return rc;
	return slot_split(c, holder, (struct place){ 0 }, e);
}

static void document_moves_in(struct change *c, struct document_record *d, uint64_t ino,
			      struct place place)
{
	if ((d->flags & DOCUMENT_SCRATCH) &&
	    (d->uid != c->actor->uid || d->tgid != c->actor->tgid)) {
		/* L7: all of it was somebody's temporary file (a database's journal): it begins
		 * anew as another's */
		d->born = c->time;
		d->uid = c->actor->uid;
		d->tgid = c->actor->tgid;
	}
	d->ino = ino;
	d->died = 0;
	d->flags &= ~(uint64_t)DOCUMENT_SCRATCH;
	c->log.flags &= ~(uint64_t)LOG_SCRATCH;
	d->parent = place.parent;
	d->name = place.name;
	d->since = c->number;
}

int slot_settle_new(struct change *c, struct place place, struct inode_record *inode,
		    struct error *e)
{
	struct document_record *d;
	struct dirent_record past;
	int rc = past_dirent_newest(c->store, place.parent, place.name, &past, e);

	if (rc < 0)
		return rc;
	enum lineage_fill fill = lineage_fill(rc ? &past : NULL, c->time);
	if (fill == LINEAGE_CONTINUE) {
		rc = free_document(c, past.doc, e);
		if (rc == 0)
			rc = change_document(c, past.doc, &d, e);
		inode->doc = past.doc;
	} else {
		rc = change_document_new(c, &inode->doc, &d, e);
		if (rc == 0 && fill == LINEAGE_SUCCESSOR)
			d->pred = past.doc;
	}
	if (rc < 0)
		return rc;
	inode->version = 0;
	document_moves_in(c, d, inode->ino, place);
	return 0;
}

int slot_vacated(struct change *c, struct place place, const struct inode_record *inode,
		 uint64_t *ret_doc, struct error *e)
{
	struct dirent_record past;
	int rc = past_dirent_newest(c->store, place.parent, place.name, &past, e);

	*ret_doc = 0;
	if (rc <= 0 || lineage_fill(&past, c->time) != LINEAGE_CONTINUE || past.doc == inode->doc)
		return rc < 0 ? rc : 0;
	*ret_doc = past.doc;
	return free_document(c, past.doc, e);
}

int slot_conflict(struct change *c, const struct conflict_record *conflict, struct error *e)
{
	uint64_t directory = conflict->parent;

	while (directory) {
		CLEANUP(inode_release) struct inode *inode = NULL;

		change_put_conflict(c, directory, conflict);
		if (directory == ROOT_INODE)
			break;
		int rc = inode_get(c->store, directory, &inode, e);
		if (rc < 0)
			return rc;
		directory = inode->r.parent;
	}
	return 0;
}

/* A version for an inode that was never saved: it holds nothing. */
static int empty_version(struct change *c, struct version_record *v, struct error *e)
{
	struct content_ref nothing;
	int rc = content_stat(c->store->contents, 0, &nothing, e);

	*v = (struct version_record){ .digest = nothing.digest,
				      .uid = c->actor->uid,
				      .gid = c->actor->gid,
				      .author = c->actor->name,
				      .tgid = c->actor->tgid,
				      .command = c->actor->command,
				      .client = c->actor->client };
	return rc;
}

/* Makes v the next version of d, conflict and all; the change's log tells of it.  moved: it is the
 * save that it was in another document. */
static int append_version(struct change *c, struct document_record *d, uint64_t doc,
			  struct inode_record *inode, struct version_record *v, struct place place,
			  uint64_t base, bool moved, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record head = { 0 };
	int rc = d->head ? version_get(c->store, doc, d->head, &head, &memory, e) : 0;

	if (rc < 0)
		return rc;
	if (d->head && memcmp(head.digest.bytes, v->digest.bytes, DIGEST_LEN) == 0) {
		inode->version = d->head;
		c->log.flags |= LOG_UNCHANGED;
		return 0;
	}
	v->change = c->number;
	v->time = c->time;
	v->prev = d->head;
	v->base = base;
	v->flags &= ~(uint64_t)(VERSION_COPIED | VERSION_CONFLICT | VERSION_MOVED);
	v->flags |= moved ? VERSION_MOVED : 0;
	slot_sign(v, inode, place);
	if (d->head && lineage_is_conflict(base, d->head, &head, c->actor->uid)) {
		struct conflict_record conflict = { .doc = doc,
						    .base = base,
						    .head = d->head,
						    .number = d->head + 1,
						    .ino = inode->ino,
						    .parent = place.parent,
						    .name = place.name };

		v->flags |= VERSION_CONFLICT;
		c->log.flags |= LOG_CONFLICT;
		rc = slot_conflict(c, &conflict, e);
		if (rc < 0)
			return rc;
	}
	inode->version = ++d->head;
	change_add_version(c, doc, d->head, v);
	c->log.size_before = head.size;
	c->log.digest_before = head.digest;
	c->log.size_after = v->size;
	c->log.digest_after = v->digest;
	return 0;
}

int slot_adopt(struct change *c, struct inode_record *inode, uint64_t doc, struct place place,
	       struct place leaving, uint64_t base, bool *absorbed, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record *d, *left = NULL;
	struct version_record v;
	int held = held_version(c, inode, &v, &memory, e), rc;

	rc = held < 0 ? held : held == 0 ? empty_version(c, &v, e) : 0;
	if (rc == 0)
		rc = change_document(c, doc, &d, e);
	if (rc == 0 && inode->doc)
		rc = change_document(c, inode->doc, &left, e);
	if (rc < 0)
		return rc;
	if (left) {
		*absorbed = *absorbed || lineage_is_young(left, c->time);
		left->absorbed_by = *absorbed ? doc : 0;
		left->ino = 0;
		left->died = c->time;
		if (!*absorbed) {
			v.from = inode->doc;
			v.from_version = inode->version;
			v.uid = c->actor->uid;
			v.gid = c->actor->gid;
			v.author = c->actor->name;
			v.tgid = c->actor->tgid;
			v.command = c->actor->command;
			v.client = c->actor->client;
		}
	}
	rc = append_version(c, d, doc, inode, &v, place, base, left && held && *absorbed, e);
	if (rc < 0)
		return rc;
	document_moves_in(c, d, inode->ino, place);
	c->log.from = v.from;
	c->log.from_version = v.from_version;
	inode->doc = doc;
	return slot_redocument(c, inode, leaving, e);
}

static void put_link(struct change *c, uint64_t ino, struct place place)
{
	struct key key = key_link(ino, place.parent, place.name);

	kv_batch_put(c->batch, FAMILY_LINK, key_view(&key), view_of("", 0));
}

void slot_name_added(struct change *c, struct inode_record *inode, struct place place)
{
	struct place home = { inode->parent, inode->name };

	inode->nlink++;
	if (inode->nlink == 1) {
		inode->parent = place.parent;
		inode->name = place.name;
	} else if (!(inode->flags & INODE_LINKED)) {
		inode->flags |= INODE_LINKED;
		put_link(c, inode->ino, home);
	}
	if (inode->flags & INODE_LINKED)
		put_link(c, inode->ino, place);
}

static int take_home(struct change *c, struct place place, struct inode_record *inode,
		     struct error *e)
{
	inode->parent = place.parent;
	buf_clear(&c->home);
	buf_append(&c->home, place.name.data, place.name.len);
	inode->name = buf_view(&c->home);
	int rc = buf_check(&c->home, e);
	return rc < 0 ? rc : 1;
}

int slot_name_removed(struct change *c, struct inode_record *inode, struct place place,
		      struct error *e)
{
	struct place home = { inode->parent, inode->name };

	inode->nlink--;
	if (inode->flags & INODE_LINKED) {
		struct key key = key_link(inode->ino, place.parent, place.name);

		kv_batch_delete(c->batch, FAMILY_LINK, key_view(&key));
		if (inode->nlink && place_equal(home, place))
			return each_name(c, inode, place, take_home, e);
	}
	return 0;
}

/* Who was renamed away from the place, when his copy split off from inode's document: 1 and *ret,
 * else 0. */
static int find_renamed_away(struct change *c, const struct inode_record *inode, struct place place,
			     struct inode_record **ret, struct error *e)
{
	struct document_record *copy;
	struct dirent_record past;
	int rc = past_dirent_newest(c->store, place.parent, place.name, &past, e);

	if (rc <= 0 || past.ended != SLOT_MOVED || past.doc != inode->doc || past.ino == inode->ino)
		return rc < 0 ? rc : 0;
	rc = change_inode(c, past.ino, ret, e);
	if (rc == -E_STALE)
		return 0;
	if (rc < 0 || !(*ret)->nlink || !(*ret)->doc)
		return rc;
	rc = change_document(c, (*ret)->doc, &copy, e);
	return rc < 0 ? rc : lineage_returns(inode->doc, copy, c->time);
}

int slot_passes_through(struct change *c, const struct inode_record *inode, struct place place,
			struct error *e)
{
	struct document_record *was, *copy;
	struct inode_record *ahead;
	int rc = inode->doc ? find_renamed_away(c, inode, place, &ahead, e) : 0;

	if (rc <= 0)
		return rc;
	rc = change_document(c, inode->doc, &was, e);
	if (rc == 0)
		rc = change_document(c, ahead->doc, &copy, e);
	return rc < 0 ? rc : lineage_passes_through(was, copy, c->time);
}

int slot_leave_behind(struct change *c, struct inode_record *inode, struct place place,
		      struct place to, struct error *e)
{
	struct document_record *was, *own;
	int rc = change_document(c, inode->doc, &was, e);

	if (rc == 0)
		rc = slot_split(c, inode, place, e);
	if (rc == 0)
		rc = change_document(c, inode->doc, &own, e);
	if (rc < 0)
		return rc;
	own->parent = to.parent;
	own->name = to.name;
	was->absorbed_by = inode->doc;
	was->ino = 0;
	was->died = c->time;
	return 0;
}

/* An abandoned lock file (git's HEAD.lock): the document goes back to the file that it was of. */
static int give_back(struct change *c, struct inode_record *inode, struct place place,
		     struct document_record *d, struct error *e)
{
	struct document_record *copy;
	struct inode_record *holder;
	int rc = inode->version ? 0 : find_renamed_away(c, inode, place, &holder, e);

	if (rc <= 0)
		return rc;
	rc = change_document(c, holder->doc, &copy, e);
	if (rc < 0)
		return rc;
	copy->absorbed_by = inode->doc;
	copy->ino = 0;
	copy->died = c->time;
	holder->doc = inode->doc;
	holder->version = d->head;
	document_moves_in(c, d, holder->ino, (struct place){ holder->parent, holder->name });
	c->log.flags |= LOG_SCRATCH;
	return each_name(c, holder, (struct place){ 0 }, redocument_name, e);
}

int slot_orphan(struct change *c, struct inode_record *inode, struct place place, struct error *e)
{
	struct key key = key_number(inode->ino);
	struct document_record *d;

	kv_batch_put(c->batch, FAMILY_ORPHAN, key_view(&key), view_of("", 0));
	if (!inode->doc)
		return 0;
	int rc = change_document(c, inode->doc, &d, e);
	if (rc < 0 || d->ino != inode->ino)
		return rc;
	d->ino = 0;
	d->died = c->time;
	if (lineage_dies_scratch(d, c->actor->uid, c->actor->tgid, c->time)) {
		d->flags |= DOCUMENT_SCRATCH;
		c->log.flags |= LOG_SCRATCH;
	}
	return give_back(c, inode, place, d, e);
}
