/* pace.h - who is held back so that the saves of others stay quick: the decision alone, without a
 * clock of its own and without a thread (pacer.h).
 *
 * Whoever copies, unpacks or removes a tree makes one change after the other and waits for no disk;
 * who saves durably meanwhile finds the processors taken.  So, as long as durable saves are being
 * made, a thread of a program that is PACE_CHANGES_PER_S changes ahead of that many a second,
 * without having waited for the disk, is an *importer*.  Importers' changes are made one at a time,
 * in the order in which they were asked for, and between two of them all importers rest PACE_REST
 * times as long as the one before took.  Whoever waits for the disk is never one, and without such
 * saves nobody is. */
#ifndef DAYBOOK_FS_PACE_H
#define DAYBOOK_FS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_CHANGES_PER_S 512
#define PACE_AHEAD_NS_MAX 2000000000 /* an importer that pauses is none a second later */
#define PACE_SAVES 8                 /* waits for the disk within a second: saves are being made */
#define PACE_REST 8
#define PACE_REST_NS_MAX 25000000
#define PACE_THREADS 1024 /* told apart by the remainder; who comes last is remembered */

/* All zero: nobody has done anything.  Times are of clock_monotonic(). */
struct pace {
	struct {
		uint32_t id;
		int64_t ahead; /* when it would have come so far at that rate */
	} threads[PACE_THREADS];
	int64_t saves[PACE_SAVES]; /* the last waits for the disk, */
	unsigned oldest;           /* this one the oldest */
	int64_t rested;            /* when importers have rested from the last change */
};

/* A thread of a program asks for a change: whether it is to be held back. */
bool pace_change(struct pace *pace, uint32_t thread, int64_t now);
/* It asks to wait for the disk. */
void pace_save(struct pace *pace, uint32_t thread, int64_t now);

/* How long importers have to rest from now on, at most PACE_REST_NS_MAX; 0: the next change may be
 * made. */
int64_t pace_rest(const struct pace *pace, int64_t now);
/* An importer's change was made just now, and computed so long. */
void pace_made(struct pace *pace, int64_t now, int64_t took_ns);

#endif
