/* test_tokens.c - deflate streams of anybody's are taken apart and put together again, bit for bit;
 * what is no stream is none, and damaged choices are told. */
#include <zlib.h>

#include "archive.h"
#include "store/recode.h"
#include "store/tokens.h"

#define KIB ((size_t)1 << 10)
#define ALL (SIZE_MAX / 4)

/* ---- streams written by hand ---- */

struct bits {
	struct buf out;
	unsigned hold, count;
};

/* The lowest first, as all but codes stand in a stream. */
static void put(struct bits *b, unsigned v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		b->hold |= (i < 32 ? v >> i & 1 : 0) << b->count;
		if (++b->count == 8) {
			buf_u8(&b->out, (uint8_t)b->hold);
			b->hold = b->count = 0;
		}
	}
}

/* The highest first. */
static void put_code(struct bits *b, unsigned code, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		put(b, code >> i & 1, 1);
}

/* Of the fixed code. */
static void put_literal(struct bits *b, unsigned byte)
{
	put_code(b, byte < 144 ? 0x30 + byte : 0x190 + byte - 144, byte < 144 ? 8 : 9);
}

static void put_length(struct bits *b, unsigned symbol)
{
	put_code(b, symbol < 280 ? symbol - 256 : 0xc0 + symbol - 280, symbol < 280 ? 7 : 8);
}

static void finish(struct bits *b, unsigned padding)
{
	while (b->count)
		put(b, padding, 1);
}

static void put_stored(struct bits *b, bool last, unsigned padding, struct view bytes)
{
	put(b, last, 3);
	finish(b, padding);
	put(b, (unsigned)bytes.len, 16);
	put(b, ~(unsigned)bytes.len, 16);
	buf_append(&b->out, bytes.data, bytes.len);
}

/* The beginning of a dynamic block: lengths of the code of code lengths, in their order. */
static void put_dynamic(struct bits *b, unsigned literals, unsigned distances,
			const uint8_t *lengths, unsigned n)
{
	put(b, 1 | 2 << 1, 3);
	put(b, literals - 257, 5);
	put(b, distances - 1, 5);
	put(b, n - 4, 4);
	for (unsigned i = 0; i < n; i++)
		put(b, lengths[i], 3);
}

/* ---- what is taken apart is put together ---- */

static void ck_same(struct view stream, struct view plain, struct view choices)
{
	CLEANUP(buf_release) struct buf again = { 0 };
	struct error e = { 0 };

	buf_u8(&again, 'x');
	ck_assert_msg(tokens_join(plain, choices, stream.len, &again, &e) == 0, "%s", e.text);
	ck_assert(view_equal(view_of(again.data + 1, again.len - 1), stream));
	ck_assert_int_eq(tokens_join(plain, choices, stream.len - 1, &again, &e), -E_CORRUPT);
	ck_assert_uint_eq(again.len, stream.len + 1);
}

/* Its plain bytes are zlib's; the length of its choices. */
static size_t round_trip(struct view stream)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, choices = { 0 }, zlibs = { 0 };
	struct error e = { 0 };

	ck_assert_int_eq(recode_inflate(stream, ALL, &zlibs, NULL, &e), 1);
	buf_u8(&plain, 'x');
	buf_u8(&choices, 'y');
	ck_assert_msg(tokens_split(stream, ALL, &plain, &choices, &e) == 1, "%s", e.text);
	ck_assert(view_equal(view_of(plain.data + 1, plain.len - 1), buf_view(&zlibs)));
	ck_same(stream, buf_view(&zlibs), view_of(choices.data + 1, choices.len - 1));
	buf_release(&plain);
	buf_release(&choices);
	ck_assert_int_eq(tokens_split(stream, ALL, &plain, &choices, &e), 1);
	ck_assert(view_equal(buf_view(&plain), buf_view(&zlibs)));
	return choices.len;
}

static void ck_no_stream(struct view stream)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, choices = { 0 };
	uint8_t *exact = malloc(stream.len + 1);

	memcpy(exact, stream.data, stream.len);
	buf_u8(&plain, 'x');
	buf_u8(&choices, 'y');
	ck_assert_int_eq(tokens_split(view_of(exact, stream.len), ALL, &plain, &choices, NULL), 0);
	ck_assert_uint_eq(plain.len, 1);
	ck_assert_uint_eq(choices.len, 1);
	free(exact);
}

static void ck_no_bits(struct bits *b)
{
	finish(b, 0);
	ck_no_stream(buf_view(&b->out));
	buf_release(&b->out);
}

static void ck_bits(struct bits *b, unsigned padding)
{
	finish(b, padding);
	round_trip(buf_view(&b->out));
	buf_release(&b->out);
}

/* ---- zlib's streams ---- */

/* With a flush of each kind now and then. */
static struct buf zlib_new(struct view plain, int level, int memory, int strategy, bool flushes)
{
	static const int kinds[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_PARTIAL_FLUSH, Z_FULL_FLUSH,
				     Z_BLOCK };
	struct buf out = { 0 };
	z_stream z = { .next_in = (Bytef *)(uintptr_t)plain.data };
	size_t bound = 2 * plain.len + 1000, at = 0;

	ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, -15, memory, strategy), Z_OK);
	z.next_out = buf_grow(&out, bound);
	z.avail_out = (uInt)bound;
	for (unsigned i = 0; flushes && at + 5000 < plain.len; i++, at += 5000) {
		z.avail_in = 5000;
		deflate(&z, kinds[i % 5]);
	}
	z.avail_in = (uInt)(plain.len - at);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.len -= z.avail_out;
	deflateEnd(&z);
	return out;
}

START_TEST(streams_of_every_level_strategy_and_flush_are_made_again)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(200 * KIB, 7);

	for (int level = 0; level <= 9; level++) {
		for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
			CLEANUP(buf_release)
			struct buf zip = zlib_new(buf_view(&sheet), level, 1 + level * 8 / 9,
						  strategy, level % 2);

			round_trip(buf_view(&zip));
		}
	}
}
END_TEST

START_TEST(bytes_of_all_sizes_and_kinds_are_made_again)
{
	for (size_t n = 0; n < 70 * KIB; n += 1 + n * 2) {
		CLEANUP(buf_release) struct buf noisy = { 0 }, zeros = { 0 };

		noise_fill(buf_grow(&noisy, n + 8), n, n);
		memset(buf_grow(&zeros, n + 8), 0, n + 8);
		CLEANUP(buf_release)
		struct buf a = zlib_new(view_of(noisy.data, n), 6, 8, Z_DEFAULT_STRATEGY, false),
			   b = zlib_new(view_of(zeros.data, n), 6, 8, Z_DEFAULT_STRATEGY, false);
		round_trip(buf_view(&a));
		round_trip(buf_view(&b));
	}
}
END_TEST

/* ---- streams that zlib does not make ---- */

START_TEST(every_length_and_distance_is_made_again)
{
	struct bits b = { 0 };

	put(&b, 1, 1);
	put(&b, 1, 2);
	for (unsigned i = 0; i < 40000; i++)
		put_literal(&b, i * i % 251);
	for (unsigned symbol = 257; symbol <= 285; symbol++) {
		unsigned extra = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4;

		for (unsigned v = 0; v < 1u << extra; v++) {
			unsigned far = (symbol + v) % 30, bits = far < 4 ? 0 : far / 2 - 1;
			put_length(&b, symbol);
			put(&b, v, extra);
			put_code(&b, far, 5);
			put(&b, v % 3 ? 0x5a5a5a : v % 2 ? ~0u : 0, bits);
		}
	}
	put_length(&b, 256);
	ck_bits(&b, 0);
}
END_TEST

START_TEST(the_longest_match_may_be_said_in_two_ways)
{
	struct bits b = { 0 };
	uint64_t state = 1;

	put(&b, 1 | 1 << 1, 3);
	put_literal(&b, 'a');
	for (int i = 0; i < 1000; i++) {
		unsigned symbol = 284 + (unsigned)noise_below(&state, 2);

		put_length(&b, symbol);
		put(&b, 31, symbol == 284 ? 5 : 0);
		put_code(&b, 0, 5);
	}
	put_length(&b, 256);
	ck_bits(&b, 0);
}
END_TEST

START_TEST(bits_that_mean_nothing_are_kept)
{
	for (unsigned padding = 0; padding < 2; padding++) {
		struct bits b = { 0 };

		put_stored(&b, false, padding, view_of(NULL, 0)); /* as a flush at once makes it */
		put(&b, 1 << 1, 3);
		put_length(&b, 256);
		put_stored(&b, false, padding, view_of("stored", 6));
		put_stored(&b, false, 1 - padding, view_of(NULL, 0));
		put(&b, 1 | 1 << 1, 3);
		put_length(&b, 257);
		put_code(&b, 2, 5); /* out of the stored block */
		put_length(&b, 256);
		ck_bits(&b, padding);
	}
}
END_TEST

START_TEST(a_code_of_one_symbol_is_a_code)
{
	/* 18: 1 bit, 1: 2 bits, 0: 2 bits. */
	static const uint8_t lengths[] = { 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };
	struct bits b = { 0 };

	put_dynamic(&b, 257, 1, lengths, 18);
	put_code(&b, 0, 1); /* 138 zeros */
	put(&b, 127, 7);
	put_code(&b, 0, 1); /* 118 */
	put(&b, 107, 7);
	put_code(&b, 3, 2); /* the end of the block: 1 bit, the other without a meaning */
	put_code(&b, 2, 2); /* no distances at all */
	put_code(&b, 0, 1);
	ck_bits(&b, 1);
}
END_TEST

/* ---- what is no stream ---- */

START_TEST(every_truncation_and_what_follows_the_end_is_no_stream)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(30 * KIB, 7);

	for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
		CLEANUP(buf_release)
		struct buf zip =
			zlib_new(buf_view(&sheet), strategy == 1 ? 0 : 6, 8, strategy, true);

		for (size_t n = 0; n < zip.len; n += 1 + n / 200)
			ck_no_stream(view_of(zip.data, n));
		ck_no_stream(view_of(zip.data, zip.len - 1));
		buf_u8(&zip, 0);
		ck_no_stream(buf_view(&zip));
	}
}
END_TEST

START_TEST(stored_blocks_whose_lengths_disagree_are_no_stream)
{
	static const uint8_t wrong[] = { 1, 2, 0, 0xfe, 0xff, 'a', 'b' };
	static const uint8_t short_of[] = { 1, 3, 0, 0xfc, 0xff, 'a', 'b' };
	static const uint8_t third_type[] = { 7, 0, 0, 0xff, 0xff };

	ck_no_stream(view_of(wrong, sizeof(wrong)));
	ck_no_stream(view_of(short_of, sizeof(short_of)));
	ck_no_stream(view_of(third_type, sizeof(third_type)));
}
END_TEST

START_TEST(symbols_and_distances_that_cannot_be_are_no_stream)
{
	for (unsigned symbol = 286; symbol < 288; symbol++) {
		struct bits b = { 0 };

		put(&b, 1 | 1 << 1, 3);
		put_literal(&b, 'a');
		put_length(&b, symbol);
		put(&b, 0, 20);
		ck_no_bits(&b);
	}
	for (unsigned code = 1; code < 32; code++) { /* one byte is there: 1 is the only distance */
		struct bits b = { 0 };

		put(&b, 1 | 1 << 1, 3);
		put_literal(&b, 'a');
		put_length(&b, 257);
		put_code(&b, code, 5);
		put(&b, 0, code < 4 ? 0 : code / 2 - 1);
		put_length(&b, 256);
		ck_no_bits(&b);
	}
}
END_TEST

/* A block with these code lengths of code lengths, followed by many bits. */
static void ck_no_codes(unsigned literals, unsigned distances, const uint8_t *lengths, unsigned n,
			unsigned bits)
{
	struct bits b = { 0 };

	put_dynamic(&b, literals, distances, lengths, n);
	for (int i = 0; i < 100; i++)
		put(&b, bits, 16);
	ck_no_bits(&b);
}

START_TEST(codes_that_are_none_are_no_stream)
{
	static const uint8_t over[] = { 1, 1, 1, 0 }, single[] = { 1, 0, 0, 0 },
			     none[] = { 0, 0, 0, 0 }, repeat[] = { 1, 1, 0, 0 },
			     eights[] = { 0, 0, 0, 1, 1 }, sixes[] = { 0, 0, 0, 1, 0, 0, 0, 1 };
	struct bits b = { 0 };

	ck_no_codes(257, 1, over, 4, 0);
	ck_no_codes(257, 1, single, 4, 0);
	ck_no_codes(257, 1, none, 4, 0);
	ck_no_codes(257, 1, repeat, 4, 0);      /* 16 repeats what is not there */
	ck_no_codes(257, 1, repeat, 4, 0xffff); /* 17 says more zeros than there are lengths */
	ck_no_codes(257, 1, eights, 5, 0xffff); /* 258 codes of 8 bits */
	ck_no_codes(257, 1, eights, 5, 0);      /* no end of the block */
	ck_no_codes(257, 1, sixes, 8, 0x5555);  /* 129 codes of 6 bits */
	ck_no_codes(287, 1, eights, 5, 0);
	ck_no_codes(257, 31, eights, 5, 0);
	put_dynamic(&b, 257, 1, sixes, 8);
	put(&b, 0, 256);
	put(&b, 1, 2); /* a single code, and of 6 bits */
	put(&b, 0, 30);
	ck_no_bits(&b);
}
END_TEST

START_TEST(damaged_streams_are_what_they_are_to_zlib)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(3 * KIB, 7);
	uint64_t state = 3;
	unsigned streams = 0;

	for (int round = 0; round < 6000; round++) {
		CLEANUP(buf_release)
		struct buf zip = zlib_new(buf_view(&sheet), 1 + round % 9, 8, round / 9 % 5,
					  round % 2),
			   plain = { 0 }, choices = { 0 }, zlibs = { 0 };

		for (int flips = round % 3; flips >= 0; flips--)
			zip.data[noise_below(&state, zip.len)] ^=
				(uint8_t)(1 << noise_below(&state, 8));
		int r = tokens_split(buf_view(&zip), ALL, &plain, &choices, NULL);
		ck_assert_int_eq(r, recode_inflate(buf_view(&zip), ALL, &zlibs, NULL, NULL));
		ck_assert(view_equal(buf_view(&plain), buf_view(&zlibs)));
		if (r == 1)
			ck_same(buf_view(&zip), buf_view(&plain), buf_view(&choices));
		streams += r == 1;
	}
	ck_assert_uint_gt(streams, 100);
	ck_assert_uint_lt(streams, 5900);
}
END_TEST

START_TEST(no_more_is_made_than_may_be)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(100 * KIB, 7);
	CLEANUP(buf_release)
	struct buf zip = zlib_new(buf_view(&sheet), 6, 8, Z_DEFAULT_STRATEGY, false), plain = { 0 },
		   choices = { 0 };
	size_t all = sheet.len + round_trip(buf_view(&zip));

	for (size_t less = 1; less <= all; less *= 2) {
		ck_assert_int_eq(tokens_split(buf_view(&zip), all - less, &plain, &choices, NULL),
				 0);
		ck_assert_uint_eq(plain.len + choices.len, 0);
		ck_assert_uint_le(plain.cap, 2 * (all + 64 * KIB));
	}
	ck_assert_int_eq(tokens_split(buf_view(&zip), all, &plain, &choices, NULL), 1);
}
END_TEST

/* ---- as they are on disks ---- */

START_TEST(choices_have_the_bytes_that_they_had)
{
	/* Stored, "ab"; fixed, "cd" and a match of 4 three back; dynamic, of one symbol. */
	static const uint8_t lengths[] = { 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };
	static const char golden[] = "20030102"
				     "0f" /* the columns' lengths, the bits behind the end */
				     "000002"
				     "0204"
				     "0500000e0000010200000000000000000000000000029b87010000"
				     "020000"
				     "01ff"
				     "0000"
				     "0200"
				     "01";
	CLEANUP(buf_release) struct buf plain = { 0 }, choices = { 0 };
	struct bits b = { 0 };
	char hex[200];

	put_stored(&b, false, 0, view_of("ab", 2));
	put(&b, 1 << 1, 3);
	put_literal(&b, 'c');
	put_literal(&b, 'd');
	put_length(&b, 258);
	put_code(&b, 2, 5);
	put_length(&b, 284);
	put(&b, 31, 5);
	put_code(&b, 0, 5);
	put_length(&b, 256);
	put_dynamic(&b, 257, 1, lengths, 18);
	put_code(&b, 0, 1);
	put(&b, 127, 7);
	put_code(&b, 0, 1);
	put(&b, 107, 7);
	put_code(&b, 3, 2);
	put_code(&b, 2, 2);
	put_code(&b, 0, 1);
	finish(&b, 1);
	ck_assert_int_eq(tokens_split(buf_view(&b.out), ALL, &plain, &choices, NULL), 1);
	ck_assert_uint_le(2 * choices.len, sizeof(hex));
	hex_encode(hex, choices.data, choices.len);
	ck_assert_str_eq(hex, golden);
	buf_release(&b.out);
}
END_TEST

/* ---- damaged choices ---- */

static void try_choices(struct view plain, struct view choices, size_t len)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	uint8_t *exact = malloc(choices.len + 1);

	memcpy(exact, choices.data, choices.len);
	int r = tokens_join(plain, view_of(exact, choices.len), len, &out, NULL);
	ck_assert(r == 0 || r == -E_CORRUPT);
	ck_assert(r == 0 ? out.len <= len : out.len == 0);
	free(exact);
}

START_TEST(damaged_choices_are_told)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(20 * KIB, 7);
	uint64_t state = 3;

	for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
		CLEANUP(buf_release)
		struct buf zip = zlib_new(buf_view(&sheet), 6, 8, strategy, true), plain = { 0 },
			   choices = { 0 }, out = { 0 };

		ck_assert_int_eq(tokens_split(buf_view(&zip), ALL, &plain, &choices, NULL), 1);
		for (size_t n = 0; n < choices.len; n += 1 + n / 100) {
			ck_assert_int_eq(tokens_join(buf_view(&plain), view_of(choices.data, n),
						     zip.len, &out, NULL),
					 -E_CORRUPT);
			try_choices(buf_view(&plain), view_of(choices.data, n), zip.len);
		}
		for (size_t n = 0; n < plain.len; n += 1 + n / 20)
			ck_assert_int_eq(tokens_join(view_of(plain.data, n), buf_view(&choices),
						     zip.len, &out, NULL),
					 -E_CORRUPT);
		for (int round = 0; round < 2000; round++) {
			CLEANUP(buf_release) struct buf bad = { 0 };
			size_t among = round % 2 ? choices.len : 200;

			buf_append(&bad, choices.data, choices.len);
			bad.data[noise_below(&state, among)] ^=
				(uint8_t)(1 + noise_below(&state, 255));
			try_choices(buf_view(&plain), buf_view(&bad), zip.len);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tokens");
	Suite *suite = suite_create("tokens");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, streams_of_every_level_strategy_and_flush_are_made_again);
	tcase_add_test(tc, bytes_of_all_sizes_and_kinds_are_made_again);
	tcase_add_test(tc, every_length_and_distance_is_made_again);
	tcase_add_test(tc, the_longest_match_may_be_said_in_two_ways);
	tcase_add_test(tc, bits_that_mean_nothing_are_kept);
	tcase_add_test(tc, a_code_of_one_symbol_is_a_code);
	tcase_add_test(tc, every_truncation_and_what_follows_the_end_is_no_stream);
	tcase_add_test(tc, stored_blocks_whose_lengths_disagree_are_no_stream);
	tcase_add_test(tc, symbols_and_distances_that_cannot_be_are_no_stream);
	tcase_add_test(tc, codes_that_are_none_are_no_stream);
	tcase_add_test(tc, damaged_streams_are_what_they_are_to_zlib);
	tcase_add_test(tc, no_more_is_made_than_may_be);
	tcase_add_test(tc, choices_have_the_bytes_that_they_had);
	tcase_add_test(tc, damaged_choices_are_told);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
