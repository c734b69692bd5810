/* test_memory.c - every operation of a store with each of its allocations failing in its turn.
 *
 * The n-th one fails, n being raised until the operation goes through without.  Whenever one failed
 * the operation says so or does without; what it says is that memory is out, and then nothing was
 * changed, the store verifies, and under a sanitizer nothing has leaked.  ALLOCATIONS=all looks at
 * each n; otherwise, of those beyond the first, at some. */
#include <sys/wait.h>

#include "scratch.h"
#include "tests/crash/memory.h"
#include "tests/crash/operations.h"

#define ALLOCATIONS_MAX 20000
#define ALLOCATIONS_EACH 24 /* after these each step is by a part more */
#define STEP_PART 6

void __lsan_do_leak_check(void) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* RocksDB's threads leave their lists of thread-local objects behind, LeakSanitizer believes, and
 * what a database that is closed had asked them to do. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:__cxa_thread_atexit_impl\nleak:rocksdb::ThreadPoolImpl\n";
}

static char *directory;
static char base[200], copy[200];

static void make_base(void)
{
	int status;

	if (access("/dev/shm", W_OK) == 0) /* some thousand stores are opened */
		setenv("TMPDIR", "/dev/shm", 1);
	directory = scratch_new();
	snprintf(base, sizeof(base), "%s/base", directory);
	snprintf(copy, sizeof(copy), "%s/store", directory);
	pid_t child = fork();
	if (child == 0) {
		operations_prepare(base);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void remove_base(void)
{
	scratch_release(&directory);
}

static void fresh(const struct operation *op)
{
	char command[1000];

	operations_close();
	snprintf(command, sizeof(command), "rm -rf %s %s/backups && cp -a %s %s", copy, directory,
		 base, copy);
	ck_assert_int_eq(system(command), 0);
	operations_at(copy, directory);
	if (!(op->is & OPENS))
		MUST(operations_open(e));
	if (op->before)
		op->before();
}

/* After a failure: what was said, and what is so. */
static void look(const struct operation *op, unsigned n, uint64_t was, int rc,
		 const struct error *why)
{
	char when[100];

	snprintf(when, sizeof(when), "after %s without its allocation %u", op->name, n);
	if (rc < 0 && (rc != -E_NO_MEMORY || !why->text[0]))
		operations_fail("%s it answers %d (%s) \"%s\"", when, rc, error_name(rc),
				why->text);
	if (!operations_store || op->is & STEPS) {
		operations_close();
		MUST(operations_open(e));
	}
	if (rc < 0 && !(op->is & STEPS) && operations_fingerprint() != was)
		operations_fail("%s something has changed", when);
	if (op->is & REPAIRS)
		MUST(op->run(e));
	operations_check(when);
	if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
		operations_fail("%s there are leaks", when);
}

static unsigned step(unsigned n)
{
	bool slow = __lsan_do_recoverable_leak_check != NULL;

	if (getenv("ALLOCATIONS") || n < (slow ? ALLOCATIONS_EACH / 2 : ALLOCATIONS_EACH))
		return 1;
	return 1 + n / (slow ? STEP_PART / 2 : STEP_PART);
}

START_TEST(each_allocation_of_it_may_fail)
{
	const struct operation *op = &operations[_i];
	unsigned tolerated = 0, failed = 0;
	bool used = true;
	uint64_t was = 0;

	for (unsigned n = 1; n < ALLOCATIONS_MAX; n += step(n)) {
		struct error why = { 0 };

		if (used) {
			fresh(op);
			was = operations_store ? operations_fingerprint() : 0;
		}
		memory_fail_nth(n);
		int rc = op->run(&why);
		bool came = memory_came();
		memory_fail_nth(0);
		if (!came && rc < 0)
			operations_fail("%s: %d %s", op->name, rc, why.text);
		look(op, n, was, rc, &why);
		if (!came) {
			printf("# %s: up to %u allocations, %u failures, %u done without\n",
			       op->name, n - 1, failed, tolerated);
			return;
		}
		failed += rc < 0;
		tolerated += rc == 0;
		used = rc == 0 || op->is & STEPS;
	}
	operations_fail("%s: there is no end of allocations", op->name);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("memory");
	SRunner *runner = srunner_create(suite);
	const char *only = getenv("FAULTS");

	tcase_set_timeout(tcase, 600);
	tcase_add_unchecked_fixture(tcase, make_base, remove_base);
	for (int i = 0; i < (int)operation_count; i++) {
		if (!only || strstr(operations[i].name, only))
			tcase_add_loop_test(tcase, each_allocation_of_it_may_fail, i, i + 1);
	}
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
