/* What was saved lately is known without being looked up. */
#include "contents.h"
#include "noise.h"

/* Deletes the first chunk from under a store that goes on. */
static void lose_first_chunk(struct fixture *f)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct kv_iter *it = kv_iter_open(f->kv, NULL, FAMILY_CHUNK, view_of(NULL, 0), false);
	struct view key;

	ck_assert_int_eq(kv_iter_next(it, &key, NULL, NULL), 1);
	kv_batch_delete(&batch, FAMILY_CHUNK, key);
	kv_iter_close(it);
	ck_assert_int_eq(kv_write(f->kv, &batch, NULL), 0);
}

enum way { READ, READ_UNSAVED, CHECK, WAYS };

static int read_in(struct fixture *f, enum way way, uint64_t content)
{
	struct extent x = { .len = 5000, .kind = EXTENT_CONTENT, .content = content };
	struct work work = { &x, 1, 5000, -1 };
	char got[5000];

	switch (way) {
	case READ:
		return content_read(f->cs, content, 0, got, sizeof(got), NULL);
	case READ_UNSAVED:
		return work_read(f->cs, &work, 0, got, sizeof(got), NULL);
	default:
		return content_check(f->cs, content, NULL, NULL, NULL);
	}
}

START_TEST(what_was_saved_lately_is_known_unread_until_damage_is_told)
{
	uint8_t *data = noise_new(5000, 31), *other = noise_new(6 * MIB, 32);

	for (enum way way = READ; way < WAYS; way++) {
		CLEANUP(fixture_release) struct fixture f = fixture_new();
		struct content_ref ref = put_bytes(&f, data, 5000), again;

		put_bytes(&f, other, 6 * MIB); /* there is no room for more in the cache */
		put_bytes(&f, data, 5000);
		lose_first_chunk(&f);
		/* So this shows that nothing is read. */
		again = put_bytes(&f, data, 5000);
		ck_assert_uint_eq(again.id, ref.id);
		ck_assert_uint_eq(again.new_bytes, 0);
		ck_assert_int_eq(read_in(&f, way, ref.id), -E_CORRUPT);
		again = put_bytes(&f, data, 5000);
		ck_assert_uint_ne(again.id, ref.id);
		assert_reads(&f, again.id, 0, data, 5000);
		assert_sound(&f, again.id);
	}
	free(data);
	free(other);
}
END_TEST

/* A hole and zeros have one digest, and are two contents. */
START_TEST(zeros_are_not_taken_for_a_hole_that_was_saved_lately)
{
	static const uint8_t zeros[5000];
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct extent hole = { .len = 5000, .kind = EXTENT_ZERO };
	struct work work = { &hole, 1, 5000, -1 };
	struct content_ref spared = put_work(&f, &work), whole = put_bytes(&f, zeros, 5000);

	ck_assert(memcmp(&spared.digest, &whole.digest, DIGEST_LEN) == 0);
	ck_assert_uint_ne(spared.id, whole.id);
	ck_assert_uint_eq(spared.data_bytes, 0);
	ck_assert_uint_eq(whole.data_bytes, 5000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("known");
	Suite *suite = suite_create("known");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_was_saved_lately_is_known_unread_until_damage_is_told);
	tcase_add_test(tc, zeros_are_not_taken_for_a_hole_that_was_saved_lately);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
