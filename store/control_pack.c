/* control_pack.c - packs older versions when asked. */
#include <unistd.h>

#include "control_parts.h"
#include "pack.h"

static bool tell_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct answer *answer = arg;

	return !answer->progress || answer->progress(answer->arg, done, total);
}

int control_pack(const struct command *c, struct error *e)
{
	bool now = control_flag(c, "now");
	struct pack_options options = { .age_ns = now ? -1 : PACK_AGE_NS,
					.dry_run = control_flag(c, "try"),
					.all = now,
					.pause = tell_progress,
					.arg = (void *)(uintptr_t)c->answer };
	struct pack_report report;

	if (c->who->uid != 0 && c->who->uid != geteuid())
		return error_set(
			e, -E_DENIED,
			"permission denied: only root and the user that the store belongs to may "
			"pack it");
	control_step_back();
	int r = pack_run(c->store, &options, &report, e);
	if (r < 0)
		return r;
	struct cell cells[] = { cell_number("documents", report.documents),
				cell_number("packed", report.packed),
				cell_number("bytes", report.bytes),
				cell_number("bytes_before", report.before),
				cell_number("bytes_after", report.after),
				cell_number("chunks_removed", report.removed) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}
