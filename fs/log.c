/* log.c - see log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

static int to_stderr = 1, with_debug;

void log_open(int foreground, int debug)
{
	to_stderr = foreground;
	with_debug = debug;
	if (!foreground)
		openlog("daybookd", LOG_PID, LOG_DAEMON);
}

void log_line(int priority, const char *format, ...)
{
	va_list ap;

	if (priority == LOG_DEBUG && !with_debug)
		return;
	va_start(ap, format);
	if (to_stderr) {
		char line[1024];

		vsnprintf(line, sizeof(line), format, ap);
		fprintf(stderr, "daybookd: %s\n", line);
	} else {
		vsyslog(priority, format, ap);
	}
	va_end(ap);
}
