/* test_dirents.c - names in memory. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/dirents.h"

static struct dirents *dirents;

static void set_up(void)
{
	ck_assert_int_eq(dirents_new(100000, &dirents, NULL), 0);
}

static void tear_down(void)
{
	dirents_free(dirents);
}

static struct dirent_state find(uint64_t parent, const char *name, uint64_t *ret_epoch)
{
	struct dirent_state state;
	uint64_t epoch;

	dirents_find(dirents, parent, view_str(name), &state, &epoch);
	if (ret_epoch)
		*ret_epoch = epoch;
	return state;
}

static struct dirent_state there(uint64_t ino)
{
	return (struct dirent_state){ .live = DIRENT_THERE, .live_record = { .ino = ino } };
}

static void commit(uint64_t parent, const char *name, struct dirent_state state)
{
	dirents_commit(dirents, parent, view_str(name), &state);
}

START_TEST(what_a_change_made_is_known)
{
	commit(1, "a", there(7));
	ck_assert_int_eq(find(1, "a", NULL).live, DIRENT_THERE);
	ck_assert_uint_eq(find(1, "a", NULL).live_record.ino, 7);
	ck_assert_int_eq(find(1, "a", NULL).past, DIRENT_UNKNOWN);
	ck_assert_int_eq(find(2, "a", NULL).live, DIRENT_UNKNOWN);
	ck_assert_int_eq(find(1, "b", NULL).live, DIRENT_UNKNOWN);
	commit(1, "a",
	       (struct dirent_state){
		       .live = DIRENT_NONE, .past = DIRENT_THERE, .past_record = { .ino = 7 } });
	ck_assert_int_eq(find(1, "a", NULL).live, DIRENT_NONE);
	commit(1, "a", there(8));
	ck_assert_uint_eq(find(1, "a", NULL).live_record.ino, 8);
	ck_assert_uint_eq(find(1, "a", NULL).past_record.ino, 7);
}
END_TEST

static void list_name(uint64_t listing, const char *name, uint64_t ino)
{
	struct dirent_record record = { .ino = ino };

	dirents_list_name(dirents, 1, listing, view_str(name), &record);
}

START_TEST(what_changed_during_a_listing_is_newer_than_what_it_is_told)
{
	CLEANUP(buf_release) struct buf names = { 0 };
	uint64_t listing = dirents_list_begin(dirents, 1, 10);

	ck_assert_uint_gt(listing, 0);
	commit(1, "gone", (struct dirent_state){ .live = DIRENT_NONE, .past = DIRENT_THERE });
	commit(1, "new", there(5));
	list_name(listing, "gone", 3);
	list_name(listing, "stays", 4);
	ck_assert_int_eq(find(1, "absent", NULL).live, DIRENT_UNKNOWN);
	ck_assert(!dirents_list(dirents, 1, 10, &names));
	dirents_list_end(dirents, 1, listing);
	ck_assert_int_eq(find(1, "gone", NULL).live, DIRENT_NONE);
	ck_assert_uint_eq(find(1, "stays", NULL).live_record.ino, 4);
	ck_assert_int_eq(find(1, "absent", NULL).live, DIRENT_NONE);
	ck_assert_int_eq(find(1, "absent", NULL).past, DIRENT_UNKNOWN);
	ck_assert(!dirents_list(dirents, 1, 1, &names));
	ck_assert(dirents_list(dirents, 1, 2, &names));
	ck_assert_uint_eq(names.len, 2 * (sizeof(struct dirent_record) + 1) + 3 + 5);
	ck_assert_uint_eq(dirents_list_begin(dirents, 1, 10), 0);
}
END_TEST

START_TEST(more_names_than_are_wanted_are_not_listed_again)
{
	uint64_t listing = dirents_list_begin(dirents, 1, 1);

	ck_assert_uint_gt(listing, 0);
	list_name(listing, "one", 3);
	list_name(listing, "two", 4);
	ck_assert_uint_eq(dirents_list_begin(dirents, 1, 1), 0);
	ck_assert_uint_eq(dirents_list_begin(dirents, 1, 2), listing);
}
END_TEST

START_TEST(a_listing_of_a_directory_that_was_let_go_meanwhile_comes_to_nothing)
{
	uint64_t listing = dirents_list_begin(dirents, 1, 10);
	char name[16];

	commit(1, "gone", (struct dirent_state){ .live = DIRENT_NONE });
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		commit(2, name, there(7));
	}
	list_name(listing, "gone", 3);
	dirents_list_end(dirents, 1, listing);
	ck_assert_int_eq(find(1, "gone", NULL).live, DIRENT_UNKNOWN);
	uint64_t another = dirents_list_begin(dirents, 1, 10);
	ck_assert_uint_ne(another, listing);
	list_name(listing, "gone", 3);
	dirents_list_end(dirents, 1, listing);
	ck_assert_int_eq(find(1, "gone", NULL).live, DIRENT_UNKNOWN);
}
END_TEST

START_TEST(what_was_read_before_a_change_is_not_kept)
{
	struct dirent_state read = there(7);
	uint64_t epoch;

	find(1, "a", &epoch);
	commit(1, "b", there(8));
	dirents_offer(dirents, 1, view_str("a"), &read, epoch);
	ck_assert_int_eq(find(1, "a", &epoch).live, DIRENT_UNKNOWN);
	dirents_offer(dirents, 1, view_str("a"), &read, epoch);
	ck_assert_int_eq(find(1, "a", NULL).live, DIRENT_THERE);
}
END_TEST

START_TEST(all_names_of_a_new_directory_are_known)
{
	uint64_t epoch;

	dirents_commit_new(dirents, 5);
	ck_assert_int_eq(find(5, "a", NULL).live, DIRENT_NONE);
	ck_assert_int_eq(find(5, "a", &epoch).past, DIRENT_NONE);
	commit(5, "a", there(7));
	ck_assert_int_eq(find(5, "a", NULL).live, DIRENT_THERE);
	ck_assert_int_eq(find(5, "a", NULL).past, DIRENT_NONE);
	struct dirent_state nothing = { 0 };
	dirents_offer(dirents, 5, view_str(""), &nothing, epoch + 1);
	dirents_offer(dirents, 6, view_str(""), &nothing, epoch + 1);
	ck_assert_int_eq(find(6, "a", NULL).live, DIRENT_UNKNOWN);
}
END_TEST

START_TEST(a_directory_of_which_a_name_was_let_go_is_not_whole)
{
	char name[32];

	dirents_commit_new(dirents, 5);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		commit(5, name, there((uint64_t)i));
		ck_assert_int_eq(find(5, name, NULL).live, DIRENT_THERE);
	}
	ck_assert_int_eq(find(5, "0", NULL).live, DIRENT_UNKNOWN);
	ck_assert_int_eq(find(5, "none", NULL).live, DIRENT_UNKNOWN);
	ck_assert_int_eq(find(5, "4999", NULL).live, DIRENT_THERE);
}
END_TEST

START_TEST(a_directory_in_use_stays_whole)
{
	char name[32];

	dirents_commit_new(dirents, 5);
	commit(5, "a", there(7));
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		commit(6, name, there((uint64_t)i));
		ck_assert_int_eq(find(5, "a", NULL).live, DIRENT_THERE);
		ck_assert_int_eq(find(5, "b", NULL).live, DIRENT_NONE);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirents");
	TCase *all = tcase_create("dirents");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, what_a_change_made_is_known);
	tcase_add_test(all, what_was_read_before_a_change_is_not_kept);
	tcase_add_test(all, what_changed_during_a_listing_is_newer_than_what_it_is_told);
	tcase_add_test(all, more_names_than_are_wanted_are_not_listed_again);
	tcase_add_test(all, a_listing_of_a_directory_that_was_let_go_meanwhile_comes_to_nothing);
	tcase_add_test(all, all_names_of_a_new_directory_are_known);
	tcase_add_test(all, a_directory_of_which_a_name_was_let_go_is_not_whole);
	tcase_add_test(all, a_directory_in_use_stays_whole);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
