/* packer.c - see packer.h. */
#include "packer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "store/clock.h"
#include "store/lock.h"
#include "store/pack.h"

#define QUIET_MS 3000
#define BETWEEN_MS 10000
#define REST_MS_MAX 1000
#define NICENESS 15

struct packer {
	struct store *store;
	int64_t age_ns;
	struct lock lock;
	pthread_cond_t changed;
	bool stopping;
	pthread_t thread;
	uint64_t head;       /* the newest change when last looked */
	int64_t worked_ns;   /* when the last piece of work began */
};

/* False when it is time to stop. */
static bool rest(struct packer *packer, unsigned ms)
{
	lock_take(&packer->lock);
	if (!packer->stopping)
		lock_wait_for(&packer->lock, &packer->changed, ms);
	bool stopping = packer->stopping;
	lock_drop(&packer->lock);
	return !stopping;
}

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
	if (!rest(packer, worked_ms < 1             ? 1
			  : worked_ms > REST_MS_MAX ? REST_MS_MAX
						    : (unsigned)worked_ms))
		return false;
	while (is_busy(packer)) {
		if (!rest(packer, QUIET_MS))
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
	while (rest(packer, BETWEEN_MS)) {
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
	lock_init(&packer->lock, LOCK_QUEUE);
	pthread_cond_init(&packer->changed, NULL);
	int err = pthread_create(&packer->thread, NULL, run, packer);
	if (err) {
		free(packer);
		return error_set(e, -err, "cannot start the packer's thread: %s", strerror(err));
	}
	*ret = packer;
	return 0;
}

void packer_stop(struct packer *packer)
{
	if (!packer)
		return;
	lock_take(&packer->lock);
	packer->stopping = true;
	pthread_cond_signal(&packer->changed);
	lock_drop(&packer->lock);
	pthread_join(packer->thread, NULL);
	pthread_cond_destroy(&packer->changed);
	lock_destroy(&packer->lock);
	free(packer);
}
