/* test_timeline.c - the tree as of any instant, against a model that remembers everything. */
#include <stdlib.h>

#include "store/key.h"
#include "store/clock.h"
#include "store/timeline.h"
#include "tree.h"

#define R ROOT_INODE

static uint64_t head(void)
{
	struct digest digest;
	uint64_t change;

	ck_ok(changelog_head(tree_store, &change, &digest, e));
	return change;
}

static int64_t time_of(uint64_t change)
{
	int64_t ns = 0;

	ck_ok(timeline_time(tree_store, change, &ns, e));
	return ns;
}

START_TEST(a_time_is_the_last_change_at_or_before_the_end_of_its_second)
{
	uint64_t change, last;

	tree_write(&anna, R, "a", "1");
	last = head();
	ck_ok(timeline_instant(tree_store, time_of(last), &change, e));
	ck_assert_uint_eq(change, last);
	ck_ok(timeline_instant(tree_store, time_of(last) + 1000 * NS_PER_SECOND, &change, e));
	ck_assert_uint_eq(change, last);
	ck_fails(timeline_instant(tree_store, time_of(1) - NS_PER_SECOND, &change, e),
		 E_TIME_RANGE);
	ck_fails(timeline_instant(tree_store, -1, &change, e), E_TIME_RANGE);
	ck_fails(timeline_time(tree_store, last + 1, &(int64_t){ 0 }, e), E_TIME_RANGE);
}
END_TEST

/* What a directory of NAMES files held after each change: the content's size, 0 for "not there". */
#define NAMES 12
#define STEPS 400
static uint64_t model[STEPS * 8][NAMES];

static uint64_t size_at(uint64_t at, uint64_t ino)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record r;

	ck_ok(timeline_inode(tree_store, at, ino, &r, &memory, e));
	return r.size;
}

struct seen {
	uint64_t at, sizes[NAMES], cookie;
	unsigned count, stop_after;
};

static bool see(void *arg, struct view name, uint64_t cookie, const struct dirent_record *dirent)
{
	struct seen *s = arg;
	char text[8] = "";

	ck_assert_uint_lt(name.len, sizeof(text));
	memcpy(text, name.data, name.len);
	unsigned i = (unsigned)atoi(text + 1);

	ck_assert_uint_lt(i, NAMES);
	ck_assert_uint_eq(s->sizes[i], 0);
	ck_assert_uint_gt(cookie, s->cookie);
	s->cookie = cookie;
	s->sizes[i] = size_at(s->at, dirent->ino);
	return ++s->count != s->stop_after;
}

static void check_instant(uint64_t dir, uint64_t at)
{
	struct seen all = { .at = at }, parts = { .at = at };

	ck_ok(timeline_readdir(tree_store, at, dir, 0, see, &all, e));
	for (int i = 0; i < NAMES; i++) {
		struct dirent_record dirent;
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_msg(all.sizes[i] == model[at][i], "change %d: %s is %d, was %d", (int)at,
			      name, (int)all.sizes[i], (int)model[at][i]);
		int rc = timeline_lookup(tree_store, at, dir, view_str(name), &dirent, NULL);
		ck_assert_int_eq(rc == 0, model[at][i] != 0);
		if (rc == 0)
			ck_assert_uint_eq(size_at(at, dirent.ino), model[at][i]);
	}
	/* the same in pieces */
	for (unsigned before = ~0u; before != parts.count;) {
		before = parts.count;
		parts.stop_after = parts.count + 2;
		ck_ok(timeline_readdir(tree_store, at, dir, parts.cookie, see, &parts, e));
	}
	ck_assert_mem_eq(parts.sizes, all.sizes, sizeof(all.sizes));
}

/* Every change up to now that the model does not know yet left it as `sizes` says. */
static void remember(uint64_t *known, const uint64_t sizes[NAMES])
{
	for (uint64_t now = head(); *known < now;)
		memcpy(model[++*known], sizes, sizeof(model[0]));
}

START_TEST(the_tree_at_every_change_is_what_it_was)
{
	static uint64_t sizes[NAMES], inos[NAMES];
	uint64_t dir = tree_make(&anna, R, "d", S_IFDIR | 0755), known = head();
	char text[STEPS + 2], name[8], to[8];

	srand(11);
	memset(text, 'x', sizeof(text));
	for (int step = 1; step <= STEPS; step++) {
		int i = rand() % NAMES, j = rand() % NAMES;

		snprintf(name, sizeof(name), "n%d", i);
		snprintf(to, sizeof(to), "n%d", j);
		text[step] = '\0';
		if (!sizes[i]) {
			/* an empty file first: to the model it is not there yet, so both changes
			 * are looked at as one */
			inos[i] = tree_make(&anna, dir, name, S_IFREG | 0644);
			known = head();
			tree_save(&anna, inos[i], text);
			sizes[i] = (uint64_t)step;
		} else if (rand() % 3 == 0 && i != j) {
			tree_rename(&anna, dir, name, to);
			sizes[j] = sizes[i];
			inos[j] = inos[i];
			sizes[i] = 0;
		} else if (rand() % 2) {
			tree_unlink(&anna, dir, name);
			sizes[i] = 0;
		} else {
			tree_save(&anna, inos[i], text);
			sizes[i] = (uint64_t)step;
		}
		text[step] = 'x';
		remember(&known, sizes);
		if (step % 16 == 0)
			check_instant(dir, known);
	}
	tree_reopen();
	for (uint64_t at = 3; at <= known; at++) {
		bool known_state = false;

		for (int i = 0; i < NAMES; i++)
			known_state |= model[at][i] != 0;
		if (known_state)
			check_instant(dir, at);
	}
}
END_TEST

START_TEST(an_inode_that_is_gone_is_what_it_last_was)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	uint64_t ino = tree_write(&anna, R, "f", "four"), before = head();
	struct inode_record r;

	tree_unlink(&anna, R, "f");
	ck_ok(timeline_inode(tree_store, UINT64_MAX, ino, &r, &memory, e));
	ck_assert_uint_eq(r.size, 4);
	ck_assert_uint_eq(r.nlink, 0);
	ck_ok(timeline_inode(tree_store, before, ino, &r, &memory, e));
	ck_assert_uint_eq(r.nlink, 1);
	ck_fails(timeline_inode(tree_store, 1, ino, &r, &memory, e), E_STALE);
	ck_fails(timeline_inode(tree_store, UINT64_MAX, ino + 1000, &r, &memory, e), E_STALE);
}
END_TEST

/* --- instants: the index is written by hand, so that months pass in a moment --- */

static void put_change(uint64_t dir, uint64_t change, int64_t second)
{
	struct kv_batch batch = { 0 };
	CLEANUP(buf_release) struct buf above = { 0 }, value = { 0 }, number = { 0 };
	struct log_record record = { .change = change,
				     .time = second * NS_PER_SECOND + (int64_t)change % 1000 };
	struct key log = key_number(change), under = key_under(dir, change),
		   clock = key_number((uint64_t)second);
	struct error e = { 0 };

	buf_varint(&above, dir);
	record.above = buf_view(&above);
	log_encode(&value, &record);
	buf_varint(&number, change);
	kv_batch_put(&batch, FAMILY_LOG, key_view(&log), buf_view(&value));
	kv_batch_put(&batch, FAMILY_UNDER, key_view(&under), view_of("", 0));
	kv_batch_put(&batch, FAMILY_CLOCK, key_view(&clock), buf_view(&number));
	ck_assert_int_eq(kv_write(store_kv(tree_store), &batch, &e), 0);
	kv_batch_release(&batch);
}

#define DIR 77777
#define START 1700000000ll

START_TEST(few_instants_are_all_listed_one_a_second)
{
	int64_t times[512];
	int n;

	for (uint64_t i = 0; i < 300; i++)
		put_change(DIR, 1000 + i, START + (int64_t)(i / 3) * 7);
	ck_ok(n = timeline_instants(tree_store, DIR, times, 512, e));
	ck_assert_int_eq(n, 100);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(times[i], (START + (99 - i) * 7) * NS_PER_SECOND);
	ck_ok(n = timeline_instants(tree_store, DIR + 1, times, 512, e));
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(many_instants_are_thinned_to_hours_days_and_weeks)
{
	int64_t times[512], day = 86400 * NS_PER_SECOND;
	int n, in_hours = 0, in_days = 0;

	/* every ten minutes for two years would be too many to write here: every two hours, then
	 * 600 close ones */
	for (uint64_t i = 0; i < 12 * 730; i++)
		put_change(DIR, 1000 + i, START + (int64_t)i * 7200);
	for (uint64_t i = 0; i < 600; i++)
		put_change(DIR, 100000 + i, START + 730 * 86400 + (int64_t)i * 2);
	ck_ok(n = timeline_instants(tree_store, DIR, times, 512, e));
	ck_assert_int_le(n, 512);
	ck_assert_int_gt(n, 400);
	for (int i = 0; i < 256; i++)
		ck_assert_int_eq(times[i], (START + 730 * 86400 + (599 - i) * 2) * NS_PER_SECOND);
	for (int i = 256; i < n; i++) {
		int64_t gap = times[i - 1] - times[i];

		ck_assert_int_gt(gap, 0);
		in_hours += gap < day / 2;
		in_days += gap >= day / 2 && gap < 2 * day;
	}
	ck_assert_int_ge(in_hours, 90);
	ck_assert_int_ge(in_days, 90);
	ck_assert_int_lt(times[n - 1], times[0] - 500 * day);
}
END_TEST

struct shown {
	unsigned count;
	uint64_t docs[16], numbers[16], changes[16];
};

static bool show(void *arg, const struct name_version *v)
{
	struct shown *s = arg;

	ck_assert_uint_lt(s->count, 16);
	s->docs[s->count] = v->doc;
	s->numbers[s->count] = v->number;
	s->changes[s->count] = v->version->change;
	if (s->count)
		ck_assert_uint_lt(s->changes[s->count], s->changes[s->count - 1]);
	s->count++;
	return true;
}

static struct shown versions_of(const char *name)
{
	struct shown s = { 0 };

	ck_ok(timeline_name_versions(tree_store, R, view_str(name), true, show, &s, e));
	return s;
}

START_TEST(a_name_shows_what_lived_there_up_to_when_it_left)
{
	uint64_t ino = tree_write(&anna, R, "a", "1");
	struct shown s;

	tree_save(&anna, ino, "2");
	uint64_t doc = tree_doc(R, "a");
	tree_rename(&anna, R, "a", "b");
	tree_save(&anna, ino, "3");
	s = versions_of("a");
	ck_assert_uint_eq(s.count, 2);
	ck_assert_uint_eq(s.numbers[0], 2);
	s = versions_of("b");
	ck_assert_uint_eq(s.count, 3);
	ck_assert_uint_eq(s.docs[2], doc);
	ck_assert_uint_eq(s.numbers[0], 3);
	ck_assert_uint_eq(versions_of("c").count, 0);
	tree_unlink(&anna, R, "b");
	ck_assert_uint_eq(versions_of("b").count, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tree = tcase_create("tree");

	tcase_add_checked_fixture(tree, tree_setup, tree_teardown);
	tcase_set_timeout(tree, 60);
	tcase_add_test(tree, a_time_is_the_last_change_at_or_before_the_end_of_its_second);
	tcase_add_test(tree, the_tree_at_every_change_is_what_it_was);
	tcase_add_test(tree, an_inode_that_is_gone_is_what_it_last_was);
	tcase_add_test(tree, few_instants_are_all_listed_one_a_second);
	tcase_add_test(tree, many_instants_are_thinned_to_hours_days_and_weeks);
	tcase_add_test(tree, a_name_shows_what_lived_there_up_to_when_it_left);
	suite_add_tcase(suite, tree);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
