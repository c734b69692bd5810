/* cmd_conflicts.c - daybook conflicts: saves over what their author had not read. */
#include "rows.h"

static void print_conflict(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *read = cell_named(cells, count, "read");

	print_number(out, cells, count, "change", 8);
	buf_printf(out, "  ");
	print_time(out, cells, count, "time");
	buf_printf(out, "  ");
	print_text(out, cells, count, "author", 12);
	buf_printf(out, " ");
	print_text(out, cells, count, "path", 0);
	buf_printf(out, "  v");
	print_number(out, cells, count, "version", 0);
	buf_printf(out, " over v");
	print_number(out, cells, count, "over", 0);
	if (read && read->kind == CELL_NUMBER) {
		buf_printf(out, ", having read v");
		print_number(out, cells, count, "read", 0);
	}
	buf_u8(out, '\n');
}

int cmd_conflicts(const struct invocation *in, struct error *e)
{
	struct printer printer = { .heading = "  change  time                  author       path",
				   .row = print_conflict };
	struct request request = { .command = "conflicts" };

	return rows_run(in, &request, &printer, e);
}
