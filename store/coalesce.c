/* coalesce.c - see coalesce.h. */
#include "coalesce.h"

void coalesce_init(struct coalesce *c, enum lock_rank rank)
{
	*c = (struct coalesce){ 0 };
	lock_init(&c->lock, rank);
	pthread_cond_init(&c->done, NULL);
}

void coalesce_release(struct coalesce *c)
{
	lock_destroy(&c->lock);
	pthread_cond_destroy(&c->done);
}

/* Called and returns with the lock held. */
static void lead(struct coalesce *c, int (*run)(void *arg, struct error *e), void *arg)
{
	uint64_t mine = ++c->started;
	struct error error = { 0 };

	lock_drop(&c->lock);
	int r = run(arg, &error);
	lock_take(&c->lock);
	c->finished = mine;
	if (r < 0) {
		c->failed = mine;
		c->error = error;
	}
	pthread_cond_broadcast(&c->done);
}

int coalesce_run(struct coalesce *c, int (*run)(void *arg, struct error *e), void *arg,
		 struct error *e)
{
	int r = 0;

	lock_take(&c->lock);
	/* One that runs already may have begun too early for us; the next to start has not. */
	uint64_t ticket = c->started + 1;
	while (c->finished < ticket) {
		if (c->started == c->finished)
			lead(c, run, arg);
		else
			lock_wait(&c->lock, &c->done);
	}
	if (c->failed >= ticket)
		r = error_set(e, c->error.code, "%s", c->error.text);
	lock_drop(&c->lock);
	return r;
}
