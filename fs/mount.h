/* mount.h - one mounted share: what the operations, the socket and the threads of the daemon
 * share. */
#ifndef DAYBOOK_FS_MOUNT_H
#define DAYBOOK_FS_MOUNT_H

#include "file.h"
#include "fuse.h"
#include "handle.h"
#include "history.h"
#include "identity.h"
#include "inode_set.h"
#include "notify.h"
#include "packer.h"
#include "publisher.h"
#include "region.h"
#include "socket.h"
#include "sync.h"

/* For the live tree the kernel may answer by itself: the daemon is the only writer, and tells of
 * what it changes. */
#define MOUNT_TIMEOUT_S 86400.0

struct mount {
	struct store *store;
	struct history *history;
	struct fuse_session *session;
	struct files *files;
	struct handles *handles;
	struct inode_set listed; /* live directories with a handle: ops_dir.c */
	struct notifier *notifier;
	struct syncer *syncer;
	struct publisher *publisher;
	struct packer *packer;
	struct pacer *pacer;     /* while it serves */
	struct control_context control; /* for the socket: what the tools' commands work on */
	struct socket_server *socket;
	const char *mountpoint;
	struct region *region;   /* what outlives this process */
	struct resent *resent;   /* what another worker did and did not answer; NULL: nothing */
	struct bases *bases;
	bool read_only, show_history;
	bool restart;            /* stops for another worker to go on */
	int fd;                  /* of the kernel's device */
	int holder;              /* where to speak to it (holder.h); 0: nowhere */
	pthread_t signal_thread;
};

#endif
