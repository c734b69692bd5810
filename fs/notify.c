/* notify.c - see notify.h. */
#include "notify.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "store/clock.h"
#include "store/format.h"
#include "store/lock.h"

#define PATIENCE_MS 1000 /* of those who wait until the kernel knows */

struct notice {
	struct notice *next;
	uint64_t number;
	uint64_t ino; /* or the parent of name */
	size_t name_len;
	char name[]; /* empty: the inode */
};

struct notifier {
	int to, wake;
	struct lock lock;
	pthread_cond_t passed;
	struct notice *first, **last;
	/* Numbers of notices: the last one made, the last one that the kernel has taken. */
	uint64_t newest, known;
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
	m->header.unique = notice->number;
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

/* The kernel's answer does not matter: ENOENT only says that it had nothing cached. */
void notices_pass(int from, int device)
{
	struct message message;
	ssize_t n;

	while ((n = recv(from, &message, sizeof(message), 0)) > 0 || (n < 0 && errno == EINTR)) {
		uint64_t number = message.header.unique;

		message.header.unique = 0;
		if (n > 0 && write(device, &message, (size_t)n) < 0 && errno == ENODEV)
			return;
		/* Whoever does not read how far we are does not wait for it. */
		if (n > 0)
			send(from, &number, sizeof(number), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* Hands the first notice over; true when there is another one. */
static bool hand_over(struct notifier *notifier)
{
	struct message message;

	lock_take(&notifier->lock);
	struct notice *notice = notifier->first;
	lock_drop(&notifier->lock);
	if (!notice)
		return false;
	if (send(notifier->to, &message, compose(notice, &message), MSG_DONTWAIT | MSG_NOSIGNAL) <
	    0)
		return errno == EAGAIN || errno == EINTR;
	lock_take(&notifier->lock);
	notifier->first = notice->next;
	if (!notifier->first)
		notifier->last = &notifier->first;
	bool more = notifier->first != NULL;
	lock_drop(&notifier->lock);
	free(notice);
	return more;
}

/* What was sent for the worker before this one has lower numbers than all of ours. */
static void hear(struct notifier *notifier)
{
	uint64_t number = 0;

	if (recv(notifier->to, &number, sizeof(number), MSG_DONTWAIT) != sizeof(number))
		return;
	lock_take(&notifier->lock);
	if (number > notifier->known && number <= notifier->newest)
		notifier->known = number;
	pthread_cond_broadcast(&notifier->passed);
	lock_drop(&notifier->lock);
}

static void *run(void *arg)
{
	struct notifier *notifier = arg;
	bool more = false, stopping = false;
	uint64_t times;

	while (!stopping) {
		struct pollfd wait[] = { { notifier->to, (short)(POLLIN | (more ? POLLOUT : 0)),
					   0 },
					 { notifier->wake, POLLIN, 0 } };

		if (poll(wait, 2, -1) < 0)
			continue;
		if (wait[1].revents && read(notifier->wake, &times, sizeof(times)) == sizeof(times))
			more = true;
		if (wait[0].revents & POLLIN)
			hear(notifier);
		if (more)
			more = hand_over(notifier);
		if (wait[0].revents & (POLLHUP | POLLERR))
			return NULL; /* nobody is left who could be told */
		lock_take(&notifier->lock);
		stopping = notifier->stopping;
		lock_drop(&notifier->lock);
	}
	return NULL;
}

static void wake(struct notifier *notifier)
{
	uint64_t one = 1;

	while (write(notifier->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void notifier_free(struct notifier *notifier)
{
	while (notifier->first) {
		struct notice *next = notifier->first->next;

		free(notifier->first);
		notifier->first = next;
	}
	if (notifier->wake >= 0)
		close(notifier->wake);
	pthread_cond_destroy(&notifier->passed);
	lock_destroy(&notifier->lock);
	free(notifier);
}

int notifier_start(int to, struct notifier **ret, struct error *e)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));

	if (!notifier)
		return error_set(e, -E_NO_MEMORY, "out of memory for the notifier");
	notifier->to = to;
	notifier->last = &notifier->first;
	notifier->newest = notifier->known = (uint64_t)clock_now();
	notifier->wake = eventfd(0, EFD_CLOEXEC);
	lock_init(&notifier->lock, LOCK_QUEUE);
	pthread_cond_init(&notifier->passed, NULL);
	int err =
		notifier->wake < 0 ? errno : pthread_create(&notifier->thread, NULL, run, notifier);
	if (err) {
		notifier_free(notifier);
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
	lock_drop(&notifier->lock);
	wake(notifier);
	pthread_join(notifier->thread, NULL);
	notifier_free(notifier);
}

void notifier_wait(struct notifier *notifier)
{
	int64_t patience = clock_monotonic() + PATIENCE_MS * (NS_PER_SECOND / 1000);

	lock_take(&notifier->lock);
	uint64_t number = notifier->newest;
	while (notifier->known < number && !notifier->stopping && clock_monotonic() < patience)
		lock_wait_for(&notifier->lock, &notifier->passed, PATIENCE_MS);
	lock_drop(&notifier->lock);
}

static void queue(struct notifier *notifier, uint64_t ino, struct view name)
{
	struct notice *notice =
		name.len <= NAME_LEN_MAX ? malloc(sizeof(*notice) + name.len + 1) : NULL;

	if (!notice) {
		log_line(LOG_WARNING,
			 "out of memory: the kernel was not told of a change to inode %llu",
			 (unsigned long long)ino);
		return;
	}
	notice->next = NULL;
	notice->ino = ino;
	notice->name_len = name.len;
	view_copy(notice->name, name);
	notice->name[name.len] = '\0';
	lock_take(&notifier->lock);
	notice->number = ++notifier->newest;
	*notifier->last = notice;
	notifier->last = &notice->next;
	lock_drop(&notifier->lock);
	wake(notifier);
}

void notifier_inode(struct notifier *notifier, uint64_t ino)
{
	queue(notifier, ino, view_of(NULL, 0));
}

void notifier_entry(struct notifier *notifier, uint64_t parent, struct view name)
{
	queue(notifier, parent, name);
}
