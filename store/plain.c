/* plain.c - see plain.h. */
#include "plain.h"

#include <stdlib.h>

#include "recode.h"
#include "tokens.h"
#include "zip.h"

struct part {
	uint64_t gap, len, size;
	struct recipe recipe;
	uint64_t choices; /* bytes, for RECIPE_TOKENS */
};

static bool has_flushes(const struct part *part)
{
	return part->recipe.way == RECIPE_OFFICE || part->recipe.way == RECIPE_OFFICE_DEEP;
}

static void part_encode(struct buf *plan, const struct part *part)
{
	buf_varint(plan, part->gap);
	buf_varint(plan, part->len);
	buf_varint(plan, part->size);
	buf_u8(plan, part->recipe.way);
	if (has_flushes(part))
		buf_string(plan, part->recipe.flushes);
	if (part->recipe.way == RECIPE_TOKENS)
		buf_varint(plan, part->choices);
}

/* 1 and the next part, 0 at the end. */
static int part_decode(struct reader *in, struct part *ret, struct error *e)
{
	if (reader_left(in) == 0 && !in->failed)
		return 0;
	ret->gap = reader_varint(in);
	ret->len = reader_varint(in);
	ret->size = reader_varint(in);
	ret->recipe = (struct recipe){ .way = reader_u8(in) };
	if (has_flushes(ret))
		ret->recipe.flushes = reader_string(in);
	ret->choices = ret->recipe.way == RECIPE_TOKENS ? reader_varint(in) : 0;
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

/* Whether the stream can be made again of its choices, which may take size_max: 1 and their
 * length. */
static int find_choices(struct view compressed, struct view inflated, size_t size_max,
			uint64_t *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, choices = { 0 }, again = { 0 };
	int r = tokens_split(compressed, inflated.len + size_max, &plain, &choices, e);

	if (r != 1 || !view_equal(buf_view(&plain), inflated))
		return r < 0 ? r : 0;
	r = tokens_join(inflated, buf_view(&choices), compressed.len, &again, e);
	*ret = choices.len;
	return r < 0 && r != -E_CORRUPT ? r : view_equal(buf_view(&again), compressed);
}

/* The recipe of a stream that is `inflated`, whose choices may take size_max: 1, and the part's
 * recipe borrows from *memory; or 0. */
static int find_recipe(struct view compressed, struct view inflated, size_t size_max,
		       struct part *part, struct buf *memory, struct error *e)
{
	int r = recode_find(compressed, inflated, &part->recipe, memory, e);

	if (r == 0) {
		part->recipe = (struct recipe){ .way = RECIPE_TOKENS };
		r = find_choices(compressed, inflated, size_max, &part->choices, e);
	}
	return r;
}

int plain_plan(struct view bytes, struct buf *plan, struct error *e)
{
	CLEANUP(buf_release) struct buf inflated = { 0 }, memory = { 0 };
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
			r = find_recipe(compressed, buf_view(&inflated),
					spent < PLAIN_BYTES_MAX ? PLAIN_BYTES_MAX - spent : 0,
					&part, &memory, e);
		if (r != 1 || !inflated.len)
			continue;
		part.size = inflated.len;
		spent += part.choices;
		part_encode(plan, &part);
		at = members[i].at + members[i].len;
	}
	free(members);
	return r < 0 ? r : buf_check(plan, e);
}

/* Appends what the stream is plain, which takes its part's bytes exactly. */
static int make_part(struct view stream, const struct part *part, struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf choices = { 0 };
	size_t before = out->len;
	int r = part->recipe.way == RECIPE_TOKENS
			? tokens_split(stream, (size_t)(part->size + part->choices), out, &choices,
				       e)
			: recode_inflate(stream, (size_t)part->size, out, e);

	if (r < 0)
		return r;
	if (r == 0 || out->len - before != part->size || choices.len != part->choices)
		return misfit(e);
	buf_append(out, choices.data, choices.len);
	return 0;
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

		if (from.failed || gap.len > left || part.size > left - gap.len ||
		    part.choices > left - gap.len - part.size)
			return misfit(e);
		left -= gap.len + part.size + part.choices;
		buf_append(out, gap.data, gap.len);
		r = make_part(stream, &part, out, e);
	}
	if (r == 0 && reader_left(&from) > left)
		return misfit(e);
	buf_append(out, from.at, reader_left(&from));
	return r < 0 ? r : buf_check(out, e);
}

/* Appends the stream of which the part is plain: of at most len_max bytes. */
static int undo_part(struct view inflated, struct view choices, const struct part *part,
		     size_t len_max, struct buf *out, struct error *e)
{
	return part->recipe.way == RECIPE_TOKENS
		       ? tokens_join(inflated, choices, len_max, out, e)
		       : recode_make(&part->recipe, inflated, len_max, out, e);
}

int plain_undo(struct view plain, struct view plan, size_t size, struct buf *out, struct error *e)
{
	struct reader in, from = reader_of(plain);
	size_t before = out->len;
	struct part part;
	int r = open_plan(plan, &in, e);

	while (r == 0 && (r = part_decode(&in, &part, e)) == 1) {
		struct view gap = reader_bytes(&from, part.gap),
			    inflated = reader_bytes(&from, part.size),
			    choices = reader_bytes(&from, part.choices);

		if (from.failed || gap.len > size - (out->len - before))
			return misfit(e);
		buf_append(out, gap.data, gap.len);
		r = undo_part(inflated, choices, &part, size - (out->len - before), out, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && out->len - before + reader_left(&from) != size)
		return misfit(e);
	buf_append(out, from.at, reader_left(&from));
	return r < 0 ? r : buf_check(out, e);
}
