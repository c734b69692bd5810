/* history_file.c - what a node holds: its bytes, its xattrs and facts, and the tags that can be
 * set. */
#include <errno.h>

#include "history_tree.h"
#include "store/changelog.h"
#include "store/clock.h"
#include "store/tag.h"
#include "store/timeline.h"

/* --- what is behind a node --- */

/* Content, document and version of a file of the past, which the caller may read.  -E_READ_ONLY: it
 * is no such. */
static int content_of(struct history *h, const struct credentials *who, const struct node *node,
		      struct history_source *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	int rc = history_may_see(h, who, node, e);

	if (rc == 0)
		return error_set(e, -E_DENIED, "permission denied, then or now");
	if (rc < 0)
		return rc;
	if (node->kind == NODE_VERSION) {
		struct version_record v;

		rc = version_get(h->store, node->a, node->b, &v, &memory, e);
		*ret = (struct history_source){ node->a, node->b, v.content, v.size,
						(uint32_t)v.mode };
		return rc;
	}
	if (node->kind == NODE_PAST) {
		struct inode_record r;

		rc = timeline_inode(h->store, node->a, node->b, &r, &memory, e);
		if (rc < 0)
			return rc;
		*ret = (struct history_source){ r.doc, r.version, r.content, r.size,
						(uint32_t)r.mode };
		if (S_ISREG(r.mode))
			return 0;
	}
	return error_set(e, -E_READ_ONLY, "only files of the past can be put back");
}

int history_source(struct history *h, const struct credentials *who, uint64_t node,
		   struct history_source *ret, struct error *e)
{
	struct node n;
	int rc = history_node(h, node, &n, e);

	return rc < 0 ? rc : content_of(h, who, &n, ret, e);
}

/* --- bytes --- */

static int open_text(struct history *h, const struct credentials *who, const struct node *node,
		     struct history_handle **ret, struct error *e)
{
	struct text *text = NULL;
	int rc = node->kind == NODE_README ? 0 : history_text_get(h, who, node, &text, e);

	if (rc == 0)
		rc = history_handle_new(h, who, node, ret, e);
	if (rc == 0)
		(*ret)->text = text;
	else if (text)
		history_text_put(h, text);
	return rc;
}

int history_open_file(struct history *h, const struct credentials *who, uint64_t node,
		      struct history_handle **ret, bool *ret_keep_cache, bool *ret_direct,
		      struct error *e)
{
	struct history_source source;
	struct node n;
	int rc = history_node(h, node, &n, e);

	if (rc < 0)
		return rc;
	*ret_direct = n.kind == NODE_CHANGES || n.kind == NODE_NAME_CHANGES;
	*ret_keep_cache = !*ret_direct;
	if (*ret_direct || n.kind == NODE_README)
		return open_text(h, who, &n, ret, e);
	if (n.kind != NODE_VERSION && n.kind != NODE_PAST)
		return error_set(e, -E_IS_DIR, "is a folder");
	rc = content_of(h, who, &n, &source, e);
	if (rc == 0)
		rc = history_handle_new(h, who, &n, ret, e);
	if (rc < 0)
		return rc;
	(*ret)->content = source.content;
	(*ret)->size = source.size;
	return 0;
}

static int read_view(struct view bytes, uint64_t offset, void *out, size_t n)
{
	if (offset >= bytes.len)
		return 0;
	n = n < bytes.len - offset ? n : bytes.len - offset;
	memcpy(out, (const char *)bytes.data + offset, n);
	return (int)n;
}

int history_read(struct history_handle *handle, uint64_t offset, void *out, size_t n,
		 struct error *e)
{
	if (handle->node.kind == NODE_README)
		return read_view(view_str(history_readme), offset, out, n);
	if (handle->text)
		return read_view(buf_view(&handle->text->bytes), offset, out, n);
	return content_read(store_contents(handle->h->store), handle->content, offset, out, n, e);
}

int history_seek(struct history_handle *handle, uint64_t offset, bool hole, uint64_t *ret_offset,
		 struct error *e)
{
	uint64_t size = handle->text ? handle->text->bytes.len : handle->size;

	if (handle->node.kind == NODE_README)
		size = strlen(history_readme);
	if (!handle->text && handle->node.kind != NODE_README) {
		struct extent all = { 0, size, EXTENT_CONTENT, handle->content, 0 };
		struct work work = { &all, size ? 1 : 0, size, -1 };

		return work_seek(store_contents(handle->h->store), &work, offset, hole, ret_offset,
				 e);
	}
	if (offset >= size)
		return error_set(e, -ENXIO, "past the end");
	*ret_offset = hole ? size : offset;
	return 0;
}

/* --- facts and xattrs --- */

#define FACT_PREFIX "user.daybook."

static void put_version(struct buf *out, const struct version_record *v, uint64_t doc,
			uint64_t number)
{
	(void)v;
	(void)doc;
	buf_printf(out, "%llu", (unsigned long long)number);
}

static void put_author(struct buf *out, const struct version_record *v, uint64_t doc,
		       uint64_t number)
{
	(void)doc;
	(void)number;
	buf_append(out, v->author.data, v->author.len);
}

static void put_time(struct buf *out, const struct version_record *v, uint64_t doc, uint64_t number)
{
	char iso[31];

	(void)doc;
	(void)number;
	clock_iso(iso, v->time);
	buf_append(out, iso, strlen(iso));
}

static void put_digest(struct buf *out, const struct version_record *v, uint64_t doc,
		       uint64_t number)
{
	char hex[2 * DIGEST_LEN + 1];

	(void)doc;
	(void)number;
	hex_encode(hex, v->digest.bytes, DIGEST_LEN);
	buf_append(out, hex, 2 * DIGEST_LEN);
}

static void put_document(struct buf *out, const struct version_record *v, uint64_t doc,
			 uint64_t number)
{
	(void)v;
	(void)number;
	buf_printf(out, "%llu", (unsigned long long)doc);
}

static void put_from(struct buf *out, const struct version_record *v, uint64_t doc, uint64_t number)
{
	(void)doc;
	(void)number;
	buf_printf(out, "%llu@%llu", (unsigned long long)v->from,
		   (unsigned long long)v->from_version);
}

static const struct fact {
	const char *name;
	void (*put)(struct buf *out, const struct version_record *v, uint64_t doc, uint64_t number);
} facts[] = {
	{ FACT_PREFIX "version", put_version },   { FACT_PREFIX "author", put_author },
	{ FACT_PREFIX "time", put_time },         { FACT_PREFIX "digest", put_digest },
	{ FACT_PREFIX "document", put_document }, { FACT_PREFIX "from", put_from },
};

static bool fact_applies(const struct fact *fact, const struct version_record *v)
{
	return fact->put != put_from || v->from;
}

bool history_is_fact(struct view name)
{
	size_t n = sizeof(FACT_PREFIX) - 1;

	return name.len > n && memcmp(name.data, FACT_PREFIX, n) == 0;
}

static int no_xattr(struct error *e)
{
	return error_set(e, -E_NO_XATTR, "there is no such extended attribute");
}

int history_fact(struct store *store, uint64_t doc, uint64_t version, struct view name,
		 struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;

	if (!doc || !version || !history_is_fact(name))
		return no_xattr(e);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (!view_equal(name, view_str(facts[i].name)))
			continue;
		int rc = version_get(store, doc, version, &v, &memory, e);
		if (rc < 0 || !fact_applies(&facts[i], &v))
			return rc < 0 && rc != -E_NO_VERSION ? rc : no_xattr(e);
		facts[i].put(out, &v, doc, version);
		return buf_check(out, e);
	}
	return no_xattr(e);
}

/* The version and the xattrs of a node that has any; *memory owns them.  The caller may see the
 * node. */
static int described(struct history *h, const struct credentials *who, const struct node *node,
		     uint64_t *ret_doc, uint64_t *ret_version, struct view *ret_xattrs,
		     struct buf *memory, struct error *e)
{
	struct inode_record r;
	int rc = history_may_see(h, who, node, e);

	if (rc == 0)
		return error_set(e, -E_DENIED, "permission denied, then or now");
	if (rc > 0 && node->kind == NODE_PAST) {
		rc = timeline_inode(h->store, node->a, node->b, &r, memory, e);
		*ret_doc = r.doc;
		*ret_version = r.version;
		*ret_xattrs = r.xattrs;
	} else {
		*ret_doc = node->a;
		*ret_version = node->b;
		*ret_xattrs = view_of(NULL, 0);
	}
	return rc < 0 ? rc : 0;
}

int history_getxattr(struct history *h, const struct credentials *who, uint64_t node,
		     struct view name, struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	uint64_t doc, version;
	struct view xattrs, value;
	struct node n;
	int rc = history_node(h, node, &n, e);

	if (rc < 0)
		return rc;
	/* Most questions are of the kernel and of ls, and about folders and versions, which have no
	 * xattrs. */
	if (n.kind != NODE_PAST && (n.kind != NODE_VERSION || !history_is_fact(name)))
		return no_xattr(e);
	rc = described(h, who, &n, &doc, &version, &xattrs, &memory, e);
	if (rc < 0)
		return rc;
	if (history_is_fact(name))
		return history_fact(h->store, doc, version, name, out, e);
	if (!xattr_find(xattrs, name, &value))
		return no_xattr(e);
	buf_append(out, value.data, value.len);
	return buf_check(out, e);
}

int history_listxattr(struct history *h, const struct credentials *who, uint64_t node,
		      struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	uint64_t doc, version;
	struct view xattrs, name, value;
	struct node n;
	int rc = history_node(h, node, &n, e);

	if (rc < 0 || n.kind != NODE_PAST)
		return rc;
	rc = described(h, who, &n, &doc, &version, &xattrs, &memory, e);
	if (rc < 0)
		return rc;
	while (xattr_next(&xattrs, &name, &value)) {
		buf_append(out, name.data, name.len);
		buf_u8(out, 0);
	}
	return buf_check(out, e);
}

/* --- tags --- */

static int tag_place(struct history *h, uint64_t parent, struct node *ret, struct error *e)
{
	int rc = history_node(h, parent, ret, e);

	if (rc == 0 && ret->kind != NODE_TAGS)
		rc = error_set(e, -E_READ_ONLY, "the past is read-only");
	return rc;
}

/* A tag is a mark in the log of the directory: setting one takes the right to write there. */
static int may_tag(struct history *h, const struct credentials *who, uint64_t dir, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc = inode_get(h->store, dir, &inode, e);

	if (rc < 0 || access_inode(who, &inode->r, ACCESS_WRITE | ACCESS_SEARCH))
		return rc;
	return error_set(e, -E_DENIED, "a tag can be set by those who may write in the directory");
}

int history_mkdir(struct history *h, const struct credentials *who, const struct actor *actor,
		  uint64_t parent, struct view name, struct history_entry *ret, struct error *e)
{
	struct node tags, node;
	uint64_t change;
	int rc = tag_place(h, parent, &tags, e);

	if (rc == 0)
		rc = may_tag(h, who, tags.dir, e);
	if (rc == 0)
		rc = tag_set(h->store, actor, tags.dir, name, &change, e);
	if (rc == 0)
		rc = history_tags_lookup(h, &tags, name, &node, e);
	return rc < 0 ? rc : history_make_entry(h, who, NODE_TAGS, &node, ret, e);
}

int history_rmdir(struct history *h, const struct credentials *who, const struct actor *actor,
		  uint64_t parent, struct view name, struct error *e)
{
	struct node tags;
	int rc = tag_place(h, parent, &tags, e);

	(void)who;
	return rc < 0 ? rc : tag_remove(h->store, actor, tags.dir, name, e);
}
