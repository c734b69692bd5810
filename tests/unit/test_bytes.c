/* Borrowed and owned bytes, and the cursor that decodes them. */
#include <check.h>
#include <stdlib.h>

#include "noise.h"
#include "store/bytes.h"

START_TEST(a_zeroed_buf_is_empty_and_may_be_released_twice)
{
	struct buf b = { 0 };

	ck_assert_uint_eq(buf_view(&b).len, 0);
	ck_assert_str_eq(buf_cstr(&b), "");
	buf_release(&b);
	buf_release(&b);
}
END_TEST

START_TEST(a_buf_grows_and_keeps_what_it_has)
{
	CLEANUP(buf_release) struct buf b = { 0 };

	for (int i = 0; i < 10000; i++)
		buf_u8(&b, (uint8_t)i);
	ck_assert_uint_eq(b.len, 10000);
	for (int i = 0; i < 10000; i++)
		ck_assert_uint_eq(b.data[i], (uint8_t)i);
	buf_clear(&b);
	buf_printf(&b, "%s-%d", "x", 42);
	ck_assert_str_eq(buf_cstr(&b), "x-42");
	ck_assert_uint_eq(b.len, 4);
}
END_TEST

START_TEST(a_failed_allocation_sticks_until_it_is_looked_at)
{
	CLEANUP(buf_release) struct buf b = { 0 };
	struct error e;

	buf_append(&b, "abc", 3);
	ck_assert_ptr_null(buf_grow(&b, SIZE_MAX / 2));
	buf_append(&b, "def", 3);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_int_eq(buf_check(&b, &e), -E_NO_MEMORY);
	buf_clear(&b);
	ck_assert_int_eq(buf_check(&b, &e), 0);
}
END_TEST

START_TEST(taking_a_buf_leaves_an_empty_one)
{
	CLEANUP(buf_release) struct buf a = { 0 };

	buf_append(&a, "abc", 3);
	CLEANUP(buf_release) struct buf b = buf_take(&a);
	ck_assert_uint_eq(a.len, 0);
	ck_assert_ptr_null(a.data);
	ck_assert(view_equal(buf_view(&b), view_str("abc")));
}
END_TEST

START_TEST(fixed_width_integers_sort_as_their_bytes_do)
{
	uint64_t state = 1;

	for (int i = 0; i < 1000; i++) {
		CLEANUP(buf_release) struct buf a = { 0 }, b = { 0 };
		uint64_t x = noise_next(&state) >> noise_below(&state, 64);
		uint64_t y = noise_next(&state) >> noise_below(&state, 64);

		buf_u64(&a, x);
		buf_u64(&b, y);
		int order = memcmp(a.data, b.data, 8);
		ck_assert_int_eq((order > 0) - (order < 0), (x > y) - (x < y));
	}
}
END_TEST

START_TEST(what_was_encoded_is_decoded)
{
	uint64_t numbers[] = { 0, 1, 127, 128, 300, UINT32_MAX, 1ull << 63, UINT64_MAX };
	CLEANUP(buf_release) struct buf b = { 0 };

	for (size_t i = 0; i < 8; i++) {
		buf_varint(&b, numbers[i]);
		buf_u64(&b, numbers[i]);
		buf_u32(&b, (uint32_t)numbers[i]);
		buf_u8(&b, (uint8_t)numbers[i]);
		buf_string(&b, view_of("string", i % 7));
	}
	struct reader r = reader_of(buf_view(&b));
	for (size_t i = 0; i < 8; i++) {
		ck_assert_uint_eq(reader_varint(&r), numbers[i]);
		ck_assert_uint_eq(reader_u64(&r), numbers[i]);
		ck_assert_uint_eq(reader_u32(&r), (uint32_t)numbers[i]);
		ck_assert_uint_eq(reader_u8(&r), (uint8_t)numbers[i]);
		ck_assert(view_equal(reader_string(&r), view_of("string", i % 7)));
	}
	ck_assert(reader_done(&r));
}
END_TEST

START_TEST(a_reader_that_came_to_the_end_stays_failed_and_gives_zeros)
{
	struct reader r = reader_of(view_of("\x01\x02", 2));

	ck_assert_uint_eq(reader_u32(&r), 0);
	ck_assert_uint_eq(reader_u8(&r), 0);
	ck_assert_uint_eq(reader_left(&r), 0);
	ck_assert(!reader_done(&r));
	r = reader_of(view_of("\x01\x02", 2));
	reader_u8(&r);
	ck_assert(!reader_done(&r));
	r = reader_of(view_of(NULL, 0));
	ck_assert(reader_done(&r));
}
END_TEST

START_TEST(varints_that_are_overlong_or_too_large_are_refused)
{
	const char *bad[] = { "\x80\x00", "\xff\x80\x00",
			      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
			      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", "\xff" };
	size_t len[] = { 2, 3, 10, 11, 1 };

	for (size_t i = 0; i < 5; i++) {
		struct reader r = reader_of(view_of(bad[i], len[i]));

		ck_assert_uint_eq(reader_varint(&r), 0);
		ck_assert(r.failed);
	}
}
END_TEST

START_TEST(a_string_longer_than_what_is_left_is_refused)
{
	struct reader r = reader_of(view_of("\x05" "abcd", 5));

	ck_assert_uint_eq(reader_string(&r).len, 0);
	ck_assert(r.failed);
	r = reader_of(view_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
	reader_string(&r);
	ck_assert(r.failed);
}
END_TEST

START_TEST(hexadecimal_goes_both_ways_and_is_checked)
{
	uint8_t bytes[4] = { 0x00, 0x9f, 0xab, 0xff }, got[4];
	char hex[9];

	hex_encode(hex, bytes, 4);
	ck_assert_str_eq(hex, "009fabff");
	ck_assert_int_eq(hex_decode(got, 4, "009FabFF"), 0);
	ck_assert_mem_eq(got, bytes, 4);
	ck_assert_int_eq(hex_decode(got, 4, "009fabf"), -E_INVALID);
	ck_assert_int_eq(hex_decode(got, 4, "009fabff0"), -E_INVALID);
	ck_assert_int_eq(hex_decode(got, 4, "009fab-f"), -E_INVALID);
	ck_assert_int_eq(hex_decode(got, 4, ""), -E_INVALID);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bytes");
	Suite *suite = suite_create("bytes");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, a_zeroed_buf_is_empty_and_may_be_released_twice);
	tcase_add_test(tc, a_buf_grows_and_keeps_what_it_has);
	tcase_add_test(tc, a_failed_allocation_sticks_until_it_is_looked_at);
	tcase_add_test(tc, taking_a_buf_leaves_an_empty_one);
	tcase_add_test(tc, fixed_width_integers_sort_as_their_bytes_do);
	tcase_add_test(tc, what_was_encoded_is_decoded);
	tcase_add_test(tc, a_reader_that_came_to_the_end_stays_failed_and_gives_zeros);
	tcase_add_test(tc, varints_that_are_overlong_or_too_large_are_refused);
	tcase_add_test(tc, a_string_longer_than_what_is_left_is_refused);
	tcase_add_test(tc, hexadecimal_goes_both_ways_and_is_checked);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
