/* publisher.h - the thread that gives files which stay open for long (logs, databases) their versions (L6). */
#ifndef DAYBOOK_FS_PUBLISHER_H
#define DAYBOOK_FS_PUBLISHER_H

#include "file.h"

struct publisher;

int publisher_start(struct files *files, struct publisher **ret, struct error *e);
void publisher_stop(struct publisher *publisher); /* accepts NULL */

#endif
