/* Where the threads that serve stay: fs/home.h. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/home.h"

static struct home home;

static void ask(uint32_t pid, uint64_t bytes, int here, unsigned times)
{
	while (times--)
		home_note(&home, pid, bytes, here);
}

static void setup(void)
{
	home_init(&home);
}

START_TEST(who_asks_alone_for_long_gets_a_home)
{
	ask(7, 100, 3, HOME_LONE_MIN);
	ck_assert_int_eq(home.at, HOME_NOWHERE);
	ask(7, 100, 3, 1);
	ck_assert_int_eq(home.at, 3);
	ask(7, 100, 2, 100); /* threads on their way there */
	ck_assert_int_eq(home.at, 3);
}
END_TEST

START_TEST(another_program_ends_it)
{
	ask(7, 100, 3, 100);
	ask(8, 100, 3, 1);
	ck_assert_int_eq(home.at, HOME_NOWHERE);
	for (int i = 0; i < 1000; i++)
		ask(7 + i % 2, 100, 3, 1);
	ck_assert_int_eq(home.at, HOME_NOWHERE);
}
END_TEST

START_TEST(what_nobody_waits_for_does_not_end_it)
{
	ask(7, 100, 3, 100);
	ask(0, HOME_BYTES_MAX + 1, 1, 100);
	ck_assert_int_eq(home.at, 3);
}
END_TEST

START_TEST(many_bytes_end_it)
{
	ask(7, HOME_BYTES_MAX, 3, 100);
	ck_assert_int_eq(home.at, 3);
	ask(7, HOME_BYTES_MAX + 1, 3, 1);
	ck_assert_int_eq(home.at, HOME_NOWHERE);
}
END_TEST

START_TEST(it_is_chosen_again_after_a_while)
{
	ask(7, 100, 3, HOME_LONE_MAX);
	ck_assert_int_eq(home.at, 3);
	ask(7, 100, 1, 2 + HOME_LONE_MIN);
	ck_assert_int_eq(home.at, 1);
}
END_TEST

static int allowed(void)
{
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

START_TEST(a_thread_goes_there_and_away_again)
{
	int before = allowed();

	ask(7, 100, sched_getcpu(), 100);
	home_go(&home);
	ck_assert_int_eq(allowed(), 1);
	ask(8, 100, sched_getcpu(), 1);
	home_go(&home);
	ck_assert_int_eq(allowed(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("home");
	TCase *tests = tcase_create("home");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, who_asks_alone_for_long_gets_a_home);
	tcase_add_test(tests, another_program_ends_it);
	tcase_add_test(tests, what_nobody_waits_for_does_not_end_it);
	tcase_add_test(tests, many_bytes_end_it);
	tcase_add_test(tests, it_is_chosen_again_after_a_while);
	tcase_add_test(tests, a_thread_goes_there_and_away_again);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
