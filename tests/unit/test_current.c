/* The file CURRENT: a power cut between the manifest's name and it harms nothing. */
#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "store/kv.h"
#include "store/wal.h"

static char *directory, db[256];

static struct kv *open_db(int *ret, struct error *e)
{
	struct kv_options options = { .create = true, .cache_bytes = 8 << 20 };
	struct kv *kv = NULL;

	*ret = kv_open(db, &options, &kv, e);
	return kv;
}

static void put(const char *word)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct error e;
	int r;
	struct kv *kv = open_db(&r, &e);

	ck_assert_msg(r == 0, "%s", e.text);
	kv_batch_put(&batch, FAMILY_META, view_str(word), view_str("there"));
	ck_assert_int_eq(kv_write(kv, &batch, NULL), 0);
	kv_close(kv);
}

/* A process that opens the database, writes, and is killed. */
static void put_and_die(const char *word)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	pid_t child = fork();
	int r;

	if (child == 0) {
		struct kv *kv = open_db(&r, NULL);

		if (word)
			kv_batch_put(&batch, FAMILY_META, view_str(word), view_str("there"));
		_exit(r < 0 || kv_write(kv, &batch, NULL) < 0);
	}
	ck_assert_int_eq(waitpid(child, &r, 0), child);
	ck_assert_int_eq(r, 0);
}

static void expect(const char *word)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct error e;
	int r;
	struct kv *kv = open_db(&r, &e);

	ck_assert_msg(r == 0, "%s", e.text);
	ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_str(word), &value, NULL), 1);
	kv_close(kv);
}

static void setup(void)
{
	directory = scratch_new();
	snprintf(db, sizeof(db), "%s/db", directory);
	put("first");
	put("second");
}

static void teardown(void)
{
	scratch_release(&directory);
}

/* What CURRENT names, with its path. */
static const char *manifest(void)
{
	static char path[400];
	char name[64] = "", current[300];

	snprintf(current, sizeof(current), "%s/CURRENT", db);
	FILE *f = fopen(current, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(name, sizeof(name), f));
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
	snprintf(path, sizeof(path), "%s/%s", db, name);
	return path;
}

/* What a power cut makes of it. */
static void set_current(const char *name)
{
	char current[300];

	snprintf(current, sizeof(current), "%s/CURRENT", db);
	FILE *f = fopen(current, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", name);
	fclose(f);
}

static void __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
	char command[1200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* As seen from boot.c. */
static void start_machine_anew(void)
{
	setenv("CRASH_BOOT", "77", 1);
}

static size_t count(const char *pattern)
{
	char path[400];
	glob_t found;

	snprintf(path, sizeof(path), "%s/%s", db, pattern);
	size_t n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

static void expect_refusal(void)
{
	struct error e;
	int r;

	open_db(&r, &e);
	ck_assert_int_eq(r, -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "db/MANIFEST-000900 is missing"));
	ck_assert_ptr_nonnull(strstr(manifest(), "MANIFEST-000900"));
}

START_TEST(the_manifest_before_is_taken_where_the_new_ones_name_did_not_reach_the_disk)
{
	set_current("MANIFEST-000900");
	expect_refusal(); /* the machine was not started anew: somebody removed it */
	start_machine_anew();
	expect("second");
	ck_assert_int_eq(access(manifest(), F_OK), 0);
	put("third");
	expect("second");
	expect("third");
}
END_TEST

START_TEST(the_manifest_before_is_taken_where_a_table_did_not_reach_the_disk)
{
	put_and_die("third");
	shell("cp -r '%s' '%s/before'", db, directory);
	put_and_die(NULL); /* replays the log into a new table, which a new manifest names */
	shell("cp '%s' '%s/before'", manifest(), directory);
	shell("cp '%s/CURRENT' '%s/before'", db, directory);
	shell("rm -r '%s' && mv '%s/before' '%s'", db, directory, db);
	start_machine_anew();
	expect("first");
	expect("third");
}
END_TEST

START_TEST(a_reader_changes_nothing)
{
	struct kv_options options = { .read_only = true };
	struct kv *kv;
	struct error e;

	set_current("MANIFEST-000900");
	start_machine_anew();
	ck_assert_int_eq(kv_open(db, &options, &kv, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(manifest(), "MANIFEST-000900"));
}
END_TEST

/* Had it been there when the database was closed, no power cut took it. */
START_TEST(a_manifest_that_was_removed_is_missing)
{
	char old[400], removed[400];
	struct error e;
	int r;

	snprintf(old, sizeof(old), "%s/MANIFEST-000001", db);
	snprintf(removed, sizeof(removed), "%s", manifest());
	shell("cp '%s' '%s'", removed, old);
	ck_assert_int_eq(unlink(removed), 0);
	start_machine_anew();
	open_db(&r, &e);
	ck_assert_int_eq(r, -E_CORRUPT);
	ck_assert_str_eq(manifest(), removed);
}
END_TEST

START_TEST(without_any_other_it_is_missing)
{
	ck_assert_int_eq(unlink(manifest()), 0);
	set_current("MANIFEST-000900");
	expect_refusal();
}
END_TEST

START_TEST(one_that_CURRENT_never_named_is_not_taken)
{
	char stale[400];

	snprintf(stale, sizeof(stale), "%s/MANIFEST-000800", db);
	shell("cp '%s' '%s'", manifest(), stale);
	ck_assert_int_eq(truncate(stale, 20), 0);
	expect("second"); /* what a start left that did not come to its end is removed */
	ck_assert_int_eq(access(stale, F_OK), -1);
	ck_assert_uint_eq(count("MANIFEST-*"), 1);
	set_current("MANIFEST-000900");
	start_machine_anew();
	expect("second");
}
END_TEST

static off_t manifest_size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(manifest(), &st), 0);
	return st.st_size;
}

/* An entry whose sum is another, and perhaps a good one behind it. */
static void tear_manifest(bool more)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };
	char entry[100] = "whatever";

	wal_record(&bytes, view_of(entry, sizeof(entry)));
	bytes.data[60] ^= 1;
	if (more)
		wal_record(&bytes, view_of(entry, sizeof(entry)));
	int fd = open(manifest(), O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
	close(fd);
}

static void expect_damage(void)
{
	off_t size = manifest_size();
	struct error e;
	int r;

	open_db(&r, &e);
	ck_assert_int_eq(r, -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "is damaged"));
	ck_assert_int_eq(manifest_size(), size);
}

START_TEST(an_entry_of_which_a_power_cut_left_part_is_cut_off)
{
	put_and_die("third");
	tear_manifest(false);
	expect_damage(); /* no power was cut */
	start_machine_anew();
	expect("third");
	expect("first");
}
END_TEST

START_TEST(an_entry_that_is_damaged_before_others_is_not_cut_off)
{
	put_and_die("third");
	tear_manifest(true);
	start_machine_anew();
	expect_damage();
}
END_TEST

START_TEST(an_entry_that_is_damaged_after_the_database_was_closed_is_not_cut_off)
{
	tear_manifest(false);
	start_machine_anew();
	expect_damage();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("current");
	TCase *tc = tcase_create("current");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc,
		       the_manifest_before_is_taken_where_the_new_ones_name_did_not_reach_the_disk);
	tcase_add_test(tc, the_manifest_before_is_taken_where_a_table_did_not_reach_the_disk);
	tcase_add_test(tc, a_reader_changes_nothing);
	tcase_add_test(tc, a_manifest_that_was_removed_is_missing);
	tcase_add_test(tc, without_any_other_it_is_missing);
	tcase_add_test(tc, one_that_CURRENT_never_named_is_not_taken);
	tcase_add_test(tc, an_entry_of_which_a_power_cut_left_part_is_cut_off);
	tcase_add_test(tc, an_entry_that_is_damaged_before_others_is_not_cut_off);
	tcase_add_test(tc, an_entry_that_is_damaged_after_the_database_was_closed_is_not_cut_off);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
