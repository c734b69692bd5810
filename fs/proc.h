/* proc.h - what the kernel tells of processes: the files of /proc/PID.
 *
 * The system's /proc may be mounted so that a process sees only what it could trace (hidepid=), and
 * the worker may trace nobody.  So it mounts one of its own before it gives up the right to, at no
 * place, and for as long as it lives. */
#ifndef DAYBOOK_FS_PROC_H
#define DAYBOOK_FS_PROC_H

#include <sys/types.h>

/* Mounts it, before there is a second thread: its directory, which stays open, or -1 where that is
 * refused (in most containers; before Linux 5.2): then it is the system's that is read. */
int proc_mount(void);

/* Opens a file of a process or thread: -1 when it is gone, or hidden. */
int proc_open(pid_t pid, const char *file);

#endif
