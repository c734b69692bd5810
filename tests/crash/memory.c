/* memory.c - see memory.h.  The linker sends every call of these functions here (--wrap).  WHERE=1
 * in the environment: says on stderr where the one is that fails. */
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

static atomic_uint countdown;
static atomic_bool came;

void memory_fail_nth(unsigned n)
{
	atomic_store(&came, false);
	atomic_store(&countdown, n);
}

bool memory_came(void)
{
	return atomic_load(&came);
}

static bool fails(void)
{
	unsigned left = atomic_load(&countdown);

	while (left && !atomic_compare_exchange_weak(&countdown, &left, left - 1))
		;
	if (left != 1)
		return false;
	atomic_store(&came, true);
	if (getenv("WHERE")) {
		void *frames[24];

		backtrace_symbols_fd(frames, backtrace(frames, 24), 2);
	}
	errno = ENOMEM;
	return true;
}

/* X(type, name, parameters, arguments, what it gives when it fails) */
#define WRAPPED(X) \
	X(void *, malloc, (size_t n), (n), NULL) \
	X(void *, calloc, (size_t n, size_t size), (n, size), NULL) \
	X(void *, realloc, (void *at, size_t n), (at, n), NULL) \
	X(void *, reallocarray, (void *at, size_t n, size_t size), (at, n, size), NULL) \
	X(char *, strdup, (const char *s), (s), NULL) \
	X(char *, realpath, (const char *path, char *out), (path, out), NULL) \
	X(DIR *, opendir, (const char *path), (path), NULL) \
	X(DIR *, fdopendir, (int fd), (fd), NULL) \
	X(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL) \
	X(int, nftw, (const char *path, __nftw_func_t visit, int fds, int flags), (path, visit, fds, flags), -1) \
	X(int, scandirat, (int at, const char *path, struct dirent ***list, int (*filter)(const struct dirent *), \
			   int (*order)(const struct dirent **, const struct dirent **)), \
	  (at, path, list, filter, order), -1) \
	X(ZSTD_CCtx *, ZSTD_createCCtx, (void), (), NULL) \
	X(ZSTD_DCtx *, ZSTD_createDCtx, (void), (), NULL) \
	X(size_t, ZSTD_compressCCtx, (ZSTD_CCtx *c, void *out, size_t room, const void *in, size_t n, int level), \
	  (c, out, room, in, n, level), (size_t)-64) /* ZSTD_error_memory_allocation */ \
	X(size_t, ZSTD_compress2, (ZSTD_CCtx *c, void *out, size_t room, const void *in, size_t n), \
	  (c, out, room, in, n), (size_t)-64) \
	X(size_t, ZSTD_decompressDCtx, (ZSTD_DCtx *c, void *out, size_t room, const void *in, size_t n), \
	  (c, out, room, in, n), (size_t)-64)

#define X(type, name, parameters, arguments, failed) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails() ? (failed) : __real_##name arguments; \
	}
WRAPPED(X)
#undef X
