/* test_history_names.c - what files, versions and people are called in the history tree. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/names.h"

#define TIME 1772547320123456789ll /* 2026-03-03T14:15:20 */
#define COOKIE 0x2fedcba987654321ull

static const char *shown(const char *raw)
{
	static char out[NAMES_LEN_MAX + 1];

	names_show(out, view_str(raw), COOKIE);
	return out;
}

static const char *version(const char *raw, uint64_t number, unsigned twin, const char *author)
{
	static char out[NAMES_LEN_MAX + 1];
	struct names_version v = { view_str(raw), COOKIE,           TIME, number,
				   twin,          view_str(author), false };

	names_version(out, &v);
	return out;
}

START_TEST(an_ordinary_name_stays_as_it_is)
{
	static const char *names[] = { "budget.xlsx",
				       ".bashrc",
				       "100%.txt",
				       "a.tar.gz",
				       "Straße nach Süden.odt",
				       "日本語.csv",
				       "it's (new) [2] #1 & co",
				       "e~" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_str_eq(shown(names[i]), names[i]);
}
END_TEST

START_TEST(what_windows_cannot_open_is_escaped)
{
	ck_assert_str_eq(shown("a:b|c?d*e<f>g\"h\\i"), "a%3Ab%7Cc%3Fd%2Ae%3Cf%3Eg%22h%5Ci");
	ck_assert_str_eq(shown("ends."), "ends%2E");
	ck_assert_str_eq(shown("ends "), "ends%20");
	ck_assert_str_eq(shown("new\nline\x7f"), "new%0Aline%7F");
	ck_assert_str_eq(shown("bad\xff utf\xc3"), "bad%FF utf%C3");
	ck_assert_str_eq(shown("\xc0\xaf\xed\xa0\x80"), "%C0%AF%ED%A0%80");
	ck_assert_str_eq(shown("%41"), "%2541");
	ck_assert_str_eq(shown("@GMT-2026.03.03-14.15.20"), "%40GMT-2026.03.03-14.15.20");
}
END_TEST

START_TEST(every_shown_name_leads_back)
{
	srand(7);
	for (int round = 0; round < 20000; round++) {
		char raw[NAMES_LEN_MAX + 1], out[NAMES_LEN_MAX + 1], again[NAMES_LEN_MAX + 1];
		static const char some[] = "aA4%EF2.: ~\xc3\xa4\xff\n";
		size_t len = 1 + (size_t)rand() % 40, back;
		uint64_t cookie;

		for (size_t i = 0; i < len; i++)
			raw[i] = some[(size_t)rand() % (sizeof(some) - 1)];
		names_show(out, view_of(raw, len), COOKIE);
		names_read(view_str(out), again, &back, &cookie);
		ck_assert_uint_eq(back, len);
		ck_assert_mem_eq(again, raw, len);
	}
}
END_TEST

START_TEST(a_version_is_called_by_time_number_and_author)
{
	ck_assert_str_eq(version("budget.xlsx", 12, 0, "anna"),
			 "budget.2026-03-03_14.15.20Z.v12.anna.xlsx");
	ck_assert_str_eq(version("README", 1, 0, "ben"), "README.2026-03-03_14.15.20Z.v1.ben");
	ck_assert_str_eq(version("a.tar.gz", 3, 2, "ben"),
			 "a.tar.2026-03-03_14.15.20Z.v3-2.ben.gz");
	ck_assert_str_eq(version(".bashrc", 3, 1, "ben"), ".bashrc.2026-03-03_14.15.20Z.v3.ben");
	ck_assert_str_eq(version("folder", 0, 0, "ben"), "folder.2026-03-03_14.15.20Z.ben");
	ck_assert_str_eq(version("folder", 0, 2, "ben"), "folder.2026-03-03_14.15.20Z-2.ben");
}
END_TEST

START_TEST(additions_stay_under_forty_characters)
{
	const char *long_author = "maximiliane.hohenzollern-sigmaringen";

	ck_assert_uint_lt(strlen(version("b.xlsx", 1, 0, long_author)), strlen("b.xlsx") + 40);
	ck_assert_uint_lt(strlen(version("b.xlsx", 1234567, 2, long_author)),
			  strlen("b.xlsx") + 40);
	ck_assert_ptr_nonnull(
		strstr(version("b.xlsx", 1, 0, "maximiliane.hohenzollern"), ".maximiliane"));
	ck_assert_str_eq(version("b", 1, 0, "maximiliane.."),
			 "b.2026-03-03_14.15.20Z.v1.maximiliane");
}
END_TEST

START_TEST(a_long_name_is_cut_and_keeps_its_extension_and_cookie)
{
	char raw[NAMES_LEN_MAX + 1], again[NAMES_LEN_MAX + 1];
	uint64_t cookie;
	size_t len;

	for (int i = 0; i < 250; i += 2)
		memcpy(raw + i, "\xc3\xa4", 3);
	memcpy(raw + 250, ".xlsx", 6);
	ck_assert_str_eq(shown(raw), raw);
	const char *name = version(raw, 7, 0, "anna");
	ck_assert_uint_le(strlen(name), NAMES_LEN_MAX);
	ck_assert_uint_gt(strlen(name), NAMES_LEN_MAX - 3);
	ck_assert_str_eq(name + strlen(name) - 10, ".anna.xlsx");
	memset(raw, ':', 255);
	raw[255] = '\0';
	ck_assert_uint_le(strlen(shown(raw)), NAMES_LEN_MAX);
	names_read(view_str(shown(raw)), again, &len, &cookie);
	ck_assert_uint_eq(cookie, COOKIE);
}
END_TEST

START_TEST(an_author_is_called_without_his_domain)
{
	char out[NAMES_AUTHOR_ROOM];

	names_author(out, view_str("anna"), 1, false);
	ck_assert_str_eq(out, "anna");
	names_author(out, view_str("DOM\\anna"), 1, false);
	ck_assert_str_eq(out, "anna");
	names_author(out, view_str("DOM\\anna"), 1, true);
	ck_assert_str_eq(out, "DOM+anna");
	names_author(out, view_str("anna maria/x:y."), 1, false);
	ck_assert_str_eq(out, "anna_maria_x_y");
	names_author(out, view_str("..anna"), 1, false);
	ck_assert_str_eq(out, "_.anna");
	names_author(out, view_of(NULL, 0), 1000, false);
	ck_assert_str_eq(out, "uid-1000");
	names_author(out, view_str("DOM\\"), 1000, false);
	ck_assert_str_eq(out, "uid-1000");
}
END_TEST

START_TEST(a_tag_must_be_showable)
{
	static const char *bad[] = { "",     " x",   "x ",       "x.", "a/b", "a:b",
				     "a\nb", "\xff", ".history", ".",  "..",  "@GMT-1" };
	char longest[300];

	ck_assert_int_eq(names_check(view_str("Q1 close 2026 (final) 100%"), NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(names_check(view_str(bad[i]), NULL) == -E_NAME_BAD, "%s", bad[i]);
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(names_check(view_of(longest, 256), NULL), -E_NAME_LONG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history_names");
	TCase *tests = tcase_create("history_names");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, an_ordinary_name_stays_as_it_is);
	tcase_add_test(tests, what_windows_cannot_open_is_escaped);
	tcase_add_test(tests, every_shown_name_leads_back);
	tcase_add_test(tests, a_version_is_called_by_time_number_and_author);
	tcase_add_test(tests, additions_stay_under_forty_characters);
	tcase_add_test(tests, a_long_name_is_cut_and_keeps_its_extension_and_cookie);
	tcase_add_test(tests, an_author_is_called_without_his_domain);
	tcase_add_test(tests, a_tag_must_be_showable);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
