/* Contents: what is put is read back, shared where it was there, and damage is told. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "contents.h"
#include "noise.h"
#include "store/chunk.h"
#include "store/digest.h"

START_TEST(what_was_put_is_read_back_whole_and_in_parts)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	size_t sizes[] = { 1, 100, 2048, 65536, 300000, 5 * MIB + 1 };
	uint8_t *data = noise_new(6 * MIB, 1), byte;

	memset(data + 10000, 'x', 200000); /* something to compress */
	for (size_t i = 0; i < 6; i++) {
		struct content_ref ref = put_bytes(&f, data, sizes[i]);

		ck_assert_uint_eq(ref.size, sizes[i]);
		ck_assert_uint_eq(ref.data_bytes, sizes[i]);
		assert_reads(&f, ref.id, 0, data, sizes[i]);
		for (size_t at = sizes[i] / 3, n = sizes[i] / 2; n > 0; n /= 3)
			assert_reads(&f, ref.id, at, data + at, n);
		ck_assert_int_eq(content_read(f.cs, ref.id, sizes[i], &byte, 1, NULL), 0);
		assert_sound(&f, ref.id);
	}
	free(data);
}
END_TEST

START_TEST(the_digest_is_what_b2sum_computes)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	char hex[2 * DIGEST_LEN + 1];

	hex_encode(hex, put_bytes(&f, "", 0).digest.bytes, DIGEST_LEN);
	ck_assert_str_eq(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	hex_encode(hex, put_bytes(&f, "abc", 3).digest.bytes, DIGEST_LEN);
	ck_assert_str_eq(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}
END_TEST

START_TEST(the_empty_content_is_number_0)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct content_ref ref = put_bytes(&f, "", 0);
	uint8_t byte;

	ck_assert_uint_eq(ref.id, 0);
	ck_assert_uint_eq(ref.size, 0);
	ck_assert_int_eq(content_read(f.cs, 0, 0, &byte, 1, NULL), 0);
	assert_sound(&f, 0);
}
END_TEST

START_TEST(the_same_bytes_are_the_same_content_and_store_nothing)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(MIB, 2);
	struct content_ref first = put_bytes(&f, data, MIB), again = put_bytes(&f, data, MIB);

	ck_assert_uint_eq(first.new_bytes, MIB);
	ck_assert_uint_eq(again.id, first.id);
	ck_assert_uint_eq(again.new_bytes, 0);
	free(data);
}
END_TEST

START_TEST(a_small_edit_stores_little)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(3 * MIB, 3);

	put_bytes(&f, data, 2 * MIB);
	data[MIB] ^= 1;
	ck_assert_uint_le(put_bytes(&f, data, 2 * MIB).new_bytes, 2 * 65536);
	memmove(data + 1000, data, 2 * MIB); /* an insertion shifts everything */
	ck_assert_uint_le(put_bytes(&f, data, 2 * MIB + 1000).new_bytes, 2 * 65536);
	free(data);
}
END_TEST

START_TEST(repeated_chunks_within_one_content_are_stored_once)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(4 * MIB, 4);

	for (size_t at = MIB; at < 4 * MIB; at += MIB)
		memcpy(data + at, data, MIB);
	ck_assert_uint_le(put_bytes(&f, data, 4 * MIB).new_bytes, MIB + 3 * 4 * 65536);
	free(data);
}
END_TEST

START_TEST(two_chunks_of_one_name_are_told_apart_by_their_bytes)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *a = noise_new(MIB, 5), *b = noise_new(MIB, 6);

	chunk_names_collide(true);
	struct content_ref first = put_bytes(&f, a, MIB), second = put_bytes(&f, b, MIB);
	chunk_names_collide(false);
	assert_reads(&f, first.id, 0, a, MIB);
	assert_reads(&f, second.id, 0, b, MIB);
	assert_sound(&f, first.id);
	assert_sound(&f, second.id);
	free(a);
	free(b);
}
END_TEST

START_TEST(a_work_of_one_whole_content_is_that_content_unread)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	uint8_t *data = noise_new(MIB, 7);
	struct content_ref ref = put_bytes(&f, data, MIB), got;
	struct extent x[2] = { { 0, 1000, EXTENT_CONTENT, ref.id, 0 },
			       { 1000, MIB - 1000, EXTENT_CONTENT, ref.id, 1000 } };
	struct work work = { x, 2, MIB, -1 };

	ck_assert_int_eq(content_put(f.cs, &work, &batch, &got, NULL), 0);
	ck_assert_uint_eq(got.id, ref.id);
	ck_assert_uint_eq(kv_batch_count(&batch), 0);
	ck_assert(digest_equal(&got.digest, &ref.digest));
	free(data);
}
END_TEST

START_TEST(a_work_with_gaps_or_overlaps_is_refused)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct extent gap[2] = { { 0, 10, EXTENT_ZERO, 0, 0 }, { 11, 10, EXTENT_ZERO, 0, 0 } };
	struct extent empty = { 0, 0, EXTENT_ZERO, 0, 0 };
	struct content_ref ref;

	ck_assert_int_eq(content_put(f.cs, &(struct work){ gap, 2, 21, -1 }, &batch, &ref, NULL),
			 -E_INVALID);
	ck_assert_int_eq(content_put(f.cs, &(struct work){ gap, 1, 21, -1 }, &batch, &ref, NULL),
			 -E_INVALID);
	ck_assert_int_eq(content_put(f.cs, &(struct work){ &empty, 1, 0, -1 }, &batch, &ref, NULL),
			 -E_INVALID);
	gap[0].content = 99;
	gap[0].kind = EXTENT_CONTENT;
	ck_assert_int_eq(content_put(f.cs, &(struct work){ gap, 1, 10, -1 }, &batch, &ref, NULL),
			 -E_CORRUPT);
}
END_TEST

START_TEST(a_sparse_file_of_any_size_is_instant_and_keeps_its_holes)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint64_t huge = CONTENT_SIZE_MAX, at = 20ull << 30, found;
	struct extent x[3] = { { 0, at, EXTENT_ZERO, 0, 0 }, { at, 5, EXTENT_STAGED, 0, 0 },
			       { at + 5, huge - at - 5, EXTENT_ZERO, 0, 0 } };
	struct work work = { x, 3, huge, staged_file("hello", 5) };
	struct content_ref ref = put_work(&f, &work);
	struct extent all = { 0, huge, EXTENT_CONTENT, ref.id, 0 };
	struct work saved = { &all, 1, huge, -1 };

	ck_assert_uint_eq(ref.data_bytes, 5);
	assert_reads(&f, ref.id, at - 1, "\0hello\0", 7);
	assert_reads(&f, ref.id, huge - 2, "\0", 2);
	for (int i = 0; i < 2; i++) {
		const struct work *w = i ? &saved : &work;

		ck_assert_int_eq(work_seek(f.cs, w, 0, false, &found, NULL), 0);
		ck_assert_uint_eq(found, at);
		ck_assert_int_eq(work_seek(f.cs, w, at + 2, true, &found, NULL), 0);
		ck_assert_uint_eq(found, at + 5);
		ck_assert_int_eq(work_seek(f.cs, w, at + 5, false, &found, NULL), -ENXIO);
		ck_assert_int_eq(work_seek(f.cs, w, huge, true, &found, NULL), -ENXIO);
	}
	assert_sound(&f, ref.id);
	close(work.fd);
}
END_TEST

START_TEST(a_file_that_ends_in_data_has_a_hole_at_its_end_for_seek)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct content_ref ref = put_bytes(&f, "data", 4);
	struct extent all = { 0, 4, EXTENT_CONTENT, ref.id, 0 };
	uint64_t found = 0;

	ck_assert_int_eq(work_seek(f.cs, &(struct work){ &all, 1, 4, -1 }, 1, true, &found, NULL),
			 0);
	ck_assert_uint_eq(found, 4);
}
END_TEST

START_TEST(an_edit_in_place_of_a_large_content_keeps_the_other_segments)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	size_t size = 2 * CONTENT_SEGMENT_MAX + 3 * MIB, at = CONTENT_SEGMENT_MAX + 7 * MIB;
	uint8_t *data = calloc(1, size);

	for (size_t i = 0; i < size; i += 4096)
		memcpy(data + i, &i, sizeof(i));
	struct content_ref base = put_bytes(&f, data, size);
	struct extent x[3] = { { 0, at, EXTENT_CONTENT, base.id, 0 },
			       { at, 5, EXTENT_STAGED, 0, 0 },
			       { at + 5, size - at - 5, EXTENT_CONTENT, base.id, at + 5 } };
	struct work work = { x, 3, size, staged_file("edits", 5) };
	struct content_ref edited = put_work(&f, &work);
	CLEANUP(buf_release) struct buf key = { 0 }, value = { 0 };
	struct content_record before, after;

	memcpy(data + at, "edits", 5);
	assert_reads(&f, edited.id, 0, data, size);
	ck_assert_uint_le(edited.new_bytes, 2 * CHUNK_LEN_MAX);
	ck_assert_uint_eq(edited.data_bytes, size);
	struct content_ref scratch = put_bytes(&f, data, size);
	ck_assert(digest_equal(&scratch.digest, &edited.digest));

	buf_u64(&key, base.id);
	ck_assert_int_eq(kv_get(f.kv, NULL, FAMILY_CONTENT, buf_view(&key), &value, NULL), 1);
	ck_assert_int_eq(content_decode(&before, buf_view(&value), NULL), 0);
	uint8_t first = ((const uint8_t *)before.segments.data)[0];
	uint8_t last = ((const uint8_t *)before.segments.data)[before.segments.len - 5];
	buf_clear(&key);
	buf_u64(&key, edited.id);
	CLEANUP(buf_release) struct buf other = { 0 };
	ck_assert_int_eq(kv_get(f.kv, NULL, FAMILY_CONTENT, buf_view(&key), &other, NULL), 1);
	ck_assert_int_eq(content_decode(&after, buf_view(&other), NULL), 0);
	ck_assert_uint_eq(((const uint8_t *)after.segments.data)[0], first);
	ck_assert_uint_eq(((const uint8_t *)after.segments.data)[after.segments.len - 5], last);
	ck_assert(!view_equal(before.segments, after.segments));
	close(work.fd);
	free(data);
}
END_TEST

/* Appends an extent of a random kind to work; model takes its bytes. */
static void add_random_extent(uint64_t *state, struct extent *x, const struct content_ref *bases,
			      uint8_t *const *bytes, const uint8_t *staged, uint8_t *model)
{
	uint64_t which = noise_below(state, 3);

	x->kind = (enum extent_kind)noise_below(state, 3);
	x->len = 1 + noise_below(state, noise_below(state, 3) ? 300000 : 5000);
	if (x->kind == EXTENT_CONTENT) {
		x->content = bases[which].id;
		x->from = noise_below(state, bases[which].size);
		x->from &= noise_below(state, 2) ? ~(uint64_t)0 : 0;
		x->len =
			x->len < bases[which].size - x->from ? x->len : bases[which].size - x->from;
		memcpy(model + x->at, bytes[which] + x->from, x->len);
	} else if (x->kind == EXTENT_STAGED) {
		x->from = noise_below(state, 100000);
		memcpy(model + x->at, staged + x->from, x->len);
	} else {
		memset(model + x->at, 0, x->len);
	}
}

START_TEST(what_is_built_on_other_contents_is_what_its_bytes_say)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *bytes[3], *staged = noise_new(MIB, 8), *model = malloc(8 * MIB);
	struct content_ref bases[3];
	uint64_t state = 9;

	for (size_t i = 0; i < 3; i++) {
		bytes[i] = noise_new(500000 << i, 10 + i);
		bases[i] = put_bytes(&f, bytes[i], 500000 << i);
	}
	int fd = staged_file(staged, MIB);
	for (int round = 0; round < 40; round++) {
		struct extent x[12] = { 0 };
		struct work work = { x, 1 + noise_below(&state, 12), 0, fd };
		struct extent all = { .kind = EXTENT_CONTENT };

		for (size_t i = 0; i < work.count; work.size += x[i++].len) {
			x[i].at = work.size;
			add_random_extent(&state, &x[i], bases, bytes, staged, model);
		}
		struct content_ref ref = put_work(&f, &work);
		struct digest digest = digest_of(view_of(model, work.size));
		ck_assert(digest_equal(&digest, &ref.digest));
		assert_reads(&f, ref.id, 0, model, work.size);
		assert_sound(&f, ref.id);
		all.len = work.size;
		all.content = ref.id;
		for (uint64_t at = 0; at < work.size; at += 70001) {
			uint64_t staged_hole = 0, saved_hole = 0;

			ck_assert_int_eq(work_seek(f.cs, &work, at, true, &staged_hole, NULL), 0);
			ck_assert_int_eq(work_seek(f.cs, &(struct work){ &all, 1, work.size, -1 },
						   at, true, &saved_hole, NULL),
					 0);
			ck_assert_uint_eq(staged_hole, saved_hole);
		}
	}
	for (size_t i = 0; i < 3; i++)
		free(bytes[i]);
	free(staged);
	free(model);
	close(fd);
}
END_TEST

START_TEST(chunks_of_an_untouched_range_are_those_of_its_base)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(2 * MIB, 20);
	struct content_ref base = put_bytes(&f, data, 2 * MIB);
	struct extent x[3] = { { 0, MIB, EXTENT_CONTENT, base.id, 0 },
			       { MIB, 3, EXTENT_STAGED, 0, 0 },
			       { MIB + 3, MIB - 3, EXTENT_CONTENT, base.id, MIB + 3 } };
	struct work work = { x, 3, 2 * MIB, staged_file("new", 3) };

	ck_assert_uint_le(put_work(&f, &work).new_bytes, 2 * 65536);
	x[0].len = MIB / 2;
	work.count = 1;
	work.size = MIB / 2;
	ck_assert_uint_le(put_work(&f, &work).new_bytes, 65536);
	close(work.fd);
	free(data);
}
END_TEST

START_TEST(contents_survive_a_reopening_and_their_numbers_are_not_used_again)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(MIB, 21);
	struct content_ref before = put_bytes(&f, data, MIB);

	fixture_close(&f);
	fixture_open(&f);
	assert_reads(&f, before.id, 0, data, MIB);
	data[5]++;
	ck_assert_uint_gt(put_bytes(&f, data, MIB).id, before.id + 1000);
	assert_sound(&f, before.id);
	free(data);
}
END_TEST

/* Puts bytes in the place of the value of the n-th key of family. */
static void damage(struct fixture *f, enum family family, size_t n, bool delete)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct kv_iter *it = kv_iter_open(f->kv, NULL, family, view_of(NULL, 0), false);
	CLEANUP(buf_release) struct buf bad = { 0 };
	struct view key, value;

	for (size_t i = 0; i <= n; i++)
		ck_assert_int_eq(kv_iter_next(it, &key, &value, NULL), 1);
	buf_append(&bad, value.data, value.len);
	bad.data[bad.len / 2] ^= 0x20;
	if (delete)
		kv_batch_delete(&batch, family, key);
	else
		kv_batch_put(&batch, family, key, buf_view(&bad));
	ck_assert_int_eq(kv_write(f->kv, &batch, NULL), 0);
	kv_iter_close(it);
	content_store_close(f->cs);
	kv_close(f->kv);
	fixture_open(f); /* with empty caches */
}

/* Checks all names; how many are right. */
static size_t count_right_names(struct fixture *f, size_t *ret_wrong)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(f->kv, NULL, FAMILY_CHUNK_NAME, view_of(NULL, 0), false);
	struct view key, value;
	size_t right = 0, len = 0;

	*ret_wrong = 0;
	while (kv_iter_next(it, &key, &value, NULL) == 1) {
		if (content_check_name(f->cs, key, value, &len, NULL) == 0)
			right++;
		else
			++*ret_wrong;
	}
	return right;
}

START_TEST(every_chunk_has_its_name_and_a_damaged_one_is_found_by_it)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(MIB, 27);
	size_t wrong;

	put_bytes(&f, data, MIB);
	size_t all = count_right_names(&f, &wrong);
	ck_assert_uint_gt(all, 10);
	ck_assert_uint_eq(wrong, 0);
	damage(&f, FAMILY_CHUNK, 2, false);
	ck_assert_uint_eq(count_right_names(&f, &wrong), all - 1);
	damage(&f, FAMILY_CHUNK, 4, true);
	damage(&f, FAMILY_CHUNK_NAME, 1, false);
	ck_assert_uint_ge(count_right_names(&f, &wrong), all - 3);
	ck_assert_uint_ge(wrong, 2);
	free(data);
}
END_TEST

START_TEST(damage_is_told_with_the_chunk_that_has_it_and_a_new_save_heals)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(MIB, 22);
	struct content_ref ref = put_bytes(&f, data, MIB);
	struct error e = { 0 };

	damage(&f, FAMILY_CHUNK, 3, false);
	ck_assert_int_eq(content_check(f.cs, ref.id, NULL, NULL, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "chunk 4 in segment 1 is damaged"));
	damage(&f, FAMILY_CHUNK, 5, true);
	ck_assert_int_eq(content_check(f.cs, ref.id, NULL, NULL, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "chunk 6 is missing"));
	ck_assert_int_eq(content_read(f.cs, ref.id, 0, data, MIB, &e), -E_CORRUPT);
	noise_fill(data, MIB, 22);
	data[MIB - 1]++;
	struct content_ref healed = put_bytes(&f, data, MIB);
	assert_sound(&f, healed.id);
	assert_reads(&f, healed.id, 0, data, MIB);
	free(data);
}
END_TEST

START_TEST(damaged_records_are_told_and_never_shared)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct content_ref ref = put_bytes(&f, "some bytes", 10);
	struct error e = { 0 };
	char byte;

	damage(&f, FAMILY_SEGMENT, 0, true);
	ck_assert_int_eq(content_read(f.cs, ref.id, 0, &byte, 1, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "segment 1 is missing"));
	damage(&f, FAMILY_CONTENT, 0, true);
	ck_assert_int_eq(content_read(f.cs, ref.id, 0, &byte, 1, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "content 1048576 is missing"));
	struct content_ref again = put_bytes(&f, "some bytes", 10);
	assert_sound(&f, again.id);
}
END_TEST

START_TEST(random_records_never_crash_a_reader)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(100000, 23), *got = malloc(100000);
	struct content_ref ref = put_bytes(&f, data, 100000);
	uint64_t state = 24;

	for (int i = 0; i < 300; i++) {
		CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
		enum family family =
			(enum family[]){ FAMILY_CONTENT, FAMILY_SEGMENT, FAMILY_CHUNK }[i % 3];
		CLEANUP(buf_release) struct buf key = { 0 }, value = { 0 };
		struct extent x[2] = { { 0, 50000, EXTENT_CONTENT, ref.id, 7 },
				       { 50000, 9, EXTENT_ZERO, 0, 0 } };
		struct content_ref other;

		buf_u64(&key, family == FAMILY_CONTENT ? ref.id : 1);
		ck_assert_int_eq(kv_get(f.kv, NULL, family, buf_view(&key), &value, NULL), 1);
		uint8_t *at = value.data +
			      noise_below(&state, i % 3 == 2 || value.len < 60 ? value.len : 60);
		uint8_t was = *at;
		*at = (uint8_t)noise_next(&state);
		kv_batch_put(&batch, family, buf_view(&key), buf_view(&value));
		ck_assert_int_eq(kv_write(f.kv, &batch, NULL), 0);
		content_store_close(f.cs);
		ck_assert_int_eq(content_store_open(f.kv, data, MIB, &f.cs, NULL), 0);
		content_check(f.cs, ref.id, NULL, NULL, NULL);
		content_read(f.cs, ref.id, noise_below(&state, 100000), got, 5000, NULL);
		kv_batch_clear(&batch);
		content_put(f.cs, &(struct work){ x, 2, 50009, -1 }, &batch, &other, NULL);
		*at = was;
		kv_batch_clear(&batch);
		kv_batch_put(&batch, family, buf_view(&key), buf_view(&value));
		ck_assert_int_eq(kv_write(f.kv, &batch, NULL), 0);
	}
	content_store_close(f.cs);
	ck_assert_int_eq(content_store_open(f.kv, data, MIB, &f.cs, NULL), 0);
	assert_sound(&f, ref.id);
	free(data);
	free(got);
}
END_TEST

START_TEST(a_failure_at_any_call_leaves_a_sound_store)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(3 * MIB, 25);
	struct content_ref base = put_bytes(&f, data, 3 * MIB), ref;
	unsigned step = 1;
	int r = -1;

	memset(data + MIB, 'y', 100);
	noise_fill(data + 2 * MIB, MIB, 26);
	for (unsigned n = 1; r < 0; n += step) {
		CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
		struct extent x[3] = { { 0, MIB, EXTENT_CONTENT, base.id, 0 },
				       { MIB, 100, EXTENT_STAGED, 0, MIB },
				       { MIB + 100, 2 * MIB - 100, EXTENT_STAGED, 0, MIB + 100 } };
		struct work work = { x, 3, 3 * MIB, staged_file(data, 3 * MIB) };

		step = n < 20 ? 1 : 17;
		kv_fail_nth(n, -E_NO_SPACE);
		r = content_put(f.cs, &work, &batch, &ref, NULL);
		kv_fail_nth(0, 0);
		ck_assert(r == 0 || r == -E_NO_SPACE);
		if (r == 0)
			record(&f, &batch, &ref);
		close(work.fd);
	}
	assert_sound(&f, base.id);
	assert_sound(&f, ref.id);
	assert_reads(&f, ref.id, 0, data, 3 * MIB);
	free(data);
}
END_TEST

START_TEST(an_unreadable_staged_file_is_an_error_not_zeros)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct extent x = { 0, 100, EXTENT_STAGED, 0, 0 };
	struct work work = { &x, 1, 100, staged_file("short", 5) };
	struct content_ref ref;

	ck_assert_int_eq(content_put(f.cs, &work, &batch, &ref, NULL), -E_CORRUPT);
	close(work.fd);
	work.fd = -1;
	ck_assert_int_eq(content_put(f.cs, &work, &batch, &ref, NULL), -EBADF);
}
END_TEST

START_TEST(a_large_content_is_written_once_past_the_log)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	size_t n = 40 * MIB;
	uint8_t *data = noise_new(n, 7);
	char line[200];

	memset(data + 3 * MIB, 'x', 4 * MIB); /* chunks that are all the same */
	memcpy(data + 30 * MIB, data, 8 * MIB);
	struct content_ref ref = put_bytes(&f, data, n);
	snprintf(line, sizeof(line), "test `cat %s/db/*.log|wc -c` -lt 999999", f.directory);
	ck_assert_int_eq(system(line), 0);
	ck_assert_uint_lt(ref.new_bytes, n - 6 * MIB); /* what comes twice is kept twice */
	/* But for the cut at the begin the same chunks. */
	ck_assert_uint_lt(put_bytes(&f, data + MIB, n - MIB).new_bytes, MIB);
	fixture_close(&f);
	fixture_open(&f);
	assert_reads(&f, ref.id, 0, data, n);
	free(data);
}
END_TEST

static size_t count_keys(struct fixture *f, enum family family)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(f->kv, NULL, family, view_of("", 0), false);
	struct view key;
	size_t n = 0;

	while (kv_iter_next(it, &key, NULL, NULL) == 1)
		n++;
	return n;
}

/* Puts a large content into a new store whose nth call fails; whether it went through. */
static bool put_with_failure(int fd, size_t n, unsigned nth)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct extent x = { .at = 0, .len = n, .kind = EXTENT_STAGED };
	struct work work = { &x, 1, n, fd };
	struct content_ref ref;

	kv_fail_nth(nth, -E_KV);
	int r = content_put(f.cs, &work, &batch, &ref, NULL);
	kv_fail_nth(0, 0);
	fixture_close(&f);
	fixture_open(&f);
	ck_assert_uint_eq(count_keys(&f, FAMILY_CHUNK), count_keys(&f, FAMILY_CHUNK_NAME));
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 0); /* which come with the save */
	return r == 0;
}

START_TEST(a_large_content_that_failed_leaves_no_chunk_without_a_name)
{
	size_t n = 2 * MIB;
	uint8_t *data = noise_new(n, 8);
	unsigned fails = 1, goes = 1u << 12;
	int fd = staged_file(data, n);

	content_past_log_from(MIB);
	while (goes - fails > 1) { /* most calls look for names; those behind are of interest */
		unsigned middle = (fails + goes) / 2;

		*(put_with_failure(fd, n, middle) ? &goes : &fails) = middle;
	}
	for (unsigned nth = fails - 6; nth < fails; nth++)
		ck_assert(!put_with_failure(fd, n, nth));
	content_past_log_from(16 * MIB);
	close(fd);
	free(data);
}
END_TEST

struct saver {
	struct fixture *f;
	uint64_t seed;
};

static void *save_often(void *arg)
{
	struct saver *s = arg;
	uint8_t *data = noise_new(MIB, 30); /* shared by all */

	for (int i = 0; i < 10; i++) {
		noise_fill(data + (size_t)i * 50000, 1000, s->seed + (uint64_t)(i % 3));
		struct content_ref ref = put_bytes(s->f, data, MIB);

		assert_reads(s->f, ref.id, 0, data, MIB);
	}
	free(data);
	return NULL;
}

START_TEST(threads_may_save_at_once)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct saver savers[4];
	pthread_t threads[4];

	for (uint64_t i = 0; i < 4; i++) {
		savers[i] = (struct saver){ &f, 40 + i / 2 };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, save_often, &savers[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("content");
	Suite *suite = suite_create("content");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_was_put_is_read_back_whole_and_in_parts);
	tcase_add_test(tc, the_digest_is_what_b2sum_computes);
	tcase_add_test(tc, the_empty_content_is_number_0);
	tcase_add_test(tc, the_same_bytes_are_the_same_content_and_store_nothing);
	tcase_add_test(tc, a_small_edit_stores_little);
	tcase_add_test(tc, repeated_chunks_within_one_content_are_stored_once);
	tcase_add_test(tc, two_chunks_of_one_name_are_told_apart_by_their_bytes);
	tcase_add_test(tc, a_work_of_one_whole_content_is_that_content_unread);
	tcase_add_test(tc, a_work_with_gaps_or_overlaps_is_refused);
	tcase_add_test(tc, a_sparse_file_of_any_size_is_instant_and_keeps_its_holes);
	tcase_add_test(tc, a_file_that_ends_in_data_has_a_hole_at_its_end_for_seek);
	tcase_add_test(tc, an_edit_in_place_of_a_large_content_keeps_the_other_segments);
	tcase_add_test(tc, what_is_built_on_other_contents_is_what_its_bytes_say);
	tcase_add_test(tc, chunks_of_an_untouched_range_are_those_of_its_base);
	tcase_add_test(tc, contents_survive_a_reopening_and_their_numbers_are_not_used_again);
	tcase_add_test(tc, every_chunk_has_its_name_and_a_damaged_one_is_found_by_it);
	tcase_add_test(tc, damage_is_told_with_the_chunk_that_has_it_and_a_new_save_heals);
	tcase_add_test(tc, damaged_records_are_told_and_never_shared);
	tcase_add_test(tc, random_records_never_crash_a_reader);
	tcase_add_test(tc, a_failure_at_any_call_leaves_a_sound_store);
	tcase_add_test(tc, a_large_content_is_written_once_past_the_log);
	tcase_add_test(tc, a_large_content_that_failed_leaves_no_chunk_without_a_name);
	tcase_add_test(tc, an_unreadable_staged_file_is_an_error_not_zeros);
	tcase_add_test(tc, threads_may_save_at_once);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
