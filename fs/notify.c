/* notify.c - see notify.h. */
#include "notify.h"

#include <stdlib.h>

#include "fuse.h"
#include "log.h"
#include "store/lock.h"

struct notice {
	struct notice *next;
	uint64_t ino; /* or the parent of name */
	size_t name_len;
	char name[]; /* empty: the inode */
};

struct notifier {
	struct fuse_session *session;
	struct lock lock;
	pthread_cond_t changed;
	struct notice *first, **last;
	bool stopping;
	pthread_t thread;
};

/* The kernel's answer does not matter: -ENOENT only says that it had nothing cached. */
static void tell(struct notifier *notifier, struct notice *notice)
{
	if (notice->name_len)
		fuse_lowlevel_notify_inval_entry(notifier->session, notice->ino, notice->name, notice->name_len);
	else
		fuse_lowlevel_notify_inval_inode(notifier->session, notice->ino, 0, 0);
}

static void *run(void *arg)
{
	struct notifier *notifier = arg;

	for (;;) {
		lock_take(&notifier->lock);
		while (!notifier->first && !notifier->stopping)
			lock_wait(&notifier->lock, &notifier->changed);
		struct notice *notice = notifier->stopping ? NULL : notifier->first;
		if (notice) {
			notifier->first = notice->next;
			if (!notifier->first)
				notifier->last = &notifier->first;
		}
		lock_drop(&notifier->lock);
		if (!notice)
			return NULL;
		tell(notifier, notice);
		free(notice);
	}
}

int notifier_start(struct fuse_session *session, struct notifier **ret, struct error *e)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));

	if (!notifier)
		return error_set(e, -E_NO_MEMORY, "out of memory for the notifier");
	notifier->session = session;
	notifier->last = &notifier->first;
	lock_init(&notifier->lock, LOCK_QUEUE);
	pthread_cond_init(&notifier->changed, NULL);
	int err = pthread_create(&notifier->thread, NULL, run, notifier);
	if (err) {
		free(notifier);
		return error_set(e, -err, "cannot start the notifier: %s", strerror(err));
	}
	*ret = notifier;
	return 0;
}

void notifier_stop(struct notifier *notifier)
{
	if (!notifier)
		return;
	lock_take(&notifier->lock);
	notifier->stopping = true;
	pthread_cond_signal(&notifier->changed);
	lock_drop(&notifier->lock);
	pthread_join(notifier->thread, NULL);
	while (notifier->first) {
		struct notice *next = notifier->first->next;

		free(notifier->first);
		notifier->first = next;
	}
	pthread_cond_destroy(&notifier->changed);
	lock_destroy(&notifier->lock);
	free(notifier);
}

static void queue(struct notifier *notifier, uint64_t ino, struct view name)
{
	struct notice *notice = malloc(sizeof(*notice) + name.len + 1);

	if (!notice) {
		log_line(LOG_WARNING, "out of memory: the kernel was not told of a change to inode %llu",
			 (unsigned long long)ino);
		return;
	}
	notice->next = NULL;
	notice->ino = ino;
	notice->name_len = name.len;
	memcpy(notice->name, name.len ? name.data : "", name.len);
	notice->name[name.len] = '\0';
	lock_take(&notifier->lock);
	*notifier->last = notice;
	notifier->last = &notice->next;
	pthread_cond_signal(&notifier->changed);
	lock_drop(&notifier->lock);
}

void notifier_inode(struct notifier *notifier, uint64_t ino)
{
	queue(notifier, ino, view_of(NULL, 0));
}

void notifier_entry(struct notifier *notifier, uint64_t parent, struct view name)
{
	queue(notifier, parent, name);
}
