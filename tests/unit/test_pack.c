/* test_pack.c - packed versions read as they were saved, whatever happens while they are packed. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "archive.h"
#include "noise.h"
#include "store/pack.h"
#include "store/verify.h"
#include "tree.h"

#define LINES 120

static struct pack_report report;

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

static int pack_with(bool all, bool dry_run, struct error *e)
{
	struct pack_options options = {
		.age_ns = -1, .all = all, .dry_run = dry_run, .pause = go_on
	};

	return pack_run(tree_store, &options, &report, e);
}

static bool tell(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "# %s\n", sentence);
	return true;
}

static uint64_t ck_clean(void)
{
	struct verify_report found;

	ck_ok(verify_store(tree_store, &(struct verify_options){ .read_contents = true }, tell,
			   NULL, NULL, &found, e));
	return found.chunks;
}

/* The text of a table whose lines 0..n were each edited once: 3.5 KiB. */
static const char *table(unsigned document, unsigned n)
{
	static _Thread_local char text[4096];
	size_t at = 0;

	for (unsigned i = 0; i < LINES; i++) {
		unsigned edits = n / LINES + (i < n % LINES);
		uint64_t state = document * 1000000ull + i * 1000ull + edits;

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%u;%u;%llu\n", document, i,
				       (unsigned long long)noise_next(&state));
	}
	ck_assert_uint_lt(at + 1, sizeof(text));
	return text;
}

static void save_more(uint64_t ino, unsigned document, unsigned from, unsigned until)
{
	for (unsigned n = from; n < until; n++)
		tree_save(&anna, ino, table(document, n));
}

static void ck_versions(uint64_t doc, unsigned document, unsigned count)
{
	for (unsigned n = 0; n < count; n++)
		ck_assert_str_eq(tree_text(doc, n + 1), table(document, n));
}

START_TEST(all_versions_but_the_newest_are_packed_and_read_as_they_were_saved)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0)),
		 doc = tree_doc(ROOT_INODE, "a.csv");

	save_more(ino, 1, 1, 600);
	uint64_t before = ck_clean();
	ck_ok(pack_with(true, false, e));
	ck_assert_uint_ge(report.packed, 590); /* those against nothing may gain nothing */
	ck_assert_uint_lt(report.after, report.bytes / 10);
	ck_assert_uint_gt(report.removed, 500);
	ck_assert_uint_lt(ck_clean(), before - 500);
	ck_versions(doc, 1, 600);
	tree_reopen();
	ck_versions(doc, 1, 600);
	ck_ok(pack_with(true, false, e));
	ck_assert_uint_eq(report.packed, 0);
}
END_TEST

/* What the database takes on the disk. */
static uint64_t disk_bytes(void)
{
	char command[128], line[64] = "";

	snprintf(command, sizeof(command), "cat %s/db/*.sst | wc -c", tree_path);
	FILE *out = popen(command, "r");
	ck_assert_ptr_nonnull(out);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), out));
	pclose(out);
	return strtoull(line, NULL, 10);
}

START_TEST(what_was_packed_gives_its_room_on_the_disk_back)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0));

	save_more(ino, 1, 1, 600);
	tree_reopen();
	uint64_t before = disk_bytes();
	ck_ok(pack_with(true, false, e));
	ck_assert_uint_lt(report.after, report.before / 10);
	tree_reopen();
	ck_assert_uint_lt(disk_bytes(), before / 3);
}
END_TEST

START_TEST(packing_after_every_few_saves_comes_to_the_same)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0)),
		 doc = tree_doc(ROOT_INODE, "a.csv");
	uint64_t state = 1;

	for (unsigned n = 1; n < 300;) {
		unsigned more = (unsigned)noise_below(&state, 9);

		more = more > 300 - n ? 300 - n : more;
		save_more(ino, 1, n, n + more);
		n += more;
		ck_ok(pack_with(false, false, e));
	}
	ck_versions(doc, 1, 300);
	ck_clean();
}
END_TEST

/* A workbook whose stream is zlib's level 6 for long, and then another: what it is at its beginning
 * it is not.  For buf_release. */
static struct buf turning_book(unsigned edits)
{
	CLEANUP(buf_release)
	struct buf sheet = archive_sheet(5 << 20, 3), stream = { 0 }, directory = { 0 };
	struct buf zip = { 0 };
	z_stream z = { .next_in = sheet.data };

	sheet.data[3 << 20] = (uint8_t)('a' + edits);
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.avail_out = 5 << 20;
	z.next_out = buf_grow(&stream, 5 << 20);
	z.avail_in = 4 << 20;
	deflate(&z, Z_NO_FLUSH);
	deflateParams(&z, 4, Z_DEFAULT_STRATEGY);
	z.avail_in = (uInt)(sheet.len - (4 << 20));
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	stream.len -= z.avail_out;
	deflateEnd(&z);
	archive_add(&zip, &directory, buf_view(&stream), sheet.len,
		    (struct archive_entry){ .method = 8 });
	archive_end(&zip, &directory, 1);
	return zip;
}

static void save_bytes(uint64_t ino, struct view bytes)
{
	int fd = memfd_create("work", MFD_CLOEXEC);
	struct extent extent = { 0, bytes.len, EXTENT_STAGED, 0, 0 };
	struct work work = { &extent, 1, bytes.len, fd };
	struct save save = { .work = &work };
	struct saved saved;

	ck_assert_int_eq(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
	ck_ok(version_save(tree_store, &anna, ino, &save, &saved, e));
	close(fd);
}

static void ck_bytes(uint64_t doc, uint64_t number, struct view bytes)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, read = { 0 };
	struct version_record v;

	ck_ok(version_get(tree_store, doc, number, &v, &memory, e));
	ck_assert_uint_eq(v.size, bytes.len);
	void *to = buf_grow(&read, bytes.len);
	int n = 0;

	ck_ok(n = content_read(store_contents(tree_store), v.content, 0, to, bytes.len, e));
	ck_assert_int_eq(n, (int)bytes.len);
	ck_assert(view_equal(buf_view(&read), bytes));
}

START_TEST(a_recipe_that_only_begins_right_is_not_taken)
{
	uint64_t ino = tree_make(&anna, ROOT_INODE, "a.xlsx", S_IFREG | 0644);

	for (unsigned n = 0; n < 5; n++) {
		CLEANUP(buf_release) struct buf book = turning_book(n);

		ck_assert_uint_gt(book.len, 500 << 10);
		save_bytes(ino, buf_view(&book));
	}
	uint64_t doc = tree_doc(ROOT_INODE, "a.xlsx"), head = tree_head(doc);
	ck_ok(pack_with(true, false, e));
	ck_assert_uint_ge(report.packed, 4);
	ck_assert_uint_lt(report.after, report.bytes / 100);
	for (unsigned n = 0; n < 5; n++) {
		CLEANUP(buf_release) struct buf book = turning_book(n);

		ck_bytes(doc, head - 4 + n, buf_view(&book));
	}
	ck_clean();
}
END_TEST

START_TEST(a_dry_run_writes_nothing)
{
	struct packing_record facts;
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0));

	save_more(ino, 1, 1, 40);
	uint64_t before = ck_clean();
	ck_ok(pack_with(true, true, e));
	ck_assert_uint_eq(report.packed, 39);
	ck_assert_uint_eq(ck_clean(), before);
	ck_ok(pack_facts(tree_store, &facts, e));
	ck_assert_uint_eq(facts.segments, 0);
}
END_TEST

START_TEST(young_versions_stay)
{
	struct pack_options options = { .age_ns = 3600000000000ll, .pause = go_on };
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0));

	save_more(ino, 1, 1, 10);
	ck_ok(pack_run(tree_store, &options, &report, e));
	ck_assert_uint_eq(report.packed, 0);
}
END_TEST

START_TEST(bytes_whose_chunks_were_removed_can_be_saved_and_restored_again)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0)),
		 doc = tree_doc(ROOT_INODE, "a.csv");
	struct saved saved;

	save_more(ino, 1, 1, 30);
	ck_ok(pack_with(true, false, e));
	tree_save(&anna, ino, table(1, 3));
	ck_ok(version_restore(tree_store, &anna, ino, doc, 8, &saved, e));
	ck_assert_str_eq(tree_text(doc, tree_head(doc)), table(1, 7));
	tree_write(&ben, ROOT_INODE, "b.csv", table(1, 5));
	ck_clean();
	ck_ok(pack_with(true, false, e));
	ck_versions(doc, 1, 30);
	ck_assert_str_eq(tree_text(doc, 31), table(1, 3));
	ck_assert_str_eq(tree_text(doc, 32), table(1, 7));
	ck_assert_str_eq(tree_text(tree_doc(ROOT_INODE, "b.csv"), 1), table(1, 5));
	ck_clean();
}
END_TEST

START_TEST(a_failure_at_any_point_leaves_every_version_readable)
{
	uint64_t ino = tree_write(&anna, ROOT_INODE, "a.csv", table(1, 0)),
		 doc = tree_doc(ROOT_INODE, "a.csv");
	struct error why = { 0 };
	unsigned saved = 1;

	for (unsigned n = 1; n < 400; n += n < 25 ? 1 : 13) {
		save_more(ino, 1, saved, saved + 3);
		saved += 3;
		kv_fail_nth(n, -E_NO_SPACE);
		int r = pack_with(true, false, &why);
		kv_fail_nth(0, 0);
		ck_assert_msg(r == 0 || r == -E_NO_SPACE, "%s", why.text);
		if (n % 7 == 0) {
			ck_clean();
			ck_versions(doc, 1, saved);
		}
	}
	ck_ok(pack_with(true, false, e));
	ck_versions(doc, 1, saved);
	ck_clean();
}
END_TEST

#define WRITERS 3
#define SAVES 120

static atomic_uint working;

/* Saves two documents in turn, one of them the bytes that another writer saves too or saved long
 * ago. */
static void *write_on(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t state = me;
	char name[16];

	snprintf(name, sizeof(name), "w%u", me);
	uint64_t ino = tree_ino(ROOT_INODE, name);
	for (unsigned n = 0; n < SAVES; n++)
		tree_save(&anna, ino, table(9, (unsigned)noise_below(&state, 40)));
	working--;
	return NULL;
}

START_TEST(saves_beside_packing_and_sweeping_lose_nothing)
{
	pthread_t threads[WRITERS];
	char name[16];

	working = WRITERS;
	for (unsigned i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "w%u", i);
		tree_write(&anna, ROOT_INODE, name, "new");
	}
	for (unsigned i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_on, (void *)(uintptr_t)i),
				 0);
	while (working)
		ck_ok(pack_with(true, false, e));
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	ck_clean();
	ck_ok(pack_with(true, false, e));
	ck_clean();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pack");
	Suite *suite = suite_create("pack");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, tree_setup, tree_teardown);
	tcase_add_test(tc, all_versions_but_the_newest_are_packed_and_read_as_they_were_saved);
	tcase_add_test(tc, what_was_packed_gives_its_room_on_the_disk_back);
	tcase_add_test(tc, packing_after_every_few_saves_comes_to_the_same);
	tcase_add_test(tc, a_recipe_that_only_begins_right_is_not_taken);
	tcase_add_test(tc, a_dry_run_writes_nothing);
	tcase_add_test(tc, young_versions_stay);
	tcase_add_test(tc, bytes_whose_chunks_were_removed_can_be_saved_and_restored_again);
	tcase_add_test(tc, a_failure_at_any_point_leaves_every_version_readable);
	tcase_add_test(tc, saves_beside_packing_and_sweeping_lose_nothing);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
