/* digest.h - BLAKE2b-256, the digest of contents and of the log's chain (`b2sum -l 256` computes
 * the same). */
#ifndef DAYBOOK_DIGEST_H
#define DAYBOOK_DIGEST_H

#include <sodium.h>

#include "format.h"

struct digester {
	/* Aligned to 64 bytes: keep it on the stack or allocate it so. */
	crypto_generichash_state state;
};

void digest_start(struct digester *d);
void digest_add(struct digester *d, const void *data, size_t n);
void digest_add_zeros(struct digester *d, uint64_t n);
struct digest digest_end(struct digester *d);

struct digest digest_of(struct view bytes);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_LEN) == 0;
}

#endif
