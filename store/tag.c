/* tag.c - see tag.h. */
#include "tag.h"

#include "internal.h"
#include "names.h"

int tag_get(struct store *store, uint64_t directory, struct view name, struct tag_record *ret,
	    struct buf *memory, struct error *e)
{
	int rc = 0;

	if (name.len <= NAMES_LEN_MAX) {
		struct key key = key_tag(directory, name);

		rc = kv_get(store_kv(store), NULL, FAMILY_TAG, key_view(&key), memory, e);
	}
	if (rc == 0)
		return error_set(e, -E_NO_ENTRY, "%.*s: there is no such tag", (int)name.len,
				 (const char *)name.data);
	return rc < 0 ? rc : tag_decode(ret, buf_view(memory), e);
}

static int set_in_change(struct change *c, uint64_t directory, struct view name, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct tag_record tag;
	int rc = tag_get(c->store, directory, name, &tag, &memory, e);

	if (rc == 0)
		return error_set(e, -E_EXISTS, "%.*s: the tag is there already", (int)name.len,
				 (const char *)name.data);
	if (rc == -E_NO_ENTRY)
		rc = inode_get(c->store, directory, &inode, e);
	if (rc == 0)
		rc = change_name(c, directory, directory, view_of("", 0), false, e);
	if (rc < 0)
		return rc;
	tag = (struct tag_record){ .change = c->number, .time = c->time, .uid = c->actor->uid,
				   .author = c->actor->name };
	change_put_tag(c, directory, name, &tag);
	c->log.after = name;
	return 0;
}

int tag_set(struct store *store, const struct actor *actor, uint64_t directory, struct view name,
	    uint64_t *ret_change, struct error *e)
{
	CLEANUP(change_abort) struct change c = { 0 };
	int rc = names_check(name, e);

	if (rc == 0)
		rc = change_begin(store, actor, OP_TAG, NULL, &c, e);
	if (rc == 0)
		rc = set_in_change(&c, directory, name, e);
	if (rc < 0)
		return rc;
	*ret_change = c.number;
	return change_commit(&c, e);
}

int tag_remove(struct store *store, const struct actor *actor, uint64_t directory, struct view name,
	       struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(change_abort) struct change c = { 0 };
	struct tag_record tag;
	int rc = change_begin(store, actor, OP_UNTAG, NULL, &c, e);

	if (rc == 0)
		rc = tag_get(store, directory, name, &tag, &memory, e);
	if (rc == 0 && actor->uid != 0 && actor->uid != tag.uid)
		rc = error_set(e, -E_NOT_PERMITTED, "only %.*s or root removes this tag",
			       (int)tag.author.len, (const char *)tag.author.data);
	if (rc == 0)
		rc = change_name(&c, directory, directory, view_of("", 0), false, e);
	if (rc < 0)
		return rc;
	change_delete_tag(&c, directory, name);
	c.log.before = name;
	return change_commit(&c, e);
}

int tag_each(struct store *store, uint64_t directory, tag_visitor each, void *arg, struct error *e)
{
	struct key prefix = key_number(directory);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store_kv(store), NULL, FAMILY_TAG, key_view(&prefix), false);
	struct view key, value;
	int rc;

	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader r = reader_of(key);
		struct tag_record tag;

		reader_u64(&r);
		struct view name = key_name_left(&r);
		if (r.failed)
			return error_set(e, -E_CORRUPT, "a tag of directory %llu is damaged",
					 (unsigned long long)directory);
		rc = tag_decode(&tag, value, e);
		if (rc < 0)
			return rc;
		if (!each(arg, name, &tag))
			return 0;
	}
	return rc;
}
