/* session.h - the connection to the kernel: the threads that serve it, and the end of it. */
#ifndef DAYBOOK_FS_SESSION_H
#define DAYBOOK_FS_SESSION_H

#include "mount.h"

/* Blocks the signals that session_run() waits for; to be called before any thread is started. */
void session_block_signals(struct mount *m);

/* Makes libfuse's session on the device; when another worker had greeted the kernel already, this
 * one's libfuse hears the same greeting. */
int session_new(struct mount *m, int device, struct error *e);

/* Serves until the share is unmounted, session_stop(), or a SIGTERM. */
int session_run(struct mount *m, struct error *e);

/* Ends session_run(): requests that were read are answered first.  From any thread. */
void session_stop(struct mount *m);

/* After session_run(), or instead of it: ends libfuse's session. */
void session_end(struct mount *m);

#endif
