/* test_lineage.c - the rules as pure functions, then the save dances of real programs on a
 * store. */
#include "store/lineage.h"
#include "store/verify.h"
#include "tree.h"

#define SECOND 1000000000ll
#define R ROOT_INODE

START_TEST(a_slot_that_never_was_gets_a_new_document)
{
	ck_assert_int_eq(lineage_fill(NULL, 0), LINEAGE_NEW);
}
END_TEST

START_TEST(a_slot_refilled_within_15_seconds_continues_its_document)
{
	struct dirent_record past = { .doc = 7,
				      .ended = SLOT_UNLINKED,
				      .until_time = 100 * SECOND };

	ck_assert_int_eq(lineage_fill(&past, 115 * SECOND), LINEAGE_CONTINUE);
	ck_assert_int_eq(lineage_fill(&past, 115 * SECOND + 1), LINEAGE_SUCCESSOR);
	past.ended = SLOT_MOVED;
	ck_assert_int_eq(lineage_fill(&past, 115 * SECOND), LINEAGE_CONTINUE);
	past.ended = SLOT_ABSORBED;
	ck_assert_int_eq(lineage_fill(&past, 101 * SECOND), LINEAGE_SUCCESSOR);
}
END_TEST

START_TEST(young_means_one_version_and_under_a_minute)
{
	struct document_record d = { .head = 1, .born = 10 * SECOND };

	ck_assert(lineage_is_young(&d, 69 * SECOND));
	ck_assert(!lineage_is_young(&d, 70 * SECOND));
	d.head = 2;
	ck_assert(!lineage_is_young(&d, 11 * SECOND));
}
END_TEST

START_TEST(hint_names_are_those_of_temporary_and_lock_files)
{
	static const char *const hints[] = { "~$budget.xlsx",
					     ".~lock.budget.xlsx#",
					     "lu123abc.tmp",
					     "~WRD0001.tmp",
					     "budget.xlsx~RF1a2b3c.TMP",
					     ".goutputstream-ABC123",
					     "notes~",
					     "#notes#",
					     ".#notes",
					     ".notes.swp",
					     "4913",
					     "._x",
					     ".DS_Store",
					     "x.sb-1234-abc",
					     "0A1B2C3D" };
	static const char *const plain[] = { "budget.xlsx", "4914", "0A1B2C3",
					     "0A1B2C3DE",   "lock", ".profile" };

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		ck_assert_msg(lineage_is_hint_name(view_str(hints[i])), "%s", hints[i]);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		ck_assert_msg(!lineage_is_hint_name(view_str(plain[i])), "%s", plain[i]);
}
END_TEST

START_TEST(a_hint_name_that_survives_with_content_is_promoted)
{
	struct document_record d = { .name = view_str("0A1B2C3D"), .born = 0, .head = 1 };

	ck_assert(lineage_is_hidden(&d, 50000, 599 * SECOND));
	ck_assert(!lineage_is_hidden(&d, 50000, 600 * SECOND));
	ck_assert(lineage_is_hidden(&d, 100, 600 * SECOND));
}
END_TEST

START_TEST(a_name_that_was_left_within_a_minute_was_passing)
{
	struct dirent_record past = { .doc = 7, .ended = SLOT_MOVED, .until_time = 59 * SECOND };

	ck_assert(lineage_is_passing(&past, 0, false));
	past.ended = SLOT_REDOCUMENTED;
	ck_assert(lineage_is_passing(&past, 0, false));
	past.until_time = 61 * SECOND;
	ck_assert(!lineage_is_passing(&past, 0, false));
	past = (struct dirent_record){ .doc = 7, .ended = SLOT_UNLINKED, .until_time = 1 };
	ck_assert(!lineage_is_passing(&past, 0, false));
	ck_assert(lineage_is_passing(&past, 0, true));
}
END_TEST

START_TEST(attributes_after_a_save_belong_to_it)
{
	struct version_record v = { .uid = 4001, .tgid = 7, .time = 10 * SECOND };

	ck_assert(lineage_folds_attributes(&v, 4001, 7, 15 * SECOND));
	ck_assert(!lineage_folds_attributes(&v, 4001, 7, 16 * SECOND));
	ck_assert(!lineage_folds_attributes(&v, 4001, 8, 11 * SECOND));
	ck_assert(!lineage_folds_attributes(&v, 4002, 7, 11 * SECOND));
	ck_assert(lineage_folds_attributes(&v, 0, 7, 11 * SECOND)); /* smbd as root */
	ck_assert(!lineage_folds_attributes(&v, 0, 8, 11 * SECOND));
}
END_TEST

START_TEST(a_conflict_is_a_save_over_somebody_elses_unread_version)
{
	struct version_record head = { .uid = 4002 };

	ck_assert(lineage_is_conflict(3, 4, &head, 4001));
	ck_assert(!lineage_is_conflict(4, 4, &head, 4001));
	ck_assert(!lineage_is_conflict(0, 4, &head, 4001));
	ck_assert(!lineage_is_conflict(3, 4, &head, 4002));
}
END_TEST

START_TEST(a_long_open_writer_is_published)
{
	ck_assert(!lineage_publishes(SECOND, 20 * SECOND, true));
	ck_assert(lineage_publishes(2 * SECOND, 2 * SECOND, true));
	ck_assert(!lineage_publishes(29 * SECOND, 599 * SECOND, false));
	ck_assert(lineage_publishes(30 * SECOND, 30 * SECOND, false));
	ck_assert(lineage_publishes(0, 600 * SECOND, false));
	ck_assert(lineage_publishes(0, 600 * SECOND, true));
}
END_TEST

START_TEST(saving_in_place_makes_the_next_version)
{
	uint64_t ino = tree_write(&anna, R, "x", "one"), doc = tree_doc(R, "x");

	tree_save(&ben, ino, "two");
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 1), "one");
	ck_assert_str_eq(tree_text(doc, 2), "two");
}
END_TEST

START_TEST(the_same_bytes_make_no_version)
{
	uint64_t ino = tree_write(&anna, R, "x", "one");
	struct saved saved = tree_save(&ben, ino, "one");

	ck_assert(saved.unchanged);
	ck_assert_uint_eq(tree_head(saved.doc), 1);
}
END_TEST

/* Saves "data", a hole and "data", or zeros instead of the hole, as ino's content. */
static struct saved save_with_hole(uint64_t ino, bool hole, bool fold)
{
	static const char data[3 * 65536] = "data";
	enum { THIRD = sizeof(data) / 3 };
	int fd = memfd_create("work", MFD_CLOEXEC);
	struct extent extents[] = {
		{ 0, THIRD, EXTENT_STAGED, 0, 0 },
		{ THIRD, THIRD, hole ? EXTENT_ZERO : EXTENT_STAGED, 0, hole ? 0 : THIRD },
		{ 2 * THIRD, THIRD, EXTENT_STAGED, 0, 0 },
	};
	struct work work = { extents, 3, sizeof(data), fd };
	struct save save = { .work = &work, .fold = fold };
	struct saved saved;

	ck_assert_int_eq(write(fd, data, sizeof(data)), sizeof(data));
	ck_ok(version_save(tree_store, &anna, ino, &save, &saved, e));
	close(fd);
	return saved;
}

static bool print_finding(void *arg, const char *sentence)
{
	(void)arg;
	puts(sentence);
	return true;
}

static void ck_verifies(void)
{
	static const struct verify_options all = { .read_contents = true };
	struct verify_report report;

	ck_ok(verify_store(tree_store, &all, print_finding, NULL, NULL, &report, e));
}

START_TEST(zeros_written_into_a_hole_make_no_version)
{
	uint64_t ino = tree_make(&anna, R, "x", S_IFREG | 0644);
	struct saved saved = save_with_hole(ino, true, false);
	uint64_t content = saved.content;

	saved = save_with_hole(ino, false, false);
	ck_assert(saved.unchanged);
	ck_assert_uint_eq(tree_head(saved.doc), 1);
	ck_assert_uint_ne(saved.content, content);
	ck_verifies();
	tree_save(&anna, ino, "");
	saved = save_with_hole(ino, true, true);
	ck_assert(saved.unchanged);
	ck_assert_uint_eq(tree_head(saved.doc), 1);
	ck_verifies();
}
END_TEST

START_TEST(folding_replaces_the_provisional_version)
{
	uint64_t ino = tree_write(&anna, R, "x", "one"), doc = tree_doc(R, "x");

	tree_save(&ben, ino, "");
	tree_save_as(&ben, ino, "two", 0, true);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "two");
	tree_save(&anna, ino, "");
	struct saved saved = tree_save_as(&anna, ino, "two", 0, true);
	ck_assert(saved.unchanged);
	/* The head is ben's again: what anna writes on must not go into it. */
	ck_assert(!saved.own);
	ck_assert_uint_eq(tree_head(doc), 2);
}
END_TEST

START_TEST(temp_and_rename_is_one_version_of_the_destination)
{
	tree_write(&anna, R, "x", "one");
	uint64_t doc = tree_doc(R, "x");

	tree_write(&ben, R, "x.tmp", "two");
	tree_rename(&ben, R, "x.tmp", "x");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "two");
}
END_TEST

static void ck_counted(uint64_t versions, uint64_t bytes)
{
	struct store_facts facts;

	ck_ok(store_facts(tree_store, &facts, e));
	ck_assert_uint_eq(facts.versions, versions);
	ck_assert_uint_eq(facts.version_bytes, bytes);
}

START_TEST(each_save_is_counted_once_whatever_became_of_it)
{
	uint64_t x = tree_write(&anna, R, "x", "123");

	ck_counted(1, 3);
	tree_save(&anna, x, "123");
	ck_counted(1, 3);
	tree_save(&anna, x, "12345");
	ck_counted(2, 8);
	tree_save_as(&anna, x, "1234567", 0, true);
	ck_counted(2, 10);
	tree_write(&ben, R, "x.tmp", "12");
	tree_rename(&ben, R, "x.tmp", "x");
	ck_counted(3, 12);
	tree_write(&ben, R, "x.tmp", "1");
	tree_rename(&ben, R, "x", "x.bak");
	tree_rename(&ben, R, "x.tmp", "x");
	ck_counted(4, 13);
	tree_reopen();
	ck_counted(4, 13);
}
END_TEST

START_TEST(moving_an_established_file_over_another_says_from)
{
	struct buf memory = { 0 };
	struct version_record v;
	uint64_t other = tree_write(&anna, R, "y", "y1"), source = tree_doc(R, "y");

	tree_write(&anna, R, "x", "one");
	uint64_t doc = tree_doc(R, "x");
	tree_save(&anna, other, "y2");
	tree_rename(&ben, R, "y", "x");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_ok(version_get(tree_store, doc, 2, &v, &memory, e));
	ck_assert_uint_eq(v.from, source);
	ck_assert_uint_eq(v.from_version, 2);
	ck_assert_uint_eq(v.uid, ben.uid);
	ck_assert_uint_eq(tree_head(source), 2);
	buf_release(&memory);
}
END_TEST

START_TEST(excel_backup_and_rename_keeps_the_document)
{
	tree_write(&anna, R, "x.xlsx", "one");
	uint64_t doc = tree_doc(R, "x.xlsx");

	for (int i = 0; i < 3; i++) {
		char text[16];

		snprintf(text, sizeof(text), "save %d", i);
		tree_write(&ben, R, "0A1B2C3D", text);
		tree_rename(&ben, R, "x.xlsx", "x.xlsx~RF12.TMP");
		tree_rename(&ben, R, "0A1B2C3D", "x.xlsx");
		tree_unlink(&ben, R, "x.xlsx~RF12.TMP");
		ck_assert_uint_eq(tree_doc(R, "x.xlsx"), doc);
		ck_assert_uint_eq(tree_head(doc), 2 + i);
		ck_assert_str_eq(tree_text(doc, 2 + i), text);
	}
}
END_TEST

START_TEST(delete_and_rename_keeps_the_document)
{
	tree_write(&anna, R, "x", "one");
	uint64_t doc = tree_doc(R, "x");

	tree_write(&ben, R, "tmp", "two");
	tree_unlink(&ben, R, "x");
	tree_rename(&ben, R, "tmp", "x");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_assert_uint_eq(tree_head(doc), 2);
}
END_TEST

START_TEST(backup_by_rename_and_create_keeps_the_document)
{
	uint64_t ino = tree_write(&anna, R, "x", "one"), doc = tree_doc(R, "x");

	tree_rename(&ben, R, "x", "x~");
	tree_write(&ben, R, "x", "two");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_uint_eq(tree_ino(R, "x~"), ino);
	ck_assert_uint_ne(tree_doc(R, "x~"), doc);
	ck_assert_str_eq(tree_text(tree_doc(R, "x~"), 1), "one");
}
END_TEST

START_TEST(gits_lock_file_gives_identity_back)
{
	tree_write(&anna, R, "config.lock", "one");
	tree_rename(&anna, R, "config.lock", "config");
	uint64_t doc = tree_doc(R, "config");
	for (int i = 2; i < 5; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		tree_write(&anna, R, "config.lock", text);
		tree_rename(&anna, R, "config.lock", "config");
		ck_assert_uint_eq(tree_doc(R, "config"), doc);
		ck_assert_uint_eq(tree_head(doc), i);
		ck_assert_str_eq(tree_text(doc, i), text);
	}
}
END_TEST

START_TEST(an_abandoned_lock_file_gives_identity_back)
{
	tree_write(&anna, R, "HEAD.lock", "one");
	tree_rename(&anna, R, "HEAD.lock", "HEAD");
	uint64_t doc = tree_doc(R, "HEAD"), ino = tree_ino(R, "HEAD");
	tree_make(&ben, R, "HEAD.lock", S_IFREG | 0644);
	ck_assert_uint_ne(tree_doc(R, "HEAD"), doc);
	tree_unlink(&ben, R, "HEAD.lock");
	ck_assert_uint_eq(tree_doc(R, "HEAD"), doc);
	tree_save(&ben, ino, "two");
	ck_assert_uint_eq(tree_doc(R, "HEAD"), doc);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "two");
}
END_TEST

START_TEST(one_temporary_name_serves_many_files)
{
	static const char *const names[] = { "b", "c", "d", "e" };

	for (int i = 0; i < 4; i++) {
		tree_write(&anna, R, "x.tmp", names[i]);
		tree_rename(&anna, R, "x.tmp", names[i]);
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(tree_head(tree_doc(R, names[i])), 1);
		ck_assert_str_eq(tree_text(tree_doc(R, names[i]), 1), names[i]);
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(tree_doc(R, names[i]), tree_doc(R, names[k]));
	}
	for (int i = 0; i < 4; i++) { /* the same again, over files that are there */
		uint64_t doc = tree_doc(R, names[i]);

		tree_write(&anna, R, "x.tmp", "more");
		tree_rename(&anna, R, "x.tmp", names[i]);
		ck_assert_uint_eq(tree_doc(R, names[i]), doc);
		ck_assert_uint_eq(tree_head(doc), 2);
		ck_assert_str_eq(tree_text(doc, 2), "more");
	}
}
END_TEST

START_TEST(link_and_unlink_is_rename)
{
	struct inode *inode = NULL;
	uint64_t ino = tree_write(&anna, R, "tmp_obj", "one"), doc = tree_doc(R, "tmp_obj");

	ck_ok(namespace_link(tree_store, &anna, ino, R, view_str("obj"), &inode, e));
	inode_put(inode);
	tree_unlink(&anna, R, "tmp_obj");
	ck_assert_uint_eq(tree_doc(R, "obj"), doc);
	ck_assert_uint_eq(tree_head(doc), 1);
	ck_assert_uint_eq(tree_inode(ino).nlink, 1);
	ck_assert(!tree_has(R, "tmp_obj"));
}
END_TEST

START_TEST(a_plain_rename_takes_the_document_along)
{
	tree_write(&anna, R, "x", "one");
	uint64_t doc = tree_doc(R, "x");

	tree_rename(&anna, R, "x", "y");
	ck_assert_uint_eq(tree_doc(R, "y"), doc);
	tree_rename(&anna, R, "y", "x");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_assert_uint_eq(tree_head(doc), 1);
}
END_TEST

START_TEST(an_exchange_gives_each_name_a_version)
{
	uint64_t replaced;

	tree_write(&anna, R, "a", "aa");
	tree_write(&anna, R, "b", "bb");
	uint64_t a = tree_doc(R, "a"), b = tree_doc(R, "b");
	ck_ok(namespace_rename(tree_store, &ben, R, view_str("a"), R, view_str("b"),
			       RENAME_EXCHANGE, 0, &replaced, e));
	ck_assert_uint_eq(tree_doc(R, "a"), a);
	ck_assert_uint_eq(tree_doc(R, "b"), b);
	ck_assert_str_eq(tree_text(a, 2), "bb");
	ck_assert_str_eq(tree_text(b, 2), "aa");
}
END_TEST

START_TEST(an_exchange_takes_hard_links_along)
{
	struct inode *inode = NULL;
	uint64_t replaced, a = tree_write(&anna, R, "a", "aa"), b = tree_write(&anna, R, "b", "bb");

	ck_ok(namespace_link(tree_store, &anna, a, R, view_str("a2"), &inode, e));
	inode_put(inode);
	ck_ok(namespace_link(tree_store, &anna, b, R, view_str("b2"), &inode, e));
	inode_put(inode);
	ck_ok(namespace_rename(tree_store, &ben, R, view_str("a"), R, view_str("b"),
			       RENAME_EXCHANGE, 0, &replaced, e));
	/* Tree_doc: the name's is the inode's. */
	ck_assert_uint_eq(tree_doc(R, "a2"), tree_doc(R, "b"));
	ck_assert_uint_eq(tree_doc(R, "b2"), tree_doc(R, "a"));
}
END_TEST

START_TEST(a_save_over_an_unread_version_is_a_conflict)
{
	uint64_t ino = tree_write(&anna, R, "x", "one");

	tree_save_as(&ben, ino, "two", 1, false);
	struct saved saved = tree_save_as(&anna, ino, "three", 1, false);
	ck_assert(saved.conflict);
	ck_assert_uint_eq(saved.number, 3);
}
END_TEST

START_TEST(old_bytes_saved_again_say_from)
{
	struct buf memory = { 0 };
	struct version_record v;
	uint64_t ino = tree_write(&anna, R, "x", "one");

	tree_save(&anna, ino, "two");
	struct saved saved = tree_save(&anna, ino, "one");
	ck_assert_uint_eq(saved.number, 3);
	ck_ok(version_get(tree_store, saved.doc, 3, &v, &memory, e));
	ck_assert_uint_eq(v.from, saved.doc);
	ck_assert_uint_eq(v.from_version, 1);
	buf_release(&memory);
}
END_TEST

START_TEST(a_hard_link_left_behind_splits_off)
{
	struct inode *inode = NULL;
	uint64_t ino = tree_write(&anna, R, "x", "one"), doc = tree_doc(R, "x");

	ck_ok(namespace_link(tree_store, &anna, ino, R, view_str("x.bak"), &inode, e));
	inode_put(inode);
	tree_write(&anna, R, "tmp", "two");
	tree_rename(&anna, R, "tmp", "x");
	ck_assert_uint_eq(tree_doc(R, "x"), doc);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_uint_ne(tree_doc(R, "x.bak"), doc);
	ck_assert_uint_eq(tree_inode(tree_ino(R, "x.bak")).nlink, 1);
	ck_assert_str_eq(tree_text(tree_doc(R, "x.bak"), 1), "one");
}
END_TEST

START_TEST(a_save_to_an_unlinked_file_is_kept)
{
	uint64_t gone, ino = tree_write(&anna, R, "x", "one"), doc = tree_doc(R, "x");

	ck_ok(namespace_unlink(tree_store, &ben, R, view_str("x"), &gone, e));
	struct saved saved = tree_save(&anna, ino, "two");
	ck_assert_uint_eq(saved.doc, doc);
	ck_assert_str_eq(tree_text(doc, 2), "two");
	ck_ok(namespace_drop_orphan(tree_store, ino, e));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lineage");
	TCase *rules = tcase_create("rules"), *dances = tcase_create("dances");

	tcase_add_test(rules, a_slot_that_never_was_gets_a_new_document);
	tcase_add_test(rules, a_slot_refilled_within_15_seconds_continues_its_document);
	tcase_add_test(rules, young_means_one_version_and_under_a_minute);
	tcase_add_test(rules, hint_names_are_those_of_temporary_and_lock_files);
	tcase_add_test(rules, a_hint_name_that_survives_with_content_is_promoted);
	tcase_add_test(rules, a_name_that_was_left_within_a_minute_was_passing);
	tcase_add_test(rules, attributes_after_a_save_belong_to_it);
	tcase_add_test(rules, a_long_open_writer_is_published);
	tcase_add_test(rules, a_conflict_is_a_save_over_somebody_elses_unread_version);
	tcase_add_checked_fixture(dances, tree_setup, tree_teardown);
	tcase_set_timeout(dances, 30);
	tcase_add_test(dances, saving_in_place_makes_the_next_version);
	tcase_add_test(dances, the_same_bytes_make_no_version);
	tcase_add_test(dances, zeros_written_into_a_hole_make_no_version);
	tcase_add_test(dances, folding_replaces_the_provisional_version);
	tcase_add_test(dances, temp_and_rename_is_one_version_of_the_destination);
	tcase_add_test(dances, each_save_is_counted_once_whatever_became_of_it);
	tcase_add_test(dances, moving_an_established_file_over_another_says_from);
	tcase_add_test(dances, excel_backup_and_rename_keeps_the_document);
	tcase_add_test(dances, delete_and_rename_keeps_the_document);
	tcase_add_test(dances, backup_by_rename_and_create_keeps_the_document);
	tcase_add_test(dances, gits_lock_file_gives_identity_back);
	tcase_add_test(dances, an_abandoned_lock_file_gives_identity_back);
	tcase_add_test(dances, one_temporary_name_serves_many_files);
	tcase_add_test(dances, link_and_unlink_is_rename);
	tcase_add_test(dances, a_plain_rename_takes_the_document_along);
	tcase_add_test(dances, an_exchange_gives_each_name_a_version);
	tcase_add_test(dances, an_exchange_takes_hard_links_along);
	tcase_add_test(dances, a_save_over_an_unread_version_is_a_conflict);
	tcase_add_test(dances, old_bytes_saved_again_say_from);
	tcase_add_test(dances, a_hard_link_left_behind_splits_off);
	tcase_add_test(dances, a_save_to_an_unlinked_file_is_kept);
	suite_add_tcase(suite, rules);
	suite_add_tcase(suite, dances);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
