/* timeline.h - the tree as of any instant, and what ever lived where.
 *
 * An *instant* is a change number: the state after that change.  A time resolves to the last change
 * at or before the end of its second, by the CLOCK index. */
#ifndef DAYBOOK_TIMELINE_H
#define DAYBOOK_TIMELINE_H

#include "namespace.h"
#include "version.h"

/* The last change at or before time_ns: -E_TIME_RANGE before the store began. */
int timeline_instant(struct store *store, int64_t time_ns, uint64_t *ret_change, struct error *e);

/* The time of a change (its log record's). */
int timeline_time(struct store *store, uint64_t change, int64_t *ret_ns, struct error *e);

/* The newest change in or below directory dir, and its time: both 0 when there is none. */
int timeline_newest(struct store *store, uint64_t dir, uint64_t *ret_change, int64_t *ret_time,
		    struct error *e);

/* The tree as of instant `at`: like namespace_lookup, inode_get (by decoding into *memory) and
 * namespace_readdir. timeline_inode: of an inode that is gone, the last record; at = UINT64_MAX is
 * now.  -E_STALE: it did not exist. */
int timeline_lookup(struct store *store, uint64_t at, uint64_t parent, struct view name,
		    struct dirent_record *ret, struct error *e);
int timeline_inode(struct store *store, uint64_t at, uint64_t ino, struct inode_record *ret,
		   struct buf *memory, struct error *e);
int timeline_readdir(struct store *store, uint64_t at, uint64_t parent, uint64_t cookie,
		     dirent_visitor each, void *arg, struct error *e);

/* The instants at which directory dir or something below it changed, thinned to at most max (<=
 * 512): newest first, then hourly, daily, weekly.  One per second at most.  Fills times[] (ns,
 * whole seconds) newest first: the count. */
int timeline_instants(struct store *store, uint64_t dir, int64_t *times, size_t max,
		      struct error *e);

/* Every interval of a name that lives or lived in directory parent, the live one first, then newest
 * first. */
int timeline_name(struct store *store, uint64_t parent, struct view name, dirent_visitor each,
		  void *arg, struct error *e);

/* The same for every name that ever lived in parent, in cookie order, beginning after cookie (0:
 * from the start); of each name at most the `most` newest intervals, so that a much used name costs
 * no more than others.  An interval's `until` is 0 while it lives. */
int timeline_names(struct store *store, uint64_t parent, uint64_t cookie, unsigned most,
		   dirent_visitor each, void *arg, struct error *e);

/* The name in parent, live or past, that has this cookie (store_cookie()): -E_NO_ENTRY. */
int timeline_cookie_name(struct store *store, uint64_t parent, uint64_t cookie,
			 struct buf *ret_name, struct error *e);

/* The versions that the *name* shows (DESIGN.md 3, files/): of the document living there, of its
 * predecessors (L4), and of documents that lived there and moved on (up to when they moved), newest
 * first by change. scratch = false leaves out documents that are scratch (L7) unless they live. */
struct name_version {
	uint64_t doc, number;
	const struct version_record *version;
};
typedef bool (*name_version_visitor)(void *arg, const struct name_version *v);
int timeline_name_versions(struct store *store, uint64_t parent, struct view name, bool scratch,
			   name_version_visitor each, void *arg, struct error *e);

/* Calls each() for the conflicts in and below directory dir, newest first; false stops. */
typedef bool (*conflict_visitor)(void *arg, uint64_t change,
				 const struct conflict_record *conflict);
int timeline_conflicts(struct store *store, uint64_t dir, conflict_visitor each, void *arg,
		       struct error *e);

#endif
