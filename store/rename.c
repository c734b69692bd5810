/* rename.c - moving names: rename, replace, exchange (namespace.h has the contract, lineage.h the
 * rules). */
#include <stdio.h>
#include <sys/stat.h>

#include "clock.h"
#include "internal.h"
#include "lineage.h"
#include "slot.h"
#include "version.h"

struct move {
	struct place from, to;
	struct dirent_record source, target; /* target.ino 0: the name is free */
	struct inode_record *inode, *replaced;
	struct inode_record *from_directory, *to_directory;
	uint64_t base;
	enum slot_end source_end;
};

static int lookup_target(struct change *c, struct move *m, struct error *e)
{
	int rc = namespace_lookup(c->store, m->to.parent, m->to.name, &m->target, e);

	if (rc == -E_NO_ENTRY) {
		m->target = (struct dirent_record){ 0 };
		return 0;
	}
	return rc < 0 ? rc : change_inode(c, m->target.ino, &m->replaced, e);
}

static int edit_directories(struct change *c, struct move *m, struct error *e)
{
	int rc = change_inode(c, m->from.parent, &m->from_directory, e);

	if (rc == 0)
		rc = change_inode(c, m->to.parent, &m->to_directory, e);
	if (rc < 0)
		return rc;
	if (!S_ISDIR(m->from_directory->mode) || !S_ISDIR(m->to_directory->mode))
		return error_set(e, -E_NOT_DIR, "not a directory");
	return m->to_directory->nlink ? 0 : error_set(e, -E_NO_ENTRY, "the directory was removed");
}

/* -E_LOOP_MOVE when directory ino is target or above it. */
static int is_above(struct change *c, uint64_t ino, uint64_t target, struct error *e)
{
	while (target != ROOT_INODE) {
		CLEANUP(inode_release) struct inode *inode = NULL;

		if (target == ino)
			return error_set(e, -E_LOOP_MOVE, "a directory cannot move below itself");
		int rc = inode_get(c->store, target, &inode, e);
		if (rc < 0)
			return rc;
		target = inode->r.parent;
	}
	return 0;
}

static int gather(struct change *c, struct move *m, struct error *e)
{
	int rc = edit_directories(c, m, e);

	if (rc == 0)
		rc = namespace_lookup(c->store, m->from.parent, m->from.name, &m->source, e);
	if (rc == 0)
		rc = change_inode(c, m->source.ino, &m->inode, e);
	if (rc == 0)
		rc = lookup_target(c, m, e);
	if (rc == 0 && S_ISDIR(m->inode->mode))
		rc = is_above(c, m->inode->ino, m->to.parent, e);
	return rc;
}

/* May the source take the target's name? */
static int check_replace(struct change *c, const struct move *m, struct error *e)
{
	if (!m->replaced)
		return 0;
	if (S_ISDIR(m->inode->mode) && !S_ISDIR(m->replaced->mode))
		return error_set(e, -E_NOT_DIR, "a directory cannot replace a file");
	if (!S_ISDIR(m->replaced->mode))
		return 0;
	if (!S_ISDIR(m->inode->mode))
		return error_set(e, -E_IS_DIR, "a file cannot replace a directory");
	return namespace_is_empty(c->store, m->replaced->ino, e);
}

/* An inode that keeps other names splits off; the document stays with the name, held by nobody
 * until the source takes it. */
static int split_displaced(struct change *c, struct inode_record *old, struct place place,
			   struct error *e)
{
	struct document_record *d;
	int rc;

	if (!old->doc)
		return 0;
	rc = change_document(c, old->doc, &d, e);
	if (rc < 0)
		return rc;
	if (d->ino == old->ino) {
		d->ino = 0;
		d->died = c->time;
	}
	return slot_split(c, old, place, e);
}

/* The inode that loses its name to the source: one name less, its document goes with the name. */
static int displace(struct change *c, struct move *m, struct error *e)
{
	struct inode_record *old = m->replaced;
	int rc;

	change_dirent_end(c, m->to.parent, m->to.name, &m->target, SLOT_REPLACED);
	old->ctime = c->time;
	if (S_ISDIR(old->mode)) {
		old->nlink = 0;
		m->to_directory->nlink--;
		return slot_orphan(c, old, m->to, e);
	}
	rc = slot_name_removed(c, old, m->to, e);
	if (rc < 0)
		return rc;
	c->files -= S_ISREG(old->mode);
	if (old->nlink)
		return split_displaced(c, old, m->to, e);
	c->bytes -= S_ISREG(old->mode) ? (int64_t)old->size : 0;
	return slot_orphan(c, old, m->to, e);
}

/* L3b: the target's document had only split off from the source's; it ends, the source's goes
 * on. */
static void return_identity(struct change *c, struct move *m, struct document_record *split,
			    struct document_record *d)
{
	split->absorbed_by = m->inode->doc;
	split->ino = 0;
	split->died = c->time;
	d->parent = m->to.parent;
	d->name = m->to.name;
}

/* Decides and carries out which document the source's content belongs to under its new name: L2,
 * L3, L3b, L3c, L5. */
static int settle_document(struct change *c, struct move *m, uint64_t target_doc, struct error *e)
{
	struct document_record *own, *target;
	uint64_t doc = target_doc;
	int passes, rc = 0;

	m->source_end = SLOT_MOVED;
	if (!m->inode->doc)
		return 0;
	if (!m->replaced)
		rc = slot_vacated(c, m->to, m->inode, &doc, e);
	passes = rc < 0 ? rc : slot_passes_through(c, m->inode, m->from, e);
	rc = passes < 0 ? passes : change_document(c, m->inode->doc, &own, e);
	if (rc < 0)
		return rc;
	if (passes)
		m->source_end = SLOT_PASSED;
	if (!doc || doc == m->inode->doc) { /* L5 */
		own->parent = m->to.parent;
		own->name = m->to.name;
		return passes ? slot_leave_behind(c, m->inode, m->from, m->to, e) : 0;
	}
	rc = change_document(c, doc, &target, e);
	if (rc < 0)
		return rc;
	if (m->replaced && lineage_returns(m->inode->doc, target, c->time)) {
		return_identity(c, m, target, own);
		return 0;
	}
	bool absorbed = passes;
	rc = slot_adopt(c, m->inode, doc, m->to, m->from, m->base, &absorbed, e);
	if (absorbed && !passes)
		m->source_end = SLOT_ABSORBED;
	return rc;
}

static void move_name(struct change *c, struct move *m)
{
	struct inode_record *inode = m->inode;
	struct dirent_record dirent = { .ino = inode->ino,
					.doc = inode->doc,
					.type = inode->mode & S_IFMT };
	struct place home = { inode->parent, inode->name };

	change_dirent_end(c, m->from.parent, m->from.name, &m->source, m->source_end);
	change_dirent(c, m->to.parent, m->to.name, &dirent);
	if (inode->flags & INODE_LINKED) {
		struct key gone = key_link(inode->ino, m->from.parent, m->from.name);
		struct key now = key_link(inode->ino, m->to.parent, m->to.name);

		kv_batch_delete(c->batch, FAMILY_LINK, key_view(&gone));
		kv_batch_put(c->batch, FAMILY_LINK, key_view(&now), view_of("", 0));
	}
	if (place_equal(home, m->from)) {
		inode->parent = m->to.parent;
		inode->name = m->to.name;
	}
	inode->ctime = c->time;
	if (S_ISDIR(inode->mode)) {
		m->from_directory->nlink--;
		m->to_directory->nlink++;
	}
}

static void touch_directories(struct change *c, struct move *m)
{
	m->from_directory->mtime = m->from_directory->ctime = c->time;
	m->to_directory->mtime = m->to_directory->ctime = c->time;
}

static int log_names(struct change *c, struct move *m, struct error *e)
{
	int rc = change_name(c, m->inode->ino, m->from.parent, m->from.name, false, e);

	if (rc == 0)
		rc = change_name(c, m->inode->ino, m->to.parent, m->to.name, true, e);
	if (rc == 0 && S_ISDIR(m->inode->mode))
		rc = change_check_depth(c, true, e);
	if (rc == 0 && m->replaced && S_ISDIR(m->replaced->mode))
		rc = change_check_depth(c, false, e);
	return rc;
}

static int replace(struct change *c, struct move *m, struct error *e)
{
	uint64_t target_doc = m->replaced ? m->replaced->doc : 0;
	int rc = check_replace(c, m, e);

	if (rc == 0)
		rc = log_names(c, m, e);
	if (rc == 0 && m->replaced)
		rc = displace(c, m, e);
	if (rc == 0)
		rc = settle_document(c, m, target_doc, e);
	if (rc < 0)
		return rc;
	move_name(c, m);
	touch_directories(c, m);
	c->log.doc = m->inode->doc;
	c->log.version = m->inode->version;
	return 0;
}

/* Makes what `from` held before the exchange the next version of document doc, now on the inode
 * that `to` names. */
static int exchange_version(struct change *c, struct inode_record *inode, uint64_t doc,
			    uint64_t from_doc, const struct version_record *content,
			    uint64_t from_version, struct place place, struct error *e)
{
	struct version_record v = *content;
	struct document_record *d;
	int rc = change_document(c, doc, &d, e);

	if (rc < 0)
		return rc;
	v.change = c->number;
	v.time = c->time;
	v.uid = c->actor->uid;
	v.gid = c->actor->gid;
	v.author = c->actor->name;
	v.tgid = c->actor->tgid;
	v.command = c->actor->command;
	v.client = c->actor->client;
	v.prev = d->head;
	v.base = 0;
	v.flags = 0;
	v.from = from_doc;
	v.from_version = from_version;
	slot_sign(&v, inode, place);
	inode->doc = doc;
	inode->version = ++d->head;
	d->ino = inode->ino;
	change_add_version(c, doc, d->head, &v);
	return 0;
}

/* L5: each name keeps its document, each gets a version. */
static int exchange_documents(struct change *c, struct move *m, struct error *e)
{
	CLEANUP(buf_release) struct buf a_memory = { 0 }, b_memory = { 0 };
	struct inode_record *a = m->inode, *b = m->replaced;
	uint64_t a_doc = a->doc, b_doc = b->doc, a_number = a->version, b_number = b->version;
	struct version_record a_held, b_held;
	struct document_record *d;
	int rc;

	/* Nothing saved yet, or no files: documents move along. */
	if (!a_doc || !b_doc || !a_number || !b_number) {
		for (int i = 0; i < 2; i++) {
			struct inode_record *inode = i ? b : a;

			if (!inode->doc)
				continue;
			rc = change_document(c, inode->doc, &d, e);
			if (rc < 0)
				return rc;
			d->parent = i ? m->from.parent : m->to.parent;
			d->name = i ? m->from.name : m->to.name;
		}
		return 0;
	}
	rc = version_get(c->store, a_doc, a_number, &a_held, &a_memory, e);
	if (rc == 0)
		rc = version_get(c->store, b_doc, b_number, &b_held, &b_memory, e);
	if (rc == 0)
		rc = exchange_version(c, a, b_doc, a_doc, &a_held, a_number, m->to, e);
	if (rc == 0)
		rc = exchange_version(c, b, a_doc, b_doc, &b_held, b_number, m->from, e);
	if (rc == 0)
		rc = slot_redocument(c, a, m->from, e);
	if (rc == 0)
		rc = slot_redocument(c, b, m->to, e);
	return rc;
}

static void exchange_name(struct change *c, struct inode_record *inode, struct place was,
			  struct place now)
{
	struct dirent_record dirent = { .ino = inode->ino,
					.doc = inode->doc,
					.type = inode->mode & S_IFMT };

	change_dirent(c, now.parent, now.name, &dirent);
	if (inode->flags & INODE_LINKED) {
		struct key gone = key_link(inode->ino, was.parent, was.name);
		struct key key = key_link(inode->ino, now.parent, now.name);

		kv_batch_delete(c->batch, FAMILY_LINK, key_view(&gone));
		kv_batch_put(c->batch, FAMILY_LINK, key_view(&key), view_of("", 0));
	}
	if (place_equal((struct place){ inode->parent, inode->name }, was)) {
		inode->parent = now.parent;
		inode->name = now.name;
	}
	inode->ctime = c->time;
}

static int exchange(struct change *c, struct move *m, struct error *e)
{
	int rc = 0;

	if (!m->replaced)
		return error_set(e, -E_NO_ENTRY, "there is nothing to exchange with");
	if (S_ISDIR(m->replaced->mode))
		rc = is_above(c, m->replaced->ino, m->from.parent, e);
	if (rc == 0)
		rc = log_names(c, m, e);
	if (rc == 0)
		rc = exchange_documents(c, m, e);
	if (rc < 0)
		return rc;
	change_dirent_end(c, m->from.parent, m->from.name, &m->source, SLOT_REPLACED);
	change_dirent_end(c, m->to.parent, m->to.name, &m->target, SLOT_REPLACED);
	exchange_name(c, m->inode, m->from, m->to);
	exchange_name(c, m->replaced, m->to, m->from);
	int across = S_ISDIR(m->inode->mode) - S_ISDIR(m->replaced->mode);
	m->to_directory->nlink += (uint64_t)across;
	m->from_directory->nlink -= (uint64_t)across;
	touch_directories(c, m);
	c->log.op = OP_EXCHANGE;
	c->log.doc = m->inode->doc;
	c->log.version = m->inode->version;
	return 0;
}

int namespace_vacated(struct store *store, uint64_t parent, struct view name, uint64_t *ret_doc,
		      struct error *e)
{
	struct dirent_record past;
	int rc = past_dirent_newest(store, parent, name, &past, e);

	*ret_doc = rc > 0 && lineage_fill(&past, clock_now()) == LINEAGE_CONTINUE ? past.doc : 0;
	return rc < 0 ? rc : 0;
}

int namespace_rename(struct store *store, const struct actor *actor, uint64_t parent,
		     struct view name, uint64_t new_parent, struct view new_name, unsigned flags,
		     uint64_t base, uint64_t *ret_replaced, struct error *e)
{
	struct move m = { .from = { parent, name }, .to = { new_parent, new_name }, .base = base };
	CLEANUP(change_abort) struct change c = { 0 };
	int rc;

	*ret_replaced = 0;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return error_set(e, -E_INVALID, "rename knows the flags NOREPLACE and EXCHANGE");
	rc = place_check(m.to, e);
	if (rc == 0)
		rc = change_begin(store, actor, OP_RENAME, NULL, &c, e);
	if (rc == 0)
		rc = gather(&c, &m, e);
	if (rc < 0)
		return rc;
	if (m.replaced && (flags & RENAME_NOREPLACE))
		return error_set(e, -E_EXISTS, "the name is taken");
	if (m.replaced == m.inode) /* two names of one inode: POSIX says that nothing happens */
		return 0;
	rc = flags & RENAME_EXCHANGE ? exchange(&c, &m, e) : replace(&c, &m, e);
	if (rc < 0)
		return rc;
	*ret_replaced = flags & RENAME_EXCHANGE || !m.replaced ? 0 : m.replaced->ino;
	return change_commit(&c, e);
}
