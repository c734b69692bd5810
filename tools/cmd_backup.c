/* cmd_backup.c - daybook backup: a share's store, as it is now, into a directory of backups; while
 * it is used. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup.h"
#include "rows.h"
#include "taken.h"

static void print_backup(struct buf *out, const struct cell *cells, size_t count)
{
	print_number(out, cells, count, "backup", 6);
	buf_printf(out, "  ");
	print_time(out, cells, count, "taken");
	buf_printf(out, "  ");
	print_number(out, cells, count, "change", 8);
	buf_printf(out, "  ");
	print_time(out, cells, count, "time");
	print_bytes(out, cells, count, "bytes", 11);
	print_bytes(out, cells, count, "new_bytes", 11);
	buf_u8(out, '\n');
}

static bool tell_backup(const struct answer *answer, const struct backup *b, bool is_new)
{
	struct cell cells[] = { cell_number("backup", b->number),
				cell_time("taken", b->taken),
				cell_number("change", b->change),
				cell_time("time", b->time),
				cell_number("files", b->count),
				cell_number("bytes", b->bytes),
				is_new ? cell_number("new_bytes", b->new_bytes)
				       : (struct cell){ .name = "new_bytes", .kind = CELL_NONE },
				cell_text("share", view_str(b->share)) };

	return answer->row(answer->arg, cells, sizeof(cells) / sizeof(cells[0]));
}

struct watcher {
	const struct answer *answer;
};

static void show(void *arg, uint64_t done, uint64_t total)
{
	const struct watcher *w = arg;

	w->answer->progress(w->answer->arg, done, total);
}

static int list(const char *path, bool check, const struct answer *answer, struct error *e)
{
	struct watcher watcher = { answer };
	struct backups backups;
	int r = backups_open(path, NULL, false, &backups, e);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < backups.count; i++) {
		struct backup b;

		r = backups_read(&backups, backups.numbers[i], &b, e);
		if (r < 0)
			break;
		if (check)
			r = backups_copy_out(&backups, &b, NULL, show, &watcher, e);
		if (r < 0)
			r = error_prefix(e, r, "backup %" PRIu64, b.number);
		else if (!tell_backup(answer, &b, false))
			r = error_set(e, -ECANCELED, "stopped");
		backup_release(&b);
	}
	backups_close(&backups);
	return r;
}

/* Copies the checkpoint; b tells of it, and of the copy then. */
static int copy(const char *path, const struct taken *taken, uint64_t keep, struct backup *b,
		const struct answer *answer, struct error *e)
{
	CLEANUP(buf_release) struct buf from = { 0 };
	struct watcher watcher = { answer };
	struct backups backups;
	int r = backups_open(path, taken->share, true, &backups, e);

	if (r < 0)
		return r;
	buf_printf(&from, "%s/%s", taken->store, taken->name);
	r = backups_add(&backups, buf_cstr(&from), b, show, &watcher, e);
	backups_close(&backups);
	if (r < 0 || !keep)
		return r;
	r = backups_open(path, taken->share, true, &backups, e);
	if (r == 0) {
		r = backups_prune(&backups, keep, e);
		backups_close(&backups);
	}
	return r;
}

static int back_up(const struct invocation *in, uint64_t keep, const struct answer *answer,
		   struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct backup backup = { 0 };
	struct taken taken;
	int r = whereabouts_find(option(in, "store"), in->arguments[1], &place, e);

	if (r == 0)
		r = taken_make(&place, &taken, e);
	if (r < 0)
		return r;
	snprintf(backup.share, sizeof(backup.share), "%.*s", (int)sizeof(backup.share) - 1,
		 taken.share);
	backup.change = taken.change;
	backup.time = taken.time;
	r = copy(in->arguments[0], &taken, keep, &backup, answer, e);
	taken_drop(&place, &taken);
	if (r == 0 && !tell_backup(answer, &backup, true))
		r = error_set(e, -ECANCELED, "stopped");
	backup_release(&backup);
	return r;
}

static int read_keep(const char *text, uint64_t *ret, struct error *e)
{
	char *end;

	*ret = text ? strtoull(text, &end, 10) : 0;
	if (text && (*end || *ret == 0 || text[0] == '-'))
		return error_set(e, -E_USAGE, "--keep takes a number of backups, 1 or more");
	return 0;
}

int cmd_backup(const struct invocation *in, struct error *e)
{
	struct printer printer = { .row = print_backup,
				   .heading = "backup  taken                   change  up to       "
					      "                size        new" };
	struct answer answer = print_answer(&printer, true);
	uint64_t keep;
	int r = print_format(in, &printer.format, e);

	if (r == 0)
		r = read_keep(option(in, "keep"), &keep, e);
	if (r == 0 && (option(in, "list") || option(in, "check")))
		r = in->arguments[1] || option(in, "store") || option(in, "keep")
			    ? error_set(e, -E_USAGE,
					"--list and --check look at the directory of backups alone")
			    : list(in->arguments[0], option(in, "check"), &answer, e);
	else if (r == 0)
		r = back_up(in, keep, &answer, e);
	print_end(&printer);
	return r;
}
