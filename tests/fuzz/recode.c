/* recode.c - deflate streams and recipes: store/recode.h. Input: a byte whose bit 0 says what
 * follows.  0: a bound and a stream to inflate.  1: a recipe, a bound, and text to make a stream
 * of, repeated so often that it can be more than a block; with bit 1 flushes before the text. */
#include "store/recode.h"
#include "fuzz.h"

#define PLAIN_MAX ((size_t)1 << 20)

/* Whatever inflates and has a recipe is made again by it. */
static void try_stream(struct view stream, size_t size_max)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, again = { 0 }, flushes = { 0 };
	struct recipe recipe;

	buf_u8(&plain, 'x');
	int r = recode_inflate(stream, size_max, &plain, &flushes, NULL);
	must(r == 0 || r == 1);
	must(plain.len >= 1 && plain.data[0] == 'x' && (r == 1 || plain.len == 1));
	must(plain.len - 1 <= size_max && plain.cap <= 4 * (stream.len * 1032 + 70000));
	if (r == 0)
		return;
	struct view inflated = view_of(plain.data + 1, plain.len - 1);
	r = recode_find(stream, inflated, buf_view(&flushes), SIZE_MAX, &recipe, NULL);
	must(r == 0 || r == 1);
	if (r == 0)
		return;
	must(recode_make(&recipe, inflated, stream.len, &again, NULL) == 0);
	must(view_equal(buf_view(&again), stream));
	buf_clear(&again);
	must(recode_make(&recipe, inflated, stream.len - 1, &again, NULL) == -E_CORRUPT);
}

/* Whatever a recipe makes inflates to what it was made of. */
static void try_recipe(const struct recipe *recipe, size_t len_max, struct view text, size_t times)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, stream = { 0 }, again = { 0 };

	for (size_t i = 0; i <= times && plain.len < PLAIN_MAX; i++) {
		buf_u8(&plain, (uint8_t)i);
		buf_append(&plain, text.data, text.len);
	}
	int r = recode_make(recipe, buf_view(&plain), len_max, &stream, NULL);
	must(r == 0 || r == -E_CORRUPT);
	if (r < 0)
		return;
	must(stream.len <= len_max);
	must(recode_inflate(buf_view(&stream), plain.len, &again, NULL, NULL) == 1);
	must(view_equal(buf_view(&again), buf_view(&plain)));
	must(recode_inflate(buf_view(&stream), plain.len - 1, &again, NULL, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	struct recipe recipe = { .way = how & 1 ? take_u8(&in) : 0 };
	size_t most = (size_t)take_number(&in), times = how & 1 ? (size_t)take_number(&in) : 0;
	recipe.flushes = how & 2 ? take_string(&in) : (struct view){ 0 };
	struct view rest = take(&in, in.left);

	if (how & 1)
		try_recipe(&recipe, most, rest, times);
	else
		try_stream(rest, most);
	return 0;
}
