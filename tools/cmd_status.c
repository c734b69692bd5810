/* cmd_status.c - daybook status: a share at a glance. */
#include "rows.h"

#define SMALL (1 << 20) /* below that, ratios say more of tables than of history */

static void print_line(struct buf *out, const struct cell *cells, size_t count, const char *label,
		       const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);

	if (!cell || cell->kind == CELL_NONE)
		return;
	buf_printf(out, "%-12s ", label);
	if (cell->kind == CELL_TIME)
		print_time(out, cells, count, name);
	else
		print_text(out, cells, count, name, 0);
	buf_u8(out, '\n');
}

static uint64_t number_of(const struct cell *cells, size_t count, const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);

	return cell ? (uint64_t)cell->number : 0;
}

static void print_daemon(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *worker = cell_named(cells, count, "worker");

	if (!worker || worker->kind == CELL_NONE)
		return;
	buf_printf(out, "%-12s process %llu, since ", "served by",
		   (unsigned long long)worker->number);
	print_time(out, cells, count, "started_time");
	buf_printf(out, "; process %llu keeps the mount, since ",
		   (unsigned long long)number_of(cells, count, "holder"));
	print_time(out, cells, count, "mounted_time");
	if (number_of(cells, count, "restarts"))
		buf_printf(out, "; restarts: %llu",
			   (unsigned long long)number_of(cells, count, "restarts"));
	buf_u8(out, '\n');
}

/* What packing older versions has gained so far. */
static void print_packing(struct buf *out, const struct cell *cells, size_t count)
{
	if (!number_of(cells, count, "packed_contents"))
		return;
	buf_printf(out, "%-12s ", "packed");
	print_number(out, cells, count, "packed_contents", 0);
	buf_printf(out, " contents of older versions, ");
	print_bytes(out, cells, count, "packed_bytes", 0);
	buf_printf(out, ", in ");
	print_bytes(out, cells, count, "packed_stored_bytes", 0);
	if (number_of(cells, count, "unswept_bytes")) {
		buf_printf(out, "; still to be freed: ");
		print_bytes(out, cells, count, "unswept_bytes", 0);
	}
	buf_u8(out, '\n');
}

/* What was ever saved, and how much less room it takes, the names and the log included. */
static void print_versions(struct buf *out, const struct cell *cells, size_t count, uint64_t held)
{
	uint64_t saved = number_of(cells, count, "version_bytes");

	buf_printf(out, "\n%-12s ", "versions");
	print_number(out, cells, count, "versions", 0);
	buf_printf(out, " saves, ");
	print_bytes(out, cells, count, "version_bytes", 0);
	if (saved >= SMALL && held < saved)
		buf_printf(out, " (sharing, compression and packing save %.1f %%)",
			   100 * (1 - (double)held / (double)saved));
}

static void print_status(struct buf *out, const struct cell *cells, size_t count)
{
	uint64_t live = number_of(cells, count, "live_bytes");
	uint64_t held =
		number_of(cells, count, "content_bytes") + number_of(cells, count, "index_bytes");

	print_line(out, cells, count, "store", "store");
	print_line(out, cells, count, "share", "share");
	print_line(out, cells, count, "mounted at", "mountpoint");
	print_line(out, cells, count, "since", "first_time");
	print_line(out, cells, count, "last change", "last_time");
	print_line(out, cells, count, "changes", "changes");
	print_line(out, cells, count, "chain", "chain");
	buf_printf(out, "%-12s ", "live");
	print_number(out, cells, count, "live_files", 0);
	buf_printf(out, " files, ");
	print_bytes(out, cells, count, "live_bytes", 0);
	print_versions(out, cells, count, held);
	buf_printf(out, "\n%-12s ", "on disk");
	print_bytes(out, cells, count, "content_bytes", 0);
	buf_printf(out, " content, ");
	print_bytes(out, cells, count, "index_bytes", 0);
	buf_printf(out, " names and log");
	if (live >= SMALL)
		buf_printf(out, " (all history: %.2f times the live bytes)",
			   (double)held / (double)live);
	buf_u8(out, '\n');
	print_packing(out, cells, count);
	print_line(out, cells, count, "recovery", "recovery");
	print_daemon(out, cells, count);
}

int cmd_status(const struct invocation *in, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct printer printer = { .row = print_status };
	struct request request = { .command = "status" };
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	return r < 0 ? r : rows_at(in, &place, &request, &printer, false, false, e);
}
