/* recode.c - see recode.h. */
#include "recode.h"

#include <stdatomic.h>
#include <zlib.h>

#include "digest.h"

#define BLOCK_BYTES ((size_t)128 << 10)
#define WINDOW_BYTES ((size_t)32 << 10)
#define PIECE_BYTES ((size_t)64 << 10)
#define MEMORY_LEVEL 8
#define OFFICE_LEVEL 1
#define OFFICE_MEMORY_LEVEL 7

/* ---- inflating ---- */

static int inflate_all(z_stream *z, size_t size_max, struct buf *out, struct error *e)
{
	size_t before = out->len;
	int r = Z_OK;

	while (r == Z_OK) {
		/* One more, to see that there is more. */
		size_t room = size_max - (out->len - before) + 1;
		room = room < PIECE_BYTES ? room : PIECE_BYTES;
		uint8_t *to = buf_grow(out, room);
		if (!to)
			return error_set(e, -E_NO_MEMORY, "out of memory");
		z->next_out = to;
		z->avail_out = (uInt)room;
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_MEM_ERROR)
			return error_set(e, -E_NO_MEMORY, "out of memory");
		out->len -= z->avail_out;
		if (out->len - before > size_max || (r == Z_OK && z->avail_out == room))
			break;
	}
	return r == Z_STREAM_END && z->avail_in == 0 && out->len - before <= size_max;
}

int recode_inflate(struct view compressed, size_t size_max, struct buf *out, struct error *e)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)compressed.data,
		       .avail_in = (uInt)compressed.len };
	size_t before = out->len;

	if (compressed.len > UINT32_MAX / 2)
		return 0;
	size_max = size_max / RECODE_RATIO_MAX > compressed.len ? compressed.len * RECODE_RATIO_MAX
								: size_max;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	int r = inflate_all(&z, size_max, out, e);
	inflateEnd(&z);
	if (r != 1)
		out->len = before;
	return r;
}

/* ---- deflating ---- */

/* Takes what was made; false when it wants no more. */
struct sink {
	bool (*take)(struct sink *sink, struct view made);
};

static int start(z_stream *z, uint8_t recipe, struct error *e)
{
	bool office = (recipe & 0xf0) == RECIPE_OFFICE;

	*z = (z_stream){ 0 };
	if (deflateInit2(z, office ? OFFICE_LEVEL : recipe & 0x0f, Z_DEFLATED, -MAX_WBITS,
			 office ? OFFICE_MEMORY_LEVEL : MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (office && recipe & OFFICE_DEEP)
		deflateTune(z, 4, 4, 258, 16);
	return 0;
}

/* 1: all was taken; 0: the sink wants no more. */
static int run(z_stream *z, struct view bytes, int flush, struct sink *sink)
{
	uint8_t made[16384];

	z->next_in = (Bytef *)(uintptr_t)bytes.data;
	z->avail_in = (uInt)bytes.len;
	do {
		z->next_out = made;
		z->avail_out = sizeof(made);
		deflate(z, flush);
		if (!sink->take(sink, view_of(made, sizeof(made) - z->avail_out)))
			return 0;
	} while (z->avail_out == 0);
	return 1;
}

/* The last bytes, and the stream's end. */
static int run_end(z_stream *z, uint8_t recipe, struct view bytes, struct sink *sink)
{
	struct view nothing = { 0 };
	bool office = (recipe & 0xf0) == RECIPE_OFFICE;
	int r = 1;

	if (!office)
		return run(z, bytes, Z_FINISH, sink);
	if (recipe & OFFICE_ALIGNED) {
		r = run(z, bytes, Z_PARTIAL_FLUSH, sink);
		bytes = nothing;
	}
	if (r == 1)
		r = run(z, bytes, Z_SYNC_FLUSH, sink);
	return r == 1 ? run(z, nothing, Z_FINISH, sink) : r;
}

static int make_whole(uint8_t recipe, struct view plain, struct sink *sink, struct error *e)
{
	z_stream z;
	int r = start(&z, recipe, e);

	/* In pieces, so that a wrong recipe is found out early; zlib's output does not depend on
	 * them. */
	for (size_t at = 0; r == 0;) {
		size_t n = plain.len - at < PIECE_BYTES ? plain.len - at : PIECE_BYTES;
		struct view piece = view_of((const uint8_t *)plain.data + at, n);

		r = at + n == plain.len ? run_end(&z, recipe, piece, sink)
					: run(&z, piece, Z_NO_FLUSH, sink);
		if (r == 0 || at + n == plain.len)
			break;
		at += n;
		r = 0;
	}
	deflateEnd(&z);
	return r;
}

static int make_block(uint8_t recipe, struct view plain, size_t at, size_t n, struct sink *sink,
		      struct error *e)
{
	const uint8_t *bytes = plain.data;
	z_stream z;
	int r = start(&z, recipe, e);

	if (r < 0)
		return r;
	if (at)
		deflateSetDictionary(&z, bytes + at - WINDOW_BYTES, WINDOW_BYTES);
	r = run(&z, view_of(bytes + at, n), at + n == plain.len ? Z_FINISH : Z_SYNC_FLUSH, sink);
	deflateEnd(&z);
	return r;
}

static int make(uint8_t recipe, struct view plain, struct sink *sink, struct error *e)
{
	int r = 1;

	if ((recipe & 0xf0) != RECIPE_BLOCKS)
		return make_whole(recipe, plain, sink, e);
	for (size_t at = 0; r == 1 && at < plain.len; at += BLOCK_BYTES)
		r = make_block(recipe, plain, at,
			       plain.len - at < BLOCK_BYTES ? plain.len - at : BLOCK_BYTES, sink,
			       e);
	return r;
}

struct comparing {
	struct sink sink;
	struct view rest; /* what is to come */
};

static bool compare(struct sink *sink, struct view made)
{
	struct comparing *c = (struct comparing *)sink;

	if (made.len > c->rest.len || (made.len && memcmp(c->rest.data, made.data, made.len) != 0))
		return false;
	c->rest = view_of((const uint8_t *)c->rest.data + made.len, c->rest.len - made.len);
	return true;
}

/* Whether a stream ends as those do that were flushed before their end. */
static bool ends_flushed(struct view compressed)
{
	static const uint8_t end[] = { 0x00, 0x00, 0xff, 0xff, 0x03, 0x00 };

	return compressed.len >= sizeof(end) &&
	       memcmp((const uint8_t *)compressed.data + compressed.len - sizeof(end), end,
		      sizeof(end)) == 0;
}

/* Whether it may be: what a stream's end tells, and its length, needs no trial. */
static bool may_be(uint8_t recipe, bool flushed, struct view plain)
{
	return ((recipe & 0xf0) == RECIPE_OFFICE) == flushed &&
	       ((recipe & 0xf0) != RECIPE_BLOCKS || plain.len > BLOCK_BYTES);
}

int recode_find(struct view compressed, struct view plain, uint8_t *ret, struct error *e)
{
	static const uint8_t recipes[] = {
		RECIPE_ZLIB + 6,
		RECIPE_BLOCKS + 6,
		RECIPE_OFFICE + OFFICE_DEEP,
		RECIPE_OFFICE + OFFICE_DEEP + OFFICE_ALIGNED,
		RECIPE_OFFICE,
		RECIPE_OFFICE + OFFICE_ALIGNED,
		RECIPE_ZLIB + 9,
		RECIPE_ZLIB + 1,
		RECIPE_ZLIB + 5,
		RECIPE_ZLIB + 7,
		RECIPE_ZLIB + 8,
		RECIPE_ZLIB + 4,
		RECIPE_ZLIB + 3,
		RECIPE_ZLIB + 2,
	};
	bool flushed = ends_flushed(compressed);

	for (size_t i = 0; i < sizeof(recipes) && plain.len <= UINT32_MAX / 2; i++) {
		struct comparing c = { { compare }, compressed };

		if (!may_be(recipes[i], flushed, plain))
			continue;
		int r = make(recipes[i], plain, &c.sink, e);
		if (r < 0)
			return r;
		if (r == 1 && c.rest.len == 0) {
			*ret = recipes[i];
			return 1;
		}
	}
	return 0;
}

struct collecting {
	struct sink sink;
	struct buf *out;
	size_t len_max;
};

static bool collect(struct sink *sink, struct view made)
{
	struct collecting *c = (struct collecting *)sink;

	if (made.len > c->len_max)
		return false;
	c->len_max -= made.len;
	buf_append(c->out, made.data, made.len);
	return true;
}

int recode_make(uint8_t recipe, struct view plain, size_t len_max, struct buf *out, struct error *e)
{
	struct collecting c = { { collect }, out, len_max };
	uint8_t scheme = recipe & 0xf0, level = recipe & 0x0f;

	bool known = scheme == RECIPE_OFFICE ? level <= OFFICE_DEEP + OFFICE_ALIGNED
					     : (scheme == RECIPE_ZLIB || scheme == RECIPE_BLOCKS) &&
						       level >= 1 && level <= 9;

	if (!known || plain.len > UINT32_MAX / 2)
		return error_set(e, -E_CORRUPT, "a packed stream has an unknown recipe");
	int r = make(recipe, plain, &c.sink, e);
	if (r == 0)
		return error_set(e, -E_CORRUPT, "a packed stream is longer than it was");
	return r < 0 ? r : buf_check(out, e);
}

/* ---- is it the zlib we know? ---- */

#define SAMPLE_BYTES ((size_t)300 << 10)

/* Text-like bytes, the same at all times: words of a small alphabet, repeated at growing
 * distances. */
static bool make_sample(struct buf *out)
{
	uint32_t state = 1;
	uint8_t *bytes = buf_grow(out, SAMPLE_BYTES);

	for (size_t i = 0; bytes && i < SAMPLE_BYTES; i++) {
		state = state * 1664525u + 1013904223u;
		uint32_t roll = state >> 24;
		bytes[i] = roll < 200 && i > 999
				   ? bytes[i - 1 - (state >> 8) % (roll < 100 ? 999 : 17)]
				   : (uint8_t)("<c r=\"0123456789\">"[(state >> 12) % 18]);
	}
	return bytes != NULL;
}

static bool makes_known_streams(void)
{
	static const uint8_t recipes[] = { RECIPE_ZLIB + 1,
					   RECIPE_ZLIB + 6,
					   RECIPE_ZLIB + 9,
					   RECIPE_BLOCKS + 6,
					   RECIPE_OFFICE + OFFICE_ALIGNED,
					   RECIPE_OFFICE + OFFICE_DEEP + OFFICE_ALIGNED };
	static const char known[] =
		"30d8fb4cc0edae2834e5ff8dfddc3df90d4145f41c3c33005fb726844c0044a2";
	CLEANUP(buf_release) struct buf sample = { 0 }, made = { 0 };
	char hex[2 * DIGEST_LEN + 1];

	if (!make_sample(&sample))
		return false;
	for (size_t i = 0; i < sizeof(recipes); i++) {
		if (recode_make(recipes[i], buf_view(&sample), SIZE_MAX, &made, NULL) < 0)
			return false;
	}
	struct digest digest = digest_of(buf_view(&made));
	hex_encode(hex, digest.bytes, DIGEST_LEN);
	return strcmp(hex, known) == 0;
}

bool recode_is_sound(void)
{
	enum { UNKNOWN, SOUND, UNSOUND };
	static atomic_int answer;

	if (atomic_load(&answer) == UNKNOWN)
		atomic_store(&answer, makes_known_streams() ? SOUND : UNSOUND);
	return atomic_load(&answer) == SOUND;
}
