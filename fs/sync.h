/* sync.h - the thread that makes things durable: requests that wait for stable storage queue here,
 * share one sync of the store, and are answered from here, so that no thread that could serve waits
 * for the disk. */
#ifndef DAYBOOK_FS_SYNC_H
#define DAYBOOK_FS_SYNC_H

#include "store/store.h"

struct syncer;

int syncer_start(struct store *store, struct syncer **ret, struct error *e);
void syncer_stop(struct syncer *syncer); /* answers what is queued first; accepts NULL */

/* done(arg, rc) is called on the sync thread when everything done before this call is durable (rc
 * 0), or could not be made so (a negative code). Out of memory: synced and called at once. */
void syncer_queue(struct syncer *syncer, void (*done)(void *arg, int rc), void *arg);

#endif
