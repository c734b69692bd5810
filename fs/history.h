/* history.h - the past as a read-only tree: what stands behind the name ".history" in every
 * directory.
 *
 * A *node* is one place in that tree: a folder, a generated file (README.txt, changes.csv) or
 * something of the past (a version, a file or directory as of an instant).  Its 64-bit id has the
 * top bit set, so it never meets an inode number.  A node lives as long as the kernel knows it:
 * every entry that lookup or mkdir hands out counts one, forget takes counts away; the same place
 * gives the same node while it lives.  A node that nobody counts any more is -E_STALE.
 *
 * Rights (P4): every call that shows something takes the caller's credentials.  What the caller may
 * not read does not resolve (-E_NO_ENTRY) and is not listed.  The kernel must therefore not answer
 * for somebody else: names have no entry timeout unless everybody may see them, and a directory's
 * listing is never cached (no FOPEN_CACHE_DIR). The modes shown are what the kernel's
 * default_permissions may decide by: folders are 0777, versions in files/, by/, deleted/ and
 * conflicts/ readable for all (this module decides), things below at/ and tags/ as they were.
 *
 * Nothing can be changed but tags: the mount answers every other writing operation on a node with
 * -E_READ_ONLY (opening for writing succeeds, the write fails).  The exception is RENAME from a
 * node to a live name: see history_source().
 *
 * All functions may be called from any thread; none needs a lock, none calls back but the visitor
 * it is given. libfuse is not needed here, so all of it runs in a unit test. */
#ifndef DAYBOOK_HISTORY_H
#define DAYBOOK_HISTORY_H

#include <sys/stat.h>

#include "store/access.h"
#include "store/store.h"

#define HISTORY_NODE_BIT (1ull << 63)

struct history;        /* the whole tree of one mount */
struct history_handle; /* one open file or directory */

struct history_entry {
	uint64_t node;
	struct stat st;       /* st_ino: stable, never that of anything live */
	double entry_timeout; /* seconds that the kernel may believe the name and st */
	double attr_timeout;
};

/* The tree over an opened store; *ret is the caller's for history_close(), which forgets all nodes.
 * memory: HISTORY_BYTES that outlive the process, zero at first, so that another process knows the
 * nodes that are in it; nodes beyond the first HISTORY_NODES_KEPT are forgotten with the process.
 * NULL: all are. */
#define HISTORY_NODES_KEPT 1048575
#define HISTORY_BYTES ((HISTORY_NODES_KEPT + 1ull) * 384)
int history_open(struct store *store, void *memory, struct history **ret, struct error *e);
void history_close(struct history *h); /* accepts NULL */

static inline bool history_is_node(uint64_t node)
{
	return (node & HISTORY_NODE_BIT) != 0;
}

/* Finds name below parent: a node, or the inode of a live directory with the name ".history".
 * ret->node counts one until forgotten.  -E_NO_ENTRY: not there, or not for this caller; do not
 * cache that. */
int history_lookup(struct history *h, const struct credentials *who, uint64_t parent,
		   struct view name, struct history_entry *ret, struct error *e);
void history_forget(struct history *h, uint64_t node, uint64_t count);

/* The kernel is about to take the node for a live file, because it was moved out of the history.
 * Until it is told better, history_refusal() sends whoever opens or changes the node to look again
 * what the name is. */
void history_retire(struct history *h, uint64_t node);
/* Why the node cannot be changed: -E_STALE when it was retired, else -E_READ_ONLY. */
int history_refusal(struct history *h, uint64_t node, struct error *e);

/* attributes now; *ret_timeout (may be NULL) is how long the kernel may believe them. */
int history_getattr(struct history *h, const struct credentials *who, uint64_t node,
		    struct stat *ret, double *ret_timeout, struct error *e);
/* Appends a symbolic link's target. */
int history_readlink(struct history *h, const struct credentials *who, uint64_t node,
		     struct buf *out, struct error *e);

/* Opens a directory for the caller, by whose rights it is filtered until released. */
int history_opendir(struct history *h, const struct credentials *who, uint64_t node,
		    struct history_handle **ret, struct error *e);

/* Lists from offset (0: the beginning, then what each() was last given as next), "." and ".."
 * included.  st has st_ino and the type in st_mode and nothing else: READDIRPLUS may answer with
 * these and node id 0, which the kernel takes as "look it up when needed".  each() returns false
 * when its buffer is full: that entry is given again.  Offset 0 on an open handle lists afresh. */
typedef bool (*history_visitor)(void *arg, const char *name, const struct stat *st, uint64_t next);
int history_readdir(struct history_handle *handle, uint64_t offset, history_visitor each, void *arg,
		    struct error *e);

/* Opens a file.  -E_DENIED, -E_NO_ENTRY: not for this caller.  What is open stays as it is,
 * whatever happens later. How the kernel is to treat the handle: *ret_keep_cache for
 * FOPEN_KEEP_CACHE (the bytes never change), *ret_direct for FOPEN_DIRECT_IO (generated for this
 * caller: the page cache must not share it). */
int history_open_file(struct history *h, const struct credentials *who, uint64_t node,
		      struct history_handle **ret, bool *ret_keep_cache, bool *ret_direct,
		      struct error *e);

/* Reads up to n bytes at offset: the count, short only at the end. */
int history_read(struct history_handle *handle, uint64_t offset, void *out, size_t n,
		 struct error *e);

/* SEEK_DATA, SEEK_HOLE in an open file: 0, or -ENXIO as lseek(2) has it. */
int history_seek(struct history_handle *handle, uint64_t offset, bool hole, uint64_t *ret_offset,
		 struct error *e);

/* Ends an open file or directory.  Accepts NULL. */
void history_release(struct history_handle *handle);

/* Appends an xattr's value: below at/ and tags/ the xattrs and ACLs of then, and everywhere on
 * contents the facts (below).  -E_NO_XATTR.  listxattr appends names, each with its NUL: those of
 * then, not the facts, because programs that copy a file with the xattrs that it lists would fail
 * to set them. */
int history_getxattr(struct history *h, const struct credentials *who, uint64_t node,
		     struct view name, struct buf *out, struct error *e);
int history_listxattr(struct history *h, const struct credentials *who, uint64_t node,
		      struct buf *out, struct error *e);

/* The facts of a version as xattrs, for live files as well: user.daybook.version (its number),
 * .author, .time (ISO, UTC), .digest (hexadecimal), .document, .from ("document@version"; absent
 * when it was not copied). Appends one value: -E_NO_XATTR when name is no fact or the file (doc,
 * version; 0 = none) has none. */
int history_fact(struct store *store, uint64_t doc, uint64_t version, struct view name,
		 struct buf *out, struct error *e);
/* Whether the name is in the facts' name space (user.daybook.*). */
bool history_is_fact(struct view name);

/* What stands behind a content node: for copy_file_range (share the content, save with from_doc and
 * from_version) and for `mv .history/... live` (version_restore_at() instead of a move; the node
 * stays where it is). -E_READ_ONLY: the node is no content of a version (a folder, a generated
 * file, a directory of then). -E_NO_ENTRY, -E_DENIED: not for this caller. */
struct history_source {
	/* Version 0: bytes that are no version of a document (never named then). */
	uint64_t doc, version;
	uint64_t content, size;
	uint32_t mode;
};
int history_source(struct history *h, const struct credentials *who, uint64_t node,
		   struct history_source *ret, struct error *e);

/* mkdir in tags/ pins the present under name; rmdir there removes the tag (its owner or uid 0, else
 * -E_NOT_PERMITTED).  Anywhere else -E_READ_ONLY.  actor signs the change.  The entry counts one.
 * */
int history_mkdir(struct history *h, const struct credentials *who, const struct actor *actor,
		  uint64_t parent, struct view name, struct history_entry *ret, struct error *e);
int history_rmdir(struct history *h, const struct credentials *who, const struct actor *actor,
		  uint64_t parent, struct view name, struct error *e);

/* Nodes that the kernel holds now (for status and tests). */
size_t history_node_count(struct history *h);

#endif
