/* test_logtext.c - rows as CSV and JSON, and the log's columns. */
#include <check.h>

#include "store/logtext.h"

static const char *csv_of(struct buf *out, const char *text)
{
	struct cell cell = cell_text("name", view_str(text));

	buf_clear(out);
	cells_csv(out, &cell, 1);
	return buf_cstr(out);
}

static const char *json_of(struct buf *out, struct view text)
{
	struct cell cell = cell_text("name", text);

	buf_clear(out);
	cells_json(out, &cell, 1);
	return buf_cstr(out);
}

START_TEST(a_csv_cell_is_quoted_only_when_it_must_be)
{
	CLEANUP(buf_release) struct buf out = { 0 };

	ck_assert_str_eq(csv_of(&out, "budget.xlsx"), "budget.xlsx\n");
	ck_assert_str_eq(csv_of(&out, "a b"), "a b\n");
	ck_assert_str_eq(csv_of(&out, "a,b"), "\"a,b\"\n");
	ck_assert_str_eq(csv_of(&out, "say \"hi\""), "\"say \"\"hi\"\"\"\n");
	ck_assert_str_eq(csv_of(&out, "two\nlines"), "\"two\nlines\"\n");
	ck_assert_str_eq(csv_of(&out, " blank"), "\" blank\"\n");
	ck_assert_str_eq(csv_of(&out, ""), "\n");
	ck_assert_str_eq(csv_of(&out, "\xff\xfe"), "\xff\xfe\n");
}
END_TEST

START_TEST(a_csv_cell_is_no_formula)
{
	CLEANUP(buf_release) struct buf out = { 0 };

	ck_assert_str_eq(csv_of(&out, "=1+1"), "'=1+1\n");
	ck_assert_str_eq(csv_of(&out, "+x"), "'+x\n");
	ck_assert_str_eq(csv_of(&out, "-x"), "'-x\n");
	ck_assert_str_eq(csv_of(&out, "@SUM(1,2)"), "\"'@SUM(1,2)\"\n");
	ck_assert_str_eq(csv_of(&out, "\tx"), "'\tx\n");
	ck_assert_str_eq(csv_of(&out, "\rx"), "\"'\rx\"\n");
	ck_assert_str_eq(csv_of(&out, "'x"), "''x\n");
	ck_assert_str_eq(csv_of(&out, "x=1"), "x=1\n");
}
END_TEST

START_TEST(json_is_valid_whatever_the_bytes)
{
	CLEANUP(buf_release) struct buf out = { 0 };

	ck_assert_str_eq(json_of(&out, view_str("a\"b\\c\n\x7f")),
			 "{\"name\":\"a\\\"b\\\\c\\u000a\\u007f\"}\n");
	ck_assert_str_eq(json_of(&out, view_str("M\xc3\xbcller \xf0\x9f\x93\x93")),
			 "{\"name\":\"M\xc3\xbcller \xf0\x9f\x93\x93\"}\n");
	ck_assert_str_eq(json_of(&out, view_str("\xff")), "{\"name\":\"\\udcff\"}\n");
	ck_assert_str_eq(json_of(&out, view_str("\xc3")), "{\"name\":\"\\udcc3\"}\n");
	/* overlong, a surrogate, past the last character */
	ck_assert_str_eq(json_of(&out, view_str("\xc0\x80")), "{\"name\":\"\\udcc0\\udc80\"}\n");
	ck_assert_str_eq(json_of(&out, view_str("\xed\xa0\x80")),
			 "{\"name\":\"\\udced\\udca0\\udc80\"}\n");
	ck_assert_str_eq(json_of(&out, view_str("\xf4\x90\x80\x80")),
			 "{\"name\":\"\\udcf4\\udc90\\udc80\\udc80\"}\n");
}
END_TEST

START_TEST(a_row_has_every_kind_of_cell)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct cell cells[] = { cell_number("number", 12), cell_number_some("none", 0),
				cell_time("time", 5), cell_flag("flag", true),
				cell_text("text", view_str("x")) };

	cells_csv_header(&out, cells, 5);
	cells_csv(&out, cells, 5);
	cells_json(&out, cells, 5);
	ck_assert_str_eq(buf_cstr(&out),
			 "number,none,time,flag,text\n"
			 "12,,1970-01-01T00:00:00.000000005Z,yes,x\n"
			 "{\"number\":12,\"none\":null,\"time\":\"1970-01-01T00:00:00.000000005Z\","
			 "\"flag\":true,\"text\":\"x\"}\n");
}
END_TEST

/* The interface of daybook-changelog(5): this test is changed by appending only. */
START_TEST(the_columns_of_the_log_stay_in_order)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct cell cells[LOG_COLUMN_COUNT];

	logtext_columns(cells);
	cells_csv_header(&out, cells, LOG_COLUMN_COUNT);
	ck_assert_str_eq(
		buf_cstr(&out),
		"change,time,operation,author,path,path2,document,version,from_document,from_"
		"version,"
		"size_before,size_after,before,after,flags,uid,gid,process,command,client,inode,"
		"digest_before,digest_after,previous\n");
}
END_TEST

START_TEST(a_log_record_becomes_a_row)
{
	CLEANUP(buf_release) struct buf out = { 0 }, memory = { 0 };
	struct cell cells[LOG_COLUMN_COUNT];
	struct log_record r = { .change = 7,
				.time = 1772547320123456789ll,
				.op = OP_SAVE,
				.uid = 1000,
				.gid = 100,
				.author = view_str("anna"),
				.path = view_str("dept/=a.csv"),
				.doc = 3,
				.version = 2,
				.size_after = 5,
				.command = view_str("cp"),
				.flags = LOG_CONFLICT | LOG_FOLDED };

	memset(r.digest_after.bytes, 0xab, DIGEST_LEN);
	logtext_cells(cells, &r, &memory);
	cells_csv(&out, cells, LOG_COLUMN_COUNT);
	ck_assert_str_eq(buf_cstr(&out),
			 "7,2026-03-03T14:15:20.123456789Z,save,anna,dept/"
			 "=a.csv,,3,2,,,0,5,,,conflict folded,1000,100,,cp,"
			 ",,,abababababababababababababababababababababababababababababababab,\n");
}
END_TEST

START_TEST(all_flags_and_digests_fit)
{
	CLEANUP(buf_release) struct buf out = { 0 }, memory = { 0 };
	struct cell cells[LOG_COLUMN_COUNT];
	struct log_record r = { .flags = UINT64_MAX };

	memset(r.digest_before.bytes, 1, DIGEST_LEN);
	memset(r.digest_after.bytes, 2, DIGEST_LEN);
	memset(r.prev.bytes, 3, DIGEST_LEN);
	logtext_cells(cells, &r, &memory);
	ck_assert(memcmp(cells[LOG_COLUMN_digest_before].text.data, "0101", 4) == 0);
	ck_assert(memcmp(cells[LOG_COLUMN_previous].text.data, "0303", 4) == 0);
	version_flag_words(&out, UINT64_MAX);
	ck_assert_str_eq(buf_cstr(&out), "incomplete conflict recovered copied lost");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("logtext");
	TCase *tests = tcase_create("logtext");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, a_csv_cell_is_quoted_only_when_it_must_be);
	tcase_add_test(tests, a_csv_cell_is_no_formula);
	tcase_add_test(tests, json_is_valid_whatever_the_bytes);
	tcase_add_test(tests, a_row_has_every_kind_of_cell);
	tcase_add_test(tests, the_columns_of_the_log_stay_in_order);
	tcase_add_test(tests, a_log_record_becomes_a_row);
	tcase_add_test(tests, all_flags_and_digests_fit);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
