/* cmd_pack.c - daybook pack: older versions closer together. */
#include "rows.h"

static void print_packed(struct buf *out, const struct cell *cells, size_t count)
{
	print_number(out, cells, count, "packed", 0);
	buf_printf(out, " versions packed, ");
	print_bytes(out, cells, count, "bytes", 0);
	buf_printf(out, ": took ");
	print_bytes(out, cells, count, "bytes_before", 0);
	buf_printf(out, " of their own, take ");
	print_bytes(out, cells, count, "bytes_after", 0);
	buf_u8(out, '\n');
}

int cmd_pack(const struct invocation *in, struct error *e)
{
	static const char *const names[] = { "now", "try", NULL };
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct printer printer = { .row = print_packed };
	struct request request = { .command = "pack" };
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	if (r < 0)
		return r;
	rows_pass(in, &request, names);
	return rows_at(in, &place, &request, &printer, true, true, e);
}
