/* cmd_tags.c - daybook tags: names pinned to instants. */
#include "rows.h"

static void print_tag(struct buf *out, const struct cell *cells, size_t count)
{
	print_number(out, cells, count, "change", 8);
	buf_printf(out, "  ");
	print_time(out, cells, count, "time");
	buf_printf(out, "  ");
	print_text(out, cells, count, "author", 12);
	buf_printf(out, " /");
	print_text(out, cells, count, "path", 0);
	buf_printf(out, "  ");
	print_text(out, cells, count, "tag", 0);
	buf_u8(out, '\n');
}

int cmd_tags(const struct invocation *in, struct error *e)
{
	struct printer printer = {
		.heading = "  change  time                  author       directory  tag",
		.row = print_tag
	};
	struct request request = { .command = "tags" };

	return rows_run(in, &request, &printer, e);
}
