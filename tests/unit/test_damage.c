/* Records that do not fit one another, as no Daybook writes them: whoever reads them says so, and
 * comes to an end. */
#include "store/delta.h"
#include "store/internal.h"
#include "store/packed.h"
#include "store/tag.h"
#include "store/timeline.h"
#include "store/verify.h"
#include "tree.h"

#define R ROOT_INODE

static void put(enum family family, const struct key *key, const struct buf *value)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };

	kv_batch_put_buf(&batch, family, key_view(key), value);
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
}

static bool count(void *arg, struct view name, uint64_t cookie, const struct dirent_record *dirent)
{
	(void)name, (void)cookie, (void)dirent;
	return ++*(size_t *)arg < 1000;
}

static bool count_tag(void *arg, struct view name, const struct tag_record *tag)
{
	(void)name, (void)tag;
	return ++*(size_t *)arg < 1000;
}

static bool count_finding(void *arg, const char *sentence)
{
	ck_assert(sentence[0]);
	return ++*(size_t *)arg < 1000;
}

/* A name's past interval that began, so it says, at another change than its key does. */
static void put_past(const char *name, uint64_t key_since, uint64_t since)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct dirent_record dirent = {
		.ino = 99, .since = since, .until = 1000, .ended = SLOT_UNLINKED
	};
	struct key key = key_past_name(R, store_cookie(tree_store, view_str(name)), view_str(name),
				       key_since);

	dirent_encode(&value, &dirent);
	put(FAMILY_PAST_DIRENT, &key, &value);
}

START_TEST(a_past_name_that_began_at_another_change_than_its_key_is_damage)
{
	static const uint64_t sinces[][2] = { { 5, 0 }, { 0, 0 }, { 5, 6 }, { 6, UINT64_MAX } };

	for (size_t i = 0; i < sizeof(sinces) / sizeof(sinces[0]); i++) {
		struct dirent_record dirent;
		size_t n = 0;
		char name[16];

		snprintf(name, sizeof(name), "a%zu", i);
		put_past(name, sinces[i][0], sinces[i][1]);
		ck_fails(timeline_readdir(tree_store, 3, R, 0, count, &n, e), E_CORRUPT);
		ck_fails(timeline_names(tree_store, R, 0, 3, count, &n, e), E_CORRUPT);
		ck_fails(timeline_lookup(tree_store, UINT64_MAX - 1, R, view_str(name), &dirent, e),
			 E_CORRUPT);
	}
}
END_TEST

START_TEST(a_name_longer_than_any_is_damage)
{
	CLEANUP(buf_release) struct buf value = { 0 }, path = { 0 };
	uint64_t ino = tree_write(&anna, R, "file", "text");
	struct inode_record record = {
		.ino = ino, .mode = S_IFREG | 0644, .parent = R, .since = 5
	};
	struct key key = key_number(ino);
	static char name[NAME_LEN_MAX + 100];

	memset(name, 'n', sizeof(name));
	record.name = view_of(name, sizeof(name));
	inode_encode(&value, &record);
	put(FAMILY_INODE, &key, &value);
	tree_reopen();
	ck_fails(namespace_path(tree_store, ino, &path, e), E_CORRUPT);
}
END_TEST

START_TEST(a_key_with_a_longer_name_is_damage)
{
	CLEANUP(buf_release) struct buf dirent = { 0 }, tag = { 0 };
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	uint8_t key[16 + NAME_LEN_MAX + 1] = { 0 };
	struct verify_report report;
	size_t n = 0;

	memset(key + 8, 'n', sizeof(key) - 8);
	key[7] = R;
	dirent_encode(&dirent, &(struct dirent_record){ .ino = 99, .type = S_IFREG, .since = 1 });
	tag_encode(&tag, &(struct tag_record){ .change = 1 });
	kv_batch_put_buf(&batch, FAMILY_DIRENT, view_of(key, sizeof(key)), &dirent);
	kv_batch_put_buf(&batch, FAMILY_LINK, view_of(key, sizeof(key)), &dirent);
	kv_batch_put_buf(&batch, FAMILY_TAG, view_of(key, sizeof(key)), &tag);
	ck_ok(kv_write(store_kv(tree_store), &batch, e));
	ck_fails(namespace_readdir(tree_store, R, 0, count, &n, e), E_CORRUPT);
	ck_fails(tag_each(tree_store, R, count_tag, &n, e), E_CORRUPT);
	ck_fails(verify_store(tree_store, &(struct verify_options){ 0 }, count_finding, NULL, &n,
			      &report, e),
		 E_FAILED_VERIFY);
	ck_assert_uint_ge(report.damaged, 3);
}
END_TEST

START_TEST(a_packed_segment_of_nothing_is_damage)
{
	CLEANUP(buf_release) struct buf delta = { 0 }, value = { 0 };
	struct key key = key_number(77);
	struct chunk *bytes;

	ck_ok(delta_make(view_of(NULL, 0), view_of(NULL, 0), &delta, e));
	struct segment_record segment = { .form = SEGMENT_PACKED,
					  .digest = digest_of(view_of(NULL, 0)),
					  .delta = buf_view(&delta) };
	segment_encode(&value, &segment);
	put(FAMILY_SEGMENT, &key, &value);
	ck_fails(packed_load(store_contents(tree_store), 77, &bytes, e), E_CORRUPT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("damage");
	TCase *tree = tcase_create("tree");

	tcase_add_checked_fixture(tree, tree_setup, tree_teardown);
	tcase_set_timeout(tree, 60);
	tcase_add_test(tree, a_past_name_that_began_at_another_change_than_its_key_is_damage);
	tcase_add_test(tree, a_name_longer_than_any_is_damage);
	tcase_add_test(tree, a_key_with_a_longer_name_is_damage);
	tcase_add_test(tree, a_packed_segment_of_nothing_is_damage);
	suite_add_tcase(suite, tree);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
