/* cells.c - CSV and JSON: whatever a cell holds, readers get it back.  The two readers here know
 * RFC 4180 and RFC 8259 and nothing of store/cell.c. Input: cells, each a kind, then a length and
 * text or a number. */
#include <errno.h>
#include <inttypes.h>

#include "fuzz.h"
#include "store/cell.h"

#define CELLS 8

/* --- CSV ------------------------------------------------------------------ */

/* Reads one cell of a line that ends with LF: its text as it stood, *ret_more when a comma
 * follows. */
static const char *read_csv(const char *at, const char *end, struct buf *text, bool *ret_more)
{
	buf_clear(text);
	if (*at == '"') {
		for (at++; at < end && (*at != '"' || at[1] == '"'); at++) {
			at += *at == '"';
			buf_u8(text, (uint8_t)*at);
		}
		must(at < end);
		at++;
	} else {
		for (; at < end && *at != ',' && *at != '\n'; at++) {
			must(*at != '"' && *at != '\r');
			buf_u8(text, (uint8_t)*at);
		}
	}
	must(at < end && (*at == ',' || *at == '\n'));
	*ret_more = *at == ',';
	return at + 1;
}

static void check_csv(const struct cell *cells, size_t count)
{
	CLEANUP(buf_release) struct buf line = { 0 }, text = { 0 }, plain = { 0 };
	bool more = true;

	cells_csv(&line, cells, count);
	const char *at = (const char *)line.data, *end = at + line.len;
	for (size_t i = 0; i < count; i++) {
		must(more);
		at = read_csv(at, end, &text, &more);
		buf_clear(&plain);
		cell_plain(&plain, &cells[i]);
		bool is_text = cells[i].kind == CELL_TEXT;
		bool guarded = is_text && text.len && text.data[0] == '\'';
		must(!is_text || !text.len || !memchr("=+-@\t\r", text.data[0], 6));
		must(text.len - guarded == plain.len);
		must(plain.len == 0 || memcmp(text.data + guarded, plain.data, plain.len) == 0);
	}
	must(!more && at == end);
}

/* --- JSON ----------------------------------------------------------------- */

static unsigned read_hex(const char **at)
{
	static const char digits[] = "0123456789abcdef";
	unsigned v = 0;

	for (int i = 0; i < 4; i++, (*at)++) {
		const char *digit = memchr(digits, **at, 16);

		must(digit);
		v = v << 4 | (unsigned)(digit - digits);
	}
	return v;
}

/* The bytes of a string that begins at *at, which moves behind it. */
static void read_json(const char **at, const char *end, struct buf *text)
{
	buf_clear(text);
	must(*at < end && **at == '"');
	for ((*at)++; *at < end && **at != '"';) {
		must((uint8_t)**at >= 0x20);
		if (**at != '\\') {
			buf_u8(text, (uint8_t)*(*at)++);
			continue;
		}
		(*at)++;
		if (**at == '"' || **at == '\\') {
			buf_u8(text, (uint8_t)*(*at)++);
			continue;
		}
		must(*(*at)++ == 'u');
		unsigned point = read_hex(at);
		must(point < 0x80 || (point >= 0xdc80 && point <= 0xdcff));
		buf_u8(text, (uint8_t)point);
	}
	must(*at < end);
	(*at)++;
}

static bool is_utf8(struct view text)
{
	const uint8_t *at = text.data, *end = at + text.len;

	while (at < end) {
		unsigned more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
		uint32_t least = more == 0 ? 0 : more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
		uint32_t point = more ? *at & (0x3fu >> more) : *at;

		if (*at >= 0xf8 || (*at & 0xc0) == 0x80 || (size_t)(end - at) <= more)
			return false;
		for (at++; more > 0; more--, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			point = point << 6 | (*at & 0x3f);
		}
		if (point < least || point > 0x10ffff || (point & ~0x7ffu) == 0xd800)
			return false;
	}
	return true;
}

static void check_json(const struct cell *cells, size_t count)
{
	CLEANUP(buf_release) struct buf line = { 0 }, text = { 0 };

	cells_json(&line, cells, count);
	must(is_utf8(buf_view(&line)));
	const char *at = (const char *)line.data, *end = at + line.len;
	must(*at++ == '{');
	for (size_t i = 0; i < count; i++) {
		must(i == 0 || *at++ == ',');
		read_json(&at, end, &text);
		must(view_equal(buf_view(&text), view_str(cells[i].name)) && *at++ == ':');
		if (cells[i].kind != CELL_TEXT) {
			at += strcspn(at, ",}");
			continue;
		}
		read_json(&at, end, &text);
		must(view_equal(buf_view(&text), cells[i].text));
	}
	must(end - at == 2 && at[0] == '}' && at[1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct cell cells[CELLS];
	size_t count = 0;

	while (count < CELLS && in.left > 0) {
		struct cell cell = { .name = "column", .kind = take_u8(&in) % (CELL_NONE + 1) };

		if (cell.kind == CELL_TEXT)
			cell.text = take_string(&in);
		else
			cell.number = (int64_t)take_number(&in);
		cells[count++] = cell;
	}
	if (count == 0)
		return 0;
	check_csv(cells, count);
	check_json(cells, count);
	return 0;
}
