/* print.c - see print.h. */
#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "store/clock.h"

#define BAR_WIDTH 40
#define LINE_SECONDS 10

int print_format(const struct invocation *in, enum print_format *ret, struct error *e)
{
	bool json = option(in, "json"), csv = option(in, "csv");

	if (json && csv)
		return error_set(e, -E_USAGE, "--json or --csv, not both");
	*ret = json ? PRINT_JSON : csv ? PRINT_CSV : PRINT_TABLE;
	return 0;
}

static void format_row(struct printer *p, struct buf *out, const struct cell *cells, size_t count)
{
	switch (p->format) {
	case PRINT_JSON:
		cells_json(out, cells, count);
		break;
	case PRINT_CSV:
		if (p->rows == 0)
			cells_csv_header(out, cells, count);
		cells_csv(out, cells, count);
		break;
	case PRINT_TABLE:
		if (p->rows == 0 && p->heading)
			buf_printf(out, "%s\n", p->heading);
		p->row(out, cells, count);
		break;
	}
}

static bool print_row(void *arg, const struct cell *cells, size_t count)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct printer *p = arg;

	print_end(p);
	format_row(p, &out, cells, count);
	p->rows++;
	return !out.failed && fwrite(out.data, 1, out.len, stdout) == out.len;
}

static bool print_progress(void *arg, uint64_t done, uint64_t total)
{
	struct printer *p = arg;
	int filled;

	p->progress = true;
	if (total == 0) {
		fprintf(stderr, "\r%llu done", (unsigned long long)done);
		return true;
	}
	done = done < total ? done : total;
	filled = (int)(done * BAR_WIDTH / total);
	fprintf(stderr, "\r[%.*s%*s] %3d%%", filled, "########################################",
		BAR_WIDTH - filled, "", (int)(done * 100 / total));
	return true;
}

/* For logs: a line now and then. */
static bool print_lines(void *arg, uint64_t done, uint64_t total)
{
	struct printer *p = arg;
	int64_t now = clock_monotonic();

	if (!p->told_ns)
		p->told_ns = now;
	if (now - p->told_ns < LINE_SECONDS * NS_PER_SECOND)
		return true;
	p->told_ns = now;
	if (total)
		fprintf(stderr, "%d%% done\n", (int)((done < total ? done : total) * 100 / total));
	else
		fprintf(stderr, "%llu done\n", (unsigned long long)done);
	return true;
}

static bool ignore_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

struct answer print_answer(struct printer *printer, bool with_progress)
{
	return (struct answer){ .row = print_row,
				.progress = !with_progress ? ignore_progress
					    : isatty(2)    ? print_progress
							   : print_lines,
				.arg = printer };
}

void print_end(struct printer *printer)
{
	if (printer->progress)
		fprintf(stderr, "\r%*s\r", BAR_WIDTH + 8, "");
	printer->progress = false;
}

const struct cell *cell_named(const struct cell *cells, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(cells[i].name, name) == 0)
			return &cells[i];
	}
	return NULL;
}

void print_safe(struct buf *out, struct view text)
{
	const uint8_t *at = text.data;

	for (size_t i = 0; i < text.len; i++) {
		bool c1 =
			at[i] == 0xc2 && i + 1 < text.len && at[i + 1] >= 0x80 && at[i + 1] < 0xa0;

		if (at[i] < 0x20 || at[i] == 0x7f || at[i] == '\\' || c1)
			buf_printf(out, at[i] == '\\' ? "\\\\" : "\\%03o", at[i]);
		else
			buf_u8(out, at[i]);
	}
}

/* Appends text left in width columns, or right of -width; a character counts as one column. */
static void pad(struct buf *out, struct view text, int width)
{
	int left = width < 0 ? -width : width;

	for (size_t i = 0; i < text.len; i++)
		left -= ((const uint8_t *)text.data)[i] >> 6 != 2;
	if (width < 0)
		buf_printf(out, "%*s", left > 0 ? left : 0, "");
	buf_append(out, text.data, text.len);
	if (width > 0)
		buf_printf(out, "%*s", left > 0 ? left : 0, "");
}

void print_text(struct buf *out, const struct cell *cells, size_t count, const char *name,
		int width)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, safe = { 0 };
	const struct cell *cell = cell_named(cells, count, name);

	if (cell)
		cell_plain(&plain, cell);
	print_safe(&safe, buf_view(&plain));
	pad(out, buf_view(&safe), width);
}

void print_number(struct buf *out, const struct cell *cells, size_t count, const char *name,
		  int width)
{
	print_text(out, cells, count, name, -width);
}

void print_time(struct buf *out, const struct cell *cells, size_t count, const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);
	char iso[31] = "";

	if (cell && cell->kind == CELL_TIME)
		clock_iso(iso, cell->number);
	if (iso[0])
		iso[10] = ' ';
	buf_printf(out, "%.19s%s", iso, iso[0] ? "Z" : "                    ");
}

void print_bytes(struct buf *out, const struct cell *cells, size_t count, const char *name,
		 int width)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	const struct cell *cell = cell_named(cells, count, name);
	double n = cell ? (double)cell->number : 0;
	size_t unit = 0;
	char text[32] = "";

	while (n >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		n /= 1024;
		unit++;
	}
	if (cell && cell->kind == CELL_NUMBER)
		snprintf(text, sizeof(text), unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
	pad(out, view_str(text), -width);
}
