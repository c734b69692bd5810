/* confine.h - what the process that serves a share gives up, so that whoever finds a hole in it
 * gets little.
 *
 * It keeps no capability but those below, gets none back, executes nothing, opens no socket but
 * Unix ones, traces, mounts and loads nothing; and where the kernel has Landlock it writes nowhere
 * but in the store and beside its socket. Threads inherit all of that from the thread that gives it
 * up: so it is done before there is a second one. */
#ifndef DAYBOOK_FS_CONFINE_H
#define DAYBOOK_FS_CONFINE_H

#include <stdbool.h>

#include "store/error.h"

/* X(capability, what for) */
#define CONFINE_KEPT(X) \
	X(CAP_SYS_RESOURCE, "the blocks that a file system keeps for root: to save what is staged when the disk is full")

struct confinement {
	const char *store; /* its directory */
	int proc;          /* a /proc that is mounted nowhere, or -1 (proc.h) */
};

/* Gives it up for good.  CAP_DAC_OVERRIDE stays when the store cannot be reached without (it is not
 * root's).  A kernel without Landlock is no failure.  Otherwise what could not be given up is a
 * code and a sentence; the rest was. */
int confine_process(const struct confinement *confinement, struct error *e);

#endif
