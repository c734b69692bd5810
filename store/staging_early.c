/* staging_early.c - see staging.h: what is written in order becomes content before it is saved. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "staging_parts.h"

#define PAGE 4096 /* a kill does not divide what is written of one */

/* ---- following the writer ---- */

/* The entry at `position` was the last of the segment that was under way. */
static void fill(struct staging *s, uint64_t end, uint64_t position)
{
	/* It may go on into the next segment: then its place in the journal is left alone. */
	s->run.to = end > s->run.at + content_segment_max() ? position : s->end;
	if (s->full_count < STAGED_FULL_MAX)
		s->full[s->full_count++] = s->run;
	s->running = false;
}

void early_follow(struct staging *s, bool write, uint64_t offset, uint64_t n, uint64_t position)
{
	uint64_t max = content_segment_max(), end = offset + n, last = end - end % max;

	s->running = s->running && write && offset == s->goes_on;
	if (!write)
		return;
	if (s->running && end >= s->run.at + max)
		fill(s, end, position);
	if (!s->running && last >= offset) {
		s->running = true;
		s->run = (struct staged_segment){ .at = last,
						  .from = last > offset ? s->end : position };
	}
	s->goes_on = end;
}

size_t staging_full_count(const struct staging *s)
{
	return s->full_count + s->taken;
}

uint64_t staging_full_bytes(const struct staging *s)
{
	return staging_full_count(s) * content_segment_max() +
	       (s->running ? s->end - s->run.from : 0);
}

/* ---- early contents ---- */

int early_add(struct staging *s, uint64_t content, struct error *e)
{
	uint64_t *more = realloc(s->early, (s->early_count + 1) * sizeof(*more));

	if (!more)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	s->early = more;
	s->early[s->early_count++] = content;
	return 0;
}

void early_end(struct staging *s, bool drop)
{
	for (size_t i = 0; drop && s->journals->contents && i < s->early_count; i++)
		content_drop_early(s->journals->contents, s->early[i]);
	free(s->early);
	s->early = NULL;
	s->early_count = s->full_count = s->taken = 0;
	s->running = false;
}

const uint64_t *staging_early(const struct staging *s, size_t *ret_count)
{
	*ret_count = s->early_count;
	return s->early;
}

/* ---- taking ---- */

/* The extents of a segment, from 0 on: 1, or 0 when not all of it is in the journal any more. */
static int copy_extents(const struct staging *s, uint64_t at, struct extent **ret,
			struct work *ret_work, struct error *e)
{
	uint64_t max = content_segment_max();
	size_t first = extents_find(&s->extents, at), count = 0;

	if (s->extents.size < at + max)
		return 0;
	size_t last = extents_find(&s->extents, at + max - 1);
	struct extent *copy = calloc(last - first + 1, sizeof(*copy));
	if (!copy)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	for (uint64_t done = 0; done < max; count++) {
		struct extent x = s->extents.at[first + count];
		uint64_t skip = at + done - x.at, len = x.len - skip;

		if (x.kind != EXTENT_STAGED) {
			free(copy);
			return 0;
		}
		len = len < max - done ? len : max - done;
		copy[count] = (struct extent){ done, len, EXTENT_STAGED, 0, x.from + skip };
		done += len;
	}
	*ret = copy;
	*ret_work = (struct work){ copy, count, max, s->fd };
	return 1;
}

int staging_take(struct staging *s, struct staged_segment *ret, struct extent **ret_extents,
		 struct work *ret_work, struct error *e)
{
	int r = 0;

	while (r == 0 && s->full_count > 0) {
		*ret = s->full[0];
		ret->seen = s->end;
		s->full_count--;
		memmove(s->full, s->full + 1, s->full_count * sizeof(*s->full));
		r = copy_extents(s, ret->at, ret_extents, ret_work, e);
	}
	s->taken += r == 1;
	return r;
}

void staging_give_up(struct staging *s)
{
	s->taken--;
}

/* ---- moving ---- */

static bool is_of(const struct extent *x, const struct staged_segment *segment)
{
	return x->kind == EXTENT_STAGED && x->from < segment->seen;
}

/* Makes the content's in memory what of the segment has not been written again since. */
static int move_extents(struct staging *s, const struct staged_segment *segment, uint64_t content,
			struct error *e)
{
	uint64_t at = segment->at, end = at + content_segment_max();

	end = end < s->extents.size ? end : s->extents.size;
	while (at < end) {
		int r = extents_reserve(&s->extents, e);
		size_t i = extents_find(&s->extents, at);
		bool is = is_of(&s->extents.at[i], segment);
		uint64_t from = at;

		if (r < 0)
			return r;
		for (; i < s->extents.count && at < end &&
		       is_of(&s->extents.at[i], segment) == is;
		     i++)
			at = s->extents.at[i].at + s->extents.at[i].len;
		at = at < end ? at : end;
		if (is)
			extents_set(&s->extents,
				    (struct extent){ from, at - from, EXTENT_CONTENT, content,
						     from - segment->at });
	}
	return 0;
}

/* Frees the journal's bytes of a segment, of which a head in the place of their first one tells
 * that they are another content's.  Should that fail, they stay. */
static void free_bytes(struct staging *s, const struct staged_segment *segment, uint64_t content)
{
	struct staging_head head = { .type = STAGING_MOVED,
				     .offset = segment->at,
				     .length = segment->to - segment->from - STAGING_HEAD_LEN,
				     .content = content,
				     .from = content_segment_max() };
	uint64_t first = segment->from + STAGING_HEAD_LEN, last = segment->to - segment->to % PAGE;

	first += PAGE - 1 - (first + PAGE - 1) % PAGE;
	if (segment->from % PAGE > PAGE - STAGING_HEAD_LEN || first >= last ||
	    staging_write_entry(s, &head, view_of(NULL, 0), segment->from, NULL) < 0)
		return;
	if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first,
		      (off_t)(last - first)) == 0)
		s->punched += last - first;
}

int staging_moved(struct staging *s, const struct staged_segment *segment, uint64_t content,
		  struct error *e)
{
	int r = early_add(s, content, e);

	s->taken--;
	if (r == 0)
		r = move_extents(s, segment, content, e);
	if (r == 0)
		free_bytes(s, segment, content);
	return r;
}
