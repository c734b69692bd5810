/* access.c - see access.h.  The order in which owner, ACL, group and others are asked is the
 * kernel's. */
#include "access.h"

#include <sys/stat.h>

#include "acl.h"
#include "timeline.h"

const struct credentials access_everyone = { ACCESS_EVERYONE_UID, UINT32_MAX, 0, NULL };

bool access_is_member(const struct credentials *who, uint32_t gid)
{
	if (who->gid == gid)
		return true;
	for (size_t i = 0; i < who->group_count; i++) {
		if (who->groups[i] == gid)
			return true;
	}
	return false;
}

static unsigned acl_mask(struct view acl)
{
	struct acl_entry entry;

	while (acl_next(&acl, &entry)) {
		if (entry.tag == ACL_TAG_MASK)
			return entry.perm;
	}
	return 7;
}

/* Whether the ACL grants want to somebody who is not the owner. */
static bool acl_grants(const struct credentials *who, uint32_t gid, struct view acl, unsigned want)
{
	unsigned masked = want & acl_mask(acl), others = 0;
	struct acl_entry entry;
	bool in_some_group = false;

	while (acl_next(&acl, &entry)) {
		if (entry.tag == ACL_TAG_USER && entry.id == who->uid)
			return (entry.perm & masked) == want;
		if (entry.tag == ACL_TAG_OTHER)
			others = entry.perm;
		if (entry.tag != ACL_TAG_GROUP_OBJ && entry.tag != ACL_TAG_GROUP)
			continue;
		if (!access_is_member(who, entry.tag == ACL_TAG_GROUP ? entry.id : gid))
			continue;
		in_some_group = true;
		if ((entry.perm & want) == want)
			return masked == want;
	}
	return !in_some_group && (others & want) == want;
}

bool access_granted(const struct credentials *who, uint32_t mode, uint32_t uid, uint32_t gid,
		    struct view acl, int want)
{
	unsigned wanted = (unsigned)want & 7;

	if (who->uid == 0)
		return true;
	if (who->uid == ACCESS_EVERYONE_UID)
		return !acl.len && (mode >> 6 & mode >> 3 & mode & wanted) == wanted;
	if (who->uid == uid)
		return (mode >> 6 & wanted) == wanted;
	/* The group bits are the ACL's mask: when they are all off, no entry can grant anything. */
	if ((mode & S_IRWXG) && acl.len && acl_is_valid(acl))
		return acl_grants(who, gid, acl, wanted);
	return ((access_is_member(who, gid) ? mode >> 3 : mode) & wanted) == wanted;
}

bool access_inode(const struct credentials *who, const struct inode_record *inode, int want)
{
	struct view acl = { 0 };

	if (who->uid == 0)
		return true;
	xattr_find(inode->xattrs, view_str(ACL_ACCESS_NAME), &acl);
	return access_granted(who, (uint32_t)inode->mode, (uint32_t)inode->uid,
			      (uint32_t)inode->gid, acl, want);
}

/* The inode as it is, or as it last was: 1, or 0 when there is no record of it at all. */
static int newest_inode(struct store *store, uint64_t ino, struct inode_record *ret,
			struct buf *memory, struct error *e)
{
	int rc = timeline_inode(store, UINT64_MAX, ino, ret, memory, e);

	return rc == -E_STALE ? 0 : rc < 0 ? rc : 1;
}

int access_directory(struct store *store, const struct credentials *who, uint64_t ino,
		     struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };

	if (who->uid == 0)
		return 1;
	for (int depth = 0; ino && depth < DEPTH_DAMAGED; depth++) {
		struct inode_record directory;
		int rc = newest_inode(store, ino, &directory, &memory, e);

		if (rc < 0)
			return rc;
		if (rc == 0 || !access_inode(who, &directory, ACCESS_SEARCH))
			return 0;
		if (ino == ROOT_INODE)
			return 1;
		ino = directory.parent;
	}
	return 0;
}

int access_place(struct store *store, const struct credentials *who, uint64_t ino, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record directory;
	int rc;

	if (who->uid == 0)
		return 1;
	rc = newest_inode(store, ino, &directory, &memory, e);
	if (rc <= 0)
		return rc;
	return access_inode(who, &directory, ACCESS_READ) ? access_directory(store, who, ino, e)
							  : 0;
}

/* What seeing an inode's name takes: of a directory either right will do. */
static bool may_see(const struct credentials *who, const struct inode_record *inode)
{
	return access_inode(who, inode, ACCESS_READ) ||
	       (S_ISDIR(inode->mode) && access_inode(who, inode, ACCESS_SEARCH));
}

int access_past_inode(struct store *store, const struct credentials *who,
		      const struct inode_record *then, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record now;
	int rc;

	if (who->uid == 0)
		return 1;
	if (!may_see(who, then))
		return 0;
	rc = newest_inode(store, then->ino, &now, &memory, e);
	if (rc <= 0)
		return rc;
	return may_see(who, &now);
}

/* The inode whose rights are the document's: the one that holds it, or that held its last version;
 * 0: none. */
static int document_inode(struct store *store, uint64_t doc, uint64_t *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, version_memory = { 0 };
	struct document_record document;
	struct version_record head;
	int rc = document_get(store, doc, &document, &memory, e);

	if (rc < 0)
		return rc;
	*ret = document.ino;
	if (*ret || !document.head)
		return 0;
	rc = version_get(store, doc, document.head, &head, &version_memory, e);
	if (rc == 0)
		*ret = head.ino;
	return rc;
}

int access_document(struct store *store, const struct credentials *who, uint64_t doc,
		    struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record now;
	uint64_t ino = 0;
	int rc;

	if (who->uid == 0)
		return 1;
	rc = document_inode(store, doc, &ino, e);
	if (rc < 0 || !ino)
		return rc;
	rc = newest_inode(store, ino, &now, &memory, e);
	if (rc <= 0)
		return rc;
	return access_inode(who, &now, ACCESS_READ) ? access_directory(store, who, now.parent, e)
						    : 0;
}

int access_version(struct store *store, const struct credentials *who, uint64_t doc,
		   uint64_t number, const struct version_record *version, struct error *e)
{
	(void)number;
	if (!access_granted(who, (uint32_t)version->mode, (uint32_t)version->owner_uid,
			    (uint32_t)version->owner_gid, version->acl, ACCESS_READ))
		return 0;
	return access_document(store, who, doc, e);
}

int access_past(struct store *store, const struct credentials *who, const struct inode_record *then,
		struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record now;
	int rc;

	if (who->uid == 0)
		return 1;
	rc = access_past_inode(store, who, then, e);
	if (rc <= 0 || then->ino == ROOT_INODE)
		return rc;
	rc = newest_inode(store, then->ino, &now, &memory, e);
	return rc <= 0 ? rc : access_directory(store, who, now.parent, e);
}

/* Names in records are those of then, in directories of then: each is shown to those who may list
 * it now. */
static int may_see_names(struct store *store, const struct credentials *who,
			 const struct log_record *record, const struct inode_record *then,
			 const struct inode_record *now, struct error *e)
{
	uint64_t places[3] = { record->parent, then->parent, now->parent };
	int rc = 1;

	for (size_t i = 0; i < 3 && rc > 0; i++) {
		if (places[i] && (i == 0 || places[i] != places[i - 1]))
			rc = access_place(store, who, places[i], e);
	}
	return rc;
}

int access_log_record(struct store *store, const struct credentials *who,
		      const struct log_record *record, struct error *e)
{
	CLEANUP(buf_release) struct buf then_memory = { 0 }, now_memory = { 0 };
	struct inode_record then, now;
	int rc;

	if (who->uid == 0 || record->op == OP_INIT || record->op == OP_REPAIR ||
	    record->op == OP_RESTORE_STORE)
		return 1;
	if (!record->ino)
		return record->parent ? access_place(store, who, record->parent, e) : 0;
	rc = newest_inode(store, record->ino, &now, &now_memory, e);
	if (rc <= 0)
		return rc;
	rc = timeline_inode(store, record->change, record->ino, &then, &then_memory, e);
	if (rc == -E_STALE)
		then = now;
	else if (rc < 0)
		return rc;
	if (!may_see(who, &then) || !may_see(who, &now))
		return 0;
	if (record->ino == ROOT_INODE)
		return 1;
	return may_see_names(store, who, record, &then, &now, e);
}
