/* cmd_repair.c - daybook repair: makes again what a store can lose without losing anything, and
 * says what is lost. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rows.h"
#include "store/repair.h"
#include "store/salvage.h"
#include "store/verify.h"

struct repairing {
	const struct answer *answer;
	const struct actor *actor;
	uint64_t lost;    /* what was told that is gone */
	bool quiet;       /* only counts */
	bool sound;       /* the log, tables and records are what they should be */
};

static bool tell(const struct answer *answer, const char *what, const char *lost, uint64_t added,
		 uint64_t removed)
{
	bool counts = !lost[0];
	struct cell cells[] = { cell_text_some("repaired", view_str(what)),
				counts ? cell_number("added", added)
				       : (struct cell){ .name = "added", .kind = CELL_NONE },
				counts ? cell_number("removed", removed)
				       : (struct cell){ .name = "removed", .kind = CELL_NONE },
				cell_text_some("lost", view_str(lost)) };

	return answer->row(answer->arg, cells, sizeof(cells) / sizeof(cells[0]));
}

static bool tell_lost(void *arg, const char *sentence)
{
	struct repairing *r = arg;

	r->lost++;
	return r->quiet || tell(r->answer, "", sentence, 0, 0);
}

/* What was lost before is told again, and no news. */
static bool tell_known(void *arg, const char *sentence)
{
	struct repairing *r = arg;

	return r->quiet || tell(r->answer, "", sentence, 0, 0);
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

static int verify(struct store *store, struct repairing *r, struct error *e)
{
	struct verify_options options = { .read_contents = true, .known = tell_known };
	struct verify_report report;

	return verify_store(store, &options, tell_lost, show, r, &report, e);
}

/* Makes indexes again.  r->sound: that was all there was to do. */
static int repair_indexes(const char *path, bool dry, struct repairing *r, struct error *e)
{
	struct store_options options = { .read_only = dry };
	struct repair_report report;
	struct store *store = NULL;
	int rc = store_open(path, &options, &store, e);

	if (rc < 0)
		return rc;
	rc = repair_store(store, r->actor, dry, show, r, &report, e);
	if (rc == 0)
		tell_report(r->answer, &report);
	if (rc == 0 && !dry) {
		r->quiet = true;
		rc = verify(store, r, e);
		r->quiet = false;
		r->lost = 0;
		r->sound = rc == 0;
	}
	if (r->sound) /* once more for what is known: contents were read a moment ago */
		rc = verify_store(store, &(struct verify_options){ .known = tell_known }, tell_lost,
				  show, r, &(struct verify_report){ 0 }, e);
	store_close(store);
	return rc;
}

static bool needs_salvage(int rc)
{
	return rc == -E_CORRUPT || rc == -E_FAILED_VERIFY || rc == -E_KV;
}

/* Builds the database anew, then says what nobody can mend. */
static int salvage(const char *path, struct repairing *r, struct salvage_report *report,
		   struct error *e)
{
	struct salvage_listener listener = { .lost = tell_lost, .progress = show, .arg = r };
	struct store *store = NULL;

	int rc = salvage_store(path, r->actor, &listener, report, e);
	if (rc == 0)
		rc = store_open(path, NULL, &store, e);
	if (rc == 0)
		rc = verify(store, r, e);
	store_close(store);
	return rc;
}

/* In words, for who reads them; what is lost stands above. */
static void explain(const char *path, const struct repairing *r,
		    const struct salvage_report *report)
{
	printf("The database was built anew of all that could be read. The damaged one is kept as "
	       "it was, in\n"
	       "  %s/%s\n"
	       "Nothing needs it any more; remove it when you are sure that nobody will ask for "
	       "what was lost.\n",
	       path, report->kept);
	if (!r->lost && !report->versions)
		printf("Nothing was lost.\n");
	else
		printf("What is lost is told above: %llu contents of versions, and at most %llu "
		       "changes of the log. Everything else is\n"
		       "there, and can be read and saved.\n",
		       (unsigned long long)report->versions, (unsigned long long)report->changes);
}

static int repair(const char *path, bool dry, struct repairing *r, struct printer *printer,
		  struct error *e)
{
	struct salvage_report report = { .kept = "" };
	struct error why = { 0 };
	int rc = repair_indexes(path, dry, r, &why);

	if (rc == -E_LOCKED)
		return error_set(e, rc, "%s: is mounted: unmount the share first", path);
	if (!needs_salvage(rc)) {
		*e = why;
		return rc;
	}
	if (dry)
		return error_set(e, -E_FAILED_VERIFY, "the database would be built anew: %s",
				 why.text);
	if (printer->format == PRINT_TABLE)
		printf("The database is damaged: %s\n", why.text);
	rc = salvage(path, r, &report, e);
	print_end(printer);
	if (report.kept[0] && printer->format == PRINT_TABLE)
		explain(path, r, &report);
	if (rc == 0 && (r->lost || report.versions || report.changes))
		rc = error_set(e, -E_FAILED_VERIFY, "something was lost");
	return rc;
}

int cmd_repair(const struct invocation *in, struct error *e)
{
	const struct passwd *user = getpwuid(geteuid());
	struct actor actor = { .uid = geteuid(),
			       .gid = getegid(),
			       .tgid = (uint32_t)getpid(),
			       .name = view_str(user ? user->pw_name : "root"),
			       .command = view_str("daybook") };
	struct printer printer = { .row = print_repaired };
	struct answer answer = print_answer(&printer, true);
	struct repairing repairing = { .answer = &answer, .actor = &actor };
	bool dry = option(in, "check") != NULL;
	int r = print_format(in, &printer.format, e);

	if (r == 0)
		r = repair(in->arguments[0], dry, &repairing, &printer, e);
	print_end(&printer);
	if (r == 0 && !printer.rows && printer.format == PRINT_TABLE)
		printf("nothing is to be repaired%s\n", dry ? "" : ", and nothing is lost");
	return r;
}
