/* cmd_restore_store.c - daybook restore-store: a new store from a backup. */
#include <ftw.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup.h"
#include "rows.h"
#include "store/change.h"
#include "store/clock.h"
#include "store/verify.h"

struct watcher {
	const struct answer *answer;
};

static void show(void *arg, uint64_t done, uint64_t total)
{
	const struct watcher *w = arg;

	w->answer->progress(w->answer->arg, done, total);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* The backup that is asked for, or the newest. */
static int choose(const struct backups *backups, const char *text, struct backup *ret,
		  struct error *e)
{
	char *end;
	uint64_t number = text ? strtoull(text, &end, 10) : 0;

	if (text && (*end || !number || text[0] == '-'))
		return error_set(e, -E_USAGE,
				 "--backup takes a number, as `daybook backup --list` shows them");
	if (!backups->count)
		return error_set(e, -E_NO_ENTRY, "%s: no backup was finished here", backups->path);
	return backups_read(backups, number ? number : backups->numbers[backups->count - 1], ret,
			    e);
}

static bool ignore_finding(void *arg, const char *sentence)
{
	struct buf *first = arg;

	if (!first->len)
		buf_printf(first, "%s", sentence);
	return true;
}

/* From here on this log is not that of the store which was backed up, should both live on. */
static int note_origin(struct store *store, const struct backup *b, struct error *e)
{
	const struct passwd *user = getpwuid(geteuid());
	struct actor actor = { .uid = geteuid(),
			       .gid = getegid(),
			       .tgid = (uint32_t)getpid(),
			       .name = view_str(user ? user->pw_name : "root"),
			       .command = view_str("daybook") };
	char text[96], taken[31];

	clock_iso(taken, b->taken);
	snprintf(text, sizeof(text), "backup %" PRIu64 " of %s", b->number, taken);
	int r = change_note(store, &actor, OP_RESTORE_STORE, view_str(text), e);
	return r < 0 ? r : store_sync(store, e);
}

/* The store opens, is at the change that the backup was made at or beyond it by what was unsaved
 * then, and all that can be checked without reading contents (whose files' digests were) is
 * well. */
static int check_restored(const char *path, const struct backup *b, uint64_t *ret_change,
			  struct error *e)
{
	CLEANUP(buf_release) struct buf finding = { 0 };
	struct verify_report report;
	struct store *store;
	int64_t time;
	int r = store_open(path, NULL, &store, e);

	if (r < 0)
		return r;
	store_head(store, ret_change, &time);
	r = 0;
	if (*ret_change < b->change)
		r = error_set(e, -E_CORRUPT,
			      "the store ends at change %" PRIu64 ", before the backup's %" PRIu64,
			      *ret_change, b->change);
	if (r == 0)
		r = verify_store(store, &(struct verify_options){ 0 }, ignore_finding, NULL,
				 &finding, &report, e);
	if (r == -E_FAILED_VERIFY)
		error_set(e, r, "%s", buf_cstr(&finding));
	if (r == 0)
		r = note_origin(store, b, e);
	store_close(store);
	return r;
}

static void print_restored(struct buf *out, const struct cell *cells, size_t count)
{
	print_text(out, cells, count, "store", 0);
	buf_printf(out, ": restored from backup ");
	print_number(out, cells, count, "backup", 0);
	buf_printf(out, ", as it was at change ");
	print_number(out, cells, count, "change", 0);
	buf_printf(out, ", ");
	print_time(out, cells, count, "time");
	buf_printf(out, "; mount it with `daybook mount ");
	print_text(out, cells, count, "store", 0);
	buf_printf(out, " MOUNTPOINT`\n");
}

static int restore(const struct backups *backups, const char *to, const char *number,
		   const struct answer *answer, struct error *e)
{
	struct watcher watcher = { answer };
	struct backup b;
	uint64_t change;
	int r = choose(backups, number, &b, e);

	if (r < 0)
		return r;
	r = backups_copy_out(backups, &b, to, show, &watcher, e);
	if (r == 0)
		r = check_restored(to, &b, &change, e);
	if (r < 0 && r != -E_STORE_EXISTS)
		nftw(to, remove_entry, 16, FTW_DEPTH | FTW_PHYS); /* it was not there before */
	if (r == 0) {
		struct cell cells[] = { cell_text("store", view_str(to)),
					cell_number("backup", b.number),
					cell_number("change", b.change), cell_time("time", b.time),
					cell_text("share", view_str(b.share)) };

		if (!answer->row(answer->arg, cells, sizeof(cells) / sizeof(cells[0])))
			r = error_set(e, -ECANCELED, "stopped");
	}
	backup_release(&b);
	return r;
}

int cmd_restore_store(const struct invocation *in, struct error *e)
{
	struct printer printer = { .row = print_restored };
	struct answer answer = print_answer(&printer, true);
	struct backups backups;
	int r = print_format(in, &printer.format, e);

	if (r == 0)
		r = backups_open(in->arguments[0], NULL, false, &backups, e);
	if (r < 0)
		return r;
	r = restore(&backups, in->arguments[1], option(in, "backup"), &answer, e);
	print_end(&printer);
	backups_close(&backups);
	return r;
}
