/* resent.h - taking over: what another worker left open, and requests that the kernel sends a
 * second time.
 *
 * A worker that dies has requests that it read and did not answer; the kernel sends them again to
 * the next one, marked. Some were carried out all the same: their changes stand in the log with the
 * request's number (log_record.request). Those are answered from there and not done twice.  What
 * else is sent again can be done again: it changes nothing, or changes bytes to what they are. */
#ifndef DAYBOOK_FS_RESENT_H
#define DAYBOOK_FS_RESENT_H

#include "mount.h"

struct resent;

/* Goes on where another worker ended: reads what it did last, opens its handles again, takes its
 * unsaved bytes.  After the store was opened with take_over; before the session serves. */
int resent_prepare(struct mount *m, struct error *e);
/* Tells the kernel of what the daemon itself changed of late: nobody knows whether the worker that
 * died had done so. The notifier must run. */
int resent_tell(struct mount *m, struct error *e);
void resent_free(struct resent *resent); /* accepts NULL */

/* To be called for each request before anything else: sets request_number. */
void request_begin(const struct fuse_buf *request);

/* True when the request was sent again, had been carried out, and is answered. */
bool resent_handle(struct mount *m, int fd, const struct fuse_buf *request);

#endif
