/* publisher.c - see publisher.h. */
#include "publisher.h"

#include <stdlib.h>

#include "ticker.h"

struct publisher {
	struct files *files;
	struct store *store;
	void (*stopped)(void *arg);
	void *arg;
	struct ticker ticker;
};

static void *run(void *arg)
{
	struct publisher *publisher = arg;
	bool told = false;

	while (ticker_rest(&publisher->ticker, 1000)) {
		files_publish(publisher->files);
		files_drop_orphans(publisher->files);
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
	int rc = ticker_start(&publisher->ticker, run, publisher, "publisher's", e);
	if (rc < 0) {
		free(publisher);
		return rc;
	}
	*ret = publisher;
	return 0;
}

void publisher_stop(struct publisher *publisher)
{
	if (!publisher)
		return;
	ticker_stop(&publisher->ticker);
	free(publisher);
}
