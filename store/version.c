/* version.c - see version.h. */
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "acl.h"
#include "internal.h"
#include "lineage.h"
#include "slot.h"

int version_get(struct store *store, uint64_t doc, uint64_t number, struct version_record *ret,
		struct buf *memory, struct error *e)
{
	struct key key = key_numbers(doc, ~number);
	int rc = kv_get(store->kv, NULL, FAMILY_VERSION, key_view(&key), memory, e);

	if (rc == 0)
		return error_set(e, -E_NO_VERSION, "there is no version %llu of this file",
				 (unsigned long long)number);
	return rc < 0 ? rc : version_decode(ret, buf_view(memory), e);
}

int version_each(struct store *store, uint64_t doc, uint64_t from, version_visitor each, void *arg,
		 struct error *e)
{
	struct key prefix = key_number(doc), start = key_numbers(doc, from ? ~from : 0);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_VERSION, key_view(&prefix), false);
	struct view key, value;
	int rc;

	kv_iter_seek(it, key_view(&start));
	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader r = reader_of(key);
		struct version_record v;

		reader_u64(&r);
		uint64_t number = ~reader_u64(&r);
		if (!reader_done(&r))
			return error_set(e, -E_CORRUPT, "a version key of document %llu is damaged",
					 (unsigned long long)doc);
		rc = version_decode(&v, value, e);
		if (rc < 0)
			return error_prefix(e, rc, "version %llu", (unsigned long long)number);
		if (!each(arg, number, &v))
			return 0;
	}
	return rc;
}

/* A save on its way: what it touches. */
struct saving {
	const struct save *save;
	struct content_ref content;
	struct inode_record *inode;
	struct document_record *document;
	struct version_record head, previous; /* of the document; zero when there is none */
	struct buf head_memory, previous_memory;
	struct place place;
	bool own; /* the version that the inode holds now is this save's */
	char rights[ATTRIBUTES_TEXT_ROOM]; /* that the log tells */
};

static void saving_release(struct saving *s)
{
	buf_release(&s->head_memory);
	buf_release(&s->previous_memory);
}

/* An unlinked file whose document went on without it gets one of its own, so that what is saved is
 * not lost. */
static int document_of_unnamed(struct change *c, struct saving *s, struct error *e)
{
	struct document_record *d = s->document, *own;
	uint64_t was = s->inode->doc;

	if (d->ino == 0 || d->ino == s->inode->ino)
		return 0;
	int rc = change_document_new(c, &s->inode->doc, &own, e);
	if (rc < 0)
		return rc;
	own->copy_of = was;
	own->copy_of_version = s->inode->version;
	own->parent = s->inode->parent;
	own->name = s->inode->name;
	own->died = c->time;
	s->inode->version = 0;
	s->document = own;
	return 0;
}

/* The document that the bytes join, its head and the version before that. */
static int find_document(struct change *c, struct saving *s, struct error *e)
{
	struct inode_record *inode = s->inode;
	int rc;

	if (!inode->doc) /* damaged or older records; a named regular file always has one */
		rc = slot_settle_new(c, s->place, inode, e);
	else
		rc = 0;
	if (rc == 0)
		rc = change_document(c, inode->doc, &s->document, e);
	if (rc == 0 && inode->nlink == 0)
		rc = document_of_unnamed(c, s, e);
	if (rc == 0 && s->document->head)
		rc = version_get(c->store, inode->doc, s->document->head, &s->head, &s->head_memory,
				 e);
	if (rc == 0 && s->head.prev)
		rc = version_get(c->store, inode->doc, s->head.prev, &s->previous,
				 &s->previous_memory, e);
	return rc == -E_NO_VERSION ? error_set(e, -E_CORRUPT, "a version of this file is missing")
				   : rc;
}

static bool same_bytes(const struct saving *s, const struct version_record *v)
{
	return memcmp(s->content.digest.bytes, v->digest.bytes, DIGEST_LEN) == 0 &&
	       s->content.size == v->size;
}

/* The newest earlier version of the same document with these bytes, for `from`: 0 when there is
 * none. */
static int find_source(struct change *c, const struct saving *s, uint64_t below, uint64_t *ret,
		       struct error *e)
{
	struct key prefix = key_by_digest(&s->content.digest, s->inode->doc, 0), last;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record found;
	struct view key;

	*ret = 0;
	if (below == 1)
		return 0;
	last = key_by_digest(&s->content.digest, s->inode->doc, below - 1);
	prefix.len -= 8;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(c->store->kv, NULL, FAMILY_BY_DIGEST, key_view(&prefix), true);
	kv_iter_seek(it, key_view(&last));
	int rc = kv_iter_next(it, &key, NULL, e);
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(key);
	reader_bytes(&r, DIGEST_LEN + 8);
	uint64_t number = reader_u64(&r);
	rc = version_get(c->store, s->inode->doc, number, &found, &memory, e);
	if (rc == 0 && same_bytes(s, &found))
		*ret = number;
	return rc == -E_NO_VERSION ? 0 : rc;
}

/* The bytes are a version's that is there, so it is what the inode holds: with the content that
 * this save has, which is another one when zeros were written where it has a hole, or when the one
 * that it had is damaged. */
static void hold_version(struct change *c, struct saving *s, uint64_t number,
			 struct version_record *v)
{
	s->document->head = s->inode->version = number;
	if (v->content == s->content.id)
		return;
	v->content = s->content.id;
	change_put_version(c, s->inode->doc, number, v);
}

/* L1: the save brought back the very bytes before it: the provisional version goes, the one before
 * is the head. */
static void unfold(struct change *c, struct saving *s)
{
	change_delete_version(c, s->inode->doc, s->document->head, &s->head);
	hold_version(c, s, s->head.prev, &s->previous);
	c->log.flags |= LOG_UNCHANGED | LOG_FOLDED;
}

static void sign_author(struct version_record *v, const struct actor *actor)
{
	v->uid = actor->uid;
	v->gid = actor->gid;
	v->author = actor->name;
	v->tgid = actor->tgid;
	v->command = actor->command;
	v->client = actor->client;
}

static int note_conflict(struct change *c, struct saving *s, uint64_t number, struct error *e)
{
	struct conflict_record conflict = { .doc = s->inode->doc,
					    .base = s->save->base,
					    .head = number - 1,
					    .number = number,
					    .ino = s->inode->ino,
					    .parent = s->place.parent,
					    .name = s->place.name };

	c->log.flags |= LOG_CONFLICT;
	return slot_conflict(c, &conflict, e);
}

/* Writes the version: the head again when the save folds, the next one otherwise. */
static int put_version(struct change *c, struct saving *s, bool fold, struct error *e)
{
	const struct save *save = s->save;
	uint64_t number = fold ? s->document->head : s->document->head + 1;
	struct version_record v = { .change = c->number, .time = c->time, .content = s->content.id,
		.size = s->content.size, .digest = s->content.digest };
	int rc;

	sign_author(&v, c->actor);
	v.prev = fold ? s->head.prev : s->document->head;
	v.base = fold ? s->head.base : save->base;
	v.flags = (save->incomplete ? VERSION_INCOMPLETE : 0) |
		  (save->recovered ? VERSION_RECOVERED : 0);
	v.flags |= fold ? s->head.flags & (VERSION_CONFLICT) : 0;
	v.from = save->from_doc;
	v.from_version = save->from_version;
	if (!v.from) {
		rc = find_source(c, s, number, &v.from_version, e);
		if (rc < 0)
			return rc;
		v.from = v.from_version ? s->inode->doc : 0;
	}
	slot_sign(&v, s->inode, s->place);
	if (!fold && s->document->head &&
	    lineage_is_conflict(save->base, s->document->head, &s->head, c->actor->uid)) {
		v.flags |= VERSION_CONFLICT;
		rc = note_conflict(c, s, number, e);
		if (rc < 0)
			return rc;
	}
	if (fold)
		change_delete_version(c, s->inode->doc, number, &s->head);
	change_add_version(c, s->inode->doc, number, &v);
	s->document->head = s->inode->version = number;
	c->log.from = v.from;
	c->log.from_version = v.from_version;
	c->log.flags |= fold ? LOG_FOLDED : 0;
	return 0;
}

static void update_inode(struct change *c, struct saving *s)
{
	struct inode_record *inode = s->inode;

	c->bytes = inode->nlink ? (int64_t)(s->content.size - inode->size) : 0;
	inode->content = s->content.id;
	inode->size = s->content.size;
	inode->mtime = s->save->mtime ? s->save->mtime : c->time;
	/* A time that stat has shown since the bytes were written does not move at the save. */
	int64_t ctime = s->save->ctime ? s->save->ctime : c->time;
	inode->ctime = ctime > inode->ctime ? ctime : inode->ctime;
	inode->atime = s->save->atime ? s->save->atime : inode->atime;
	if (s->save->kill_privileges) {
		inode->mode &= ~(uint64_t)S_ISUID;
		if (inode->mode & S_IXGRP)
			inode->mode &= ~(uint64_t)S_ISGID;
	}
}

static void log_save(struct change *c, struct saving *s, bool first)
{
	if (first && s->save->attributes) {
		attributes_describe(s->inode, true, true, s->rights);
		c->log.after = view_str(s->rights);
	}
	c->log.doc = s->inode->doc;
	c->log.version = s->inode->version;
	c->log.size_before = s->head.size;
	c->log.digest_before = s->head.digest;
	c->log.size_after = s->content.size;
	c->log.digest_after = s->content.digest;
	c->log.flags |= s->save->incomplete ? LOG_INCOMPLETE : 0;
	c->log.flags |= s->save->recovered ? LOG_RECOVERED : 0;
}

static int save_in_change(struct change *c, struct saving *s, struct error *e)
{
	int rc = find_document(c, s, e);

	if (rc < 0)
		return rc;
	/* The version that the inode holds is the head, and this inode made it: only then can a
	 * save go into it. */
	bool holds_head = s->document->head && s->inode->version == s->document->head;
	bool fold = s->save->fold && holds_head && s->head.ino == s->inode->ino;
	bool first = !s->inode->version;

	update_inode(c, s);
	if (fold && s->head.prev && same_bytes(s, &s->previous) &&
	    !(s->previous.flags & VERSION_LOST)) {
		unfold(c, s);
	} else if (holds_head && same_bytes(s, &s->head) &&
		   !(s->head.flags & (VERSION_INCOMPLETE | VERSION_LOST))) {
		s->own = fold;
		hold_version(c, s, s->document->head, &s->head);
		c->log.flags |= LOG_UNCHANGED;
	} else {
		s->own = true;
		rc = put_version(c, s, fold, e);
	}
	log_save(c, s, first);
	return rc < 0 ? rc : slot_log_name(c, s->inode, e);
}

static void tell(const struct change *c, const struct saving *s, struct saved *ret)
{
	*ret = (struct saved){ .doc = s->inode->doc,
			       .number = s->inode->version,
			       .content = s->content.id,
			       .size = s->content.size,
			       .unchanged = (c->log.flags & LOG_UNCHANGED) != 0,
			       .conflict = (c->log.flags & LOG_CONFLICT) != 0,
			       .own = s->own };
}

/* O_TMPFILE: content without a name is no save yet; only the inode knows it. */
static int save_unnamed(struct change *c, struct saving *s, struct saved *ret, struct error *e)
{
	update_inode(c, s);
	tell(c, s, ret);
	return change_commit_untold(c, e);
}

/* The save of a content that is in batch or in the store already. */
static int save_content(struct store *store, const struct actor *actor, enum log_operation op,
			uint64_t ino, struct saving *s, struct kv_batch *batch, struct saved *ret,
			struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = change_begin(store, actor, op, batch, &c, e);

	if (rc == 0)
		rc = change_inode(&c, ino, &s->inode, e);
	if (rc < 0)
		return rc;
	if (!S_ISREG(s->inode->mode))
		return error_set(e, -E_INVALID, "inode %llu is not a regular file",
				 (unsigned long long)ino);
	s->place = (struct place){ s->inode->parent, s->inode->name };
	if (s->inode->nlink == 0 && !s->inode->doc)
		return save_unnamed(&c, s, ret, e);
	rc = save_in_change(&c, s, e);
	if (rc < 0)
		return rc;
	tell(&c, s, ret);
	return change_commit(&c, e);
}

int version_save(struct store *store, const struct actor *actor, uint64_t ino,
		 const struct save *save, struct saved *ret, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(saving_release) struct saving s = { .save = save };
	unsigned hold = content_hold(store->contents);
	int rc = content_put(store->contents, save->work, &batch, &s.content, e);

	if (rc == 0)
		rc = save_content(store, actor, OP_SAVE, ino, &s, &batch, ret, e);
	content_unhold(store->contents, hold);
	return rc;
}

int version_restore(struct store *store, const struct actor *actor, uint64_t ino, uint64_t doc,
		    uint64_t number, struct saved *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct save save = { .from_doc = doc, .from_version = number };
	CLEANUP(saving_release) struct saving s = { .save = &save };
	struct version_record v;
	int rc = version_get(store, doc, number, &v, &memory, e);

	if (rc < 0)
		return rc;
	s.content = (struct content_ref){ .id = v.content, .size = v.size, .digest = v.digest };
	return save_content(store, actor, OP_RESTORE, ino, &s, NULL, ret, e);
}

int version_restore_at(struct store *store, const struct actor *actor, uint64_t parent,
		       struct view name, uint64_t doc, uint64_t number, struct saved *ret,
		       struct error *e)
{
	CLEANUP(inode_release) struct inode *made = NULL, *directory = NULL;
	CLEANUP(buf_release) struct buf memory = { 0 }, xattrs = { 0 };
	struct dirent_record dirent;
	struct version_record v;
	int rc = version_get(store, doc, number, &v, &memory, e);

	if (rc == 0)
		rc = namespace_lookup(store, parent, name, &dirent, e);
	if (rc == 0)
		return version_restore(store, actor, dirent.ino, doc, number, ret, e);
	if (rc != -E_NO_ENTRY)
		return rc;
	struct make make = { .mode = S_IFREG | (v.mode & 0777), .uid = actor->uid };
	rc = inode_get(store, parent, &directory, e);
	if (rc < 0)
		return rc;
	make.gid = directory->r.mode & S_ISGID ? (uint32_t)directory->r.gid : actor->gid;
	if (v.acl.len)
		xattr_set(&xattrs, make.xattrs, view_str(ACL_ACCESS_NAME), v.acl);
	make.xattrs = buf_view(&xattrs);
	rc = buf_check(&xattrs, e);
	if (rc == 0)
		rc = namespace_make(store, actor, parent, name, &make, &made, e);
	return rc < 0 ? rc : version_restore(store, actor, made->r.ino, doc, number, ret, e);
}
