/* contents.h - for tests: a content layer over a database of its own, and bytes put into it. */
#ifndef DAYBOOK_TEST_CONTENTS_H
#define DAYBOOK_TEST_CONTENTS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scratch.h"
#include "store/content.h"

#define MIB ((size_t)1 << 20)

struct fixture {
	char *directory;
	struct kv *kv;
	struct content_store *cs;
};

static inline void fixture_open(struct fixture *f)
{
	static const uint8_t secret[32] = "the secret of the tests' stores";
	struct kv_options options = { .create = true, .cache_bytes = 8 * MIB };
	char path[256];
	struct error e = { 0 };

	snprintf(path, sizeof(path), "%s/db", f->directory);
	ck_assert_msg(kv_open(path, &options, &f->kv, &e) == 0, "%s", e.text);
	ck_assert_msg(content_store_open(f->kv, secret, 4 * MIB, &f->cs, &e) == 0, "%s", e.text);
}

static inline void fixture_close(struct fixture *f)
{
	content_store_close(f->cs);
	kv_close(f->kv);
}

static inline struct fixture fixture_new(void)
{
	struct fixture f = { .directory = scratch_new() };

	fixture_open(&f);
	return f;
}

static inline void fixture_release(struct fixture *f)
{
	fixture_close(f);
	scratch_release(&f->directory);
}

/* As the version layer does: writes the batch and notes which content has the digest. */
static inline void record(struct fixture *f, struct kv_batch *batch, const struct content_ref *ref)
{
	CLEANUP(buf_release) struct buf key = { 0 }, value = { 0 };
	struct error e = { 0 };

	buf_append(&key, ref->digest.bytes, DIGEST_LEN);
	buf_u64(&key, 1);
	buf_u64(&key, 1);
	buf_varint(&value, ref->id);
	kv_batch_put(batch, FAMILY_BY_DIGEST, buf_view(&key), buf_view(&value));
	ck_assert_msg(kv_write(f->kv, batch, &e) == 0, "%s", e.text);
}

static inline struct content_ref put_work(struct fixture *f, const struct work *work)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct content_ref ref;
	struct error e = { 0 };

	ck_assert_msg(content_put(f->cs, work, &batch, &ref, &e) == 0, "%s", e.text);
	record(f, &batch, &ref);
	return ref;
}

static inline int staged_file(const void *data, size_t n)
{
	int fd = memfd_create("staged", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t done = 0; done < n;) {
		ssize_t wrote = write(fd, (const char *)data + done, n - done);

		ck_assert_int_gt(wrote, 0);
		done += (size_t)wrote;
	}
	return fd;
}

static inline struct content_ref put_bytes(struct fixture *f, const void *data, size_t n)
{
	struct extent x = { .at = 0, .len = n, .kind = EXTENT_STAGED };
	struct work work = { &x, n > 0, n, staged_file(data, n) };
	struct content_ref ref = put_work(f, &work);

	close(work.fd);
	return ref;
}

static inline void assert_reads(struct fixture *f, uint64_t content, uint64_t offset,
				const void *data, size_t n)
{
	uint8_t *got = malloc(n + 1);
	struct error e = { 0 };
	size_t done = 0;

	while (done < n) {
		int r = content_read(f->cs, content, offset + done, got + done, n - done, &e);

		ck_assert_msg(r > 0, "%s", e.text);
		done += (size_t)r;
	}
	ck_assert(memcmp(got, data, n) == 0);
	free(got);
}

static inline void assert_sound(struct fixture *f, uint64_t content)
{
	struct error e = { 0 };

	ck_assert_msg(content_check(f->cs, content, NULL, NULL, &e) == 0, "%s", e.text);
}

#endif
