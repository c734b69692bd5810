/* tokens.h - any deflate stream taken apart into what it inflates to and *choices*, how it says it;
 * and put together again, bit for bit.
 *
 * Whoever deflates chooses where blocks begin, of which type they are, which codes they have, and
 * for each place whether bytes stand there themselves or are a match, so long and from so far back.
 * With these choices no deflater is needed to make the stream again, so it does not matter which
 * one it was.  They are kept in columns, a byte or few each, so that those of a stream that differs
 * in few places differ in few bytes.
 *
 * Choices, encoded: varints, the lengths of the columns blocks, runs and odd, and the number of
 * matches; a byte, the bits behind the end in the stream's last byte; then the columns:
 *   blocks  of each block a byte, 1 for the last, plus 2 * type.  Stored (type 0): a byte, the bits
 *           before its length, and that, a varint.  Fixed (1): a varint, how many tokens (a byte or
 *           a match each) are in it.  Dynamic (2): a byte each, as they stand there, HLIT, HDIST,
 *           HCLEN, the HCLEN + 4 lengths of the code of code lengths, and its symbols, 0 to 15 as
 *           they are, 16 as 16 + its extra bits, 17 as 20 and 18 as 28 + theirs; then, as of a
 *           fixed one, a varint
 *   runs    varints: the bytes before each match that are none, and those after the last; what is
 *           in stored blocks is not counted
 *   lengths of each match a byte, its length - 3
 *   far     of each match a byte, its distance - 1 divided by 256
 *   near    of each match a byte, the rest
 *   odd     varints: how many matches there are before the first, and then between them, of those
 *           that are 258 long and said with the length code's symbol 284, and not with 285
 */
#ifndef DAYBOOK_TOKENS_H
#define DAYBOOK_TOKENS_H

#include "bytes.h"

/* Takes a stream apart that ends where compressed does: 1, with its bytes appended to plain and its
 * choices to choices.  0: it is no such stream, or both would take more than size_max; the bufs are
 * as they were. */
int tokens_split(struct view compressed, size_t size_max, struct buf *plain, struct buf *choices,
		 struct error *e);

/* Appends the stream.  -E_CORRUPT: the choices are damaged, or not of these bytes; or more than
 * len_max bytes. */
int tokens_join(struct view plain, struct view choices, size_t len_max, struct buf *out,
		struct error *e);

#endif
