/* test_verify.c - a clean store is clean, and each kind of damage is found and named. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/clock.h"
#include "store/internal.h"
#include "store/manifest.h"
#include "store/tag.h"
#include "store/verify.h"
#include "tree.h"

static char found[8192]; /* the findings, one a line */
static struct verify_report report;

static bool keep(void *arg, const char *sentence)
{
	(void)arg;
	if (strlen(found) + strlen(sentence) + 2 < sizeof(found)) {
		strcat(found, sentence);
		strcat(found, "\n");
	}
	return true;
}

static int verify(bool read_contents)
{
	struct error e = { 0 };

	found[0] = '\0';
	int r = verify_store(tree_store, &(struct verify_options){ .read_contents = read_contents },
			     keep, NULL, NULL, &report, &e);
	ck_assert_msg(r == 0 || r == -E_FAILED_VERIFY, "%s", e.text);
	ck_assert_int_eq(r == 0, report.damaged == 0);
	return r;
}

#define ck_clean() \
	do { \
		verify(true); \
		ck_assert_msg(report.damaged == 0, "%s", found); \
	} while (0)
#define ck_finds(sentence) \
	do { \
		verify(true); \
		ck_assert_msg(report.damaged > 0 && strstr(found, sentence), "wanted \"%s\", found:\n%s", sentence, found); \
	} while (0)

/* --- a store with something of everything --------------------------------- */

static uint64_t dept, file, doc;

static void fill(void)
{
	uint64_t made;

	tree_setup();
	dept = tree_make(&anna, ROOT_INODE, "dept", S_IFDIR | 0755);
	file = tree_write(&anna, dept, "budget.xlsx", "one");
	tree_save(&ben, file, "two");
	tree_save(&anna, file, "three");
	doc = tree_doc(dept, "budget.xlsx");
	tree_write(&ben, dept, "gone", "soon");
	tree_unlink(&ben, dept, "gone");
	tree_write(&anna, dept, "moved", "here");
	tree_rename(&anna, dept, "moved", "away");
	tree_write(&anna, dept, "twice", "linked");
	struct inode *inode = NULL;
	ck_ok(namespace_link(tree_store, &anna, tree_ino(dept, "twice"), ROOT_INODE,
			     view_str("again"), &inode, e));
	inode_put(inode);
	tree_make(&anna, dept, "below", S_IFDIR | 0755);
	tree_make(&anna, dept, "pipe", S_IFIFO | 0644);
	ck_ok(tag_set(tree_store, &anna, dept, view_str("Q1 close"), &made, e));
}

static void put(enum family family, struct key key, struct view value)
{
	struct kv_batch batch = { 0 };

	kv_batch_put(&batch, family, key_view(&key), value);
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	kv_batch_release(&batch);
}

static void drop(enum family family, struct key key)
{
	struct kv_batch batch = { 0 };

	kv_batch_delete(&batch, family, key_view(&key));
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	kv_batch_release(&batch);
}

static void get(enum family family, struct key key, struct buf *value)
{
	int r = kv_get(store_kv(tree_store), NULL, family, key_view(&key), value, NULL);

	ck_assert_int_eq(r, 1);
}

static struct key name_key(uint64_t parent, const char *name)
{
	return key_name(parent, store_cookie(tree_store, view_str(name)), view_str(name));
}

/* Changes one record: decodes the value into r, runs the statement, writes it back. */
#define EDIT(record, family, key, statement) \
	do { \
		CLEANUP(buf_release) struct buf value_ = { 0 }, edited_ = { 0 }; \
		struct record##_record r; \
		get(family, key, &value_); \
		ck_ok(record##_decode(&r, buf_view(&value_), e)); \
		statement; \
		record##_encode(&edited_, &r); \
		put(family, key, buf_view(&edited_)); \
	} while (0)

/* --- tests ---------------------------------------------------------------- */

START_TEST(a_new_store_is_clean)
{
	tree_setup();
	ck_clean();
	ck_assert_uint_eq(report.changes, 1);
	ck_assert_uint_eq(report.inodes, 1);
	tree_teardown();
}
END_TEST

START_TEST(a_used_store_is_clean_and_counted)
{
	fill();
	ck_clean();
	ck_assert_uint_eq(report.versions, 6);
	ck_assert_uint_eq(report.documents, 4);
	ck_assert_uint_eq(report.contents, 6);
	ck_assert_uint_eq(report.chunks, 6);
	ck_assert_int_eq(verify(false), 0);
	tree_reopen();
	ck_clean();
	tree_teardown();
}
END_TEST

START_TEST(a_name_whose_inode_is_gone_is_found)
{
	fill();
	drop(FAMILY_INODE, key_number(file));
	drop(FAMILY_PAST_INODE, key_numbers(file, ~(uint64_t)3));
	ck_finds("dept/budget.xlsx: its inode");
	ck_assert_ptr_nonnull(strstr(found, "says that inode"));
	tree_teardown();
}
END_TEST

START_TEST(an_inode_whose_name_is_gone_is_found)
{
	fill();
	drop(FAMILY_DIRENT, name_key(dept, "budget.xlsx"));
	ck_finds("dept/budget.xlsx: inode");
	ck_assert_ptr_nonnull(strstr(found, "live files"));
	tree_teardown();
}
END_TEST

START_TEST(a_wrong_link_count_is_found)
{
	fill();
	EDIT(inode, FAMILY_INODE, key_number(dept), r.nlink++);
	ck_finds("dept: inode");
	tree_teardown();
	fill();
	drop(FAMILY_LINK, key_link(tree_ino(dept, "twice"), ROOT_INODE, view_str("again")));
	ck_finds("again: its inode does not know this name");
	ck_assert_ptr_nonnull(strstr(found, "counts 2 links, but has 1"));
	tree_teardown();
}
END_TEST

START_TEST(a_flipped_byte_of_a_chunk_is_found)
{
	CLEANUP(buf_release) struct buf value = { 0 };

	fill();
	get(FAMILY_CHUNK, key_number(1), &value);
	value.data[value.len - 1] ^= 1;
	put(FAMILY_CHUNK, key_number(1), buf_view(&value));
	ck_finds("chunk 1");
	ck_assert_int_eq(verify(false), 0); /* quick does not look */
	tree_teardown();
}
END_TEST

/* As two saves do that come at once: each looks for the bytes before the other has written them. */
START_TEST(a_second_chunk_of_the_same_bytes_needs_no_name)
{
	CLEANUP(kv_batch_release) struct kv_batch first = { 0 }, second = { 0 };
	struct content_store *cs;
	struct extent extent = { 0, 6, EXTENT_STAGED, 0, 0 };
	int fd = memfd_create("work", MFD_CLOEXEC);
	struct work work = { &extent, 1, 6, fd };
	struct content_ref one, other;
	struct key name = { .len = CHUNK_NAME_LEN };
	uint64_t led;

	ck_assert_int_eq(write(fd, "at the", 6), 6);
	fill();
	cs = store_contents(tree_store);
	ck_ok(content_put(cs, &work, &first, &one, e));
	ck_ok(content_put(cs, &work, &second, &other, e));
	ck_ok(kv_write(store_kv(tree_store), &first, e));
	ck_ok(kv_write(store_kv(tree_store), &second, e));
	ck_clean();
	chunk_name(&cs->chunks, view_str("at the"), name.bytes);
	drop(FAMILY_CHUNK_NAME, name);
	ck_clean();
	led = atomic_load(&cs->chunks.next_id) - 1;
	name.bytes[0] ^= 1;
	CLEANUP(buf_release) struct buf value = { 0 };
	buf_varint(&value, led);
	put(FAMILY_CHUNK_NAME, name, buf_view(&value));
	ck_finds("its bytes do not have a name of this store");
	ck_assert_uint_eq(report.damaged, 1);
	close(fd);
	tree_teardown();
}
END_TEST

START_TEST(a_missing_chunk_is_found)
{
	fill();
	drop(FAMILY_CHUNK, key_number(2));
	ck_finds("chunk 2");
	ck_assert_ptr_nonnull(strstr(found, "chunk 2 has a name, but is missing"));
	tree_teardown();
}
END_TEST

static void quick(void)
{
	struct error e = { 0 };

	found[0] = '\0';
	int r = verify_store(tree_store,
			     &(struct verify_options){ .read_contents = true, .only_new = true },
			     keep, NULL, NULL, &report, &e);
	ck_assert_msg(r == 0 || r == -E_FAILED_VERIFY, "%s", e.text);
}

START_TEST(a_quick_one_reads_what_is_new_since_all_was_well)
{
	fill();
	put(FAMILY_CHUNK, key_number(1), view_of("\0xyz", 4));
	quick(); /* nothing has been read before */
	ck_assert_msg(strstr(found, "budget.xlsx, version 1"), "%s", found);
	tree_teardown();
	fill();
	ck_clean();
	uint64_t contents = report.contents;
	put(FAMILY_CHUNK, key_number(1), view_of("\0xyz", 4));
	quick();
	ck_assert_msg(report.damaged == 0 && report.contents == 0, "%s", found);
	uint64_t chunk = tree_store->contents->chunks.next_id;
	tree_save(&ben, file, "four");
	tree_save(&ben, file, "five");
	quick();
	ck_assert_msg(report.damaged == 0, "%s", found);
	ck_assert_uint_eq(report.contents, 2);
	tree_save(&ben, file, "six");
	put(FAMILY_CHUNK, key_number(chunk + 2), view_of("\0abc", 4));
	quick();
	ck_assert_uint_eq(report.contents, 1);
	ck_assert_msg(strstr(found, "budget.xlsx, version 6"), "%s", found);
	quick(); /* that is not taken for read and well */
	ck_assert_uint_gt(report.damaged, 0);
	verify(true);
	ck_assert_uint_eq(report.contents, contents + 3);
	ck_assert_msg(strstr(found, "budget.xlsx, version 1"), "%s", found);
	tree_teardown();
}
END_TEST

START_TEST(a_missing_log_record_is_found)
{
	fill();
	drop(FAMILY_LOG, key_number(4));
	ck_finds("change 4 is missing from the log");
	tree_teardown();
}
END_TEST

START_TEST(an_edited_log_record_is_found)
{
	fill();
	EDIT(log, FAMILY_LOG, key_number(4), r.uid = 4711);
	ck_finds("change 5 does not chain to the one before it");
	ck_assert_ptr_nonnull(strstr(found, "change 4 is missing from the index of users"));
	tree_teardown();
}
END_TEST

START_TEST(missing_index_entries_are_found)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct log_record r;

	fill();
	ck_ok(changelog_get(tree_store, 4, &r, &memory, e));
	drop(FAMILY_BY_USER, key_by_user((uint32_t)r.uid, 4));
	ck_finds("change 4 is missing from the index of users");
	drop(FAMILY_UNDER, key_under(dept, 4));
	ck_finds("change 4 is missing from the index of its directory");
	put(FAMILY_BY_USER, key_by_user(7, 4), view_of("", 0));
	ck_finds("gives one of the changes 0 to 15 to uid 7");
	put(FAMILY_UNDER, key_under(4711, 4), view_of("", 0));
	ck_finds("one of the changes 0 to 15 below directory 4711");
	put(FAMILY_CLOCK, key_number(1), view_of("\x04", 1));
	ck_finds("from times to changes is wrong at change 4");
	tree_teardown();
}
END_TEST

START_TEST(a_version_with_another_digest_is_found)
{
	fill();
	EDIT(version, FAMILY_VERSION, key_numbers(doc, ~(uint64_t)2), r.digest.bytes[0] ^= 1);
	ck_finds("version 2 does not have the size or digest of its content");
	ck_assert_ptr_nonnull(strstr(found, "does not have the digest that change"));
	ck_assert_ptr_nonnull(strstr(found, "version 2 is missing from the index of digests"));
	tree_teardown();
}
END_TEST

START_TEST(a_version_with_another_content_is_found)
{
	struct version_record other = { 0 };
	struct buf memory = { 0 };

	fill();
	ck_ok(version_get(tree_store, doc, 1, &other, &memory, e));
	EDIT(version, FAMILY_VERSION, key_numbers(doc, ~(uint64_t)3),
	     (r.content = other.content, r.size = other.size, r.digest = other.digest));
	buf_release(&memory);
	ck_finds("does not have the digest that change");
	ck_assert_ptr_nonnull(strstr(found, "dept/budget.xlsx: holds"));
	tree_teardown();
}
END_TEST

START_TEST(a_missing_version_is_found)
{
	fill();
	drop(FAMILY_VERSION, key_numbers(doc, ~(uint64_t)2));
	ck_finds("version 2, the one before version 3, is missing");
	tree_teardown();
	fill();
	drop(FAMILY_VERSION, key_numbers(doc, ~(uint64_t)3));
	ck_finds("its newest version should be 3, but 2 is");
	ck_assert_ptr_nonnull(strstr(found, "version 3 is missing, which change"));
	tree_teardown();
}
END_TEST

START_TEST(a_missing_content_or_segment_is_found)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v;

	fill();
	ck_ok(version_get(tree_store, doc, 1, &v, &memory, e));
	drop(FAMILY_SEGMENT, key_number(1));
	ck_finds("its part 1 is missing");
	drop(FAMILY_CONTENT, key_number(v.content));
	ck_finds("version 1: its content");
	tree_teardown();
}
END_TEST

START_TEST(a_malformed_past_is_found)
{
	struct dirent_record past = { 0 };
	CLEANUP(buf_release) struct buf value = { 0 };

	fill();
	EDIT(dirent, FAMILY_DIRENT, name_key(dept, "budget.xlsx"), past = r);
	past.until = past.since + 5;
	past.since = 2;
	past.ended = SLOT_UNLINKED;
	dirent_encode(&value, &past);
	put(FAMILY_PAST_DIRENT,
	    key_past_name(dept, store_cookie(tree_store, view_str("budget.xlsx")),
			  view_str("budget.xlsx"), 2),
	    buf_view(&value));
	ck_finds("dept/budget.xlsx: two past intervals of this name overlap");
	past.until = 2;
	buf_clear(&value);
	dirent_encode(&value, &past);
	put(FAMILY_PAST_DIRENT,
	    key_past_name(dept, store_cookie(tree_store, view_str("budget.xlsx")),
			  view_str("budget.xlsx"), 2),
	    buf_view(&value));
	ck_finds("is not well formed");
	tree_teardown();
}
END_TEST

START_TEST(bytes_that_are_no_record_are_found_everywhere)
{
	static const enum family families[] = {
		FAMILY_DIRENT,  FAMILY_PAST_DIRENT, FAMILY_INODE,      FAMILY_PAST_INODE,
		FAMILY_LINK,    FAMILY_ORPHAN,      FAMILY_DOCUMENT,   FAMILY_VERSION,
		FAMILY_CONTENT, FAMILY_SEGMENT,     FAMILY_CHUNK_NAME, FAMILY_CHUNK,
		FAMILY_LOG,     FAMILY_BY_USER,     FAMILY_UNDER,      FAMILY_BY_DIGEST,
		FAMILY_CLOCK,   FAMILY_TAG,         FAMILY_CONFLICT
	};
	struct key noise = { .bytes = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, .len = 11 };

	fill();
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		put(families[i], noise, view_str("no record"));
		verify(true);
		ck_assert_msg(report.damaged > 0, "family %d", families[i]);
		drop(families[i], noise);
		ck_clean();
	}
	tree_teardown();
}
END_TEST

static bool stop(void *arg, const char *sentence)
{
	(void)sentence;
	++*(int *)arg;
	return false;
}

static bool stop_progress(void *arg, uint64_t done, uint64_t total)
{
	ck_assert_uint_le(done, total);
	++*(int *)arg;
	return false;
}

static const struct verify_options everything = { .read_contents = true };

START_TEST(the_listener_can_stop_it)
{
	int calls = 0;

	fill();
	drop(FAMILY_LOG, key_number(4));
	ck_assert_int_eq(verify_store(tree_store, &everything, stop, NULL, &calls, &report, NULL),
			 -ECANCELED);
	ck_assert_int_eq(calls, 1);
	ck_assert_int_eq(
		verify_store(tree_store, &everything, stop, stop_progress, &calls, &report, NULL),
		-ECANCELED);
	ck_assert_int_eq(calls, 2);
	tree_teardown();
}
END_TEST

/* Stops when so many findings or ticks were told. */
struct limit {
	int findings, ticks;
};

static bool keep_some(void *arg, const char *sentence)
{
	struct limit *limit = arg;

	keep(NULL, sentence);
	return --limit->findings > 0;
}

static bool tick_some(void *arg, uint64_t done, uint64_t total)
{
	struct limit *limit = arg;

	ck_assert_uint_le(done, total);
	return --limit->ticks > 0;
}

static int verify_some(bool resume, struct limit limit)
{
	struct verify_options options = { .read_contents = true, .resume = resume };

	found[0] = '\0';
	return verify_store(tree_store, &options, keep_some, tick_some, &limit, &report, NULL);
}

/* Two contents of 2 MiB whose chunks are damaged, so that two findings come from the contents. */
static void fill_and_damage(void)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };

	fill();
	for (int i = 0; i < 2; i++) {
		CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
		CLEANUP(buf_release) struct buf spoiled = { 0 };
		struct view key, value;

		buf_clear(&bytes);
		buf_printf(&bytes, "content %d of its own", i);
		tree_write(&anna, dept, i ? "second" : "first", buf_cstr(&bytes));
		it = kv_iter_open(store_kv(tree_store), NULL, FAMILY_CHUNK, view_of(NULL, 0), true);
		ck_assert_int_eq(kv_iter_next(it, &key, &value, NULL), 1);
		struct reader in = reader_of(key);
		buf_append(&spoiled, value.data, value.len);
		spoiled.data[spoiled.len - 1] ^= 1;
		put(FAMILY_CHUNK, key_number(reader_u64(&in)), buf_view(&spoiled));
	}
}

START_TEST(what_a_stopped_one_found_is_told_again)
{
	CLEANUP(buf_release) struct buf all = { 0 };
	struct verify_report whole;

	fill_and_damage();
	ck_assert_int_eq(verify(true), -E_FAILED_VERIFY);
	whole = report;
	buf_append(&all, found, strlen(found));
	ck_assert_uint_ge(whole.damaged, 2);
	/* after each number of findings: stopped, gone on with, and nothing is lost or told
	 * twice */
	for (int n = 1; n <= (int)whole.damaged; n++) {
		ck_assert_int_eq(verify_some(false, (struct limit){ n, 1000000 }), -ECANCELED);
		ck_assert_int_eq(verify_some(true, (struct limit){ 1000, 1000000 }),
				 -E_FAILED_VERIFY);
		ck_assert_str_eq(found, buf_cstr(&all));
		ck_assert_mem_eq(&report, &whole, sizeof(report));
	}
	tree_teardown();
}
END_TEST

START_TEST(what_a_stopped_one_read_is_not_read_again)
{
	int all = 1000000, first = 0;
	struct verify_report whole;
	struct limit counted = { 1000, 1000000 };

	fill();
	for (int i = 0; i < 700; i++) {
		char name[32], text[64];

		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), "%d: nothing like the others", i * 7919);
		tree_write(&anna, dept, name, text);
	}
	ck_clean();
	whole = report;
	ck_ok(verify_store(tree_store, &everything, keep_some, tick_some, &counted, &report, e));
	all -= counted.ticks;
	/* stopped at the last tick, which is among the chunks */
	ck_assert_int_eq(verify_some(false, (struct limit){ 1000, all }), -ECANCELED);
	struct verify_options again = { .read_contents = true, .resume = true };
	counted = (struct limit){ 1000, 1000000 };
	ck_ok(verify_store(tree_store, &again, keep_some, tick_some, &counted, &report, e));
	first = 1000000 - counted.ticks;
	ck_assert_msg(first < all, "%d ticks after %d", first, all);
	ck_assert_mem_eq(&report, &whole, sizeof(report));
	/* and one that came to its end leaves nothing to go on with */
	counted = (struct limit){ 1000, 1000000 };
	ck_ok(verify_store(tree_store, &again, keep_some, tick_some, &counted, &report, e));
	ck_assert_int_eq(1000000 - counted.ticks, all);
	tree_teardown();
}
END_TEST

START_TEST(a_damaged_note_of_how_far_it_came_is_none)
{
	struct verify_report whole;

	fill_and_damage();
	verify(true);
	whole = report;
	for (off_t at = 0; at < 60; at += 4) {
		uint8_t byte;

		ck_assert_int_eq(verify_some(false, (struct limit){ (int)whole.damaged, 1000000 }),
				 -ECANCELED);
		int fd = openat(tree_store->directory_fd, "VERIFY", O_RDWR);
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x40;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		close(fd);
		ck_assert_int_eq(verify_some(true, (struct limit){ 1000, 1000000 }),
				 -E_FAILED_VERIFY);
		ck_assert_mem_eq(&report, &whole, sizeof(report));
	}
	tree_teardown();
}
END_TEST

START_TEST(the_rate_is_kept)
{
	struct verify_options options = { .read_contents = true, .rate_bytes = 4 << 20 };
	CLEANUP(buf_release) struct buf text = { 0 };
	uint32_t x = 1;

	fill();
	for (int i = 0; i < 1 << 20; i++)
		buf_u8(&text, (uint8_t)('a' + ((x = x * 1664525u + 1013904223u) >> 24) % 26));
	tree_write(&anna, dept, "large", buf_cstr(&text));
	int64_t begun = clock_monotonic();
	ck_ok(verify_store(tree_store, &options, keep, NULL, NULL, &report, e));
	/* 1 MiB of content is read at 4 MiB a second */
	ck_assert_int_ge(clock_monotonic() - begun, NS_PER_SECOND / 5);
	tree_teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify");
	TCase *tests = tcase_create("verify");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_new_store_is_clean);
	tcase_add_test(tests, a_used_store_is_clean_and_counted);
	tcase_add_test(tests, a_name_whose_inode_is_gone_is_found);
	tcase_add_test(tests, an_inode_whose_name_is_gone_is_found);
	tcase_add_test(tests, a_wrong_link_count_is_found);
	tcase_add_test(tests, a_flipped_byte_of_a_chunk_is_found);
	tcase_add_test(tests, a_second_chunk_of_the_same_bytes_needs_no_name);
	tcase_add_test(tests, a_missing_chunk_is_found);
	tcase_add_test(tests, a_quick_one_reads_what_is_new_since_all_was_well);
	tcase_add_test(tests, a_missing_log_record_is_found);
	tcase_add_test(tests, an_edited_log_record_is_found);
	tcase_add_test(tests, missing_index_entries_are_found);
	tcase_add_test(tests, a_version_with_another_digest_is_found);
	tcase_add_test(tests, a_version_with_another_content_is_found);
	tcase_add_test(tests, a_missing_version_is_found);
	tcase_add_test(tests, a_missing_content_or_segment_is_found);
	tcase_add_test(tests, a_malformed_past_is_found);
	tcase_add_test(tests, bytes_that_are_no_record_are_found_everywhere);
	tcase_add_test(tests, the_listener_can_stop_it);
	tcase_add_test(tests, what_a_stopped_one_found_is_told_again);
	tcase_add_test(tests, what_a_stopped_one_read_is_not_read_again);
	tcase_add_test(tests, a_damaged_note_of_how_far_it_came_is_none);
	tcase_add_test(tests, the_rate_is_kept);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
