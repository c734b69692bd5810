/* clock.c - times as people write them (store/clock.h): what is read is a period, and what is
 * written is read again. Input: a number that is now (up to 2260), then the text. */
#include "fuzz.h"
#include "store/clock.h"

static void check_written(int64_t ns, int64_t now)
{
	char name[CLOCK_NAME_LEN + 1], iso[31];
	int64_t first, last;
	struct timespec t = clock_timespec(ns);

	must(t.tv_nsec >= 0 && t.tv_nsec < NS_PER_SECOND);
	clock_name(name, ns);
	must(strlen(name) <= CLOCK_NAME_LEN);
	must(clock_parse_period(view_str(name), now, &first, &last, NULL) == 0);
	must(first <= ns && ns <= last && last - first == NS_PER_SECOND - 1);
	clock_iso(iso, ns);
	must(clock_parse_period(view_str(iso), now, &first, &last, NULL) == 0);
	must(first == ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int64_t now = (int64_t)(take_number(&in) % 9183110400000000000ull), first = 1, last = 0,
		alone;
	struct error e = { 0 };
	struct view text = take(&in, in.left);
	int rc = clock_parse_period(text, now, &first, &last, &e);

	must(rc == 0 || (rc == -E_BAD_TIME && e.code == rc && e.text[0]));
	must(clock_parse(text, now, &alone, NULL) == rc);
	if (rc < 0)
		return 0;
	must(first <= last && alone == last);
	/* Names have four digits for the year. */
	if (first >= 0 && last / NS_PER_SECOND < 253402300800ll) {
		check_written(first, now);
		check_written(last, now);
	}
	return 0;
}
