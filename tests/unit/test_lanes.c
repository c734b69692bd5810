/* Lanes: digests side by side are those of each alone. */
#include <check.h>
#include <stdlib.h>

#include "noise.h"
#include "store/lanes.h"

#define SIZE ((size_t)300 * LANES_BLOCK)

START_TEST(digests_made_side_by_side_are_those_of_each_alone)
{
	static const size_t sizes[] = { 1, 2, 3, 17, 299, 300 };
	uint8_t *data[LANES];

	for (uint64_t i = 0; i < LANES; i++)
		data[i] = noise_new(SIZE, 1 + i);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = sizes[s] * LANES_BLOCK, first = (sizes[s] + 1) / 2 * LANES_BLOCK;
		const uint8_t *from[LANES], *rest[LANES];
		struct lanes lanes;

		for (size_t i = 0; i < LANES; i++) {
			from[i] = data[i];
			rest[i] = data[i] + first;
		}
		lanes_start(&lanes);
		lanes_add(&lanes, from, first, first == n);
		if (first < n)
			lanes_add(&lanes, rest, n - first, true);
		for (size_t i = 0; i < LANES; i++) {
			struct digest got = lanes_digest(&lanes, i),
				      alone = digest_of(view_of(data[i], n));

			ck_assert(digest_equal(&got, &alone));
		}
	}
	for (size_t i = 0; i < LANES; i++)
		free(data[i]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lanes");
	Suite *suite = suite_create("lanes");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, digests_made_side_by_side_are_those_of_each_alone);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
