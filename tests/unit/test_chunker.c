/* Cut points: where the bytes say so, not where they stand. */
#include <check.h>
#include <stdlib.h>

#include "noise.h"
#include "store/chunker.h"

#define SIZE (1u << 20)

/* The chunk ends of n bytes; their count. */
static size_t cut_all(const struct chunker *c, const uint8_t *data, size_t n, size_t *ends)
{
	size_t at = 0, count = 0;

	while (at < n) {
		at += chunker_cut(c, data + at, n - at, true);
		ends[count++] = at;
	}
	return count;
}

START_TEST(chunks_keep_their_bounds_and_average)
{
	uint64_t sizes[] = { 1, 4 << 20, 5 << 20, 65 << 20 };
	uint8_t *data = noise_new(SIZE, 1);
	static size_t ends[SIZE];

	for (size_t i = 0; i < 4; i++) {
		struct chunker c = chunker_for(sizes[i]);
		size_t count = cut_all(&c, data, SIZE, ends), mean = SIZE / count;

		ck_assert_uint_le(c.max, CHUNK_LEN_MAX);
		ck_assert_uint_gt(mean, c.average / 2);
		ck_assert_uint_lt(mean, c.average * 2);
		for (size_t k = 0; k < count; k++) {
			size_t len = ends[k] - (k ? ends[k - 1] : 0);

			ck_assert_uint_le(len, c.max);
			ck_assert(len >= c.min || k + 1 == count);
		}
	}
	free(data);
}
END_TEST

START_TEST(an_insertion_changes_few_cuts)
{
	struct chunker c = chunker_for(SIZE);
	uint8_t *data = noise_new(SIZE + 100, 2), *moved = malloc(SIZE + 100);
	static size_t a[SIZE], b[SIZE];
	size_t same = 0;

	memcpy(moved, data, 300000);
	memcpy(moved + 300000, data + 5000, 37);
	memcpy(moved + 300037, data + 300000, SIZE - 300000);
	size_t na = cut_all(&c, data, SIZE, a), nb = cut_all(&c, moved, SIZE + 37, b);
	for (size_t i = 0, k = 0; i < na && k < nb;) {
		size_t x = a[i] < 300000 ? a[i] : a[i] + 37;

		same += x == b[k];
		i += x <= b[k];
		k += x > b[k] || (i > 0 && x == b[k]);
	}
	ck_assert_uint_ge(same + 4, na);
	free(data);
	free(moved);
}
END_TEST

START_TEST(more_bytes_are_asked_for_until_the_cut_is_certain)
{
	struct chunker c = chunker_for(SIZE);
	uint8_t *data = noise_new(c.max, 3);
	size_t cut = chunker_cut(&c, data, c.max, false);

	ck_assert_uint_gt(cut, 0);
	for (size_t n = 0; n < cut; n += 97) {
		ck_assert_uint_eq(chunker_cut(&c, data, n, false), 0);
		ck_assert_uint_eq(chunker_cut(&c, data, n, true), n);
	}
	ck_assert_uint_eq(chunker_cut(&c, data, cut, false), cut);
	memset(data, 0, c.max);
	ck_assert_uint_eq(chunker_cut(&c, data, c.max, false), c.max);
	free(data);
}
END_TEST

START_TEST(many_cuts_of_a_large_content_are_cuts_of_a_small_one)
{
	struct chunker small = chunker_for(SIZE), large = chunker_for(1ull << 30);

	ck_assert_uint_eq(large.mask_strict & small.mask_strict, small.mask_strict);
	ck_assert_uint_eq(large.mask_loose & small.mask_loose, small.mask_loose);
}
END_TEST

START_TEST(the_cuts_are_those_of_every_earlier_release)
{
	struct chunker c = chunker_for(SIZE);
	uint8_t *data = noise_new(SIZE, 4);
	static size_t ends[SIZE];

	ck_assert_uint_gt(cut_all(&c, data, SIZE, ends), 5);
	ck_assert_uint_eq(ends[0], 14111);
	ck_assert_uint_eq(ends[1], 22525);
	ck_assert_uint_eq(ends[2], 34206);
	free(data);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("chunker");
	Suite *suite = suite_create("chunker");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, chunks_keep_their_bounds_and_average);
	tcase_add_test(tc, an_insertion_changes_few_cuts);
	tcase_add_test(tc, more_bytes_are_asked_for_until_the_cut_is_certain);
	tcase_add_test(tc, many_cuts_of_a_large_content_are_cuts_of_a_small_one);
	tcase_add_test(tc, the_cuts_are_those_of_every_earlier_release);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
