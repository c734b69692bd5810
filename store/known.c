/* known.c - see known.h. */
#include "known.h"

#include <time.h>

/* Of a digest, the time and the doubts: what is noted in another time, or before a doubt, has
 * another tag. */
static uint64_t tag_of(const struct known *k, const struct digest *digest)
{
	struct timespec t;
	uint64_t tag;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	memcpy(&tag, digest->bytes, sizeof(tag));
	return tag + (uint64_t)t.tv_sec / KNOWN_SECONDS * 0x9e3779b97f4a7c15u +
	       atomic_load(&k->doubts) * 0xc2b2ae3d27d4eb4fu;
}

static size_t slot_of(const struct digest *digest)
{
	uint64_t bits;

	memcpy(&bits, digest->bytes + 8, sizeof(bits));
	return bits % KNOWN_SLOTS;
}

void known_note(struct known *k, const struct digest *digest, uint64_t content)
{
	size_t i = slot_of(digest);

	atomic_store_explicit(&k->at[i].content, content, memory_order_relaxed);
	atomic_store_explicit(&k->at[i].tag, tag_of(k, digest), memory_order_relaxed);
}

uint64_t known_find(const struct known *k, const struct digest *digest)
{
	size_t i = slot_of(digest);

	if (atomic_load_explicit(&k->at[i].tag, memory_order_relaxed) != tag_of(k, digest))
		return 0;
	return atomic_load_explicit(&k->at[i].content, memory_order_relaxed);
}

void known_doubt(struct known *k)
{
	atomic_fetch_add(&k->doubts, 1);
}
