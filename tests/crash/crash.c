/* crash.c - cuts a recorded run at many points and checks what a crash there would leave.
 *
 *   crash TRACE FINAL SCRATCH WORKLOAD RECORDER
 *   crash --after TRACE BYTES FINAL STATE      checks one state, made by others (tests/crash/power)
 *
 * TRACE: of the run; FINAL: the store's directory as the run left it; SCRATCH: a directory for
 * states, best in memory; WORKLOAD and RECORDER: to record recoveries, which are cut again.
 * POINTS=2000 and SEED=1 in the environment; MODEL=n for one of the models only, NEAR=CURRENT for
 * points only behind records that name such a file.  Points are spread over the models of disk.h,
 * each worked off by a process of its own; half of them at random, half next to records that are no
 * writes.  The same state is checked only once.  Prints TAP; a state that fails is kept. */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "disk.h"
#include "tests/crash/grow.h"
#include "tests/unit/noise.h"

#define STATE_SECONDS_MAX 60
#define RECOVERY_EVERY 12 /* of so many states one has its recovery recorded, */
#define RECOVERY_POINTS 4 /* and that is cut so often */

static const char *const model_names[DISK_MODELS] = { "killed", "power, names in order",
						      "power, POSIX only" };

/* A trace in memory. */
struct trace {
	const struct trace_head **at;
	size_t count, cap;
	void *bytes;
	size_t len;
};

struct tally {
	uint64_t points, states, recoveries, failed;
};

struct run {
	struct trace trace;
	const char *final, *scratch, *workload, *recorder;
	struct story *story;  /* shared with children */
	struct tally *tallies; /* shared: one for each model */
	uint64_t points, seed;
	const char *model, *near; /* NULL: all */
};

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(2);
}

static bool trace_load(const char *path, struct trace *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	*ret = (struct trace){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return false;
	ret->len = (size_t)st.st_size;
	ret->bytes = mmap(NULL, ret->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (ret->bytes == MAP_FAILED)
		give_up(path);
	close(fd);
	for (size_t at = 0; at + sizeof(struct trace_head) <= (size_t)st.st_size;) {
		const struct trace_head *head =
			(const struct trace_head *)((const char *)ret->bytes + at);

		if (head->magic != TRACE_MAGIC || at + head->size > (size_t)st.st_size)
			return false;
		GROW(ret->at, ret->count, ret->cap);
		ret->at[ret->count++] = head;
		at += head->size;
	}
	return true;
}

static void trace_unload(struct trace *trace)
{
	munmap(trace->bytes, trace->len);
	free(trace->at);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs check_store() in a process of its own: RocksDB asserts, and may hang. */
static bool check_apart(const struct run *run, const char *state, const struct promises *p,
			bool killed, int boot)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		char text[16];

		alarm(STATE_SECONDS_MAX);
		snprintf(text, sizeof(text), "%d", boot);
		if (!killed)
			setenv("CRASH_BOOT", text, 1);
		_exit(check_store(state, run->story, p, killed));
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		give_up("fork");
	if (WIFSIGNALED(status))
		fprintf(stderr, "  it ended with %s\n", strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- a set of hashes ---- */

struct seen {
	uint64_t *at;
	size_t count, cap;
};

static bool is_new(struct seen *seen, uint64_t hash)
{
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->at[i] == hash)
			return false;
	}
	GROW(seen->at, seen->count, seen->cap);
	seen->at[seen->count++] = hash;
	return true;
}

/* ---- recoveries ---- */

/* Lets the store in state recover, recorded into trace. */
static bool record_recovery(const struct run *run, const char *state, const char *trace,
			    bool killed)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setenv("CRASH_ROOT", state, 1);
		setenv("CRASH_TRACE", trace, 1);
		setenv("LD_PRELOAD", run->recorder, 1);
		if (!killed)
			setenv("CRASH_BOOT", "2", 1);
		alarm(STATE_SECONDS_MAX);
		execl(run->workload, run->workload, state, "1", "0", NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		give_up("fork");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Crashes the recovery of the store in state, which is used up, some times. */
static bool cut_recovery(const struct run *run, enum disk_model model, const char *state,
			 const struct promises *p, uint64_t *seed, struct tally *tally)
{
	char trace_path[4096], again[4096];
	struct trace trace;
	bool fine;

	snprintf(trace_path, sizeof(trace_path), "%s/recovery.%d", run->scratch, model);
	snprintf(again, sizeof(again), "%s/again.%d.%" PRIu64, run->scratch, model,
		 tally->recoveries);
	fine = record_recovery(run, state, trace_path, model == DISK_KILLED) &&
	       trace_load(trace_path, &trace);
	if (fine) {
		for (int i = 0; fine && i < RECOVERY_POINTS; i++) {
			struct disk *disk = disk_new(model);
			size_t cut = noise_below(seed, trace.count);

			for (size_t at = 0;
			     at < trace.count && (at < cut || trace.at[at]->op <= TRACE_FOUND);
			     at++)
				disk_step(disk, trace.at[at]);
			disk_make(disk, NULL, seed, again);
			fine = check_apart(run, again, p, model == DISK_KILLED, 3);
			if (fine)
				remove_tree(again);
			else
				fprintf(stderr,
					"  after a crash at record %zu of %zu of its recovery, in "
					"%s\n",
					cut, trace.count, again);
			disk_free(disk);
			tally->recoveries++;
		}
		trace_unload(&trace);
	}
	unlink(trace_path);
	return fine;
}

/* ---- points ---- */

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

/* Whether the record before the point is of the kind that is sought. */
static bool is_telling(const struct run *run, size_t point)
{
	const struct trace_head *r = point ? run->trace.at[point - 1] : NULL;

	if (!run->near)
		return !r || r->op != TRACE_WRITE;
	return r && memmem(r + 1, (size_t)r->path_len + r->path2_len, run->near, strlen(run->near));
}

static size_t *choose_points(const struct run *run, size_t n, uint64_t *seed)
{
	size_t *points = calloc(n + 1, sizeof(*points));

	for (size_t i = 0; points && i < n; i++) {
		size_t at = noise_below(seed, run->trace.count + 1);

		for (size_t tries = 0;
		     (i % 2 || run->near) && tries < 100000 && !is_telling(run, at); tries++)
			at = noise_below(seed, run->trace.count + 1);
		points[i] = at;
	}
	if (!points)
		abort();
	qsort(points, n, sizeof(*points), by_size);
	return points;
}

static void keep_state(const struct run *run, const char *state, enum disk_model model,
		       size_t point)
{
	char kept[4096];

	snprintf(kept, sizeof(kept), "%s/failed.%d.%zu", run->scratch, model, point);
	rename(state, kept);
	fprintf(stderr,
		"  that was: %s, cut before record %zu of %zu, seed %" PRIu64
		"; opened and kept in %s\n\n",
		model_names[model], point, run->trace.count, run->seed, kept);
}

static void check_point(const struct run *run, enum disk_model model, struct disk *disk,
			size_t point, const struct promises *p, struct seen *seen, uint64_t *seed)
{
	const struct trace_head *under = point < run->trace.count ? run->trace.at[point] : NULL;
	struct tally *tally = &run->tallies[model];
	char state[4096];

	snprintf(state, sizeof(state), "%s/state.%d", run->scratch, model);
	uint64_t hash = disk_make(disk, under, seed, state);
	tally->points++;
	if (is_new(seen, hash ^ p->done ^ p->durable << 32)) {
		tally->states++;
		bool fine = p->opened && tally->states % RECOVERY_EVERY == 0 ?
				    cut_recovery(run, model, state, p, seed, tally) :
				    check_apart(run, state, p, model == DISK_KILLED, 2);
		if (!fine) {
			tally->failed++;
			keep_state(run, state, model, point);
		}
	}
	remove_tree(state);
}

static void work_off(const struct run *run, enum disk_model model)
{
	uint64_t seed = run->seed * DISK_MODELS + model;
	size_t n = run->model ? run->points : run->points / DISK_MODELS + 1, at = 0;
	size_t *points = choose_points(run, n, &seed);
	struct disk *disk = disk_new(model);
	struct promises promises = { 0 };
	struct seen seen = { 0 };

	for (size_t i = 0; i < n && run->tallies[model].failed < 10; i++) {
		for (; at < points[i]; at++) {
			disk_step(disk, run->trace.at[at]);
			if (run->trace.at[at]->op == TRACE_ACK)
				promises_note(&promises, run->trace.at[at]);
		}
		check_point(run, model, disk, at, &promises, &seen, &seed);
	}
}

/* ---- the whole ---- */

/* The trace tells all: what it makes is what the run left. */
static bool is_complete(const struct run *run)
{
	struct disk *disk = disk_new(DISK_KILLED);

	for (size_t i = 0; i < run->trace.count; i++)
		disk_step(disk, run->trace.at[i]);
	bool same = disk_is(disk, run->final);
	disk_free(disk);
	return same;
}

static void *shared(size_t n)
{
	void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		give_up("mmap");
	return at;
}

static bool read_story(const struct run *run)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(story_read(run->final, run->story));
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static bool is_chosen(const struct run *run, int model)
{
	return !run->model || atoi(run->model) == model;
}

static bool is_fine(const struct run *run, int model)
{
	const struct tally *t = &run->tallies[model];

	return !t->failed && (t->points || !is_chosen(run, model));
}

static void report(const struct run *run, unsigned seconds)
{
	struct tally sum = { 0 };

	for (int model = 0; model < DISK_MODELS; model++) {
		const struct tally *t = &run->tallies[model];

		printf("%sok %d - %s: %" PRIu64 " points, %" PRIu64 " different states, %" PRIu64
		       " recoveries crashed again, %" PRIu64 " lost something%s\n",
		       is_fine(run, model) ? "" : "not ", model + 2, model_names[model], t->points,
		       t->states, t->recoveries, t->failed,
		       is_chosen(run, model) ? "" : " # SKIP not asked for");
		sum.points += t->points;
		sum.failed += t->failed;
	}
	printf("# %" PRIu64 " points in %u s, seed %" PRIu64 ", %zu records, %" PRIu64 " changes\n",
	       sum.points, seconds, run->seed, run->trace.count, run->story->head);
}

/* The store in a directory after a power cut: what was promised stands in the trace's first
 * bytes. */
static int check_after(struct run *run, char **arguments)
{
	const char *path = arguments[0], *state = arguments[3];
	size_t bytes = strtoull(arguments[1], NULL, 10);
	struct promises promises = { 0 };

	run->final = arguments[2];
	if (!trace_load(path, &run->trace) || !read_story(run))
		return 2;
	for (size_t i = 0; i < run->trace.count; i++) {
		if ((const char *)run->trace.at[i] + run->trace.at[i]->size >
		    (const char *)run->trace.bytes + bytes)
			break;
		promises_note(&promises, run->trace.at[i]);
	}
	printf("%zu files were promised, change %" PRIu64 " of %" PRIu64 "\n", promises.file_count,
	       promises.durable, run->story->head);
	return check_apart(run, state, &promises, false, 2) ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *points = getenv("POINTS"), *seed = getenv("SEED");
	struct run run = { .story = shared(sizeof(struct story)),
			   .tallies = shared(DISK_MODELS * sizeof(struct tally)),
			   .model = getenv("MODEL"),
			   .near = getenv("NEAR") };
	time_t began = time(NULL);
	bool fine = true;

	if (argc == 6 && strcmp(argv[1], "--after") == 0)
		return check_after(&run, argv + 2);
	if (argc != 6)
		return fprintf(stderr, "usage: crash TRACE FINAL SCRATCH WORKLOAD RECORDER\n"), 2;
	run.final = argv[2], run.scratch = argv[3], run.workload = argv[4], run.recorder = argv[5];
	run.points = points ? strtoull(points, NULL, 10) : 2000;
	run.seed = seed ? strtoull(seed, NULL, 10) : 1;
	printf("1..%d\n", DISK_MODELS + 1);
	fine = trace_load(argv[1], &run.trace) && is_complete(&run) && read_story(&run);
	printf("%sok 1 - the trace tells all that the run did to the store\n", fine ? "" : "not ");
	fflush(stdout);
	if (!fine)
		return 1;
	for (int model = 0; model < DISK_MODELS; model++) {
		pid_t child = is_chosen(&run, model) ? fork() : -1;

		if (child == 0) {
			work_off(&run, (enum disk_model)model);
			_exit(0);
		}
	}
	for (int status; wait(&status) > 0;)
		fine = fine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	report(&run, (unsigned)(time(NULL) - began));
	for (int model = 0; model < DISK_MODELS; model++)
		fine = fine && is_fine(&run, model);
	return fine ? 0 : 1;
}
