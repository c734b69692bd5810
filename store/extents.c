/* extents.c - see extents.h: a sorted array, searched by halves and spliced. */
#include "extents.h"

#include <stdlib.h>

#define SPARE 4 /* a change splits one extent in two, adds one, and one more for a gap */

void extents_release(struct extents *x)
{
	free(x->at);
	*x = (struct extents){ 0 };
}

int extents_reserve(struct extents *x, struct error *e)
{
	if (x->room - x->count >= SPARE)
		return 0;
	size_t room = x->room ? 2 * x->room : 8;
	struct extent *at = realloc(x->at, room * sizeof(*at));
	if (!at)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	x->at = at;
	x->room = room;
	return 0;
}

size_t extents_find(const struct extents *x, uint64_t offset)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (x->at[middle].at + x->at[middle].len <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What is left of an extent after its first n bytes. */
static struct extent without_first(struct extent x, uint64_t n)
{
	x.at += n;
	x.len -= n;
	x.from += x.kind == EXTENT_ZERO ? 0 : n;
	return x;
}

static bool join(struct extent *a, const struct extent *b)
{
	bool continues = a->kind == b->kind && a->at + a->len == b->at &&
			 (a->kind == EXTENT_ZERO ||
			  (a->from + a->len == b->from && a->content == b->content));

	a->len += continues ? b->len : 0;
	return continues;
}

/* Puts n extents in the place of those from first up to last. */
static void splice(struct extents *x, size_t first, size_t last, const struct extent *new, size_t n)
{
	memmove(x->at + first + n, x->at + last, (x->count - last) * sizeof(*x->at));
	if (n)
		memcpy(x->at + first, new, n * sizeof(*new));
	x->count += n - (last - first);
}

/* Joins what continues each other around the extents from first to last. */
static void tidy(struct extents *x, size_t first, size_t last)
{
	first = first ? first - 1 : 0;
	while (first < last && first + 1 < x->count) {
		if (join(&x->at[first], &x->at[first + 1])) {
			splice(x, first + 1, first + 2, NULL, 0);
			last--;
		} else {
			first++;
		}
	}
}

void extents_set(struct extents *x, struct extent new)
{
	struct extent with[3];
	size_t n = 0;

	if (new.len == 0)
		return;
	if (new.at > x->size)
		extents_truncate(x, new.at);
	size_t first = extents_find(x, new.at), last = extents_find(x, new.at + new.len);
	if (first < x->count && x->at[first].at < new.at) {
		with[n] = x->at[first];
		with[n].len = new.at - with[n].at;
		n++;
	}
	with[n++] = new;
	if (last < x->count && x->at[last].at < new.at + new.len) {
		with[n++] = without_first(x->at[last], new.at + new.len - x->at[last].at);
		last++;
	}
	splice(x, first, last, with, n);
	tidy(x, first, first + n);
	x->size = x->size > new.at + new.len ? x->size : new.at + new.len;
}

void extents_truncate(struct extents *x, uint64_t size)
{
	if (size > x->size) {
		x->at[x->count++] = (struct extent){ .at = x->size,
						     .len = size - x->size,
						     .kind = EXTENT_ZERO };
		tidy(x, x->count - 1, x->count - 1);
	} else if (size < x->size) {
		size_t first = extents_find(x, size);

		if (x->at[first].at < size) {
			x->at[first].len = size - x->at[first].at;
			first++;
		}
		x->count = first;
	}
	x->size = size;
}
