/* Batches as RocksDB has them: kv_batch.c puts their bytes together itself. */
#include <check.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "scratch.h"
#include "store/kv.h"

/* A length takes a byte more from 128 on, and again from 16,384 on; the letter before a key
 * counts. */
START_TEST(batches_hold_keys_and_values_of_all_lengths_in_both_columns)
{
	static const size_t lengths[] = { 0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 70000 };
	static const enum family families[] = { FAMILY_META, FAMILY_CHUNK };
	static uint8_t bytes[70000];
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	CLEANUP(buf_release) struct buf got = { 0 };
	struct kv *kv = scratch_kv(directory);

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < 10 * 10 * 2; i++)
		kv_batch_put(&b, families[i % 2], view_of(bytes, lengths[i / 2 % 10]),
			     view_of(bytes, lengths[i / 20]));
	for (size_t i = 0; i < 10; i += 3)
		kv_batch_delete(&b, families[1], view_of(bytes, lengths[i]));
	ck_assert_int_eq(kv_write(kv, &b, NULL), 0);
	kv_close(kv);
	kv = scratch_kv(directory);
	for (size_t i = 0; i < 10 * 2; i++) {
		bool there = kv_get(kv, NULL, families[i % 2], view_of(bytes, lengths[i / 2]), &got,
				    NULL) == 1;

		ck_assert_int_eq(there, i % 2 == 0 || i / 2 % 3 != 0);
		ck_assert_uint_eq(got.len, there ? 70000 : 0);
	}
	kv_close(kv);
}
END_TEST

START_TEST(a_database_whose_columns_have_other_numbers_is_not_ours)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv_options options = { .cache_bytes = 8 << 20 };
	rocksdb_options_t *plain = rocksdb_options_create();
	rocksdb_column_family_handle_t *other, *chunk;
	char path[256], *message = NULL;
	struct error e = { 0 };
	struct kv *kv;

	snprintf(path, sizeof(path), "%s/db", directory);
	rocksdb_options_set_create_if_missing(plain, 1);
	rocksdb_t *db = rocksdb_open(plain, path, &message);
	other = rocksdb_create_column_family(db, plain, "other", &message);
	rocksdb_drop_column_family(db, other, &message);
	chunk = rocksdb_create_column_family(db, plain, "chunk", &message);
	ck_assert_ptr_null(message);
	rocksdb_column_family_handle_destroy(other);
	rocksdb_column_family_handle_destroy(chunk);
	rocksdb_close(db);
	rocksdb_options_destroy(plain);
	ck_assert_int_eq(kv_open(path, &options, &kv, &e), -E_CORRUPT);
	ck_assert_str_eq(strstr(e.text, "this"), "this database is not Daybook's");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("kv_batch");
	Suite *suite = suite_create("kv_batch");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, batches_hold_keys_and_values_of_all_lengths_in_both_columns);
	tcase_add_test(tc, a_database_whose_columns_have_other_numbers_is_not_ours);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
