/* sweep.h - removes chunks that no segment names any more: what packing left, and what saves that
 * failed left.
 *
 * All segments are read once to mark what they name, then all names of chunks to find those of
 * unmarked chunks; no counts are kept and nothing is remembered, so that a death at any point costs
 * nothing but doing it again. Beside saves: a save that finds a doomed chunk by its name rescues it
 * (chunk.h), saves that were under way when the list was made are waited for (content_hold), and
 * what they wrote is marked too before anything goes.
 *
 * The database gives a removed chunk's room back when it writes the table anew that the chunk is
 * in; where a quarter and more of a table is dead, that is done at once. */
#ifndef DAYBOOK_SWEEP_H
#define DAYBOOK_SWEEP_H

#include "content.h"

/* Called between small pieces of work; may sleep, with no lock held; false: stop. */
typedef bool (*sweep_pause)(void *arg);

/* One sweep at a time.  *ret_removed: chunks.  -ECANCELED when pause() said so. */
int sweep_run(struct content_store *cs, sweep_pause pause, void *arg, uint64_t *ret_removed,
	      struct error *e);

#endif
