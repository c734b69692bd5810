/* packing.h - packing of what is old, which everything is, while others save. */
#ifndef DAYBOOK_TESTS_CRASH_PACKING_H
#define DAYBOOK_TESTS_CRASH_PACKING_H

#include "store/store.h"

/* Packs the store again and again, until packing_end(), which must be called before the store is
 * closed or repaired. Ends the process when packing fails. */
void packing_begin(struct store *store);
void packing_end(void);

#endif
