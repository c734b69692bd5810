/* clock.h - times as they are written in names, in the log and by people.  All in UTC. */
#ifndef DAYBOOK_CLOCK_H
#define DAYBOOK_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "bytes.h"

#define CLOCK_NAME_LEN 20 /* 2026-03-03_14.15.20Z */
#define NS_PER_SECOND 1000000000ll

int64_t clock_now(void); /* CLOCK_REALTIME, ns */
/* CLOCK_MONOTONIC_COARSE, ns: for durations of some milliseconds and more. */
int64_t clock_monotonic(void);
/* Also of times before 1970: tv_nsec is never negative. */
struct timespec clock_timespec(int64_t ns);

/* "2026-03-03_14.15.20Z" (for names) and "2026-03-03T14:15:20.123456789Z" (for the log, JSON and
 * CSV). */
void clock_name(char out[CLOCK_NAME_LEN + 1], int64_t ns);
void clock_iso(char out[31], int64_t ns);

/* Reads a time as people write it: "2026-03-03_14.15.20Z", any prefix of it down to the year
 * ("2026-03", "2026-03-03_14"), the ISO forms with 'T', ':' and an optional fraction and 'Z',
 * "now", "today", "yesterday", "-3d" / "3 days ago" (s, min, h, d, w).  *ret_last_ns is the last
 * nanosecond of the period that was named: the end of that second, hour, day, month; yesterday's
 * end for "yesterday".  now_ns is what "now" is. 0, or -E_BAD_TIME with a sentence that shows the
 * forms. */
int clock_parse(struct view text, int64_t now_ns, int64_t *ret_last_ns, struct error *e);

/* The same, giving the first nanosecond of the period too: where "since 2026-03" begins. */
int clock_parse_period(struct view text, int64_t now_ns, int64_t *ret_first_ns,
		       int64_t *ret_last_ns, struct error *e);

#endif
