/* cmd_backup.c - daybook backup: a share's store, as it is now, into a directory of backups; while it is used. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup.h"
#include "rows.h"

/* The row of `checkpoint`. */
struct made {
	char name[80], store[4096];
	struct backup backup;
	bool there;
};

static void take_text(char *out, size_t n, const struct cell *cells, size_t count, const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);

	if (cell && cell->kind == CELL_TEXT && cell->text.len < n)
		memcpy(out, cell->text.data, cell->text.len);
}

static bool take_checkpoint(void *arg, const struct cell *cells, size_t count)
{
	struct made *made = arg;
	const struct cell *change = cell_named(cells, count, "change"), *time = cell_named(cells, count, "time");

	take_text(made->name, sizeof(made->name), cells, count, "name");
	take_text(made->store, sizeof(made->store), cells, count, "store");
	take_text(made->backup.share, sizeof(made->backup.share), cells, count, "share");
	made->backup.change = change ? (uint64_t)change->number : 0;
	made->backup.time = time ? time->number : 0;
	made->there = true;
	return true;
}

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

/* Copies the checkpoint; what it says of itself is in made. */
static int copy(const char *path, struct made *made, uint64_t keep, const struct answer *answer, struct error *e)
{
	CLEANUP(buf_release) struct buf from = { 0 };
	struct watcher watcher = { answer };
	struct backups backups;
	int r = backups_open(path, made->backup.share, true, &backups, e);

	if (r < 0)
		return r;
	buf_printf(&from, "%s/%s", made->store, made->name);
	r = backups_add(&backups, buf_cstr(&from), &made->backup, show, &watcher, e);
	backups_close(&backups);
	if (r < 0 || !keep)
		return r;
	r = backups_open(path, made->backup.share, true, &backups, e);
	if (r == 0) {
		r = backups_prune(&backups, keep, e);
		backups_close(&backups);
	}
	return r;
}

static int back_up(const struct invocation *in, uint64_t keep, const struct answer *answer, struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	struct request checkpoint = { .command = "checkpoint" }, drop = { .command = "uncheckpoint" };
	struct made made = { 0 };
	struct answer taking = { .row = take_checkpoint, .arg = &made }, nothing = { .row = take_checkpoint };
	int r = whereabouts_find(option(in, "store"), in->arguments[1], &place, e);

	if (r == 0)
		r = client_ask(&place, &checkpoint, true, &taking, e);
	if (r == 0 && !made.there)
		r = error_set(e, -E_PROTOCOL, "the daemon made no checkpoint and did not say why");
	if (r < 0)
		return r;
	r = copy(in->arguments[0], &made, keep, answer, e);
	request_add(&drop, "name", view_str(made.name));
	client_ask(&place, &drop, true, &nothing, NULL); /* else the next one, or the next start, removes it */
	if (r == 0 && !tell_backup(answer, &made.backup, true))
		r = error_set(e, -ECANCELED, "stopped");
	backup_release(&made.backup);
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
				   .heading = "backup  taken                   change  up to                       size        new" };
	struct answer answer = print_answer(&printer, true);
	uint64_t keep;
	int r = print_format(in, &printer.format, e);

	if (r == 0)
		r = read_keep(option(in, "keep"), &keep, e);
	if (r == 0 && (option(in, "list") || option(in, "check")))
		r = in->arguments[1] || option(in, "store") || option(in, "keep")
			    ? error_set(e, -E_USAGE, "--list and --check look at the directory of backups alone")
			    : list(in->arguments[0], option(in, "check"), &answer, e);
	else if (r == 0)
		r = back_up(in, keep, &answer, e);
	print_end(&printer);
	return r;
}
