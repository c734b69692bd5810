/* extents.h - where each byte of a file that is being written now is: an ordered list of extents
 * without gaps. */
#ifndef DAYBOOK_EXTENTS_H
#define DAYBOOK_EXTENTS_H

#include "content.h"

/* Zeroed = an empty file. */
struct extents {
	struct extent *at;
	size_t count, room;
	uint64_t size;
};

void extents_release(struct extents *x);

/* Makes room for the next change, so that it cannot fail: 0 or -E_NO_MEMORY. */
int extents_reserve(struct extents *x, struct error *e);

/* The bytes [new->at, new->at + new->len) are now what new says; a gap before them becomes a hole,
 * and the size grows when they end past it.  Needs extents_reserve() before. */
void extents_set(struct extents *x, struct extent new);

/* Index of the first extent that ends after offset; count when there is none. */
size_t extents_find(const struct extents *x, uint64_t offset);

/* Cuts the file, or makes it end in a hole.  Needs extents_reserve() before. */
void extents_truncate(struct extents *x, uint64_t size);

#endif
