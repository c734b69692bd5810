/* Early contents: what is written in order is content before it is saved, and nothing is left of
 * it when it is not. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "noise.h"
#include "scratch.h"
#include "store/staging.h"

#define KIB ((size_t)1 << 10)
#define SEGMENT (256 * KIB)
#define SIZE (3 * SEGMENT + 50000)

struct fixture {
	char *directory;
	int fd;
	struct journals *journals;
	struct kv *kv;
	struct content_store *cs;
	uint8_t *bytes; /* what the file is to be */
};

static void open_contents(struct fixture *f)
{
	static const uint8_t secret[32] = "the secret of the tests' stores";

	ck_assert_int_eq(content_store_open(f->kv, secret, 4 << 20, &f->cs, NULL), 0);
	journals_set_contents(f->journals, f->cs);
}

static void reopen(struct fixture *f)
{
	content_store_close(f->cs);
	open_contents(f);
}

static struct fixture fixture_new(void)
{
	struct kv_options options = { .create = true, .cache_bytes = 8 << 20 };
	struct fixture f = { .directory = scratch_new(), .bytes = noise_new(SIZE, 1) };
	char path[256];

	content_segments_of(SEGMENT);
	snprintf(path, sizeof(path), "%s/db", f.directory);
	ck_assert_int_eq(kv_open(path, &options, &f.kv, NULL), 0);
	snprintf(path, sizeof(path), "%s/staging", f.directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	f.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(journals_new(f.fd, &f.journals, NULL), 0);
	open_contents(&f);
	return f;
}

static void fixture_release(struct fixture *f)
{
	content_store_close(f->cs);
	kv_close(f->kv);
	journals_free(f->journals);
	close(f->fd);
	free(f->bytes);
	scratch_release(&f->directory);
}

static size_t count_keys(struct fixture *f, enum family family)
{
	CLEANUP(kv_iter_release)
	struct kv_iter *it = kv_iter_open(f->kv, NULL, family, view_of(NULL, 0), false);
	struct view key;
	size_t n = 0;

	while (kv_iter_next(it, &key, NULL, NULL) == 1)
		n++;
	return n;
}

static struct staging *begin(struct fixture *f)
{
	struct staging_origin origin = { .ino = 7, .author = view_str("anna") };
	struct staging *s = NULL;
	struct error e = { 0 };

	ck_assert_msg(staging_begin(f->journals, &origin, &s, &e) == 0, "%s", e.text);
	return s;
}

/* Writes the file's bytes [at, end) in pieces of n. */
static void write_in_order(struct fixture *f, struct staging *s, size_t at, size_t end, size_t n)
{
	for (; at < end; at += n)
		ck_assert_int_eq(staging_write(s, at, f->bytes + at,
					       n < end - at ? n : end - at, NULL), 0);
}

/* What one that makes content beside a writer has in its hands. */
struct taken {
	struct staged_segment segments[CONTENT_EARLY_MAX];
	struct extent *extents[CONTENT_EARLY_MAX];
	struct work works[CONTENT_EARLY_MAX];
	uint64_t ids[CONTENT_EARLY_MAX];
	size_t count;
};

static struct taken take_all(struct staging *s)
{
	struct taken t = { .count = 0 };

	while (t.count < CONTENT_EARLY_MAX &&
	       staging_take(s, &t.segments[t.count], &t.extents[t.count], &t.works[t.count],
			    NULL) == 1)
		t.count++;
	return t;
}

static void make(struct fixture *f, struct taken *t)
{
	struct error e = { 0 };

	ck_assert_msg(content_put_early(f->cs, t->works, t->count, t->ids, &e) == 0, "%s", e.text);
}

static void moved(struct staging *s, struct taken *t)
{
	struct error e = { 0 };

	for (size_t i = 0; i < t->count; i++) {
		ck_assert_msg(staging_moved(s, &t->segments[i], t->ids[i], &e) == 0, "%s", e.text);
		free(t->extents[i]);
	}
}

static void make_all(struct fixture *f, struct staging *s, size_t expected)
{
	struct taken t = take_all(s);

	ck_assert_uint_eq(t.count, expected);
	make(f, &t);
	moved(s, &t);
}

static void assert_bytes(struct fixture *f, const struct work *work)
{
	uint8_t *got = malloc(SIZE);
	struct error e = { 0 };

	ck_assert_uint_eq(work->size, SIZE);
	ck_assert_msg(work_read(f->cs, work, 0, got, SIZE, &e) == (int)SIZE, "%s", e.text);
	ck_assert(memcmp(got, f->bytes, SIZE) == 0);
	free(got);
}

static void assert_reads(struct fixture *f, const struct staging *s)
{
	struct work work = staging_work(s);

	assert_bytes(f, &work);
}

static struct staging *recover(struct fixture *f)
{
	CLEANUP(buf_release) struct buf strings = { 0 };
	DIR *directory = fdopendir(openat(f->fd, ".", O_RDONLY | O_DIRECTORY));
	struct staging_origin origin;
	struct staging *s = NULL;
	struct dirent *entry;
	bool torn = true;

	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			ck_assert_int_eq(staging_recover(f->journals, entry->d_name, &s, &origin,
							 &strings, &torn, NULL), 0);
	}
	closedir(directory);
	ck_assert_ptr_nonnull(s);
	ck_assert(!torn);
	return s;
}

/* Saves, and ends the staging; what it became is sound and is those bytes. */
static struct content_ref save(struct fixture *f, struct staging *s)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct work work = staging_work(s);
	struct content_ref ref;
	struct error e = { 0 };

	ck_assert_msg(content_put(f->cs, &work, &batch, &ref, &e) == 0, "%s", e.text);
	ck_assert_msg(kv_write(f->kv, &batch, &e) == 0, "%s", e.text);
	staging_end(s);
	ck_assert_msg(content_check(f->cs, ref.id, NULL, NULL, &e) == 0, "%s", e.text);
	struct extent x = { .len = SIZE, .kind = EXTENT_CONTENT, .content = ref.id };
	assert_bytes(f, &(struct work){ &x, 1, SIZE, -1 });
	return ref;
}

/* The digest is that of the same bytes saved at once. */
static void assert_digest(struct fixture *f, const struct content_ref *ref)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	int fd = openat(f->fd, ".plain", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct extent x = { .len = SIZE, .kind = EXTENT_STAGED };
	struct content_ref plain;

	ck_assert_int_eq(write(fd, f->bytes, SIZE), SIZE);
	ck_assert_int_eq(content_put(f->cs, &(struct work){ &x, 1, SIZE, fd }, &batch, &plain,
				     NULL), 0);
	ck_assert(memcmp(&plain.digest, &ref->digest, DIGEST_LEN) == 0);
	close(fd);
}

static uint64_t disk_bytes(struct fixture *f)
{
	DIR *directory = fdopendir(openat(f->fd, ".", O_RDONLY | O_DIRECTORY));
	uint64_t bytes = 0;
	struct dirent *entry;
	struct stat st;

	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.' && fstatat(f->fd, entry->d_name, &st, 0) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	closedir(directory);
	return bytes;
}

START_TEST(what_is_written_in_order_is_content_before_its_save)
{
	static const size_t pieces[] = { 4096, 10007, 100000, SEGMENT / 2 };

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		CLEANUP(fixture_release) struct fixture f = fixture_new();
		struct staging *s = begin(&f);

		write_in_order(&f, s, 0, SIZE, pieces[i]);
		uint64_t staged = staging_staged_bytes(s), disk = disk_bytes(&f);
		make_all(&f, s, 3);
		assert_reads(&f, s);
		/* Of each segment some pages and the piece at its end may stay. */
		ck_assert_uint_lt(staging_staged_bytes(s) + 3 * (SEGMENT - pieces[i] - 3 * 4096),
				  staged);
		ck_assert_uint_lt(disk_bytes(&f) + 3 * (SEGMENT - pieces[i] - 3 * 4096), disk);
		struct content_ref ref = save(&f, s);
		ck_assert_uint_eq(ref.new_bytes, SIZE - 3 * SEGMENT);
		ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
		ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 4);
		assert_digest(&f, &ref);
	}
}
END_TEST

START_TEST(a_file_of_one_segment_has_a_content_of_its_own)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);
	struct content_ref ref;

	write_in_order(&f, s, 0, SEGMENT, 8192);
	make_all(&f, s, 1);
	struct work work = staging_work(s);
	ck_assert_int_eq(content_put(f.cs, &work, &batch, &ref, NULL), 0);
	ck_assert_int_eq(kv_write(f.kv, &batch, NULL), 0);
	staging_end(s);
	reopen(&f); /* nothing is cached */
	ck_assert_int_eq(content_check(f.cs, ref.id, NULL, NULL, NULL), 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_CONTENT), 1);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
}
END_TEST

START_TEST(what_is_not_written_in_order_is_left_to_the_save)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging_times times = { .mtime = 5 };
	struct staging *s = begin(&f);

	for (int i = 0; i < 5; i++) {
		write_in_order(&f, s, i == 4, SEGMENT / 2, 4096);
		if (i == 0)
			ck_assert_int_eq(staging_write(s, 9, f.bytes + 9, 9, NULL), 0);
		else if (i == 1)
			ck_assert_int_eq(staging_zero(s, SIZE, 5, false, NULL), 0);
		else if (i == 2)
			ck_assert_int_eq(staging_truncate(s, SEGMENT / 2, NULL), 0);
		else if (i == 3)
			ck_assert_int_eq(staging_set_times(s, &times, NULL), 0);
		write_in_order(&f, s, SEGMENT / 2, SEGMENT + 5000, 4096);
		ck_assert_uint_eq(staging_full_count(s), 0);
	}
	/* From the next segment on it is in order again. */
	write_in_order(&f, s, SEGMENT + 5000 - 5000 % 4096, 2 * SEGMENT, 4096);
	ck_assert_uint_eq(staging_full_count(s), 0);
	write_in_order(&f, s, 2 * SEGMENT, SIZE, 4096);
	make_all(&f, s, 1);
	assert_reads(&f, s);
	save(&f, s);
}
END_TEST

START_TEST(a_writer_that_goes_back_meanwhile_has_his_bytes)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);

	write_in_order(&f, s, 0, SIZE, 10000);
	struct taken t = take_all(s);
	ck_assert_uint_eq(t.count, 3);
	noise_fill(f.bytes + 100, 5000, 77); /* into the first, while it is being made */
	ck_assert_int_eq(staging_write(s, 100, f.bytes + 100, 5000, NULL), 0);
	memset(f.bytes + SEGMENT, 0, SEGMENT); /* the second is of no use any more */
	ck_assert_int_eq(staging_zero(s, SEGMENT, SEGMENT, true, NULL), 0);
	make(&f, &t);
	moved(s, &t);
	assert_reads(&f, s);
	staging_abandon(s); /* killed */
	s = recover(&f);
	assert_reads(&f, s);
	save(&f, s);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
	/* The first anew, the third as it was, and the end. */
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 3);
}
END_TEST

START_TEST(a_file_that_became_shorter_keeps_nothing_of_what_was_cut)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);

	write_in_order(&f, s, 0, SIZE, 10000);
	struct taken t = take_all(s);
	make(&f, &t);
	ck_assert_int_eq(staging_truncate(s, 1000, NULL), 0);
	moved(s, &t);
	ck_assert_int_eq(staging_truncate(s, SIZE, NULL), 0);
	memset(f.bytes + 1000, 0, SIZE - 1000);
	assert_reads(&f, s);
	staging_abandon(s);
	s = recover(&f);
	assert_reads(&f, s);
	save(&f, s);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
}
END_TEST

static bool is_kept(void *arg, uint64_t id)
{
	return id == *(uint64_t *)arg;
}

START_TEST(what_a_dead_process_made_and_nobody_has_is_forgotten)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);
	uint64_t none = 0;
	size_t count;

	write_in_order(&f, s, 0, SIZE, 10000);
	struct taken t = take_all(s);
	make(&f, &t);
	ck_assert_int_eq(staging_moved(s, &t.segments[0], t.ids[0], NULL), 0);
	staging_abandon(s); /* killed before the others were told of */
	s = recover(&f);
	assert_reads(&f, s);
	const uint64_t *early = staging_early(s, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(early[0], t.ids[0]);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 3);
	ck_assert_int_eq(content_forget_early(f.cs, is_kept, &t.ids[0], NULL), 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 1);
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 1);
	assert_reads(&f, s);
	struct content_ref ref = save(&f, s);
	ck_assert_uint_lt(ref.new_bytes, SIZE - SEGMENT / 2);
	ck_assert_int_eq(content_forget_early(f.cs, is_kept, &none, NULL), 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
	for (size_t i = 0; i < t.count; i++)
		free(t.extents[i]);
}
END_TEST

START_TEST(a_journal_that_cannot_be_written_keeps_its_bytes)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);

	write_in_order(&f, s, 0, SIZE, 10000);
	uint64_t staged = staging_staged_bytes(s);
	struct taken t = take_all(s);
	make(&f, &t);
	staging_fail_nth(1, EIO, 0);
	ck_assert_int_eq(staging_moved(s, &t.segments[0], t.ids[0], NULL), 0);
	staging_fail_nth(0, 0, 0);
	ck_assert_uint_eq(staging_staged_bytes(s), staged);
	assert_reads(&f, s);
	staging_give_up(s);
	staging_give_up(s);
	ck_assert_uint_eq(staging_full_count(s), 0);
	staging_abandon(s);
	s = recover(&f);
	assert_reads(&f, s);
	save(&f, s);
	for (size_t i = 0; i < t.count; i++)
		free(t.extents[i]);
}
END_TEST

/* Makes segments early while the nth call of the database fails; whether that went through. */
static bool make_with_failure(unsigned nth)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);

	write_in_order(&f, s, 0, SIZE, 10000);
	struct taken t = take_all(s);
	kv_fail_nth(nth, -E_KV);
	int r = content_put_early(f.cs, t.works, t.count, t.ids, NULL);
	kv_fail_nth(0, 0);
	for (size_t i = 0; i < t.count; i++) {
		free(t.extents[i]);
		staging_give_up(s);
	}
	reopen(&f);
	ck_assert_uint_eq(count_keys(&f, FAMILY_CHUNK), count_keys(&f, FAMILY_CHUNK_NAME));
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), r == 0 ? 3 : 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), r == 0 ? 3 : 0);
	assert_reads(&f, s);
	save(&f, s);
	return r == 0;
}

START_TEST(a_failure_at_any_call_leaves_no_segment)
{
	unsigned nth = 1;

	while (!make_with_failure(nth))
		nth++;
	ck_assert_uint_gt(nth, 20);
}
END_TEST

START_TEST(a_save_that_is_not_written_ends_no_early_content)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);
	struct content_ref ref;

	write_in_order(&f, s, 0, SIZE, 10000);
	make_all(&f, s, 3);
	for (int i = 0; i < 2; i++) {
		CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
		struct work work = staging_work(s);

		ck_assert_int_eq(content_put(f.cs, &work, &batch, &ref, NULL), 0);
	}
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 3);
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 3);
	assert_reads(&f, s);
	staging_end(s); /* as when the file is emptied and saved */
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
	ck_assert_uint_eq(count_keys(&f, FAMILY_SEGMENT), 0);
}
END_TEST

START_TEST(their_numbers_are_not_used_again)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f);

	write_in_order(&f, s, 0, SIZE, 8192);
	make_all(&f, s, 3);
	staging_abandon(s);
	reopen(&f);
	s = recover(&f);
	assert_reads(&f, s);
	size_t count;
	uint64_t last = staging_early(s, &count)[2];
	ck_assert_uint_eq(count, 3);
	struct content_ref ref = save(&f, s);
	ck_assert_uint_gt(ref.id, last);
	ck_assert_uint_eq(ref.new_bytes, SIZE - 3 * SEGMENT);
	ck_assert_uint_eq(count_keys(&f, FAMILY_META), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("early");
	Suite *suite = suite_create("early");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_is_written_in_order_is_content_before_its_save);
	tcase_add_test(tc, a_file_of_one_segment_has_a_content_of_its_own);
	tcase_add_test(tc, what_is_not_written_in_order_is_left_to_the_save);
	tcase_add_test(tc, a_writer_that_goes_back_meanwhile_has_his_bytes);
	tcase_add_test(tc, a_file_that_became_shorter_keeps_nothing_of_what_was_cut);
	tcase_add_test(tc, what_a_dead_process_made_and_nobody_has_is_forgotten);
	tcase_add_test(tc, a_journal_that_cannot_be_written_keeps_its_bytes);
	tcase_add_test(tc, a_failure_at_any_call_leaves_no_segment);
	tcase_add_test(tc, a_save_that_is_not_written_ends_no_early_content);
	tcase_add_test(tc, their_numbers_are_not_used_again);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
