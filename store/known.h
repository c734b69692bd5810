/* known.h - which content has a digest, of those that were saved or found a short while ago.
 *
 * The same bytes come again soon: a tree unpacked twice, a branch left and come back to.  What is
 * known so needs neither be looked up nor compared with what is stored.  It is a hint: who gets one
 * compares the digest in the content's own record.  It holds for some minutes, and no longer than
 * until something read turned out to be damaged: from then on bytes that come in are compared with
 * what is there, and stored anew where that is bad. */
#ifndef DAYBOOK_KNOWN_H
#define DAYBOOK_KNOWN_H

#include <stdatomic.h>

#include "format.h"

#define KNOWN_SLOTS 32768
#define KNOWN_SECONDS 600

/* Zeroed = empty.  Any thread, no lock: tag and content of a slot may be of two notes. */
struct known {
	atomic_uint_least64_t doubts;
	struct {
		atomic_uint_least64_t tag, content;
	} at[KNOWN_SLOTS];
};

void known_note(struct known *k, const struct digest *digest, uint64_t content);
/* 0: none. */
uint64_t known_find(const struct known *k, const struct digest *digest);
/* Something that was stored is damaged: forgets all. */
void known_doubt(struct known *k);

#endif
