/* plain.c - plans and deltas as a damaged disk may have them: store/plain.h, store/delta.h. Input:
 * a size, then a plan and a base, each with its length; the rest is bytes to make plain, plain
 * bytes to undo, and a delta to undo. */
#include "store/plain.h"
#include "fuzz.h"
#include "store/delta.h"

static bool is_refusal(int r)
{
	return r == -E_CORRUPT || r == -E_FORMAT_NEWER;
}

/* A delta made of these bytes is undone to them, and against another base it is refused or
 * something else. */
static void try_delta(struct view bytes, struct view base)
{
	CLEANUP(buf_release) struct buf delta = { 0 }, out = { 0 };

	must(delta_make(bytes, base, &delta, NULL) == 0);
	must(delta_undo(buf_view(&delta), base, bytes.len, &out, NULL) == 0);
	must(view_equal(buf_view(&out), bytes));
	if (bytes.len)
		must(delta_undo(buf_view(&delta), base, bytes.len - 1, &out, NULL) == -E_CORRUPT);
	int r = delta_undo(buf_view(&delta), view_of("another base", 12), bytes.len, &out, NULL);
	must(r == 0 || r == -E_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, again = { 0 }, out = { 0 }, found = { 0 };
	struct input in = { data, size };
	size_t wanted = (size_t)take_number(&in) % (2 * PLAIN_BYTES_MAX);
	struct view plan = take_string(&in), base = take_string(&in), bytes = take(&in, in.left);
	struct error e = { 0 };

	int r = plain_make(bytes, plan, &plain, &e);
	must(r == 0 || (is_refusal(r) && e.code == r));
	must(r < 0 || plain.len <= PLAIN_BYTES_MAX);
	/* A plan of zlib's own streams is the way back, too; others' streams become others. */
	if (r == 0) {
		r = plain_undo(buf_view(&plain), plan, bytes.len, &again, NULL);
		must(r == 0 || is_refusal(r));
		must(r < 0 || again.len == bytes.len);
	}
	r = plain_undo(bytes, plan, wanted, &out, &e);
	must(r == 0 ? out.len == wanted : is_refusal(r) && e.code == r);
	buf_clear(&out);
	r = delta_undo(bytes, base, wanted, &out, &e);
	must(r == 0 ? out.len <= wanted : r == -E_CORRUPT && out.len == 0);
	buf_clear(&plain);
	buf_clear(&again);
	must(plain_plan(bytes, PLAN_PROVED, &found, &plain, NULL) == 0);
	must(plain_make(bytes, buf_view(&found), &again, NULL) == 0);
	must(view_equal(buf_view(&plain), buf_view(&again)));
	try_delta(bytes, base);
	return 0;
}
