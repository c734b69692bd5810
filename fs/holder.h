/* holder.h - the process that keeps a mount alive.
 *
 * A mount is two processes.  The *holder* opens the kernel's device, mounts and unmounts, and
 * otherwise waits.  The *worker* is its child: it opens the store and serves.  When a worker dies,
 * the holder starts another one, which takes over: it finds the device open, what the kernel knows
 * (open files, places in .history) in the region (region.h), and unsaved bytes in the store's
 * journals; the kernel then sends again what nobody had answered (FUSE_NOTIFY_RESEND). Programs see
 * a pause.  `daybook restart` is the same on purpose, with the program as it is on the disk then.
 *
 * The holder is small, and touches nothing but its children and the mount: it has nothing to die
 * of, and need not be replaced when Daybook is. */
#ifndef DAYBOOK_FS_HOLDER_H
#define DAYBOOK_FS_HOLDER_H

#include "config.h"

/* Workers in a row that die by themselves within a second: then the mount is given up. */
#define HOLDER_TRIES 5
#define HOLDER_START_S 30     /* a new program that does not serve by then is not waited for */

#define WORKER_RESTART 3      /* exit status: another one is to go on */

/* Mounts the share and keeps it until it is unmounted or a signal asks to stop: the exit status.
 * ready: a pipe on which to say "ready", or why not, and close; -1 for none.  arguments: main's. */
int holder_run(const struct config *config, char **arguments, int ready);

/* Lets go of the terminal and the working directory. */
void detach_from_terminal(void);

/* What the worker says to the holder once it has answered the kernel's greeting. */
#define HOLDER_GREETED "greeted"
/* The other side: says to the holder that the store is open, or why it is not, and waits until the
 * share is mounted. */
int worker_ready(const struct worker_ends *ends, const char *sentence, struct error *e);

#endif
