/* log.h - the daemon's words: to stderr in the foreground, to syslog in the background. */
#ifndef DAYBOOK_FS_LOG_H
#define DAYBOOK_FS_LOG_H

#include <syslog.h>

void log_open(int foreground, int debug);
/* priority: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG of syslog(3); debug lines only with -o
 * debug. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
