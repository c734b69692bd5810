/* cmd_restore.c - daybook restore: puts an old version back, or a folder as it was. */
#include <stdlib.h>

#include "rows.h"

static void print_restored(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *unchanged = cell_named(cells, count, "unchanged");

	print_text(out, cells, count, "path", 0);
	if (unchanged && unchanged->number) {
		buf_printf(out, ": holds these bytes already, as version ");
		print_number(out, cells, count, "version", 0);
	} else {
		buf_printf(out, ": version ");
		print_number(out, cells, count, "from_version", 0);
		buf_printf(out, " is back, as version ");
		print_number(out, cells, count, "version", 0);
		buf_printf(out, " (");
		print_bytes(out, cells, count, "size", 0);
		buf_printf(out, ")");
	}
	buf_u8(out, '\n');
}

int cmd_restore(const struct invocation *in, struct error *e)
{
	static const char *const names[] = { "version", "at", NULL };
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct printer printer = { .row = print_restored };
	struct request request = { .command = "restore" };
	char *to = NULL;
	int r;

	if (!option(in, "version") == !option(in, "at"))
		return error_set(e, -E_USAGE, "say which version: either --version N or --at TIME");
	r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);
	if (r == 0 && option(in, "to"))
		r = whereabouts_second(&place, option(in, "to"), &to, e);
	if (r < 0)
		return r;
	request_add(&request, "path", view_str(place.path));
	rows_pass(in, &request, names);
	if (to)
		request_add(&request, "to", view_str(to));
	r = rows_at(in, &place, &request, &printer, true, true, e);
	free(to);
	return r;
}
