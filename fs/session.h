/* session.h - the connection to the kernel: mounting, the threads that serve it, and the end of it. */
#ifndef DAYBOOK_FS_SESSION_H
#define DAYBOOK_FS_SESSION_H

#include "config.h"
#include "mount.h"

/* Blocks the signals that session_run() waits for; to be called before any thread is started. */
void session_block_signals(void);

/* Mounts m->store on config->mountpoint; m->session is ready for session_run().  Sentences say what is wrong with the
 * mountpoint. */
int session_mount(struct mount *m, const struct config *config, struct error *e);

/* Serves until the share is unmounted or a SIGTERM, SIGINT or SIGHUP asks to stop (then it unmounts). */
int session_run(struct mount *m, struct error *e);

/* After session_run, or instead of it: unmounts what is still mounted and ends the connection. */
void session_end(struct mount *m);

#endif
