/* Plain bytes: archives are inflated and made again bit for bit, and hostile ones do no harm. */
#include <check.h>
#include <stdlib.h>
#include <zlib.h>

#include "archive.h"
#include "noise.h"
#include "store/delta.h"
#include "store/plain.h"
#include "store/recode.h"
#include "store/tokens.h"
#include "store/zip.h"
#include "tests/crash/memory.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* How a member is made. */
struct how {
	int level, memory, strategy;
	bool blocks; /* as LibreOffice */
	/* As Microsoft Excel, since 2013, in long streams, and lately. */
	bool office, deep, aligned, parted;
};

static const struct how usual = { .level = 6, .memory = 8 };
/* None of the recipes. */
static const struct how odd = { .level = 6, .memory = 3, .strategy = Z_FILTERED };

static void deflate_into(struct buf *out, struct view plain, const struct how *how,
			 size_t dictionary, int flush)
{
	const uint8_t *bytes = plain.data;
	z_stream z = { 0 };

	ck_assert_int_eq(deflateInit2(&z, how->level, Z_DEFLATED, -15, how->memory, how->strategy),
			 Z_OK);
	if (dictionary)
		deflateSetDictionary(&z, bytes - dictionary, (uInt)dictionary);
	size_t bound = deflateBound(&z, plain.len) + 64;
	z.next_in = (Bytef *)(uintptr_t)plain.data;
	z.avail_in = (uInt)plain.len;
	z.next_out = buf_grow(out, bound);
	z.avail_out = (uInt)bound;
	deflate(&z, flush);
	out->len -= z.avail_out;
	deflateEnd(&z);
}

static void deflate_office(struct buf *out, struct view plain, const struct how *how)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)plain.data, .avail_in = (uInt)plain.len };
	size_t bound = 2 * plain.len + 100;

	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, -15, 7, Z_DEFAULT_STRATEGY), Z_OK);
	if (how->deep)
		deflateTune(&z, 4, 4, 258, 16);
	z.next_out = buf_grow(out, bound);
	z.avail_out = (uInt)bound;
	for (unsigned left = how->parted ? 3 : 0; left > 0; left--) {
		z.avail_in = (uInt)(plain.len / 4);
		if (how->aligned)
			deflate(&z, Z_PARTIAL_FLUSH);
		if (left > 1)
			deflate(&z, Z_SYNC_FLUSH);
		deflate(&z, Z_FULL_FLUSH);
	}
	z.avail_in = (uInt)(plain.len - z.total_in);
	if (how->aligned)
		deflate(&z, Z_PARTIAL_FLUSH);
	deflate(&z, Z_SYNC_FLUSH);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len -= z.avail_out;
	deflateEnd(&z);
}

static void compress_into(struct buf *out, struct view plain, const struct how *how)
{
	const uint8_t *bytes = plain.data;

	if (how->office) {
		deflate_office(out, plain, how);
		return;
	}
	if (!how->blocks) {
		deflate_into(out, plain, how, 0, Z_FINISH);
		return;
	}
	for (size_t at = 0; at < plain.len; at += 128 * KIB) {
		size_t n = plain.len - at < 128 * KIB ? plain.len - at : 128 * KIB;

		deflate_into(out, view_of(bytes + at, n), how, at ? 32 * KIB : 0,
			     at + n == plain.len ? Z_FINISH : Z_SYNC_FLUSH);
	}
}

/* Adds a member and its directory entry. */
static void add_member(struct buf *zip, struct buf *directory, struct view plain,
		       const struct how *how, struct archive_entry x)
{
	CLEANUP(buf_release) struct buf compressed = { 0 };

	compress_into(&compressed, plain, how);
	archive_add(zip, directory, buf_view(&compressed), plain.len, x);
}

/* An archive of one sheet, for buf_release. */
static struct buf archive_new(size_t n, uint64_t seed, const struct how *how,
			      struct archive_entry x)
{
	CLEANUP(buf_release) struct buf sheet = archive_sheet(n, seed), directory = { 0 };
	struct buf zip = { 0 };

	x.method = x.method ? x.method : 8;
	add_member(&zip, &directory, buf_view(&sheet), how, x);
	archive_end(&zip, &directory, 1);
	return zip;
}

/* Plans, makes plain, makes again: must be the same; the plain bytes' length. */
static size_t round_trip(struct view bytes)
{
	CLEANUP(buf_release) struct buf plan = { 0 }, plain = { 0 }, again = { 0 };
	struct error e = { 0 };

	ck_assert_msg(plain_plan(bytes, PLAN_PROVED, &plan, &plain, &e) == 0, "%s", e.text);
	ck_assert_msg(plain_make(bytes, buf_view(&plan), &again, &e) == 0, "%s", e.text);
	ck_assert(view_equal(buf_view(&again), buf_view(&plain)));
	buf_clear(&again);
	ck_assert_msg(plain_undo(buf_view(&plain), buf_view(&plan), bytes.len, &again, &e) == 0,
		      "%s", e.text);
	ck_assert(view_equal(buf_view(&again), bytes));
	return plain.len;
}

START_TEST(this_zlib_makes_the_streams_that_packed_contents_count_on)
{
	ck_assert_msg(recode_is_sound(),
		      "contents packed with another zlib could not be made again with this one");
}
END_TEST

START_TEST(members_of_every_level_are_inflated_and_made_again)
{
	for (int level = 1; level <= 9; level++) {
		struct how how = { .level = level, .memory = 8 };
		CLEANUP(buf_release)
		struct buf zip = archive_new(300 * KIB, 7, &how, (struct archive_entry){ 0 });

		ck_assert_uint_gt(round_trip(buf_view(&zip)), 300 * KIB);
	}
}
END_TEST

START_TEST(members_in_blocks_of_128_kib_as_libreoffice_has_them_are_made_again)
{
	static const size_t sizes[] = { 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 256 * KIB,
					1000 * KIB };
	struct how how = { .level = 6, .memory = 8, .blocks = true };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CLEANUP(buf_release)
		struct buf zip = archive_new(sizes[i], i, &how, (struct archive_entry){ 0 });

		ck_assert_uint_gt(round_trip(buf_view(&zip)), sizes[i]);
	}
}
END_TEST

START_TEST(members_as_microsoft_excel_has_them_are_made_again_by_zlib)
{
	static const size_t sizes[] = { 1, 200, 90 * KIB, 2 * MIB };

	for (unsigned i = 0; i < 32; i++) {
		struct how how = {
			.office = true, .deep = i & 1, .aligned = i & 2, .parted = i & 4
		};
		size_t size = sizes[i / 8];
		CLEANUP(buf_release) struct buf sheet = archive_sheet(size, i);
		CLEANUP(buf_release)
		struct buf zip = archive_new(size, i, &how, (struct archive_entry){ 0 });

		/* Without choices. */
		ck_assert_uint_gt(round_trip(buf_view(&zip)), sheet.len);
		ck_assert_uint_lt(round_trip(buf_view(&zip)), sheet.len + 150);
	}
}
END_TEST

START_TEST(streams_of_more_flushes_than_a_recipe_has_are_made_again_of_their_choices)
{
	CLEANUP(buf_release)
	struct buf sheet = archive_sheet(50 * KIB, 1), zip = { 0 }, flushes = { 0 }, plain = { 0 },
		   choices = { 0 }, again = { 0 };
	z_stream z = { .next_in = sheet.data };
	struct recipe recipe;

	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, -15, 7, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = buf_grow(&zip, 200 * KIB);
	z.avail_out = 200 * KIB;
	for (unsigned i = 0; i <= FLUSHES_MAX; i++) {
		z.avail_in = 100;
		deflate(&z, Z_SYNC_FLUSH);
	}
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	zip.len -= z.avail_out;
	deflateEnd(&z);
	struct view said = view_of(sheet.data, z.total_in);
	ck_assert_int_eq(recode_inflate(buf_view(&zip), MIB, &plain, &flushes, NULL), 1);
	ck_assert_uint_eq(flushes.len, 0);
	ck_assert_int_eq(
		recode_find(buf_view(&zip), said, buf_view(&flushes), SIZE_MAX, &recipe, NULL), 0);
	buf_clear(&plain);
	ck_assert_int_eq(tokens_split(buf_view(&zip), MIB, &plain, &choices, NULL), 1);
	ck_assert_int_eq(tokens_join(said, buf_view(&choices), MIB, &again, NULL), 0);
	ck_assert(view_equal(buf_view(&again), buf_view(&zip)));
}
END_TEST

START_TEST(flushes_of_another_stream_are_told)
{
	static const uint8_t flushes[] = { 3, FLUSH_SYNC, 3, FLUSH_FULL };
	struct recipe recipe = { RECIPE_OFFICE, { flushes, sizeof(flushes) } };
	CLEANUP(buf_release) struct buf out = { 0 };

	ck_assert_int_eq(recode_make(&recipe, view_of("123456", 6), KIB, &out, NULL), 0);
	ck_assert_int_eq(recode_make(&recipe, view_of("12345", 5), KIB, &out, NULL), -E_CORRUPT);
	recipe.flushes.len--;
	ck_assert_int_eq(recode_make(&recipe, view_of("123456", 6), KIB, &out, NULL), -E_CORRUPT);
	recipe.flushes.len = 2;
	recipe.way = RECIPE_ZLIB + 6;
	ck_assert_int_eq(recode_make(&recipe, view_of("123456", 6), KIB, &out, NULL), -E_CORRUPT);
	recipe = (struct recipe){ .way = RECIPE_TOKENS };
	ck_assert_int_eq(recode_make(&recipe, view_of("123456", 6), KIB, &out, NULL), -E_CORRUPT);
}
END_TEST

START_TEST(members_that_zlib_would_have_made_otherwise_are_made_again_of_their_choices)
{
	CLEANUP(buf_release)
	struct buf zip = archive_new(300 * KIB, 7, &odd, (struct archive_entry){ 0 });

	ck_assert_uint_gt(round_trip(buf_view(&zip)), 300 * KIB);
}
END_TEST

START_TEST(a_member_that_is_no_stream_stays_as_it_is)
{
	CLEANUP(buf_release)
	struct buf zip = archive_new(300 * KIB, 7, &usual, (struct archive_entry){ 0 });

	zip.data[35] = 7; /* the stream's first byte: a block of no type */
	ck_assert_uint_eq(round_trip(buf_view(&zip)), zip.len);
}
END_TEST

START_TEST(data_descriptors_and_zip64_fields_are_understood)
{
	CLEANUP(buf_release)
	struct buf a = archive_new(90 * KIB, 1, &usual, (struct archive_entry){ .flags = 8 });
	CLEANUP(buf_release)
	struct buf b = archive_new(90 * KIB, 1, &usual, (struct archive_entry){ .wide = true });

	ck_assert_uint_gt(round_trip(buf_view(&a)), 90 * KIB);
	ck_assert_uint_gt(round_trip(buf_view(&b)), 90 * KIB);
}
END_TEST

START_TEST(encrypted_members_and_other_methods_stay_as_they_are)
{
	CLEANUP(buf_release)
	struct buf a = archive_new(90 * KIB, 1, &usual, (struct archive_entry){ .flags = 1 });
	CLEANUP(buf_release)
	struct buf b = archive_new(90 * KIB, 1, &usual, (struct archive_entry){ .method = 12 });

	ck_assert_uint_eq(round_trip(buf_view(&a)), a.len);
	ck_assert_uint_eq(round_trip(buf_view(&b)), b.len);
}
END_TEST

START_TEST(overlapping_members_make_it_no_archive)
{
	CLEANUP(buf_release)
	struct buf sheet = archive_sheet(90 * KIB, 1), directory = { 0 }, zip = { 0 }, once = { 0 };
	struct zip_member *members;
	size_t count;

	add_member(&zip, &directory, buf_view(&sheet), &usual,
		   (struct archive_entry){ .method = 8 });
	buf_append(&once, directory.data, directory.len);
	buf_append(&directory, once.data, once.len); /* the same bytes once more, as bombs do */
	archive_end(&zip, &directory, 2);
	ck_assert_int_eq(zip_members(buf_view(&zip), &members, &count, NULL), 0);
	ck_assert_uint_eq(count, 0);
	free(members);
	ck_assert_uint_eq(round_trip(buf_view(&zip)), zip.len);
}
END_TEST

START_TEST(a_bomb_is_inflated_no_further_than_the_bound)
{
	CLEANUP(buf_release) struct buf zip = { 0 }, directory = { 0 }, plan = { 0 };
	uint8_t *zeros = calloc(1, 2 * PLAIN_BYTES_MAX);

	add_member(&zip, &directory, view_of(zeros, 2 * PLAIN_BYTES_MAX), &usual,
		   (struct archive_entry){ .method = 8 });
	archive_end(&zip, &directory, 1);
	free(zeros);
	ck_assert_uint_eq(round_trip(buf_view(&zip)), zip.len);
}
END_TEST

/* Members that have no recipe of zlib's, n of 16 MiB, and then a sheet: how much longer it is when
 * it is plain. */
static size_t bombs_then_sheet(size_t n)
{
	CLEANUP(buf_release)
	struct buf zip = { 0 }, directory = { 0 }, sheet = archive_sheet(90 * KIB, 1);
	uint8_t *zeros = calloc(1, 16 * MIB);

	for (size_t i = 0; i < n; i++)
		add_member(&zip, &directory, view_of(zeros, 16 * MIB), &odd,
			   (struct archive_entry){ .method = 8 });
	add_member(&zip, &directory, buf_view(&sheet), &usual,
		   (struct archive_entry){ .method = 8 });
	archive_end(&zip, &directory, n + 1);
	free(zeros);
	return round_trip(buf_view(&zip)) - zip.len;
}

START_TEST(bombs_one_after_the_other_are_inflated_no_further_than_one)
{
	size_t one = bombs_then_sheet(1);

	ck_assert_uint_gt(one, 16 * MIB + 60 * KIB); /* the sheet, too */
	ck_assert_uint_le(bombs_then_sheet(4), PLAIN_BYTES_MAX);
	ck_assert_uint_lt(bombs_then_sheet(4), 4 * one);
}
END_TEST

START_TEST(a_plan_that_makes_more_than_it_may_is_refused)
{
	CLEANUP(buf_release) struct buf stream = { 0 }, bytes = { 0 }, plan = { 0 }, plain = { 0 };
	size_t size = PLAIN_BYTES_MAX / 4 * 3;
	uint8_t *zeros = calloc(1, size);

	compress_into(&stream, view_of(zeros, size), &usual);
	free(zeros);
	buf_u8(&plan, PLAN_FORMAT);
	for (int i = 0; i < 2; i++) {
		buf_append(&bytes, stream.data, stream.len);
		buf_varint(&plan, 0);
		buf_varint(&plan, stream.len);
		buf_varint(&plan, size);
		buf_u8(&plan, RECIPE_ZLIB + 6);
	}
	ck_assert_int_eq(plain_make(buf_view(&bytes), buf_view(&plan), &plain, NULL), -E_CORRUPT);
	ck_assert_uint_le(plain.len, PLAIN_BYTES_MAX);
	buf_clear(&plan);
	buf_u8(&plan, PLAN_FORMAT);
	buf_varint(&plan, 0);
	buf_varint(&plan, stream.len);
	buf_varint(&plan, size);
	buf_u8(&plan, RECIPE_TOKENS);
	buf_varint(&plan, PLAIN_BYTES_MAX - size + 1);
	ck_assert_int_eq(plain_make(buf_view(&bytes), buf_view(&plan), &plain, NULL), -E_CORRUPT);
	ck_assert_int_eq(plain_undo(buf_view(&plain), buf_view(&plan), SIZE_MAX, &bytes, NULL),
			 -E_CORRUPT);
}
END_TEST

START_TEST(a_delta_of_nothing_is_undone_to_nothing)
{
	CLEANUP(buf_release) struct buf delta = { 0 }, out = { 0 };
	struct error e = { 0 };

	ck_assert_int_eq(delta_make(view_of(NULL, 0), view_of(NULL, 0), &delta, &e), 0);
	ck_assert_msg(delta_undo(buf_view(&delta), view_of(NULL, 0), 0, &out, &e) == 0, "%s",
		      e.text);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(every_truncation_and_random_damage_are_survived)
{
	CLEANUP(buf_release)
	struct buf zip = archive_new(20 * KIB, 3, &usual, (struct archive_entry){ 0 });
	uint64_t state = 5;

	for (size_t n = 0; n < zip.len; n += 1 + n / 64) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, zip.data, n);
		ck_assert_uint_eq(round_trip(view_of(exact, n)), n);
		free(exact);
	}
	for (int round = 0; round < 300; round++) {
		uint8_t *damaged = malloc(zip.len);

		memcpy(damaged, zip.data, zip.len);
		for (int flips = 0; flips < 3; flips++) {
			size_t tail = round % 2 ? zip.len : 120;
			damaged[zip.len - 1 - noise_below(&state, tail)] =
				(uint8_t)noise_next(&state);
		}
		round_trip(view_of(damaged, zip.len));
		free(damaged);
	}
}
END_TEST

/* Of an archive made in that way. */
static void damage_plans(const struct how *how)
{
	CLEANUP(buf_release)
	struct buf zip = archive_new(20 * KIB, 3, how, (struct archive_entry){ 0 }), plan = { 0 },
		   plain = { 0 };
	uint64_t state = 9;

	ck_assert_int_eq(plain_plan(buf_view(&zip), PLAN_PROVED, &plan, &plain, NULL), 0);
	for (int round = 0; round < 300; round++) {
		CLEANUP(buf_release) struct buf bad = { 0 }, out = { 0 }, again = { 0 };

		buf_append(&bad, plan.data, plan.len);
		bad.data[noise_below(&state, bad.len)] ^= (uint8_t)(1 + noise_below(&state, 255));
		int r = plain_make(buf_view(&zip), buf_view(&bad), &out, NULL);
		ck_assert(r == 0 || r == -E_CORRUPT || r == -E_FORMAT_NEWER);
		r = plain_undo(buf_view(&plain), buf_view(&bad), zip.len, &again, NULL);
		ck_assert(r == 0 || r == -E_CORRUPT || r == -E_FORMAT_NEWER);
		ck_assert_uint_le(again.len, zip.len + MIB);
	}
	for (size_t n = 1; n < plan.len; n++) {
		CLEANUP(buf_release) struct buf out = { 0 };
		struct view part = view_of(plan.data, n);
		int r = plain_undo(buf_view(&plain), part, zip.len, &out, NULL);

		ck_assert_int_eq(r, -E_CORRUPT);
	}
}

START_TEST(a_damaged_plan_is_told)
{
	damage_plans(&usual);
	damage_plans(&odd);
}
END_TEST

START_TEST(a_plan_of_a_newer_daybook_is_told)
{
	static const uint8_t newer[] = { PLAN_FORMAT + 1 }, first[] = { 1 };
	CLEANUP(buf_release) struct buf out = { 0 };
	struct view bytes = view_of("bytes", 5);

	ck_assert_int_eq(plain_make(bytes, view_of(newer, 1), &out, NULL), -E_FORMAT_NEWER);
	ck_assert_int_eq(plain_undo(bytes, view_of(newer, 1), 5, &out, NULL), -E_FORMAT_NEWER);
	buf_clear(&out);
	ck_assert_int_eq(plain_make(bytes, view_of(first, 1), &out, NULL), 0);
	ck_assert(view_equal(buf_view(&out), bytes));
}
END_TEST

/* Plans, makes plain and makes again with the n-th allocation failing; 1 when it came. */
static bool fail_nth(struct view zip, unsigned n)
{
	CLEANUP(buf_release)
	struct buf plan = { 0 }, plain = { 0 }, same = { 0 }, again = { 0 };
	struct error e = { 0 };

	memory_fail_nth(n);
	int r = plain_plan(zip, PLAN_PROVED, &plan, &plain, &e);
	if (r == 0)
		r = plain_make(zip, buf_view(&plan), &same, &e);
	if (r == 0)
		r = plain_undo(buf_view(&plain), buf_view(&plan), zip.len, &again, &e);
	bool came = memory_came();
	memory_fail_nth(0);
	ck_assert_msg(r == (came ? -E_NO_MEMORY : 0), "allocation %u: %d", n, r);
	ck_assert_int_eq(e.code, r);
	ck_assert(came || view_equal(buf_view(&again), zip));
	return came;
}

START_TEST(memory_that_is_out_is_told_and_nothing_else)
{
	static const struct how hows[] = { { .level = 6, .memory = 8 },
					   { .level = 6, .memory = 8, .blocks = true },
					   { .office = true, .deep = true, .parted = true },
					   { .level = 6, .memory = 3, .strategy = Z_FILTERED } };

	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		CLEANUP(buf_release)
		struct buf zip = archive_new(150 * KIB, 3, &hows[i], (struct archive_entry){ 0 });
		unsigned n = 1;

		while (fail_nth(buf_view(&zip), n))
			n++;
		ck_assert_uint_gt(n, 10);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("plain");
	Suite *suite = suite_create("plain");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, this_zlib_makes_the_streams_that_packed_contents_count_on);
	tcase_add_test(tc, members_of_every_level_are_inflated_and_made_again);
	tcase_add_test(tc, members_in_blocks_of_128_kib_as_libreoffice_has_them_are_made_again);
	tcase_add_test(tc, members_as_microsoft_excel_has_them_are_made_again_by_zlib);
	tcase_add_test(tc,
		       streams_of_more_flushes_than_a_recipe_has_are_made_again_of_their_choices);
	tcase_add_test(tc, flushes_of_another_stream_are_told);
	tcase_add_test(tc,
		       members_that_zlib_would_have_made_otherwise_are_made_again_of_their_choices);
	tcase_add_test(tc, a_member_that_is_no_stream_stays_as_it_is);
	tcase_add_test(tc, data_descriptors_and_zip64_fields_are_understood);
	tcase_add_test(tc, encrypted_members_and_other_methods_stay_as_they_are);
	tcase_add_test(tc, overlapping_members_make_it_no_archive);
	tcase_add_test(tc, a_bomb_is_inflated_no_further_than_the_bound);
	tcase_add_test(tc, bombs_one_after_the_other_are_inflated_no_further_than_one);
	tcase_add_test(tc, a_plan_that_makes_more_than_it_may_is_refused);
	tcase_add_test(tc, a_delta_of_nothing_is_undone_to_nothing);
	tcase_add_test(tc, every_truncation_and_random_damage_are_survived);
	tcase_add_test(tc, a_damaged_plan_is_told);
	tcase_add_test(tc, memory_that_is_out_is_told_and_nothing_else);
	tcase_add_test(tc, a_plan_of_a_newer_daybook_is_told);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
