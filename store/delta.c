/* delta.c - see delta.h. */
#include "delta.h"

#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL 9
#define LEVEL_LARGE 3
#define LARGE_BYTES ((size_t)8 << 20)
#define WINDOW_LOG_MIN 17
#define WINDOW_LOG_MAX 27 /* base and bytes together */

static void release_compressor(ZSTD_CCtx **c)
{
	ZSTD_freeCCtx(*c);
}

static void release_decompressor(ZSTD_DCtx **d)
{
	ZSTD_freeDCtx(*d);
}

static int window_log(size_t bytes)
{
	int log = WINDOW_LOG_MIN;

	while (log < WINDOW_LOG_MAX && (size_t)1 << log < bytes)
		log++;
	return log;
}

/* Long-distance matching finds what is alike however far apart; the level only sees to what is
 * between. */
static void set_up(ZSTD_CCtx *c, struct view bytes, struct view base)
{
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel,
			       bytes.len > LARGE_BYTES ? LEVEL_LARGE : LEVEL);
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log(bytes.len + base.len));
	ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, base.len > 0);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 1);
	ZSTD_CCtx_refPrefix(c, base.data, base.len);
}

int delta_make(struct view bytes, struct view base, struct buf *out, struct error *e)
{
	CLEANUP(release_compressor) ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(bytes.len);
	void *to = buf_grow(out, bound);

	if (!c || !to)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	set_up(c, bytes, base);
	size_t n = ZSTD_compress2(c, to, bound, bytes.data, bytes.len);
	if (ZSTD_isError(n))
		return error_set(e, -E_NO_MEMORY, "zstd: %s", ZSTD_getErrorName(n));
	out->len -= bound - n;
	return 0;
}

int delta_undo(struct view delta, struct view base, size_t size_max, struct buf *out,
	       struct error *e)
{
	CLEANUP(release_decompressor) ZSTD_DCtx *d = ZSTD_createDCtx();
	unsigned long long size = ZSTD_getFrameContentSize(delta.data, delta.len);

	if (size > size_max) /* unknown or wrong are the largest numbers */
		return error_set(e, -E_CORRUPT, "a delta is damaged: its size");
	void *to = buf_grow(out, (size_t)size);
	if (!d || out->failed)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	ZSTD_DCtx_refPrefix(d, base.data, base.len);
	size_t n = ZSTD_decompressDCtx(d, to, (size_t)size, delta.data, delta.len);
	if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (ZSTD_isError(n) || n != size) {
		out->len -= (size_t)size;
		return error_set(e, -E_CORRUPT, "a delta is damaged: it does not decompress");
	}
	return 0;
}
