/* The key-value face: what is written is read, in order, atomically, and survives. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "noise.h"
#include "scratch.h"
#include "store/kv.h"

/* How often statvfs will lie about the disk, as when another program fills it in between. */
static int lies_left;

int fstatvfs(int fd, struct statvfs *s)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return -1;
	*s = (struct statvfs){ .f_frsize = (unsigned long)fs.f_bsize,
			       .f_blocks = fs.f_blocks,
			       .f_bfree = fs.f_bfree,
			       .f_bavail = fs.f_bavail };
	if (lies_left > 0 && lies_left--)
		s->f_bavail = s->f_bfree = s->f_blocks = 1ul << 40;
	return 0;
}

static void put(struct kv *kv, enum family family, const char *key, const char *value)
{
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	struct error e = { 0 };

	kv_batch_put(&b, family, view_str(key), view_str(value));
	ck_assert_msg(kv_write(kv, &b, &e) == 0, "%s", e.text);
}

static bool has(struct kv *kv, const struct kv_snapshot *snapshot, enum family family,
		const char *key, const char *value)
{
	CLEANUP(buf_release) struct buf got = { 0 };
	struct error e = { 0 };
	int r = kv_get(kv, snapshot, family, view_str(key), &got, &e);

	ck_assert_msg(r >= 0, "%s", e.text);
	return r == 1 && view_equal(buf_view(&got), view_str(value));
}

/* The keys of a walk, each followed by a blank. */
static const char *walk(struct kv *kv, enum family family, const char *prefix, bool reverse,
			const char *seek)
{
	static char out[512];
	struct kv_iter *it = kv_iter_open(kv, NULL, family, view_str(prefix), reverse);
	struct view key, value;
	size_t n = 0;

	if (seek)
		kv_iter_seek(it, view_str(seek));
	out[0] = '\0';
	while (kv_iter_next(it, &key, &value, NULL) == 1)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s ", (int)key.len,
				      (const char *)key.data);
	ck_assert_int_eq(kv_iter_next(it, &key, &value, NULL), 0);
	kv_iter_close(it);
	return out;
}

START_TEST(a_written_value_is_read_and_absent_differs_from_empty)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(buf_release) struct buf got = { 0 };
	struct kv *kv = scratch_kv(directory);

	put(kv, FAMILY_META, "full", "value");
	put(kv, FAMILY_META, "empty", "");
	ck_assert(has(kv, NULL, FAMILY_META, "full", "value"));
	ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_str("empty"), &got, NULL), 1);
	ck_assert_uint_eq(got.len, 0);
	ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_str("none"), &got, NULL), 0);
	kv_close(kv);
}
END_TEST

START_TEST(families_do_not_see_each_other_and_survive_a_reopening)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);

	put(kv, FAMILY_CHUNK, "k", "chunk");
	put(kv, FAMILY_CONTENT, "k", "content");
	put(kv, FAMILY_DIRENT, "k", "dirent");
	for (int i = 0; i < 2; i++) {
		ck_assert(has(kv, NULL, FAMILY_CHUNK, "k", "chunk"));
		ck_assert(has(kv, NULL, FAMILY_CONTENT, "k", "content"));
		ck_assert(has(kv, NULL, FAMILY_DIRENT, "k", "dirent"));
		ck_assert_str_eq(walk(kv, FAMILY_CHUNK, "", false, NULL), "k ");
		kv_close(kv);
		kv = scratch_kv(directory);
	}
	kv_close(kv);
}
END_TEST

START_TEST(a_walk_goes_through_a_prefix_in_either_order_and_no_further)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);
	const char *keys[] = { "a", "b", "ba", "bb", "bc", "b\xff", "b\xff\xff", "c" };

	for (size_t i = 0; i < 8; i++)
		put(kv, FAMILY_TAG, keys[i], "v");
	put(kv, FAMILY_CONFLICT, "b", "other family, letter before");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", false, NULL), "b ba bb bc b\xff b\xff\xff ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", true, NULL), "b\xff\xff b\xff bc bb ba b ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b\xff", false, NULL), "b\xff b\xff\xff ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "", false, NULL), "a b ba bb bc b\xff b\xff\xff c ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "x", false, NULL), "");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "x", true, NULL), "");
	kv_close(kv);
}
END_TEST

START_TEST(seeking_never_leaves_the_prefix)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);
	const char *keys[] = { "a", "ba", "bc", "be", "c" };

	for (size_t i = 0; i < 5; i++)
		put(kv, FAMILY_TAG, keys[i], "v");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", false, "bb"), "bc be ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", true, "bb"), "ba ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", true, "bc"), "bc ba ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", false, "a"), "ba bc be ");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", true, "a"), "");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", false, "c"), "");
	ck_assert_str_eq(walk(kv, FAMILY_TAG, "b", true, "c"), "be bc ba ");
	kv_close(kv);
}
END_TEST

START_TEST(an_iterator_may_be_sought_again_after_its_end)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);
	struct view key, value;

	put(kv, FAMILY_TAG, "a", "1");
	put(kv, FAMILY_TAG, "b", "2");
	struct kv_iter *it = kv_iter_open(kv, NULL, FAMILY_TAG, view_str(""), false);
	while (kv_iter_next(it, &key, NULL, NULL) == 1)
		;
	kv_iter_seek(it, view_str("b"));
	ck_assert_int_eq(kv_iter_next(it, &key, &value, NULL), 1);
	ck_assert(view_equal(value, view_str("2")));
	kv_iter_close(it);
	kv_close(kv);
}
END_TEST

START_TEST(a_snapshot_shows_what_was_there_when_it_was_taken)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);

	put(kv, FAMILY_META, "k", "old");
	struct kv_snapshot *snapshot;

	ck_assert_int_eq(kv_snapshot_take(kv, &snapshot, NULL), 0);
	put(kv, FAMILY_META, "k", "new");
	ck_assert(has(kv, snapshot, FAMILY_META, "k", "old"));
	ck_assert(has(kv, NULL, FAMILY_META, "k", "new"));
	kv_snapshot_release(kv, snapshot);
	kv_close(kv);
}
END_TEST

static int list_value(void *arg, size_t i, const struct view *value, struct error *e)
{
	struct buf *list = arg;

	(void)e;
	buf_printf(list, "%zu:%.*s ", i, value ? (int)value->len : 1,
		   value ? (const char *)value->data : "-");
	return i == 7 ? -E_INVALID : 0;
}

START_TEST(many_values_are_read_in_one_call_found_or_not)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(buf_release) struct buf list = { 0 };
	struct kv *kv = scratch_kv(directory);
	struct view b = view_str("b"), keys[9] = { b, view_str("none"), view_str("a"), b, b, b, b,
						   b, b };

	put(kv, FAMILY_CHUNK, "a", "1");
	put(kv, FAMILY_CHUNK, "b", "2");
	ck_assert_int_eq(kv_get_many(kv, NULL, FAMILY_CHUNK, 3, keys, list_value, &list, NULL), 0);
	ck_assert_str_eq(buf_cstr(&list), "0:2 1:- 2:1 ");
	buf_clear(&list);
	ck_assert_int_eq(kv_get_many(kv, NULL, FAMILY_CHUNK, 9, keys, list_value, &list, NULL),
			 -E_INVALID);
	ck_assert_str_eq(buf_cstr(&list), "0:2 1:- 2:1 3:2 4:2 5:2 6:2 7:2 ");
	ck_assert_int_eq(kv_get_many(kv, NULL, FAMILY_CHUNK, 0, NULL, NULL, NULL, NULL), 0);
	kv_close(kv);
}
END_TEST

START_TEST(a_batch_applies_in_its_order_and_can_be_used_again)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	CLEANUP(buf_release) struct buf got = { 0 };
	struct kv *kv = scratch_kv(directory);

	kv_batch_put(&b, FAMILY_META, view_str("k"), view_str("1"));
	kv_batch_delete(&b, FAMILY_META, view_str("k"));
	kv_batch_put(&b, FAMILY_META, view_str("l"), view_str("1"));
	kv_batch_put(&b, FAMILY_META, view_str("l"), view_str("2"));
	ck_assert_uint_eq(kv_batch_count(&b), 4);
	ck_assert_uint_gt(kv_batch_bytes(&b), 7);
	ck_assert_int_eq(kv_write(kv, &b, NULL), 0);
	ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_str("k"), &got, NULL), 0);
	ck_assert(has(kv, NULL, FAMILY_META, "l", "2"));
	kv_batch_clear(&b);
	ck_assert_uint_eq(kv_batch_bytes(&b), 0);
	ck_assert_int_eq(kv_write(kv, &b, NULL), 0);
	kv_close(kv);
}
END_TEST

START_TEST(keys_of_any_length_and_bytes_are_kept)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	CLEANUP(buf_release) struct buf got = { 0 };
	struct kv *kv = scratch_kv(directory);
	static uint8_t key[1000];

	for (size_t n = 0; n < sizeof(key); n += 111) {
		memset(key, n & 1 ? 0xff : 0, n);
		kv_batch_clear(&b);
		kv_batch_put(&b, FAMILY_DIRENT, view_of(key, n), view_of(&n, sizeof(n)));
		ck_assert_int_eq(kv_write(kv, &b, NULL), 0);
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_DIRENT, view_of(key, n), &got, NULL), 1);
		ck_assert_mem_eq(got.data, &n, sizeof(n));
	}
	kv_close(kv);
}
END_TEST

START_TEST(a_missing_database_is_no_store_and_a_lost_CURRENT_is_damage)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv_options options = { .create = false };
	struct error e = { 0 };
	struct kv *kv = NULL;
	char path[256];

	snprintf(path, sizeof(path), "%s/db", directory);
	ck_assert_int_eq(kv_open(path, &options, &kv, &e), -E_NOT_STORE);
	kv_close(scratch_kv(directory));
	snprintf(path, sizeof(path), "%s/db/CURRENT", directory);
	ck_assert_int_eq(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/db", directory);
	options.create = true;
	ck_assert_int_eq(kv_open(path, &options, &kv, &e), -E_CORRUPT);
	ck_assert_ptr_nonnull(strstr(e.text, "db/CURRENT is missing"));
}
END_TEST

START_TEST(a_second_opening_is_told_that_the_store_is_in_use)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv_options options = { .create = false };
	struct kv *kv = scratch_kv(directory), *other = NULL;
	struct error e = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/db", directory);
	ck_assert_int_eq(kv_open(path, &options, &other, &e), -E_LOCKED);
	pid_t child = fork();
	if (child == 0)
		_exit(kv_open(path, &options, &other, &e) == -E_LOCKED ? 0 : 1);
	int status = -1;
	waitpid(child, &status, 0);
	ck_assert_int_eq(status, 0);
	kv_close(kv);
}
END_TEST

START_TEST(a_reader_beside_the_writer_sees_what_was_written_and_cannot_write)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	struct kv_options options = { .read_only = true };
	struct kv *kv = scratch_kv(directory), *reader = NULL;
	char path[256];

	put(kv, FAMILY_META, "k", "v");
	snprintf(path, sizeof(path), "%s/db", directory);
	ck_assert_int_eq(kv_open(path, &options, &reader, NULL), 0);
	ck_assert(has(reader, NULL, FAMILY_META, "k", "v"));
	kv_batch_put(&b, FAMILY_META, view_str("k"), view_str("x"));
	ck_assert_int_eq(kv_write(reader, &b, NULL), -EROFS);
	ck_assert_int_eq(kv_sync(reader, NULL), -EROFS);
	kv_close(reader);
	kv_close(kv);
}
END_TEST

START_TEST(an_injected_failure_strikes_the_nth_call_and_harms_nothing)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	struct kv *kv = scratch_kv(directory);

	kv_batch_put(&b, FAMILY_META, view_str("k"), view_str("v"));
	kv_fail_nth(2, -E_NO_SPACE);
	ck_assert_int_eq(kv_sync(kv, NULL), 0);
	ck_assert_int_eq(kv_write(kv, &b, NULL), -E_NO_SPACE);
	ck_assert_int_eq(kv_write(kv, &b, NULL), 0);
	ck_assert(has(kv, NULL, FAMILY_META, "k", "v"));
	kv_close(kv);
}
END_TEST

static void *sync_often(void *arg)
{
	for (long i = 0; i < 50; i++) {
		if (kv_sync(arg, NULL) != 0)
			return (void *)1;
	}
	return NULL;
}

START_TEST(threads_may_sync_at_once)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv = scratch_kv(directory);
	pthread_t threads[4];
	void *failed;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sync_often, kv), 0);
	for (int i = 0; i < 4; i++) {
		put(kv, FAMILY_META, "k", "v");
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	kv_close(kv);
}
END_TEST

START_TEST(what_was_written_survives_a_killed_writer)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct kv *kv = scratch_kv(directory);

		put(kv, FAMILY_META, "k", "v");
		put(kv, FAMILY_CHUNK, "c", "bytes");
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	ck_assert(WIFSIGNALED(status));
	struct kv *kv = scratch_kv(directory);
	ck_assert(has(kv, NULL, FAMILY_META, "k", "v"));
	ck_assert(has(kv, NULL, FAMILY_CHUNK, "c", "bytes"));
	kv_close(kv);
}
END_TEST

/* Exit codes of a process that opened a damaged database. */
enum outcome { ALL_THERE = 10, REFUSED, TOLD, LOST };

#define DAMAGE_KEYS 300

static enum outcome walk_damaged(struct kv *kv, enum family family)
{
	struct kv_iter *it = kv_iter_open(kv, NULL, family, view_of(NULL, 0), false);
	struct error e = { 0 };
	struct view key;
	unsigned n = 0;
	int r;

	while ((r = kv_iter_next(it, &key, NULL, &e)) == 1)
		n++;
	kv_iter_close(it);
	if (r < 0)
		return e.code == -E_CORRUPT && e.text[0] ? TOLD : LOST;
	return n == DAMAGE_KEYS ? ALL_THERE : LOST;
}

static enum outcome use_damaged(const char *path)
{
	struct kv_options options = { .cache_bytes = 8 << 20 };
	struct error e = { 0 };
	struct kv *kv;

	if (kv_open(path, &options, &kv, &e) < 0)
		return e.text[0] ? REFUSED : LOST;
	enum outcome names = walk_damaged(kv, FAMILY_META), chunks = walk_damaged(kv, FAMILY_CHUNK);
	if (kv_check(kv, NULL, NULL, NULL) < 0 && names == ALL_THERE && chunks == ALL_THERE)
		chunks = TOLD;
	kv_close(kv);
	return names > chunks ? names : chunks;
}

/* Makes a database in path, half of it in tables and half in the log, and dies. */
static void make_and_die(const char *directory)
{
	pid_t child = fork();

	if (child == 0) {
		struct kv *kv = scratch_kv(directory);

		for (unsigned i = 0; i < DAMAGE_KEYS; i++) {
			CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
			uint8_t *bytes = noise_new(1000, i);

			kv_batch_put(&b, FAMILY_CHUNK, view_of(&i, sizeof(i)),
				     view_of(bytes, 1000));
			kv_batch_put(&b, FAMILY_META, view_of(&i, sizeof(i)), view_of(bytes, 30));
			if (kv_write(kv, &b, NULL) < 0 ||
			    (i == DAMAGE_KEYS / 2 && kv_flush(kv, NULL) < 0))
				_exit(1);
			free(bytes);
		}
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
}

/* Changes a byte, zeroes some, cuts the file or removes it. */
static void damage_file(const char *path, unsigned how, uint64_t *state)
{
	static const uint8_t zeros[512];
	struct stat st;
	uint8_t byte;

	int fd = open(path, O_RDWR);
	ck_assert(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
	off_t at = (off_t)noise_below(state, (uint64_t)st.st_size);
	size_t n = st.st_size - at < 512 ? (size_t)(st.st_size - at) : 512;
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= (uint8_t)(1 + noise_below(state, 255));
	if (how == 0)
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	else if (how == 1)
		ck_assert_int_eq(pwrite(fd, zeros, n, at), (ssize_t)n);
	else
		ck_assert_int_eq(how == 2 ? ftruncate(fd, at) : unlink(path), 0);
	close(fd);
}

static void damage_copy(const char *directory, const char *name, unsigned how, uint64_t *state)
{
	char command[700], path[600];
	int status = 0;

	snprintf(command, sizeof(command), "rm -rf %s/copy && cp -r %s/db %s/copy", directory,
		 directory, directory);
	ck_assert_int_eq(system(command), 0);
	snprintf(path, sizeof(path), "%s/copy/%s", directory, name);
	damage_file(path, how, state);
	snprintf(path, sizeof(path), "%s/copy", directory);
	pid_t child = fork();
	if (child == 0)
		_exit(use_damaged(path));
	waitpid(child, &status, 0);
	ck_assert_msg(WIFEXITED(status), "%s damaged in way %u: signal %d", name, how,
		      WTERMSIG(status));
	ck_assert_msg(WEXITSTATUS(status) != LOST, "%s damaged in way %u: nothing said", name, how);
}

START_TEST(damage_to_any_file_is_refused_or_told_never_silent_and_never_fatal)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	uint64_t state = 1;
	char path[256];
	struct dirent *entry;

	make_and_die(directory);
	snprintf(path, sizeof(path), "%s/db", directory);
	DIR *d = opendir(path);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "LO", 2) == 0)
			continue;
		for (unsigned how = 0; how < 4; how++)
			damage_copy(directory, entry->d_name, how, &state);
	}
	closedir(d);
}
END_TEST

/* Puts a small filesystem over directory, seen by this process alone, or skips the test where that
 * cannot be. */
static bool small_disk(const char *directory)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("small", directory, "tmpfs", 0, "size=96m") == 0;
}

static void fill_disk(const char *directory)
{
	static const char block[4096] = { 1 };
	char path[256];

	snprintf(path, sizeof(path), "%s/filler", directory);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

static void unfill_disk(const char *directory)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/filler", directory);
	ck_assert_int_eq(unlink(path), 0);
}

/* Writes a small record and 50 KB of content under number i. */
static int put_number(struct kv *kv, unsigned i)
{
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	uint8_t *bytes = noise_new(50000, i);

	kv_batch_put(&b, FAMILY_CHUNK, view_of(&i, sizeof(i)), view_of(bytes, 50000));
	kv_batch_put(&b, FAMILY_META, view_of(&i, sizeof(i)), view_of(bytes, 10));
	free(bytes);
	return kv_write(kv, &b, NULL);
}

static void assert_numbers(struct kv *kv, unsigned n)
{
	CLEANUP(buf_release) struct buf got = { 0 };

	for (unsigned i = 0; i < n; i++) {
		uint8_t *bytes = noise_new(50000, i);

		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_CHUNK, view_of(&i, sizeof(i)), &got, NULL),
				 1);
		ck_assert(view_equal(buf_view(&got), view_of(bytes, 50000)));
		ck_assert_int_eq(kv_get(kv, NULL, FAMILY_META, view_of(&i, sizeof(i)), &got, NULL),
				 1);
		free(bytes);
	}
}

START_TEST(a_full_disk_refuses_writes_keeps_what_is_there_and_takes_writes_again)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv_options options = { .create = true };
	struct kv *kv, *other;
	struct error e = { 0 };
	char path[256];
	unsigned n = 0;

	if (!small_disk(directory))
		return;
	kv = scratch_kv(directory);
	for (; n < 50; n++)
		ck_assert_int_eq(put_number(kv, n), 0);
	fill_disk(directory);
	usleep(120000); /* what is known of the disk is older than that */
	ck_assert_int_eq(put_number(kv, n), -E_NO_SPACE);
	ck_assert_int_eq(kv_sync(kv, NULL), 0);
	assert_numbers(kv, n);
	snprintf(path, sizeof(path), "%s/other", directory);
	ck_assert_int_eq(kv_open(path, &options, &other, &e), -E_NO_SPACE);
	unfill_disk(directory);
	ck_assert_int_eq(put_number(kv, n++), 0);
	kv_close(kv);
	kv = scratch_kv(directory);
	assert_numbers(kv, n);
	kv_close(kv);
	umount2(directory, MNT_DETACH);
}
END_TEST

START_TEST(a_disk_that_filled_unnoticed_is_met_without_loss_and_recovered_from)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	struct kv *kv;
	unsigned n = 0;
	int r = 0;

	if (!small_disk(directory))
		return;
	kv = scratch_kv(directory);
	for (; n < 50; n++)
		ck_assert_int_eq(put_number(kv, n), 0);
	fill_disk(directory);
	do {
		lies_left = 1;
		r = put_number(kv, n);
	} while (r == 0 && ++n < 1000);
	ck_assert_int_eq(r, -E_NO_SPACE);
	ck_assert_int_eq(kv_sync(kv, NULL), -E_NO_SPACE);
	ck_assert_int_eq(kv_flush(kv, NULL), -E_NO_SPACE);
	assert_numbers(kv, n);
	unfill_disk(directory);
	for (int tries = 0; tries < 100 && (r = put_number(kv, n)) == -E_NO_SPACE; tries++)
		usleep(100000);
	ck_assert_int_eq(r, 0);
	n++;
	ck_assert_int_eq(kv_sync(kv, NULL), 0);
	assert_numbers(kv, n);
	kv_close(kv);
	kv = scratch_kv(directory);
	assert_numbers(kv, n);
	kv_close(kv);
	umount2(directory, MNT_DETACH);
}
END_TEST

static void put_unlogged(struct kv *kv, const char *key, const char *value)
{
	CLEANUP(kv_batch_release) struct kv_batch b = { 0 };
	struct error e = { 0 };

	kv_batch_put(&b, FAMILY_CHUNK, view_str(key), view_str(value));
	ck_assert_msg(kv_write_unlogged(kv, &b, &e) == 0, "%s", e.text);
}

/* What a process wrote that was killed: content past the log, flushed up to "f", and beside it what
 * the log has. */
START_TEST(content_past_the_log_is_kept_once_flushed_and_missed_by_nobody_before)
{
	CLEANUP(scratch_release) char *directory = scratch_new();
	int status;

	for (int flushes = 0; flushes < 2; flushes++) {
		pid_t child = fork();

		if (child == 0) {
			struct kv *kv = scratch_kv(directory);

			put_unlogged(kv, flushes ? "f" : "a", "past");
			put(kv, FAMILY_META, "between", "log");
			if (kv_sync(kv, NULL) < 0 || (flushes && kv_flush_content(kv, NULL) < 0))
				_exit(1);
			put(kv, FAMILY_META, flushes ? "second" : "first", "log");
			for (int i = 0; i < 100; i++)
				put_unlogged(kv, "z", "past");
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	struct kv *kv = scratch_kv(directory);
	ck_assert_str_eq(walk(kv, FAMILY_META, "", false, NULL), "between first second ");
	ck_assert_str_eq(walk(kv, FAMILY_CHUNK, "", false, NULL), "f ");
	ck_assert_str_eq(kv_opening_note(kv), "");
	kv_close(kv);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("kv");
	Suite *suite = suite_create("kv");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_written_value_is_read_and_absent_differs_from_empty);
	tcase_add_test(tc, families_do_not_see_each_other_and_survive_a_reopening);
	tcase_add_test(tc, a_walk_goes_through_a_prefix_in_either_order_and_no_further);
	tcase_add_test(tc, seeking_never_leaves_the_prefix);
	tcase_add_test(tc, an_iterator_may_be_sought_again_after_its_end);
	tcase_add_test(tc, a_snapshot_shows_what_was_there_when_it_was_taken);
	tcase_add_test(tc, many_values_are_read_in_one_call_found_or_not);
	tcase_add_test(tc, a_batch_applies_in_its_order_and_can_be_used_again);
	tcase_add_test(tc, keys_of_any_length_and_bytes_are_kept);
	tcase_add_test(tc, a_missing_database_is_no_store_and_a_lost_CURRENT_is_damage);
	tcase_add_test(tc, a_second_opening_is_told_that_the_store_is_in_use);
	tcase_add_test(tc, a_reader_beside_the_writer_sees_what_was_written_and_cannot_write);
	tcase_add_test(tc, an_injected_failure_strikes_the_nth_call_and_harms_nothing);
	tcase_add_test(tc, threads_may_sync_at_once);
	tcase_add_test(tc, what_was_written_survives_a_killed_writer);
	tcase_add_test(tc, content_past_the_log_is_kept_once_flushed_and_missed_by_nobody_before);
	tcase_add_test(tc, damage_to_any_file_is_refused_or_told_never_silent_and_never_fatal);
	tcase_add_test(tc, a_full_disk_refuses_writes_keeps_what_is_there_and_takes_writes_again);
	tcase_add_test(tc, a_disk_that_filled_unnoticed_is_met_without_loss_and_recovered_from);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
