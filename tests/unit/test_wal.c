/* The write-ahead log: a torn end is no damage, damage is no torn end. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "noise.h"
#include "scratch.h"
#include "store/kv.h"
#include "store/wal.h"

#define WRITES 20
#define SYNCED 10 /* of them */

struct fixture {
	char *directory, db[256], log[300];
	size_t size;           /* of the log */
	uint8_t *bytes;
	size_t ends[WRITES];   /* of the records in it */
};

static struct kv *open_db(const char *path, int *ret, struct error *e)
{
	struct kv_options options = { .create = true, .cache_bytes = 32 << 20 };
	struct kv *kv = NULL;

	*ret = kv_open(path, &options, &kv, e);
	return kv;
}

/* The newest log that has bytes in it. */
static void find_log(struct fixture *f)
{
	DIR *d = opendir(f->db);
	struct dirent *entry;
	struct stat st;

	while ((entry = readdir(d))) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", f->db, entry->d_name);
		if (strstr(entry->d_name, ".log") && stat(path, &st) == 0 && st.st_size > 0 &&
		    strcmp(path, f->log) > 0) {
			snprintf(f->log, sizeof(f->log), "%.290s", path);
			f->size = (size_t)st.st_size;
		}
	}
	closedir(d);
	ck_assert_uint_gt(f->size, 0);
}

/* A database whose writer was killed after WRITES writes of value_len bytes, SYNCED of them
 * synced. */
static struct fixture fixture_new(size_t value_len)
{
	struct fixture f = { .directory = scratch_new() };
	size_t n = 0;
	int r;

	snprintf(f.db, sizeof(f.db), "%s/db", f.directory);
	pid_t child = fork();
	if (child == 0) {
		struct kv *kv = open_db(f.db, &r, NULL);
		uint8_t *value = noise_new(value_len, 1);

		for (unsigned i = 0; i < WRITES; i++) {
			CLEANUP(kv_batch_release) struct kv_batch b = { 0 };

			kv_batch_put(&b, FAMILY_META, view_of(&i, sizeof(i)),
				     view_of(value, value_len));
			if (kv_write(kv, &b, NULL) < 0 ||
			    (i + 1 == SYNCED && kv_sync(kv, NULL) < 0))
				_exit(1);
		}
		raise(SIGKILL);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFSIGNALED(status));
	find_log(&f);
	f.bytes = malloc(f.size);
	int fd = open(f.log, O_RDONLY);
	ck_assert_int_eq(read(fd, f.bytes, f.size), f.size);
	close(fd);
	for (size_t at = 0; value_len < 1000 && n < WRITES; n++)
		f.ends[n] = at += 7 + (size_t)(f.bytes[at + 4] | f.bytes[at + 5] << 8);
	return f;
}

static void fixture_release(struct fixture *f)
{
	free(f->bytes);
	scratch_release(&f->directory);
}

/* Makes the log what it was, cut to size, with one byte changed when there is one at `flip`. */
static void write_log(struct fixture *f, size_t size, size_t flip)
{
	int fd = open(f->log, O_WRONLY | O_TRUNC);
	uint8_t bad = flip < size ? f->bytes[flip] ^ 0x11 : 0;

	ck_assert_int_eq(pwrite(fd, f->bytes, size, 0), size);
	if (flip < size)
		ck_assert_int_eq(pwrite(fd, &bad, 1, (off_t)flip), 1);
	close(fd);
}

/* All logs are needed. */
static int inspect(struct fixture *f, bool same_boot, struct buf *note, struct error *e)
{
	uint64_t last;

	buf_clear(note);
	return wal_inspect(f->db, wal_boot() + !same_boot, 1, note, &last, e);
}

static size_t log_size(const struct fixture *f)
{
	struct stat st;

	ck_assert_int_eq(stat(f->log, &st), 0);
	return (size_t)st.st_size;
}

/* Makes the seal one of a boot before this one. */
static void start_machine_anew(struct fixture *f)
{
	uint8_t bytes[SEAL_LEN];
	struct seal_record seal;
	char path[300];

	snprintf(path, sizeof(path), "%s/SEAL", f->db);
	int fd = open(path, O_RDWR);
	ck_assert_int_eq(pread(fd, bytes, SEAL_LEN, 0), SEAL_LEN);
	ck_assert(seal_decode(&seal, bytes));
	ck_assert_uint_eq(seal.checksum, XXH3_64bits(bytes, SEAL_LEN - 8));
	seal.boot++;
	seal_encode(bytes, &seal);
	seal.checksum = XXH3_64bits(bytes, SEAL_LEN - 8);
	seal_encode(bytes, &seal);
	ck_assert_int_eq(pwrite(fd, bytes, SEAL_LEN, 0), SEAL_LEN);
	close(fd);
}

START_TEST(the_log_of_a_killed_writer_is_whole)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf note = { 0 };
	struct error e;

	ck_assert_uint_eq(f.ends[WRITES - 1], f.size);
	ck_assert_int_eq(inspect(&f, true, &note, &e), 0);
	ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
	ck_assert_uint_eq(note.len, 0);
}
END_TEST

START_TEST(a_log_cut_anywhere_opens_with_the_writes_before_the_cut)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf note = { 0 }, got = { 0 };
	uint64_t state = 1;
	struct error e;
	int r;

	for (size_t size = f.ends[SYNCED - 1]; size < f.size; size += 1 + noise_below(&state, 40)) {
		write_log(&f, size, SIZE_MAX);
		ck_assert_int_eq(inspect(&f, true, &note, &e), 0);
		ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
		ck_assert_uint_eq(log_size(&f), size);
	}
	write_log(&f, f.ends[15] - 1, SIZE_MAX);
	start_machine_anew(&f);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 i < 15);
	ck_assert_str_eq(kv_opening_note(kv), "");
	kv_close(kv);
}
END_TEST

START_TEST(any_changed_byte_is_damage_when_no_power_was_cut)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf note = { 0 };
	struct error e;
	int r;

	for (size_t at = 0; at < f.ends[WRITES - 2]; at += 1 + at % 3) {
		write_log(&f, f.size, at);
		ck_assert_msg(inspect(&f, true, &note, &e) == -E_CORRUPT, "byte %zu", at);
		ck_assert_uint_eq(log_size(&f), f.size);
	}
	ck_assert_ptr_nonnull(strstr(e.text, ".log is damaged at byte "));
	ck_assert_ptr_null(open_db(f.db, &r, &e));
	ck_assert_int_eq(r, -E_CORRUPT);
	write_log(&f, f.size, f.size - 1); /* in the very last */
	ck_assert_int_eq(inspect(&f, true, &note, &e), -E_CORRUPT);
}
END_TEST

START_TEST(after_a_power_cut_what_was_synced_must_be_there_and_the_rest_may_be_gone)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf note = { 0 };
	struct error e;

	for (size_t at = 0; at < f.ends[WRITES - 2]; at += 13) {
		size_t record = 0;

		while (f.ends[record] <= at)
			record++;
		write_log(&f, f.size, at);
		int r = inspect(&f, false, &note, &e);
		if (record < SYNCED) {
			ck_assert_int_eq(r, -E_CORRUPT);
			ck_assert_uint_eq(log_size(&f), f.size);
		} else {
			ck_assert_int_eq(r, 0);
			ck_assert_uint_eq(log_size(&f), f.ends[record - 1]);
			ck_assert_ptr_nonnull(strstr(buf_cstr(&note), "did not reach the disk"));
		}
	}
}
END_TEST

START_TEST(a_page_of_zeros_in_what_was_not_synced_is_cut_not_skipped)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(20000);
	CLEANUP(buf_release) struct buf note = { 0 }, got = { 0 };
	static const uint8_t zeros[65536];
	struct error e;
	int r, fd = open(f.log, O_WRONLY);

	/* Two blocks whole, behind what was synced; good records follow. */
	ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 8 * 32768), sizeof(zeros));
	close(fd);
	ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
	ck_assert_uint_gt(note.len, 0);
	start_machine_anew(&f);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0, gone = 0; i < WRITES; i++) {
		int found = kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL);

		gone += !found;
		ck_assert_int_eq(found, gone == 0);
		ck_assert(found || i >= SYNCED);
	}
	kv_close(kv);
}
END_TEST

START_TEST(records_over_several_blocks_are_inspected_too)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100000);
	CLEANUP(buf_release) struct buf note = { 0 };
	uint64_t state = 3;
	struct error e;

	ck_assert_int_eq(inspect(&f, true, &note, &e), 0);
	for (int i = 0; i < 40; i++) {
		write_log(&f, f.size, noise_below(&state, f.size - 200000));
		ck_assert_int_eq(inspect(&f, true, &note, &e), -E_CORRUPT);
	}
	for (int i = 0; i < 40; i++) {
		write_log(&f, f.size - noise_below(&state, f.size / 2), SIZE_MAX);
		ck_assert_int_eq(inspect(&f, true, &note, &e), 0);
	}
}
END_TEST

static void assert_refused(struct fixture *f, const char *words)
{
	struct error e = { 0 };
	int r = 0;

	open_db(f->db, &r, &e);
	ck_assert_int_eq(r, -E_CORRUPT);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
}

/* Makes of the log two: the first one has the records up to `end`, the second those from `start`
 * on. */
static void split_log(struct fixture *f, unsigned end, unsigned start)
{
	size_t from = f->ends[start - 1];
	char second[320];

	write_log(f, f->ends[end - 1], SIZE_MAX);
	snprintf(second, sizeof(second), "%s/999999.log", f->db);
	int fd = open(second, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, f->bytes + from, f->size - from), f->size - from);
	close(fd);
}

START_TEST(a_log_that_does_not_follow_the_one_before_is_not_replayed)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf got = { 0 }, note = { 0 };
	struct error e;
	int r;

	split_log(&f, 12, 14);
	assert_refused(&f, "does not go on where"); /* no power was cut */
	split_log(&f, 5, 14);
	ck_assert_int_eq(inspect(&f, false, &note, &e), -E_CORRUPT); /* ten were synced */
	split_log(&f, 12, 14);
	ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&note), "did not reach the disk"));
	start_machine_anew(&f);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 i < 12);
	kv_close(kv);
}
END_TEST

/* Content past the log between all writes, which are in three logs, the first not synced. */
static void write_past_the_log(const char *db)
{
	int r;
	struct kv *kv = open_db(db, &r, NULL);

	for (unsigned i = 0; i < 12; i++) {
		CLEANUP(kv_batch_release) struct kv_batch past = { 0 }, b = { 0 };

		for (unsigned k = 0; k <= i; k++)
			kv_batch_put(&past, FAMILY_CHUNK, view_of(&k, sizeof(k)), view_str("past"));
		kv_batch_put(&b, FAMILY_META, view_of(&i, sizeof(i)), view_str("logged"));
		if (kv_write_unlogged(kv, &past, NULL) < 0 || kv_write(kv, &b, NULL) < 0 ||
		    (i % 4 == 3 && kv_flush_content(kv, NULL) < 0))
			_exit(1);
	}
	raise(SIGKILL);
}

/* Cuts so many bytes off the end of a log. */
static void shorten(const struct fixture *f, unsigned nth, off_t bytes)
{
	struct dirent **logs;
	struct stat st;
	char path[600];
	int n = scandir(f->db, &logs, NULL, alphasort), seen = 0;

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->db, logs[i]->d_name);
		if (strstr(logs[i]->d_name, ".log") && stat(path, &st) == 0 && st.st_size > 0 &&
		    (unsigned)seen++ == nth)
			ck_assert_int_eq(truncate(path, st.st_size - bytes), 0);
		free(logs[i]);
	}
	free(logs);
	ck_assert_int_ge(seen, (int)nth + 1);
}

START_TEST(numbers_that_were_never_logged_are_not_missed)
{
	CLEANUP(fixture_release) struct fixture f = { .directory = scratch_new() };
	CLEANUP(buf_release) struct buf note = { 0 }, got = { 0 };
	struct error e;
	int status, r;

	snprintf(f.db, sizeof(f.db), "%s/db", f.directory);
	pid_t child = fork();
	if (child == 0)
		write_past_the_log(f.db);
	waitpid(child, &status, 0);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(inspect(&f, true, &note, &e), 0);
	ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
	ck_assert_uint_eq(note.len, 0);
	shorten(&f, 0, 1); /* a write that failed: what it had is not in what follows */
	ck_assert_int_eq(inspect(&f, true, &note, &e), -E_CORRUPT);
	shorten(&f, 0, 100); /* its last batch, and a part of the one before */
	ck_assert_int_eq(inspect(&f, true, &note, &e), -E_CORRUPT);
	ck_assert_int_eq(inspect(&f, false, &note, &e), 0);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&note), "did not reach the disk"));
	start_machine_anew(&f);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0; i < 12; i++)
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 i < 2);
	kv_close(kv);
}
END_TEST

START_TEST(the_numbers_of_a_batch_may_be_divided_between_two_blocks)
{
	CLEANUP(buf_release) struct buf note = { 0 };
	unsigned divided = 0;
	struct error e;

	/* Where the first batch ends, 7 to 18 bytes are left of the block: a record's head and not
	 * all of a batch's. */
	for (size_t length = 32768 - 90; length < 32768 - 50; length++) {
		CLEANUP(fixture_release) struct fixture f = fixture_new(length);
		size_t end = 7 + (size_t)(f.bytes[4] | f.bytes[5] << 8);

		divided += f.bytes[6] == 1 && end + 7 < 32768 && end + 7 + 12 > 32768;
		ck_assert_msg(inspect(&f, true, &note, &e) == 0, "%zu: %s", length, e.text);
		ck_assert_uint_eq(note.len, 0);
		write_log(&f, f.size, 32768 * 3);
		ck_assert_int_eq(inspect(&f, true, &note, &e), -E_CORRUPT);
	}
	ck_assert_uint_eq(divided, 11);
}
END_TEST

START_TEST(a_log_that_follows_the_one_before_is_replayed)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf got = { 0 };
	struct error e;
	int r;

	split_log(&f, 12, 12);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 1);
	kv_close(kv);
}
END_TEST

/* As a start leaves it that was killed before its manifest: RocksDB begins the new log with a batch
 * that writes nothing. */
START_TEST(a_torn_log_may_be_followed_by_one_in_which_nothing_was_written)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf next = { 0 }, note = { 0 };
	char second[320];
	struct error e;

	snprintf(second, sizeof(second), "%s/999999.log", f.db);
	for (uint8_t count = 0; count < 2; count++) {
		/* Number and count, their lowest bytes first. */
		const uint8_t batch[12] = { [1] = 1, [8] = count };

		buf_clear(&next);
		wal_record(&next, view_of(batch, sizeof(batch)));
		write_log(&f, f.ends[WRITES - 2] + 30, SIZE_MAX);
		int fd = open(second, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		ck_assert_int_eq(write(fd, next.data, next.len), (ssize_t)next.len);
		close(fd);
		ck_assert_int_eq(inspect(&f, true, &note, &e), count ? -E_CORRUPT : 0);
		ck_assert_str_eq(buf_cstr(&note), "");
	}
}
END_TEST

START_TEST(a_log_that_is_missing_or_cut_between_two_records_is_noticed)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	struct error e;
	int r;

	write_log(&f, f.ends[WRITES - 2], SIZE_MAX);
	assert_refused(&f, "db/ lacks its last 1 changes");
	ck_assert_int_eq(unlink(f.log), 0);
	assert_refused(&f, "db/ lacks its last 20 changes");
	start_machine_anew(&f);
	assert_refused(&f, "db/ lacks its last 10 changes"); /* those that were synced */
	int fd = open(f.log, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	write_log(&f, f.ends[SYNCED - 1], SIZE_MAX);
	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	kv_close(kv);
	kv = open_db(f.db, &r, &e); /* closed as it should be */
	ck_assert_msg(r == 0, "%s", e.text);
	kv_close(kv);
}
END_TEST

START_TEST(a_log_that_is_no_longer_needed_may_be_damaged)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf got = { 0 };
	struct error e;
	int r;

	struct kv *kv = open_db(f.db, &r, &e); /* writes all of it to a table */
	ck_assert_int_eq(r, 0);
	kv_close(kv);
	int fd = open(f.log, O_WRONLY | O_CREAT, 0600); /* the disk brings it back, in part */
	ck_assert_int_ge(fd, 0);
	close(fd);
	write_log(&f, f.size, f.ends[3] + 20);
	kv = open_db(f.db, &r, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 1);
	ck_assert_str_eq(kv_opening_note(kv), "");
	kv_close(kv);
}
END_TEST

START_TEST(a_manifest_that_was_cut_is_noticed_before_tables_are_deleted)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	char path[400], name[64] = "";
	struct error e;
	int r;

	struct kv *kv = open_db(f.db, &r, &e);
	ck_assert_int_eq(r, 0);
	kv_close(kv);
	snprintf(path, sizeof(path), "%s/CURRENT", f.db);
	FILE *current = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(name, sizeof(name), current));
	fclose(current);
	name[strcspn(name, "\n")] = '\0';
	snprintf(path, sizeof(path), "%s/%s", f.db, name);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size / 2), 0);
	assert_refused(&f, "db/MANIFEST-");
}
END_TEST

START_TEST(random_logs_never_crash_the_inspection)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new(100);
	CLEANUP(buf_release) struct buf note = { 0 };
	uint64_t state = 4;
	uint8_t *sane = malloc(f.size);

	memcpy(sane, f.bytes, f.size);
	for (int i = 0; i < 300; i++) {
		memcpy(f.bytes, sane, f.size);
		for (uint64_t n = noise_below(&state, 50); n > 0; n--)
			f.bytes[noise_below(&state, f.size)] = (uint8_t)noise_next(&state);
		if (i % 10 == 0)
			noise_fill(f.bytes, f.size, noise_next(&state));
		write_log(&f, 1 + noise_below(&state, f.size), SIZE_MAX);
		int r = inspect(&f, i % 2, &note, NULL);
		ck_assert(r == 0 || r == -E_CORRUPT);
	}
	free(sane);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("wal");
	Suite *suite = suite_create("wal");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_log_of_a_killed_writer_is_whole);
	tcase_add_test(tc, a_log_cut_anywhere_opens_with_the_writes_before_the_cut);
	tcase_add_test(tc, any_changed_byte_is_damage_when_no_power_was_cut);
	tcase_add_test(tc,
		       after_a_power_cut_what_was_synced_must_be_there_and_the_rest_may_be_gone);
	tcase_add_test(tc, a_page_of_zeros_in_what_was_not_synced_is_cut_not_skipped);
	tcase_add_test(tc, records_over_several_blocks_are_inspected_too);
	tcase_add_test(tc, a_log_that_does_not_follow_the_one_before_is_not_replayed);
	tcase_add_test(tc, numbers_that_were_never_logged_are_not_missed);
	tcase_add_test(tc, the_numbers_of_a_batch_may_be_divided_between_two_blocks);
	tcase_add_test(tc, a_log_that_follows_the_one_before_is_replayed);
	tcase_add_test(tc, a_torn_log_may_be_followed_by_one_in_which_nothing_was_written);
	tcase_add_test(tc, a_log_that_is_missing_or_cut_between_two_records_is_noticed);
	tcase_add_test(tc, a_log_that_is_no_longer_needed_may_be_damaged);
	tcase_add_test(tc, a_manifest_that_was_cut_is_noticed_before_tables_are_deleted);
	tcase_add_test(tc, random_logs_never_crash_the_inspection);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
