/* grow.h - makes room for one more element of an array; programs of the crash tests end when memory
 * does. */
#ifndef CRASH_GROW_H
#define CRASH_GROW_H

#include <stdlib.h>

#define GROW(array, count, cap) \
	do { \
		if ((count) == (cap)) { \
			(cap) = (cap) ? 2 * (cap) : 64; \
			(array) = realloc((array), (cap) * sizeof(*(array))); \
			if (!(array)) \
				abort(); \
		} \
	} while (0)

#endif
