/* noise.h - reproducible random numbers and bytes for tests (splitmix64). */
#ifndef DAYBOOK_TEST_NOISE_H
#define DAYBOOK_TEST_NOISE_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t noise_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* A number below n. */
static inline uint64_t noise_below(uint64_t *state, uint64_t n)
{
	return noise_next(state) % n;
}

static inline void noise_fill(uint8_t *data, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = noise_next(&seed);

		memcpy(data + i, &word, n - i < 8 ? n - i : 8);
	}
}

/* n random bytes, for free(). */
static inline uint8_t *noise_new(size_t n, uint64_t seed)
{
	uint8_t *data = malloc(n + 1);

	ck_assert_ptr_nonnull(data);
	noise_fill(data, n, seed);
	return data;
}

#endif
