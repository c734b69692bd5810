/* cmd_restart.c - daybook restart: another process takes over a mount, with the program that is
 * installed now. */
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "rows.h"
#include "store/clock.h"

/* A program that does not come up is waited for by the holder for 30 s; then comes the one before
 * it. */
#define WAIT_MS 50000

/* What a row says of the process that serves. */
struct seen {
	uint64_t worker, restarts;
};

static uint64_t number_of(const struct cell *cells, size_t count, const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);

	return cell && cell->kind == CELL_NUMBER ? (uint64_t)cell->number : 0;
}

static bool see(void *arg, const struct cell *cells, size_t count)
{
	struct seen *seen = arg;

	seen->worker = number_of(cells, count, "worker");
	seen->restarts = number_of(cells, count, "restarts");
	return true;
}

/* Waits until another process than `before` serves the place: how long that took, ns. */
static int wait_for_another(const struct whereabouts *place, const struct seen *before,
			    int64_t began, int64_t *ret_ns, struct error *e)
{
	struct request request = { .command = "status" };

	for (;;) {
		struct seen now = { 0 };
		struct answer answer = { .row = see, .arg = &now };
		int r = client_ask(place, &request, false, &answer, NULL);

		*ret_ns = clock_monotonic() - began;
		if (r == 0 && now.restarts > before->restarts)
			return 0;
		if (*ret_ns > WAIT_MS * 1000000ll)
			return error_set(
				e, -E_TIMEOUT,
				"no other process serves the share yet: see the daemon's log");
		usleep(5000);
	}
}

/* The process that serves does not answer: it is ended, or the user told how. */
static int end_it(const struct whereabouts *place, bool kill_it, struct error *e)
{
	pid_t pid;
	int process = client_server(place, &pid, e), r = 0;

	if (process < 0)
		return process;
	if (!kill_it)
		r = error_set(e, -E_TIMEOUT,
			      "process %d, which serves the share, does not answer: `daybook "
			      "restart --kill` ends it, and another takes over",
			      (int)pid);
	else if (pidfd_send_signal(process, SIGKILL, NULL, 0) < 0)
		r = error_system(e, "process %d, which serves the share, cannot be ended",
				 (int)pid);
	close(process);
	return r;
}

static void print_restarted(struct buf *out, const struct cell *cells, size_t count)
{
	buf_printf(out, "process %llu serves the share now\n",
		   (unsigned long long)number_of(cells, count, "worker"));
}

int cmd_restart(const struct invocation *in, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct request request = { .command = "restart" }, status = { .command = "status" };
	struct printer printer = { .row = print_restarted };
	struct seen before = { 0 };
	struct answer answer = { .row = see, .arg = &before };
	int64_t began = clock_monotonic(), took;
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	if (r < 0)
		return r;
	r = client_ask(&place, &request, false, &answer, e);
	if (r == -E_TIMEOUT && !before.worker)
		r = end_it(&place, option(in, "kill") != NULL, e);
	if (r < 0 && !before.worker) /* once it has answered, it may be gone before it says that it
					has done so */
		return r;
	r = wait_for_another(&place, &before, began, &took, e);
	return r < 0 ? r : rows_at(in, &place, &status, &printer, false, false, e);
}
