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

/* A place between two blocks that say something, or behind the last: how many blocks there are that
 * say nothing.  A flush leaves an empty stored block, but a partial one another. */
struct place {
	uint64_t at, before; /* bytes of plain to it, and to the flush before */
	unsigned stored, others, flushes;
	struct buf *out;
};

/* One stored block does not tell of which kind the flush was: within documents by Microsoft Office
 * it was a full one. */
static void end_place(struct place *p, bool last)
{
	uint8_t kinds = p->stored > 1 ? FLUSH_SYNC | FLUSH_FULL : last ? FLUSH_SYNC : FLUSH_FULL;

	if (p->stored && p->flushes++ < FLUSHES_MAX) {
		buf_varint(p->out, p->at - p->before);
		buf_u8(p->out, p->others ? kinds | FLUSH_PARTIAL : kinds);
		p->before = p->at;
	}
	p->stored = p->others = 0;
}

/* A block ends here, where `made` bytes are inflated. */
static void add_block(struct place *p, const z_stream *z, uint64_t made)
{
	static const uint8_t empty[] = { 0x00, 0x00, 0xff, 0xff };

	if (made != p->at)
		end_place(p, false);
	if (made == p->at && z->total_in >= sizeof(empty) &&
	    memcmp(z->next_in - sizeof(empty), empty, sizeof(empty)) == 0)
		p->stored++;
	else if (made == p->at)
		p->others++;
	p->at = made;
}

static int inflate_all(z_stream *z, size_t size_max, struct buf *out, struct place *place,
		       struct error *e)
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
		uInt left = z->avail_in;
		z->next_out = to;
		z->avail_out = (uInt)room;
		r = inflate(z, Z_BLOCK);
		if (r == Z_MEM_ERROR)
			return error_set(e, -E_NO_MEMORY, "out of memory");
		out->len -= z->avail_out;
		if (out->len - before > size_max ||
		    (r == Z_OK && z->avail_out == room && z->avail_in == left))
			break;
		/* A block's end, and not the last one's. */
		if (r == Z_OK && (z->data_type & (64 | 128)) == 128)
			add_block(place, z, out->len - before);
	}
	end_place(place, true);
	return r == Z_STREAM_END && z->avail_in == 0 && out->len - before <= size_max;
}

int recode_inflate(struct view compressed, size_t size_max, struct buf *out, struct buf *flushes,
		   struct error *e)
{
	CLEANUP(buf_release) struct buf found = { 0 };
	z_stream z = { .next_in = (Bytef *)(uintptr_t)compressed.data,
		       .avail_in = (uInt)compressed.len };
	struct place place = { .out = &found };
	size_t before = out->len;

	if (compressed.len > UINT32_MAX / 2)
		return 0;
	size_max = size_max / RECODE_RATIO_MAX > compressed.len ? compressed.len * RECODE_RATIO_MAX
								: size_max;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	int r = inflate_all(&z, size_max, out, &place, e);
	inflateEnd(&z);
	if (r != 1) {
		out->len = before;
		return r;
	}
	r = buf_check(&found, e);
	if (r == 0 && flushes && place.flushes <= FLUSHES_MAX) {
		buf_append(flushes, found.data, found.len);
		r = buf_check(flushes, e);
	}
	return r < 0 ? r : 1;
}

/* ---- deflating ---- */

/* Takes what was made; false when it wants no more. */
struct sink {
	bool (*take)(struct sink *sink, struct view made);
};

static bool is_office(const struct recipe *recipe)
{
	return recipe->way == RECIPE_OFFICE || recipe->way == RECIPE_OFFICE_DEEP;
}

static int start(z_stream *z, const struct recipe *recipe, struct error *e)
{
	bool office = is_office(recipe);

	*z = (z_stream){ 0 };
	if (deflateInit2(z, office ? OFFICE_LEVEL : recipe->way & 0x0f, Z_DEFLATED, -MAX_WBITS,
			 office ? OFFICE_MEMORY_LEVEL : MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (recipe->way == RECIPE_OFFICE_DEEP)
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

/* In pieces, so that a wrong recipe is found out early; zlib's output does not depend on them. */
static int feed(z_stream *z, struct view bytes, struct sink *sink)
{
	int r = 1;

	for (size_t at = 0; r == 1 && at < bytes.len; at += PIECE_BYTES) {
		size_t n = bytes.len - at < PIECE_BYTES ? bytes.len - at : PIECE_BYTES;

		r = run(z, view_of((const uint8_t *)bytes.data + at, n), Z_NO_FLUSH, sink);
	}
	return r;
}

static int flush(z_stream *z, uint8_t kinds, struct sink *sink)
{
	static const int flushes[] = { Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH };
	struct view nothing = { 0 };
	int r = 1;

	for (unsigned i = 0; r == 1 && i < sizeof(flushes) / sizeof(flushes[0]); i++) {
		if (kinds & 1u << i)
			r = run(z, nothing, flushes[i], sink);
	}
	return r;
}

static int make_stream(z_stream *z, const struct recipe *recipe, struct view plain,
		       struct sink *sink, struct error *e)
{
	struct reader flushes = reader_of(recipe->flushes), in = reader_of(plain);
	int r = 1;

	for (int n = 0; r == 1 && reader_left(&flushes) > 0; n++) {
		uint64_t gap = reader_varint(&flushes);
		uint8_t kinds = reader_u8(&flushes);

		if (flushes.failed || gap > reader_left(&in) || n == FLUSHES_MAX)
			return error_set(e, -E_CORRUPT, "a packed stream has flushes of another");
		r = feed(z, reader_bytes(&in, (size_t)gap), sink);
		if (r == 1)
			r = flush(z, kinds, sink);
	}
	if (r == 1)
		r = feed(z, view_of(in.at, reader_left(&in)), sink);
	return r == 1 ? run(z, view_of(NULL, 0), Z_FINISH, sink) : r;
}

static int make_whole(const struct recipe *recipe, struct view plain, struct sink *sink,
		      struct error *e)
{
	z_stream z;
	int r = start(&z, recipe, e);

	if (r < 0)
		return r;
	r = make_stream(&z, recipe, plain, sink, e);
	deflateEnd(&z);
	return r;
}

static int make_block(const struct recipe *recipe, struct view plain, size_t at, size_t n,
		      struct sink *sink, struct error *e)
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

static int make(const struct recipe *recipe, struct view plain, struct sink *sink, struct error *e)
{
	int r = 1;

	if ((recipe->way & 0xf0) != RECIPE_BLOCKS)
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
	size_t enough;    /* bytes of it that are wanted */
};

static bool compare(struct sink *sink, struct view made)
{
	struct comparing *c = (struct comparing *)sink;

	if (made.len > c->rest.len || (made.len && memcmp(c->rest.data, made.data, made.len) != 0))
		return false;
	c->rest = view_of((const uint8_t *)c->rest.data + made.len, c->rest.len - made.len);
	c->enough -= made.len < c->enough ? made.len : c->enough;
	return c->enough > 0;
}

/* Whether a stream ends as those do that were flushed before their end. */
static bool ends_flushed(struct view compressed)
{
	static const uint8_t end[] = { 0x00, 0x00, 0xff, 0xff, 0x03, 0x00 };

	return compressed.len >= sizeof(end) &&
	       memcmp((const uint8_t *)compressed.data + compressed.len - sizeof(end), end,
		      sizeof(end)) == 0;
}

/* ---- finding ---- */

/* 1: this recipe makes it. */
static int try(const struct recipe *recipe, struct view compressed, struct view plain,
	       size_t enough, struct error *e)
{
	struct comparing c = { { compare }, compressed, enough };
	int r = make(recipe, plain, &c.sink, e);

	return r < 0 ? r : c.enough == 0 || (r == 1 && c.rest.len == 0);
}

static int find_office(struct view compressed, struct view plain, size_t enough, struct recipe *ret,
		       struct error *e)
{
	ret->way = RECIPE_OFFICE_DEEP;
	int r = try(ret, compressed, plain, enough, e);

	if (r == 0) {
		ret->way = RECIPE_OFFICE;
		r = try(ret, compressed, plain, enough, e);
	}
	return r;
}

int recode_find(struct view compressed, struct view plain, struct view flushes, size_t enough,
		struct recipe *ret, struct error *e)
{
	static const uint8_t ways[] = {
		RECIPE_ZLIB + 6, RECIPE_BLOCKS + 6, RECIPE_ZLIB + 9, RECIPE_ZLIB + 1,
		RECIPE_ZLIB + 5, RECIPE_ZLIB + 7,   RECIPE_ZLIB + 8, RECIPE_ZLIB + 4,
		RECIPE_ZLIB + 3, RECIPE_ZLIB + 2,
	};
	int r = 0;

	if (plain.len > UINT32_MAX / 2)
		return 0;
	*ret = (struct recipe){ .flushes = flushes };
	if (ends_flushed(compressed))
		return flushes.len ? find_office(compressed, plain, enough, ret, e) : 0;
	for (size_t i = 0; r == 0 && i < sizeof(ways); i++) {
		*ret = (struct recipe){ .way = ways[i] };
		if (ways[i] < RECIPE_BLOCKS || plain.len > BLOCK_BYTES) /* else it is one stream */
			r = try(ret, compressed, plain, enough, e);
	}
	return r;
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

static bool is_known(const struct recipe *recipe)
{
	uint8_t scheme = recipe->way & 0xf0, level = recipe->way & 0x0f;

	return is_office(recipe) || ((scheme == RECIPE_ZLIB || scheme == RECIPE_BLOCKS) &&
				     level >= 1 && level <= 9 && recipe->flushes.len == 0);
}

int recode_make(const struct recipe *recipe, struct view plain, size_t len_max, struct buf *out,
		struct error *e)
{
	struct collecting c = { { collect }, out, len_max };

	if (!is_known(recipe) || plain.len > UINT32_MAX / 2)
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
	/* Flushed in all ways after 100,000 bytes, and after 80,000 more. */
	static const uint8_t flushes[] = { 0xa0, 0x8d, 0x06, 0x07, 0x80, 0xf1, 0x04, 0x02 };
	static const struct recipe recipes[] = {
		{ .way = RECIPE_ZLIB + 1 },
		{ .way = RECIPE_ZLIB + 6 },
		{ .way = RECIPE_ZLIB + 9 },
		{ .way = RECIPE_BLOCKS + 6 },
		{ .way = RECIPE_OFFICE, .flushes = { flushes, sizeof(flushes) } },
		{ .way = RECIPE_OFFICE_DEEP, .flushes = { flushes, sizeof(flushes) } },
	};
	static const char known[] =
		"ea80b9169588aa5803aa8b57c06549f77f8e4a45c40ad1fdfad1d196868f5392";
	CLEANUP(buf_release) struct buf sample = { 0 }, made = { 0 };
	char hex[2 * DIGEST_LEN + 1];

	if (!make_sample(&sample))
		return false;
	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		if (recode_make(&recipes[i], buf_view(&sample), SIZE_MAX, &made, NULL) < 0)
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
