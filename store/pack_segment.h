/* pack_segment.h - one segment packed against another; for pack.c. */
#ifndef DAYBOOK_PACK_SEGMENT_H
#define DAYBOOK_PACK_SEGMENT_H

#include "packed.h"
#include "recode.h"

struct segment_packing {
	struct content_store *cs;
	uint64_t doc, segment, base; /* base 0: against nothing */
	uint64_t newest;             /* segment whose chunks stay in any case */
	/* What came of it. */
	uint64_t size;               /* the segment's bytes */
	uint64_t before, after;      /* bytes that it took alone, and takes now */
	uint64_t left;               /* bytes of chunks that it names no more */
	bool repacked;               /* it was packed before, against another base */
};

/* Packs: 1, with what is to be written in batch, which may have been written early in part; 0 when
 * that gains nothing, or the segment is packed against that base already. */
int segment_pack(struct segment_packing *s, struct kv_batch *batch, struct error *e);

/* Writes the batch, after which readers see the segment's new form. */
int segment_repack_commit(struct segment_packing *s, struct kv_batch *batch, struct error *e);

#endif
