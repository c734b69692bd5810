/* fuzz.h - what the fuzz targets share.
 *
 * A *target* is one program: libFuzzer calls LLVMFuzzerTestOneInput() with bytes that nobody chose,
 * under ASan and UBSan.  It may neither crash, hang nor leak, and what it says of itself with
 * must() holds.  The same bytes do the same every time: a target that keeps a store begins it anew
 * where the outcome depends on it. */
#ifndef DAYBOOK_FUZZ_H
#define DAYBOOK_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What must be true whatever the input. */
#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: it does not hold that %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* The input, taken piece by piece; what is not there any more is zero or empty. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline struct view take(struct input *in, size_t n)
{
	struct view v = view_of(in->at, n < in->left ? n : in->left);

	in->at += v.len;
	in->left -= v.len;
	return v;
}

static inline uint8_t take_u8(struct input *in)
{
	struct view v = take(in, 1);

	return v.len ? *(const uint8_t *)v.data : 0;
}

/* A number of which the first byte says how wide it is: small ones are frequent, and so are those
 * near the edges. */
static inline uint64_t take_number(struct input *in)
{
	static const uint64_t edges[] = { 0,
					  1,
					  2,
					  0x7f,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  1ull << 32,
					  1ull << 62,
					  INT64_MAX - 1,
					  INT64_MAX,
					  1ull << 63,
					  UINT64_MAX - 1,
					  UINT64_MAX,
					  4096,
					  1 << 20 };
	uint8_t kind = take_u8(in);
	uint64_t v = 0;

	if (kind < 0xc0)
		return kind;
	if (kind < 0xd0)
		return edges[kind & 15];
	for (unsigned i = 0; i <= (kind & 7u); i++)
		v = v << 8 | take_u8(in);
	return v;
}

/* A length byte and as many bytes. */
static inline struct view take_string(struct input *in)
{
	return take(in, take_u8(in));
}

/* The rest as a C string, for free(). */
static inline char *take_text(struct input *in)
{
	struct view rest = take(in, in->left);
	char *text = malloc(rest.len + 1);

	must(text);
	memcpy(text, rest.data ? rest.data : "", rest.len);
	text[rest.len] = '\0';
	return text;
}

#endif
