/* Times of directories, which the database learns some time after memory. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "store/clock.h"
#include "store/key.h"
#include "store/store.h"
#include "tree.h"

#define DIRECTORIES 40 /* more than may lag */

static int64_t time_in_memory(uint64_t ino)
{
	CLEANUP(inode_release) struct inode *inode = NULL;

	ck_ok(inode_get(tree_store, ino, &inode, e));
	ck_assert_int_eq(inode->r.mtime, inode->r.ctime);
	return inode->r.mtime;
}

static int64_t time_in_database(uint64_t ino)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(ino);
	struct inode_record r;

	ck_ok(kv_get(store_kv(tree_store), NULL, FAMILY_INODE, key_view(&key), &value, e));
	ck_ok(inode_decode(&r, buf_view(&value), e));
	return r.mtime;
}

static int64_t time_in_log(void)
{
	uint64_t change;
	int64_t time;

	store_head(tree_store, &change, &time);
	return time;
}

static void wait_for_a_second(int64_t ns_left)
{
	while (clock_now() % NS_PER_SECOND > NS_PER_SECOND - ns_left)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static void wait_for_the_next_second(void)
{
	int64_t second = clock_now() / NS_PER_SECOND;

	while (clock_now() / NS_PER_SECOND == second)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static void make_names(uint64_t directory, unsigned first, unsigned count)
{
	char name[32];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		tree_make(&anna, directory, name, S_IFREG | 0644);
	}
}

START_TEST(a_second_change_in_a_second_is_written_with_the_next_second)
{
	uint64_t a = tree_make(&anna, ROOT_INODE, "a", S_IFDIR | 0755);

	tree_make(&anna, ROOT_INODE, "b", S_IFDIR | 0755);
	wait_for_a_second(500000000);
	make_names(a, 0, 3);
	int64_t time = time_in_memory(a);
	ck_assert_int_eq(time, time_in_log());
	ck_assert_int_lt(time_in_database(a), time);
	wait_for_the_next_second();
	tree_make(&anna, ROOT_INODE, "c", S_IFREG | 0644);
	ck_assert_int_eq(time_in_memory(a), time);
	ck_assert_int_eq(time_in_database(a), time);
}
END_TEST

START_TEST(the_close_writes_what_lags)
{
	uint64_t a = tree_make(&anna, ROOT_INODE, "a", S_IFDIR | 0755);

	wait_for_a_second(500000000);
	make_names(a, 0, 3);
	int64_t time = time_in_memory(a);
	ck_assert_int_lt(time_in_database(a), time);
	tree_reopen();
	ck_assert_int_eq(time_in_database(a), time);
}
END_TEST

START_TEST(times_that_are_set_are_written_and_stay)
{
	struct attributes set = { .set_mtime = true, .mtime = 1000 };
	struct inode *inode = NULL;
	uint64_t a = tree_make(&anna, ROOT_INODE, "a", S_IFDIR | 0755);

	wait_for_a_second(500000000);
	make_names(a, 0, 3);
	ck_ok(namespace_setattr(tree_store, &anna, a, &set, &inode, e));
	inode_put(inode);
	ck_assert_int_eq(time_in_database(a), 1000);
	tree_reopen();
	ck_assert_int_eq(time_in_database(a), 1000);
}
END_TEST

/* What a worker makes of many directories before it is killed; it tells their times. */
static void be_killed(int to)
{
	uint64_t ino[DIRECTORIES];
	int64_t times[2];
	char name[32];

	tree_open();
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		ino[i] = tree_make(&anna, ROOT_INODE, name, S_IFDIR | 0755);
	}
	wait_for_a_second(700000000);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < DIRECTORIES; i++)
			make_names(ino[i], round, 1);
	}
	uint64_t replaced;
	ck_ok(namespace_rename(tree_store, &anna, ino[0], view_str("name-0"), ino[1],
			       view_str("name-9"), 0, 0, &replaced, e));
	ck_ok(namespace_unlink(tree_store, &anna, ino[2], view_str("name-1"), &replaced, e));
	unsigned lag = 0;
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		times[0] = (int64_t)ino[i];
		times[1] = time_in_memory(ino[i]);
		lag += time_in_database(ino[i]) < times[1];
		ck_assert_int_eq(write(to, times, sizeof(times)), sizeof(times));
	}
	ck_assert_uint_gt(lag, 0);
	raise(SIGKILL);
}

START_TEST(after_a_death_the_log_tells_the_times)
{
	int pipe_fds[2], status;
	int64_t times[2];
	unsigned n = 0;

	store_close(tree_store);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	pid_t child = fork();
	if (child == 0)
		be_killed(pipe_fds[1]);
	close(pipe_fds[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	tree_open();
	for (; read(pipe_fds[0], times, sizeof(times)) == sizeof(times); n++) {
		ck_assert_int_eq(time_in_memory((uint64_t)times[0]), times[1]);
		ck_assert_int_eq(time_in_database((uint64_t)times[0]), times[1]);
	}
	ck_assert_uint_eq(n, DIRECTORIES);
	close(pipe_fds[0]);
}
END_TEST

START_TEST(what_lags_stays_in_a_cache_that_is_too_small)
{
	struct store_options small = { .cache_bytes = 1 << 20 };
	uint64_t a;

	store_close(tree_store);
	ck_ok(store_open(tree_path, &small, &tree_store, e));
	a = tree_make(&anna, ROOT_INODE, "a", S_IFDIR | 0755);
	wait_for_a_second(900000000);
	make_names(a, 0, 2);
	int64_t time = time_in_memory(a);
	for (unsigned i = 0; clock_now() / NS_PER_SECOND == time / NS_PER_SECOND; i++)
		make_names(ROOT_INODE, i, 1);
	ck_assert_int_eq(time_in_memory(a), time);
	tree_make(&anna, ROOT_INODE, "c", S_IFREG | 0644);
	ck_assert_int_eq(time_in_database(a), time);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lagging");
	Suite *suite = suite_create("lagging");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, tree_setup, tree_teardown);
	tcase_add_test(tc, a_second_change_in_a_second_is_written_with_the_next_second);
	tcase_add_test(tc, the_close_writes_what_lags);
	tcase_add_test(tc, times_that_are_set_are_written_and_stay);
	tcase_add_test(tc, after_a_death_the_log_tells_the_times);
	tcase_add_test(tc, what_lags_stays_in_a_cache_that_is_too_small);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
