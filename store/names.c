/* names.c - see names.h. */
#include "names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

#define EXTENSION_MAX 16
#define COOKIE_DIGITS 13 /* of 5 bits: 62 bits */
#define ESCAPED_MAX (3 * NAMES_LEN_MAX)
#define AUTHOR_MIN 4 /* one character, however long */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Length of the UTF-8 sequence at `at`, 0 when it is not one (overlong, surrogate, too large,
 * cut). */
static size_t utf8_len(const uint8_t *at, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = at[0] < 0x80    ? 1
		     : at[0] >= 0xf0 ? 4
		     : at[0] >= 0xe0 ? 3
		     : at[0] >= 0xc0 ? 2
				     : 0;
	uint32_t code = len == 1 ? at[0] : at[0] & (0x7fu >> len);

	if (len == 0 || len > left || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

static bool is_bad(uint8_t c)
{
	return c < 0x20 || c == 0x7f || strchr(":|?*<>\"\\/", c) != NULL;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static bool is_escape(const uint8_t *at, size_t left)
{
	return left >= 3 && at[0] == '%' && is_hex(at[1]) && is_hex(at[2]);
}

/* Whether the byte at `i` has to be written %XX. */
static bool must_escape(const uint8_t *raw, size_t len, size_t i)
{
	if (is_bad(raw[i]) || is_escape(raw + i, len - i))
		return true;
	if (i == 0 && len >= 5 &&
	    memcmp(raw, "@GMT-", 5) == 0) /* SMB takes it for a snapshot's name */
		return true;
	return i + 1 == len && (raw[i] == '.' || raw[i] == ' ');
}

/* Writes the escaped name; its length.  out has room for ESCAPED_MAX. */
static size_t escape(char *out, struct view name)
{
	const uint8_t *raw = name.data;
	size_t len = name.len > NAMES_LEN_MAX ? NAMES_LEN_MAX : name.len, n = 0;

	for (size_t i = 0; i < len;) {
		size_t sequence = utf8_len(raw + i, len - i);

		if (sequence == 0 || must_escape(raw, len, i)) {
			n += (size_t)sprintf(out + n, "%%%02X", raw[i++]);
			continue;
		}
		memcpy(out + n, raw + i, sequence);
		n += sequence;
		i += sequence;
	}
	return n;
}

/* Where the extension's dot stands, or the length when there is none. */
static size_t extension_at(const char *name, size_t len)
{
	size_t i = len;

	while (i > 0 && ((name[i - 1] >= '0' && name[i - 1] <= '9') ||
			 (name[i - 1] >= 'a' && name[i - 1] <= 'z') ||
			 (name[i - 1] >= 'A' && name[i - 1] <= 'Z')))
		i--;
	if (i < 2 || i == len || name[i - 1] != '.' || len - i > EXTENSION_MAX)
		return len;
	return i - 1;
}

/* The longest beginning of at most max bytes that cuts no character and no %XX in two. */
static size_t cut(const char *name, size_t len, size_t max)
{
	const uint8_t *at = (const uint8_t *)name;
	size_t n = 0;

	while (n < len) {
		size_t step = is_escape(at + n, len - n) ? 3 : utf8_len(at + n, len - n);

		step = step ? step : 1;
		if (n + step > max)
			break;
		n += step;
	}
	return n;
}

static void cookie_digits(char out[COOKIE_DIGITS + 2], uint64_t cookie)
{
	out[0] = '~';
	for (int i = COOKIE_DIGITS; i > 0; i--, cookie >>= 5)
		out[i] = digits[cookie & 31];
	out[COOKIE_DIGITS + 1] = '\0';
}

/* stem + added + extension, the stem cut to fit. */
static void put_name(char out[NAMES_LEN_MAX + 1], struct view raw, uint64_t cookie,
		     const char *added)
{
	char escaped[ESCAPED_MAX + 1], mark[COOKIE_DIGITS + 2] = "";
	size_t len = escape(escaped, raw), dot = extension_at(escaped, len), stem = dot;

	if (len + strlen(added) > NAMES_LEN_MAX) {
		cookie_digits(mark, cookie);
		stem = cut(escaped, dot,
			   NAMES_LEN_MAX - (len - dot) - strlen(added) - strlen(mark));
	}
	snprintf(out, NAMES_LEN_MAX + 1, "%.*s%s%s%.*s", (int)stem, escaped, mark, added,
		 (int)(len - dot), escaped + dot);
}

void names_show(char out[NAMES_LEN_MAX + 1], struct view raw, uint64_t cookie)
{
	put_name(out, raw, cookie, "");
}

static unsigned hex_value(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

static size_t unescape(char *out, const char *shown, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < NAMES_LEN_MAX; n++) {
		if (is_escape((const uint8_t *)shown + i, len - i)) {
			out[n] = (char)(hex_value(shown[i + 1]) << 4 | hex_value(shown[i + 2]));
			i += 3;
		} else {
			out[n] = shown[i++];
		}
	}
	out[n] = '\0';
	return n;
}

/* The cookie in "...~0123456789abc" before the extension, 0 when there is none. */
static uint64_t read_cookie(const char *shown, size_t len)
{
	size_t end = extension_at(shown, len);
	uint64_t cookie = 0;

	if (end < COOKIE_DIGITS + 1 || shown[end - COOKIE_DIGITS - 1] != '~')
		return 0;
	for (size_t i = end - COOKIE_DIGITS; i < end; i++) {
		const char *digit = shown[i] ? strchr(digits, shown[i]) : NULL;

		if (!digit)
			return 0;
		cookie = cookie << 5 | (uint64_t)(digit - digits);
	}
	return cookie;
}

void names_read(struct view shown, char raw[NAMES_LEN_MAX + 1], size_t *ret_len,
		uint64_t *ret_cookie)
{
	*ret_len = unescape(raw, shown.data, shown.len);
	*ret_cookie = shown.len ? read_cookie(shown.data, shown.len) : 0;
}

void names_version(char out[NAMES_LEN_MAX + 1], const struct names_version *v)
{
	char added[96], time[CLOCK_NAME_LEN + 1], number[48] = "";
	int room;

	clock_name(time, v->time);
	if (v->number)
		snprintf(number, sizeof(number), ".v%" PRIu64, v->number);
	if (v->lost)
		snprintf(number + strlen(number), sizeof(number) - strlen(number), "-lost");
	if (v->twin > 1)
		snprintf(number + strlen(number), sizeof(number) - strlen(number), "-%u", v->twin);
	room = NAMES_ADDED_MAX - 2 - CLOCK_NAME_LEN - (int)strlen(number);
	room = (int)cut(v->author.data, v->author.len,
			room < AUTHOR_MIN ? AUTHOR_MIN : (size_t)room);
	/* A name never ends in a dot, and the author may come last. */
	while (room > 1 && ((const char *)v->author.data)[room - 1] == '.')
		room--;
	snprintf(added, sizeof(added), ".%s%s.%.*s", time, number, room,
		 (const char *)v->author.data);
	put_name(out, v->raw, v->cookie, added);
}

void names_author(char out[NAMES_AUTHOR_ROOM], struct view author, uint32_t uid, bool with_domain)
{
	const char *name = author.data;
	const char *domain = author.len ? memrchr(name, '\\', author.len) : NULL;
	size_t from = domain && !with_domain ? (size_t)(domain - name) + 1 : 0, n = 0;

	for (size_t i = from; i < author.len && n + 5 < NAMES_AUTHOR_ROOM;) {
		const uint8_t *at = (const uint8_t *)name + i;
		size_t sequence = utf8_len(at, author.len - i);
		bool bad = sequence == 0 || is_bad(*at) || *at == ' ' || *at == '%' || *at == '~' ||
			   (*at == '.' && n == 0);

		if (bad)
			out[n++] = name + i == domain ? '+' : '_';
		else
			memcpy(out + n, at, sequence), n += sequence;
		i += bad ? 1 : sequence;
	}
	while (n > 0 && out[n - 1] == '.')
		n--;
	out[n] = '\0';
	if (n == 0)
		snprintf(out, NAMES_AUTHOR_ROOM, "uid-%" PRIu32, uid);
}

int names_check(struct view name, struct error *e)
{
	const uint8_t *at = name.data;

	if (name.len > NAMES_LEN_MAX)
		return error_set(e, -E_NAME_LONG, "the name is longer than %d bytes",
				 NAMES_LEN_MAX);
	if (name.len == 0 || at[0] == ' ' || view_equal(name, view_str(".history")))
		return error_set(e, -E_NAME_BAD,
				 "a name cannot be empty, .history or begin with a space");
	for (size_t i = 0; i < name.len;) {
		size_t sequence = utf8_len(at + i, name.len - i);

		if (sequence == 0)
			return error_set(e, -E_NAME_BAD, "the name is not UTF-8");
		if (at[i] != '%' && must_escape(at, name.len, i))
			return error_set(e, -E_NAME_BAD,
					 "a name cannot have control characters or any of : | ? * "
					 "< > \" \\ /, "
					 "nor end in a dot or a space");
		i += sequence;
	}
	return 0;
}
