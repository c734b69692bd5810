/* drain.h - makes content of what is being written, beside the writer.
 *
 * One thread takes the full segments of files (staging.h) that are written in order and makes them
 * early contents (content.h), so that a save finds nearly all of its bytes in the store already and
 * the journal stays short. */
#ifndef DAYBOOK_FS_DRAIN_H
#define DAYBOOK_FS_DRAIN_H

#include "store/store.h"

struct drain;
struct file;

/* put: what drain_queue() held is given back by it. */
int drain_start(struct store *store, void (*put)(void *arg, struct file *file), void *arg,
		struct drain **ret, struct error *e);
/* Ends what is under way and forgets the rest; accepts NULL. */
void drain_stop(struct drain *drain);

/* Segments of the file are full.  Its lock is held, and it is held for the drain to give back.
 * False: the drain has it already, or cannot take it. */
bool drain_queue(struct drain *drain, struct file *file);

/* With the file's lock held, which is dropped meanwhile: waits until the drain does not have the
 * file any more; or, besides, until its journal takes less than so many bytes. */
void drain_wait(struct file *file);
void drain_wait_below(struct file *file, uint64_t bytes);

#endif
