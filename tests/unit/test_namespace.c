/* test_namespace.c - the live tree: POSIX rules of names, links and directories; what survives a
 * restart. */
#include <errno.h>
#include <sys/xattr.h>

#include "store/acl.h"
#include "store/internal.h"
#include "store/kv.h"
#include "noise.h"
#include "tree.h"

#define R ROOT_INODE

static int make(uint64_t parent, struct view name, uint32_t mode, struct error *e)
{
	struct make m = { .mode = mode, .uid = anna.uid, .gid = anna.gid };
	struct inode *inode = NULL;
	int rc = namespace_make(tree_store, &anna, parent, name, &m, &inode, e);

	inode_put(inode);
	return rc;
}

static int rename_to(uint64_t from, const char *name, uint64_t to, const char *new_name,
		     unsigned flags, struct error *e)
{
	uint64_t replaced;

	return namespace_rename(tree_store, &anna, from, view_str(name), to, view_str(new_name),
				flags, 0, &replaced, e);
}

START_TEST(names_are_checked)
{
	char long_name[257];

	memset(long_name, 'n', 256);
	long_name[256] = '\0';
	ck_fails(make(R, view_str(""), S_IFREG | 0644, e), E_NAME_BAD);
	ck_fails(make(R, view_str("a/b"), S_IFREG | 0644, e), E_NAME_BAD);
	ck_fails(make(R, view_of("a\0b", 3), S_IFREG | 0644, e), E_NAME_BAD);
	ck_fails(make(R, view_str(".."), S_IFREG | 0644, e), E_NAME_BAD);
	ck_fails(make(R, view_str(".history"), S_IFDIR | 0755, e), E_NAME_RESERVED);
	ck_fails(make(R, view_str(long_name), S_IFREG | 0644, e), E_NAME_LONG);
	long_name[255] = '\0';
	ck_ok(make(R, view_str(long_name), S_IFREG | 0644, e));
	ck_ok(make(R, view_of("new\nline \xff\xfe", 11), S_IFREG | 0644, e));
	ck_fails(make(R, view_str(long_name), S_IFREG | 0644, e), E_EXISTS);
}
END_TEST

START_TEST(directories_count_their_links)
{
	uint64_t a = tree_make(&anna, R, "a", S_IFDIR | 0755),
		 b = tree_make(&anna, a, "b", S_IFDIR | 0755);

	ck_assert_uint_eq(tree_inode(R).nlink, 3);
	ck_assert_uint_eq(tree_inode(a).nlink, 3);
	ck_fails(namespace_rmdir(tree_store, &anna, R, view_str("a"), e), E_NOT_EMPTY);
	ck_ok(rename_to(a, "b", R, "b", 0, e));
	ck_assert_uint_eq(tree_inode(a).nlink, 2);
	ck_assert_uint_eq(tree_inode(R).nlink, 4);
	ck_ok(namespace_rmdir(tree_store, &anna, R, view_str("a"), e));
	ck_assert_uint_eq(tree_inode(R).nlink, 3);
	ck_assert_uint_eq(tree_inode(b).nlink, 2);
}
END_TEST

START_TEST(renames_follow_posix)
{
	uint64_t a = tree_make(&anna, R, "a", S_IFDIR | 0755),
		 b = tree_make(&anna, a, "b", S_IFDIR | 0755);
	struct inode *inode = NULL;

	tree_write(&anna, R, "f", "f");
	uint64_t g = tree_write(&anna, R, "g", "g");
	ck_fails(rename_to(R, "a", b, "c", 0, e), E_LOOP_MOVE);
	ck_fails(rename_to(R, "a", a, "c", 0, e), E_LOOP_MOVE);
	ck_fails(rename_to(R, "f", R, "a", 0, e), E_IS_DIR);
	ck_fails(rename_to(R, "a", R, "f", 0, e), E_NOT_DIR);
	ck_fails(rename_to(R, "none", R, "f", 0, e), E_NO_ENTRY);
	ck_fails(rename_to(R, "f", R, "g", RENAME_NOREPLACE, e), E_EXISTS);
	ck_fails(rename_to(R, "f", R, "none", RENAME_EXCHANGE, e), E_NO_ENTRY);
	ck_fails(rename_to(R, "f", R, ".history", 0, e), E_NAME_RESERVED);
	ck_ok(rename_to(R, "f", R, "f", 0, e));
	ck_ok(namespace_link(tree_store, &anna, g, R, view_str("h"), &inode, e));
	inode_put(inode);
	ck_ok(rename_to(R, "g", R, "h", 0, e)); /* the same inode: both names stay */
	ck_assert(tree_has(R, "g") && tree_has(R, "h"));
}
END_TEST

START_TEST(links_keep_a_home)
{
	struct inode *inode = NULL;
	struct buf path = { 0 };
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755),
		 ino = tree_write(&anna, d, "first", "x");

	ck_ok(namespace_link(tree_store, &anna, ino, R, view_str("second"), &inode, e));
	inode_put(inode);
	ck_assert_uint_eq(tree_inode(ino).nlink, 2);
	ck_fails(namespace_link(tree_store, &anna, d, R, view_str("dd"), &inode, e), EPERM);
	tree_unlink(&anna, d, "first");
	ck_ok(namespace_path(tree_store, ino, &path, e));
	ck_assert_str_eq(buf_cstr(&path), "second");
	buf_release(&path);
	tree_unlink(&anna, R, "second");
	ck_fails(inode_get(tree_store, ino, &inode, e), E_STALE);
}
END_TEST

START_TEST(everything_survives_a_restart)
{
	struct attributes set = {
		.set_mode = true, .mode = 0640, .set_mtime = true, .mtime = 123456789
	};
	struct inode *inode = NULL;
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0750),
		 ino = tree_write(&anna, d, "f", "bytes");
	struct buf path = { 0 };

	ck_ok(namespace_setattr(tree_store, &anna, ino, &set, &inode, e));
	inode_put(inode);
	ck_ok(namespace_setxattr(tree_store, &anna, ino, view_str("user.a"), view_str("b"), 0, e));
	tree_reopen();
	ck_ok(inode_get(tree_store, ino, &inode, e));
	struct view value;
	ck_assert_uint_eq(inode->r.mode, S_IFREG | 0640);
	ck_assert_int_eq(inode->r.mtime, 123456789);
	ck_assert(xattr_find(inode->r.xattrs, view_str("user.a"), &value) &&
		  view_equal(value, view_str("b")));
	inode_put(inode);
	ck_ok(namespace_walk(tree_store, view_str("/d/f"), &inode, e));
	ck_assert_uint_eq(inode->r.ino, ino);
	inode_put(inode);
	ck_ok(namespace_path(tree_store, ino, &path, e));
	ck_assert_str_eq(buf_cstr(&path), "d/f");
	buf_release(&path);
	ck_assert_str_eq(tree_text(tree_doc(d, "f"), 1), "bytes");
	uint64_t fresh = tree_make(&anna, R, "new", S_IFREG | 0644);
	ck_assert_uint_gt(fresh, ino);
}
END_TEST

START_TEST(the_log_chains_and_tells_all)
{
	struct log_query query = { 0 };
	uint64_t head;
	struct digest digest;
	struct buf memory = { 0 };
	struct log_record r;

	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755);
	tree_write(&ben, d, "f", "bytes");
	ck_ok(rename_to(d, "f", R, "g", 0, e));
	ck_ok(changelog_head(tree_store, &head, &digest, e));
	ck_assert_uint_eq(head, 5); /* init, mkdir, create, save, rename */
	ck_ok(changelog_check(tree_store, 1, head, e));
	ck_ok(changelog_get(tree_store, 5, &r, &memory, e));
	ck_assert_uint_eq(r.op, OP_RENAME);
	ck_assert(view_equal(r.path, view_str("d/f")) && view_equal(r.path2, view_str("g")));
	ck_assert(view_equal(r.author, view_str("anna")));
	buf_release(&memory);
	ck_fails(changelog_check(tree_store, 1, head + 1, e), E_FAILED_VERIFY);
	(void)query;
}
END_TEST

static bool count_visitor(void *arg, const struct log_record *record)
{
	uint64_t *numbers = arg;

	numbers[++numbers[0]] = record->change;
	return true;
}

START_TEST(the_log_is_found_by_directory_and_user)
{
	uint64_t seen[64] = { 0 };
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755); /* change 2 */
	tree_write(&ben, d, "f", "bytes");                     /* 3, 4 */
	tree_write(&anna, R, "g", "bytes");                    /* 5, 6 */
	tree_write(&anna, d, "h", "bytes");                    /* 7, 8 */
	struct log_query query = { .under = d };

	ck_ok(changelog_each(tree_store, &query, count_visitor, seen, e));
	ck_assert_uint_eq(seen[0], 4);
	ck_assert_uint_eq(seen[1], 8);
	ck_assert_uint_eq(seen[4], 3);
	seen[0] = 0;
	query = (struct log_query){
		.under = d, .by_uid = true, .uid = anna.uid, .oldest_first = true
	};
	ck_ok(changelog_each(tree_store, &query, count_visitor, seen, e));
	ck_assert_uint_eq(seen[0], 2);
	ck_assert_uint_eq(seen[1], 7);
	ck_assert_uint_eq(seen[2], 8);
	seen[0] = 0;
	query = (struct log_query){ .limit = 2, .last = 6 };
	ck_ok(changelog_each(tree_store, &query, count_visitor, seen, e));
	ck_assert_uint_eq(seen[0], 2);
	ck_assert_uint_eq(seen[1], 6);
}
END_TEST

START_TEST(an_acl_and_the_mode_move_together)
{
	static const uint8_t acl[] = { 2,   0,   0,   0,   1,   0,    6,    0,   255, 255, 255,
				       255, 2,   0,   7,   0,   0xa0, 0x0f, 0,   0,   4,   0,
				       4,   0,   255, 255, 255, 255,  16,   0,   7,   0,   255,
				       255, 255, 255, 32,  0,   0,    0,    255, 255, 255, 255 };
	uint64_t ino = tree_write(&anna, R, "f", "x");
	struct view name = view_str(ACL_ACCESS_NAME), value;
	struct attributes set = { .set_mode = true, .mode = 0600 };
	struct inode *inode = NULL;

	ck_assert(acl_is_valid(view_of(acl, sizeof(acl))));
	ck_ok(namespace_setxattr(tree_store, &anna, ino, name, view_of(acl, sizeof(acl)), 0, e));
	ck_assert_uint_eq(tree_inode(ino).mode & 0777, 0670);
	ck_ok(namespace_setattr(tree_store, &anna, ino, &set, &inode, e));
	ck_assert(xattr_find(inode->r.xattrs, name, &value));
	ck_assert_uint_eq(acl_mode(value), 0600);
	inode_put(inode);
	ck_fails(namespace_setxattr(tree_store, &anna, ino, name, view_of(acl, 11), 0, e),
		 E_INVALID);
	ck_fails(namespace_setxattr(tree_store, &anna, ino, view_str("user.daybook.author"),
				    view_str("x"), 0, e),
		 E_NOT_PERMITTED);
	ck_fails(namespace_removexattr(tree_store, &anna, ino, view_str("user.none"), e),
		 E_NO_XATTR);
}
END_TEST

static uint64_t head_change(void)
{
	struct store_facts facts;

	ck_ok(store_facts(tree_store, &facts, e));
	return facts.changes;
}

START_TEST(rights_given_to_a_new_file_go_with_its_first_save)
{
	struct attributes set = { .set_uid = true, .uid = 4002, .set_mode = true, .mode = 0640 };
	uint64_t ino = tree_make(&anna, R, "new", S_IFREG | 0600), changes = head_change();
	struct log_record record;
	struct buf memory = { 0 };
	struct inode *inode = NULL;
	int fd = memfd_create("work", MFD_CLOEXEC);
	struct work work = { .fd = fd };
	struct save save = { .work = &work, .attributes = true, .mtime = 77, .atime = 66 };
	struct saved saved;

	ck_assert_int_eq(namespace_prepare(tree_store, &anna, ino, &set, NULL), 1);
	ck_assert_uint_eq(head_change(), changes);
	ck_assert_uint_eq(tree_inode(ino).mode & 0777, 0640); /* at once: it is a right */
	ck_ok(version_save(tree_store, &anna, ino, &save, &saved, e));
	ck_ok(changelog_get(tree_store, changes + 1, &record, &memory, e));
	ck_assert_uint_eq(record.op, OP_SAVE);
	ck_assert(view_equal(record.after, view_str("4002:4001 640")));
	ck_assert_int_eq(tree_inode(ino).mtime, 77);
	ck_assert_int_eq(tree_inode(ino).atime, 66);
	/* It is saved. */
	ck_assert_int_eq(namespace_prepare(tree_store, &anna, ino, &set, NULL), 0);
	/* The same again is no change, but for the ctime. */
	int64_t ctime = tree_inode(ino).ctime;
	ck_ok(namespace_setattr(tree_store, &anna, ino, &set, &inode, e));
	inode_put(inode);
	ck_assert_uint_eq(head_change(), changes + 1);
	ck_assert_int_gt(tree_inode(ino).ctime, ctime);
	buf_release(&memory);
	close(fd);
}
END_TEST

START_TEST(an_unnamed_file_becomes_a_document_when_linked)
{
	struct make m = { .mode = S_IFREG | 0644 };
	struct inode *inode = NULL, *linked = NULL;

	ck_ok(namespace_make_unnamed(tree_store, &anna, &m, &inode, e));
	struct saved saved = tree_save(&anna, inode->r.ino, "bytes");
	ck_assert_uint_eq(saved.number, 0);
	ck_ok(namespace_link(tree_store, &anna, inode->r.ino, R, view_str("named"), &linked, e));
	ck_assert_str_eq(tree_text(tree_doc(R, "named"), 1), "bytes");
	inode_put(inode);
	inode_put(linked);
}
END_TEST

START_TEST(orphans_are_dropped_together_and_what_has_a_name_stays)
{
	uint64_t inodes[4] = { tree_make(&anna, R, "a", S_IFREG | 0600),
			       tree_make(&anna, R, "b", S_IFREG | 0600),
			       tree_make(&anna, R, "c", S_IFREG | 0600), 12345 };
	struct inode *inode = NULL;
	uint64_t gone;

	ck_ok(namespace_unlink(tree_store, &anna, R, view_str("a"), &gone, e));
	ck_ok(namespace_unlink(tree_store, &anna, R, view_str("c"), &gone, e));
	kv_fail_nth(1, -E_NO_SPACE);
	ck_fails(namespace_drop_orphans(tree_store, inodes, 4, e), E_NO_SPACE);
	ck_ok(inode_get(tree_store, inodes[0], &inode, e));
	inode_put(inode);
	ck_ok(namespace_drop_orphans(tree_store, inodes, 4, e));
	ck_fails(inode_get(tree_store, inodes[0], &inode, e), E_STALE);
	ck_fails(inode_get(tree_store, inodes[2], &inode, e), E_STALE);
	ck_ok(inode_get(tree_store, inodes[1], &inode, e));
	inode_put(inode);
	ck_ok(namespace_drop_orphans(tree_store, inodes, 4, e));
}
END_TEST

START_TEST(a_number_is_never_given_again)
{
	struct make m = { .mode = S_IFREG | 0600, .uid = 4001, .gid = 4001 };
	struct inode *inode;
	struct store_facts before, after;

	tree_write(&anna, ROOT_INODE, "a", "one");
	ck_ok(namespace_make_unnamed(tree_store, &anna, &m, &inode, e));
	uint64_t last = inode->r.ino;
	inode_put(inode);
	ck_ok(namespace_drop_orphan(tree_store, last, e));
	ck_ok(store_facts(tree_store, &before, e));
	tree_reopen();
	ck_ok(store_facts(tree_store, &after, e));
	ck_assert_uint_eq(after.inodes_next, before.inodes_next);
	ck_assert_uint_eq(after.documents_next, before.documents_next);
	ck_assert_uint_gt(tree_make(&anna, ROOT_INODE, "b", S_IFREG | 0600), last);
}
END_TEST

START_TEST(numbers_of_inodes_and_documents_end_below_2_63)
{
	struct make m = { .mode = S_IFREG | 0600, .uid = 4001, .gid = 4001 };
	struct inode *inode = NULL;

	tree_store->next_inode = NUMBER_MAX;
	ck_assert_uint_eq(tree_make(&anna, R, "last", S_IFREG | 0600), NUMBER_MAX);
	tree_save(&anna, NUMBER_MAX, "bytes");
	for (int opened = 0; opened < 2; opened++) {
		ck_fails(namespace_make(tree_store, &anna, R, view_str("more"), &m, &inode, e),
			 E_NUMBERS_END);
		ck_fails(namespace_make_unnamed(tree_store, &anna, &m, &inode, e), E_NUMBERS_END);
		ck_assert(!tree_has(R, "more"));
		ck_assert_str_eq(tree_text(tree_doc(R, "last"), 1), "bytes");
		tree_reopen();
	}
	tree_rename(&anna, R, "last", "moved");
	tree_unlink(&anna, R, "moved");
	tree_store->next_inode = 1000;
	tree_store->next_document = NUMBER_MAX;
	tree_make(&anna, R, "document", S_IFREG | 0600);
	ck_assert_uint_eq(tree_doc(R, "document"), NUMBER_MAX);
	ck_fails(namespace_make(tree_store, &anna, R, view_str("more"), &m, &inode, e),
		 E_NUMBERS_END);
	ck_assert(!tree_has(R, "more"));
}
END_TEST

START_TEST(numbers_of_changes_end_below_2_63)
{
	uint64_t ino = tree_write(&anna, R, "f", "x"), replaced;
	struct make m = { .mode = S_IFREG | 0600, .uid = 4001, .gid = 4001 };
	struct inode *inode = NULL;
	struct digest digest;
	uint64_t head;

	tree_store->head_change = NUMBER_MAX - 1;
	tree_rename(&anna, R, "f", "g");
	ck_ok(changelog_head(tree_store, &head, &digest, e));
	ck_assert_uint_eq(head, NUMBER_MAX);
	ck_fails(namespace_rename(tree_store, &anna, R, view_str("g"), R, view_str("h"), 0, 0,
				  &replaced, e),
		 E_NUMBERS_END);
	ck_fails(namespace_make(tree_store, &anna, R, view_str("h"), &m, &inode, e), E_NUMBERS_END);
	ck_assert_uint_eq(tree_ino(R, "g"), ino);
}
END_TEST

START_TEST(a_failed_write_changes_nothing)
{
	uint64_t ino = tree_write(&anna, R, "f", "x"), head, after, replaced;
	struct digest digest;

	ck_ok(changelog_head(tree_store, &head, &digest, e));
	for (unsigned n = 1, rc = 1; rc; n++) {
		struct error error = { 0 };

		kv_fail_nth(n, -EIO);
		rc = namespace_rename(tree_store, &anna, R, view_str("f"), R, view_str("g"), 0, 0,
				      &replaced, &error) < 0;
		kv_fail_nth(0, 0);
		if (!rc)
			break;
		ck_assert_uint_eq(tree_ino(R, "f"), ino);
		ck_assert(!tree_has(R, "g"));
		ck_ok(changelog_head(tree_store, &after, &digest, e));
		ck_assert_uint_eq(after, head);
		ck_assert_uint_lt(n, 100);
	}
	ck_assert_uint_eq(tree_ino(R, "g"), ino);
}
END_TEST

struct listing {
	unsigned count, stop_after;
	uint64_t cookie;
};

static bool list_visitor(void *arg, struct view name, uint64_t cookie,
			 const struct dirent_record *dirent)
{
	struct listing *l = arg;

	ck_assert_uint_gt(cookie, l->cookie);
	ck_assert_uint_eq(cookie, store_cookie(tree_store, name));
	ck_assert_uint_gt(dirent->ino, 0);
	l->cookie = cookie;
	return ++l->count < l->stop_after;
}

#define CHURN_NAMES 300

struct seen {
	bool names[CHURN_NAMES];
	unsigned count, stop_after;
	uint64_t cookie;
};

static bool see(void *arg, struct view name, uint64_t cookie, const struct dirent_record *dirent)
{
	struct seen *seen = arg;
	char text[NAME_LEN_MAX + 1] = "";

	memcpy(text, name.data, name.len);
	unsigned n = (unsigned)atoi(text + 1);
	ck_assert_uint_gt(cookie, seen->cookie);
	ck_assert_uint_lt(n, CHURN_NAMES);
	ck_assert(!seen->names[n]);
	ck_assert_uint_gt(dirent->ino, 0);
	seen->names[n] = true;
	seen->count++;
	seen->cookie = cookie;
	return seen->stop_after == 0 || seen->count % seen->stop_after;
}

/* Lists in pieces of so many names, 0: at once. */
static void ck_listed(uint64_t directory, const bool there[CHURN_NAMES], unsigned pieces)
{
	struct seen seen = { .stop_after = pieces };
	unsigned before;

	do {
		before = seen.count;
		ck_ok(namespace_readdir(tree_store, directory, seen.cookie, see, &seen, e));
	} while (seen.count > before && pieces);
	ck_assert_mem_eq(seen.names, there, sizeof(seen.names));
}

/* From memory and from the database, few names and many, known since the start and not. */
START_TEST(a_directory_lists_what_is_in_it_whatever_came_and_went)
{
	uint64_t directory = tree_make(&anna, R, "d", S_IFDIR | 0755), state = 7;
	bool there[CHURN_NAMES] = { false };

	for (unsigned turn = 0; turn < 1500; turn++) {
		/* More and more names, then fewer and fewer. */
		unsigned n = (unsigned)noise_below(&state, CHURN_NAMES);
		bool wanted = noise_below(&state, 1500) > turn;
		char name[16];

		snprintf(name, sizeof(name), "n%u", n);
		if (wanted && !there[n])
			tree_make(&anna, directory, name, S_IFREG | 0644);
		else if (!wanted && there[n])
			tree_unlink(&anna, directory, name);
		there[n] = wanted;
		if (turn % 100 == 50)
			tree_reopen();
		if (turn % 7 == 0)
			ck_listed(directory, there, (unsigned)noise_below(&state, 3) * 9);
		ck_assert_int_eq(tree_has(directory, name), wanted);
	}
}
END_TEST

START_TEST(a_directory_is_listed_by_stable_cookies)
{
	struct listing l = { .stop_after = 20 };
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		tree_make(&anna, R, name, S_IFREG | 0644);
	}
	ck_ok(namespace_readdir(tree_store, R, 0, list_visitor, &l, e));
	ck_assert_uint_eq(l.count, 20);
	l.stop_after = 1000;
	ck_ok(namespace_readdir(tree_store, R, l.cookie, list_visitor, &l, e));
	ck_assert_uint_eq(l.count, 50);
}
END_TEST

/* The mount lists from behind "." and ".." on. */
START_TEST(a_directory_that_was_listed_behind_its_dots_is_known)
{
	CLEANUP(buf_release) struct buf known = { 0 };
	uint64_t directory = tree_make(&anna, R, "d", S_IFDIR | 0755);
	struct listing l = { .stop_after = 1000 };

	tree_make(&anna, directory, "one", S_IFREG | 0644);
	tree_reopen();
	ck_assert(!dirents_list(tree_store->dirents, directory, 10, &known));
	ck_ok(namespace_readdir(tree_store, directory, STORE_COOKIE_MIN - 1, list_visitor, &l, e));
	ck_assert_uint_eq(l.count, 1);
	ck_assert(dirents_list(tree_store->dirents, directory, 10, &known));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namespace");
	TCase *tree = tcase_create("tree");

	tcase_add_checked_fixture(tree, tree_setup, tree_teardown);
	tcase_set_timeout(tree, 30);
	tcase_add_test(tree, names_are_checked);
	tcase_add_test(tree, directories_count_their_links);
	tcase_add_test(tree, renames_follow_posix);
	tcase_add_test(tree, links_keep_a_home);
	tcase_add_test(tree, everything_survives_a_restart);
	tcase_add_test(tree, the_log_chains_and_tells_all);
	tcase_add_test(tree, the_log_is_found_by_directory_and_user);
	tcase_add_test(tree, an_acl_and_the_mode_move_together);
	tcase_add_test(tree, rights_given_to_a_new_file_go_with_its_first_save);
	tcase_add_test(tree, an_unnamed_file_becomes_a_document_when_linked);
	tcase_add_test(tree, orphans_are_dropped_together_and_what_has_a_name_stays);
	tcase_add_test(tree, a_number_is_never_given_again);
	tcase_add_test(tree, numbers_of_inodes_and_documents_end_below_2_63);
	tcase_add_test(tree, numbers_of_changes_end_below_2_63);
	tcase_add_test(tree, a_failed_write_changes_nothing);
	tcase_add_test(tree, a_directory_lists_what_is_in_it_whatever_came_and_went);
	tcase_add_test(tree, a_directory_is_listed_by_stable_cookies);
	tcase_add_test(tree, a_directory_that_was_listed_behind_its_dots_is_known);
	suite_add_tcase(suite, tree);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
