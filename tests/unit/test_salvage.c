/* test_salvage.c - a store whose database was damaged in some way is a store again, and what it has
 * is what it had. */
#include <dirent.h>
#include <errno.h>

#include "store/internal.h"
#include "store/salvage.h"
#include "store/tag.h"
#include "store/verify.h"
#include "tree.h"

static char found[65536], lost[65536]; /* what verify, and salvage, say: one sentence a line */

static bool append(char *to, size_t size, const char *sentence)
{
	size_t n = strlen(to);

	snprintf(to + n, size - n, "%s\n", sentence);
	return true;
}

static bool keep_found(void *arg, const char *sentence)
{
	(void)arg;
	return append(found, sizeof(found), sentence);
}

static bool keep_lost(void *arg, const char *sentence)
{
	(void)arg;
	return append(lost, sizeof(lost), sentence);
}

static struct verify_report verify(void)
{
	struct verify_options options = { .read_contents = true, .known = keep_lost };
	struct verify_report report;
	struct error e = { 0 };

	found[0] = '\0';
	int r = verify_store(tree_store, &options, keep_found, NULL, NULL, &report, &e);
	ck_assert_msg(r == 0 || r == -E_FAILED_VERIFY, "%s", e.text);
	return report;
}

/* --- a store that has had a life ------------------------------------------ */

static char good[80];    /* a copy of it, as a daemon that was killed leaves it */
static uint64_t changes; /* in its log */

#define TEXT 2500
#define shell(...) \
	do { \
		char command_[2048]; \
		snprintf(command_, sizeof(command_), __VA_ARGS__); \
		ck_assert_msg(system(command_) == 0, "%s", command_); \
	} while (0)

/* Bytes that say whose they are and do not pack away. */
static const char *text_of(unsigned n)
{
	static char text[TEXT + 1];
	uint64_t state = n + 1;

	for (size_t i = 0; i < TEXT; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		text[i] = (char)('!' + (state >> 58));
	}
	return text;
}

static void live_a_while(unsigned from, unsigned to)
{
	static uint64_t directories[4];
	char name[40], other[40];

	for (unsigned i = from; i < to; i++) {
		unsigned at = i % 4;

		snprintf(name, sizeof(name), "dir%u", at);
		if (i < 4)
			directories[at] = tree_make(&anna, i == 3 ? directories[0] : ROOT_INODE,
						    name, S_IFDIR | 0755);
		snprintf(name, sizeof(name), "file%u", i % 30);
		if (tree_has(directories[at], name))
			tree_save(i % 3 ? &anna : &ben, tree_ino(directories[at], name),
				  text_of(i));
		else
			tree_write(&anna, directories[at], name, text_of(i));
		snprintf(other, sizeof(other), "name%u", i);
		if (i % 40 == 0) {
			struct inode *inode = NULL;

			ck_ok(namespace_link(tree_store, &anna, tree_ino(directories[at], name),
					     ROOT_INODE, view_str(other), &inode, e));
			inode_put(inode);
		} else if (i % 7 == 3) {
			tree_rename(&ben, directories[at], name, other);
		} else if (i % 11 == 5) {
			tree_unlink(&anna, directories[at], name);
		}
		if (i % 50 == 21 && !tree_has(directories[at], other)) {
			struct make make = { .mode = S_IFLNK | 0777,
					     .target = view_str("../somewhere") };
			struct inode *inode = NULL;
			uint64_t made;

			ck_ok(namespace_make(tree_store, &ben, directories[at], view_str(other),
					     &make, &inode, e));
			inode_put(inode);
			ck_ok(tag_set(tree_store, &anna, directories[at], view_str(name), &made,
				      e));
		}
	}
}

/* Several tables, and two hundred changes that are only in a log. */
static void make_good(void)
{
	int64_t time;

	tree_setup();
	live_a_while(0, 90);
	ck_ok(kv_flush(tree_store->kv, e));
	usleep(1100000); /* the index of times has something */
	live_a_while(90, 170);
	ck_ok(kv_flush(tree_store->kv, e));
	live_a_while(170, 260);
	store_head(tree_store, &changes, &time);
	snprintf(good, sizeof(good), "%s.good", tree_path);
	shell("cp -a %s %s", tree_path, good);
	store_close(tree_store);
	tree_store = NULL;
}

static void take_good(void)
{
	shell("rm -rf %s && cp -a %s %s", tree_path, good, tree_path);
}

static void clean_up(void)
{
	shell("rm -rf %s %s.* %s", good, good, tree_path);
}

/* --- what is the same as it was ------------------------------------------- */

static struct store *open_copy(const char *suffix)
{
	struct store *store = NULL;
	char path[120];

	snprintf(path, sizeof(path), "%s%s", good, suffix);
	shell("rm -rf %s && cp -a %s %s", path, good, path);
	ck_ok(store_open(path, NULL, &store, e));
	return store;
}

/* Compares every log record, and the bytes of every version that is not lost, with what they were;
 * *ret counts. */
static void compare(struct store *was, uint64_t *ret_versions, uint64_t *ret_records)
{
	CLEANUP(buf_release) struct buf there = { 0 }, a = { 0 }, b = { 0 };
	struct view key, value;
	struct kv_iter *it = kv_iter_open(was->kv, NULL, FAMILY_LOG, view_of(NULL, 0), false);

	for (*ret_records = 0; kv_iter_next(it, &key, &value, NULL) > 0;) {
		if (kv_get(tree_store->kv, NULL, FAMILY_LOG, key, &there, NULL) <= 0)
			continue;
		ck_assert(view_equal(value, buf_view(&there)));
		++*ret_records;
	}
	kv_iter_close(it);
	it = kv_iter_open(was->kv, NULL, FAMILY_VERSION, view_of(NULL, 0), false);
	for (*ret_versions = 0; kv_iter_next(it, &key, &value, NULL) > 0;) {
		struct version_record v, w;
		char bytes[TEXT], other[TEXT];

		ck_ok(version_decode(&v, value, e));
		if (kv_get(tree_store->kv, NULL, FAMILY_VERSION, key, &there, NULL) <= 0)
			continue;
		ck_ok(version_decode(&w, buf_view(&there), e));
		if (w.flags & VERSION_LOST)
			continue;
		ck_assert(memcmp(v.digest.bytes, w.digest.bytes, DIGEST_LEN) == 0);
		ck_assert_uint_eq(v.size, w.size);
		ck_assert_int_eq(content_read(was->contents, v.content, 0, bytes, TEXT, NULL),
				 (int)v.size);
		ck_assert_int_eq(
			content_read(tree_store->contents, w.content, 0, other, TEXT, NULL),
			(int)v.size);
		ck_assert(memcmp(bytes, other, v.size) == 0);
		++*ret_versions;
	}
	kv_iter_close(it);
}

/* Every name that was live leads to something of its kind. */
static uint64_t missing_names(struct store *was)
{
	struct kv_iter *it = kv_iter_open(was->kv, NULL, FAMILY_DIRENT, view_of(NULL, 0), false);
	CLEANUP(buf_release) struct buf there = { 0 };
	struct view key, value;
	uint64_t missing = 0;

	while (kv_iter_next(it, &key, &value, NULL) > 0)
		missing += kv_get(tree_store->kv, NULL, FAMILY_DIRENT, key, &there, NULL) <= 0;
	kv_iter_close(it);
	return missing;
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	ck_assert_uint_le(done, total);
	return true;
}

static struct salvage_report salvage(void)
{
	struct salvage_listener listener = { .lost = keep_lost, .progress = go_on };
	struct salvage_report report;

	lost[0] = '\0';
	ck_ok(salvage_store(tree_path, &anna, &listener, &report, e));
	tree_open();
	return report;
}

struct outcome {
	uint64_t versions, records, missing_names;
	struct salvage_report report;
	uint64_t told; /* by verify, as known */
};

/* Salvages what stands at tree_path; all must be well then, and stay so when saves go on. */
static struct outcome outcome(const char *what)
{
	struct outcome o = { .report = salvage() };
	struct store *was = open_copy(".was");
	struct verify_report report = verify();

	ck_assert_msg(report.damaged == 0, "%s:\n%.2000s\nlost:\n%.2000s", what, found, lost);
	o.told = report.lost;
	compare(was, &o.versions, &o.records);
	o.missing_names = missing_names(was);
	store_close(was);
	uint64_t head, before;
	int64_t time;
	store_head(tree_store, &before, &time);
	uint64_t directory = tree_make(&ben, ROOT_INODE, "afterwards", S_IFDIR | 0755);
	uint64_t file = tree_write(&ben, directory, "new", "after the repair");
	tree_save(&anna, file, text_of(3)); /* bytes that may be there, or lost */
	store_head(tree_store, &head, &time);
	ck_assert_uint_ge(before, changes);
	ck_assert_uint_gt(head, before);
	tree_reopen();
	ck_assert_str_eq(tree_text(tree_doc(directory, "new"), 2), text_of(3));
	report = verify();
	ck_assert_msg(report.damaged == 0, "%s, afterwards:\n%.3000s", what, found);
	store_close(tree_store);
	tree_store = NULL;
	return o;
}

static void expect_everything(const char *what, struct outcome o)
{
	struct store *was = open_copy(".was");
	uint64_t versions, records;

	tree_open();
	compare(was, &versions, &records);
	store_close(was);
	store_close(tree_store);
	tree_store = NULL;
	ck_assert_msg(!o.report.versions && !o.report.changes && !o.report.sentences && !o.told &&
			      !o.missing_names,
		      "%s: %.2000s", what, lost);
	ck_assert_uint_eq(o.records, changes);
}

/* --- tests ---------------------------------------------------------------- */

/* The names of the database's files that end so, at most 20. */
static size_t files(const char *ending, char names[20][64])
{
	CLEANUP(buf_release) struct buf path = { 0 };
	struct dirent *entry;
	size_t n = 0;

	buf_printf(&path, "%s/db", good);
	DIR *directory = opendir(buf_cstr(&path));
	while (n < 20 && (entry = readdir(directory))) {
		size_t len = strlen(entry->d_name), end = strlen(ending);

		if (len > end && strcmp(entry->d_name + len - end, ending) == 0)
			snprintf(names[n++], 64, "%.60s", entry->d_name);
	}
	closedir(directory);
	ck_assert_uint_gt(n, 0);
	return n;
}

/* Writes over some bytes at so many eighths of a file of the database. */
static void spoil(const char *name, unsigned eighths)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/db/%s", tree_path, name);
	int fd = open(path, O_RDWR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(
		pwrite(fd, "\x5a\xa5\x5a\xa5\x5a\xa5\x5a\xa5", 8, st.st_size * eighths / 8), 8);
	close(fd);
}

static void refuses_to_open(void)
{
	struct store *store = NULL;

	ck_fails(store_open(tree_path, NULL, &store, e), E_CORRUPT);
}

START_TEST(a_database_without_its_manifest_loses_nothing)
{
	make_good();
	take_good();
	shell("rm %s/db/MANIFEST-*", tree_path);
	refuses_to_open();
	expect_everything("no manifest", outcome("no manifest"));
	take_good();
	shell("echo nonsense >%s/db/CURRENT", tree_path);
	refuses_to_open();
	expect_everything("CURRENT", outcome("CURRENT"));
	take_good();
	shell("rm %s/db/CURRENT", tree_path);
	refuses_to_open();
	expect_everything("no CURRENT", outcome("no CURRENT"));
	clean_up();
}
END_TEST

START_TEST(a_table_that_is_gone_takes_only_what_was_in_it)
{
	char names[20][64], kept[160];

	make_good();
	size_t n = files(".sst", names);
	ck_assert_uint_ge(n, 4);
	for (size_t i = 0; i < n; i++) {
		take_good();
		shell("rm %s/db/%s", tree_path, names[i]);
		refuses_to_open();
		struct outcome o = outcome(names[i]);
		ck_assert_uint_gt(o.versions + o.report.versions, 100);
		snprintf(kept, sizeof(kept), "%s/%s/CURRENT", tree_path, o.report.kept);
		ck_assert_int_eq(access(kept, F_OK), 0);
		take_good();
		shell("truncate -s 2000 %s/db/%s", tree_path, names[i]);
		o = outcome(names[i]);
		ck_assert_uint_gt(o.versions + o.report.versions, 100);
	}
	clean_up();
}
END_TEST

START_TEST(of_a_damaged_table_the_rest_is_read)
{
	char names[20][64];

	make_good();
	size_t n = files(".sst", names);
	for (size_t i = 0; i < n; i++) {
		for (unsigned eighths = 0; eighths < 8; eighths += 2) {
			take_good();
			spoil(names[i], eighths);
			struct outcome o = outcome(names[i]);
			ck_assert_uint_gt(o.versions, 100);
			ck_assert_msg(strstr(lost, names[i]), "%s: %.2000s", names[i], lost);
		}
	}
	clean_up();
}
END_TEST

START_TEST(a_log_damaged_in_the_middle_is_read_on_behind_it)
{
	char names[20][64];

	make_good();
	size_t n = files(".log", names), damaged = 0;
	for (size_t i = 0; i < n; i++) {
		char path[1500];
		struct stat st;

		snprintf(path, sizeof(path), "%s/db/%s", good, names[i]);
		if (stat(path, &st) < 0 || st.st_size < 65536)
			continue;
		damaged++;
		take_good();
		spoil(names[i], 4);
		refuses_to_open();
		struct outcome o = outcome("a log");
		ck_assert_uint_gt(o.report.changes, 0);
		ck_assert_uint_lt(o.report.changes, 60);
		ck_assert_uint_eq(o.records + o.report.changes, changes);
		ck_assert_msg(strstr(lost, "its chain was broken at change"), "%s", lost);
		take_good();
		shell("rm %s/db/%s", tree_path, names[i]);
		refuses_to_open();
		o = outcome("no log");
		ck_assert_uint_ge(o.records + o.report.changes, changes);
		ck_assert_msg(strstr(lost, "its chain was broken at change"), "%s", lost);
	}
	ck_assert_uint_ge(damaged, 1);
	clean_up();
}
END_TEST

static void drop_record(uint64_t change)
{
	struct kv_batch batch = { 0 };
	struct key key = key_number(change);

	kv_batch_delete(&batch, FAMILY_LOG, key_view(&key));
	ck_ok(kv_write(tree_store->kv, &batch, e));
	kv_batch_release(&batch);
}

START_TEST(only_gaps_that_a_repair_named_are_excused)
{
	char names[20][64];

	make_good();
	take_good();
	files(".sst", names);
	shell("rm %s/db/*.log", tree_path);
	salvage();
	ck_assert_uint_eq(verify().damaged, 0);
	drop_record(7);
	ck_assert_uint_gt(verify().damaged, 0);
	ck_assert_ptr_nonnull(strstr(found, "change 7 is missing"));
	store_close(tree_store);
	tree_store = NULL;
	/* Salvaged again, that gap has its name too, and the one before keeps its own. */
	salvage();
	struct verify_report report = verify();
	ck_assert_msg(report.damaged == 0, "%s", found);
	ck_assert_uint_eq(report.lost, 2);
	/* The record that names it is held by the chain. */
	store_close(tree_store);
	tree_store = NULL;
	clean_up();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("salvage");
	TCase *tests = tcase_create("salvage");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 240);
	tcase_add_test(tests, a_database_without_its_manifest_loses_nothing);
	tcase_add_test(tests, a_log_damaged_in_the_middle_is_read_on_behind_it);
	tcase_add_test(tests, only_gaps_that_a_repair_named_are_excused);
	tcase_add_test(tests, a_table_that_is_gone_takes_only_what_was_in_it);
	tcase_add_test(tests, of_a_damaged_table_the_rest_is_read);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
