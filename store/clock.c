/* clock.c - see clock.h.  Calendar arithmetic is done here (proleptic Gregorian, UTC), without the
 * time zone. */
#include "clock.h"

#include <inttypes.h>
#include <stdio.h>

#define SECONDS_PER_DAY 86400ll
#define YEAR_MIN 1970
#define YEAR_MAX 2261 /* the last whole year that int64_t nanoseconds reach */

struct civil {
	int64_t year;
	unsigned month, day, hour, minute, second;
};

int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

int64_t clock_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct timespec clock_timespec(int64_t ns)
{
	int64_t rest = ns % NS_PER_SECOND;

	return (struct timespec){ floor_div(ns, NS_PER_SECOND),
				  rest < 0 ? rest + NS_PER_SECOND : rest };
}

/* Days since 1970-01-01, counted in years that begin in March so that the leap day comes last. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_from_seconds(int64_t seconds)
{
	int64_t days = floor_div(seconds, SECONDS_PER_DAY), rest = seconds - days * SECONDS_PER_DAY;
	int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100),
		m = (5 * of_year + 2) / 153;
	unsigned month = (unsigned)(m < 10 ? m + 3 : m - 9);

	return (struct civil){ .year = year + era * 400 + (month <= 2),
			       .month = month,
			       .day = (unsigned)(of_year - (153 * m + 2) / 5 + 1),
			       .hour = (unsigned)(rest / 3600),
			       .minute = (unsigned)(rest / 60 % 60),
			       .second = (unsigned)(rest % 60) };
}

static unsigned days_in_month(int64_t year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

void clock_name(char out[CLOCK_NAME_LEN + 1], int64_t ns)
{
	struct civil c = civil_from_seconds(floor_div(ns, NS_PER_SECOND));

	snprintf(out, CLOCK_NAME_LEN + 1, "%04u-%02u-%02u_%02u.%02u.%02uZ",
		 (unsigned)c.year % 10000, c.month % 100, c.day % 100, c.hour % 100, c.minute % 100,
		 c.second % 100);
}

void clock_iso(char out[31], int64_t ns)
{
	struct timespec t = clock_timespec(ns);
	struct civil c = civil_from_seconds(t.tv_sec);

	snprintf(out, 31, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (unsigned)c.year % 10000,
		 c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100,
		 (unsigned)t.tv_nsec % 1000000000u);
}

static int bad_time(struct view text, struct error *e)
{
	return error_set(
		e, -E_BAD_TIME,
		"\"%.*s\" is no time: write 2026-03-03_14.15.20Z or a beginning of it (2026-03), "
		"2026-03-03T14:15:20Z, now, today, yesterday, -3d or \"3 days ago\"",
		(int)(text.len > 60 ? 60 : text.len), (const char *)text.data);
}

/* A cursor over the text; both helpers leave it where it was when they do not match. */
struct scan {
	const char *at, *end;
};

static bool scan_number(struct scan *s, size_t digits, unsigned low, unsigned high, unsigned *ret)
{
	unsigned n = 0;

	if ((size_t)(s->end - s->at) < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (s->at[i] < '0' || s->at[i] > '9')
			return false;
		n = n * 10 + (unsigned)(s->at[i] - '0');
	}
	if (n < low || n > high)
		return false;
	s->at += digits;
	*ret = n;
	return true;
}

static bool scan_any(struct scan *s, const char *set)
{
	if (s->at == s->end || *s->at == '\0' || !strchr(set, *s->at))
		return false;
	s->at++;
	return true;
}

static int64_t seconds_of(const struct civil *c)
{
	return days_from_civil(c->year, c->month, c->day) * SECONDS_PER_DAY + c->hour * 3600 +
	       c->minute * 60 + c->second;
}

/* The nanoseconds of the second that an optional fraction names: ".5" is a tenth, its end is
 * ".599...". */
static bool scan_fraction(struct scan *s, int64_t *ret_first, int64_t *ret_last)
{
	int64_t unit = NS_PER_SECOND, begin = 0;

	if (!scan_any(s, ".,")) {
		*ret_last = NS_PER_SECOND - 1;
		return true;
	}
	if (s->at == s->end || *s->at < '0' || *s->at > '9')
		return false;
	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		unit /= 10;
		begin += unit * (*s->at - '0');
	}
	*ret_first = begin;
	*ret_last = begin + (unit > 0 ? unit - 1 : 0);
	return true;
}

/* "YYYY[-MM[-DD[_HH[.MM[.SS[.fraction]]]]]][Z]": how far it goes says how long the period is. */
static bool parse_calendar(struct view text, int64_t *ret_first_ns, int64_t *ret_last_ns)
{
	struct scan s = { text.data, (const char *)text.data + text.len };
	struct civil c = { .month = 1, .day = 1 };
	unsigned year;
	int64_t length = 0, first = 0, last = NS_PER_SECOND - 1;

	if (!scan_number(&s, 4, YEAR_MIN, YEAR_MAX, &year))
		return false;
	c.year = year;
	if (!scan_any(&s, "-")) {
		length = days_from_civil(c.year + 1, 1, 1) - days_from_civil(c.year, 1, 1);
		length *= SECONDS_PER_DAY;
	} else if (!scan_number(&s, 2, 1, 12, &c.month)) {
		return false;
	} else if (!scan_any(&s, "-")) {
		length = days_in_month(c.year, c.month) * SECONDS_PER_DAY;
	} else if (!scan_number(&s, 2, 1, days_in_month(c.year, c.month), &c.day)) {
		return false;
	} else if (!scan_any(&s, "_Tt ")) {
		length = SECONDS_PER_DAY;
	} else if (!scan_number(&s, 2, 0, 23, &c.hour)) {
		return false;
	} else if (!scan_any(&s, ".:")) {
		length = 3600;
	} else if (!scan_number(&s, 2, 0, 59, &c.minute)) {
		return false;
	} else if (!scan_any(&s, ".:")) {
		length = 60;
	} else if (!scan_number(&s, 2, 0, 59, &c.second) || !scan_fraction(&s, &first, &last)) {
		return false;
	} else {
		length = 1;
	}
	scan_any(&s, "Zz");
	*ret_first_ns = seconds_of(&c) * NS_PER_SECOND + first;
	*ret_last_ns = (seconds_of(&c) + length - 1) * NS_PER_SECOND + last;
	return s.at == s.end;
}

static const struct {
	const char *word;
	int64_t seconds;
} units[] = {
	{ "s", 1 },           { "sec", 1 },         { "second", 1 },      { "seconds", 1 },
	{ "min", 60 },        { "minute", 60 },     { "minutes", 60 },    { "h", 3600 },
	{ "hour", 3600 },     { "hours", 3600 },    { "d", 86400 },       { "day", 86400 },
	{ "days", 86400 },    { "w", 604800 },      { "week", 604800 },   { "weeks", 604800 },
};

static bool unit_seconds(const char *word, size_t len, int64_t *ret)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].word) == len && memcmp(units[i].word, word, len) == 0) {
			*ret = units[i].seconds;
			return true;
		}
	}
	return false;
}

/* "-3d", "3d ago", "3 days ago": the end of the second that lies so far back. */
static bool parse_relative(struct view text, int64_t now_ns, int64_t *ret_last_ns)
{
	const char *at = text.data, *end = at + text.len, *word;
	bool minus = at < end && *at == '-';
	int64_t count = 0, unit;

	at += minus;
	if (at == end || *at < '0' || *at > '9')
		return false;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		count = count * 10 + (*at - '0');
		if (count > 1000000000)
			return false;
	}
	while (at < end && *at == ' ')
		at++;
	for (word = at; at < end && *at >= 'a' && *at <= 'z'; at++)
		;
	if (!unit_seconds(word, (size_t)(at - word), &unit))
		return false;
	if (!minus && (end - at != 4 || memcmp(at, " ago", 4) != 0))
		return false;
	if (minus && at != end)
		return false;
	int64_t second = floor_div(now_ns, NS_PER_SECOND) - count * unit;

	/* No store is older than 1970. */
	*ret_last_ns = second < 0 ? -1 : (second + 1) * NS_PER_SECOND - 1;
	return true;
}

int clock_parse_period(struct view text, int64_t now_ns, int64_t *ret_first_ns,
		       int64_t *ret_last_ns, struct error *e)
{
	int64_t day = SECONDS_PER_DAY * NS_PER_SECOND, today = floor_div(now_ns, day) * day;

	if (view_equal(text, view_str("now"))) {
		*ret_first_ns = *ret_last_ns = now_ns;
	} else if (view_equal(text, view_str("today"))) {
		*ret_first_ns = today;
		*ret_last_ns = today + day - 1;
	} else if (view_equal(text, view_str("yesterday"))) {
		*ret_first_ns = today - day;
		*ret_last_ns = today - 1;
	} else if (parse_relative(text, now_ns, ret_last_ns)) {
		*ret_first_ns = *ret_last_ns - NS_PER_SECOND + 1;
	} else if (!parse_calendar(text, ret_first_ns, ret_last_ns)) {
		return bad_time(text, e);
	}
	return 0;
}

int clock_parse(struct view text, int64_t now_ns, int64_t *ret_last_ns, struct error *e)
{
	int64_t first;

	return clock_parse_period(text, now_ns, &first, ret_last_ns, e);
}
