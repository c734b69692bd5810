/* tree.h - a store in a directory of its own, people, and saves in one line, for the unit tests. */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/changelog.h"
#include "store/namespace.h"
#include "store/version.h"

static char tree_path[64];
static struct store *tree_store;

static const struct actor anna = {
	.uid = 4001, .gid = 4001, .tgid = 101, .name = { "anna", 4 }, .command = { "editor", 6 }
};
static const struct actor ben = {
	.uid = 4002, .gid = 4002, .tgid = 102, .name = { "ben", 3 }, .command = { "editor", 6 }
};

#define ck_ok(call) \
	do { \
		struct error e_ = { 0 }; \
		struct error *e = &e_; \
		int rc_ = (call); \
		ck_assert_msg(rc_ >= 0, "%s: %d %s", #call, rc_, e_.text); \
	} while (0)
#define ck_fails(call, expected) \
	do { \
		struct error e_ = { 0 }; \
		struct error *e = &e_; \
		int rc_ = (call); \
		ck_assert_msg(rc_ == -(expected), "%s: %d %s, expected %d", #call, rc_, e_.text, -(expected)); \
		ck_assert_msg(e_.text[0] != '\0', "%s: no sentence", #call); \
	} while (0)

static inline void tree_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", tree_path);
	ck_assert_int_eq(system(command), 0);
}

static inline void tree_open(void)
{
	ck_ok(store_open(tree_path, NULL, &tree_store, e));
}

static inline void tree_setup(void)
{
	snprintf(tree_path, sizeof(tree_path), "/tmp/daybook-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tree_path));
	ck_ok(store_init(tree_path, 0755, 0, 0, e));
	tree_open();
}

static inline void tree_teardown(void)
{
	store_close(tree_store);
	tree_store = NULL;
	tree_remove();
}

static inline void tree_reopen(void)
{
	store_close(tree_store);
	tree_open();
}

static inline uint64_t tree_make(const struct actor *actor, uint64_t parent, const char *name,
				 uint32_t mode)
{
	struct make make = { .mode = mode, .uid = actor->uid, .gid = actor->gid };
	struct inode *inode = NULL;

	ck_ok(namespace_make(tree_store, actor, parent, view_str(name), &make, &inode, e));
	uint64_t ino = inode->r.ino;
	inode_put(inode);
	return ino;
}

/* Saves text as the content of ino; base and fold as in struct save. */
static inline struct saved tree_save_as(const struct actor *actor, uint64_t ino, const char *text,
					uint64_t base, bool fold)
{
	int fd = memfd_create("work", MFD_CLOEXEC);
	size_t n = strlen(text);
	struct extent extent = { 0, n, EXTENT_STAGED, 0, 0 };
	struct work work = { &extent, n ? 1 : 0, n, fd };
	struct save save = { .work = &work, .base = base, .fold = fold };
	struct saved saved;

	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	ck_ok(version_save(tree_store, actor, ino, &save, &saved, e));
	close(fd);
	return saved;
}

static inline struct saved tree_save(const struct actor *actor, uint64_t ino, const char *text)
{
	return tree_save_as(actor, ino, text, 0, false);
}

/* Creates a file with a content: its inode. */
static inline uint64_t tree_write(const struct actor *actor, uint64_t parent, const char *name,
				  const char *text)
{
	uint64_t ino = tree_make(actor, parent, name, S_IFREG | 0644);

	tree_save(actor, ino, text);
	return ino;
}

static inline uint64_t tree_ino(uint64_t parent, const char *name)
{
	struct dirent_record dirent;

	ck_ok(namespace_lookup(tree_store, parent, view_str(name), &dirent, e));
	return dirent.ino;
}

static inline bool tree_has(uint64_t parent, const char *name)
{
	struct dirent_record dirent;

	return namespace_lookup(tree_store, parent, view_str(name), &dirent, NULL) == 0;
}

static inline struct inode_record tree_inode(uint64_t ino)
{
	struct inode *inode = NULL;

	ck_ok(inode_get(tree_store, ino, &inode, e));
	struct inode_record r = inode->r;
	inode_put(inode);
	return r; /* its views are not to be used */
}

/* The document of a name, and how many versions it has. */
static inline uint64_t tree_doc(uint64_t parent, const char *name)
{
	struct dirent_record dirent;

	ck_ok(namespace_lookup(tree_store, parent, view_str(name), &dirent, e));
	ck_assert_uint_eq(dirent.doc, tree_inode(dirent.ino).doc);
	return dirent.doc;
}

static inline uint64_t tree_head(uint64_t doc)
{
	struct buf memory = { 0 };
	struct document_record d;

	ck_ok(document_get(tree_store, doc, &d, &memory, e));
	buf_release(&memory);
	return d.head;
}

/* The bytes of version number of doc, NUL-terminated, in a static buffer. */
static inline const char *tree_text(uint64_t doc, uint64_t number)
{
	static char text[4096];
	struct buf memory = { 0 };
	struct version_record v;
	int n;

	ck_ok(version_get(tree_store, doc, number, &v, &memory, e));
	ck_assert_uint_lt(v.size, sizeof(text));
	ck_ok(n = content_read(store_contents(tree_store), v.content, 0, text, sizeof(text) - 1,
			       e));
	text[n] = '\0';
	buf_release(&memory);
	return text;
}

static inline void tree_rename(const struct actor *actor, uint64_t parent, const char *from,
			       const char *to)
{
	uint64_t replaced;

	ck_ok(namespace_rename(tree_store, actor, parent, view_str(from), parent, view_str(to), 0,
			       0, &replaced, e));
	if (replaced)
		ck_ok(namespace_drop_orphan(tree_store, replaced, e));
}

static inline void tree_unlink(const struct actor *actor, uint64_t parent, const char *name)
{
	uint64_t ino;

	ck_ok(namespace_unlink(tree_store, actor, parent, view_str(name), &ino, e));
	ck_ok(namespace_drop_orphan(tree_store, ino, e));
}

#endif
