/* notify.c - see notify.h. */
#include "notify.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "store/format.h"
#include "store/lock.h"

#define WAIT_MS 100 /* for room on the way; then whether to stop is looked at */

struct notice {
	struct notice *next;
	uint64_t ino; /* or the parent of name */
	size_t name_len;
	char name[]; /* empty: the inode */
};

struct notifier {
	int to;
	struct lock lock;
	pthread_cond_t changed;
	struct notice *first, **last;
	bool stopping;
	pthread_t thread;
};

/* A notice as the kernel wants it (include/uapi/linux/fuse.h). */
struct message {
	struct fuse_out_header header;
	union {
		struct fuse_notify_inval_inode_out inode;
		struct {
			struct fuse_notify_inval_entry_out entry;
			char name[NAME_LEN_MAX + 1];
		};
	};
};

static size_t compose(const struct notice *notice, struct message *m)
{
	size_t n = sizeof(m->header);

	memset(m, 0, sizeof(*m));
	if (notice->name_len) {
		m->header.error = FUSE_NOTIFY_INVAL_ENTRY;
		m->entry.parent = notice->ino;
		m->entry.namelen = (uint32_t)notice->name_len;
		memcpy(m->name, notice->name, notice->name_len);
		n += sizeof(m->entry) + notice->name_len + 1;
	} else {
		m->header.error = FUSE_NOTIFY_INVAL_INODE;
		m->inode.ino = notice->ino;
		n += sizeof(m->inode);
	}
	m->header.len = (uint32_t)n;
	return n;
}

static bool is_stopping(struct notifier *notifier)
{
	lock_take(&notifier->lock);
	bool stopping = notifier->stopping;
	lock_drop(&notifier->lock);
	return stopping;
}

static void hand_over(struct notifier *notifier, const struct notice *notice)
{
	struct message message;
	size_t n = compose(notice, &message);

	while (send(notifier->to, &message, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && (errno == EAGAIN || errno == EINTR)) {
		struct pollfd room = { notifier->to, POLLOUT, 0 };

		if (is_stopping(notifier))
			return;
		poll(&room, 1, WAIT_MS);
	}
}

/* The kernel's answer does not matter: ENOENT only says that it had nothing cached. */
void notices_pass(int from, int device)
{
	struct message message;
	ssize_t n;

	while ((n = recv(from, &message, sizeof(message), 0)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0 && write(device, &message, (size_t)n) < 0 && errno == ENODEV)
			return;
	}
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
		hand_over(notifier, notice);
		free(notice);
	}
}

int notifier_start(int to, struct notifier **ret, struct error *e)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));

	if (!notifier)
		return error_set(e, -E_NO_MEMORY, "out of memory for the notifier");
	notifier->to = to;
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
	struct notice *notice = name.len <= NAME_LEN_MAX ? malloc(sizeof(*notice) + name.len + 1) : NULL;

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
