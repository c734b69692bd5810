/* pack.h - older versions packed closer together, so that history costs little more than what
 * changed.
 *
 * A document's newest version stays as it is, so that the present never pays; so does content that
 * is live elsewhere. An older one becomes a delta against a newer one (packed.h): version k against
 * version k + 2^j, for the largest j such that 2^j divides k and that version is there.  So a chain
 * of bases is some 2 log2(n) long at most, and each delta spans few saves.  Every 256th version is
 * packed against nothing, which bounds the chain at 20 for good.  Bases are newer versions of the
 * same document; a content that several documents have is packed in the oldest one.
 *
 * What is packed was made again from its packed form first and compared byte for byte, and it is
 * kept only where it is smaller.  One atomic batch then replaces the segment's record; its chunks
 * go later (sweep.h).  A death at any point leaves each segment in one form or the other.  Contents
 * of more than PACK_BYTES_MAX stay as they are. */
#ifndef DAYBOOK_PACK_H
#define DAYBOOK_PACK_H

#include "store.h"

#define PACK_BYTES_MAX ((uint64_t)16 << 20)
#define PACK_AGE_NS (60ll * 1000000000) /* usual */

struct pack_options {
	int64_t age_ns; /* versions are packed when the version after them is at least so old */
	bool dry_run;   /* packs, measures, and writes nothing */
	/* Looks at every document, not only at those that changed; and sweeps in any case. */
	bool all;
	/* Called between pieces of work, with no lock held, with changes looked at and to look at;
	 * may sleep (the rate limit is the caller's); false: stop. */
	bool (*pause)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct pack_report {
	/* Looked at; versions that became packed, or packed better. */
	uint64_t documents, packed;
	/* Of those: their size; what they took in chunks of their own; what they take. */
	uint64_t bytes, before, after;
	uint64_t removed;                /* chunks */
};

/* Packs what has become old since the last time, then sweeps when it is worth it.  One at a time:
 * -E_LOCKED when another thread packs this store.  -ECANCELED when pause() said so; what was packed
 * until then stays. */
int pack_run(struct store *store, const struct pack_options *options, struct pack_report *ret,
	     struct error *e);

/* What packing has done so far: zero when it never ran. */
int pack_facts(struct store *store, struct packing_record *ret, struct error *e);

#endif
