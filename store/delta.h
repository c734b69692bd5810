/* delta.h - bytes as what differs from other bytes: a zstd frame whose prefix is the base. */
#ifndef DAYBOOK_DELTA_H
#define DAYBOOK_DELTA_H

#include "bytes.h"

/* Appends the delta of bytes against base (empty: none, the bytes are only compressed). */
int delta_make(struct view bytes, struct view base, struct buf *out, struct error *e);

/* Appends the bytes.  -E_CORRUPT: the delta is damaged, not against this base, or of more than
 * size_max bytes. */
int delta_undo(struct view delta, struct view base, size_t size_max, struct buf *out,
	       struct error *e);

#endif
