/* print.h - rows on standard output: JSON, CSV, or a table for people. */
#ifndef DAYBOOK_PRINT_H
#define DAYBOOK_PRINT_H

#include "commands.h"
#include "store/control.h"

enum print_format { PRINT_TABLE, PRINT_JSON, PRINT_CSV };

/* How a command's rows look to people: text of one row, with what is below; the heading comes
 * before the first. */
struct printer {
	const char *heading;                                           /* NULL: none */
	void (*row)(struct buf *out, const struct cell *cells, size_t count);
	enum print_format format;
	uint64_t rows;
	bool progress; /* a bar is on the terminal */
	int64_t told_ns; /* when the last line was written, where there is no terminal */
};

/* The format that the options ask for: -E_USAGE when they ask for two. */
int print_format(const struct invocation *in, enum print_format *ret, struct error *e);

/* The answer that prints rows with the printer, which must outlive it; a progress bar, or a count
 * where the end is not known, goes to standard error with_progress; when that is no terminal, a
 * line every ten seconds. */
struct answer print_answer(struct printer *printer, bool with_progress);
/* Takes the bar away. */
void print_end(struct printer *printer);

/* Pieces of a table's row.  Text is made safe for terminals: control characters show as \ooo. */
/* NULL: none. */
const struct cell *cell_named(const struct cell *cells, size_t count, const char *name);
void print_text(struct buf *out, const struct cell *cells, size_t count, const char *name,
		int width);
void print_number(struct buf *out, const struct cell *cells, size_t count, const char *name,
		  int width);
/* 20 wide, UTC. */
void print_time(struct buf *out, const struct cell *cells, size_t count, const char *name);
void print_bytes(struct buf *out, const struct cell *cells, size_t count, const char *name,
		 int width);
void print_safe(struct buf *out, struct view text);

#endif
