/* cell.h - rows of named values, and how they are written as CSV and JSON.
 *
 * Everything that Daybook lists (the log, versions, findings) is a stream of *rows*; a row is a run
 * of *cells* whose names and order are an interface: documented in daybook(1) and
 * daybook-changelog(5), added to at the end only.
 *
 * CSV is RFC 4180 with LF ends: a header line, commas, cells quoted with '"' when they hold a
 * comma, a quote, a CR, an LF or stand between blanks.  Programs that open CSV take a cell that
 * begins with = + - @ TAB or CR for a formula, so a text cell that begins with one of these or with
 * an apostrophe gets an apostrophe in front: taking one leading apostrophe away gives back what
 * was.  Bytes that are not UTF-8 stay as they are.
 *
 * JSON is one object per row on one line.  Bytes that are not UTF-8 become \udc80 to \udcff (the
 * low byte is the byte), as Python's "surrogateescape" has it: valid JSON, and nothing is lost. */
#ifndef DAYBOOK_CELL_H
#define DAYBOOK_CELL_H

#include "bytes.h"

enum cell_kind {
	CELL_TEXT,
	CELL_NUMBER,
	CELL_TIME, /* ns since 1970; written as "2026-03-03T14:15:20.123456789Z" */
	CELL_FLAG, /* 0, 1; written as no, yes in CSV and as false, true in JSON */
	CELL_NONE, /* nothing to say: empty in CSV, null in JSON */
};

struct cell {
	const char *name; /* of the column: outlives the cell */
	enum cell_kind kind;
	struct view text; /* CELL_TEXT; borrowed */
	int64_t number;   /* CELL_NUMBER, CELL_TIME, CELL_FLAG */
};

static inline struct cell cell_text(const char *name, struct view text)
{
	return (struct cell){ .name = name, .kind = CELL_TEXT, .text = text };
}

/* Like cell_text, CELL_NONE when there is no text. */
static inline struct cell cell_text_some(const char *name, struct view text)
{
	return (struct cell){ .name = name,
			      .kind = text.len ? CELL_TEXT : CELL_NONE,
			      .text = text };
}

static inline struct cell cell_number(const char *name, uint64_t number)
{
	return (struct cell){ .name = name, .kind = CELL_NUMBER, .number = (int64_t)number };
}

/* Like cell_number, CELL_NONE for 0. */
static inline struct cell cell_number_some(const char *name, uint64_t number)
{
	return (struct cell){ .name = name,
			      .kind = number ? CELL_NUMBER : CELL_NONE,
			      .number = (int64_t)number };
}

static inline struct cell cell_time(const char *name, int64_t ns)
{
	return (struct cell){ .name = name, .kind = CELL_TIME, .number = ns };
}

static inline struct cell cell_flag(const char *name, bool flag)
{
	return (struct cell){ .name = name, .kind = CELL_FLAG, .number = flag };
}

/* What spreadsheet programs want at the start of a file to read it as UTF-8. */
#define CELL_CSV_BOM "\xEF\xBB\xBF"

/* Each appends one line, LF included (check out with buf_check()). */
void cells_csv_header(struct buf *out, const struct cell *cells, size_t count);
void cells_csv(struct buf *out, const struct cell *cells, size_t count);
void cells_json(struct buf *out, const struct cell *cells, size_t count);

/* The value as a person reads it, without quoting: what CSV has between the quotes, unguarded. */
void cell_plain(struct buf *out, const struct cell *cell);

#endif
