/* test_repair.c - what can be made again is made again, and nothing else is touched. */
#include "store/internal.h"
#include "store/repair.h"
#include "store/verify.h"
#include "tree.h"

static char found[8192]; /* what verify says, one sentence a line */

static bool keep(void *arg, const char *sentence)
{
	(void)arg;
	if (strlen(found) + strlen(sentence) + 2 < sizeof(found)) {
		strcat(found, sentence);
		strcat(found, "\n");
	}
	return true;
}

static uint64_t damaged(void)
{
	struct verify_report report;
	struct error e = { 0 };

	found[0] = '\0';
	int r = verify_store(tree_store, &(struct verify_options){ .read_contents = true }, keep,
			     NULL, NULL, &report, &e);
	ck_assert_msg(r == 0 || r == -E_FAILED_VERIFY, "%s", e.text);
	return report.damaged;
}

static uint64_t dept;

static void fill(void)
{
	struct inode *inode = NULL;

	tree_setup();
	dept = tree_make(&anna, ROOT_INODE, "dept", S_IFDIR | 0755);
	uint64_t file = tree_write(&anna, dept, "budget.xlsx", "one");
	tree_save(&ben, file, "two");
	uint64_t below = tree_make(&ben, dept, "below", S_IFDIR | 0755);
	tree_write(&ben, below, "plan", "a plan");
	usleep(1100000); /* the clock has an entry */
	tree_rename(&anna, dept, "below", "moved");
	tree_write(&anna, dept, "twice", "linked");
	ck_ok(namespace_link(tree_store, &anna, tree_ino(dept, "twice"), ROOT_INODE,
			     view_str("again"), &inode, e));
	inode_put(inode);
	tree_write(&ben, dept, "gone", "soon");
	tree_unlink(&ben, dept, "gone");
	ck_assert_msg(damaged() == 0, "%s", found);
}

static struct repair_report repair(bool dry)
{
	struct repair_report report;

	ck_ok(repair_store(tree_store, &anna, dry, NULL, NULL, &report, e));
	return report;
}

/* Removes every entry of a family: how many there were. */
static uint64_t wipe(enum family family)
{
	struct kv_batch batch = { 0 };
	struct kv_iter *it =
		kv_iter_open(store_kv(tree_store), NULL, family, view_of(NULL, 0), false);
	struct view key;

	while (kv_iter_next(it, &key, NULL, NULL) > 0)
		kv_batch_delete(&batch, family, key);
	kv_iter_close(it);
	uint64_t count = kv_batch_count(&batch);
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	kv_batch_release(&batch);
	return count;
}

static uint64_t count(enum family family)
{
	struct kv_iter *it =
		kv_iter_open(store_kv(tree_store), NULL, family, view_of(NULL, 0), false);
	struct view key;
	uint64_t n = 0;

	while (kv_iter_next(it, &key, NULL, NULL) > 0)
		n++;
	kv_iter_close(it);
	return n;
}

static void put(enum family family, struct key key, struct view value)
{
	struct kv_batch batch = { 0 };

	kv_batch_put(&batch, family, key_view(&key), value);
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	kv_batch_release(&batch);
}

START_TEST(a_store_that_is_well_is_left_alone)
{
	uint64_t before, after;
	int64_t time;

	fill();
	store_head(tree_store, &before, &time);
	struct repair_report report = repair(false);
	for (int i = 0; i < FAMILY_COUNT; i++)
		ck_assert_msg(!report.added[i] && !report.removed[i], "family %d: %llu, %llu", i,
			      (unsigned long long)report.added[i],
			      (unsigned long long)report.removed[i]);
	store_head(tree_store, &after, &time);
	ck_assert_uint_eq(before, after);
	tree_teardown();
}
END_TEST

START_TEST(every_index_is_made_again_as_it_was)
{
	static const enum family families[] = { FAMILY_BY_USER,   FAMILY_UNDER, FAMILY_CLOCK,
						FAMILY_BY_DIGEST, FAMILY_LINK,  FAMILY_CHUNK_NAME };

	fill();
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		uint64_t there = wipe(families[i]);

		ck_assert_uint_gt(there, 0);
		ck_assert_uint_eq(repair(true).added[families[i]], there);
		ck_assert_uint_eq(count(families[i]), 0); /* a dry run does nothing */
		struct repair_report report = repair(false);
		ck_assert_uint_eq(report.added[families[i]], there);
		ck_assert_uint_eq(report.total, there);
		ck_assert_msg(damaged() == 0, "%s", found);
	}
	tree_reopen();
	ck_assert_msg(damaged() == 0, "%s", found);
	tree_teardown();
}
END_TEST

START_TEST(entries_that_lead_to_nothing_are_removed)
{
	struct digest digest = { { 7 } };

	fill();
	put(FAMILY_BY_USER, key_by_user(7, 4), view_of("", 0));
	put(FAMILY_BY_USER, key_by_user(anna.uid, 4000), view_of("", 0));
	put(FAMILY_UNDER, key_under(dept, 4000), view_of("", 0));
	put(FAMILY_CLOCK, key_number(1), view_of("\x04", 1));
	put(FAMILY_BY_DIGEST, key_by_digest(&digest, 1, 1), view_of("\x01", 1));
	put(FAMILY_LINK, key_link(4000, dept, view_str("nothing")), view_of("", 0));
	ck_assert_uint_gt(damaged(), 0);
	struct repair_report report = repair(false);
	ck_assert_uint_eq(report.removed[FAMILY_BY_USER], 2);
	ck_assert_uint_eq(report.removed[FAMILY_UNDER], 1);
	ck_assert_uint_eq(report.removed[FAMILY_CLOCK], 1);
	ck_assert_uint_eq(report.removed[FAMILY_BY_DIGEST], 1);
	ck_assert_uint_eq(report.removed[FAMILY_LINK], 1);
	ck_assert_uint_eq(report.total, 6);
	ck_assert_msg(damaged() == 0, "%s", found);
	tree_teardown();
}
END_TEST

START_TEST(wrong_counts_are_counted_again_and_the_log_says_so)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct log_record record;
	uint64_t head;
	int64_t time;

	fill();
	tree_store->live_files += 7;
	tree_store->version_bytes += 7;
	tree_make(&anna, dept, "new", S_IFREG | 0644); /* writes the counts */
	ck_assert_uint_gt(damaged(), 0);
	ck_assert_uint_eq(repair(false).added[FAMILY_META], 1);
	ck_assert_msg(damaged() == 0, "%s", found);
	store_head(tree_store, &head, &time);
	ck_ok(changelog_get(tree_store, head, &record, &memory, e));
	ck_assert_uint_eq(record.op, OP_REPAIR);
	ck_assert(view_equal(record.author, anna.name));
	tree_teardown();
}
END_TEST

START_TEST(a_lost_chunk_takes_nothing_else_with_it)
{
	fill();
	uint64_t doc = tree_doc(dept, "budget.xlsx");
	struct kv_batch batch = { 0 };
	struct key chunk = key_number(1); /* "one" */
	kv_batch_delete(&batch, FAMILY_CHUNK, key_view(&chunk));
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	kv_batch_release(&batch);
	tree_reopen();
	repair(false);
	ck_assert_uint_eq(damaged(), 1);
	ck_assert_msg(strstr(found, "dept/budget.xlsx, version 1"), "%s", found);
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "two");
	/* The bytes are there again, for what comes. */
	tree_save(&anna, tree_ino(dept, "budget.xlsx"), "one");
	tree_reopen();
	ck_assert_str_eq(tree_text(doc, 3), "one");
	tree_teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("repair");
	TCase *tests = tcase_create("repair");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_store_that_is_well_is_left_alone);
	tcase_add_test(tests, every_index_is_made_again_as_it_was);
	tcase_add_test(tests, entries_that_lead_to_nothing_are_removed);
	tcase_add_test(tests, wrong_counts_are_counted_again_and_the_log_says_so);
	tcase_add_test(tests, a_lost_chunk_takes_nothing_else_with_it);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
