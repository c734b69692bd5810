/* pacer.c - see pacer.h. */
#include "pacer.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "pace.h"
#include "store/clock.h"

struct held {
	struct held *next;
	struct fuse_buf request;
	uint8_t bytes[];
};

struct pacer {
	void (*answer)(struct mount *m, const struct fuse_buf *request);
	struct mount *m;
	struct lock lock; /* QUEUE: guards what follows */
	pthread_cond_t changed;
	struct pace pace;
	struct held *first, **end;
	uint64_t count; /* of all that were held back */
	bool stopping;
	pthread_t thread;
};

enum kind { KIND_OTHER, KIND_CHANGE, KIND_SAVE };

static bool waits_for_disk(const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_write_in *write = (const void *)(in + 1);

	return request->size >= sizeof(*in) + sizeof(*write) && write->flags & O_DSYNC;
}

static enum kind kind_of(const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;

	switch (in->opcode) {
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_SYNCFS:
		return KIND_SAVE;
	case FUSE_WRITE:
		return waits_for_disk(request) ? KIND_SAVE : KIND_CHANGE;
	case FUSE_CREATE:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_TMPFILE:
	case FUSE_FLUSH:
	case FUSE_SETATTR:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		return KIND_CHANGE;
	default:
		return KIND_OTHER;
	}
}

/* Whether it is to be held back. */
static bool is_held(struct pacer *pacer, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	enum kind kind = request->size >= sizeof(*in) && in->pid ? kind_of(request) : KIND_OTHER;
	bool held = false;

	if (kind == KIND_OTHER)
		return false;
	lock_take(&pacer->lock);
	if (kind == KIND_SAVE)
		pace_save(&pacer->pace, in->pid, clock_monotonic());
	else
		held = pace_change(&pacer->pace, in->pid, clock_monotonic());
	lock_drop(&pacer->lock);
	return held;
}

bool pacer_take(struct pacer *pacer, const struct fuse_buf *request)
{
	if (!is_held(pacer, request))
		return false;
	struct held *held = malloc(sizeof(*held) + request->size);
	if (!held)
		return false;
	memcpy(held->bytes, request->mem, request->size);
	held->request = *request;
	held->request.mem = held->bytes;
	held->next = NULL;
	lock_take(&pacer->lock);
	*pacer->end = held;
	pacer->end = &held->next;
	pacer->count++;
	pthread_cond_signal(&pacer->changed);
	lock_drop(&pacer->lock);
	return true;
}

/* Takes the next request when it may be made, else NULL; *ret_rest is how long to rest before
 * asking again, -1: it is over. */
static struct held *next(struct pacer *pacer, int64_t *ret_rest)
{
	struct held *held = NULL;

	lock_take(&pacer->lock);
	while (!pacer->first && !pacer->stopping)
		lock_wait(&pacer->lock, &pacer->changed);
	*ret_rest = pacer->stopping ? 0 : pace_rest(&pacer->pace, clock_monotonic());
	if (!pacer->first) {
		*ret_rest = -1;
	} else if (*ret_rest == 0) {
		held = pacer->first;
		pacer->first = held->next;
		if (!pacer->first)
			pacer->end = &pacer->first;
	}
	lock_drop(&pacer->lock);
	return held;
}

static int64_t computed_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static void *run(void *arg)
{
	struct pacer *pacer = arg;
	struct held *held;
	int64_t rest;

	while ((held = next(pacer, &rest)) || rest >= 0) {
		struct timespec pause = { .tv_nsec = rest };
		int64_t before = computed_ns();

		if (!held) {
			nanosleep(&pause, NULL);
			continue;
		}
		pacer->answer(pacer->m, &held->request);
		free(held);
		lock_take(&pacer->lock);
		pace_made(&pacer->pace, clock_monotonic(), computed_ns() - before);
		lock_drop(&pacer->lock);
	}
	return NULL;
}

int pacer_start(void (*answer)(struct mount *m, const struct fuse_buf *request), struct mount *m,
		struct pacer **ret, struct error *e)
{
	struct pacer *pacer = calloc(1, sizeof(*pacer));

	if (!pacer)
		return error_set(e, -E_NO_MEMORY, "out of memory for the pacer");
	pacer->answer = answer;
	pacer->m = m;
	pacer->end = &pacer->first;
	lock_init(&pacer->lock, LOCK_QUEUE);
	pthread_cond_init(&pacer->changed, NULL);
	int err = pthread_create(&pacer->thread, NULL, run, pacer);
	if (err) {
		free(pacer);
		return error_set(e, -err, "cannot start the pacer's thread: %s", strerror(err));
	}
	*ret = pacer;
	return 0;
}

void pacer_stop(struct pacer *pacer)
{
	if (!pacer)
		return;
	lock_take(&pacer->lock);
	pacer->stopping = true;
	pthread_cond_signal(&pacer->changed);
	lock_drop(&pacer->lock);
	pthread_join(pacer->thread, NULL);
	if (pacer->count)
		log_line(LOG_DEBUG, "held back %llu changes of imports for others' saves",
			 (unsigned long long)pacer->count);
	pthread_cond_destroy(&pacer->changed);
	lock_destroy(&pacer->lock);
	free(pacer);
}
