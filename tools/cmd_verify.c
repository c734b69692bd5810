/* cmd_verify.c - daybook verify: is everything there, and is it what it was? */
#include "rows.h"

static void print_count(struct buf *out, const struct cell *cells, size_t count, const char *name,
			const char *after)
{
	print_number(out, cells, count, name, 0);
	buf_printf(out, " %s", after);
}

static void print_summary(struct buf *out, const struct cell *cells, size_t count, uint64_t damaged)
{
	const struct cell *chunks = cell_named(cells, count, "chunks");

	print_count(out, cells, count, "changes", "changes, ");
	print_count(out, cells, count, "inodes", "inodes, ");
	print_count(out, cells, count, "dirents", "names, ");
	print_count(out, cells, count, "documents", "documents, ");
	print_count(out, cells, count, "versions", "versions, ");
	print_count(out, cells, count, "contents",
		    chunks && chunks->number ? "contents in " : "contents, ");
	if (chunks && chunks->number)
		print_count(out, cells, count, "chunks", "chunks, ");
	print_bytes(out, cells, count, "bytes", 0);
	if (damaged)
		buf_printf(out, ": %llu %s damaged\n", (unsigned long long)damaged,
			   damaged == 1 ? "thing is" : "things are");
	else
		buf_printf(out, ": all is well\n");
}

static void print_verified(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *damage = cell_named(cells, count, "damage"),
			  *damaged = cell_named(cells, count, "damaged");
	const struct cell *lost = cell_named(cells, count, "lost");

	if (damage && damage->kind == CELL_TEXT) {
		buf_printf(out, "damaged: ");
		print_text(out, cells, count, "damage", 0);
		buf_u8(out, '\n');
	} else if (lost && lost->kind == CELL_TEXT) {
		buf_printf(out, "known to be lost: ");
		print_text(out, cells, count, "lost", 0);
		buf_u8(out, '\n');
	} else {
		print_summary(out, cells, count, damaged ? (uint64_t)damaged->number : 0);
	}
}

int cmd_verify(const struct invocation *in, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct printer printer = { .row = print_verified };
	struct request request = { .command = "verify" };
	int r;

	if (in->arguments[0] && option(in, "store"))
		return error_set(e, -E_USAGE,
				 "the whole store is verified: name it by --store or by a path, "
				 "not by both");
	r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);
	if (r < 0)
		return r;
	rows_pass(in, &request, (const char *const[]){ "quick", "resume", "rate", NULL });
	return rows_at(in, &place, &request, &printer, false, true, e);
}
