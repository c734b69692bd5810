/* cmd_log.c - daybook log: what happened. */
#include "rows.h"

static void print_change(struct buf *out, const struct cell *cells, size_t count)
{
	static const char *const details[] = { "path2", "before", "after", "flags" };
	static const char *const marks[] = { " -> ", " was ", " is ", "  " };

	print_number(out, cells, count, "change", 8);
	buf_printf(out, "  ");
	print_time(out, cells, count, "time");
	buf_printf(out, "  ");
	print_text(out, cells, count, "author", 12);
	buf_printf(out, " ");
	print_text(out, cells, count, "operation", 9);
	buf_printf(out, " ");
	const struct cell *path = cell_named(cells, count, "path");
	if (path && path->kind == CELL_TEXT && path->text.len)
		print_text(out, cells, count, "path", 0);
	else
		buf_u8(out, '/');
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		const struct cell *cell = cell_named(cells, count, details[i]);

		if (!cell || cell->kind == CELL_NONE)
			continue;
		buf_printf(out, "%s", marks[i]);
		print_text(out, cells, count, details[i], 0);
	}
	const struct cell *version = cell_named(cells, count, "version");
	if (version && version->kind == CELL_NUMBER)
		buf_printf(out, "  v%lld", (long long)version->number);
	buf_u8(out, '\n');
}

int cmd_log(const struct invocation *in, struct error *e)
{
	static const char *const names[] = { "by", "since", "until", "limit", "reverse", NULL };
	struct printer printer = {
		.heading = "  change  time                  author       operation path",
		.row = print_change
	};
	struct request request = { .command = "log" };

	rows_pass(in, &request, names);
	return rows_run(in, &request, &printer, e);
}
