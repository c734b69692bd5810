/* lanes.h - the BLAKE2b-256 digests (digest.h) of several runs of bytes at once: side by side in
 * the processor's vectors they take together little more than one of them alone.
 *
 * For runs of one length, a multiple of LANES_BLOCK. */
#ifndef DAYBOOK_LANES_H
#define DAYBOOK_LANES_H

#include "digest.h"

#define LANES 4
#define LANES_BLOCK 128

struct lanes {
	uint64_t h[8][LANES]; /* aligned to nothing in particular */
	uint64_t bytes;
};

void lanes_start(struct lanes *l);
/* n more bytes of each, n > 0 a multiple of LANES_BLOCK; last: the runs end with them. */
void lanes_add(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last);
struct digest lanes_digest(const struct lanes *l, size_t lane);

#endif
