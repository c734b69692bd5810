/* share.h - a store with a little history in it, for targets that ask a whole store.
 *
 * Two people and a group: anna (uid 4001), ben (uid 4002), both in group 4000.  Its database is in
 * memory (memory/kv.h), and every input finds it as it is in the beginning: when share_worn(), the
 * target closes it and begins anew. */
#ifndef DAYBOOK_FUZZ_SHARE_H
#define DAYBOOK_FUZZ_SHARE_H

#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "memory/kv.h"
#include "store/access.h"
#include "store/acl.h"
#include "store/tag.h"
#include "store/version.h"

static struct store *share;
static uint64_t share_beginning;
static char share_path[256];

static const struct actor anna = {
	.uid = 4001, .gid = 4000, .tgid = 101, .name = { "anna", 4 }, .command = { "vi", 2 }
};
static const struct actor ben = {
	.uid = 4002, .gid = 4000, .tgid = 102, .name = { "D\\ben", 5 }, .command = { "vi", 2 }
};

#define made(call) must((call) >= 0)

static inline uint64_t share_make(const struct actor *actor, uint64_t parent, const char *name,
				  uint32_t mode)
{
	struct make make = { .mode = mode, .uid = actor->uid, .gid = actor->gid };
	struct inode *inode;

	if (S_ISLNK(mode))
		make.target = view_str("../budget.csv");
	made(namespace_make(share, actor, parent, view_str(name), &make, &inode, NULL));
	uint64_t ino = inode->r.ino;
	inode_put(inode);
	return ino;
}

static inline void share_save(const struct actor *actor, uint64_t ino, const char *text,
			      uint64_t base)
{
	size_t n = strlen(text);
	struct extent extents[] = { { 0, n, EXTENT_STAGED, 0, 0 },
				    { n, 70000, EXTENT_ZERO, 0, 0 } };
	struct work work = { extents, 2, n + 70000, memfd_create("work", MFD_CLOEXEC) };
	struct save save = { .work = &work, .base = base, .mtime = 1772547320123456789 };
	struct saved saved;

	must(write(work.fd, text, n) == (ssize_t)n);
	made(version_save(share, actor, ino, &save, &saved, NULL));
	close(work.fd);
}

static inline void share_history(void)
{
	static const uint8_t acl[] = { 2,    0,    0,    0, 1,    0,    6,    0,    0xff,
				       0xff, 0xff, 0xff, 2, 0,    4,    0,    0xa2, 0x0f,
				       0,    0,    4,    0, 0,    0,    0xff, 0xff, 0xff,
				       0xff, 0x10, 0,    4, 0,    0xff, 0xff, 0xff, 0xff,
				       0x20, 0,    0,    0, 0xff, 0xff, 0xff, 0xff };
	uint64_t dept = share_make(&anna, ROOT_INODE, "dept", S_IFDIR | 02775), replaced, change;
	uint64_t budget = share_make(&anna, dept, "budget.csv", S_IFREG | 0644);
	uint64_t secret = share_make(&anna, dept, "secret", S_IFDIR | 0700);

	share_save(&anna, budget, "widgets,100\n", 0);
	share_save(&ben, budget, "widgets,95\n", 0);
	share_save(&anna, budget, "widgets,90\n", 1);
	share_save(&ben, share_make(&ben, dept, "odd: name?.xlsx", S_IFREG | 0664), "x", 0);
	share_save(&ben, share_make(&ben, dept, "~$lock", S_IFREG | 0664), "lock", 0);
	share_save(&anna, share_make(&anna, secret, "plan.txt", S_IFREG | 0600), "plan", 0);
	share_make(&anna, dept, "link", S_IFLNK | 0777);
	share_make(&anna, dept, "pipe", S_IFIFO | 0644);
	made(namespace_setxattr(share, &anna, budget, view_str("user.note"), view_str("a note"), 0,
				NULL));
	made(namespace_setxattr(share, &anna, budget, view_str(ACL_ACCESS_NAME),
				view_of(acl, sizeof(acl)), 0, NULL));
	made(tag_set(share, &anna, dept, view_str("Q1 close"), &change, NULL));
	made(namespace_rename(share, &ben, dept, view_str("odd: name?.xlsx"), dept,
			      view_str("new.xlsx"), 0, 0, &replaced, NULL));
	uint64_t gone = share_make(&ben, dept, "gone.txt", S_IFREG | 0644);
	share_save(&ben, gone, "gone", 0);
	made(namespace_unlink(share, &ben, dept, view_str("gone.txt"), &gone, NULL));
	made(namespace_drop_orphan(share, gone, NULL));
}

static inline int share_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline void share_destroy(void)
{
	nftw(share_path, share_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Opens what is there. */
static inline int share_open(struct error *e)
{
	struct store_options options = { .cache_bytes = 8 << 20 };

	return store_open(share_path, &options, &share, e);
}

static inline void share_close(void)
{
	store_close(share);
	share = NULL;
}

/* What is left in the store's directory beside the database: unsaved bytes, how far a verification
 * came. */
static inline int share_tidy(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + at->base;

	(void)st;
	if (at->level == 0 ||
	    (at->level == 1 && (strcmp(name, "FORMAT") == 0 || strcmp(name, "LOCK") == 0 ||
				strcmp(name, "staging") == 0)))
		return 0;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

/* Opens the share as it is in the beginning. */
static inline void share_begin(void)
{
	const char *base = getenv("TMPDIR");

	must(!share);
	if (share_beginning) {
		must(nftw(share_path, share_tidy, 16, FTW_DEPTH | FTW_PHYS) == 0);
		memory_kv_back(share_beginning);
		made(share_open(NULL));
		return;
	}
	snprintf(share_path, sizeof(share_path), "%s/daybook-share.XXXXXX", base ? base : "/tmp");
	must(mkdtemp(share_path));
	atexit(share_destroy);
	made(store_init(share_path, 0755, 0, 0, NULL));
	made(share_open(NULL));
	share_history();
	share_beginning = memory_kv_now();
}

/* Whether the share is not as it is in the beginning, or not open. */
static inline bool share_worn(void)
{
	return !share || memory_kv_now() != share_beginning;
}

/* Somebody by a number: root, anna, ben, a stranger of their group, a stranger. */
static inline struct credentials share_person(uint8_t which)
{
	static const uint32_t group = 4000;
	static const uint32_t uids[] = { 0, 4001, 4002, 4003, 4004 };
	size_t i = which % 5;

	return (struct credentials){ uids[i], i == 4 ? 4004 : 4000, i == 3, &group };
}

#endif
