/* digest.c - see digest.h. */
#include "digest.h"

void digest_start(struct digester *d)
{
	crypto_generichash_init(&d->state, NULL, 0, DIGEST_LEN);
}

void digest_add(struct digester *d, const void *data, size_t n)
{
	if (n)
		crypto_generichash_update(&d->state, data, n);
}

void digest_add_zeros(struct digester *d, uint64_t n)
{
	static const uint8_t zeros[64 * 1024];

	for (; n > sizeof(zeros); n -= sizeof(zeros))
		digest_add(d, zeros, sizeof(zeros));
	digest_add(d, zeros, (size_t)n);
}

struct digest digest_end(struct digester *d)
{
	struct digest digest;

	crypto_generichash_final(&d->state, digest.bytes, DIGEST_LEN);
	return digest;
}

struct digest digest_of(struct view bytes)
{
	struct digester d;

	digest_start(&d);
	digest_add(&d, bytes.data, bytes.len);
	return digest_end(&d);
}
