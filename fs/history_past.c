/* history_past.c - at/ and tags/: the directory, and what is below it, as of an instant. */
#include "history_tree.h"
#include "store/changelog.h"
#include "store/clock.h"
#include "store/tag.h"
#include "store/timeline.h"

#define INSTANTS_MAX 512

/* The node of the directory itself as of an instant, reached through a name in at/ or tags/. */
static int past_root(struct history *h, const struct node *folder, struct view name,
		     uint64_t instant, struct node *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record then;
	struct node way = { .kind = folder->kind, .dir = folder->dir, .name_len = name.len };
	int rc = timeline_inode(h->store, instant, folder->dir, &then, &memory, e);

	if (rc == -E_STALE)
		return error_set(e, -E_TIME_RANGE, "this directory was made later");
	if (rc < 0)
		return rc;
	view_copy(way.name, name);
	*ret = (struct node){ .kind = NODE_PAST, .dir = folder->dir, .a = instant, .b = folder->dir,
			      .root = node_number(&way) };
	return 0;
}

/* "change-N": the state after change N. */
static bool read_change(struct view name, uint64_t *ret)
{
	static const char prefix[] = "change-";
	const char *at = name.data;
	size_t i = sizeof(prefix) - 1;
	uint64_t n = 0;

	if (name.len <= i || name.len > i + 18 || memcmp(at, prefix, i) != 0 || at[i] == '0')
		return false;
	for (; i < name.len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(at[i] - '0');
	}
	*ret = n;
	return true;
}

int history_at_lookup(struct history *h, const struct node *folder, struct view name,
		      struct node *ret, struct error *e)
{
	int64_t now = clock_now(), ns;
	bool counted;
	uint64_t instant;
	int rc;

	counted = read_change(name, &instant);
	if (counted) {
		rc = timeline_time(h->store, instant, &ns, e);
	} else {
		rc = clock_parse(name, now, &ns, e);
		if (rc == 0)
			rc = timeline_instant(h->store, ns, &instant, e);
	}
	if (rc == 0)
		rc = past_root(h, folder, name, instant, ret, e);
	if (rc == 0)
		ret->settled = counted || ns < now - NS_PER_SECOND;
	return rc;
}

int history_at_list(struct history *h, const struct node *folder, struct listing *l,
		    struct error *e)
{
	int64_t times[INSTANTS_MAX];
	int n = timeline_instants(h->store, folder->dir, times, INSTANTS_MAX, e);

	for (int i = 0; i < n; i++) {
		struct listing_entry entry = { .kind = NODE_PAST,
					       .dir = folder->dir,
					       .b = folder->dir };
		char name[CLOCK_NAME_LEN + 1];
		int rc = timeline_instant(h->store, times[i], &entry.a, e);

		if (rc < 0)
			return rc;
		clock_name(name, times[i]);
		listing_add_plain(l, view_str(name), &entry);
	}
	return n < 0 ? n : 0;
}

int history_tags_lookup(struct history *h, const struct node *folder, struct view name,
			struct node *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct tag_record tag;
	int rc = tag_get(h->store, folder->dir, name, &tag, &memory, e);

	return rc < 0 ? rc : past_root(h, folder, name, tag.change, ret, e);
}

static bool add_tag(void *arg, struct view name, const struct tag_record *tag)
{
	struct listing *l = arg;
	struct listing_entry entry = { .kind = NODE_PAST, .a = tag->change };

	listing_add_plain(l, name, &entry);
	return !l->failed;
}

int history_tags_list(struct history *h, const struct node *folder, struct listing *l,
		      struct error *e)
{
	return tag_each(h->store, folder->dir, add_tag, l, e);
}

int history_past_see(struct history *h, const struct credentials *who, const struct node *node,
		     struct inode_record *ret, struct buf *memory, struct error *e)
{
	int rc = timeline_inode(h->store, node->a, node->b, ret, memory, e);

	return rc < 0 ? rc : access_past(h->store, who, ret, e);
}

static struct node past_node(const struct node *folder, uint64_t ino)
{
	return (struct node){ .kind = NODE_PAST,
			      .dir = folder->dir,
			      .a = folder->a,
			      .b = ino,
			      .root = folder->root };
}

int history_past_lookup(struct history *h, const struct credentials *who, const struct node *folder,
			struct view name, struct node *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct dirent_record dirent;
	struct inode_record then;
	int rc = timeline_lookup(h->store, folder->a, folder->b, name, &dirent, e);

	if (rc < 0)
		return rc;
	*ret = past_node(folder, dirent.ino);
	rc = history_past_see(h, who, ret, &then, &memory, e);
	if (rc == 0)
		return error_set(e, -E_NO_ENTRY, "%.*s: was not there then", (int)name.len,
				 (const char *)name.data);
	return rc < 0 ? rc : 0;
}

struct past_list {
	struct history *h;
	const struct credentials *who;
	const struct node *folder;
	name_visitor each;
	void *arg;
	struct error *e;
	int rc;
};

static bool give_past(void *arg, struct view name, uint64_t cookie,
		      const struct dirent_record *dirent)
{
	struct past_list *p = arg;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct node node = past_node(p->folder, dirent->ino);
	struct inode_record then;

	p->rc = p->who->uid == 0 ? 1 : history_past_see(p->h, p->who, &node, &then, &memory, p->e);
	if (p->rc <= 0)
		return p->rc == 0;
	p->rc = 0;
	node.name_len = 0;
	return p->each(p->arg, name, &node, cookie, (mode_t)dirent->type);
}

int history_past_list(struct history *h, const struct credentials *who, const struct node *folder,
		      uint64_t cookie, name_visitor each, void *arg, struct error *e)
{
	struct past_list p = { h, who, folder, each, arg, e, 0 };
	int rc = timeline_readdir(h->store, folder->a, folder->b, cookie, give_past, &p, e);

	return rc < 0 ? rc : p.rc < 0 ? p.rc : 0;
}
