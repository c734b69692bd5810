/* Records on disk: each is what it was in every earlier release, and damage is refused.
 * The samples are tests/golden/records.hex; a changed line there is a changed format. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "noise.h"
#include "store/format.h"

#define GOLDEN "tests/golden/records.hex"

/* A record with a different value in every field. */
#define SAMPLE_u(name) r.name = 1000003ull * ++n;
#define SAMPLE_t(name) r.name = -1700000000123456789ll + 977 * (int64_t)++n;
#define SAMPLE_d(name) SAMPLE_t(name)
#define SAMPLE_s(name) r.name = view_str(#name);
#define SAMPLE_n(name) SAMPLE_s(name)
#define SAMPLE_h(name) memset(r.name.bytes, (int)++n, DIGEST_LEN);
#define SAMPLE_FIELD(kind, name) SAMPLE_##kind(name)

#define SAME_u(name) ck_assert_uint_eq(a->name, b->name);
#define SAME_t(name) ck_assert_int_eq(a->name, b->name);
#define SAME_d(name) SAME_t(name)
#define SAME_s(name) ck_assert(view_equal(a->name, b->name));
#define SAME_n(name) SAME_s(name)
#define SAME_h(name) ck_assert_mem_eq(a->name.bytes, b->name.bytes, DIGEST_LEN);
#define SAME_FIELD(kind, name) SAME_##kind(name)

#define X(record, FIELDS) \
	static struct record##_record record##_sample(void) \
	{ \
		struct record##_record r = { 0 }; \
		unsigned n = 0; \
\
		FIELDS(SAMPLE_FIELD) \
		return r; \
	} \
	static void record##_assert_same(const struct record##_record *a, const struct record##_record *b) \
	{ \
		FIELDS(SAME_FIELD) \
	} \
	static void record##_encode_sample(struct buf *out) \
	{ \
		struct record##_record r = record##_sample(); \
\
		record##_encode(out, &r); \
	} \
	static int record##_decode_any(struct view value, struct error *e) \
	{ \
		struct record##_record r; \
\
		return record##_decode(&r, value, e); \
	} \
	static void record##_round_trip(void) \
	{ \
		struct record##_record r = record##_sample(), got; \
		CLEANUP(buf_release) struct buf b = { 0 }; \
\
		record##_encode(&b, &r); \
		ck_assert_int_eq(record##_decode(&got, buf_view(&b), NULL), 0); \
		record##_assert_same(&r, &got); \
	}
RECORDS(X)
#undef X

#define FIELD_ONE(kind, name) +1

static const struct codec {
	const char *name;
	unsigned fields;
	void (*encode_sample)(struct buf *out);
	int (*decode)(struct view value, struct error *e);
	void (*round_trip)(void);
} codecs[] = {
#define X(record, FIELDS) \
	{ #record, 0 FIELDS(FIELD_ONE), record##_encode_sample, record##_decode_any, record##_round_trip },
	RECORDS(X)
#undef X
};

#define CODECS (sizeof(codecs) / sizeof(codecs[0]))

START_TEST(every_record_is_decoded_as_it_was_encoded)
{
	for (size_t i = 0; i < CODECS; i++)
		codecs[i].round_trip();
}
END_TEST

/* The sample's bytes in hexadecimal after its name, as in the golden file. */
static void print_sample(const struct codec *codec, char *line, size_t size)
{
	CLEANUP(buf_release) struct buf b = { 0 };
	static char hex[8192];

	codec->encode_sample(&b);
	ck_assert_uint_lt(2 * b.len, sizeof(hex));
	hex_encode(hex, b.data, b.len);
	snprintf(line, size, "%s %s\n", codec->name, hex);
}

START_TEST(every_record_has_the_bytes_of_the_golden_file)
{
	static char line[8300], want[8300];
	FILE *golden = fopen(GOLDEN, getenv("GOLDEN_WRITE") ? "w" : "r");

	ck_assert_msg(golden != NULL, "run from the top of the sources");
	for (size_t i = 0; i < CODECS; i++) {
		print_sample(&codecs[i], line, sizeof(line));
		if (getenv("GOLDEN_WRITE")) {
			fputs(line, golden);
			continue;
		}
		ck_assert_ptr_nonnull(fgets(want, sizeof(want), golden));
		ck_assert_str_eq(line, want);
	}
	fclose(golden);
}
END_TEST

START_TEST(every_truncation_and_every_addition_is_refused)
{
	for (size_t i = 0; i < CODECS; i++) {
		CLEANUP(buf_release) struct buf b = { 0 };
		struct error e;

		codecs[i].encode_sample(&b);
		for (size_t n = 0; n < b.len; n++) {
			/* So that a sanitizer sees a read past its end. */
			uint8_t *exact = malloc(n + 1);

			memcpy(exact, b.data, n);
			ck_assert_int_eq(codecs[i].decode(view_of(exact, n), &e), -E_CORRUPT);
			free(exact);
		}
		buf_u8(&b, 0);
		ck_assert_int_eq(codecs[i].decode(buf_view(&b), &e), -E_CORRUPT);
		ck_assert_ptr_nonnull(strstr(e.text, codecs[i].name));
	}
}
END_TEST

START_TEST(a_record_of_a_newer_format_is_told_from_a_damaged_one)
{
	for (size_t i = 0; i < CODECS; i++) {
		CLEANUP(buf_release) struct buf b = { 0 };

		codecs[i].encode_sample(&b);
		b.data[0] = RECORD_FORMAT + 1;
		ck_assert_int_eq(codecs[i].decode(buf_view(&b), NULL), -E_FORMAT_NEWER);
		buf_clear(&b);
		buf_u8(&b, RECORD_FORMAT);
		buf_varint(&b, 1ull << codecs[i].fields);
		buf_varint(&b, 7);
		ck_assert_int_eq(codecs[i].decode(buf_view(&b), NULL), -E_FORMAT_NEWER);
		b.data[0] = 0;
		ck_assert_int_eq(codecs[i].decode(buf_view(&b), NULL), -E_CORRUPT);
	}
}
END_TEST

START_TEST(a_record_with_fewer_fields_reads_the_rest_as_nothing)
{
	for (size_t i = 0; i < CODECS; i++) {
		uint8_t none[2] = { RECORD_FORMAT, 0 };

		ck_assert_int_eq(codecs[i].decode(view_of(none, 2), NULL), 0);
	}
	CLEANUP(buf_release) struct buf b = { 0 };
	struct tag_record tag;
	buf_u8(&b, RECORD_FORMAT);
	buf_varint(&b, 1);
	buf_varint(&b, 77);
	ck_assert_int_eq(tag_decode(&tag, buf_view(&b), NULL), 0);
	ck_assert_uint_eq(tag.change, 77);
	ck_assert_int_eq(tag.time, 0);
	ck_assert_uint_eq(tag.author.len, 0);
}
END_TEST

START_TEST(times_are_kept_as_differences_and_equal_ones_not_at_all)
{
	static const int64_t times[] = { 0, 1, -1, 1700000000123456789, -5, INT64_MAX, INT64_MIN };
	const size_t n = sizeof(times) / sizeof(times[0]);

	for (size_t i = 0; i < n * n * n; i++) {
		struct inode_record r = { .ino = 7,
					  .btime = times[i % n],
					  .mtime = times[i / n % n],
					  .ctime = times[i / n / n],
					  .atime = times[i % n] },
				    got;
		CLEANUP(buf_release) struct buf b = { 0 };

		inode_encode(&b, &r);
		ck_assert_int_eq(inode_decode(&got, buf_view(&b), NULL), 0);
		inode_assert_same(&r, &got);
		if (r.btime == r.mtime && r.mtime == r.ctime)
			ck_assert_uint_le(b.len, 11 + 2);
	}
}
END_TEST

START_TEST(random_bytes_never_crash_a_decoder)
{
	uint64_t state = 1;

	for (int round = 0; round < 20000; round++) {
		const struct codec *codec = &codecs[noise_below(&state, CODECS)];
		CLEANUP(buf_release) struct buf b = { 0 };

		codec->encode_sample(&b);
		if (round % 2)
			noise_fill(b.data + 2, b.len - 2, noise_next(&state));
		for (uint64_t flips = 1 + noise_below(&state, 3); flips > 0; flips--)
			b.data[noise_below(&state, b.len)] = (uint8_t)noise_next(&state);
		int r = codec->decode(buf_view(&b), NULL);
		ck_assert(r == 0 || r == -E_CORRUPT || r == -E_FORMAT_NEWER);
	}
}
END_TEST

START_TEST(no_two_families_have_one_letter)
{
	const char letters[] = {
#define X(name, letter, key, value, what) letter,
		KEY_FAMILIES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(letters); i++) {
		for (size_t k = 0; k < i; k++)
			ck_assert_int_ne(letters[i], letters[k]);
	}
}
END_TEST

START_TEST(operations_have_words_and_numbers_both_ways)
{
	ck_assert_str_eq(log_operation_name(OP_RENAME), "rename");
	ck_assert_uint_eq(log_operation_number("rename"), OP_RENAME);
	ck_assert_str_eq(log_operation_name(12345), "unknown");
	ck_assert_uint_eq(log_operation_number("no such word"), 0);
}
END_TEST

START_TEST(an_xattr_list_is_found_set_replaced_and_removed_in_order)
{
	CLEANUP(buf_release) struct buf a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	struct view name, value;

	xattr_set(&a, view_of(NULL, 0), view_str("user.m"), view_str("1"));
	xattr_set(&b, buf_view(&a), view_str("user.a"), view_str(""));
	xattr_set(&c, buf_view(&b), view_str("user.m"), view_str("two"));
	ck_assert(xattr_find(buf_view(&c), view_str("user.m"), &value) &&
		  view_equal(value, view_str("two")));
	ck_assert(xattr_find(buf_view(&c), view_str("user.a"), &value) && value.len == 0);
	ck_assert(!xattr_find(buf_view(&c), view_str("user"), &value));
	struct view rest = buf_view(&c);
	ck_assert(xattr_next(&rest, &name, &value) && view_equal(name, view_str("user.a")));
	ck_assert(xattr_next(&rest, &name, &value) && view_equal(name, view_str("user.m")));
	ck_assert(!xattr_next(&rest, &name, &value));
	xattr_set(&d, buf_view(&c), view_str("user.a"), view_of(NULL, 0));
	ck_assert(!xattr_find(buf_view(&d), view_str("user.a"), &value));
	ck_assert(xattr_find(buf_view(&d), view_str("user.m"), &value));
}
END_TEST

START_TEST(a_journal_head_is_decoded_as_it_was_encoded_and_damage_is_seen)
{
	struct staging_head head = { STAGING_MOVED,        1, 1ull << 62, 5, 77, 1ull << 40,
				     0xfedcba9876543210ull },
			    got;
	uint8_t bytes[STAGING_HEAD_LEN];

	staging_head_encode(bytes, &head);
	ck_assert(staging_head_decode(&got, bytes));
	ck_assert(got.type == head.type && got.flags == head.flags && got.offset == head.offset &&
		  got.length == head.length && got.content == head.content &&
		  got.from == head.from && got.checksum == head.checksum);
	bytes[4] = 0;
	ck_assert(!staging_head_decode(&got, bytes));
	bytes[4] = STAGING_MOVED + 1;
	ck_assert(!staging_head_decode(&got, bytes));
	bytes[4] = STAGING_MOVED;
	bytes[0] ^= 1;
	ck_assert(!staging_head_decode(&got, bytes));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("format");
	Suite *suite = suite_create("format");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, every_record_is_decoded_as_it_was_encoded);
	tcase_add_test(tc, every_record_has_the_bytes_of_the_golden_file);
	tcase_add_test(tc, every_truncation_and_every_addition_is_refused);
	tcase_add_test(tc, a_record_of_a_newer_format_is_told_from_a_damaged_one);
	tcase_add_test(tc, a_record_with_fewer_fields_reads_the_rest_as_nothing);
	tcase_add_test(tc, times_are_kept_as_differences_and_equal_ones_not_at_all);
	tcase_add_test(tc, times_are_kept_as_differences_and_equal_ones_not_at_all);
	tcase_add_test(tc, random_bytes_never_crash_a_decoder);
	tcase_add_test(tc, no_two_families_have_one_letter);
	tcase_add_test(tc, operations_have_words_and_numbers_both_ways);
	tcase_add_test(tc, an_xattr_list_is_found_set_replaced_and_removed_in_order);
	tcase_add_test(tc, a_journal_head_is_decoded_as_it_was_encoded_and_damage_is_seen);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
