/* chunker.h - content-defined cut points (after FastCDC, Xia et al., USENIX ATC 2016).
 *
 * A gear hash rolls over the bytes; a cut falls where its masked bits are zero, so equal runs of bytes are cut
 * alike wherever they stand.  Cut points for large contents are a subset of those for small ones (more mask
 * bits), so that sizes still share chunks. */
#ifndef DAYBOOK_CHUNKER_H
#define DAYBOOK_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

struct chunker {
	size_t min, average, max; /* bytes */
	uint64_t mask_strict, mask_loose; /* before and after the average */
};

/* The parameters for a content of size bytes. */
struct chunker chunker_for(uint64_t size);

/* Length of the first chunk of data: where the first cut falls, or max.  When n < max and no cut falls within,
 * returns n if `last` (the content ends there) and 0 otherwise (more bytes are needed). */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t n, int last);

#endif
