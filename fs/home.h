/* home.h - the processor that the threads that serve stay on.
 *
 * A program that waits for each answer gets it sooner when who answers runs on the program's own
 * processor, where nobody has to be woken: 6 us instead of 13 for an empty request on a virtual
 * machine.  Left alone, the scheduler puts the threads where it finds a free processor, and on a
 * busy machine each request waits for its turn on two of them.  So while one program alone asks,
 * and for little at a time, all threads stay on one processor, their home; the scheduler draws the
 * program there when the others have work.  Where they are idle it runs beside the threads, as it
 * would anyway.  When others ask too, or many bytes are moved, the threads run where they can. */
#ifndef DAYBOOK_FS_HOME_H
#define DAYBOOK_FS_HOME_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HOME_NOWHERE (-1)
#define HOME_LONE_MIN 32     /* requests in a row by one program, before there is a home */
#define HOME_LONE_MAX 2048   /* after so many it is chosen again: it may be busy by now */
#define HOME_BYTES_MAX 32768 /* more at a time are worth several processors */

struct home {
	_Atomic uint32_t asker; /* who asked last */
	_Atomic uint32_t lone;  /* how often in a row */
	_Atomic int at;         /* HOME_NOWHERE, or a processor */
	cpu_set_t anywhere;
};

/* Where the process may run now is where its threads may run later. */
void home_init(struct home *home);

/* A thread has read a request of pid (0: nobody waits for it) that moves so many bytes; it is on
 * the processor `here`. */
void home_note(struct home *home, uint32_t pid, uint64_t bytes, int here);

/* A thread that serves, before it waits for its next request: it goes where the others are. */
void home_go(struct home *home);

#endif
