/* test_pace.c - who is held back so that others' saves stay quick. */
#include <check.h>
#include <stdlib.h>

#include "fs/pace.h"

#define SECOND ((int64_t)1000000000)
#define MS ((int64_t)1000000)
#define COPIER 7
#define SAVER 8

static struct pace pace;
static int64_t now;

static void setup(void)
{
	pace = (struct pace){ 0 };
	now = 100 * SECOND;
}

/* Somebody saves every 50 ms from a second ago on. */
static void people_save(void)
{
	for (int64_t at = now - SECOND; at < now; at += 50 * MS)
		pace_save(&pace, SAVER, at);
}

/* n changes of the thread, so many a second; how many are held back. */
static unsigned changes(uint32_t thread, unsigned n, int64_t per_s)
{
	unsigned held = 0;

	while (n-- > 0) {
		now += SECOND / per_s;
		held += pace_change(&pace, thread, now);
	}
	return held;
}

START_TEST(nobody_is_held_back_while_nobody_saves)
{
	ck_assert_uint_eq(changes(COPIER, 100000, 10000), 0);
	ck_assert_int_eq(pace_rest(&pace, now), 0);
}
END_TEST

START_TEST(who_changes_much_without_waiting_is_held_back_while_others_save)
{
	people_save();
	/* At this rate it is ahead by a second after about as many. */
	ck_assert_uint_eq(changes(COPIER, PACE_CHANGES_PER_S, 100000), 0);
	ck_assert_uint_ge(changes(COPIER, PACE_CHANGES_PER_S, 100000), PACE_CHANGES_PER_S / 2);
}
END_TEST

START_TEST(a_few_saves_hold_nobody_back)
{
	for (int i = 0; i < PACE_SAVES - 1; i++)
		pace_save(&pace, SAVER, now);
	ck_assert_uint_eq(changes(COPIER, 5000, 10000), 0);
	pace_save(&pace, SAVER, now);
	ck_assert_uint_eq(changes(COPIER, 100, 10000), 100);
}
END_TEST

START_TEST(who_waits_for_the_disk_is_not_held_back)
{
	for (int i = 0; i < 1000; i++) {
		people_save();
		ck_assert_uint_eq(changes(COPIER, 100, 100000), 0);
		pace_save(&pace, COPIER, now);
	}
}
END_TEST

START_TEST(who_changes_little_is_not_held_back)
{
	for (int i = 0; i < 100; i++) {
		people_save();
		ck_assert_uint_eq(changes(COPIER, 20, PACE_CHANGES_PER_S - 12), 0);
	}
}
END_TEST

START_TEST(an_importer_is_forgiven_a_second_after_it_paused)
{
	people_save();
	changes(COPIER, 100000, 100000);
	people_save();
	ck_assert(pace_change(&pace, COPIER, now));
	now += SECOND + SECOND / 10;
	people_save();
	ck_assert(!pace_change(&pace, COPIER, now));
}
END_TEST

START_TEST(two_importers_are_held_back_alike)
{
	people_save();
	for (int i = 0; i < 3000; i++) {
		unsigned one = changes(COPIER, 1, 100000), two = changes(COPIER + 1, 1, 100000);

		ck_assert_uint_eq(one, two);
	}
	ck_assert_uint_eq(changes(COPIER, 1, 100000), 1);
}
END_TEST

START_TEST(importers_rest_in_proportion_and_not_for_long)
{
	people_save();
	pace_made(&pace, now, MS / 10);
	ck_assert_int_eq(pace_rest(&pace, now), PACE_REST * MS / 10);
	ck_assert_int_eq(pace_rest(&pace, now + PACE_REST * MS / 10), 0);
	pace_made(&pace, now, 10 * SECOND);
	ck_assert_int_eq(pace_rest(&pace, now), PACE_REST_NS_MAX);
	/* As soon as nobody saves any more, nobody rests. */
	now += 2 * SECOND;
	pace_made(&pace, now, MS);
	ck_assert_int_eq(pace_rest(&pace, now), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pace");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, nobody_is_held_back_while_nobody_saves);
	tcase_add_test(all, who_changes_much_without_waiting_is_held_back_while_others_save);
	tcase_add_test(all, a_few_saves_hold_nobody_back);
	tcase_add_test(all, who_waits_for_the_disk_is_not_held_back);
	tcase_add_test(all, who_changes_little_is_not_held_back);
	tcase_add_test(all, an_importer_is_forgiven_a_second_after_it_paused);
	tcase_add_test(all, two_importers_are_held_back_alike);
	tcase_add_test(all, importers_rest_in_proportion_and_not_for_long);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
