/* rows.c - see rows.h. */
#include "rows.h"

#include <errno.h>

void rows_pass(const struct invocation *in, struct request *request, const char *const *names)
{
	for (; *names; names++) {
		if (option(in, *names))
			request_add(request, *names, view_str(option(in, *names)));
	}
}

int rows_at(const struct invocation *in, const struct whereabouts *place,
	    const struct request *request, struct printer *printer, bool changing,
	    bool with_progress, struct error *e)
{
	struct answer answer = print_answer(printer, with_progress);
	int r = print_format(in, &printer->format, e);

	if (r < 0)
		return r;
	r = client_ask(place, request, changing, &answer, e);
	print_end(printer);
	if (r == -ECANCELED)
		return error_set(e, r, "cannot write the answer");
	return r;
}

int rows_run(const struct invocation *in, struct request *request, struct printer *printer,
	     struct error *e)
{
	CLEANUP(whereabouts_release) struct whereabouts place = { 0 };
	int r = whereabouts_find(option(in, "store"), in->arguments[0], &place, e);

	if (r < 0)
		return r;
	request_add(request, "path", view_str(place.path));
	return rows_at(in, &place, request, printer, false, false, e);
}
