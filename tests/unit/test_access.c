/* test_access.c - who may read what, now and then. */
#include "store/access.h"
#include "store/acl.h"
#include "store/timeline.h"
#include "tree.h"

#define R ROOT_INODE

static const uint32_t staff[] = { 50, 60 };
static const struct credentials as_root = { 0, 0, 0, NULL }, as_anna = { 4001, 4001, 0, NULL },
				as_ben = { 4002, 4002, 0, NULL },
				as_carl = { 4003, 4003, 2, staff };

static bool granted(const struct credentials *who, uint32_t mode, struct view acl, int want)
{
	return access_granted(who, mode, 4001, 60, acl, want);
}

START_TEST(owner_group_and_others_are_asked_in_this_order)
{
	struct view none = { 0 };

	ck_assert(granted(&as_anna, 0400, none, ACCESS_READ));
	/* The owner is not among the others. */
	ck_assert(!granted(&as_anna, 0044, none, ACCESS_READ));
	ck_assert(granted(&as_carl, 0040, none, ACCESS_READ));
	ck_assert(!granted(&as_carl, 0404, none, ACCESS_READ));
	ck_assert(granted(&as_ben, 0004, none, ACCESS_READ));
	ck_assert(!granted(&as_ben, 0770, none, ACCESS_READ));
	ck_assert(!granted(&as_ben, 0004, none, ACCESS_READ | ACCESS_WRITE));
	ck_assert(granted(&as_root, 0000, none, ACCESS_READ | ACCESS_SEARCH));
}
END_TEST

static void put_entry(struct buf *acl, unsigned tag, unsigned perm, uint32_t id)
{
	uint8_t e[8] = { (uint8_t)tag,        0,
			 (uint8_t)perm,       0,
			 (uint8_t)id,         (uint8_t)(id >> 8),
			 (uint8_t)(id >> 16), (uint8_t)(id >> 24) };

	buf_append(acl, e, sizeof(e));
}

/* user::rw-, user:4002:uuu, group::ggg, group:50:hhh, mask::mmm, other::ooo */
static struct view make_acl(struct buf *acl, unsigned user, unsigned group, unsigned named,
			    unsigned mask, unsigned other)
{
	static const uint8_t version[] = { 2, 0, 0, 0 };

	buf_clear(acl);
	buf_append(acl, version, 4);
	put_entry(acl, ACL_TAG_USER_OBJ, 6, UINT32_MAX);
	put_entry(acl, ACL_TAG_USER, user, 4002);
	put_entry(acl, ACL_TAG_GROUP_OBJ, group, UINT32_MAX);
	put_entry(acl, ACL_TAG_GROUP, named, 50);
	put_entry(acl, ACL_TAG_MASK, mask, UINT32_MAX);
	put_entry(acl, ACL_TAG_OTHER, other, UINT32_MAX);
	ck_assert(acl_is_valid(buf_view(acl)));
	return buf_view(acl);
}

START_TEST(an_acl_is_asked_as_the_kernel_does)
{
	CLEANUP(buf_release) struct buf acl = { 0 };

	ck_assert(granted(&as_ben, 0640, make_acl(&acl, 4, 0, 0, 4, 0), ACCESS_READ));
	/* The mask cuts. */
	ck_assert(!granted(&as_ben, 0624, make_acl(&acl, 4, 0, 0, 2, 4), ACCESS_READ));
	/* Named: no more asked. */
	ck_assert(!granted(&as_ben, 0644, make_acl(&acl, 0, 7, 7, 7, 7), ACCESS_READ));
	/* Any of the groups. */
	ck_assert(granted(&as_carl, 0640, make_acl(&acl, 0, 0, 4, 4, 0), ACCESS_READ));
	/* In a group: not other. */
	ck_assert(!granted(&as_carl, 0644, make_acl(&acl, 0, 0, 2, 7, 7), ACCESS_READ));
	ck_assert(granted(&as_anna, 0640, make_acl(&acl, 0, 0, 0, 0, 0), ACCESS_READ));
	/* Group bits off: as the kernel. */
	ck_assert(granted(&as_ben, 0604, make_acl(&acl, 0, 0, 0, 0, 4), ACCESS_READ));
}
END_TEST

static void chmod_to(uint64_t ino, uint32_t mode)
{
	/* not anna's session: a change of its own, not folded into the save */
	struct actor other = anna;
	struct attributes set = { .set_mode = true, .mode = mode };
	struct inode *inode = NULL;

	other.tgid++;
	ck_ok(namespace_setattr(tree_store, &other, ino, &set, &inode, e));
	inode_put(inode);
}

static int may_read_version(const struct credentials *who, uint64_t doc, uint64_t number)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;
	int rc = 0;

	ck_ok(version_get(tree_store, doc, number, &v, &memory, e));
	ck_ok(rc = access_version(tree_store, who, doc, number, &v, e));
	return rc;
}

START_TEST(a_version_takes_the_rights_of_now_and_of_then)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755),
		 ino = tree_write(&anna, d, "f", "one");
	uint64_t doc = tree_doc(d, "f");

	chmod_to(ino, 0600);
	tree_save(&anna, ino, "two");
	ck_assert(!may_read_version(&as_ben, doc, 1)); /* now it is closed */
	chmod_to(ino, 0644);
	ck_assert(may_read_version(&as_ben, doc, 1));
	ck_assert(!may_read_version(&as_ben, doc, 2)); /* then it was */
	ck_assert(may_read_version(&as_anna, doc, 2));
	ck_assert(may_read_version(&as_root, doc, 2));
	chmod_to(d, 0700);
	ck_assert(!may_read_version(&as_ben, doc, 1));
	chmod_to(d, 0711);
	ck_assert(may_read_version(&as_ben, doc, 1)); /* search is enough to read what one knows */
	tree_unlink(&anna, d, "f");
	ck_assert(may_read_version(&as_ben, doc, 1));
	chmod_to(d, 0700);
	ck_assert(!may_read_version(&as_ben, doc, 1));
}
END_TEST

START_TEST(a_deleted_file_keeps_the_mode_it_had)
{
	uint64_t ino = tree_write(&anna, R, "f", "one"), doc = tree_doc(R, "f");

	chmod_to(ino, 0600);
	tree_unlink(&anna, R, "f");
	ck_assert(!may_read_version(&as_ben, doc, 1));
	ck_assert(may_read_version(&as_anna, doc, 1));
}
END_TEST

struct rows {
	const struct credentials *who;
	unsigned count;
};

static bool count_row(void *arg, const struct log_record *record)
{
	struct rows *rows = arg;
	int rc = 0;

	ck_ok(rc = access_log_record(tree_store, rows->who, record, e));
	rows->count += rc > 0;
	return true;
}

static unsigned rows_for(const struct credentials *who, uint64_t first)
{
	struct log_query query = { .first = first };
	struct rows rows = { who, 0 };

	ck_ok(changelog_each(tree_store, &query, count_row, &rows, e));
	return rows.count;
}

START_TEST(what_is_put_back_where_nothing_is_has_the_rights_it_had)
{
	struct make make = { .mode = S_IFDIR | 02775, .uid = 4001, .gid = 60 };
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode *inode;
	struct saved saved;
	struct view acl;

	ck_ok(namespace_make(tree_store, &anna, R, view_str("team"), &make, &inode, e));
	uint64_t team = inode->r.ino;
	inode_put(inode);
	uint64_t file = tree_make(&anna, team, "plan", S_IFREG | 0660);
	/* ben may, the group may not: as a mode without its ACL this would be the opposite */
	ck_ok(namespace_setxattr(tree_store, &anna, file, view_str(ACL_ACCESS_NAME),
				 make_acl(&memory, 6, 0, 0, 6, 0), 0, e));
	uint64_t doc = tree_save(&anna, file, "plan").doc;
	tree_unlink(&anna, team, "plan");
	ck_ok(version_restore_at(tree_store, &ben, team, view_str("plan"), doc, 1, &saved, e));
	ck_ok(inode_get(tree_store, tree_ino(team, "plan"), &inode, e));
	ck_assert_uint_eq(inode->r.uid, 4002);
	ck_assert_uint_eq(inode->r.gid, 60);
	ck_assert(xattr_find(inode->r.xattrs, view_str(ACL_ACCESS_NAME), &acl));
	ck_assert(view_equal(acl, buf_view(&memory)));
	inode_put(inode);
}
END_TEST

START_TEST(the_log_hides_the_names_of_what_one_may_not_read)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755),
		 ino = tree_write(&anna, d, "secret", "one");
	struct digest digest;
	uint64_t begin;

	tree_save(&anna, ino, "two");
	ck_ok(changelog_head(tree_store, &begin, &digest, e));
	ck_assert_uint_eq(rows_for(&as_ben, 0), begin);
	chmod_to(ino, 0600);
	/* init and mkdir stay; everything about the file is gone, what was public then too */
	ck_assert_uint_eq(rows_for(&as_ben, 0), 2);
	ck_assert_uint_eq(rows_for(&as_anna, 0), begin + 1);
	chmod_to(ino, 0644);
	ck_assert_uint_eq(rows_for(&as_ben, begin + 1), 1); /* not the change that closed it */
	chmod_to(d, 0711);
	/* Names in d are not listed: only d's own chmod. */
	ck_assert_uint_eq(rows_for(&as_ben, begin + 1), 1);
	chmod_to(d, 0700);
	ck_assert_uint_eq(rows_for(&as_ben, 0), 1);
	ck_assert_uint_eq(rows_for(&as_root, 0), begin + 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *pure = tcase_create("pure"), *tree = tcase_create("tree");

	tcase_add_test(pure, owner_group_and_others_are_asked_in_this_order);
	tcase_add_test(pure, an_acl_is_asked_as_the_kernel_does);
	suite_add_tcase(suite, pure);
	tcase_add_checked_fixture(tree, tree_setup, tree_teardown);
	tcase_set_timeout(tree, 30);
	tcase_add_test(tree, a_version_takes_the_rights_of_now_and_of_then);
	tcase_add_test(tree, a_deleted_file_keeps_the_mode_it_had);
	tcase_add_test(tree, what_is_put_back_where_nothing_is_has_the_rights_it_had);
	tcase_add_test(tree, the_log_hides_the_names_of_what_one_may_not_read);
	suite_add_tcase(suite, tree);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
