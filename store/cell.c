/* cell.c - see cell.h. */
#include "cell.h"

#include <inttypes.h>

#include "clock.h"

void cell_plain(struct buf *out, const struct cell *cell)
{
	char iso[31];

	switch (cell->kind) {
	case CELL_TEXT:
		buf_append(out, cell->text.data, cell->text.len);
		break;
	case CELL_NUMBER:
		buf_printf(out, "%" PRId64, cell->number);
		break;
	case CELL_TIME:
		clock_iso(iso, cell->number);
		buf_append(out, iso, strlen(iso));
		break;
	case CELL_FLAG:
		buf_printf(out, "%s", cell->number ? "yes" : "no");
		break;
	case CELL_NONE:
		break;
	}
}

static bool has_any(struct view text, const char *set)
{
	for (const char *c = set; *c; c++) {
		if (view_has(text, *c))
			return true;
	}
	return false;
}

static void csv_text(struct buf *out, struct view text)
{
	if (text.len == 0)
		return;
	const char *at = text.data, *end = at + text.len;
	bool guard = *at && strchr("=+-@\t\r'", *at);
	bool quote = has_any(text, ",\"\r\n") || *at == ' ' || end[-1] == ' ';

	if (quote)
		buf_u8(out, '"');
	if (guard)
		buf_u8(out, '\'');
	for (; at < end; at++) {
		if (*at == '"')
			buf_u8(out, '"');
		buf_u8(out, (uint8_t)*at);
	}
	if (quote)
		buf_u8(out, '"');
}

void cells_csv_header(struct buf *out, const struct cell *cells, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s", i ? "," : "", cells[i].name);
	buf_u8(out, '\n');
}

void cells_csv(struct buf *out, const struct cell *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_u8(out, ',');
		if (cells[i].kind == CELL_TEXT)
			csv_text(out, cells[i].text);
		else
			cell_plain(out, &cells[i]);
	}
	buf_u8(out, '\n');
}

/* How many bytes at `at` are one well-formed UTF-8 character: 1 to 4, 0 when they are none. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = at[0] < 0x80       ? 1
		   : at[0] >> 5 == 6  ? 2
		   : at[0] >> 4 == 14 ? 3
		   : at[0] >> 3 == 30 ? 4
				      : 0;
	uint32_t point = n > 1 ? at[0] & (0xffu >> (n + 1)) : at[0];

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	return point < least[n] || point > 0x10ffff || point >> 11 == 0x1b ? 0 : n;
}

static void json_text(struct buf *out, struct view text)
{
	const uint8_t *at = text.data;
	size_t n;

	buf_u8(out, '"');
	for (size_t left = text.len; left > 0; at += n, left -= n) {
		n = utf8_length(at, left);
		if (n == 0) {
			buf_printf(out, "\\udc%02x", *at);
			n = 1;
		} else if (*at == '"' || *at == '\\') {
			buf_printf(out, "\\%c", *at);
		} else if (*at < 0x20 || *at == 0x7f) {
			buf_printf(out, "\\u%04x", *at);
		} else {
			buf_append(out, at, n);
		}
	}
	buf_u8(out, '"');
}

static void json_value(struct buf *out, const struct cell *cell)
{
	switch (cell->kind) {
	case CELL_TEXT:
		json_text(out, cell->text);
		break;
	case CELL_TIME:
		buf_u8(out, '"');
		cell_plain(out, cell);
		buf_u8(out, '"');
		break;
	case CELL_NUMBER:
		cell_plain(out, cell);
		break;
	case CELL_FLAG:
		buf_printf(out, "%s", cell->number ? "true" : "false");
		break;
	case CELL_NONE:
		buf_printf(out, "null");
		break;
	}
}

void cells_json(struct buf *out, const struct cell *cells, size_t count)
{
	buf_u8(out, '{');
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "%s\"%s\":", i ? "," : "", cells[i].name);
		json_value(out, &cells[i]);
	}
	buf_printf(out, "}\n");
}
