#!/bin/bash
# 31-scale.t - a share of many files: memory within its bound, and quick starts.
. "$(dirname "$0")/lib.sh"

FILES=60000

# peak: the most memory that the daemon has taken, in MB
peak()
{
	awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$(cat "$STORE/LOCK")/status"
}

# milliseconds COMMAND...: how long it takes
milliseconds()
{
	local start
	start=$(date +%s%N)
	"$@" >&2
	echo $((($(date +%s%N) - start) / 1000000))
}

look_at_everything()
{
	find "$MNT" -type f -size 0 | wc -l
	ls -lR "$MNT" >/dev/null
	cp -r "$MNT/files/000/0001" "$MNT/copy"
	cat "$MNT"/files/000/00*/*0 | wc -c
}

check "a store of many changes" "$MADE/tests/bench/bigstore" "$STORE" --files $FILES --saved-every 10 \
	--documents 5 --versions 500 --temporary 5000
mount_share -o cache=32m
small=$(peak)
is "its files are there" "$(find "$MNT/files" -type f | wc -l)" $FILES
check "all can be looked at" look_at_everything
used=$(peak)
diag "of 32 MB: $small MB at rest, $used MB at most"
if [ -n "$REPORTS" ]; then
	skip "the daemon keeps within its budget" "a sanitizer takes memory of its own"
else
	[ "$used" -lt 52 ]
	result $? "the daemon keeps within its budget, and 20 MB"
fi
is "a document's versions are listed" "$(find "$MNT/deep/.history/files/doc00002" -name 'doc00002.*' | wc -l)" 500
is "a folder where names died is empty" "$(ls -A "$MNT/churn")" ""
unmount_share

mount_share
mkdir "$MNT/late"
for i in $(seq 20); do head -c 2000000 /dev/urandom >"$MNT/late/$i" && sync "$MNT/late/$i"; done
sum=$(cat "$MNT"/late/* | md5sum)
kill_daemon
took=$(milliseconds mount_share)
is "after kill -9 nothing is missing" "$(cat "$MNT"/late/* | md5sum)" "$sum"
diag "started in $took ms"
[ "$took" -lt 5000 ]
result $? "and the start was quick"
unmount_share
check "all of it is whole" daybook verify --quick "$STORE"
done_testing
