/* cmd_repair.c - daybook repair: makes again what a store can lose without losing anything, and says what is lost. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rows.h"
#include "store/repair.h"
#include "store/verify.h"

struct repairing {
	const struct answer *answer;
	uint64_t lost;
};

static bool tell(const struct answer *answer, const char *what, const char *lost, uint64_t added, uint64_t removed)
{
	bool counts = !lost[0];
	struct cell cells[] = { cell_text_some("repaired", view_str(what)),
				counts ? cell_number("added", added) : (struct cell){ .name = "added", .kind = CELL_NONE },
				counts ? cell_number("removed", removed) : (struct cell){ .name = "removed", .kind = CELL_NONE },
				cell_text_some("lost", view_str(lost)) };

	return answer->row(answer->arg, cells, sizeof(cells) / sizeof(cells[0]));
}

static bool tell_lost(void *arg, const char *sentence)
{
	struct repairing *r = arg;

	r->lost++;
	return tell(r->answer, "", sentence, 0, 0);
}

static bool show(void *arg, uint64_t done, uint64_t total)
{
	const struct repairing *r = arg;

	return r->answer->progress(r->answer->arg, done, total);
}

static void tell_report(const struct answer *answer, const struct repair_report *report)
{
	static const char *const names[FAMILY_COUNT] = {
#define X(family, what) [FAMILY_##family] = what,
		REPAIR_FAMILIES(X)
#undef X
	};

	for (int i = 0; i < FAMILY_COUNT; i++) {
		if (report->added[i] || report->removed[i])
			tell(answer, names[i], "", report->added[i], report->removed[i]);
	}
}

static void print_repaired(struct buf *out, const struct cell *cells, size_t count)
{
	const struct cell *lost = cell_named(cells, count, "lost");

	if (lost && lost->kind == CELL_TEXT) {
		buf_printf(out, "lost: ");
		print_text(out, cells, count, "lost", 0);
	} else {
		print_text(out, cells, count, "repaired", 0);
		buf_printf(out, ": ");
		print_number(out, cells, count, "added", 0);
		buf_printf(out, " entries made again, ");
		print_number(out, cells, count, "removed", 0);
		buf_printf(out, " removed");
	}
	buf_u8(out, '\n');
}

/* Mends, then says what nobody can mend. */
static int repair(struct store *store, bool dry, struct repairing *r, struct error *e)
{
	const struct passwd *user = getpwuid(geteuid());
	struct actor actor = { .uid = geteuid(), .gid = getegid(), .tgid = (uint32_t)getpid(),
			       .name = view_str(user ? user->pw_name : "root"), .command = view_str("daybook") };
	struct repair_report report;
	struct verify_report verified;
	int rc = repair_store(store, &actor, dry, show, r, &report, e);

	if (rc < 0)
		return rc;
	tell_report(r->answer, &report);
	if (dry)
		return 0;
	return verify_store(store, &(struct verify_options){ .read_contents = true }, tell_lost, show, r, &verified, e);
}

int cmd_repair(const struct invocation *in, struct error *e)
{
	struct printer printer = { .row = print_repaired };
	struct answer answer = print_answer(&printer, true);
	struct repairing repairing = { .answer = &answer };
	bool dry = option(in, "check") != NULL;
	struct store_options options = { .read_only = dry };
	struct store *store = NULL;
	int r = print_format(in, &printer.format, e);

	if (r == 0)
		r = store_open(in->arguments[0], &options, &store, e);
	if (r == -E_LOCKED)
		return error_set(e, r, "%s: is mounted: unmount the share first", in->arguments[0]);
	if (r == 0)
		r = repair(store, dry, &repairing, e);
	print_end(&printer);
	store_close(store);
	if (r == -E_FAILED_VERIFY)
		error_set(e, r, "what is lost is told above; all else is well, and can be read and saved");
	else if (r == 0 && !printer.rows && printer.format == PRINT_TABLE)
		printf("nothing is to be repaired%s\n", dry ? "" : ", and nothing is lost");
	return r;
}
