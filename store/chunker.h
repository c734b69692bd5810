/* chunker.h - content-defined cut points (after FastCDC, Xia et al., USENIX ATC 2016).
 *
 * A gear hash rolls over the bytes; a cut falls where its masked bits are zero, so equal runs of
 * bytes are cut alike wherever they stand.  Where the first cut falls depends on nothing but the
 * bytes up to it.  Cut points for large contents want more bits, so most of them are cut points for
 * small ones too. */
#ifndef DAYBOOK_CHUNKER_H
#define DAYBOOK_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunker {
	size_t min, average, max; /* bytes */
	uint64_t mask_strict, mask_loose; /* before and after the average */
};

#define CHUNK_LEN_MAX ((size_t)128 << 10) /* the largest max */

/* The parameters for a content of size bytes: average 8 KiB up to 4 MiB, 16 KiB up to 64 MiB, 32
 * KiB above; chunks of a quarter to eight times the average, at most CHUNK_LEN_MAX. */
struct chunker chunker_for(uint64_t size);

/* Length of the first chunk of data: where the first cut falls, or max.  When n < max and no cut
 * falls within, returns n if `last` (the content ends there) and 0 otherwise (more bytes are
 * needed). */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t n, bool last);

#endif
