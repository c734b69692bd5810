/* error.c - see error.h. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int number, err;
	const char *name, *text;
} codes[] = {
#define X(code, number, err, text) { number, err, #code, text },
	ERROR_CODES(X)
#undef X
};

#define CODE_FIRST 1001

static bool is_ours(int code)
{
	return code <= -CODE_FIRST && code > -CODE_FIRST - (int)(sizeof(codes) / sizeof(codes[0]));
}

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list ap;

	if (!e)
		return code;
	e->code = code;
	e->text[0] = '\0';
	va_start(ap, format);
	if (*format)
		vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	if (!e->text[0])
		snprintf(e->text, sizeof(e->text), "%s", error_sentence(code));
	return code;
}

int error_system(struct error *e, const char *format, ...)
{
	int saved = errno, code = saved == ENOSPC || saved == EDQUOT ? -E_NO_SPACE
				  : saved == ENOMEM                  ? -E_NO_MEMORY
								     : -saved;
	va_list ap;
	size_t n;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(saved));
	return code;
}

int error_prefix(struct error *e, int code, const char *format, ...)
{
	char head[sizeof(e->text)], tail[sizeof(e->text)];
	va_list ap;

	if (!e)
		return code;
	va_start(ap, format);
	vsnprintf(head, sizeof(head), format, ap);
	va_end(ap);
	memcpy(tail, e->text, sizeof(tail));
	if ((size_t)snprintf(e->text, sizeof(e->text), "%s: %s", head, tail) >= sizeof(e->text))
		e->text[sizeof(e->text) - 1] = '\0';
	return code;
}

int error_errno(int code)
{
	return is_ours(code) ? codes[-code - CODE_FIRST].err : -code;
}

const char *error_name(int code)
{
	const char *name = is_ours(code) ? codes[-code - CODE_FIRST].name : strerrorname_np(-code);

	return name ? name : "E_UNKNOWN";
}

const char *error_sentence(int code)
{
	return is_ours(code) ? codes[-code - CODE_FIRST].text : strerror(-code);
}
