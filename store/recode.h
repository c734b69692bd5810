/* recode.h - how to make a deflate stream again, bit for bit, from what it inflates to.
 *
 * Most programs deflate with zlib, so few numbers say what they did: a *recipe*.  Which streams
 * zlib makes of given bytes is no part of its promise, though it has been the same for decades: so
 * Daybook links zlib statically, nothing is packed that was not made again first, and
 * recode_is_sound() tells a zlib that makes other streams. */
#ifndef DAYBOOK_RECODE_H
#define DAYBOOK_RECODE_H

#include "bytes.h"

/* RECIPE_ZLIB + level: one zlib stream, memLevel 8 (openpyxl, XlsxWriter, most others).
 *
 * RECIPE_BLOCKS + level: as LibreOffice since 7: blocks of 128 KiB, each a stream of its own that
 * was given the 32 KiB before it as dictionary, ended by a sync flush, the last by the end.
 *
 * RECIPE_OFFICE + enum office_way: as Microsoft Excel, Word and PowerPoint: one stream of level 1,
 * memLevel 7, a sync flush behind all bytes, and the end behind that.
 *
 * RECIPE_TOKENS: not zlib, but the stream's own choices (tokens.h), which plain.h keeps: for the
 * others.
 *
 * Kept on disk. */
enum recode_recipe {
	RECIPE_NONE = 0,
	RECIPE_ZLIB = 0x10,
	RECIPE_BLOCKS = 0x20,
	RECIPE_OFFICE = 0x30,
	RECIPE_TOKENS = 0x40,
};

enum office_way {
	OFFICE_DEEP = 1,    /* since 2013: chains of 16, matches as long as they go */
	OFFICE_ALIGNED = 2, /* a partial flush before the other; in long streams, mostly */
};

#define RECODE_RATIO_MAX 1032 /* deflate cannot say more: 258 bytes in two bits */

/* Inflates a stream, which ends where compressed does: 1, with its bytes appended to out.  0: it is
 * no such stream, or inflates to more than size_max or to more than deflate can say; out is as it
 * was. */
int recode_inflate(struct view compressed, size_t size_max, struct buf *out, struct error *e);

/* The recipe by which zlib makes exactly compressed of plain: 1 and *ret, or 0. */
int recode_find(struct view compressed, struct view plain, uint8_t *ret, struct error *e);

/* Appends the stream that recipe makes of plain.  -E_CORRUPT: an unknown recipe; or more than
 * len_max bytes. */
int recode_make(uint8_t recipe, struct view plain, size_t len_max, struct buf *out,
		struct error *e);

/* Whether this zlib makes the streams that the one did with which this was written. */
bool recode_is_sound(void);

#endif
