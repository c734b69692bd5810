/* zip.c - archives as anybody may save them: store/zip.h, and what a plan (store/plain.h) makes of
 * one. Input: the bytes; with a first byte whose bit 0 is set, an end record that leads to the rest
 * is put behind them. */
#include "store/zip.h"
#include "fuzz.h"
#include "store/plain.h"

static void little(struct buf *b, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_u8(b, (uint8_t)(v >> (8 * i)));
}

/* The bytes, and behind them what makes an archive of them whose directory begins at `at`. */
static void add_end(struct buf *bytes, uint64_t at, uint64_t count)
{
	uint64_t len = at < bytes->len ? bytes->len - at : 0;

	little(bytes, 0x06054b50, 4);
	little(bytes, 0, 4);
	little(bytes, count, 2);
	little(bytes, count, 2);
	little(bytes, len, 4);
	little(bytes, at, 4);
	little(bytes, 0, 2);
}

static void check_members(struct view bytes)
{
	struct zip_member *members;
	size_t count;
	uint64_t end = 0;

	must(zip_members(bytes, &members, &count, NULL) == 0);
	must(count <= bytes.len);
	for (size_t i = 0; i < count; i++) {
		must(members[i].at >= end && members[i].len > 0 && members[i].at <= bytes.len);
		must(members[i].len <= bytes.len - members[i].at);
		end = members[i].at + members[i].len;
	}
	free(members);
}

/* What is made plain is made again, bit for bit. */
static void check_plan(struct view bytes)
{
	CLEANUP(buf_release) struct buf plan = { 0 }, plain = { 0 }, again = { 0 };

	must(plain_plan(bytes, PLAN_PROVED, &plan, &plain, NULL) == 0);
	must(plain_make(bytes, buf_view(&plan), &again, NULL) == 0);
	must(view_equal(buf_view(&again), buf_view(&plain)));
	buf_clear(&again);
	must(plain.len <= PLAIN_BYTES_MAX);
	must(plain_undo(buf_view(&plain), buf_view(&plan), bytes.len, &again, NULL) == 0);
	must(view_equal(buf_view(&again), bytes));
	if (bytes.len > 0)
		must(plain_undo(buf_view(&plain), buf_view(&plan), bytes.len - 1, &again, NULL) ==
		     -E_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf bytes = { 0 };
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	uint64_t at = how & 1 ? take_number(&in) : 0, count = how & 1 ? take_number(&in) : 0;

	buf_append(&bytes, in.at, in.left);
	if (how & 1)
		add_end(&bytes, at, count);
	check_members(buf_view(&bytes));
	check_plan(buf_view(&bytes));
	return 0;
}
