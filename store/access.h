/* access.h - who may read what, now and then (promise P4).
 *
 * The kernel checks the live tree; this module checks the past and the log, by the same rules: mode
 * bits, POSIX ACLs (acl(5)), uid 0 may read everything.  Reading a version needs read permission on
 * the document now (deleted: search permission on its directory now, and the mode it had when it
 * was deleted) and the rights it had then. Reaching anything needs search permission on every
 * directory above it now. */
#ifndef DAYBOOK_ACCESS_H
#define DAYBOOK_ACCESS_H

#include "version.h"

struct credentials {
	uint32_t uid, gid;
	size_t group_count;
	const uint32_t *groups; /* supplementary groups, borrowed */
};

/* Everyone at once: what is granted to him is granted to owner, group and others alike, without
 * any ACL.  (No user has this number.)  What he may see can be shown to anybody without asking
 * again. */
#define ACCESS_EVERYONE_UID UINT32_MAX
extern const struct credentials access_everyone;

/* Is gid who's own group or one of the supplementary ones? */
bool access_is_member(const struct credentials *who, uint32_t gid);

enum { ACCESS_READ = 4, ACCESS_WRITE = 2, ACCESS_SEARCH = 1 };

/* Whether mode, owner and ACL grant all of want. acl: the raw system.posix_acl_access value or
 * empty. */
bool access_granted(const struct credentials *who, uint32_t mode, uint32_t uid, uint32_t gid,
		    struct view acl, int want);
bool access_inode(const struct credentials *who, const struct inode_record *inode, int want);

/* Search permission on directory ino and all its ancestors as they are now: 1 yes, 0 no.  A
 * directory that is gone is judged by its last record and the ancestors that are left. */
int access_directory(struct store *store, const struct credentials *who, uint64_t ino,
		     struct error *e);

/* May who list directory ino now: read permission on it, and search permission on it and all its
 * ancestors? 1 yes, 0 no.  What names in records are shown by. */
int access_place(struct store *store, const struct credentials *who, uint64_t ino, struct error *e);

/* May who read the document now: the file that holds it, or held it last, and search the way to it?
 * 1 yes, 0 no. */
int access_document(struct store *store, const struct credentials *who, uint64_t doc,
		    struct error *e);

/* May who read version number of doc (P4): the document now, and with the rights of then?  1 yes, 0
 * no. */
int access_version(struct store *store, const struct credentials *who, uint64_t doc,
		   uint64_t number, const struct version_record *version, struct error *e);

/* May who see this name as of an instant: the inode as it was (then) and as it is now, or as it
 * last was.  For a directory: search or read.  1 yes, 0 no. Does not look at the directories
 * above. */
int access_past_inode(struct store *store, const struct credentials *who,
		      const struct inode_record *then, struct error *e);

/* The same, and the way to where it is now, or last was. */
int access_past(struct store *store, const struct credentials *who, const struct inode_record *then,
		struct error *e);

/* May who see this log record?  1 yes, 0 no.  (The paths in it are names, too.) */
int access_log_record(struct store *store, const struct credentials *who,
		      const struct log_record *record, struct error *e);

#endif
