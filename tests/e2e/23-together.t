#!/bin/bash
# Many at once in the same few files, while others ask for history, put versions back and verify: nobody sees an error,
# and the store is whole.  What it is for is what else looks on: ThreadSanitizer (sh tests/run tsan).
#
#   LOAD=60 SEED=7 tests/e2e/23-together.t     longer than the usual 5 s; the same choices again
. "$(dirname "$0")/lib.sh"

LOAD=${LOAD:-5}
SEED=${SEED:-$(date +%s)}
diag "LOAD=$LOAD SEED=$SEED"

make_users anna ben
new_share
mkdir "$MNT/dept/sub" && chown "root:$GROUP" "$MNT/dept/sub" && chmod 2775 "$MNT/dept/sub"

# ask: the tools, again and again until the load ends
ask()
{
	while [ ! -e "$T/over" ]; do
		daybook log "$MNT/dept" --limit 50 || return 1
		daybook log "$MNT" --by "$anna" --json || return 1
		daybook status "$MNT" || return 1
		daybook history "$MNT/dept/a.csv" --all || [ $? -eq 1 ] || return 1
		daybook restore "$MNT/dept/a.csv" --version 1 2>&1 || [ $? -eq 1 ] || return 1
		daybook verify "$MNT" || return 1
		cat "$MNT/dept/.history/changes.csv" || return 1
	done >"$T/asked" 2>&1
}

pids=()
for id in 1 2 3 4 5 6; do
	user=$anna
	[ $((id % 2)) -eq 0 ] || user=$ben
	as "$user" "$PYTHON" "$E2E/together.py" "$MNT/dept" "$LOAD" $((SEED * 10 + id)) >"$T/said.$id" 2>"$T/done.$id" &
	pids+=($!)
done
ask &
asking=$!
for id in 1 2 3 4 5 6; do
	wait "${pids[id - 1]}"
	result $? "process $id saw no error that others do not explain" || diag "$(head -n 15 "$T/said.$id")"
done
touch "$T/over"
wait $asking
result $? "the tools were answered meanwhile" || diag "$(tail -n 20 "$T/asked")"
diag "$(cat "$T"/done.*)"
check "the store verifies" daybook verify "$MNT"
unmount_share
mount_share
check "the store verifies after a remount" daybook verify "$MNT"
done_testing
