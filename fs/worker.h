/* worker.h - the process that serves a mount: opens the store, takes over what another worker left,
 * and answers the kernel and the tools until the share is unmounted. */
#ifndef DAYBOOK_FS_WORKER_H
#define DAYBOOK_FS_WORKER_H

#include "holder.h"

/* The exit status: 0 when the share was unmounted or it was told to stop, WORKER_RESTART, or
 * another. */
int worker_run(const struct config *config, const struct worker_ends *ends);

#endif
