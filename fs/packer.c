/* packer.c - see packer.h. */
#include "packer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "store/clock.h"
#include "store/pack.h"
#include "ticker.h"

#define QUIET_MS 3000
#define BETWEEN_MS 10000
#define REST_MS_MAX 1000
#define NICENESS 15

struct packer {
	struct store *store;
	int64_t age_ns;
	struct ticker ticker;
	uint64_t head;       /* the newest change when last looked */
	int64_t worked_ns;   /* when the last piece of work began */
};

/* Whether something changed since it was last asked. */
static bool is_busy(struct packer *packer)
{
	uint64_t head;
	int64_t time;

	store_head(packer->store, &head, &time);
	bool busy = head != packer->head;
	packer->head = head;
	return busy;
}

/* Between two pieces of work: as long as people save, nothing is done; else it rests as long as it
 * worked. */
static bool pause_packing(void *arg, uint64_t done, uint64_t total)
{
	struct packer *packer = arg;
	int64_t worked_ms = (clock_monotonic() - packer->worked_ns) / 1000000;

	(void)done, (void)total;
	if (!ticker_rest(&packer->ticker, worked_ms < 1             ? 1
					  : worked_ms > REST_MS_MAX ? REST_MS_MAX
								    : worked_ms))
		return false;
	while (is_busy(packer)) {
		if (!ticker_rest(&packer->ticker, QUIET_MS))
			return false;
	}
	packer->worked_ns = clock_monotonic();
	return true;
}

static void *run(void *arg)
{
	struct packer *packer = arg;
	struct pack_options options = { .age_ns = packer->age_ns,
					.pause = pause_packing,
					.arg = packer };

	/* Not SCHED_IDLE: a save may wait for what is written here, and must not wait for all
	 * others first. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
	while (ticker_rest(&packer->ticker, BETWEEN_MS)) {
		struct pack_report report;
		struct error e = { 0 };

		if (is_busy(packer))
			continue;
		packer->worked_ns = clock_monotonic();
		int r = pack_run(packer->store, &options, &report, &e);
		if (r < 0 && r != -ECANCELED && r != -E_LOCKED)
			log_line(LOG_WARNING, "packing older versions: %s", e.text);
		else if (report.packed)
			log_line(LOG_DEBUG, "packed %llu versions",
				 (unsigned long long)report.packed);
	}
	return NULL;
}

int packer_start(struct store *store, unsigned age_s, struct packer **ret, struct error *e)
{
	struct packer *packer = calloc(1, sizeof(*packer));

	if (!packer)
		return error_set(e, -E_NO_MEMORY, "out of memory for the packer's thread");
	packer->store = store;
	packer->age_ns = (int64_t)age_s * 1000000000;
	int rc = ticker_start(&packer->ticker, run, packer, "packer's", e);
	if (rc < 0) {
		free(packer);
		return rc;
	}
	*ret = packer;
	return 0;
}

void packer_stop(struct packer *packer)
{
	if (!packer)
		return;
	ticker_stop(&packer->ticker);
	free(packer);
}
