/* tokens.c - anybody's deflate streams, and choices as a damaged disk may have them:
 * store/tokens.h.  Input: a byte whose bit 0 says what follows.  0: a bound and a stream.  1: a
 * bound, choices with their length, and plain bytes; with bit 1 the choices' header is made to
 * fit their columns, which are given one by one instead. */
#include "store/tokens.h"
#include "fuzz.h"
#include "store/recode.h"

#define SIZE_ALL ((size_t)16 << 20)

/* It is a stream exactly when zlib says so, and is made again. */
static void try_stream(struct view stream, size_t size_max)
{
	CLEANUP(buf_release)
	struct buf plain = { 0 },
		   choices = { 0 }, zlibs = { 0 }, again = { 0 };

	buf_u8(&plain, 'x');
	int r = tokens_split(stream, SIZE_ALL, &plain, &choices, NULL);
	must(r == 0 || r == 1);
	must(plain.len >= 1 && plain.data[0] == 'x' && (r == 1 || plain.len + choices.len == 1));
	must(plain.len - 1 + choices.len <= SIZE_ALL);
	if (recode_inflate(stream, SIZE_ALL / 8, &zlibs, NULL, NULL) == 1)
		must(r == 1);
	if (r == 0)
		return;
	struct view inflated = view_of(plain.data + 1, plain.len - 1);
	buf_clear(&zlibs);
	must(recode_inflate(stream, inflated.len, &zlibs, NULL, NULL) == 1);
	must(view_equal(buf_view(&zlibs), inflated));
	must(tokens_join(inflated, buf_view(&choices), stream.len, &again, NULL) == 0);
	must(view_equal(buf_view(&again), stream));
	must(tokens_join(inflated, buf_view(&choices), stream.len - 1, &again, NULL) == -E_CORRUPT);
	must(again.len == stream.len);
	size_t all = inflated.len + choices.len;
	r = tokens_split(stream, size_max, &again, &choices, NULL);
	must(r == (all <= size_max));
}

/* Whatever is put together and is a stream is put together again of what it is. */
static void try_choices(struct view choices, struct view plain, size_t len_max)
{
	CLEANUP(buf_release) struct buf stream = { 0 };
	int r = tokens_join(plain, choices, len_max, &stream, NULL);

	must(r == 0 || r == -E_CORRUPT);
	must(stream.len <= len_max && (r == 0 || stream.len == 0));
	if (r == 0)
		try_stream(buf_view(&stream), len_max);
}

static void add_columns(struct input *in, struct buf *out)
{
	struct view blocks = take_string(in), runs = take_string(in), odd = take_string(in),
		    lengths = take_string(in), far = take(in, lengths.len),
		    near = take(in, far.len);
	struct view columns[] = {
		blocks, runs, view_of(lengths.data, near.len), view_of(far.data, near.len),
		near,   odd
	};

	buf_varint(out, blocks.len);
	buf_varint(out, runs.len);
	buf_varint(out, odd.len);
	buf_varint(out, near.len);
	buf_u8(out, take_u8(in));
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		buf_append(out, columns[i].data, columns[i].len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf choices = { 0 };
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	size_t most = (size_t)take_number(&in);

	if (!(how & 1)) {
		try_stream(take(&in, in.left), most);
		return 0;
	}
	if (how & 2) {
		add_columns(&in, &choices);
	} else {
		struct view any = take_string(&in);

		buf_append(&choices, any.data, any.len);
	}
	try_choices(buf_view(&choices), take(&in, in.left), most);
	return 0;
}
