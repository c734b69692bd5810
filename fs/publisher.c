/* publisher.c - see publisher.h. */
#include "publisher.h"

#include <stdlib.h>

#include "store/lock.h"

struct publisher {
	struct files *files;
	struct store *store;
	void (*stopped)(void *arg);
	void *arg;
	struct lock lock;
	pthread_cond_t changed;
	bool stopping;
	pthread_t thread;
};

/* Waits for a second: false when it is time to stop. */
static bool wait_a_second(struct publisher *publisher)
{
	lock_take(&publisher->lock);
	if (!publisher->stopping)
		lock_wait_for(&publisher->lock, &publisher->changed, 1000);
	bool stopping = publisher->stopping;
	lock_drop(&publisher->lock);
	return !stopping;
}

static void *run(void *arg)
{
	struct publisher *publisher = arg;

	bool told = false;

	while (wait_a_second(publisher)) {
		files_publish(publisher->files);
		if (told || !store_has_stopped(publisher->store))
			continue;
		publisher->stopped(publisher->arg);
		told = true;
	}
	return NULL;
}

int publisher_start(struct files *files, struct store *store, void (*stopped)(void *arg), void *arg,
		    struct publisher **ret, struct error *e)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));

	if (!publisher)
		return error_set(e, -E_NO_MEMORY, "out of memory for the publisher's thread");
	*publisher = (struct publisher){
		.files = files, .store = store, .stopped = stopped, .arg = arg
	};
	lock_init(&publisher->lock, LOCK_QUEUE);
	pthread_cond_init(&publisher->changed, NULL);
	int err = pthread_create(&publisher->thread, NULL, run, publisher);
	if (err) {
		free(publisher);
		return error_set(e, -err, "cannot start the publisher's thread: %s", strerror(err));
	}
	*ret = publisher;
	return 0;
}

void publisher_stop(struct publisher *publisher)
{
	if (!publisher)
		return;
	lock_take(&publisher->lock);
	publisher->stopping = true;
	pthread_cond_signal(&publisher->changed);
	lock_drop(&publisher->lock);
	pthread_join(publisher->thread, NULL);
	pthread_cond_destroy(&publisher->changed);
	lock_destroy(&publisher->lock);
	free(publisher);
}
