/* cmd_history.c - daybook history: the versions of a file. */
#include "rows.h"

static void print_version(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *from = cell_named(cells, count, "from_version");

	print_number(out, cells, count, "version", 7);
	buf_printf(out, "  ");
	print_time(out, cells, count, "time");
	buf_printf(out, "  ");
	print_text(out, cells, count, "author", 12);
	buf_printf(out, " ");
	print_bytes(out, cells, count, "size", 10);
	buf_printf(out, "  ");
	print_number(out, cells, count, "document", 8);
	buf_printf(out, "  ");
	const struct cell *digest = cell_named(cells, count, "digest");
	buf_printf(out, "%.12s",
		   digest && digest->text.len >= 12 ? (const char *)digest->text.data : "");
	buf_printf(out, "  ");
	print_text(out, cells, count, "name", 0);
	if (from && from->kind == CELL_NUMBER) {
		buf_printf(out, "  from ");
		print_number(out, cells, count, "from_document", 0);
		buf_printf(out, "@");
		print_number(out, cells, count, "from_version", 0);
	}
	buf_printf(out, "  ");
	print_text(out, cells, count, "flags", 0);
	while (out->len && out->data[out->len - 1] == ' ')
		out->len--;
	buf_u8(out, '\n');
}

int cmd_history(const struct invocation *in, struct error *e)
{
	static const char *const names[] = { "all", NULL };
	struct printer printer = { .heading = "version  time                  author             "
					      "size  document  digest        name",
				   .row = print_version };
	struct request request = { .command = "history" };

	rows_pass(in, &request, names);
	return rows_run(in, &request, &printer, e);
}
