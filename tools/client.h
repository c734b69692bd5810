/* client.h - finds who can answer a request, the daemon or the store itself, and asks.
 *
 * *Whereabouts* are a store and a path in its share.  They are named either by a path on a mounted
 * share (found in the mount table: a mount of type fuse.daybookd, whose source is the store's
 * path), by --store and a path from the share's root, or by the store's own directory, which stands
 * for that root. */
#ifndef DAYBOOK_CLIENT_H
#define DAYBOOK_CLIENT_H

#include <sys/types.h>

#include "store/control.h"

struct whereabouts {
	char *store;      /* absolute */
	char *path;       /* from the share's root, no leading slash; "" is the root */
	char *mountpoint; /* NULL: named by the store */
};

void whereabouts_release(struct whereabouts *place);

/* Finds the whereabouts of path (NULL: the working directory, or with store the share's root).
 * -E_NO_DAEMON: path is not on a mounted share. */
int whereabouts_find(const char *store, const char *path, struct whereabouts *ret, struct error *e);

/* The same share, another path: how a second path of a command is read. */
int whereabouts_second(const struct whereabouts *first, const char *path, char **ret,
		       struct error *e);

/* Sends the request to the daemon that serves the place; when none does and the place was named by
 * its store, opens the store (looking only, unless it is for changing) and runs the request here.
 * Codes are the command's own, or -E_NO_DAEMON, -E_LOCKED, -E_TIMEOUT, -E_PROTOCOL. */
int client_ask(const struct whereabouts *place, const struct request *request, bool changing,
	       const struct answer *answer, struct error *e);

/* The process that serves the place, whether or not it answers; a descriptor as pidfd_open(2)
 * makes them, *ret_pid its number.  -E_NO_DAEMON. */
int client_server(const struct whereabouts *place, pid_t *ret_pid, struct error *e);

#endif
