/* early.h - makes content of what is written in order, beside a writer, as fs/drain.c does. */
#ifndef CRASH_EARLY_H
#define CRASH_EARLY_H

#include <stdlib.h>

#include "store/store.h"

/* Writes in pieces from the beginning on. */
static inline int early_write(struct staging *staging, struct view bytes, size_t piece,
			      struct error *e)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < bytes.len; at += piece)
		r = staging_write(staging, at, (const char *)bytes.data + at,
				  bytes.len - at < piece ? bytes.len - at : piece, e);
	return r;
}

static inline int early_make(struct store *store, struct staging *staging, struct error *e)
{
	struct staged_segment segment;
	struct extent *extents;
	struct work work;
	uint64_t id;
	int r;

	while ((r = staging_take(staging, &segment, &extents, &work, e)) == 1) {
		r = content_put_early(store_contents(store), &work, 1, &id, e);
		free(extents);
		if (r == 0)
			r = staging_moved(staging, &segment, id, e);
		else
			staging_give_up(staging);
		if (r < 0)
			return r;
	}
	return r;
}

#endif
