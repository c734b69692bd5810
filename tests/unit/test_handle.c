/* test_handle.c - the table of open files, in memory that outlives the process that made it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/handle.h"
#include "fs/region.h"

static struct error e;
static int region_fd;
static struct region *region;
static struct handles *handles;

static void setup(void)
{
	ck_assert_int_eq(region_new(&region_fd, &e), 0);
	ck_assert_int_eq(region_map(region_fd, &region, &e), 0);
	ck_assert_int_eq(handles_new(region_handles(region), &handles, &e), 0);
}

static void teardown(void)
{
	handles_free(handles);
	close(region_fd);
}

/* What the next process has of it. */
static void next_process(void)
{
	handles_free(handles);
	ck_assert_int_eq(region_map(region_fd, &region, &e), 0);
	ck_assert_int_eq(handles_new(region_handles(region), &handles, &e), 0);
}

static struct handle *add(uint64_t request, uint64_t ino)
{
	struct handle *handle;

	ck_assert_int_eq(handle_add(handles, request, &handle, &e), 0);
	handle->ino = ino;
	return handle;
}

START_TEST(an_id_finds_its_handle_until_it_is_removed)
{
	struct handle *a = add(10, 100), *b = add(12, 101), *found;
	uint64_t id = a->id;

	ck_assert_uint_ne(a->id, b->id);
	ck_assert_int_eq(handle_find(handles, id, &found, &e), 0);
	ck_assert_ptr_eq(found, a);
	handle_remove(handles, a);
	ck_assert_int_eq(handle_find(handles, id, &found, &e), -E_STALE);
	ck_assert_int_eq(handle_find(handles, 0, &found, &e), -E_STALE);
	ck_assert_int_eq(handle_find(handles, UINT64_MAX, &found, &e), -E_STALE);
	ck_assert_int_eq(handle_find(handles, HANDLES_MAX + 1ull, &found, &e), -E_STALE);
	ck_assert_ptr_eq(handle_opened_by(handles, 12), b);
	ck_assert_ptr_null(handle_opened_by(handles, 10));
}
END_TEST

/* A request that the kernel sends again for a closed handle must not meet another one. */
START_TEST(no_id_is_given_twice)
{
	struct handle *found, *first = add(10, 100);
	uint64_t ids[40];

	for (size_t i = 0; i < 40; i++) {
		struct handle *handle = add(20 + i, 200);

		ck_assert_ptr_ne(handle, first);
		ids[i] = handle->id;
		handle_remove(handles, handle);
		if (i % 8 == 7)
			next_process();
		first = handle_next(handles, 0);
		ck_assert_uint_eq(first->ino, 100);
		ck_assert_ptr_null(handle_next(handles, first->id));
	}
	add(99, 300);
	for (size_t i = 0; i < 40; i++)
		ck_assert_int_eq(handle_find(handles, ids[i], &found, &e), -E_STALE);
}
END_TEST

START_TEST(so_many_handles_and_no_more)
{
	struct handles *many;
	struct handle *handle, *middle = NULL;

	ck_assert_int_eq(handles_new(NULL, &many, &e), 0);
	for (uint64_t i = 1; i <= HANDLES_MAX; i++) {
		ck_assert_int_eq(handle_add(many, i, &handle, &e), 0);
		if (i == HANDLES_MAX / 2)
			middle = handle;
	}
	ck_assert_int_eq(handle_add(many, 0, &handle, &e), -E_TOO_MANY_OPEN);
	handle_remove(many, middle);
	ck_assert_int_eq(handle_add(many, 7, &handle, &e), 0);
	ck_assert_ptr_eq(handle, middle);
	ck_assert_int_eq(handle_add(many, 0, &handle, &e), -E_TOO_MANY_OPEN);
	handles_free(many);
}
END_TEST

START_TEST(open_files_are_open_for_the_next_process)
{
	struct handle *a = add(10, 100), *b = add(12, 101), *c = add(14, 102), *found;
	uint64_t first = a->id, last = c->id;

	strcpy(a->who.name, "anna");
	a->who.uid = 4001;
	a->flags = 2;
	a->file = (struct file *)a; /* another process's memory */
	handle_remove(handles, b);
	next_process();
	ck_assert_int_eq(handle_find(handles, first, &found, &e), 0);
	ck_assert_str_eq(found->who.name, "anna");
	ck_assert_uint_eq(found->who.uid, 4001);
	ck_assert_uint_eq(found->ino, 100);
	ck_assert_int_eq(found->flags, 2);
	ck_assert_ptr_null(found->file);
	ck_assert_ptr_eq(handle_next(handles, 0), found);
	ck_assert_uint_eq(handle_next(handles, first)->id, last);
	ck_assert_ptr_null(handle_next(handles, last));
	/* and new ones take nobody's place */
	for (int i = 0; i < 10; i++) {
		uint64_t id = add(20, 200)->id;

		ck_assert(id != first && id != last);
	}
}
END_TEST

START_TEST(what_a_dying_process_left_is_not_trusted)
{
	struct handle *at = region_handles(region), *a = add(10, 100), *b = add(12, 101), *found;
	uint64_t first = a->id, second = b->id;

	memset(a->who.name, 'x', sizeof(a->who.name));
	memset(a->who.command, 'x', sizeof(a->who.command));
	memset(a->who.client, 'x', sizeof(a->who.client));
	b->id = 77; /* in another's place */
	next_process();
	ck_assert_int_eq(handle_find(handles, first, &found, &e), 0);
	ck_assert_uint_lt(strlen(found->who.name), sizeof(found->who.name));
	ck_assert_uint_lt(strlen(found->who.command), sizeof(found->who.command));
	ck_assert_uint_lt(strlen(found->who.client), sizeof(found->who.client));
	ck_assert_int_eq(handle_find(handles, second, &found, &e), -E_STALE);
	ck_assert_int_eq(handle_find(handles, 77, &found, &e), -E_STALE);
	handles_free(handles);
	handles = NULL;
	at[0].id = HANDLES_MAX + 1ull; /* more than there is memory for */
	ck_assert_int_eq(handles_new(region_handles(region), &handles, &e), -E_CORRUPT);
}
END_TEST

START_TEST(another_daybooks_memory_is_refused)
{
	struct region *other;

	region->format++;
	ck_assert_int_eq(region_map(region_fd, &other, &e), -E_FORMAT_NEWER);
	region->format--;
	region->layout++;
	ck_assert_int_eq(region_map(region_fd, &other, &e), -E_FORMAT_NEWER);
	region->layout--;
	ck_assert_int_eq(region_map(region_fd, &other, &e), 0);
}
END_TEST

START_TEST(damaged_memory_is_refused)
{
	struct region *other;

	region->init_len = REGION_INIT_MAX + 1;
	ck_assert_int_eq(region_map(region_fd, &other, &e), -E_CORRUPT);
	region->init_len = 0;
	memset(region->store, '/', sizeof(region->store));
	ck_assert_int_eq(region_map(region_fd, &other, &e), -E_CORRUPT);
	region->store[1] = '\0';
	memset(region->mountpoint, '/', sizeof(region->mountpoint));
	ck_assert_int_eq(region_map(region_fd, &other, &e), -E_CORRUPT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handle");
	TCase *cases = tcase_create("handle");

	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, an_id_finds_its_handle_until_it_is_removed);
	tcase_add_test(cases, no_id_is_given_twice);
	tcase_add_test(cases, so_many_handles_and_no_more);
	tcase_add_test(cases, open_files_are_open_for_the_next_process);
	tcase_add_test(cases, what_a_dying_process_left_is_not_trusted);
	tcase_add_test(cases, another_daybooks_memory_is_refused);
	tcase_add_test(cases, damaged_memory_is_refused);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
