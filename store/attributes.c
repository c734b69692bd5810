/* attributes.c - modes, owners, times and extended attributes (namespace.h has the contract). */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "acl.h"
#include "internal.h"
#include "lineage.h"
#include "slot.h"
#include "version.h"

#define FACT_PREFIX "user.daybook."

/* smbd sets times as root after the save of the user for whom it runs: it is the user's doing. */
static void act_for(struct change *c, const struct version_record *v, struct buf *memory)
{
	c->author = (struct actor){ .uid = (uint32_t)v->uid,
				    .gid = (uint32_t)v->gid,
				    .tgid = (uint32_t)v->tgid,
				    .name = v->author,
				    .command = v->command,
				    .client = v->client };
	c->author_memory = *memory;
	*memory = (struct buf){ 0 };
	c->actor = &c->author;
}

/* L1: attributes set right after a save by the session that saved belong to that version. */
static int fold_into_version(struct change *c, const struct inode_record *inode, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;

	if (!S_ISREG(inode->mode) || !inode->version)
		return 0;
	int rc = version_get(c->store, inode->doc, inode->version, &v, &memory, e);
	if (rc < 0 || !lineage_folds_attributes(&v, c->actor->uid, c->actor->tgid, c->time))
		return rc;
	slot_sign(&v, inode, (struct place){ inode->parent, inode->name });
	change_put_version(c, inode->doc, inode->version, &v);
	c->log.flags |= LOG_FOLDED;
	if (c->actor->uid != v.uid)
		act_for(c, &v, &memory);
	return 0;
}

static void log_document(struct change *c, const struct inode_record *inode)
{
	c->log.doc = inode->doc;
	c->log.version = inode->version;
}

/* The mode changes, and the access ACL's base entries with it; *memory owns the new attribute
 * list. */
static int set_mode(struct inode_record *inode, uint32_t mode, struct buf *memory, struct error *e)
{
	CLEANUP(buf_release) struct buf acl = { 0 };
	struct view old;

	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	if (!xattr_find(inode->xattrs, view_str(ACL_ACCESS_NAME), &old))
		return 0;
	acl_chmod(&acl, old, mode);
	xattr_set(memory, inode->xattrs, view_str(ACL_ACCESS_NAME), buf_view(&acl));
	inode->xattrs = buf_view(memory);
	int rc = buf_check(&acl, e);
	return rc < 0 ? rc : buf_check(memory, e);
}

void attributes_describe(const struct inode_record *inode, bool owner, bool mode,
			 char out[ATTRIBUTES_TEXT_ROOM])
{
	int n = 0;

	if (owner)
		n = snprintf(out, ATTRIBUTES_TEXT_ROOM, "%llu:%llu%s",
			     (unsigned long long)inode->uid, (unsigned long long)inode->gid,
			     mode ? " " : "");
	if (mode)
		snprintf(out + n, ATTRIBUTES_TEXT_ROOM - (size_t)n, "%llo",
			 (unsigned long long)inode->mode & 07777);
}

static int set_in_change(struct change *c, struct inode_record *inode, const struct attributes *set,
			 struct buf *memory, char before[ATTRIBUTES_TEXT_ROOM],
			 char after[ATTRIBUTES_TEXT_ROOM], struct error *e)
{
	bool owner = set->set_uid || set->set_gid;
	int rc = 0;

	c->log.op = owner ? OP_CHOWN : set->set_mode ? OP_CHMOD : OP_UTIMES;
	attributes_describe(inode, owner, set->set_mode, before);
	inode->uid = set->set_uid ? set->uid : inode->uid;
	inode->gid = set->set_gid ? set->gid : inode->gid;
	if (set->set_mode)
		rc = set_mode(inode, set->mode, memory, e);
	attributes_describe(inode, owner, set->set_mode, after);
	inode->atime = set->set_atime ? set->atime : inode->atime;
	inode->mtime = set->set_mtime ? set->mtime : inode->mtime;
	inode->ctime = set->set_ctime ? set->ctime : c->time;
	c->log.before = view_str(before);
	c->log.after = view_str(after);
	return rc;
}

/* Whether all that is set is so already. */
static bool says_nothing(const struct attributes *set, const struct inode_record *inode)
{
	return !set->set_atime && !set->set_mtime && (!set->set_uid || set->uid == inode->uid) &&
	       (!set->set_gid || set->gid == inode->gid) &&
	       (!set->set_mode || (set->mode & 07777) == (inode->mode & 07777));
}

int namespace_prepare(struct store *store, const struct actor *actor, uint64_t ino,
		      const struct attributes *set, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(change_abort) struct change c = { 0 };
	char before[ATTRIBUTES_TEXT_ROOM], after[ATTRIBUTES_TEXT_ROOM];
	struct attributes owner_and_mode = *set;
	struct inode_record *inode;
	int rc = change_begin(store, actor, OP_UTIMES, NULL, &c, e);

	if (rc == 0)
		rc = change_inode(&c, ino, &inode, e);
	if (rc < 0)
		return rc;
	if (!S_ISREG(inode->mode) || inode->version || !inode->nlink ||
	    c.time - inode->btime > LINEAGE_FOLD_NS)
		return 0;
	owner_and_mode.set_atime = owner_and_mode.set_mtime = false;
	if (says_nothing(&owner_and_mode, inode))
		return 1;
	rc = set_in_change(&c, inode, &owner_and_mode, &memory, before, after, e);
	if (rc == 0)
		rc = change_commit_untold(&c, e);
	return rc < 0 ? rc : 1;
}

int namespace_setattr(struct store *store, const struct actor *actor, uint64_t ino,
		      const struct attributes *set, struct inode **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(change_abort) struct change c = { 0 };
	char before[ATTRIBUTES_TEXT_ROOM] = "", after[ATTRIBUTES_TEXT_ROOM] = "";
	struct inode_record *inode;
	bool untold = false;
	int rc = change_begin(store, actor, OP_UTIMES, NULL, &c, e);

	if (rc == 0)
		rc = change_inode(&c, ino, &inode, e);
	change_give(&c, ino, ret);
	if (rc == 0) {
		untold = says_nothing(set, inode);
		rc = set_in_change(&c, inode, set, &memory, before, after, e);
	}
	if (rc == 0 && untold)
		return change_commit_untold(&c, e);
	if (rc == 0)
		rc = slot_log_name(&c, inode, e);
	if (rc == 0)
		rc = fold_into_version(&c, inode, e);
	if (rc < 0)
		return rc;
	if (S_ISDIR(inode->mode))
		c.under[1] = ino;
	log_document(&c, inode);
	return change_commit(&c, e);
}

static bool is_acl(struct view name)
{
	return view_equal(name, view_str(ACL_ACCESS_NAME)) ||
	       view_equal(name, view_str(ACL_DEFAULT_NAME));
}

static int check_xattr(struct view name, struct view value, struct error *e)
{
	if (name.len == 0 || name.len > NAME_LEN_MAX)
		return error_set(e, -ERANGE, "an attribute's name has 1 to %d bytes", NAME_LEN_MAX);
	if (name.len >= strlen(FACT_PREFIX) &&
	    memcmp(name.data, FACT_PREFIX, strlen(FACT_PREFIX)) == 0)
		return error_set(e, -E_NOT_PERMITTED,
				 "the attributes user.daybook.* are read-only");
	if (value.len > XATTRS_BYTES_MAX)
		return error_set(e, -E_XATTR_SPACE, "");
	if (is_acl(name) && value.len && !acl_is_valid(value))
		return error_set(e, -E_INVALID, "the access control list is malformed");
	return 0;
}

/* Puts value under name (value.data NULL: takes it away) into the inode's list, with what an ACL
 * does to the mode. */
static int edit_xattr(struct change *c, struct inode_record *inode, struct view name,
		      struct view value, int flags, struct buf *memory, struct error *e)
{
	bool access = view_equal(name, view_str(ACL_ACCESS_NAME)) && value.len;

	if (access)
		inode->mode = (inode->mode & ~0777ull) | acl_mode(value);
	if (access && (flags & XATTR_KILL_SETGID))
		inode->mode &= ~(uint64_t)S_ISGID;
	if (access && acl_is_mode_only(value))
		value = view_of(NULL, 0);
	xattr_set(memory, inode->xattrs, name, value);
	int rc = buf_check(memory, e);
	if (rc < 0)
		return rc;
	if (memory->len > XATTRS_BYTES_MAX)
		return error_set(e, -E_XATTR_SPACE, "");
	inode->xattrs = buf_view(memory);
	inode->ctime = c->time;
	rc = slot_log_name(c, inode, e);
	if (rc == 0)
		rc = fold_into_version(c, inode, e);
	if (S_ISDIR(inode->mode))
		c->under[1] = inode->ino;
	log_document(c, inode);
	return rc;
}

static int change_xattr(struct store *store, const struct actor *actor, enum log_operation op,
			uint64_t ino, struct view name, struct view value, int flags,
			struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(change_abort) struct change c = { 0 };
	struct inode_record *inode;
	struct view old;
	int rc = check_xattr(name, value, e);

	if (rc == 0)
		rc = change_begin(store, actor, op, NULL, &c, e);
	if (rc == 0)
		rc = change_inode(&c, ino, &inode, e);
	if (rc < 0)
		return rc;
	bool there = xattr_find(inode->xattrs, name, &old);
	if (there && (flags & XATTR_CREATE))
		return error_set(e, -E_XATTR_EXISTS, "");
	if (!there && is_acl(name) && !value.data)
		return 0;
	if (!there && (flags & XATTR_REPLACE))
		return error_set(e, -E_NO_XATTR, "");
	rc = edit_xattr(&c, inode, name, value, flags, &memory, e);
	if (op == OP_SETXATTR)
		c.log.after = name;
	else
		c.log.before = name;
	return rc < 0 ? rc : change_commit(&c, e);
}

int namespace_setxattr(struct store *store, const struct actor *actor, uint64_t ino,
		       struct view name, struct view value, int flags, struct error *e)
{
	if (!value.data)
		value.data = "";
	return change_xattr(store, actor, OP_SETXATTR, ino, name, value, flags, e);
}

int namespace_removexattr(struct store *store, const struct actor *actor, uint64_t ino,
			  struct view name, struct error *e)
{
	return change_xattr(store, actor, OP_RMXATTR, ino, name, view_of(NULL, 0), XATTR_REPLACE,
			    e);
}
