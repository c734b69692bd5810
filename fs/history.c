/* history.c - see history.h: what the mount calls, and which folder answers. */
#include "history.h"

#include <stdlib.h>

#include "history_tree.h"
#include "store/clock.h"
#include "store/timeline.h"

#define TIMEOUT 1.0 /* seconds: of attributes, and of names that everybody may see */
#define FIRST_OFFSET 3 /* "." and ".." come before */

static const struct {
	const char *name;
	mode_t type;
} kinds[] = {
#define X(kind, text, type) [NODE_##kind] = { text, type },
	NODE_KINDS(X)
#undef X
};

int history_open(struct store *store, void *memory, struct history **ret, struct error *e)
{
	struct history *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return error_set(e, -E_NO_MEMORY, "out of memory for the history tree");
	h->store = store;
	rc = nodes_new(memory, &h->nodes, e);
	if (rc < 0) {
		free(h);
		return rc;
	}
	lock_init(&h->lock, LOCK_HISTORY);
	*ret = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < CACHED_LISTINGS; i++) {
		if (h->cached[i].listing)
			history_listing_put(h, h->cached[i].listing);
	}
	for (size_t i = 0; i < CACHED_TEXTS; i++) {
		if (h->texts[i].text)
			history_text_put(h, h->texts[i].text);
	}
	nodes_free(h->nodes);
	buf_release(&h->people);
	lock_destroy(&h->lock);
	free(h);
}

size_t history_node_count(struct history *h)
{
	lock_take(&h->lock);
	size_t count = nodes_count(h->nodes);
	lock_drop(&h->lock);
	return count;
}

void history_forget(struct history *h, uint64_t node, uint64_t count)
{
	lock_take(&h->lock);
	nodes_forget(h->nodes, node, count);
	lock_drop(&h->lock);
}

void history_retire(struct history *h, uint64_t node)
{
	lock_take(&h->lock);
	nodes_retire(h->nodes, node);
	lock_drop(&h->lock);
}

int history_refusal(struct history *h, uint64_t node, struct error *e)
{
	lock_take(&h->lock);
	bool retired = nodes_is_retired(h->nodes, node);
	lock_drop(&h->lock);
	return retired ? error_set(e, -E_STALE, "it was put back: its name is a live file's now")
		       : error_set(e, -E_READ_ONLY, "the past is read-only");
}

int history_node(struct history *h, uint64_t id, struct node *ret, struct error *e)
{
	lock_take(&h->lock);
	bool found = nodes_find(h->nodes, id, ret);
	lock_drop(&h->lock);
	return found ? 0 : error_set(e, -E_STALE, "the place in the past was forgotten");
}

static int no_entry(struct error *e)
{
	return error_set(e, -E_NO_ENTRY, "there is nothing of that name in the past");
}

/* --- rights --- */

/* The directory's record as it is, or as it last was. */
static int may_use_directory(struct history *h, const struct credentials *who, uint64_t dir,
			     int want, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record r;
	int rc;

	if (who->uid == 0)
		return 1;
	rc = timeline_inode(h->store, UINT64_MAX, dir, &r, &memory, e);
	return rc < 0 ? rc : access_inode(who, &r, want);
}

static int may_see_version(struct history *h, const struct credentials *who, uint64_t doc,
			   uint64_t number, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	int rc;

	if (who->uid == 0)
		return 1;
	rc = version_get(h->store, doc, number, &v, &memory, e);
	return rc < 0 ? rc : access_version(h->store, who, doc, number, &v, e);
}

/* May the caller see what the node stands for?  (What stands behind made-up folders is asked entry
 * by entry.) */
int history_may_see(struct history *h, const struct credentials *who, const struct node *node,
		    struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record then;

	if (node->kind == NODE_VERSION)
		return may_see_version(h, who, node->a, node->b, e);
	if (node->kind == NODE_PAST)
		return history_past_see(h, who, node, &then, &memory, e);
	if (node->kind == NODE_DELETED && node->root)
		return access_directory(h->store, who, node->dir, e);
	return 1;
}

/* --- lookup --- */

static struct node entry_node(const struct listing_entry *entry)
{
	return (struct node){ .kind = entry->kind, .dir = entry->dir, .a = entry->a, .b = entry->b,
			      .root = entry->kind == NODE_DELETED };
}

static int lookup_root(const struct credentials *who, const struct node *root, struct view name,
		       struct node *ret, struct error *e)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!kinds[i].name || !view_equal(view_str(kinds[i].name), name))
			continue;
		*ret = (struct node){ .kind = (enum node_kind)i, .dir = root->dir };
		if (i == NODE_CHANGES)
			ret->a = history_reader(who);
		return 0;
	}
	return no_entry(e);
}

/* A name in a folder that has a listing; a miss in an old listing asks a new one. */
static int lookup_listed(struct history *h, const struct node *folder, struct view name,
			 struct node *ret, struct error *e)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		struct listing *l;
		int rc = history_listing_get(h, folder, fresh, &l, e);

		if (rc < 0)
			return rc;
		const struct listing_entry *entry = listing_find(l, name);
		if (entry)
			*ret = entry_node(entry);
		history_listing_put(h, l);
		if (entry)
			return 0;
	}
	return no_entry(e);
}

static int lookup_name(struct history *h, const struct credentials *who, const struct node *folder,
		       struct view name, struct node *ret, struct error *e)
{
	if (!view_equal(name, view_str(kinds[NODE_CHANGES].name)))
		return lookup_listed(h, folder, name, ret, e);
	*ret = *folder;
	ret->kind = NODE_NAME_CHANGES;
	ret->a = history_reader(who);
	return 0;
}

static int lookup_in(struct history *h, const struct credentials *who, const struct node *folder,
		     struct view name, struct node *ret, struct error *e)
{
	switch (folder->kind) {
	case NODE_ROOT:
		return lookup_root(who, folder, name, ret, e);
	case NODE_FILES:
		return history_files_lookup(h, who, folder, name, ret, e);
	case NODE_NAME:
		return lookup_name(h, who, folder, name, ret, e);
	case NODE_AT:
		return history_at_lookup(h, folder, name, ret, e);
	case NODE_TAGS:
		return history_tags_lookup(h, folder, name, ret, e);
	case NODE_PAST:
		return history_past_lookup(h, who, folder, name, ret, e);
	case NODE_BY:
	case NODE_USER:
		return history_by_lookup(h, who, folder, name, ret, e);
	case NODE_DAY:
	case NODE_DELETED:
	case NODE_CONFLICTS:
		return lookup_listed(h, folder, name, ret, e);
	default:
		return error_set(e, -E_NOT_DIR, "not a folder");
	}
}

/* Whatever is no time, tag or name of then is simply not there. */
static bool is_absence(int rc)
{
	return rc == -E_TIME_RANGE || rc == -E_BAD_TIME || rc == -E_NO_VERSION ||
	       rc == -E_NAME_BAD || rc == -E_STALE;
}

static int fill_stat(struct history *h, const struct credentials *who, const struct node *node,
		     struct stat *ret, double *ret_timeout, struct error *e);

/* May the kernel keep the name for a moment, for everybody?  1 yes, 0 no. */
static int is_for_all(struct history *h, enum node_kind folder, const struct node *node,
		      struct error *e)
{
	switch (node->kind) {
	case NODE_CHANGES:
	case NODE_NAME_CHANGES:
		return 0;
	case NODE_USER:
	case NODE_DAY:
		return history_by_for_all(h, node, e);
	case NODE_NAME:
		return history_files_see(h, &access_everyone, node, e);
	case NODE_PAST:
		if (folder == NODE_AT)
			return node->settled;
		return folder == NODE_TAGS ? 1 : history_may_see(h, &access_everyone, node, e);
	default:
		return history_may_see(h, &access_everyone, node, e);
	}
}

int history_make_entry(struct history *h, const struct credentials *who, enum node_kind folder,
		       const struct node *node, struct history_entry *ret, struct error *e)
{
	int rc = fill_stat(h, who, node, &ret->st, &ret->attr_timeout, e);

	if (rc == 0)
		rc = is_for_all(h, folder, node, e);
	if (rc < 0)
		return rc;
	ret->entry_timeout = rc ? TIMEOUT : 0;
	lock_take(&h->lock);
	rc = nodes_intern(h->nodes, node, &ret->node, e);
	lock_drop(&h->lock);
	return rc;
}

static int lookup_live(struct history *h, uint64_t dir, struct view name, struct node *ret,
		       struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc;

	if (!view_equal(name, view_str(HISTORY_NAME)))
		return no_entry(e);
	rc = inode_get(h->store, dir, &inode, e);
	if (rc == 0 && !S_ISDIR(inode->r.mode))
		return error_set(e, -E_NOT_DIR, "not a directory");
	*ret = (struct node){ .kind = NODE_ROOT, .dir = dir };
	return rc;
}

int history_lookup(struct history *h, const struct credentials *who, uint64_t parent,
		   struct view name, struct history_entry *ret, struct error *e)
{
	struct node folder, node;
	int rc;

	if (!history_is_node(parent)) {
		rc = lookup_live(h, parent, name, &node, e);
		return rc < 0 ? rc : history_make_entry(h, who, NODE_ROOT, &node, ret, e);
	}
	if (name.len > NAMES_LEN_MAX)
		return error_set(e, -E_NAME_LONG, "the name is longer than %d bytes",
				 NAMES_LEN_MAX);
	rc = history_node(h, parent, &folder, e);
	if (rc < 0)
		return rc;
	rc = lookup_in(h, who, &folder, name, &node, e);
	/* The folders of names, users and days and the tree of then have asked already. */
	if (rc == 0 && (node.kind == NODE_VERSION || node.kind == NODE_DELETED)) {
		rc = history_may_see(h, who, &node, e);
		rc = rc == 0 ? no_entry(e) : rc > 0 ? 0 : rc;
	}
	if (is_absence(rc))
		rc = no_entry(e);
	return rc < 0 ? rc : history_make_entry(h, who, folder.kind, &node, ret, e);
}

/* --- attributes --- */

static void set_times(struct stat *st, int64_t atime, int64_t mtime, int64_t ctime)
{
	st->st_atim = clock_timespec(atime);
	st->st_mtim = clock_timespec(mtime);
	st->st_ctim = clock_timespec(ctime);
}

static int set_size(struct history *h, struct stat *st, uint64_t content, uint64_t size,
		    struct error *e)
{
	uint64_t data = 0;
	int rc = content_data_bytes(store_contents(h->store), content, &data, e);

	if (rc == -E_CORRUPT) /* that bytes cannot be read is said when somebody reads them */
		rc = 0;
	st->st_size = (off_t)size;
	st->st_blocks = (blkcnt_t)((data + 511) / 512);
	st->st_blksize = 4096;
	return rc < 0 ? rc : 0;
}

static int stat_folder(struct history *h, const struct node *node, struct stat *st, struct error *e)
{
	uint64_t change;
	int64_t time = 0;
	int rc = timeline_newest(h->store, node->dir, &change, &time, e);

	/* Writable for all: the kernel must not refuse `mv` out of here before it is asked; nothing
	 * is ever written. */
	st->st_mode = S_IFDIR | 0777;
	st->st_nlink = 2;
	set_times(st, time, time, time);
	return rc;
}

static int stat_generated(struct history *h, const struct credentials *who, const struct node *node,
			  struct stat *st, struct error *e)
{
	struct text *text;
	int rc = stat_folder(h, node, st, e);

	st->st_mode = S_IFREG | 0444;
	st->st_nlink = 1;
	st->st_size = (off_t)strlen(history_readme);
	if (rc < 0 || node->kind == NODE_README)
		return rc;
	rc = history_text_get(h, who, node, &text, e);
	if (rc < 0)
		return rc;
	st->st_size = (off_t)text->bytes.len;
	history_text_put(h, text);
	return 0;
}

static int stat_version(struct history *h, const struct node *node, struct stat *st,
			struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	int rc = version_get(h->store, node->a, node->b, &v, &memory, e);

	if (rc < 0)
		return rc;
	st->st_mode = S_IFREG | (v.mode & 0777) | 0444;
	st->st_nlink = 1;
	st->st_uid = (uid_t)v.uid;
	st->st_gid = (gid_t)v.owner_gid;
	set_times(st, v.time, v.time, v.time);
	return set_size(h, st, v.content, v.size, e);
}

static int stat_past(struct history *h, const struct node *node, struct stat *st, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record r;
	int rc = timeline_inode(h->store, node->a, node->b, &r, &memory, e);

	if (rc < 0)
		return rc;
	st->st_mode = (mode_t)r.mode;
	st->st_nlink = (nlink_t)r.nlink;
	st->st_uid = (uid_t)r.uid;
	st->st_gid = (gid_t)r.gid;
	st->st_rdev = (dev_t)r.rdev;
	set_times(st, r.atime, r.mtime, r.ctime);
	if (S_ISREG(r.mode))
		return set_size(h, st, r.content, r.size, e);
	st->st_size = (off_t)r.size;
	return 0;
}

static int fill_stat(struct history *h, const struct credentials *who, const struct node *node,
		     struct stat *ret, double *ret_timeout, struct error *e)
{
	bool is_text = node->kind == NODE_CHANGES || node->kind == NODE_NAME_CHANGES;

	*ret = (struct stat){ .st_ino = (ino_t)node_number(node), .st_blksize = 4096 };
	if (ret_timeout)
		*ret_timeout = is_text ? 0 : TIMEOUT;
	if (node->kind == NODE_VERSION)
		return stat_version(h, node, ret, e);
	if (node->kind == NODE_PAST)
		return stat_past(h, node, ret, e);
	if (is_text || node->kind == NODE_README)
		return stat_generated(h, who, node, ret, e);
	return stat_folder(h, node, ret, e);
}

int history_getattr(struct history *h, const struct credentials *who, uint64_t node,
		    struct stat *ret, double *ret_timeout, struct error *e)
{
	struct node n;
	int rc = history_node(h, node, &n, e);

	return rc < 0 ? rc : fill_stat(h, who, &n, ret, ret_timeout, e);
}

/* The node's record as of then, which the caller may see. */
static int see_past(struct history *h, const struct credentials *who, const struct node *node,
		    struct inode_record *r, struct buf *memory, struct error *e)
{
	int rc = history_past_see(h, who, node, r, memory, e);

	return rc == 0  ? error_set(e, -E_DENIED, "permission denied, then or now")
	       : rc < 0 ? rc
			: 0;
}

int history_readlink(struct history *h, const struct credentials *who, uint64_t node,
		     struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record r;
	struct node n;
	int rc = history_node(h, node, &n, e);

	if (rc == 0 && n.kind != NODE_PAST)
		return error_set(e, -E_INVALID, "not a symbolic link");
	if (rc == 0)
		rc = see_past(h, who, &n, &r, &memory, e);
	if (rc < 0)
		return rc;
	buf_append(out, r.target.data, r.target.len);
	return buf_check(out, e);
}

/* --- what is open --- */

int history_handle_new(struct history *h, const struct credentials *who, const struct node *node,
		      struct history_handle **ret, struct error *e)
{
	size_t groups = who->group_count * sizeof(*who->groups);
	struct history_handle *handle = calloc(1, sizeof(*handle) + groups);

	if (!handle)
		return error_set(e, -E_NO_MEMORY, "out of memory for an open file");
	handle->h = h;
	handle->node = *node;
	handle->number = node_number(node);
	handle->who = *who;
	if (groups)
		memcpy(handle->groups, who->groups, groups);
	handle->who.groups = handle->groups;
	*ret = handle;
	return 0;
}

void history_release(struct history_handle *handle)
{
	if (!handle)
		return;
	if (handle->listing)
		history_listing_put(handle->h, handle->listing);
	if (handle->text)
		history_text_put(handle->h, handle->text);
	free(handle);
}

/* Listing names takes read permission on the directory now, as in the live tree. */
int history_opendir(struct history *h, const struct credentials *who, uint64_t node,
		    struct history_handle **ret, struct error *e)
{
	struct node n;
	int rc = history_node(h, node, &n, e);

	if (rc < 0)
		return rc;
	if (kinds[n.kind].type == S_IFREG || n.kind == NODE_VERSION)
		return error_set(e, -E_NOT_DIR, "not a folder");
	if (n.kind == NODE_PAST)
		rc = may_use_directory(h, who, n.b, ACCESS_READ, e);
	else if (n.kind == NODE_ROOT || n.kind == NODE_AT || n.kind == NODE_TAGS)
		rc = 1;
	else
		rc = may_use_directory(h, who, n.dir, ACCESS_READ, e);
	if (rc == 0)
		return error_set(e, -E_DENIED, "the directory may not be listed");
	return rc < 0 ? rc : history_handle_new(h, who, &n, ret, e);
}

struct emission {
	struct history_handle *handle;
	history_visitor each;
	void *arg;
};

static bool emit(struct emission *em, struct view name, uint64_t number, mode_t type, uint64_t next)
{
	struct stat st = { .st_ino = (ino_t)number, .st_mode = type };
	char text[NAMES_LEN_MAX + 1];

	if (name.len > NAMES_LEN_MAX)
		return true;
	view_copy(text, name);
	text[name.len] = '\0';
	return em->each(em->arg, text, &st, next);
}

static bool emit_streamed(void *arg, struct view name, const struct node *node, uint64_t cookie,
			  mode_t type)
{
	return emit(arg, name, node_number(node), type, cookie);
}

static int list_root(struct emission *em, uint64_t offset)
{
	const struct node *folder = &em->handle->node;

	for (size_t i = offset - FIRST_OFFSET + 1; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct node node = { .kind = (enum node_kind)i, .dir = folder->dir };

		if (i == NODE_CHANGES)
			node.a = history_reader(&em->handle->who);
		if (kinds[i].name && !emit(em, view_str(kinds[i].name), node_number(&node),
					   kinds[i].type, i + FIRST_OFFSET))
			break;
	}
	return 0;
}

/* Makes the handle's listing anew: of what is cached, or for this caller alone. */
static int renew_listing(struct history_handle *handle, struct error *e)
{
	struct history *h = handle->h;
	enum node_kind kind = handle->node.kind;
	struct listing *l;
	int rc;

	if (handle->listing)
		history_listing_put(h, handle->listing);
	handle->listing = NULL;
	if (kind == NODE_NAME || kind == NODE_DAY || kind == NODE_DELETED || kind == NODE_CONFLICTS)
		return history_listing_get(h, &handle->node, true, &handle->listing, e);
	l = listing_new();
	if (!l)
		return error_set(e, -E_NO_MEMORY, "out of memory for a listing");
	if (kind == NODE_AT)
		rc = history_at_list(h, &handle->node, l, e);
	else if (kind == NODE_TAGS)
		rc = history_tags_list(h, &handle->node, l, e);
	else
		rc = history_by_list(h, &handle->who, &handle->node, l, e);
	if (rc == 0)
		rc = listing_finish(l, e);
	if (rc < 0)
		listing_free(l);
	else
		handle->listing = l;
	return rc;
}

static mode_t entry_type(const struct listing_entry *entry)
{
	return entry->kind == NODE_PAST ? S_IFDIR : kinds[entry->kind].type;
}

/* Offsets are places in the listing; files/NAME has changes.csv behind all versions. */
static int list_listing(struct emission *em, uint64_t offset, struct error *e)
{
	struct history_handle *handle = em->handle;
	struct listing *l = handle->listing;
	struct node changes = handle->node;
	uint64_t i = offset - FIRST_OFFSET + 1;

	for (; i <= l->count; i++) {
		const struct listing_entry *entry = &l->entries[i - 1];
		struct node node = entry_node(entry);
		int rc = entry->hidden ? 0 : node.kind == NODE_PAST ? 1
				     : history_may_see(handle->h, &handle->who, &node, e);

		if (rc < 0)
			return rc;
		if (rc > 0 && !emit(em, listing_name(l, entry), node_number(&node),
				    entry_type(entry), i + FIRST_OFFSET))
			return 0;
	}
	if (handle->node.kind == NODE_NAME && i == l->count + 1) {
		changes.kind = NODE_NAME_CHANGES;
		changes.a = history_reader(&handle->who);
		emit(em, view_str(kinds[NODE_CHANGES].name), node_number(&changes), S_IFREG,
		     i + FIRST_OFFSET);
	}
	return 0;
}

int history_readdir(struct history_handle *handle, uint64_t offset, history_visitor each, void *arg,
		    struct error *e)
{
	struct emission em = { handle, each, arg };
	enum node_kind kind = handle->node.kind;
	bool streamed = kind == NODE_FILES || kind == NODE_PAST;

	if (offset < 1 && !emit(&em, view_str("."), handle->number, S_IFDIR, 1))
		return 0;
	if (offset < 2 && !emit(&em, view_str(".."), handle->number, S_IFDIR, 2))
		return 0;
	if (!streamed && kind != NODE_ROOT && (offset == 0 || !handle->listing)) {
		int rc = renew_listing(handle, e);

		if (rc < 0)
			return rc;
	}
	if (streamed && offset <= 2)
		offset = 0; /* all cookies are larger than 2 */
	else if (offset <= 2)
		offset = FIRST_OFFSET;
	if (kind == NODE_FILES)
		return history_files_list(handle->h, &handle->who, &handle->node, offset,
					  emit_streamed, &em, e);
	if (kind == NODE_PAST)
		return history_past_list(handle->h, &handle->who, &handle->node, offset,
					 emit_streamed, &em, e);
	return kind == NODE_ROOT ? list_root(&em, offset) : list_listing(&em, offset, e);
}
