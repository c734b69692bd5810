/* Staging: a write that was answered is found again, whatever happens to the process. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "noise.h"
#include "scratch.h"
#include "store/staging.h"

#define MIB ((size_t)1 << 20)

struct fixture {
	char *directory;
	int fd;
	struct journals *journals;
	struct kv *kv;
	struct content_store *cs;
	struct content_ref base; /* of base_bytes */
	uint8_t *base_bytes;
};

static struct content_ref put_work(struct fixture *f, const struct work *work)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct content_ref ref;
	struct error e = { 0 };

	ck_assert_msg(content_put(f->cs, work, &batch, &ref, &e) == 0, "%s", e.text);
	ck_assert_msg(kv_write(f->kv, &batch, &e) == 0, "%s", e.text);
	return ref;
}

#define BASE_SIZE 200000

static struct fixture fixture_new(void)
{
	static const uint8_t secret[32] = "the secret of the tests' stores";
	struct kv_options options = { .create = true, .cache_bytes = 8 * MIB };
	struct fixture f = { .directory = scratch_new(), .base_bytes = noise_new(BASE_SIZE, 1) };
	struct extent x = { 0, BASE_SIZE, EXTENT_STAGED, 0, 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/db", f.directory);
	ck_assert_int_eq(kv_open(path, &options, &f.kv, NULL), 0);
	ck_assert_int_eq(content_store_open(f.kv, secret, 4 * MIB, &f.cs, NULL), 0);
	snprintf(path, sizeof(path), "%s/staging", f.directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	f.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(f.fd, 0);
	int bytes = openat(f.fd, "base", O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(write(bytes, f.base_bytes, BASE_SIZE), BASE_SIZE);
	f.base = put_work(&f, &(struct work){ &x, 1, BASE_SIZE, bytes });
	close(bytes);
	unlinkat(f.fd, "base", 0);
	ck_assert_int_eq(journals_new(f.fd, &f.journals, NULL), 0);
	return f;
}

static void fixture_release(struct fixture *f)
{
	content_store_close(f->cs);
	kv_close(f->kv);
	journals_free(f->journals);
	close(f->fd);
	free(f->base_bytes);
	scratch_release(&f->directory);
}

static struct staging_origin origin_of(const struct content_ref *base)
{
	return (struct staging_origin){ .ino = 0xabc,
					.content = base->id,
					.size = base->size,
					.uid = 1001,
					.gid = 100,
					.tgid = 77,
					.author = view_str("anna"),
					.command = view_str("soffice.bin"),
					.client = view_str("smb 192.0.2.7"),
					.base = 12,
					.mtime = -5 };
}

/* The only journal, or NULL; what was put aside is none. */
static const char *journal_name(struct fixture *f)
{
	static char name[300];
	DIR *directory = fdopendir(openat(f->fd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;

	name[0] = '\0';
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "lost-", 5) == 0)
			continue;
		ck_assert_str_eq(name, "");
		snprintf(name, sizeof(name), "%s", entry->d_name);
	}
	closedir(directory);
	return name[0] ? name : NULL;
}

static struct staging *begin(struct fixture *f, const struct content_ref *base)
{
	struct staging_origin origin = origin_of(base);
	struct staging *s = NULL;
	struct error e = { 0 };

	ck_assert_msg(staging_begin(f->journals, &origin, &s, &e) == 0, "%s", e.text);
	return s;
}

static struct staging *recover(struct fixture *f, struct staging_origin *origin,
			       struct buf *strings, bool *torn)
{
	struct staging *s = NULL;
	struct error e = { 0 };

	ck_assert_msg(
		staging_recover(f->journals, journal_name(f), &s, origin, strings, torn, &e) == 0,
		"%s", e.text);
	return s;
}

static void assert_reads(struct fixture *f, const struct staging *s, const void *data, size_t n)
{
	struct work work = staging_work(s);
	uint8_t *got = malloc(n + 1);
	struct error e = { 0 };

	ck_assert_uint_eq(work.size, n);
	ck_assert_uint_eq(staging_size(s), n);
	ck_assert_msg(work_read(f->cs, &work, 0, got, n + 1, &e) == (int)n, "%s", e.text);
	ck_assert(memcmp(got, data, n) == 0);
	free(got);
}

static int write_text(struct staging *s, uint64_t offset, const char *text)
{
	return staging_write(s, offset, text, strlen(text), NULL);
}

static uint64_t journal_size(struct fixture *f)
{
	struct stat st = { 0 };

	ck_assert_int_eq(fstatat(f->fd, journal_name(f), &st, 0), 0);
	return (uint64_t)st.st_size;
}

static const struct content_ref empty = { 0 };

START_TEST(what_is_written_is_read_over_what_was_there)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &f.base);

	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	ck_assert_int_eq(write_text(s, 1000, "hello"), 0);
	memcpy(f.base_bytes + 1000, "hello", 5);
	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	ck_assert_int_eq(staging_truncate(s, 1003, NULL), 0);
	assert_reads(&f, s, f.base_bytes, 1003);
	ck_assert_uint_eq(staging_extent_count(s), 2);
	staging_end(s);
	journals_free(f.journals);
	f.journals = NULL;
	ck_assert_ptr_null(journal_name(&f));
}
END_TEST

START_TEST(a_write_past_the_end_leaves_a_hole)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &empty);
	uint64_t found;

	ck_assert_int_eq(write_text(s, 3, "abc"), 0);
	assert_reads(&f, s, "\0\0\0abc", 6);
	struct work work = staging_work(s);
	ck_assert_int_eq(work_seek(f.cs, &work, 0, false, &found, NULL), 0);
	ck_assert_uint_eq(found, 3);
	ck_assert_int_eq(staging_zero(s, 4, 100, true, NULL), 0);
	assert_reads(&f, s, "\0\0\0a\0\0", 6);
	ck_assert_int_eq(staging_zero(s, 50, 100, true, NULL), 0);
	ck_assert_uint_eq(staging_size(s), 6);
	ck_assert_int_eq(staging_zero(s, 6, 4, false, NULL), 0);
	assert_reads(&f, s, "\0\0\0a\0\0\0\0\0\0", 10);
	staging_end(s);
}
END_TEST

START_TEST(a_size_beyond_the_largest_is_refused)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &empty);

	ck_assert_int_eq(write_text(s, CONTENT_SIZE_MAX, "x"), -E_TOO_BIG);
	ck_assert_int_eq(staging_truncate(s, UINT64_MAX, NULL), -E_TOO_BIG);
	ck_assert_int_eq(staging_zero(s, 5, UINT64_MAX, false, NULL), -E_TOO_BIG);
	ck_assert_int_eq(staging_share(s, 0, 9, f.base.id, UINT64_MAX - 3, NULL), -E_TOO_BIG);
	ck_assert_int_eq(staging_truncate(s, CONTENT_SIZE_MAX, NULL), 0);
	ck_assert_int_eq(write_text(s, CONTENT_SIZE_MAX - 1, "x"), 0);
	ck_assert_uint_eq(staging_extent_count(s), 2);
	staging_end(s);
}
END_TEST

static int recover_nothing(struct fixture *f)
{
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging_origin origin;
	struct staging *s;
	bool torn;

	return staging_recover(f->journals, journal_name(f), &s, &origin, &strings, &torn, NULL);
}

START_TEST(a_journal_that_is_done_with_is_used_again)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();

	for (int i = 0; i < 300; i++) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		struct staging *s = begin(&f, &empty), *found;
		struct staging_origin origin;
		char text[600];
		bool torn;

		memset(text, 'a' + i % 26, sizeof(text));
		ck_assert_int_eq(staging_write(s, 0, text, sizeof(text), NULL), 0);
		found = recover(&f, &origin, &strings, &torn);
		ck_assert(!torn);
		assert_reads(&f, found, text, sizeof(text));
		staging_abandon(found);
		staging_end(s);
		ck_assert_int_eq(recover_nothing(&f), 1);
		ck_assert_uint_lt(journal_size(&f), 70000);
	}
	ck_assert_ptr_nonnull(journal_name(&f));
}
END_TEST

START_TEST(a_second_use_cut_anywhere_never_gives_what_the_first_wrote)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &empty);

	ck_assert_int_eq(write_text(s, 0, "first"), 0);
	staging_end(s);
	uint64_t ended = journal_size(&f);
	s = begin(&f, &empty);
	uint64_t begun = journal_size(&f);
	ck_assert_int_eq(write_text(s, 0, "second"), 0);
	uint64_t end = journal_size(&f);
	staging_abandon(s);
	for (uint64_t size = end; size >= ended; size--) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		struct staging_origin origin;
		bool torn;
		int fd = openat(f.fd, journal_name(&f), O_RDWR);

		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
		close(fd);
		if (size < begun) {
			ck_assert_int_eq(recover_nothing(&f), 1);
			continue;
		}
		s = recover(&f, &origin, &strings, &torn);
		ck_assert_int_eq(torn, size != begun && size != end);
		assert_reads(&f, s, "second", size == end ? 6 : 0);
		staging_abandon(s);
	}
}
END_TEST

START_TEST(a_second_use_whose_beginning_is_damaged_is_set_aside)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint8_t *data = noise_new(5000, 4);
	struct staging *s = begin(&f, &empty);

	ck_assert_int_eq(write_text(s, 0, "first"), 0);
	staging_end(s);
	uint64_t ended = journal_size(&f);
	s = begin(&f, &empty);
	ck_assert_int_eq(staging_write(s, 0, data, 5000, NULL), 0);
	staging_abandon(s);
	int fd = openat(f.fd, journal_name(&f), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "?", 1, (off_t)ended + 60), 1);
	close(fd);
	ck_assert_int_eq(recover_nothing(&f), -E_CORRUPT);
	ck_assert_ptr_null(journal_name(&f));
	free(data);
}
END_TEST

START_TEST(journals_in_use_are_never_used_by_two)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s[40];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++) {
			s[i] = begin(&f, &empty);
			ck_assert_int_eq(write_text(s[i], (uint64_t)i, "x"), 0);
		}
		for (int i = 0; i < 40; i++) {
			ck_assert_uint_eq(staging_size(s[i]), (uint64_t)i + 1);
			staging_end(s[i]);
		}
	}
	journals_free(f.journals);
	f.journals = NULL;
	ck_assert_ptr_null(journal_name(&f));
}
END_TEST

START_TEST(everything_is_recovered_with_who_wrote_it)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging *s = begin(&f, &f.base);
	struct staging_origin origin;
	bool torn = true;

	ck_assert_int_eq(write_text(s, 10, "one"), 0);
	ck_assert_int_eq(staging_truncate(s, 5000, NULL), 0);
	ck_assert_int_eq(staging_zero(s, 100, 50, true, NULL), 0);
	ck_assert_int_eq(staging_share(s, 5000, 300, f.base.id, 7, NULL), 0);
	memmove(f.base_bytes + 5000, f.base_bytes + 7, 300);
	memcpy(f.base_bytes + 10, "one", 3);
	memset(f.base_bytes + 100, 0, 50);
	assert_reads(&f, s, f.base_bytes, 5300);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	assert_reads(&f, s, f.base_bytes, 5300);
	ck_assert(!torn);
	ck_assert_uint_eq(origin.ino, 0xabc);
	ck_assert_uint_eq(origin.content, f.base.id);
	ck_assert_uint_eq(origin.size, BASE_SIZE);
	ck_assert_uint_eq(origin.uid, 1001);
	ck_assert_uint_eq(origin.gid, 100);
	ck_assert_uint_eq(origin.tgid, 77);
	ck_assert_uint_eq(origin.base, 12);
	ck_assert_int_eq(origin.mtime, -5);
	ck_assert(view_equal(origin.author, view_str("anna")));
	ck_assert(view_equal(origin.command, view_str("soffice.bin")));
	ck_assert(view_equal(origin.client, view_str("smb 192.0.2.7")));
	staging_end(s);
}
END_TEST

START_TEST(times_that_were_set_hold_until_the_bytes_change)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging_times set = { -7, 1234567890123456789 }, got;
	struct staging_origin origin;
	struct staging *s = begin(&f, &f.base);
	struct error e = { 0 };
	bool torn;

	ck_assert_int_eq(write_text(s, 0, "hello"), 0);
	ck_assert_msg(staging_set_times(s, &set, &e) == 0, "%s", e.text);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	got = staging_times(s);
	ck_assert(got.mtime == set.mtime && got.atime == set.atime && !torn);
	ck_assert_int_eq(write_text(s, 5, "!"), 0);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	got = staging_times(s);
	ck_assert(got.mtime == 0 && got.atime == set.atime);
	ck_assert_int_eq(staging_set_times(s, &set, NULL), 0);
	ck_assert_int_eq(staging_rebase(s, &(struct staging_origin){ .ino = 0xabc }, NULL), 0);
	got = staging_times(s);
	ck_assert(got.mtime == 0 && got.atime == 0);
	staging_end(s);
}
END_TEST

START_TEST(a_journal_cut_anywhere_gives_what_was_whole_before_the_cut)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &empty);
	uint64_t ends[5] = { staging_staged_bytes(s) };
	char text[] = "aaaabbbbccccdddd";

	for (uint64_t i = 0; i < 4; i++) {
		ck_assert_int_eq(staging_write(s, 4 * i, text + 4 * i, 4, NULL), 0);
		ends[i + 1] = staging_staged_bytes(s);
	}
	staging_abandon(s);
	for (uint64_t size = ends[4];; size--) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		struct staging_origin origin;
		size_t whole = 0;
		bool torn;
		int fd = openat(f.fd, journal_name(&f), O_RDWR);

		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
		close(fd);
		while (whole < 4 && ends[whole + 1] <= size)
			whole++;
		if (size < ends[0]) {
			ck_assert_int_eq(recover_nothing(&f), 1);
			if (size == 0)
				break;
			continue;
		}
		s = recover(&f, &origin, &strings, &torn);
		ck_assert_uint_eq(origin.ino, 0xabc);
		assert_reads(&f, s, text, 4 * whole);
		ck_assert_int_eq(torn, size != ends[whole]);
		staging_abandon(s);
	}
}
END_TEST

START_TEST(a_damaged_byte_ends_the_journal_there_and_a_damaged_start_sets_it_aside)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging *s = begin(&f, &empty);
	uint64_t first = staging_staged_bytes(s);
	struct error e = { 0 };
	uint64_t state = 3;

	ck_assert_int_eq(write_text(s, 0, "first"), 0);
	uint64_t second = staging_staged_bytes(s);
	ck_assert_int_eq(write_text(s, 5, "second"), 0);
	uint64_t end = staging_staged_bytes(s);
	char name[300];

	snprintf(name, sizeof(name), "%s", journal_name(&f));
	staging_abandon(s);
	for (uint64_t at = end; at-- > 0;) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		int fd = openat(f.fd, journal_name(&f), O_RDWR);
		struct staging_origin origin;
		uint8_t byte, bad;
		bool torn;

		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
		bad = byte ^ (uint8_t)(1 + noise_below(&state, 255));
		ck_assert_int_eq(pwrite(fd, &bad, 1, (off_t)at), 1);
		int r = staging_recover(f.journals, journal_name(&f), &s, &origin, &strings, &torn,
					&e);
		if (at >= first) {
			ck_assert_int_eq(r, 0);
			ck_assert(torn);
			assert_reads(&f, s, "firstsecond", at < second ? 0 : 5);
			staging_abandon(s);
		} else if (r != 1) { /* a length beyond the file's end looks like a beginning that
					was cut */
			char lost[320];

			ck_assert_int_eq(r, -E_CORRUPT);
			snprintf(lost, sizeof(lost), "lost-%s", name);
			ck_assert_ptr_nonnull(strstr(e.text, lost));
			ck_assert_int_eq(renameat(f.fd, lost, f.fd, name), 0);
		}
		ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
		close(fd);
	}
}
END_TEST

START_TEST(after_a_save_the_journal_goes_on_from_the_saved_content)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging *s = begin(&f, &empty);
	struct staging_origin origin;
	bool torn;

	ck_assert_int_eq(write_text(s, 0, "unsaved"), 0);
	origin = origin_of(&f.base);
	ck_assert_int_eq(staging_rebase(s, &origin, NULL), 0);
	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	ck_assert_int_eq(write_text(s, 3, "more"), 0);
	memcpy(f.base_bytes + 3, "more", 4);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	ck_assert(!torn);
	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	staging_end(s);
}
END_TEST

START_TEST(a_long_journal_starts_over_in_place)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	uint8_t *data = noise_new(3 * MIB, 4);
	struct staging *s = begin(&f, &empty);
	struct staging_origin origin = origin_of(&f.base);
	bool torn;

	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(staging_write(s, i * MIB, data + i * MIB, MIB, NULL), 0);
	ck_assert_int_eq(staging_rebase(s, &origin, NULL), 0);
	ck_assert_uint_lt(journal_size(&f), 4096);
	ck_assert_int_eq(write_text(s, 0, "new"), 0);
	memcpy(f.base_bytes, "new", 3);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	ck_assert(!torn);
	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	staging_end(s);
	free(data);
}
END_TEST

START_TEST(what_an_earlier_use_of_the_file_left_is_not_taken_for_this_one)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	uint8_t *data = noise_new(2 * MIB, 5), *old = malloc(4 * MIB);
	struct staging *s = begin(&f, &empty);
	struct staging_origin origin = origin_of(&empty);
	bool torn;

	ck_assert_int_eq(staging_write(s, 0, data, 2 * MIB, NULL), 0);
	ck_assert_int_eq(write_text(s, 0, "old"), 0);
	int fd = openat(f.fd, journal_name(&f), O_RDWR);
	ssize_t n = pread(fd, old, 4 * MIB, 0);
	ck_assert_int_eq(staging_rebase(s, &origin, NULL), 0);
	uint64_t begun = staging_staged_bytes(s);
	staging_abandon(s);
	/* Died between the two steps of starting over: the rest of the file is as it was. */
	ck_assert_int_eq(pwrite(fd, old + begun, (size_t)n - begun, (off_t)begun),
			 n - (ssize_t)begun);
	s = recover(&f, &origin, &strings, &torn);
	ck_assert(!torn);
	assert_reads(&f, s, "", 0);
	staging_end(s);
	close(fd);
	free(data);
	free(old);
}
END_TEST

START_TEST(a_failed_write_changes_nothing)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging *s = begin(&f, &empty);
	struct staging_origin origin = origin_of(&f.base);
	bool torn;

	ck_assert_int_eq(write_text(s, 0, "good"), 0);
	for (size_t part = 0; part < 60; part += 7) {
		staging_fail_nth(1, ENOSPC, part);
		ck_assert_int_eq(write_text(s, 2, "a write that fails"), -E_NO_SPACE);
		assert_reads(&f, s, "good", 4);
	}
	staging_fail_nth(1, EIO, 10);
	ck_assert_int_eq(staging_truncate(s, 1, NULL), -EIO);
	staging_fail_nth(1, EIO, 10);
	ck_assert_int_eq(staging_rebase(s, &origin, NULL), -EIO);
	ck_assert_int_eq(write_text(s, 4, "ness"), 0);
	assert_reads(&f, s, "goodness", 8);
	staging_abandon(s);
	s = recover(&f, &origin, &strings, &torn);
	ck_assert(!torn);
	assert_reads(&f, s, "goodness", 8);
	staging_end(s);
}
END_TEST

START_TEST(a_full_disk_does_not_keep_a_save_from_being_followed_up)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging_origin origin = origin_of(&f.base);
	struct staging *s = begin(&f, &empty);

	ck_assert_int_eq(write_text(s, 0, "some text that makes room"), 0);
	staging_fail_nth(1, ENOSPC, 0);
	ck_assert_int_eq(staging_rebase(s, &origin, NULL), 0);
	assert_reads(&f, s, f.base_bytes, BASE_SIZE);
	staging_end(s);
}
END_TEST

START_TEST(a_failed_beginning_leaves_no_file)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct staging_origin origin = origin_of(&f.base);
	struct staging *s;

	staging_fail_nth(1, ENOSPC, 30);
	ck_assert_int_eq(staging_begin(f.journals, &origin, &s, NULL), -E_NO_SPACE);
	staging_end(begin(&f, &f.base));
}
END_TEST

/* A file as plain memory, to compare with. */
struct model {
	uint8_t *bytes;
	size_t size;
};

#define MODEL_MAX 400000

static void model_resize(struct model *m, size_t size)
{
	if (size > m->size)
		memset(m->bytes + m->size, 0, size - m->size);
	m->size = size;
}

static void random_change(struct fixture *f, struct staging *s, struct model *m, uint64_t *state)
{
	size_t at = noise_below(state, MODEL_MAX / 2);
	size_t n = 1 + noise_below(state, noise_below(state, 4) ? 3000 : 100000);
	size_t end = at + n, from = noise_below(state, BASE_SIZE - 100001);
	bool keep = noise_below(state, 2);

	switch (noise_below(state, 6)) {
	case 0:
		ck_assert_int_eq(staging_truncate(s, at, NULL), 0);
		model_resize(m, at);
		return;
	case 1:
		ck_assert_int_eq(staging_zero(s, at, n, keep, NULL), 0);
		if (!keep && end > m->size)
			model_resize(m, end);
		end = end < m->size ? end : m->size;
		if (at < end)
			memset(m->bytes + at, 0, end - at);
		return;
	case 2:
		ck_assert_int_eq(staging_share(s, at, n, f->base.id, from, NULL), 0);
		if (end > m->size)
			model_resize(m, end);
		memcpy(m->bytes + at, f->base_bytes + from, n);
		return;
	}
	if (end > m->size)
		model_resize(m, end);
	noise_fill(m->bytes + at, n, noise_next(state));
	ck_assert_int_eq(staging_write(s, at, m->bytes + at, n, NULL), 0);
}

static void assert_in_order(const struct staging *s)
{
	struct work work = staging_work(s);
	uint64_t at = 0;

	for (size_t i = 0; i < work.count; at += work.extents[i++].len) {
		ck_assert_uint_eq(work.extents[i].at, at);
		ck_assert_uint_gt(work.extents[i].len, 0);
	}
	ck_assert_uint_eq(at, work.size);
}

START_TEST(random_changes_saves_and_recoveries_match_a_model)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	struct model m = { malloc(MODEL_MAX), 0 };
	struct staging *s = begin(&f, &f.base);
	struct staging_origin origin;
	uint64_t state = 6;

	memcpy(m.bytes, f.base_bytes, m.size = BASE_SIZE);
	for (int i = 0; i < 600; i++) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		bool torn;

		random_change(&f, s, &m, &state);
		assert_in_order(s);
		if (noise_below(&state, 10) == 0)
			assert_reads(&f, s, m.bytes, m.size);
		if (noise_below(&state, 15) == 0) { /* killed */
			staging_abandon(s);
			s = recover(&f, &origin, &strings, &torn);
			ck_assert(!torn);
			assert_reads(&f, s, m.bytes, m.size);
		}
		if (noise_below(&state, 30) == 0) { /* saved */
			struct work work = staging_work(s);
			struct content_ref ref = put_work(&f, &work);

			origin = origin_of(&ref);
			ck_assert_int_eq(staging_rebase(s, &origin, NULL), 0);
			assert_reads(&f, s, m.bytes, m.size);
		}
	}
	staging_end(s);
	free(m.bytes);
}
END_TEST

START_TEST(a_writer_killed_at_any_moment_loses_no_answered_write)
{
	CLEANUP(fixture_release) struct fixture f = fixture_new();
	uint64_t state = 7;

	for (int round = 0; round < 10; round++) {
		CLEANUP(buf_release) struct buf strings = { 0 };
		struct staging_origin origin;
		int answers[2];
		uint32_t answered = 0, n;
		bool torn;

		ck_assert_int_eq(pipe(answers), 0);
		pid_t child = fork();
		if (child == 0) {
			struct staging *s = begin(&f, &empty);

			for (n = 0;; n++) {
				if (staging_write(s, 4ull * n, &n, 4, NULL) != 0 ||
				    write(answers[1], &n, 4) != 4)
					_exit(1);
			}
		}
		close(answers[1]);
		while (answered < 100 + noise_below(&state, 1000) && read(answers[0], &n, 4) == 4)
			answered = n + 1;
		kill(child, SIGKILL);
		while (read(answers[0], &n, 4) == 4)
			answered = n + 1;
		waitpid(child, NULL, 0);
		close(answers[0]);
		struct staging *s = recover(&f, &origin, &strings, &torn);
		struct work work = staging_work(s);
		ck_assert_uint_ge(work.size, 4ull * answered);
		for (uint32_t i = 0; i < answered; i++) {
			ck_assert_int_eq(work_read(f.cs, &work, 4ull * i, &n, 4, NULL), 4);
			ck_assert_uint_eq(n, i);
		}
		staging_remove(s);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("staging");
	Suite *suite = suite_create("staging");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_written_is_read_over_what_was_there);
	tcase_add_test(tc, a_write_past_the_end_leaves_a_hole);
	tcase_add_test(tc, a_size_beyond_the_largest_is_refused);
	tcase_add_test(tc, a_journal_that_is_done_with_is_used_again);
	tcase_add_test(tc, a_second_use_cut_anywhere_never_gives_what_the_first_wrote);
	tcase_add_test(tc, a_second_use_whose_beginning_is_damaged_is_set_aside);
	tcase_add_test(tc, journals_in_use_are_never_used_by_two);
	tcase_add_test(tc, everything_is_recovered_with_who_wrote_it);
	tcase_add_test(tc, times_that_were_set_hold_until_the_bytes_change);
	tcase_add_test(tc, a_journal_cut_anywhere_gives_what_was_whole_before_the_cut);
	tcase_add_test(tc, a_damaged_byte_ends_the_journal_there_and_a_damaged_start_sets_it_aside);
	tcase_add_test(tc, after_a_save_the_journal_goes_on_from_the_saved_content);
	tcase_add_test(tc, a_long_journal_starts_over_in_place);
	tcase_add_test(tc, what_an_earlier_use_of_the_file_left_is_not_taken_for_this_one);
	tcase_add_test(tc, a_failed_write_changes_nothing);
	tcase_add_test(tc, a_full_disk_does_not_keep_a_save_from_being_followed_up);
	tcase_add_test(tc, a_failed_beginning_leaves_no_file);
	tcase_add_test(tc, random_changes_saves_and_recoveries_match_a_model);
	tcase_add_test(tc, a_writer_killed_at_any_moment_loses_no_answered_write);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
