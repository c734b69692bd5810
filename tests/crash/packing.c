/* packing.c - see packing.h. */
#include "tests/crash/packing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/pack.h"

static struct {
	pthread_t thread;
	atomic_bool stopping;
	bool running;
} packer;

static bool may_go_on(void *arg, uint64_t all, uint64_t total)
{
	(void)arg, (void)all, (void)total;
	return !atomic_load(&packer.stopping);
}

static void pack(struct store *store, bool all)
{
	struct pack_options options = { .age_ns = -1, .all = all, .pause = may_go_on };
	struct pack_report report;
	struct error e = { 0 };
	int rc = pack_run(store, &options, &report, &e);

	if (rc < 0 && rc != -ECANCELED) {
		fprintf(stderr, "workload: packing: %s\n", e.text);
		exit(1);
	}
}

static void *run(void *arg)
{
	for (unsigned i = 0; !atomic_load(&packer.stopping); i++) {
		pack(arg, i % 8 == 7); /* and sweeps */
		usleep(3000);
	}
	return NULL;
}

void packing_begin(struct store *store)
{
	atomic_store(&packer.stopping, false);
	packer.running = pthread_create(&packer.thread, NULL, run, store) == 0;
}

void packing_end(void)
{
	atomic_store(&packer.stopping, true);
	if (packer.running)
		pthread_join(packer.thread, NULL);
	packer.running = false;
}
