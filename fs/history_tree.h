/* history_tree.h - the inside of the history tree, for fs/history*.c only.
 *
 * A *node* is a place, described by values alone: nothing points at its parent, so that nodes come
 * and go singly. A *listing* is what stands in a folder whose names are made up (versions, deleted
 * files): unfiltered, immutable, shared by all who look; rights are asked when an entry is shown or
 * resolved.  An entry once found stays true (versions are immutable), so a lookup that hits a
 * listing needs no newer one. */
#ifndef DAYBOOK_HISTORY_TREE_H
#define DAYBOOK_HISTORY_TREE_H

#include "history.h"
#include "store/lock.h"
#include "store/names.h"
#include "store/version.h"

/* X(NAME, "name in .history" or NULL, type) - the kinds of nodes. */
#define NODE_KINDS(X) \
	X(ROOT,         NULL,          S_IFDIR) /* .history itself */ \
	X(README,       "README.txt",  S_IFREG) \
	X(CHANGES,      "changes.csv", S_IFREG) /* a: who reads it */ \
	X(AT,           "at",          S_IFDIR) \
	X(BY,           "by",          S_IFDIR) \
	X(CONFLICTS,    "conflicts",   S_IFDIR) \
	X(DELETED,      "deleted",     S_IFDIR) /* root: 1 for a deleted directory's */ \
	X(FILES,        "files",       S_IFDIR) \
	X(TAGS,         "tags",        S_IFDIR) \
	X(NAME,         NULL,          S_IFDIR) /* files/NAME; name: the raw name */ \
	X(NAME_CHANGES, NULL,          S_IFREG) /* files/NAME/changes.csv; name; a: who reads it */ \
	X(USER,         NULL,          S_IFDIR) /* by/USER; a: uid */ \
	X(DAY,          NULL,          S_IFDIR) /* by/USER/DATE; a: uid; b: days since 1970 */ \
	X(VERSION,      NULL,          S_IFREG) /* a: document; b: number */ \
	X(PAST,         NULL,          0)       /* a: instant; b: inode; root: what it is reached through */

enum node_kind {
#define X(name, text, type) NODE_##name,
	NODE_KINDS(X)
#undef X
};

struct node {
	enum node_kind kind;
	uint64_t dir;        /* the directory whose history this is */
	uint64_t a, b, root;
	/* A time that meant this instant will always mean it; says nothing of the place. */
	bool settled;
	size_t name_len;
	char name[NAMES_LEN_MAX + 1];
};

static inline struct view node_name(const struct node *node)
{
	return view_of(node->name, node->name_len);
}

/* --- history_node.c: the table --- */

struct nodes;
/* memory: HISTORY_BYTES that outlive the process, zero at first; nodes found in it are known.
 * NULL: none. */
int nodes_new(void *memory, struct nodes **ret, struct error *e);
void nodes_free(struct nodes *nodes); /* accepts NULL */
/* The id of the node that is described, made when it is not there; counts one.  The caller holds
 * the tree's lock, here and below. */
int nodes_intern(struct nodes *nodes, const struct node *node, uint64_t *ret_id, struct error *e);
bool nodes_find(const struct nodes *nodes, uint64_t id, struct node *ret);
void nodes_forget(struct nodes *nodes, uint64_t id, uint64_t count);
/* What it describes gets another id from now on; it lives on until it is forgotten. */
void nodes_retire(struct nodes *nodes, uint64_t id);
bool nodes_is_retired(const struct nodes *nodes, uint64_t id);
size_t nodes_count(const struct nodes *nodes);

/* A number made of a node's values: for st_ino (bit 62 set, never 63), the same for all names of
 * one inode within an instant, and for roots. */
uint64_t node_number(const struct node *node);
bool node_equal(const struct node *a, const struct node *b);

/* --- history_listing.c --- */

struct listing_entry {
	bool hidden; /* resolves, but is not listed (L7) */
	enum node_kind kind;
	uint64_t dir, a, b;
	/* set by listing_add */
	size_t name_at, name_len;           /* in names */
	/* Called after a file, time and author: may have twins. */
	bool timed;
	bool lost;                          /* and is called so */
	size_t raw_len, author_len;         /* behind the name */
	uint64_t cookie, number;
	int64_t time;
};

struct listing {
	unsigned refs;
	bool failed;
	uint64_t stamp;                 /* newest change below the directory when it was made */
	size_t count, room;
	struct listing_entry *entries;  /* in the order in which they are listed */
	uint32_t *by_name;              /* indexes, sorted */
	struct buf names;
};

struct listing *listing_new(void); /* NULL: out of memory */
void listing_free(struct listing *l);
static inline void listing_free_p(struct listing **l)
{
	listing_free(*l);
}
struct view listing_name(const struct listing *l, const struct listing_entry *entry);

/* Adds an entry called as v says (v->twin is not looked at). */
void listing_add(struct listing *l, const struct names_version *v,
		 const struct listing_entry *entry);
/* Adds an entry by its plain name. */
void listing_add_plain(struct listing *l, struct view name, const struct listing_entry *entry);
/* Makes it ready: the same version twice becomes one entry, entries of one name get twins'
 * numbers. */
int listing_finish(struct listing *l, struct error *e);
const struct listing_entry *listing_find(const struct listing *l, struct view name);

/* --- the tree, and what its parts share --- */

#define CACHED_LISTINGS 16
#define CACHED_BYTES_MAX (32u << 20) /* of one listing */
#define CACHED_TEXTS 16
#define WITNESSES 64

struct text;
struct history {
	struct store *store;
	struct lock lock; /* guards what follows; never held while the store is read */
	struct nodes *nodes;
	uint64_t uses; /* counted, to know the least recent one */
	struct cached {
		struct node node;
		struct listing *listing;
		uint64_t used;
	} cached[CACHED_LISTINGS];
	struct cached_text {
		struct node node;
		struct text *text;
		uint64_t used;
	} texts[CACHED_TEXTS];
	struct witness { /* a save that proves that a user saved something below a directory */
		uint64_t dir, uid, doc, number;
	} witnesses[WITNESSES];
	struct buf people; /* (u32 uid, string newest name) of all who ever changed something */
	int64_t people_read;
};

/* A changes.csv as one reader sees it, shared while it is current: a header, rows newest first,
 * perhaps a last line. */
struct text {
	unsigned refs;
	uint64_t stamp;          /* newest change of the store that it knows */
	uint64_t rows;
	size_t rows_at, rows_len; /* in bytes */
	bool is_cut;             /* there are older changes */
	struct buf bytes;
};

/* The listing of a folder: for a lookup one that may be older (fresh = false), else the newest.
 * Release with history_listing_put(). */
int history_listing_get(struct history *h, const struct node *folder, bool fresh,
			struct listing **ret, struct error *e);
void history_listing_put(struct history *h, struct listing *l);
int history_text_get(struct history *h, const struct credentials *who, const struct node *node,
		     struct text **ret, struct error *e);
void history_text_put(struct history *h, struct text *text);

/* A user's name as names show it. */
void history_author(struct history *h, char out[NAMES_AUTHOR_ROOM], struct view author,
		    uint32_t uid);

/* --- the folders; all fill a listing or resolve a name; rights are asked where the comment says so
 * --- */

typedef int (*folder_fill)(struct history *h, const struct node *folder, struct listing *l,
			   struct error *e);
int history_fill_name(struct history *h, const struct node *folder, struct listing *l,
		      struct error *e);
int history_fill_day(struct history *h, const struct node *folder, struct listing *l,
		     struct error *e);
int history_fill_deleted(struct history *h, const struct node *folder, struct listing *l,
			 struct error *e);
int history_fill_conflicts(struct history *h, const struct node *folder, struct listing *l,
			   struct error *e);

/* Adds a version to a listing, called after raw: hidden documents (L7) as hidden. */
int history_add_version(struct history *h, struct listing *l, uint64_t doc, uint64_t number,
			const struct version_record *v, struct view raw, bool hidden,
			struct error *e);
/* Is the document hidden from listings (L7)? 1 yes, 0 no. */
int history_is_hidden(struct history *h, uint64_t doc, struct error *e);

/* files/: resolves a name (rights asked); lists from a cookie. */
int history_files_lookup(struct history *h, const struct credentials *who,
			 const struct node *folder, struct view name, struct node *ret,
			 struct error *e);
typedef bool (*name_visitor)(void *arg, struct view shown, const struct node *node, uint64_t cookie,
			     mode_t type);
int history_files_list(struct history *h, const struct credentials *who, const struct node *folder,
		       uint64_t cookie, name_visitor each, void *arg, struct error *e);

/* May the caller see the name?  1 yes, 0 no. */
int history_files_see(struct history *h, const struct credentials *who, const struct node *node,
		      struct error *e);

/* by/ and by/USER: filled per caller (rights asked), never cached. */
int history_by_list(struct history *h, const struct credentials *who, const struct node *folder,
		    struct listing *l, struct error *e);
int history_by_lookup(struct history *h, const struct credentials *who, const struct node *folder,
		      struct view name, struct node *ret, struct error *e);

/* May everybody see the user's or day's folder?  1 yes, 0 not known. */
int history_by_for_all(struct history *h, const struct node *node, struct error *e);

/* at/, tags/ and what is below them (rights asked). */
int history_at_lookup(struct history *h, const struct node *folder, struct view name,
		      struct node *ret, struct error *e);
int history_at_list(struct history *h, const struct node *folder, struct listing *l,
		    struct error *e);
int history_tags_lookup(struct history *h, const struct node *folder, struct view name,
			struct node *ret, struct error *e);
int history_tags_list(struct history *h, const struct node *folder, struct listing *l,
		      struct error *e);
int history_past_lookup(struct history *h, const struct credentials *who, const struct node *folder,
			struct view name, struct node *ret, struct error *e);
int history_past_list(struct history *h, const struct credentials *who, const struct node *folder,
		      uint64_t cookie, name_visitor each, void *arg, struct error *e);
/* May the caller still see what the node stands for?  1 yes, 0 no.  *ret, *memory: its record as of
 * then. */
int history_past_see(struct history *h, const struct credentials *who, const struct node *node,
		     struct inode_record *ret, struct buf *memory, struct error *e);

/* --- history.c --- */

struct history_handle {
	struct history *h;
	struct node node;
	uint64_t number;             /* st_ino of "." */
	struct credentials who;
	struct listing *listing;     /* folders with made-up names */
	struct text *text;           /* generated files */
	uint64_t content, size;      /* files of the past */
	uint32_t groups[];
};

int history_handle_new(struct history *h, const struct credentials *who, const struct node *node,
		       struct history_handle **ret, struct error *e);
/* The node of that id: -E_STALE when the kernel has forgotten it. */
int history_node(struct history *h, uint64_t id, struct node *ret, struct error *e);
/* May the caller see what the node stands for?  1 yes, 0 no.  (What is in made-up folders is asked
 * entry by entry.) */
int history_may_see(struct history *h, const struct credentials *who, const struct node *node,
		    struct error *e);
/* Fills *ret and counts one for the node.  folder: of what kind the node is in that the name was
 * looked up in. */
int history_make_entry(struct history *h, const struct credentials *who, enum node_kind folder,
		       const struct node *node, struct history_entry *ret, struct error *e);

/* Generated files. */
extern const char history_readme[];
/* Who reads, as one number: rights that are the same give the same. */
uint64_t history_reader(const struct credentials *who);

#endif
