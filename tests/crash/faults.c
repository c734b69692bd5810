/* faults.c DIRECTORY - every operation of a store with every call that touches its directory
 * failing in its turn; run under record.c with CRASH_ROOT=DIRECTORY.  TAP: a point for each
 * operation and fault.
 *
 * For each operation (operations.c) and each way to fail the n-th call fails, n being raised until
 * the operation goes through without the fault.  An operation that fails has a code that fits and a
 * sentence.  Then, the disk being well again, the store verifies as it stands and after it was
 * opened anew, and has what had been saved and synced: before, and by an operation that said it had
 * succeeded.  FAULTS=save: only operations whose name has this in it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "operations.h"

#define CALLS_MAX 1000
#define SECONDS_MAX 60
#define GOES_ON_TRIES 110 /* of a tenth of a second */
#define GOES_ON_EVERY 8   /* it takes its time */
#define JOBS 8 /* at once: most of the time RocksDB waits before it tries again */

static const char *root;
/* The store as it was made; a job's directory, and its copy. */
static char base[4096], own[4096], worked_at[5000];

/* ---- ways to fail ---- */

enum source { OUTSIDE, KV, STAGING };

struct way {
	const char *name;
	enum source source;
	unsigned calls;
	int code; /* errno, of OUTSIDE and STAGING; of KV a code */
	bool lasting;
};

static const struct way ways[] = {
	{ "EIO", OUTSIDE, FAULT_ANY & ~FAULT_READ, EIO, false },
	{ "EIO for good", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_SYNC | FAULT_NAME, EIO, true },
	{ "reads that fail", OUTSIDE, FAULT_READ, EIO, false },
	{ "ENOSPC", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME, ENOSPC, false },
	{ "ENOSPC for good", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME, ENOSPC, true },
	{ "EDQUOT", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME | FAULT_SYNC, EDQUOT, false },
	{ "EDQUOT for good", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME | FAULT_SYNC, EDQUOT,
	  true },
	{ "EINTR", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_READ, EINTR, false },
	{ "short writes", OUTSIDE, FAULT_WRITE, 0, false },
	{ "ENOMEM", OUTSIDE, FAULT_OPEN | FAULT_MAP | FAULT_STAT, ENOMEM, false },
	{ "calls of the key-value store that fail", KV, 0, -E_KV, false },
	{ "writes to a journal that fail", STAGING, 0, ENOSPC, false },
};

static void arm(const struct way *way, unsigned n)
{
	struct fault fault = {
		.nth = n, .calls = way->calls, .code = way->code, .lasting = way->lasting
	};

	if (way->source == OUTSIDE)
		fault_set(&fault);
	else if (way->source == KV)
		kv_fail_nth(n, way->code);
	else
		staging_fail_nth(n, way->code, n % 2 ? 0 : 7);
}

static void disarm(void)
{
	fault_set(&(struct fault){ 0 });
	kv_fail_nth(0, 0);
	staging_fail_nth(0, 0, 0);
}

static bool fits(const struct way *way, int rc)
{
	int err = error_errno(rc);

	if (way->code == ENOSPC || way->code == EDQUOT)
		return err == ENOSPC || err == EIO;
	return err == EIO || (way->code > 0 && err == way->code);
}

/* ---- one try ---- */

static void __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
	char command[9000] = "unset LD_PRELOAD; ";
	size_t n = strlen(command);
	va_list args;

	va_start(args, format);
	vsnprintf(command + n, sizeof(command) - n, format, args);
	va_end(args);
	if (system(command) != 0)
		operations_fail("%s", command);
}

static void copy_store(const char *from, const char *to)
{
	shell("rm -rf '%s' '%s/backups' && cp -a '%s' '%s'", to, own, from, to);
}

/* What an operation that said it had succeeded, and was synced, must have done. */
static void check_done(const struct operation *op)
{
	if (strcmp(op->name, "save") == 0)
		operations_check_text("b", 2, "second text of b");
	if (strcmp(op->name, "create") == 0 && !operations_has("new"))
		operations_fail("what was created and synced is not there");
	if (strcmp(op->name, "unlink") == 0 && operations_has("b"))
		operations_fail("what was removed and synced is there again");
}

/* The disk is well again: an open store takes saves again by itself, or says that it must be opened
 * anew. */
static void check_goes_on(void)
{
	struct error why = { 0 };
	int rc = -1;

	for (unsigned i = 0; rc < 0 && i < GOES_ON_TRIES; i++) {
		rc = operations_save("kept", "text of later", &why);
		if (rc == 0)
			rc = store_sync(operations_store, &why);
		if (rc < 0)
			usleep(100000);
	}
	if (rc < 0 && !store_has_stopped(operations_store))
		operations_fail("it does not take saves again, and does not say so: %d %s", rc,
				why.text);
}

/* Exit status of a try: 0 the fault came and all is well, 1 all is not, 2 the operation went
 * through without it. */
static void try_once(const struct operation *op, const struct way *way, unsigned n)
{
	struct error why = { 0 };

	alarm(SECONDS_MAX);
	if (!(op->is & OPENS))
		MUST(operations_open(e));
	if (op->before)
		op->before();
	arm(way, n);
	int rc = op->run(&why),
	    synced = rc < 0 || !operations_store
			     ? rc
			     : store_sync(operations_store, rc < 0 ? NULL : &why);
	bool came = way->source != OUTSIDE ? rc < 0 || synced < 0 : fault_came();
	disarm();
	if (rc < 0 && (!fits(way, rc) || !why.text[0]))
		operations_fail("call %u: %s answers %d (%s) \"%s\"", n, op->name, rc,
				error_name(rc), why.text);
	bool mended = !(op->is & REPAIRS) || rc == 0;
	if (operations_store && mended)
		operations_check("as it stands");
	if (operations_store && came && n % GOES_ON_EVERY == 1)
		check_goes_on();
	operations_close();
	MUST(operations_open(e));
	if (!mended)
		MUST(op->run(e));
	operations_check("when it was opened again");
	if (synced == 0)
		check_done(op);
	operations_close();
	_exit(came ? 0 : 2);
}

/* 0, 1 or 2 as above. */
static int in_a_child(const struct operation *op, const struct way *way, unsigned n)
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		try_once(op, way, n);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 1;
	if (WIFSIGNALED(status))
		printf("#   call %u: ended with %s\n", n, strsignal(WTERMSIG(status)));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static bool try_all(const struct operation *op, const struct way *way, unsigned *ret_calls)
{
	unsigned n = 1;
	int result = 0;

	for (; n <= CALLS_MAX && result == 0; n++) {
		copy_store(base, worked_at);
		result = in_a_child(op, way, n);
	}
	*ret_calls = n - 2;
	if (result == 1)
		printf("#   when call %u failed: %s\n", n - 1, way->name);
	return result == 2;
}

/* ---- a sync that failed ---- */

/* Once the log could not be synced its pages may be gone although the next sync says 0: what is
 * acknowledged after that must not stand in what was written to it before. */
static void sync_that_failed(void)
{
	struct fault fault = { .nth = 1, .calls = FAULT_SYNC, .code = EIO, .path = ".log" };
	struct error why = { 0 };

	MUST(operations_open(e));
	MUST(store_sync(operations_store, e));
	shell("cd '%s/db' && stat -c '%%s %%n' *.log > ../../synced", worked_at);
	MUST(operations_save("b", "second text of b", e));
	fault_set(&fault);
	if (store_sync(operations_store, &why) == 0)
		operations_fail("a sync that failed says that it did not");
	disarm();
	int again = store_sync(operations_store, &why),
	    saved = operations_save("b", "third text of b", &why);
	int later = saved < 0 ? saved : store_sync(operations_store, &why);
	printf("#   after it: sync %d, save %d, sync %d\n", again, saved, later);
	shell("cp -a '%s' '%s/copy' && cd '%s/copy/db' && while read -r size name; do"
	      " [ ! -e \"$name\" ] || truncate -s \"$size\" \"$name\"; done < ../../synced",
	      worked_at, own, own);
	fflush(stdout);
	pid_t child = fork();
	int status;
	if (child == 0) { /* RocksDB is open here: the copy is opened by a program of its own */
		setenv("CRASH_BOOT", "2", 1);
		execl("/proc/self/exe", "faults", own, again == 0 ? "2" : "1",
		      later == 0 ? "3" : "1", NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The other half: which of b's versions must be in the copy. */
static int look_at_copy(uint64_t first, uint64_t second)
{
	static const char *const texts[] = { NULL, "text of b", "second text of b",
					     "third text of b" };
	char path[4200];

	snprintf(path, sizeof(path), "%s/copy", root);
	operations_at(path, root);
	MUST(operations_open(e));
	operations_check_text("b", first, texts[first]);
	if (second > 1)
		operations_check_text("b", second, texts[second]);
	operations_close();
	return 0;
}

/* ---- all of it ---- */

struct job {
	const struct operation *op; /* NULL: the sync that failed */
	const struct way *way;
	pid_t child;
	FILE *out;
	bool done, fine;
};

#define KINDS (sizeof(ways) / sizeof(ways[0]))
static struct job *jobs;
static size_t job_count;

/* All, or the one operation of that name, or those that have it in their names. */
static bool is_wanted(const struct operation *op)
{
	const char *only = getenv("FAULTS");
	bool exact = false;

	for (size_t i = 0; only && i < operation_count; i++)
		exact |= strcmp(operations[i].name, only) == 0;
	return !only || strcmp(only, "all") == 0 ||
	       (exact ? strcmp(op->name, only) == 0 : strstr(op->name, only) != NULL);
}

static void list_jobs(void)
{
	jobs = calloc(operation_count * KINDS + 1, sizeof(*jobs));
	for (size_t i = 0; jobs && i < operation_count * KINDS; i++) {
		const struct operation *op = &operations[i / KINDS];

		if (is_wanted(op))
			jobs[job_count++] = (struct job){ .op = op, .way = &ways[i % KINDS] };
	}
	job_count++;
}

static int work_off(const struct job *job, size_t number)
{
	unsigned calls = 0;
	bool fine;

	snprintf(own, sizeof(own), "%s/%zu", root, number);
	snprintf(worked_at, sizeof(worked_at), "%s/store", own);
	mkdir(own, 0700);
	operations_at(worked_at, own);
	if (job->op) {
		fine = try_all(job->op, job->way, &calls);
		printf("%sok %zu - %s: %s, %u calls\n", fine ? "" : "not ", number, job->op->name,
		       job->way->name, calls);
	} else {
		int status = 1;

		copy_store(base, worked_at);
		fflush(stdout);
		pid_t child = fork();
		if (child == 0)
			sync_that_failed();
		waitpid(child, &status, 0);
		fine = status == 0;
		printf("%sok %zu - after a sync that failed nothing is acknowledged that stands on "
		       "it\n",
		       fine ? "" : "not ", number);
	}
	shell("rm -rf '%s'", own);
	fflush(stdout);
	return !fine;
}

static void start(struct job *job)
{
	fflush(stdout);
	job->out = tmpfile();
	job->child = job->out ? fork() : -1;
	if (job->child < 0)
		operations_fail("a job could not be started");
	if (job->child == 0) {
		dup2(fileno(job->out), 1);
		_exit(work_off(job, (size_t)(job - jobs) + 1));
	}
}

/* Waits for one job, and tells of those whose turn it is. */
static void finish_one(size_t *told)
{
	int status;
	pid_t child = wait(&status);
	char line[1024];

	for (size_t i = 0; i < job_count; i++) {
		if (jobs[i].child == child && !jobs[i].done)
			jobs[i].done = true, jobs[i].fine = status == 0;
	}
	for (; *told < job_count && jobs[*told].done; ++*told) {
		rewind(jobs[*told].out);
		while (fgets(line, sizeof(line), jobs[*told].out))
			fputs(line, stdout);
		fclose(jobs[*told].out);
	}
	fflush(stdout);
}

static int prepare(void)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		operations_prepare(base);
		_exit(0); /* as killed: its log is to be replayed */
	}
	waitpid(child, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	size_t told = 0, failed = 0, running = 0;

	if (argc != 2 && argc != 4)
		return fprintf(stderr, "usage: faults DIRECTORY\n"), 2;
	root = argv[1];
	snprintf(base, sizeof(base), "%s/base", root);
	if (argc == 4)
		return look_at_copy(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	if (!fault_set)
		return fprintf(stderr, "faults: must run under record.so\n"), 2;
	list_jobs();
	printf("1..%zu\n", job_count);
	if (!jobs || prepare() != 0)
		return 1;
	for (size_t i = 0; i < job_count; i++) {
		if (running == JOBS)
			finish_one(&told), running--;
		start(&jobs[i]), running++;
	}
	while (told < job_count)
		finish_one(&told);
	for (size_t i = 0; i < job_count; i++)
		failed += !jobs[i].fine;
	return failed > 0;
}
