/* scratch.h - a temporary directory for one test, removed with all that is in it. */
#ifndef DAYBOOK_TEST_SCRATCH_H
#define DAYBOOK_TEST_SCRATCH_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/kv.h"

/* A new directory's path, for CLEANUP(scratch_release). */
static inline char *scratch_new(void)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	ck_assert_int_gt(asprintf(&path, "%s/daybook-test.XXXXXX", base ? base : "/tmp"), 0);
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline void scratch_release(char **path)
{
	nftw(*path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(*path);
}

/* A database in it. */
static inline struct kv *scratch_kv(const char *directory)
{
	struct kv_options options = { .create = true, .cache_bytes = 8 << 20 };
	char path[256];
	struct kv *kv = NULL;
	struct error e = { 0 };

	snprintf(path, sizeof(path), "%s/db", directory);
	ck_assert_msg(kv_open(path, &options, &kv, &e) == 0, "%s", e.text);
	return kv;
}

#endif
