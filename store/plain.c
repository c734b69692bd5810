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

/* Whether the stream can be made again of its choices, which may take size_max: 1 and they, or
 * 0. */
static int find_choices(struct view compressed, struct view inflated, size_t size_max,
			struct buf *choices, struct error *e)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, again = { 0 };
	int r = tokens_split(compressed, inflated.len + size_max, &plain, choices, e);

	if (r != 1 || !view_equal(buf_view(&plain), inflated))
		return r < 0 ? r : 0;
	r = tokens_join(inflated, buf_view(choices), compressed.len, &again, e);
	return r < 0 && r != -E_CORRUPT ? r : view_equal(buf_view(&again), compressed);
}

/* A member on the way to being a part: what it inflates to, and how. */
struct inflated {
	struct buf bytes, flushes, choices;
};

static void inflated_release(struct inflated *m)
{
	buf_release(&m->bytes);
	buf_release(&m->flushes);
	buf_release(&m->choices);
}

/* The recipe of a stream that was inflated, whose choices may take size_max: 1, and the part
 * borrows from *m; or 0. */
static int find_recipe(struct view compressed, size_t proof, size_t size_max, struct inflated *m,
		       struct part *part, struct error *e)
{
	struct view bytes = buf_view(&m->bytes);
	int r = recode_find(compressed, bytes, buf_view(&m->flushes), proof, &part->recipe, e);

	if (r == 0) {
		part->recipe = (struct recipe){ .way = RECIPE_TOKENS };
		r = find_choices(compressed, bytes, size_max, &m->choices, e);
	}
	part->size = bytes.len;
	part->choices = r == 1 ? m->choices.len : 0;
	return r;
}

/* 1 when the member becomes a part; *left is what the plan may still inflate. */
static int plan_member(struct view compressed, size_t proof, size_t *left, struct inflated *m,
		       struct part *part, struct error *e)
{
	buf_clear(&m->bytes);
	buf_clear(&m->flushes);
	buf_clear(&m->choices);
	int r = recode_inflate(compressed, *left, &m->bytes, &m->flushes, e);
	uint64_t cost = cost_of(compressed, &m->bytes);

	*left -= cost < *left ? (size_t)cost : *left;
	if (r != 1 || m->bytes.len == 0)
		return r < 0 ? r : 0;
	r = find_recipe(compressed, proof, *left, m, part, e);
	*left -= part->choices < *left ? (size_t)part->choices : *left;
	return r;
}

int plain_plan(struct view bytes, size_t proof, struct buf *plan, struct buf *plain,
	       struct error *e)
{
	CLEANUP(inflated_release) struct inflated m = { 0 };
	size_t left = bytes.len < PLAIN_BYTES_MAX ? PLAIN_BYTES_MAX - bytes.len : 0;
	struct reader in = reader_of(bytes);
	struct zip_member *members;
	size_t count;
	uint64_t at = 0;
	int r = zip_members(bytes, &members, &count, e);

	buf_u8(plan, PLAN_FORMAT);
	for (size_t i = 0; r >= 0 && i < count && left > 0; i++) {
		struct view compressed =
			view_of((const uint8_t *)bytes.data + members[i].at, members[i].len);
		struct part part = { .gap = members[i].at - at, .len = members[i].len };

		r = plan_member(compressed, proof, &left, &m, &part, e);
		if (r != 1)
			continue;
		part_encode(plan, &part);
		struct view gap = reader_bytes(&in, part.gap);
		buf_append(plain, gap.data, gap.len);
		buf_append(plain, m.bytes.data, m.bytes.len);
		buf_append(plain, m.choices.data, m.choices.len);
		reader_bytes(&in, part.len);
		at = members[i].at + members[i].len;
	}
	free(members);
	buf_append(plain, in.at, reader_left(&in));
	r = r < 0 ? r : buf_check(plan, e);
	return r < 0 ? r : buf_check(plain, e);
}

/* Appends what the stream is plain, which takes its part's bytes exactly. */
static int make_part(struct view stream, const struct part *part, struct buf *out, struct error *e)
{
	CLEANUP(buf_release) struct buf choices = { 0 };
	size_t before = out->len;
	int r = part->recipe.way == RECIPE_TOKENS
			? tokens_split(stream, (size_t)(part->size + part->choices), out, &choices,
				       e)
			: recode_inflate(stream, (size_t)part->size, out, NULL, e);

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
