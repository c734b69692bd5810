/* Unsaved bytes that a start finds, when the machine was started anew in between: CRASH_BOOT
 * (tests/crash/boot.c). */
#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "store/staging.h"
#include "tree.h"

/* A journal of ino with text in it, as a daemon of that boot leaves it. */
static void leave_journal(uint64_t ino, const char *text, bool begun_before_the_save)
{
	struct inode_record r = tree_inode(ino);
	struct staging_origin origin = { .ino = ino,
					 .content = r.content,
					 .size = r.size,
					 .uid = anna.uid,
					 .author = anna.name };
	struct staging *s;

	store_date_origin(tree_store, &origin);
	if (begun_before_the_save)
		tree_save(&anna, ino, "saved since");
	ck_ok(staging_begin(store_journals(tree_store), &origin, &s, e));
	ck_ok(staging_write(s, 0, text, strlen(text), e));
	staging_abandon(s);
}

static void start_anew(const char *boot)
{
	store_close(tree_store);
	setenv("CRASH_BOOT", boot, 1);
	tree_open();
}

START_TEST(unsaved_bytes_become_a_version_after_a_power_cut_too)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a", "first");
	uint64_t doc = tree_doc(ROOT_INODE, "a");

	leave_journal(ino, "later", false);
	start_anew("2");
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "later");
}
END_TEST

START_TEST(a_journal_that_a_power_cut_brings_back_does_not_undo_the_save_made_of_it)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a", "first");
	uint64_t doc = tree_doc(ROOT_INODE, "a");

	leave_journal(ino, "later", true);
	start_anew("2");
	ck_assert_uint_eq(tree_head(doc), 2);
	ck_assert_str_eq(tree_text(doc, 2), "saved since");
	ck_assert_str_eq(store_recovery_report(tree_store), "");
}
END_TEST

START_TEST(as_long_as_the_machine_goes_on_every_journal_is_recovered)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a", "first");
	uint64_t doc = tree_doc(ROOT_INODE, "a");

	leave_journal(ino, "written while it was restored", true);
	tree_reopen();
	ck_assert_uint_eq(tree_head(doc), 3);
	ck_assert_str_eq(tree_text(doc, 3), "written while it was restored");
}
END_TEST

START_TEST(bytes_written_over_a_save_that_was_lost_are_put_aside)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a", "first");
	struct staging_origin origin = { .ino = ino, .content = 4711, .size = 5 };
	struct staging *s;

	store_date_origin(tree_store, &origin);
	ck_ok(staging_begin(store_journals(tree_store), &origin, &s, e));
	ck_ok(staging_write(s, 0, "x", 1, e));
	staging_abandon(s);
	start_anew("2");
	ck_assert_uint_eq(tree_head(tree_doc(ROOT_INODE, "a")), 1);
	ck_assert_ptr_nonnull(strstr(store_recovery_report(tree_store), "did not reach the disk"));
}
END_TEST

static void *linger(void *arg)
{
	usleep(500000);
	_exit(0);
	return arg;
}

/* A process that has the store's lock and dies slowly: its first thread is gone, another still
 * holds what it had open. */
static pid_t start_dying(const char *path)
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid)
		return pid;
	int fd = open(path, O_RDWR);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0 ||
	    pthread_create(&thread, NULL, linger, NULL) != 0)
		_exit(1);
	syscall(SYS_exit, 0);
	_exit(1);
}

static bool is_kept(const char *name)
{
	return faccessat(store_staging_fd(tree_store), name, F_OK, 0) == 0;
}

START_TEST(what_was_put_aside_is_kept_for_half_a_year_and_never_written_over)
{
	struct timespec old[2] = { { .tv_sec = time(NULL) - 184 * 86400 },
				   { .tv_sec = time(NULL) - 184 * 86400 } };
	char rubbish[4096];

	memset(rubbish, 'x', sizeof(rubbish));
	for (int i = 0; i < 3; i++) {
		int fd = openat(store_staging_fd(tree_store), "abc", O_WRONLY | O_CREAT, 0600);

		ck_assert_int_eq(write(fd, rubbish, sizeof(rubbish)), (ssize_t)sizeof(rubbish));
		close(fd);
		start_anew("2");
	}
	ck_assert(is_kept("lost-abc") && is_kept("lost-abc.2") && is_kept("lost-abc.3") &&
		  !is_kept("abc"));
	ck_assert_int_eq(utimensat(store_staging_fd(tree_store), "lost-abc.2", old, 0), 0);
	start_anew("2");
	ck_assert(is_kept("lost-abc") && !is_kept("lost-abc.2") && is_kept("lost-abc.3"));
	ck_assert_ptr_nonnull(strstr(store_recovery_report(tree_store), "staging/lost-abc.2"));
}
END_TEST

START_TEST(a_store_whose_daemon_is_still_dying_is_waited_for)
{
	CLEANUP(buf_release) struct buf lock = { 0 };
	siginfo_t ended;
	int status;

	buf_printf(&lock, "%s/LOCK", tree_path);
	store_close(tree_store);
	tree_store = NULL;
	ck_assert_int_eq(truncate(buf_cstr(&lock), 0), 0);
	pid_t pid = start_dying(buf_cstr(&lock));
	usleep(100000);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT | WNOHANG), 0);
	ck_assert_int_eq(ended.si_pid, 0); /* it has not ended */
	tree_open();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void setup(void)
{
	setenv("CRASH_BOOT", "1", 1);
	tree_setup();
}

int main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tc = tcase_create("recovery");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tc, setup, tree_teardown);
	tcase_add_test(tc, unsaved_bytes_become_a_version_after_a_power_cut_too);
	tcase_add_test(tc,
		       a_journal_that_a_power_cut_brings_back_does_not_undo_the_save_made_of_it);
	tcase_add_test(tc, as_long_as_the_machine_goes_on_every_journal_is_recovered);
	tcase_add_test(tc, bytes_written_over_a_save_that_was_lost_are_put_aside);
	tcase_add_test(tc, what_was_put_aside_is_kept_for_half_a_year_and_never_written_over);
	tcase_add_test(tc, a_store_whose_daemon_is_still_dying_is_waited_for);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
