/* change.c - see change.h. */
#include "change.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

#include "changelog.h"
#include "clock.h"
#include "internal.h"
#include "lagging.h"
#include "version.h"

static void put(struct change *c, enum family family, struct key key, const struct buf *value)
{
	kv_batch_put_buf(c->batch, family, key_view(&key), value);
}

int change_begin(struct store *store, const struct actor *actor, enum log_operation op,
		 struct kv_batch *batch, struct change *c, struct error *e)
{
	memset(c, 0, sizeof(*c));
	if (store->read_only)
		return error_set(e, -EROFS, "the store was opened read-only");
	c->store = store;
	c->actor = actor;
	c->log.op = op;
	c->batch = batch ? batch : &c->own;
	lock_take(&store->commit);
	c->active = true;
	int64_t now = clock_now();
	c->time = now > store->last_time ? now : store->last_time;
	uint64_t next = store->head_change + 1;
	return store_take_number(&next, "changes", &c->number, e);
}

void change_abort(struct change *c)
{
	for (size_t i = 0; i < c->inode_count; i++) {
		inode_put(c->inodes[i].old);
		inode_put(c->inodes[i].fresh);
	}
	for (size_t i = 0; i < c->document_count; i++) {
		buf_release(&c->documents[i].memory);
		buf_release(&c->documents[i].encoded);
	}
	c->inode_count = c->document_count = 0;
	buf_release(&c->path);
	buf_release(&c->path2);
	buf_release(&c->home);
	buf_release(&c->names);
	buf_release(&c->above);
	buf_release(&c->author_memory);
	kv_batch_release(&c->own);
	c->batch = NULL;
	if (c->active)
		lock_drop(&c->store->commit);
	c->active = false;
}

static int inode_slot(struct change *c, struct inode_edit **ret, struct error *e)
{
	if (c->inode_count == CHANGE_EDITS_MAX)
		return error_set(e, -E_INVALID, "one change touches more than %d inodes",
				 CHANGE_EDITS_MAX);
	*ret = &c->inodes[c->inode_count++];
	memset(*ret, 0, sizeof(**ret));
	return 0;
}

int change_inode(struct change *c, uint64_t ino, struct inode_record **ret, struct error *e)
{
	struct inode_edit *edit = NULL;
	struct inode *old = NULL;

	for (size_t i = 0; i < c->inode_count; i++) {
		if (c->inodes[i].r.ino == ino) {
			*ret = &c->inodes[i].r;
			return 0;
		}
	}
	int rc = inode_get(c->store, ino, &old, e);
	if (rc < 0)
		return rc;
	rc = inode_slot(c, &edit, e);
	if (rc < 0) {
		inode_put(old);
		return rc;
	}
	edit->old = old;
	edit->r = old->r;
	*ret = &edit->r;
	return 0;
}

int change_inode_new(struct change *c, struct inode_record **ret, struct error *e)
{
	struct inode_edit *edit = NULL;
	int rc = inode_slot(c, &edit, e);

	if (rc == 0)
		rc = store_take_number(&c->store->next_inode, "inodes", &edit->r.ino, e);
	if (rc < 0)
		return rc;
	*ret = &edit->r;
	return 0;
}

static int document_slot(struct change *c, struct document_edit **ret, struct error *e)
{
	if (c->document_count == CHANGE_EDITS_MAX)
		return error_set(e, -E_INVALID, "one change touches more than %d documents",
				 CHANGE_EDITS_MAX);
	*ret = &c->documents[c->document_count++];
	memset(*ret, 0, sizeof(**ret));
	return 0;
}

int change_document(struct change *c, uint64_t doc, struct document_record **ret, struct error *e)
{
	struct document_edit *edit = NULL;

	for (size_t i = 0; i < c->document_count; i++) {
		if (c->documents[i].id == doc) {
			*ret = &c->documents[i].r;
			return 0;
		}
	}
	int rc = document_slot(c, &edit, e);
	if (rc < 0)
		return rc;
	edit->id = doc;
	rc = document_get(c->store, doc, &edit->r, &edit->memory, e);
	if (rc < 0) {
		buf_release(&edit->memory);
		c->document_count--;
		return rc;
	}
	*ret = &edit->r;
	return 0;
}

int change_document_new(struct change *c, uint64_t *ret_id, struct document_record **ret,
			struct error *e)
{
	struct document_edit *edit = NULL;
	int rc = document_slot(c, &edit, e);

	if (rc == 0)
		rc = store_take_number(&c->store->next_document, "documents", &edit->id, e);
	if (rc < 0)
		return rc;
	*ret_id = edit->id;
	edit->r.born = c->time;
	edit->r.uid = c->actor->uid;
	edit->r.tgid = c->actor->tgid;
	edit->r.since = c->number;
	*ret = &edit->r;
	return 0;
}

struct name_edit {
	uint64_t parent;
	size_t len;
	struct dirent_state state;
};

/* Notes what becomes of a name, for when it is written. */
static void note_name(struct change *c, uint64_t parent, struct view name,
		      const struct dirent_state *state)
{
	struct name_edit edit = { parent, name.len, *state };

	buf_append(&c->names, &edit, sizeof(edit));
	buf_append(&c->names, name.data, name.len);
}

static void apply_names(struct change *c)
{
	struct name_edit edit;

	for (size_t at = 0; at < c->names.len; at += sizeof(edit) + edit.len) {
		memcpy(&edit, c->names.data + at, sizeof(edit));
		dirents_commit(c->store->dirents, edit.parent,
			       view_of(c->names.data + at + sizeof(edit), edit.len), &edit.state);
	}
	if (c->new_directory)
		dirents_commit_new(c->store->dirents, c->new_directory);
}

void change_dirent(struct change *c, uint64_t parent, struct view name,
		   const struct dirent_record *dirent)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct dirent_record r = *dirent;

	r.since = c->number;
	r.until = r.ended = 0;
	r.until_time = 0;
	dirent_encode(&value, &r);
	put(c, FAMILY_DIRENT, key_name(parent, store_cookie(c->store, name), name), &value);
	note_name(c, parent, name,
		  &(struct dirent_state){ .live = DIRENT_THERE, .live_record = r });
}

void change_dirent_end(struct change *c, uint64_t parent, struct view name,
		       const struct dirent_record *old, enum slot_end how)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	uint64_t cookie = store_cookie(c->store, name);
	struct dirent_record r = *old;
	struct key live = key_name(parent, cookie, name);

	r.until = c->number;
	r.ended = how;
	r.until_time = c->time;
	dirent_encode(&value, &r);
	kv_batch_delete(c->batch, FAMILY_DIRENT, key_view(&live));
	put(c, FAMILY_PAST_DIRENT, key_past_name(parent, cookie, name, r.since), &value);
	note_name(c, parent, name,
		  &(struct dirent_state){
			  .live = DIRENT_NONE, .past = DIRENT_THERE, .past_record = r });
}

static void count_version(struct change *c, const struct version_record *v, int64_t sign)
{
	c->versions += version_counts(v) ? sign : 0;
	c->version_bytes += version_counts(v) ? sign * (int64_t)v->size : 0;
}

void change_add_version(struct change *c, uint64_t doc, uint64_t number,
			const struct version_record *v)
{
	count_version(c, v, 1);
	change_put_version(c, doc, number, v);
}

void change_put_version(struct change *c, uint64_t doc, uint64_t number,
			const struct version_record *v)
{
	CLEANUP(buf_release) struct buf value = { 0 }, content = { 0 };

	version_encode(&value, v);
	buf_varint(&content, v->content);
	put(c, FAMILY_VERSION, key_numbers(doc, ~number), &value);
	put(c, FAMILY_BY_DIGEST, key_by_digest(&v->digest, doc, number), &content);
}

void change_delete_version(struct change *c, uint64_t doc, uint64_t number,
			   const struct version_record *v)
{
	struct key version = key_numbers(doc, ~number),
		   digest = key_by_digest(&v->digest, doc, number);

	count_version(c, v, -1);
	kv_batch_delete(c->batch, FAMILY_VERSION, key_view(&version));
	kv_batch_delete(c->batch, FAMILY_BY_DIGEST, key_view(&digest));
}

void change_put_conflict(struct change *c, uint64_t directory, const struct conflict_record *r)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	conflict_encode(&value, r);
	put(c, FAMILY_CONFLICT, key_numbers(directory, c->number), &value);
}

void change_put_tag(struct change *c, uint64_t directory, struct view name,
		    const struct tag_record *r)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	tag_encode(&value, r);
	put(c, FAMILY_TAG, key_tag(directory, name), &value);
}

void change_delete_tag(struct change *c, uint64_t directory, struct view name)
{
	struct key key = key_tag(directory, name);

	kv_batch_delete(c->batch, FAMILY_TAG, key_view(&key));
}

int change_name(struct change *c, uint64_t ino, uint64_t parent, struct view name, bool second,
		struct error *e)
{
	struct buf *path = second ? &c->path2 : &c->path;
	int rc;

	buf_clear(path);
	rc = namespace_path(c->store, parent, path, e);
	if (rc < 0)
		return rc;
	if (path->len && name.len)
		buf_u8(path, '/');
	buf_append(path, name.data, name.len);
	if (!second) {
		c->log.ino = ino;
		c->log.parent = parent;
	}
	c->under[second] = parent;
	return buf_check(path, e);
}

int change_check_depth(const struct change *c, bool second, struct error *e)
{
	const struct buf *path = second ? &c->path2 : &c->path;
	size_t depth = 1;

	for (size_t i = 0; i < path->len; i++)
		depth += path->data[i] == '/';
	return depth <= DIRECTORY_DEPTH_MAX
		       ? 0
		       : error_set(e, -E_TOO_DEEP, "a directory is at most %d deep",
				   DIRECTORY_DEPTH_MAX);
}

bool indexed_note(struct indexed *indexed, uint64_t change, enum family family, uint64_t id)
{
	if (indexed->block != change / INDEX_BLOCK)
		*indexed = (struct indexed){ .block = change / INDEX_BLOCK };
	for (size_t i = 0; i < indexed->count; i++) {
		if (indexed->at[i].family == family && indexed->at[i].id == id)
			return true;
	}
	if (indexed->count < sizeof(indexed->at) / sizeof(indexed->at[0])) {
		indexed->at[indexed->count].family = family;
		indexed->at[indexed->count++].id = id;
	}
	return false;
}

static void put_index(struct change *c, enum family family, uint64_t id, struct key key)
{
	if (!indexed_note(&c->store->indexed, c->number, family, id))
		kv_batch_put(c->batch, family, key_view(&key), view_of("", 0));
}

/* Notes directory and all above it, up to the first that is noted already. */
static int put_under(struct change *c, uint64_t directory, struct error *e)
{
	struct log_record first = { .above = buf_view(&c->above) };
	CLEANUP(buf_release) struct buf more = { 0 };

	while (directory && !log_is_above(&first, directory)) {
		CLEANUP(inode_release) struct inode *inode = NULL;

		buf_varint(&more, directory);
		if (directory == ROOT_INODE)
			break;
		put_index(c, FAMILY_UNDER, directory, key_under(directory, c->number));
		int rc = inode_get(c->store, directory, &inode, e);
		if (rc < 0)
			return rc;
		directory = inode->r.parent;
	}
	buf_append(&c->above, more.data, more.len);
	c->above.failed |= more.failed;
	return buf_check(&c->above, e);
}

/* A directory changed again within the second in which it last changed, in nothing but times and
 * links: the record in between would only say what nobody can ask for, so it is not kept. */
static bool is_coalesced(const struct inode_record *old, const struct inode_record *r)
{
	return S_ISDIR(r->mode) && old->mode == r->mode && old->uid == r->uid &&
	       old->gid == r->gid && old->parent == r->parent && view_equal(old->name, r->name) &&
	       view_equal(old->xattrs, r->xattrs) && old->mtime != r->mtime &&
	       old->ctime / NS_PER_SECOND == r->ctime / NS_PER_SECOND && old->since > 1;
}

/* The record as it is to be, and the inode that readers will have of it. */
static int put_inode(struct change *c, struct inode_edit *edit, struct error *e)
{
	CLEANUP(buf_release) struct buf encoded = { 0 };

	inode_encode(&encoded, &edit->r);
	if (!edit->lags)
		put(c, FAMILY_INODE, key_number(edit->r.ino), &encoded);
	int rc = buf_check(&encoded, e);
	return rc < 0 ? rc
		      : inode_cache_make(c->store->inodes, buf_view(&encoded), &edit->fresh, e);
}

/* Moves what the inode was into the past, unless nobody can ask for it. */
static void put_past(struct change *c, struct inode_edit *edit)
{
	CLEANUP(buf_release) struct buf past = { 0 };
	bool coalesced = edit->old && is_coalesced(&edit->old->r, &edit->r);

	edit->r.since = coalesced ? edit->old->r.since : c->number;
	if (!edit->old || coalesced ||
	    edit->old->r.since >= c->number) /* the last: had no name until now */
		return;
	inode_encode(&past, &edit->old->r);
	put(c, FAMILY_PAST_INODE, key_numbers(edit->r.ino, ~edit->old->r.since), &past);
}

static void put_documents(struct change *c)
{
	for (size_t i = 0; i < c->document_count; i++) {
		struct document_edit *edit = &c->documents[i];

		document_encode(&edit->encoded, &edit->r);
		put(c, FAMILY_DOCUMENT, key_number(edit->id), &edit->encoded);
	}
}

void store_put_next_inode(const struct store *store, struct kv_batch *batch)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	buf_varint(&value, store->next_inode);
	kv_batch_put_buf(batch, FAMILY_META, view_str("inodes"), &value);
}

bool change_begins_a_second(const struct change *c)
{
	return c->store->head_change &&
	       c->time / NS_PER_SECOND != c->store->last_time / NS_PER_SECOND;
}

static void fill_log(struct change *c, struct log_record *r)
{
	const struct store *store = c->store;

	r->change = c->number;
	r->time = c->time;
	r->prev = store->head_digest;
	r->uid = c->actor->uid;
	r->gid = c->actor->gid;
	r->author = c->actor->name;
	r->tgid = c->actor->tgid;
	r->command = c->actor->command;
	r->client = c->actor->client;
	r->request = c->actor->request;
	r->path = buf_view(&c->path);
	if (c->path2.len)
		r->path2 = buf_view(&c->path2);
	r->above = buf_view(&c->above);
	r->live_files = store->live_files + (uint64_t)c->files;
	r->live_bytes = store->live_bytes + (uint64_t)c->bytes;
	r->inode_next = store->next_inode;
	r->document_next = store->next_document;
	r->versions = store->versions + (uint64_t)c->versions;
	r->version_bytes = store->version_bytes + (uint64_t)c->version_bytes;
}

/* The log record and the indexes that lead to it; *ret_digest is what the next record chains to. */
static int put_log(struct change *c, struct digest *ret_digest, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 }, number = { 0 };
	int rc = put_under(c, c->under[0], e);

	if (rc == 0)
		rc = put_under(c, c->under[1], e);
	if (rc < 0)
		return rc;
	fill_log(c, &c->log);
	log_encode(&value, &c->log);
	buf_varint(&number, c->store->head_change);
	if ((rc = buf_check(&value, e)) < 0 || (rc = buf_check(&number, e)) < 0)
		return rc;
	crypto_generichash(ret_digest->bytes, DIGEST_LEN, value.data, value.len, NULL, 0);
	put(c, FAMILY_LOG, key_number(c->number), &value);
	put_index(c, FAMILY_BY_USER, c->actor->uid, key_by_user(c->actor->uid, c->number));
	if (change_begins_a_second(c))
		put(c, FAMILY_CLOCK, key_number((uint64_t)(c->store->last_time / NS_PER_SECOND)),
		    &number);
	return 0;
}

void change_give(struct change *c, uint64_t ino, struct inode **ret)
{
	c->given = ino;
	c->ret_given = ret;
}

/* Readers see the inodes as they are now. */
static void show_inodes(struct change *c)
{
	for (size_t i = 0; i < c->inode_count; i++) {
		struct inode_edit *edit = &c->inodes[i];

		inode_cache_replace(c->store->inodes, edit->r.ino, edit->fresh);
		if (c->ret_given && edit->r.ino == c->given) {
			*c->ret_given = edit->fresh;
			edit->fresh = NULL;
		}
	}
}

/* What follows a write that succeeded: the new state, in memory too. */
static void apply(struct change *c, const struct digest *digest)
{
	struct store *store = c->store;

	lagging_written(c); /* before the time goes on */
	store->head_change = c->number;
	store->head_digest = *digest;
	store->last_time = c->time;
	if (!store->first_time)
		store->first_time = c->time;
	store->live_files += (uint64_t)c->files;
	store->live_bytes += (uint64_t)c->bytes;
	store->versions += (uint64_t)c->versions;
	store->version_bytes += (uint64_t)c->version_bytes;
	show_inodes(c);
	for (size_t i = 0; i < c->document_count; i++)
		document_keep(store, c->documents[i].id, buf_view(&c->documents[i].encoded));
	apply_names(c);
}

int change_commit_untold(struct change *c, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < c->inode_count && rc == 0; i++)
		rc = put_inode(c, &c->inodes[i], e);
	if (rc == 0)
		rc = lagging_put(c, e);
	if (rc == 0)
		rc = kv_write(c->store->kv, c->batch, e);
	if (rc == 0) {
		lagging_written(c);
		show_inodes(c);
	}
	change_abort(c);
	return rc;
}

int change_commit(struct change *c, struct error *e)
{
	struct digest digest;
	int rc = 0;

	for (size_t i = 0; i < c->inode_count && rc == 0; i++) {
		put_past(c, &c->inodes[i]);
		c->inodes[i].lags = lagging_may(c, &c->inodes[i]);
		rc = put_inode(c, &c->inodes[i], e);
	}
	put_documents(c);
	if (rc == 0)
		rc = buf_check(&c->names, e);
	if (rc == 0)
		rc = put_log(c, &digest, e);
	if (rc == 0)
		rc = lagging_put(c, e);
	if (rc == 0)
		rc = kv_write(c->store->kv, c->batch, e);
	if (rc == 0)
		apply(c, &digest);
	else
		c->store->indexed.count = 0; /* they may not be there */
	change_abort(c);
	return rc;
}

int change_note(struct store *store, const struct actor *actor, enum log_operation op,
		struct view after, struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = change_begin(store, actor, op, NULL, &c, e);

	if (rc < 0)
		return rc;
	c.log.ino = ROOT_INODE;
	c.log.after = after;
	c.under[0] = ROOT_INODE;
	return change_commit(&c, e);
}

int change_note_gap(struct store *store, const struct actor *actor, const struct log_gap *gap,
		    struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	char name[48], text[120];
	int rc = change_begin(store, actor, OP_REPAIR, NULL, &c, e);

	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "%llu-%llu", (unsigned long long)gap->first,
		 (unsigned long long)gap->last);
	snprintf(text, sizeof(text), "the log's records of changes %llu to %llu are lost",
		 (unsigned long long)gap->first, (unsigned long long)gap->last);
	c.log.ino = ROOT_INODE;
	c.log.before = view_str(name);
	c.log.after = view_str(text);
	c.log.digest_before = gap->before;
	c.log.digest_after = gap->after;
	c.under[0] = ROOT_INODE;
	return change_commit(&c, e);
}
