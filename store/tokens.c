/* tokens.c - see tokens.h.  RFC 1951 says what a deflate stream is. */
#include "tokens.h"

#include <endian.h>

#define CODE_BITS_MAX 15
#define FAST_BITS 10
#define LITERALS 288 /* symbols of bytes and lengths, and two that may not be used */
#define LITERALS_MAX 286
#define DISTANCES 32 /* likewise */
#define DISTANCES_MAX 30
#define ORDERED 19 /* symbols of the code of code lengths */
#define END_OF_BLOCK 256
#define LENGTH_MIN 3
#define LENGTH_MAX 258
#define STORED_MAX 65535
#define PIECE_BYTES ((size_t)64 << 10)

enum block_type { STORED, FIXED, DYNAMIC };

/* The order in which lengths of the code of code lengths stand in a block. */
static const uint8_t order[ORDERED] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
					11, 4,  12, 3, 13, 2, 14, 1, 15 };

/* ---- what both ways have in common ---- */

/* A block's codes: a length for each symbol, those of distances behind the others. */
struct lengths {
	uint8_t at[LITERALS + DISTANCES];
	unsigned count, wanted;
};

static void lengths_fixed(struct lengths *l)
{
	memset(l->at, 8, 144);
	memset(l->at + 144, 9, 112);
	memset(l->at + 256, 7, 24);
	memset(l->at + 280, 8, 8);
	memset(l->at + LITERALS, 5, DISTANCES);
}

/* A code length symbol as it stands in the column: itself, and its extra bits. */
static unsigned symbol_of(uint8_t byte)
{
	return byte < 16 ? byte : byte < 20 ? 16 : byte < 28 ? 17 : 18;
}

static unsigned extra_bits_of(unsigned symbol)
{
	return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
}

static const uint8_t first_byte[ORDERED] = { 0,  1,  2,  3,  4,  5,  6,  7,  8, 9,
					     10, 11, 12, 13, 14, 15, 16, 20, 28 };

/* Adds what such a byte says; false when it says too much. */
static bool lengths_add(struct lengths *l, uint8_t byte)
{
	unsigned symbol = symbol_of(byte), extra = byte - first_byte[symbol];
	unsigned times = symbol < 16 ? 1 : extra + (symbol == 18 ? 11 : 3);
	uint8_t length = symbol < 16 ? byte : 0;

	if (times > l->wanted - l->count || (symbol == 16 && l->count == 0))
		return false;
	if (symbol == 16)
		length = l->at[l->count - 1];
	memset(l->at + l->count, length, times);
	l->count += times;
	return true;
}

/* Of the first n and the rest, two codes whose lengths stand LITERALS apart. */
static void lengths_part(struct lengths *l, unsigned n)
{
	uint8_t distances[DISTANCES] = { 0 };

	memcpy(distances, l->at + n, l->wanted - n);
	memset(l->at + n, 0, LITERALS - n);
	memcpy(l->at + LITERALS, distances, DISTANCES);
}

/* Numbers of codes of each length.  False unless they are a code: one that leaves bits without a
 * meaning may only be a single symbol's, or none's. */
static bool code_count(const uint8_t *lengths, unsigned n, bool may_be_single,
		       uint16_t count[CODE_BITS_MAX + 1])
{
	int left = 1;
	unsigned longest = 0;

	memset(count, 0, (CODE_BITS_MAX + 1) * sizeof(*count));
	for (unsigned i = 0; i < n; i++) {
		count[lengths[i]]++;
		longest = lengths[i] > longest ? lengths[i] : longest;
	}
	for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++) {
		left = 2 * left - count[bits];
		if (left < 0)
			return false;
	}
	count[0] = 0;
	return left == 0 || longest == 0 || (may_be_single && longest == 1);
}

/* Lengths and distances are symbols with extra bits: ever more as they grow. */
static unsigned length_extra(unsigned symbol)
{
	return symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4;
}

static unsigned length_base(unsigned symbol)
{
	unsigned k = symbol - 257;

	return LENGTH_MIN + (k < 8 ? k : k == 28 ? 255 : (4 + k % 4) << length_extra(symbol));
}

static unsigned distance_extra(unsigned symbol)
{
	return symbol < 4 ? 0 : symbol / 2 - 1;
}

static unsigned distance_base(unsigned symbol)
{
	return 1 + (symbol < 4 ? symbol : (2 + symbol % 2) << distance_extra(symbol));
}

static unsigned top_bit(unsigned v)
{
	return 31 - (unsigned)__builtin_clz(v);
}

static unsigned length_symbol(unsigned length)
{
	unsigned l = length - LENGTH_MIN;

	if (l < 8 || length == LENGTH_MAX)
		return 257 + (l < 8 ? l : 28);
	return 257 + 4 * (top_bit(l) - 1) + (l >> (top_bit(l) - 2)) % 4;
}

static unsigned distance_symbol(unsigned distance)
{
	unsigned d = distance - 1;

	return d < 4 ? d : 2 * top_bit(d) + (d >> (top_bit(d) - 1)) % 2;
}

/* ---- taking apart ---- */

/* Codes of up to FAST_BITS bits are looked up: symbol << 4 | length; 0: it is longer. */
struct decoder {
	uint16_t fast[1 << FAST_BITS];
	uint16_t count[CODE_BITS_MAX + 1];
	uint16_t symbols[LITERALS]; /* in the order of their codes */
};

struct bits_in {
	const uint8_t *at, *end;
	uint64_t hold;
	unsigned count;
	bool failed;
};

struct split {
	struct bits_in in;
	struct lengths lengths;
	struct decoder literals, distances;
	struct buf *plain;
	size_t before, made, size_max; /* of plain: what was there, bytes since, at most */
	uint64_t run, usual;           /* bytes since the last match, matches since the last odd */
	struct buf blocks, runs, matches, far, near, odd;
};

static void split_release(struct split *s)
{
	struct buf *all[] = { &s->blocks, &s->runs, &s->matches, &s->far, &s->near, &s->odd };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_release(all[i]);
}

/* At least 56 bits, or all there are. */
static inline void refill(struct bits_in *in)
{
	if (in->end - in->at >= 8) {
		uint64_t next;

		memcpy(&next, in->at, 8);
		in->hold |= le64toh(next) << in->count;
		in->at += (63 - in->count) >> 3;
		in->count |= 56;
		return;
	}
	while (in->count < 56 && in->at < in->end) {
		in->hold |= (uint64_t)*in->at++ << in->count;
		in->count += 8;
	}
}

static inline unsigned drop_bits(struct bits_in *in, unsigned n)
{
	unsigned v = (unsigned)(in->hold & ((1ull << n) - 1));

	if (n > in->count) {
		in->failed = true;
		return 0;
	}
	in->hold >>= n;
	in->count -= n;
	return v;
}

/* Up to 16 bits. */
static unsigned take_bits(struct bits_in *in, unsigned n)
{
	refill(in);
	return drop_bits(in, n);
}

static void fill_fast(struct decoder *d, unsigned code, unsigned bits, unsigned symbol)
{
	unsigned reversed = 0;

	for (unsigned i = 0; i < bits; i++)
		reversed |= (code >> i & 1) << (bits - 1 - i);
	for (unsigned i = reversed; i < 1 << FAST_BITS; i += 1u << bits)
		d->fast[i] = (uint16_t)(symbol << 4 | bits);
}

static bool decoder_make(struct decoder *d, const uint8_t *lengths, unsigned n, bool may_be_single)
{
	uint16_t place[CODE_BITS_MAX + 2] = { 0 };
	unsigned code = 0, k = 0;

	if (!code_count(lengths, n, may_be_single, d->count))
		return false;
	for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++)
		place[bits + 1] = (uint16_t)(place[bits] + d->count[bits]);
	for (unsigned i = 0; i < n; i++) {
		if (lengths[i])
			d->symbols[place[lengths[i]]++] = (uint16_t)i;
	}
	memset(d->fast, 0, sizeof(d->fast));
	for (unsigned bits = 1; bits <= FAST_BITS; bits++, code <<= 1) {
		for (unsigned i = 0; i < d->count[bits]; i++)
			fill_fast(d, code++, bits, d->symbols[k++]);
	}
	return true;
}

static unsigned decode_slowly(struct bits_in *in, const struct decoder *d)
{
	unsigned code = 0, first = 0, k = 0;

	for (unsigned bits = 1; bits <= CODE_BITS_MAX && bits <= in->count; bits++) {
		code |= (unsigned)(in->hold >> (bits - 1)) & 1;
		if (code - first < d->count[bits]) {
			drop_bits(in, bits);
			return d->symbols[k + code - first];
		}
		k += d->count[bits];
		first = (first + d->count[bits]) << 1;
		code <<= 1;
	}
	in->failed = true;
	return 0;
}

/* Of bits that are there already. */
static inline unsigned decode(struct bits_in *in, const struct decoder *d)
{
	unsigned known = d->fast[in->hold & ((1 << FAST_BITS) - 1)];

	if (!known || (known & 15) > in->count)
		return decode_slowly(in, d);
	in->hold >>= known & 15;
	in->count -= known & 15;
	return known >> 4;
}

/* Makes room for n more plain bytes; false when memory is out, or they may not be. */
static inline bool make_room(struct split *s, size_t n)
{
	return s->size_max - s->made >= n &&
	       (s->plain->len - s->before - s->made >= n || buf_grow(s->plain, PIECE_BYTES));
}

static inline uint8_t *plain_end(const struct split *s)
{
	return s->plain->data + s->before + s->made;
}

static bool split_stored(struct split *s)
{
	struct bits_in *in = &s->in;

	refill(in);
	buf_u8(&s->blocks, (uint8_t)drop_bits(in, in->count % 8));
	unsigned len = take_bits(in, 16), check = take_bits(in, 16);
	/* Whole bytes that are held are given back. */
	in->at -= in->count / 8;
	in->hold = in->count = 0;
	if (in->failed || check != (len ^ STORED_MAX) || (size_t)(in->end - in->at) < len ||
	    !make_room(s, len))
		return false;
	if (len)
		memcpy(plain_end(s), in->at, len);
	in->at += len;
	s->made += len;
	buf_varint(&s->blocks, len);
	return true;
}

static bool read_code_lengths(struct split *s)
{
	struct bits_in *in = &s->in;

	while (s->lengths.count < s->lengths.wanted) {
		refill(in);
		unsigned symbol = decode(in, &s->literals);
		unsigned extra = drop_bits(in, extra_bits_of(symbol));
		uint8_t byte = (uint8_t)(first_byte[symbol] + extra);

		if (in->failed || !lengths_add(&s->lengths, byte))
			return false;
		buf_u8(&s->blocks, byte);
	}
	return true;
}

static bool read_codes(struct split *s)
{
	struct bits_in *in = &s->in;
	unsigned literals = take_bits(in, 5), distances = take_bits(in, 5), n = take_bits(in, 4);
	uint8_t ordered[ORDERED] = { 0 };

	buf_u8(&s->blocks, (uint8_t)literals);
	buf_u8(&s->blocks, (uint8_t)distances);
	buf_u8(&s->blocks, (uint8_t)n);
	for (unsigned i = 0; i < n + 4; i++) {
		ordered[order[i]] = (uint8_t)take_bits(in, 3);
		buf_u8(&s->blocks, ordered[order[i]]);
	}
	literals += 257;
	s->lengths.wanted = literals + distances + 1;
	if (literals > LITERALS_MAX || distances + 1 > DISTANCES_MAX ||
	    !decoder_make(&s->literals, ordered, ORDERED, false) || !read_code_lengths(s))
		return false;
	lengths_part(&s->lengths, literals);
	return s->lengths.at[END_OF_BLOCK] != 0;
}

static bool split_match(struct split *s, unsigned symbol)
{
	struct bits_in *in = &s->in;

	if (symbol >= LITERALS_MAX)
		return false;
	unsigned length = length_base(symbol) + drop_bits(in, length_extra(symbol));
	unsigned code = decode(in, &s->distances);
	if (code >= DISTANCES_MAX)
		return false;
	unsigned distance = distance_base(code) + drop_bits(in, distance_extra(code));
	if (in->failed || distance > s->made || !make_room(s, length))
		return false;
	uint8_t *to = plain_end(s);
	for (unsigned i = 0; i < length; i++)
		to[i] = to[(ptrdiff_t)i - (ptrdiff_t)distance];
	s->made += length;
	buf_varint(&s->runs, s->run);
	buf_u8(&s->matches, (uint8_t)(length - LENGTH_MIN));
	buf_u8(&s->far, (uint8_t)((distance - 1) >> 8));
	buf_u8(&s->near, (uint8_t)(distance - 1));
	s->run = 0;
	s->usual++;
	if (length == LENGTH_MAX && symbol != length_symbol(length)) {
		buf_varint(&s->odd, s->usual - 1);
		s->usual = 0;
	}
	return true;
}

static bool split_tokens(struct split *s)
{
	struct bits_in *in = &s->in;

	for (uint64_t count = 0;; count++) {
		refill(in);
		unsigned symbol = decode(in, &s->literals);

		if (in->failed)
			return false;
		if (symbol == END_OF_BLOCK) {
			buf_varint(&s->blocks, count);
			return true;
		}
		if (symbol > END_OF_BLOCK) {
			if (!split_match(s, symbol))
				return false;
			continue;
		}
		if (!make_room(s, 1))
			return false;
		*plain_end(s) = (uint8_t)symbol;
		s->made++;
		s->run++;
	}
}

static bool split_coded(struct split *s, enum block_type type)
{
	s->lengths.count = 0;
	if (type == FIXED)
		lengths_fixed(&s->lengths);
	else if (!read_codes(s))
		return false;
	return decoder_make(&s->literals, s->lengths.at, LITERALS, true) &&
	       decoder_make(&s->distances, s->lengths.at + LITERALS, DISTANCES, true) &&
	       split_tokens(s);
}

static size_t choices_bytes(const struct split *s)
{
	return s->blocks.len + s->runs.len + s->odd.len + 3 * s->matches.len;
}

/* All blocks, to the last byte. */
static bool split_blocks(struct split *s)
{
	bool last = false;

	while (!last) {
		unsigned head = take_bits(&s->in, 3), type = head >> 1;

		buf_u8(&s->blocks, (uint8_t)head);
		last = head & 1;
		if (s->in.failed || type > DYNAMIC ||
		    !(type == STORED ? split_stored(s) : split_coded(s, type)) ||
		    s->made + choices_bytes(s) > s->size_max)
			return false;
	}
	buf_varint(&s->runs, s->run);
	refill(&s->in);
	return s->in.at == s->in.end && s->in.count < 8;
}

static int put_choices(const struct split *s, struct buf *choices, struct error *e)
{
	const struct buf *const columns[] = { &s->blocks, &s->runs, &s->matches,
					      &s->far,    &s->near, &s->odd };

	buf_varint(choices, s->blocks.len);
	buf_varint(choices, s->runs.len);
	buf_varint(choices, s->odd.len);
	buf_varint(choices, s->matches.len);
	buf_u8(choices, (uint8_t)s->in.hold);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		choices->failed |= columns[i]->failed;
		buf_append(choices, columns[i]->data, columns[i]->len);
	}
	return buf_check(choices, e);
}

int tokens_split(struct view compressed, size_t size_max, struct buf *plain, struct buf *choices,
		 struct error *e)
{
	struct reader in = reader_of(compressed);
	CLEANUP(split_release)
	struct split s = { .in = { .at = in.at, .end = in.end },
			   .plain = plain,
			   .before = plain->len,
			   .size_max = size_max };
	size_t before = choices->len;
	bool is_stream = split_blocks(&s);

	plain->len = s.before + (is_stream ? s.made : 0);
	if (buf_check(plain, e) < 0)
		return -E_NO_MEMORY;
	int r = is_stream ? put_choices(&s, choices, e) : 0;
	if (r < 0 || !is_stream || s.made + choices->len - before <= size_max)
		return r < 0 ? r : is_stream;
	plain->len = s.before;
	choices->len = before;
	return 0;
}

/* ---- putting together ---- */

/* A symbol's code, its first bit lowest, and how many bits; 0: it has none. */
struct encoder {
	uint16_t code[LITERALS];
	uint8_t bits[LITERALS];
};

struct join {
	const uint8_t *plain, *plain_end;
	struct reader blocks, runs, odd;
	const uint8_t *matches, *far, *near;
	uint64_t left;       /* matches */
	uint64_t run, usual; /* bytes before the next match, matches before the next odd */
	uint8_t last_bits;
	struct lengths lengths;
	struct encoder literals, distances;
	struct buf *out;
	size_t before, made, len_max; /* of out: what was there, whole bytes since, at most */
	uint64_t hold;                /* bits that are not written yet */
	unsigned count;
};

static void encoder_make(struct encoder *encoder, const uint8_t *lengths, unsigned n,
			 const uint16_t count[CODE_BITS_MAX + 1])
{
	unsigned next[CODE_BITS_MAX + 1] = { 0 };

	for (unsigned bits = 2; bits <= CODE_BITS_MAX; bits++)
		next[bits] = (next[bits - 1] + count[bits - 1]) << 1;
	for (unsigned i = 0; i < n; i++) {
		unsigned code = lengths[i] ? next[lengths[i]]++ : 0, reversed = 0;

		for (unsigned bit = 0; bit < lengths[i]; bit++)
			reversed |= (code >> bit & 1) << (lengths[i] - 1 - bit);
		encoder->code[i] = (uint16_t)reversed;
		encoder->bits[i] = lengths[i];
	}
}

static bool make_encoder(struct encoder *encoder, const uint8_t *lengths, unsigned n,
			 bool may_be_single)
{
	uint16_t count[CODE_BITS_MAX + 1];

	if (!code_count(lengths, n, may_be_single, count))
		return false;
	encoder_make(encoder, lengths, n, count);
	return true;
}

/* Up to 16 bits; there is room for them. */
static inline void put_bits(struct join *j, unsigned v, unsigned n)
{
	j->hold |= (uint64_t)v << j->count;
	j->count += n;
}

/* Writes whole bytes: then there is room for 56 bits.  False: memory is out, or there are too many.
 * Room is made for more than is written, but len_max is kept. */
static inline bool flush_bits(struct join *j)
{
	uint64_t bytes = htole64(j->hold);

	if (j->out->len - j->before - j->made < 8 && !buf_grow(j->out, PIECE_BYTES))
		return false;
	memcpy(j->out->data + j->before + j->made, &bytes, 8);
	j->made += j->count / 8;
	j->hold >>= j->count & ~7u;
	j->count &= 7;
	return j->made <= j->len_max;
}

/* A symbol; false when it has no code. */
static inline bool put_symbol(struct join *j, const struct encoder *encoder, unsigned symbol)
{
	put_bits(j, encoder->code[symbol], encoder->bits[symbol]);
	return encoder->bits[symbol] != 0;
}

static bool join_stored(struct join *j)
{
	unsigned padding = reader_u8(&j->blocks);
	uint64_t len = reader_varint(&j->blocks);

	if (len > STORED_MAX || len > (size_t)(j->plain_end - j->plain))
		return false;
	unsigned n = (8 - j->count % 8) % 8;
	put_bits(j, padding & ((1u << n) - 1), n);
	put_bits(j, (unsigned)len, 16);
	put_bits(j, (unsigned)len ^ STORED_MAX, 16);
	if (!flush_bits(j) || j->len_max - j->made < len)
		return false;
	j->out->len = j->before + j->made;
	buf_append(j->out, j->plain, (size_t)len);
	j->plain += len;
	j->made += (size_t)len;
	return !j->out->failed;
}

static bool write_code_lengths(struct join *j)
{
	while (j->lengths.count < j->lengths.wanted) {
		uint8_t byte = reader_u8(&j->blocks);
		unsigned symbol = symbol_of(byte), extra = byte - first_byte[symbol];

		if (j->blocks.failed || !lengths_add(&j->lengths, byte) ||
		    extra >> extra_bits_of(symbol) || !put_symbol(j, &j->literals, symbol))
			return false;
		put_bits(j, extra, extra_bits_of(symbol));
		if (!flush_bits(j))
			return false;
	}
	return true;
}

static bool write_codes(struct join *j)
{
	unsigned literals = reader_u8(&j->blocks), distances = reader_u8(&j->blocks),
		 n = reader_u8(&j->blocks);
	uint8_t ordered[ORDERED] = { 0 };

	if (literals + 257 > LITERALS_MAX || distances + 1 > DISTANCES_MAX || n + 4 > ORDERED)
		return false;
	put_bits(j, literals | distances << 5 | n << 10, 14);
	for (unsigned i = 0; i < n + 4; i++) {
		ordered[order[i]] = reader_u8(&j->blocks);
		if (ordered[order[i]] > 7 || !flush_bits(j))
			return false;
		put_bits(j, ordered[order[i]], 3);
	}
	j->lengths.wanted = literals + 257 + distances + 1;
	if (!flush_bits(j) || !make_encoder(&j->literals, ordered, ORDERED, false) ||
	    !write_code_lengths(j))
		return false;
	lengths_part(&j->lengths, literals + 257);
	return true;
}

static void next_odd(struct join *j)
{
	j->usual = reader_left(&j->odd) ? reader_varint(&j->odd) : UINT64_MAX;
}

static bool join_match(struct join *j)
{
	if (j->left == 0)
		return false;
	unsigned length = LENGTH_MIN + *j->matches++;
	unsigned distance = 1 + ((unsigned)*j->far++ << 8 | *j->near++);
	bool odd = j->usual-- == 0;
	unsigned symbol = odd ? 284 : length_symbol(length), code = distance_symbol(distance);

	if (length > (size_t)(j->plain_end - j->plain) || (odd && length != LENGTH_MAX) ||
	    code >= DISTANCES_MAX || !put_symbol(j, &j->literals, symbol))
		return false;
	put_bits(j, length - length_base(symbol), length_extra(symbol));
	if (!put_symbol(j, &j->distances, code))
		return false;
	put_bits(j, distance - distance_base(code), distance_extra(code));
	j->plain += length;
	j->left--;
	j->run = reader_varint(&j->runs);
	if (odd)
		next_odd(j);
	return !j->runs.failed;
}

static bool join_tokens(struct join *j)
{
	for (uint64_t count = reader_varint(&j->blocks); count > 0; count--) {
		if (j->run == 0) {
			if (!join_match(j) || !flush_bits(j))
				return false;
			continue;
		}
		if (j->plain == j->plain_end || !put_symbol(j, &j->literals, *j->plain) ||
		    !flush_bits(j))
			return false;
		j->plain++;
		j->run--;
	}
	return put_symbol(j, &j->literals, END_OF_BLOCK) && flush_bits(j);
}

static bool join_coded(struct join *j, enum block_type type)
{
	j->lengths.count = 0;
	if (type == FIXED)
		lengths_fixed(&j->lengths);
	else if (!write_codes(j))
		return false;
	return make_encoder(&j->literals, j->lengths.at, LITERALS, true) &&
	       make_encoder(&j->distances, j->lengths.at + LITERALS, DISTANCES, true) &&
	       join_tokens(j);
}

/* All blocks; false also when something is left over. */
static bool join_blocks(struct join *j)
{
	bool last = false;

	while (!last) {
		unsigned head = reader_u8(&j->blocks), type = head >> 1;

		last = head & 1;
		if (j->blocks.failed || type > DYNAMIC)
			return false;
		put_bits(j, head, 3);
		if (!flush_bits(j) ||
		    !(type == STORED ? join_stored(j) : join_coded(j, (enum block_type)type)))
			return false;
	}
	put_bits(j, j->last_bits & ((1u << (8 - j->count) % 8) - 1), (8 - j->count) % 8);
	return flush_bits(j) && j->run == 0 && j->left == 0 && j->plain == j->plain_end &&
	       reader_done(&j->blocks) && reader_done(&j->runs) && reader_done(&j->odd);
}

/* The columns. */
static bool open_choices(struct join *j, struct view choices)
{
	struct reader in = reader_of(choices);
	uint64_t blocks = reader_varint(&in), runs = reader_varint(&in), odd = reader_varint(&in),
		 matches = reader_varint(&in);

	j->last_bits = reader_u8(&in);
	if (in.failed || blocks > choices.len || runs > choices.len || odd > choices.len ||
	    matches > choices.len)
		return false;
	j->blocks = reader_of(reader_bytes(&in, (size_t)blocks));
	j->runs = reader_of(reader_bytes(&in, (size_t)runs));
	j->matches = reader_bytes(&in, (size_t)matches).data;
	j->far = reader_bytes(&in, (size_t)matches).data;
	j->near = reader_bytes(&in, (size_t)matches).data;
	j->odd = reader_of(reader_bytes(&in, (size_t)odd));
	j->left = matches;
	j->run = reader_varint(&j->runs);
	next_odd(j);
	return reader_done(&in) && !j->runs.failed;
}

int tokens_join(struct view plain, struct view choices, size_t len_max, struct buf *out,
		struct error *e)
{
	struct reader in = reader_of(plain);
	struct join j = { .plain = in.at,
			  .plain_end = in.end,
			  .out = out,
			  .before = out->len,
			  .len_max = len_max };
	bool made = open_choices(&j, choices) && join_blocks(&j);

	out->len = j.before + (made ? j.made : 0);
	int r = buf_check(out, e);
	return r < 0 || made ? r
			     : error_set(e, -E_CORRUPT,
					 "a packed stream is damaged: its choices do not fit it");
}
