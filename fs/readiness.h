/* readiness.h - tells the service manager that started the daemon how far it is, as systemd's
 * sd_notify(3) does. */
#ifndef DAYBOOK_FS_READINESS_H
#define DAYBOOK_FS_READINESS_H

/* state: "READY=1", "STOPPING=1".  Without a manager that wants to know (NOTIFY_SOCKET) nothing
 * happens. */
void readiness_tell(const char *state);

#endif
