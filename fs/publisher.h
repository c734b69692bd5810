/* publisher.h - the thread that looks once a second: it gives files which stay open for long (logs,
 * databases) their versions (L6), drops orphans that the kernel forgot, and tells when the store
 * has stopped (store.h), for another process to open it anew. */
#ifndef DAYBOOK_FS_PUBLISHER_H
#define DAYBOOK_FS_PUBLISHER_H

#include "file.h"

struct publisher;

/* stopped(arg): once, from that thread. */
int publisher_start(struct files *files, struct store *store, void (*stopped)(void *arg), void *arg,
		    struct publisher **ret, struct error *e);
void publisher_stop(struct publisher *publisher); /* accepts NULL */

#endif
