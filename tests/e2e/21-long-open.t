#!/bin/bash
# Files that a program keeps open and writes now and then: each time it rests there is a version.
. "$(dirname "$0")/lib.sh"

make_users anna
new_share
cd "$MNT/dept" || bail "the directory"

# A writer that is told what to do: "w TEXT" appends, "s" calls fsync, "q" closes.
mkfifo "$T/say"
as "$anna" "$PYTHON" -c 'import os, sys
f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for line in sys.stdin:
    what = line.rstrip("\n")
    if what[0] == "w":
        os.write(f, what[2:].encode() + b"\n")
    elif what[0] == "s":
        os.fsync(f)
    else:
        break
os.close(f)' open.log <"$T/say" &
writer=$!
exec 3>"$T/say"
# In the log, which does not look at the file: who asks the file itself has what is unsaved saved.
logged_version()
{
	daybook log --json --limit 1000 "$MNT/dept" | grep "dept/open.log" |
		"$PYTHON" -c 'import json, sys; print(max([json.loads(l)["version"] or 0 for l in sys.stdin] or [0]))'
}
wait_until_version()
{
	local i
	for i in $(seq 45); do
		[ "$(logged_version)" = "$1" ] && return 0
		sleep 1
	done
	return 1
}

echo "w one" >&3
echo "s" >&3
wait_until_version 1
sleep 4
echo "w two" >&3
echo "s" >&3
check "a rest of two seconds after fsync ends a version" wait_until_version 2
echo "w three" >&3
echo "s" >&3
sleep 0.3
is "without a rest fsync goes into the same version" "$(logged_version)" 2
sleep 4
echo "w four" >&3
sleep 5
is "without fsync it waits" "$(logged_version)" 2
check "thirty seconds without a write, and no fsync, make a version" wait_until_version 3
is "whose bytes are all that was written" "$(cat "$(version open.log 3)")" "$(printf 'one\ntwo\nthree\nfour')"
echo "q" >&3
exec 3>&-
wait "$writer"
is "closing adds none when nothing was written" "$(fact open.log version)" 3
is "the first holds what was synced then" "$(cat "$(version open.log 1)")" one
is "the second what came before the rest" "$(cat "$(version open.log 2)")" "$(printf 'one\ntwo\nthree')"
is "all are the writer's" "$(authors open.log)" "$anna $anna $anna"
unlike "all are whole" "$(daybook history --json open.log)" incomplete
cd /
unmount_share
verify_clean "the store verifies"
done_testing
