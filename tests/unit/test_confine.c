/* test_confine.c - what a process can no more once it has given it up.  Each question is asked in a
 * child of its own, which ends without what a sanitizer does at the end of a process: it would
 * trace it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/confine.h"
#include "scratch.h"
#include "store/bytes.h"

static char *store;

/* 0 when it could be done, else its errno. */
typedef int (*deed)(void);

static int confined(deed what)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct confinement confinement = { .store = store, .proc = -1 };
		struct error e = { 0 };

		if (confine_process(&confinement, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			_exit(255);
		}
		_exit(what());
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	ck_assert_int_ne(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static int execute(void)
{
	char *arguments[] = { "true", NULL };

	execv("/bin/true", arguments);
	return errno;
}

static int open_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int open_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int mount_something(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int leave_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int clone_user_namespace(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		_exit(0);
	return child < 0 ? errno : 0;
}

static int become_somebody(void)
{
	return setuid(65534) < 0 ? errno : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, nothing, NULL);

	return rc ? rc : pthread_join(thread, NULL);
}

static int write_at(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? errno : write(fd, "x", 1) == 1 ? 0 : EIO;
}

static int write_in_store(void)
{
	char path[256], other[256];

	snprintf(path, sizeof(path), "%s/file", store);
	snprintf(other, sizeof(other), "%s/renamed", store);
	int rc = write_at(path);
	return rc ? rc : rename(path, other) < 0 || unlink(other) < 0 ? errno : 0;
}

static int write_elsewhere(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s-beside", store);
	return write_at(path);
}

static int write_null(void)
{
	return write_at("/dev/null");
}

static int read_elsewhere(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char byte;

	return fd < 0 ? errno : read(fd, &byte, 1) == 1 ? 0 : EIO;
}

static int has_capabilities(void)
{
	int kept = prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0), more = 0;

	for (int capability = 0; capability < 64; capability++)
		more += prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1;
	return more - kept;
}

static int sees_effective(void)
{
	char text[4096], *line;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "CapEff:");
	return line && (strtoull(line + 7, NULL, 16) & ~(1ull << CAP_SYS_RESOURCE)) == 0 &&
			       strstr(text, "NoNewPrivs:\t1") ? 0 : 1;
}

START_TEST(a_confined_process_executes_traces_mounts_and_becomes_nothing)
{
	ck_assert_int_eq(confined(execute), EPERM);
	ck_assert_int_eq(confined(trace), EPERM);
	ck_assert_int_eq(confined(mount_something), EPERM);
	ck_assert_int_eq(confined(leave_user_namespace), EPERM);
	ck_assert_int_eq(confined(clone_user_namespace), EPERM);
	ck_assert_int_eq(confined(become_somebody), EPERM);
}
END_TEST

START_TEST(it_has_unix_sockets_and_threads_and_no_other_sockets)
{
	ck_assert_int_eq(confined(open_unix), 0);
	ck_assert_int_eq(confined(start_thread), 0);
	ck_assert_int_eq(confined(open_inet), EAFNOSUPPORT);
	ck_assert_int_eq(confined(open_netlink), EAFNOSUPPORT);
}
END_TEST

START_TEST(it_keeps_no_capability_but_the_named)
{
	ck_assert_int_eq(confined(sees_effective), 0);
	ck_assert_int_eq(confined(has_capabilities), 0);
}
END_TEST

START_TEST(it_reads_everywhere_and_writes_in_the_store)
{
	ck_assert_int_eq(confined(write_in_store), 0);
	ck_assert_int_eq(confined(write_null), 0);
	ck_assert_int_eq(confined(read_elsewhere), 0);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1)
		ck_assert_int_eq(confined(write_elsewhere), EACCES);
}
END_TEST

/* Of somebody else, in a directory that only he may search. */
START_TEST(a_store_that_is_not_roots_is_reached_all_the_same)
{
	ck_assert_int_eq(chmod(store, 0700), 0);
	ck_assert_int_eq(chown(store, 65534, 65534), 0);
	ck_assert_int_eq(confined(write_in_store), 0);
}
END_TEST

static void setup(void)
{
	store = scratch_new();
}

static void teardown(void)
{
	scratch_release(&store);
}

int main(void)
{
	Suite *suite = suite_create("confine");
	TCase *tests = tcase_create("confine");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_confined_process_executes_traces_mounts_and_becomes_nothing);
	tcase_add_test(tests, it_has_unix_sockets_and_threads_and_no_other_sockets);
	tcase_add_test(tests, it_keeps_no_capability_but_the_named);
	tcase_add_test(tests, it_reads_everywhere_and_writes_in_the_store);
	tcase_add_test(tests, a_store_that_is_not_roots_is_reached_all_the_same);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
