/* sync.c - see sync.h. */
#include "sync.h"

#include <stdlib.h>

#include "log.h"
#include "store/lock.h"

struct waiting {
	struct waiting *next;
	void (*done)(void *arg, int rc);
	void *arg;
};

struct syncer {
	struct store *store;
	struct lock lock;
	pthread_cond_t changed;
	struct waiting *queue; /* newest first: order does not matter to a shared sync */
	bool stopping;
	pthread_t thread;
};

static int sync_store(struct syncer *syncer)
{
	struct error e = { 0 };
	int rc = store_sync(syncer->store, &e);

	if (rc < 0)
		log_line(LOG_ERR, "sync: %s", e.text);
	return rc;
}

static void *run(void *arg)
{
	struct syncer *syncer = arg;

	for (;;) {
		lock_take(&syncer->lock);
		while (!syncer->queue && !syncer->stopping)
			lock_wait(&syncer->lock, &syncer->changed);
		struct waiting *queue = syncer->queue;
		syncer->queue = NULL;
		lock_drop(&syncer->lock);
		if (!queue)
			return NULL;
		int rc = sync_store(syncer);
		while (queue) {
			struct waiting *next = queue->next;

			queue->done(queue->arg, rc);
			free(queue);
			queue = next;
		}
	}
}

int syncer_start(struct store *store, struct syncer **ret, struct error *e)
{
	struct syncer *syncer = calloc(1, sizeof(*syncer));

	if (!syncer)
		return error_set(e, -E_NO_MEMORY, "out of memory for the sync thread");
	syncer->store = store;
	lock_init(&syncer->lock, LOCK_QUEUE);
	pthread_cond_init(&syncer->changed, NULL);
	int err = pthread_create(&syncer->thread, NULL, run, syncer);
	if (err) {
		free(syncer);
		return error_set(e, -err, "cannot start the sync thread: %s", strerror(err));
	}
	*ret = syncer;
	return 0;
}

void syncer_stop(struct syncer *syncer)
{
	if (!syncer)
		return;
	lock_take(&syncer->lock);
	syncer->stopping = true;
	pthread_cond_signal(&syncer->changed);
	lock_drop(&syncer->lock);
	pthread_join(syncer->thread, NULL);
	pthread_cond_destroy(&syncer->changed);
	lock_destroy(&syncer->lock);
	free(syncer);
}

void syncer_queue(struct syncer *syncer, void (*done)(void *arg, int rc), void *arg)
{
	struct waiting *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		done(arg, sync_store(syncer));
		return;
	}
	waiting->done = done;
	waiting->arg = arg;
	lock_take(&syncer->lock);
	waiting->next = syncer->queue;
	syncer->queue = waiting;
	pthread_cond_signal(&syncer->changed);
	lock_drop(&syncer->lock);
}
