/* taken.c - see taken.h. */
#include "taken.h"

#include <string.h>

#include "print.h"

static void take_text(char *out, size_t n, const struct cell *cells, size_t count, const char *name)
{
	const struct cell *cell = cell_named(cells, count, name);

	if (cell && cell->kind == CELL_TEXT && cell->text.len < n)
		view_copy(out, cell->text);
}

static bool take_row(void *arg, const struct cell *cells, size_t count)
{
	const struct cell *change = cell_named(cells, count, "change"),
			  *time = cell_named(cells, count, "time");
	struct taken *taken = arg;

	take_text(taken->name, sizeof(taken->name), cells, count, "name");
	take_text(taken->store, sizeof(taken->store), cells, count, "store");
	take_text(taken->share, sizeof(taken->share), cells, count, "share");
	taken->change = change ? (uint64_t)change->number : 0;
	taken->time = time ? time->number : 0;
	taken->there = true;
	return true;
}

int taken_make(const struct whereabouts *place, struct taken *ret, struct error *e)
{
	struct request request = { .command = "checkpoint" };
	struct answer answer = { .row = take_row, .arg = ret };

	memset(ret, 0, sizeof(*ret));
	int r = client_ask(place, &request, true, &answer, e);
	if (r == 0 && !ret->there)
		r = error_set(e, -E_PROTOCOL, "the daemon made no checkpoint and did not say why");
	return r;
}

static bool ignore_row(void *arg, const struct cell *cells, size_t count)
{
	(void)arg, (void)cells, (void)count;
	return true;
}

void taken_drop(const struct whereabouts *place, const struct taken *taken)
{
	struct request request = { .command = "uncheckpoint" };
	struct answer answer = { .row = ignore_row };

	request_add(&request, "name", view_str(taken->name));
	client_ask(place, &request, true, &answer, NULL);
}
