/* lanes.c - see lanes.h; BLAKE2b as in RFC 7693, on vectors of a word of each run. */
#include "lanes.h"

typedef uint64_t words __attribute__((vector_size(8 * LANES)));

static const uint64_t initial[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

void lanes_start(struct lanes *l)
{
	*l = (struct lanes){ .bytes = 0 };
	for (size_t i = 0; i < 8; i++) {
		for (size_t lane = 0; lane < LANES; lane++)
			l->h[i][lane] = initial[i];
	}
	/* The parameters: no key, fanout and depth of 1, so many bytes of digest. */
	for (size_t lane = 0; lane < LANES; lane++)
		l->h[0][lane] ^= 0x01010000 | DIGEST_LEN;
}

struct digest lanes_digest(const struct lanes *l, size_t lane)
{
	struct digest digest;

	for (size_t i = 0; i < DIGEST_LEN; i++)
		digest.bytes[i] = (uint8_t)(l->h[i / 8][lane] >> 8 * (i % 8));
	return digest;
}

static inline __attribute__((always_inline)) uint64_t word_at(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

#define ROTATED(x, n) ((x) >> (n) | (x) << (64 - (n)))
#define MIX(a, b, c, d, x, y)                                                                      \
	do {                                                                                       \
		a += b + x;                                                                        \
		d = ROTATED(d ^ a, 32);                                                            \
		c += d;                                                                            \
		b = ROTATED(b ^ c, 24);                                                            \
		a += b + y;                                                                        \
		d = ROTATED(d ^ a, 16);                                                            \
		c += d;                                                                            \
		b = ROTATED(b ^ c, 63);                                                            \
	} while (0)
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                \
	do {                                                                                       \
		MIX(v[0], v[4], v[8], v[12], m[s0], m[s1]);                                        \
		MIX(v[1], v[5], v[9], v[13], m[s2], m[s3]);                                        \
		MIX(v[2], v[6], v[10], v[14], m[s4], m[s5]);                                       \
		MIX(v[3], v[7], v[11], v[15], m[s6], m[s7]);                                       \
		MIX(v[0], v[5], v[10], v[15], m[s8], m[s9]);                                       \
		MIX(v[1], v[6], v[11], v[12], m[s10], m[s11]);                                     \
		MIX(v[2], v[7], v[8], v[13], m[s12], m[s13]);                                      \
		MIX(v[3], v[4], v[9], v[14], m[s14], m[s15]);                                      \
	} while (0)

/* One block of each run.  bytes: of a run up to its end. */
static inline __attribute__((always_inline)) void
compress(words h[8], const uint8_t *const data[LANES], size_t at, uint64_t bytes, bool last)
{
	words v[16], m[16];

	for (size_t i = 0; i < 16; i++) {
		m[i] = (words){ word_at(data[0] + at + 8 * i), word_at(data[1] + at + 8 * i),
				word_at(data[2] + at + 8 * i), word_at(data[3] + at + 8 * i) };
		v[i] = i < 8 ? h[i] : (words){ 0 } + initial[i - 8];
	}
	v[12] ^= bytes;
	v[14] = last ? ~v[14] : v[14];
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
	ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
	ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
	ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
	ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
	ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
	ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
	ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	for (size_t i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}

static inline __attribute__((always_inline)) void
add(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	words h[8];

	memcpy(h, l->h, sizeof(h));
	for (size_t at = 0; at < n; at += LANES_BLOCK) {
		l->bytes += LANES_BLOCK;
		compress(h, data, at, l->bytes, last && at + LANES_BLOCK == n);
	}
	memcpy(l->h, h, sizeof(h));
}

static void add_anywhere(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	add(l, data, n, last);
}

#ifdef __x86_64__

static void __attribute__((target("avx2")))
add_avx2(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	add(l, data, n, last);
}

static void __attribute__((target("avx2,avx512f,avx512vl")))
add_avx512(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	add(l, data, n, last);
}

void lanes_add(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	if (__builtin_cpu_supports("avx512vl"))
		add_avx512(l, data, n, last);
	else if (__builtin_cpu_supports("avx2"))
		add_avx2(l, data, n, last);
	else
		add_anywhere(l, data, n, last);
}

#else

void lanes_add(struct lanes *l, const uint8_t *const data[LANES], size_t n, bool last)
{
	add_anywhere(l, data, n, last);
}

#endif
