/* pacer.h - holds importers back (pace.h): their changes are handed over to a thread that makes
 * them one by one and rests in between, so that none of those that serve others waits. */
#ifndef DAYBOOK_FS_PACER_H
#define DAYBOOK_FS_PACER_H

#include "mount.h"

struct pacer;

/* answer: what is done with a request, on the pacer's thread when it is held back. */
int pacer_start(void (*answer)(struct mount *m, const struct fuse_buf *request), struct mount *m,
		struct pacer **ret, struct error *e);

/* To be called for each request before it is answered: true when the pacer will, and has taken a
 * copy of it. */
bool pacer_take(struct pacer *pacer, const struct fuse_buf *request);

/* When nothing is taken any more: answers what it has without resting, and ends.  Accepts NULL. */
void pacer_stop(struct pacer *pacer);

#endif
