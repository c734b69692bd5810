/* test_clock.c - times as they are written and read. */
#include <check.h>

#include "store/clock.h"

#define NOW 1772547320123456789ll /* 2026-03-03T14:15:20.123456789Z */

static int64_t parsed(const char *text)
{
	struct error e = { 0 };
	int64_t ns = -1;
	int r = clock_parse(view_str(text), NOW, &ns, &e);

	ck_assert_msg(r == 0, "%s: %s", text, e.text);
	return ns;
}

START_TEST(a_time_has_a_name_that_sorts_and_an_iso_form)
{
	char name[CLOCK_NAME_LEN + 1], iso[31];

	clock_name(name, NOW);
	clock_iso(iso, NOW);
	ck_assert_str_eq(name, "2026-03-03_14.15.20Z");
	ck_assert_str_eq(iso, "2026-03-03T14:15:20.123456789Z");
	clock_name(name, 0);
	ck_assert_str_eq(name, "1970-01-01_00.00.00Z");
	clock_name(name, -1);
	ck_assert_str_eq(name, "1969-12-31_23.59.59Z");
	struct timespec before = clock_timespec(-1750000000);
	ck_assert(before.tv_sec == -2 && before.tv_nsec == 250000000);
}
END_TEST

START_TEST(every_day_of_four_centuries_goes_there_and_back)
{
	char name[CLOCK_NAME_LEN + 1];

	for (int64_t day = 0; day < 106000; day++) {
		int64_t ns = (day * 86400 + day % 86400) * NS_PER_SECOND;

		clock_name(name, ns);
		if (strncmp(name, "2261", 4) > 0)
			break;
		ck_assert_int_eq(parsed(name), ns + NS_PER_SECOND - 1);
	}
}
END_TEST

START_TEST(what_lies_before_the_first_year_is_before_all_stores)
{
	ck_assert_int_eq(parsed("-1000000000w"), -1);
	ck_assert_int_eq(parsed("999999999 weeks ago"), -1);
	ck_assert_int_lt(parsed("-3000w"), 0);
	ck_assert_int_gt(parsed("-2900w"), 0);
}
END_TEST

START_TEST(a_prefix_names_the_end_of_its_period)
{
	static const struct {
		const char *text, *end;
	} cases[] = {
		{ "2026", "2026-12-31_23.59.59Z" },
		{ "2026-02", "2026-02-28_23.59.59Z" },
		{ "2024-02", "2024-02-29_23.59.59Z" },
		{ "2026-03-03", "2026-03-03_23.59.59Z" },
		{ "2026-03-03_14", "2026-03-03_14.59.59Z" },
		{ "2026-03-03_14.15", "2026-03-03_14.15.59Z" },
		{ "2026-03-03Z", "2026-03-03_23.59.59Z" },
		{ "2026-03-03_14.15.20", "2026-03-03_14.15.20Z" },
		{ "2100-02", "2100-02-28_23.59.59Z" },
		{ "2000-02", "2000-02-29_23.59.59Z" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(parsed(cases[i].text) == parsed(cases[i].end), "%s", cases[i].text);
}
END_TEST

START_TEST(iso_forms_and_fractions_are_read)
{
	int64_t second = NOW / NS_PER_SECOND * NS_PER_SECOND;

	ck_assert_int_eq(parsed("2026-03-03T14:15:20Z"), second + NS_PER_SECOND - 1);
	ck_assert_int_eq(parsed("2026-03-03 14:15:20"), second + NS_PER_SECOND - 1);
	ck_assert_int_eq(parsed("2026-03-03T14:15:20.123456789Z"), NOW);
	ck_assert_int_eq(parsed("2026-03-03T14:15:20.5Z"), second + 599999999);
	ck_assert_int_eq(parsed("2026-03-03T14:15:20.1234567891234Z"), NOW);
}
END_TEST

START_TEST(words_and_distances_are_read)
{
	int64_t day = 86400 * NS_PER_SECOND, second = NOW / NS_PER_SECOND * NS_PER_SECOND;

	ck_assert_int_eq(parsed("now"), NOW);
	ck_assert_int_eq(parsed("today"), parsed("2026-03-03"));
	ck_assert_int_eq(parsed("yesterday"), parsed("2026-03-02"));
	ck_assert_int_eq(parsed("-3d"), second - 3 * day + NS_PER_SECOND - 1);
	ck_assert_int_eq(parsed("3 days ago"), parsed("-3d"));
	ck_assert_int_eq(parsed("1 week ago"), parsed("-7d"));
	ck_assert_int_eq(parsed("90min ago"), parsed("-5400s"));
}
END_TEST

START_TEST(a_period_has_a_beginning_too)
{
	static const struct {
		const char *text, *begin;
	} cases[] = {
		{ "2026", "2026-01-01_00.00.00Z" },
		{ "2024-02", "2024-02-01_00.00.00Z" },
		{ "2026-03-03_14", "2026-03-03_14.00.00Z" },
		{ "2026-03-03_14.15.20", "2026-03-03_14.15.20Z" },
		{ "today", "2026-03-03_00.00.00Z" },
		{ "yesterday", "2026-03-02_00.00.00Z" },
		{ "-1d", "2026-03-02_14.15.20Z" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t first, last;
		char name[CLOCK_NAME_LEN + 1];

		ck_assert_int_eq(
			clock_parse_period(view_str(cases[i].text), NOW, &first, &last, NULL), 0);
		clock_name(name, first);
		ck_assert_str_eq(name, cases[i].begin);
		ck_assert_int_eq(first % NS_PER_SECOND, 0);
		ck_assert_int_eq(last, parsed(cases[i].text));
	}
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *bad[] = {
		"",
		"20",
		"2026-",
		"2026-13",
		"2026-00",
		"2026-02-29",
		"2026-02-30",
		"2026-03-03_",
		"2026-03-03_24",
		"2026-03-03_14.60",
		"2026-03-03_14.15.60Z",
		"2026-03-03_14.15.20ZZ",
		"2026-03-03_14.15.20.Z",
		"3 days",
		"-d",
		"-3y",
		"--3d",
		"tomorrow",
		"1969",
		"9999",
		"-99999999999d",
		"2026-03-03x",
		"README.txt",
		"-3d ago",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error e = { 0 };
		int64_t ns;

		ck_assert_msg(clock_parse(view_str(bad[i]), NOW, &ns, &e) == -E_BAD_TIME, "%s",
			      bad[i]);
		ck_assert(e.text[0] != '\0');
	}
	ck_assert_int_eq(clock_parse(view_of("2026\0", 5), NOW, &(int64_t){ 0 }, NULL),
			 -E_BAD_TIME);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tests = tcase_create("clock");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, what_lies_before_the_first_year_is_before_all_stores);
	tcase_add_test(tests, a_time_has_a_name_that_sorts_and_an_iso_form);
	tcase_add_test(tests, every_day_of_four_centuries_goes_there_and_back);
	tcase_add_test(tests, a_prefix_names_the_end_of_its_period);
	tcase_add_test(tests, iso_forms_and_fractions_are_read);
	tcase_add_test(tests, words_and_distances_are_read);
	tcase_add_test(tests, a_period_has_a_beginning_too);
	tcase_add_test(tests, what_is_no_time_is_refused);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
