/* verify.c - see verify.h. */
#include "verify.h"

#include "changelog.h"

int verify_store(struct store *store, bool read_contents, verify_finding finding, verify_progress progress, void *arg,
		 struct verify_report *ret, struct error *e)
{
	struct digest digest;
	int r = kv_check(store_kv(store), e);

	(void)read_contents, (void)progress;
	if (r == 0)
		r = changelog_head(store, &ret->changes, &digest, e);
	if (r == 0)
		r = changelog_check(store, 1, ret->changes, e);
	if (r == -E_CORRUPT || r == -E_FAILED_VERIFY) {
		ret->damaged++;
		finding(arg, e ? e->text : error_sentence(r));
		return error_set(e, -E_FAILED_VERIFY, "the store is damaged");
	}
	return r;
}
