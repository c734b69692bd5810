/* drain.c - see drain.h. */
#include "drain.h"

#include <stdlib.h>

#include "file.h"
#include "log.h"

struct queued {
	struct queued *next;
	struct file *file;
};

struct drain {
	struct store *store;
	void (*put)(void *arg, struct file *file);
	void *arg;
	struct lock lock; /* QUEUE */
	pthread_cond_t changed;
	struct queued *first, **end;
	bool stopping;
	pthread_t thread;
};

/* Segments of one file that are made content together. */
struct draft {
	struct staged_segment segments[CONTENT_EARLY_MAX];
	struct extent *extents[CONTENT_EARLY_MAX];
	struct work works[CONTENT_EARLY_MAX];
	uint64_t ids[CONTENT_EARLY_MAX];
	size_t count;
};

static void draft_release(struct draft *draft)
{
	for (size_t i = 0; i < draft->count; i++)
		free(draft->extents[i]);
}

/* With the file's lock held. */
static void take(struct file *file, struct draft *draft)
{
	while (file->staging && draft->count < CONTENT_EARLY_MAX &&
	       staging_take(file->staging, &draft->segments[draft->count],
			    &draft->extents[draft->count], &draft->works[draft->count], NULL) == 1)
		draft->count++;
}

/* What could not be made content stays in the journal for the save, which says why not. */
static void give_back(struct file *file, struct draft *draft, bool made)
{
	for (size_t i = 0; i < draft->count; i++) {
		if (!made)
			staging_give_up(file->staging);
		else if (staging_moved(file->staging, &draft->segments[i], draft->ids[i], NULL) < 0)
			log_line(LOG_DEBUG, "inode %llu: early content is of no use",
				 (unsigned long long)file->ino);
	}
}

/* With the file's lock held, which is dropped meanwhile; false: nothing was full. */
static bool drain_some(struct drain *drain, struct file *file)
{
	CLEANUP(draft_release) struct draft draft = { .count = 0 };
	struct error e = { 0 };

	take(file, &draft);
	if (!draft.count)
		return false;
	lock_drop(&file->lock);
	int rc = content_put_early(store_contents(drain->store), draft.works, draft.count,
				   draft.ids, &e);
	if (rc < 0)
		log_line(LOG_DEBUG, "inode %llu: not made content before its save: %s",
			 (unsigned long long)file->ino, e.text);
	lock_take(&file->lock);
	give_back(file, &draft, rc == 0);
	pthread_cond_broadcast(&file->drained);
	return true;
}

static struct file *next_file(struct drain *drain, bool *ret_stopping)
{
	lock_take(&drain->lock);
	while (!drain->first && !drain->stopping)
		lock_wait(&drain->lock, &drain->changed);
	struct queued *first = drain->first;
	struct file *file = first ? first->file : NULL;
	if (first)
		drain->first = first->next;
	if (!drain->first)
		drain->end = &drain->first;
	*ret_stopping = drain->stopping;
	lock_drop(&drain->lock);
	free(first);
	return file;
}

static void *run(void *arg)
{
	struct drain *drain = arg;
	struct file *file;
	bool stopping;

	while ((file = next_file(drain, &stopping))) {
		lock_take(&file->lock);
		while (!stopping && drain_some(drain, file))
			;
		file->draining = false;
		pthread_cond_broadcast(&file->drained);
		lock_drop(&file->lock);
		drain->put(drain->arg, file);
	}
	return NULL;
}

int drain_start(struct store *store, void (*put)(void *arg, struct file *file), void *arg,
		struct drain **ret, struct error *e)
{
	struct drain *drain = calloc(1, sizeof(*drain));

	if (!drain)
		return error_set(e, -E_NO_MEMORY, "out of memory for the thread of early contents");
	*drain = (struct drain){ .store = store, .put = put, .arg = arg };
	drain->end = &drain->first;
	lock_init(&drain->lock, LOCK_QUEUE);
	pthread_cond_init(&drain->changed, NULL);
	int err = pthread_create(&drain->thread, NULL, run, drain);
	if (err) {
		free(drain);
		return error_set(e, -err, "cannot start the thread of early contents: %s",
				 strerror(err));
	}
	*ret = drain;
	return 0;
}

void drain_stop(struct drain *drain)
{
	if (!drain)
		return;
	lock_take(&drain->lock);
	drain->stopping = true;
	pthread_cond_signal(&drain->changed);
	lock_drop(&drain->lock);
	pthread_join(drain->thread, NULL);
	pthread_cond_destroy(&drain->changed);
	lock_destroy(&drain->lock);
	free(drain);
}

bool drain_queue(struct drain *drain, struct file *file)
{
	struct queued *queued = drain && !file->draining ? malloc(sizeof(*queued)) : NULL;

	if (!queued)
		return false;
	*queued = (struct queued){ .file = file };
	file->draining = true;
	lock_take(&drain->lock);
	*drain->end = queued;
	drain->end = &queued->next;
	pthread_cond_signal(&drain->changed);
	lock_drop(&drain->lock);
	return true;
}

void drain_wait(struct file *file)
{
	while (file->draining)
		lock_wait(&file->lock, &file->drained);
}

void drain_wait_below(struct file *file, uint64_t bytes)
{
	while (file->draining && file->staging && staging_staged_bytes(file->staging) >= bytes)
		lock_wait(&file->lock, &file->drained);
}
