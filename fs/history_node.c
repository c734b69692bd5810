/* history_node.c - the table of nodes that the kernel knows: found by id and by what they
 * describe. */
#include <stddef.h>
#include <stdlib.h>

#include "history_tree.h"

/* A node in memory that outlives the process; the first one is none: its id is the number of places
 * in use. */
struct kept {
	uint64_t id, count; /* id 0: free */
	struct node node;
};
_Static_assert(sizeof(struct kept) <= HISTORY_BYTES / (HISTORY_NODES_KEPT + 1),
	       "the kept nodes fit");

struct known {
	uint64_t id, count;
	bool retired;                       /* found by its id only */
	struct kept *kept;                  /* NULL: known to this process only */
	struct known *same_id, *same_place; /* next in the chains */
	struct node node;                   /* allocated as far as its name goes */
};

struct nodes {
	size_t used, size; /* size: of each table, a power of two */
	uint64_t next;
	struct known **by_id, **by_place;
	struct kept *kept; /* NULL: nothing outlives the process */
	uint64_t free_first;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static uint64_t place_hash(const struct node *node, bool with_root)
{
	uint64_t h = mix(0x9e3779b97f4a7c15ull + (uint64_t)node->kind);

	h = mix(h + node->a);
	h = mix(h + node->b);
	if (with_root)
		h = mix(mix(h + node->dir) + node->root);
	for (size_t i = 0; i < node->name_len; i++)
		h = (h ^ (uint8_t)node->name[i]) * 0x100000001b3ull;
	return mix(h);
}

uint64_t node_number(const struct node *node)
{
	bool shared = node->kind == NODE_PAST || node->kind == NODE_VERSION;

	return (place_hash(node, !shared) >> 2) | 1ull << 62;
}

bool node_equal(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && a->dir == b->dir && a->a == b->a && a->b == b->b &&
	       a->root == b->root && view_equal(node_name(a), node_name(b));
}

static struct known **id_bucket(const struct nodes *nodes, uint64_t id)
{
	return &nodes->by_id[mix(id) & (nodes->size - 1)];
}

static struct known **place_bucket(const struct nodes *nodes, const struct node *node)
{
	return &nodes->by_place[place_hash(node, true) & (nodes->size - 1)];
}

static void link_known(struct nodes *nodes, struct known *known)
{
	struct known **id = id_bucket(nodes, known->id),
		     **place = place_bucket(nodes, &known->node);

	known->same_id = *id;
	*id = known;
	if (known->retired)
		return;
	known->same_place = *place;
	*place = known;
}

static size_t node_bytes(const struct node *node)
{
	return offsetof(struct node, name) + node->name_len + 1;
}

/* Doubles the tables; a failure only makes the chains longer. */
static void grow(struct nodes *nodes)
{
	struct nodes old = *nodes;
	struct known **by_id = calloc(old.size * 2, sizeof(*by_id)),
		     **by_place = calloc(old.size * 2, sizeof(*by_place));

	if (!by_id || !by_place) {
		free(by_id);
		free(by_place);
		return;
	}
	nodes->size = old.size * 2;
	nodes->by_id = by_id;
	nodes->by_place = by_place;
	for (size_t i = 0; i < old.size; i++) {
		for (struct known *at = old.by_id[i], *next; at; at = next) {
			next = at->same_id;
			link_known(nodes, at);
		}
	}
	free(old.by_id);
	free(old.by_place);
}

/* Copies a node to where it outlives the process, when there is room. */
static void keep(struct nodes *nodes, struct known *known)
{
	uint64_t i = nodes->free_first;

	if (!nodes->kept)
		return;
	while (i <= HISTORY_NODES_KEPT && nodes->kept[i].id)
		i++;
	nodes->free_first = i;
	if (i > HISTORY_NODES_KEPT)
		return;
	known->kept = &nodes->kept[i];
	memcpy(&known->kept->node, &known->node, node_bytes(&known->node));
	known->kept->count = known->count;
	/* Last: the process may die at any moment. */
	__atomic_store_n(&known->kept->id, known->id, __ATOMIC_RELEASE);
	if (i > nodes->kept[0].id)
		nodes->kept[0].id = i;
}

static struct known *known_new(const struct node *node, struct error *e)
{
	struct known *known = calloc(1, offsetof(struct known, node) + node_bytes(node));

	if (known)
		memcpy(&known->node, node, node_bytes(node));
	else
		error_set(e, -E_NO_MEMORY, "out of memory for a node of the history tree");
	return known;
}

static void add_known(struct nodes *nodes, struct known *known)
{
	if (nodes->used >= nodes->size)
		grow(nodes);
	link_known(nodes, known);
	nodes->used++;
}

/* Learns the nodes that another process left. */
static int load_kept(struct nodes *nodes, struct error *e)
{
	if (nodes->kept && nodes->kept[0].id > HISTORY_NODES_KEPT)
		return error_set(e, -E_CORRUPT,
				 "the table of open places in the history is damaged");
	for (uint64_t i = 1; nodes->kept && i <= nodes->kept[0].id; i++) {
		struct kept *kept = &nodes->kept[i];

		if (!kept->id || kept->node.name_len > NAMES_LEN_MAX)
			continue;
		struct known *known = known_new(&kept->node, e);
		if (!known)
			return -E_NO_MEMORY;
		known->node.name[known->node.name_len] = '\0';
		known->id = kept->id;
		known->count = kept->count;
		known->kept = kept;
		if ((kept->id & ~HISTORY_NODE_BIT) > nodes->next)
			nodes->next = kept->id & ~HISTORY_NODE_BIT;
		add_known(nodes, known);
	}
	return 0;
}

int nodes_new(void *memory, struct nodes **ret, struct error *e)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));

	if (nodes) {
		nodes->size = 256;
		nodes->by_id = calloc(nodes->size, sizeof(*nodes->by_id));
		nodes->by_place = calloc(nodes->size, sizeof(*nodes->by_place));
	}
	if (!nodes || !nodes->by_id || !nodes->by_place) {
		nodes_free(nodes);
		return error_set(e, -E_NO_MEMORY, "out of memory for the history tree");
	}
	nodes->kept = memory;
	nodes->free_first = 1;
	int rc = load_kept(nodes, e);
	if (rc < 0) {
		nodes_free(nodes);
		return rc;
	}
	*ret = nodes;
	return 0;
}

void nodes_free(struct nodes *nodes)
{
	if (!nodes)
		return;
	for (size_t i = 0; nodes->by_id && i < nodes->size; i++) {
		for (struct known *at = nodes->by_id[i], *next; at; at = next) {
			next = at->same_id;
			free(at);
		}
	}
	free(nodes->by_id);
	free(nodes->by_place);
	free(nodes);
}

int nodes_intern(struct nodes *nodes, const struct node *node, uint64_t *ret_id, struct error *e)
{
	struct known *known = *place_bucket(nodes, node);

	while (known && !node_equal(&known->node, node))
		known = known->same_place;
	if (!known) {
		known = known_new(node, e);
		if (!known)
			return -E_NO_MEMORY;
		known->id = HISTORY_NODE_BIT | ++nodes->next;
		add_known(nodes, known);
		keep(nodes, known);
	}
	known->count++;
	if (known->kept)
		known->kept->count = known->count;
	*ret_id = known->id;
	return 0;
}

static struct known *find(const struct nodes *nodes, uint64_t id)
{
	struct known *known = *id_bucket(nodes, id);

	while (known && known->id != id)
		known = known->same_id;
	return known;
}

bool nodes_find(const struct nodes *nodes, uint64_t id, struct node *ret)
{
	const struct known *known = find(nodes, id);

	if (known)
		memcpy(ret, &known->node, node_bytes(&known->node));
	return known != NULL;
}

static void unlink_place(struct nodes *nodes, const struct known *known)
{
	struct known **at = place_bucket(nodes, &known->node);

	while (*at != known)
		at = &(*at)->same_place;
	*at = known->same_place;
}

void nodes_retire(struct nodes *nodes, uint64_t id)
{
	struct known *known = find(nodes, id);

	if (!known || known->retired)
		return;
	unlink_place(nodes, known);
	known->retired = true;
}

bool nodes_is_retired(const struct nodes *nodes, uint64_t id)
{
	const struct known *known = find(nodes, id);

	return known && known->retired;
}

void nodes_forget(struct nodes *nodes, uint64_t id, uint64_t count)
{
	struct known *known = find(nodes, id), **at;

	if (!known)
		return;
	known->count -= count < known->count ? count : known->count;
	if (known->kept)
		known->kept->count = known->count;
	if (known->count)
		return;
	if (known->kept) {
		known->kept->id = 0;
		if ((uint64_t)(known->kept - nodes->kept) < nodes->free_first)
			nodes->free_first = (uint64_t)(known->kept - nodes->kept);
	}
	for (at = id_bucket(nodes, id); *at != known; at = &(*at)->same_id)
		;
	*at = known->same_id;
	if (!known->retired)
		unlink_place(nodes, known);
	nodes->used--;
	free(known);
}

size_t nodes_count(const struct nodes *nodes)
{
	return nodes->used;
}
