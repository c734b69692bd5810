/* rows.h - what the listing commands share: find the place, ask, print the rows. */
#ifndef DAYBOOK_ROWS_H
#define DAYBOOK_ROWS_H

#include "client.h"
#include "print.h"

/* Adds every option of these names that was given, under its own name; names end with NULL. */
void rows_pass(const struct invocation *in, struct request *request, const char *const *names);

/* Runs a request at the place and prints its rows; changing, with_progress: as in client_ask() and
 * print_answer(). */
int rows_at(const struct invocation *in, const struct whereabouts *place,
	    const struct request *request, struct printer *printer, bool changing,
	    bool with_progress, struct error *e);

/* The plain case: a request whose `path` is the command's first argument. */
int rows_run(const struct invocation *in, struct request *request, struct printer *printer,
	     struct error *e);

#endif
