/* test_file.c - live files that are open: which saves a request answers for. */
#include "tree.h"

#include "fs/file.h"

static struct bases *bases;
static struct files *files;
static uint64_t ino;

static void setup(void)
{
	tree_setup();
	ck_ok(bases_new(NULL, &bases, e));
	ck_ok(files_new(tree_store, bases, &files, e));
	ino = tree_write(&anna, ROOT_INODE, "plan", "first");
}

static void teardown(void)
{
	files_free(files, false);
	bases_free(bases);
	request_number = 0;
	tree_teardown();
}

/* A handle of a session of that user. */
static struct handle open_as(uint32_t uid, uint64_t id)
{
	struct handle handle = { .id = id, .ino = ino, .who = { .uid = uid, .tgid = uid } };

	ck_ok(file_get(files, ino, &handle.file, e));
	file_open(files, handle.file);
	return handle;
}

static void let_go(struct handle *handle)
{
	ck_ok(file_close(files, handle->file, handle, e));
	file_put(files, handle->file);
}

/* Writes by a request of that number. */
static void write_as(uint64_t number, struct handle *handle, const char *text)
{
	request_number = number;
	ck_ok(file_write(files, handle->file, handle, 0, text, strlen(text), e));
}

static bool take_last(void *arg, const struct log_record *record)
{
	*(uint64_t *)arg = record->request;
	return false;
}

/* The number of the request that the log's last change is said to answer. */
static uint64_t last_request(void)
{
	struct log_query newest_first = { 0 };
	uint64_t request = 0;

	ck_ok(changelog_each(tree_store, &newest_first, take_last, &request, e));
	return request;
}

START_TEST(who_wrote_closes_or_syncs_has_made_the_save)
{
	struct handle handle = open_as(4001, 1);

	write_as(10, &handle, "second");
	request_number = 11;
	ck_ok(file_sync(files, handle.file, &handle, e));
	ck_assert_uint_eq(last_request(), 11);
	write_as(12, &handle, "third");
	request_number = 13;
	ck_ok(file_flush(files, handle.file, &handle, false, e));
	ck_assert_uint_eq(last_request(), 13);
	write_as(14, &handle, "fourth");
	request_number = 15;
	let_go(&handle);
	ck_assert_uint_eq(last_request(), 15);
}
END_TEST

START_TEST(a_change_by_path_is_its_request)
{
	struct handle reader = open_as(4001, 1);

	request_number = 10;
	ck_ok(file_truncate(files, reader.file, NULL, &reader.who, 2, e));
	ck_assert_uint_eq(last_request(), 10);
	let_go(&reader);
}
END_TEST

/* Should a rename be sent again that died between the two, it is still to be carried out. */
START_TEST(a_save_on_the_way_to_another_change_does_not_answer_for_it)
{
	struct handle handle = open_as(4001, 1);

	write_as(10, &handle, "second");
	request_number = 11;
	ck_ok(files_settle(files, ino, e));
	ck_assert_uint_eq(last_request(), 0);
	write_as(12, &handle, "third");
	request_number = 13;
	ck_ok(files_settle_written(files, ino, e));
	ck_assert_uint_eq(last_request(), 0);
	let_go(&handle);
}
END_TEST

START_TEST(a_save_of_what_another_wrote_is_not_the_requests)
{
	struct handle one = open_as(4001, 1), other = open_as(4002, 2);

	write_as(10, &one, "second");
	write_as(11, &other, "third");
	ck_assert_uint_eq(last_request(), 0);
	request_number = 12;
	ck_ok(file_sync(files, one.file, &one, e));
	ck_assert_uint_eq(last_request(), 0);
	let_go(&one);
	let_go(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *cases = tcase_create("file");

	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, who_wrote_closes_or_syncs_has_made_the_save);
	tcase_add_test(cases, a_change_by_path_is_its_request);
	tcase_add_test(cases, a_save_on_the_way_to_another_change_does_not_answer_for_it);
	tcase_add_test(cases, a_save_of_what_another_wrote_is_not_the_requests);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
