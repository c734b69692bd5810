/* plain.c - see plain.h. */
#include "plain.h"

#include <stdlib.h>

#include "recode.h"
#include "zip.h"

struct part {
	uint64_t gap, len, size;
	uint8_t recipe;
};

static void part_encode(struct buf *plan, const struct part *part)
{
	buf_varint(plan, part->gap);
	buf_varint(plan, part->len);
	buf_varint(plan, part->size);
	buf_u8(plan, part->recipe);
}

/* 1 and the next part, 0 at the end. */
static int part_decode(struct reader *in, struct part *ret, struct error *e)
{
	if (reader_left(in) == 0 && !in->failed)
		return 0;
	ret->gap = reader_varint(in);
	ret->len = reader_varint(in);
	ret->size = reader_varint(in);
	ret->recipe = reader_u8(in);
	return in->failed ? error_set(e, -E_CORRUPT, "the plan of a packed segment is damaged") : 1;
}

/* The parts of an encoded plan. */
static int open_plan(struct view plan, struct reader *ret, struct error *e)
{
	*ret = reader_of(plan);
	if (plan.len == 0)
		return 0;
	uint8_t format = reader_u8(ret);
	if (format > PLAN_FORMAT)
		return error_set(e, -E_FORMAT_NEWER,
				 "a segment was packed by a newer Daybook: upgrade this one");
	return format ? 0 : error_set(e, -E_CORRUPT, "the plan of a packed segment is damaged");
}

static int misfit(struct error *e)
{
	return error_set(e, -E_CORRUPT,
			 "a packed segment is damaged: its plan does not fit its bytes");
}

/* What inflating took at most: what was no stream may have been one for long. */
static uint64_t cost_of(struct view compressed, const struct buf *inflated)
{
	return inflated->len ? inflated->len : compressed.len * RECODE_RATIO_MAX;
}

int plain_plan(struct view bytes, struct buf *plan, struct error *e)
{
	CLEANUP(buf_release) struct buf inflated = { 0 };
	struct zip_member *members;
	size_t count;
	uint64_t at = 0, spent = bytes.len;
	int r = zip_members(bytes, &members, &count, e);

	buf_u8(plan, PLAN_FORMAT);
	for (size_t i = 0; r >= 0 && i < count && spent < PLAIN_BYTES_MAX; i++) {
		struct view compressed =
			view_of((const uint8_t *)bytes.data + members[i].at, members[i].len);
		struct part part = { .gap = members[i].at - at, .len = members[i].len };

		buf_clear(&inflated);
		r = recode_inflate(compressed, PLAIN_BYTES_MAX - spent, &inflated, e);
		spent += cost_of(compressed, &inflated);
		if (r == 1 && inflated.len)
			r = recode_find(compressed, buf_view(&inflated), &part.recipe, e);
		if (r != 1 || !part.recipe)
			continue;
		part.size = inflated.len;
		part_encode(plan, &part);
		at = members[i].at + members[i].len;
	}
	free(members);
	return r < 0 ? r : buf_check(plan, e);
}

int plain_make(struct view bytes, struct view plan, struct buf *out, struct error *e)
{
	struct reader in, from = reader_of(bytes);
	size_t left = PLAIN_BYTES_MAX;
	struct part part;
	int r = open_plan(plan, &in, e);

	while (r == 0 && (r = part_decode(&in, &part, e)) == 1) {
		struct view gap = reader_bytes(&from, part.gap),
			    stream = reader_bytes(&from, part.len);
		size_t before;

		if (from.failed || gap.len > left || part.size > left - gap.len)
			return misfit(e);
		left -= gap.len + part.size;
		buf_append(out, gap.data, gap.len);
		before = out->len;
		r = recode_inflate(stream, part.size, out, e);
		if (r < 0)
			return r;
		if (r == 0 || out->len - before != part.size)
			return misfit(e);
		r = 0;
	}
	if (r == 0 && reader_left(&from) > left)
		return misfit(e);
	buf_append(out, from.at, reader_left(&from));
	return r < 0 ? r : buf_check(out, e);
}

int plain_undo(struct view plain, struct view plan, size_t size, struct buf *out, struct error *e)
{
	struct reader in, from = reader_of(plain);
	size_t before = out->len;
	struct part part;
	int r = open_plan(plan, &in, e);

	while (r == 0 && (r = part_decode(&in, &part, e)) == 1) {
		struct view gap = reader_bytes(&from, part.gap),
			    inflated = reader_bytes(&from, part.size);

		if (from.failed || gap.len > size - (out->len - before))
			return misfit(e);
		buf_append(out, gap.data, gap.len);
		r = recode_make(part.recipe, inflated, size - (out->len - before), out, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && out->len - before + reader_left(&from) != size)
		return misfit(e);
	buf_append(out, from.at, reader_left(&from));
	return r < 0 ? r : buf_check(out, e);
}
