#!/bin/bash
# The process that serves a share dies or is replaced, and no program notices.
#
#   KILLS=100 SEED=7 tests/e2e/18-takeover.t     more kills than the usual 15; the same random moments again
# timeout: 600
. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-15}
SEED=${SEED:-$(date +%s)}
diag "KILLS=$KILLS SEED=$SEED"

make_users anna ben
new_share
cd "$MNT" || bail "the share is there"
# room DIR...: directories that everybody of the group may write in
room()
{
	mkdir "$@" && chown "root:$GROUP" "$@" && chmod 2775 "$@"
}
room shared
mkdir "$T/journals" && chown "root:$GROUP" "$T/journals" && chmod 2775 "$T/journals"

# --- killed under load --------------------------------------------------------------------------------------------

# under_load NAME COMMAND...: eight programs are at work while the command runs
under_load()
{
	local name=$1 id pids=() pid user failed=
	shift
	rm -f "$T/stop" "$T"/load.*
	for id in 1 2 3 4 5 6 7 8; do
		user=$anna
		[ $id -le 4 ] || user=$ben
		[ -d "d$id" ] || room "d$id"
		as "$user" "$PYTHON" "$E2E/takeover.py" load "d$id" shared "$name$id" "$T/journals/$name$id" "$T/stop" \
			"$SEED" >"$T/load.$id" 2>&1 &
		pids+=($!)
	done
	check "$name: $*" "$@" && diag "$(cat "$T/said")"
	sleep 0.3
	touch "$T/stop"
	for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
	is "$name: no program saw an error" "$failed" "" || diag "$(cat "$T"/load.*)"
	diag "steps and the longest of each program: $(paste -sd ' ' "$T"/load.*)"
}

said()
{
	"$@" >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
}

under_load calm said sleep 1
under_load killed said "$PYTHON" "$E2E/takeover.py" kill "$MNT" "$DAEMON" "$KILLS" "$SEED"
is "each of them was answered by a process that took over" "$(status_field restarts)" "$KILLS"
check "the log has every change once" said "$PYTHON" "$E2E/takeover.py" check "$MNT" "$T"/journals/*
diag "$(cat "$T/said")"

# --- what is open stays open --------------------------------------------------------------------------------------

# go_on NAME: whoever holds things is told to go on, and has by the time this returns
go_on()
{
	local line
	echo >&"${HOLDER[1]}"
	while IFS= read -r -t 60 -u "${HOLDER[0]}" line; do
		case $line in
		"ok - "*) result 0 "held: ${line#ok - }" ;;
		"not ok - "*) result 1 "held: ${line#not ok - }" ;;
		"# "*) return 0 ;;
		esac
	done
	result 1 "held: $1: it goes on"
}

room held
coproc HOLDER { as "$anna" "$PYTHON" "$E2E/takeover.py" hold held 2>"$T/hold.err"; }
holder=$HOLDER_PID
read -r -t 60 -u "${HOLDER[0]}" line
like "everything that can be held is held" "$line" "^# [0-9]+ held" || diag "$(cat "$T/hold.err")"
kill_worker
go_on "killed"
as_sh "$ben" 'echo "saved by another" >held/read_before'
before=$(worker_pid)
check "daybook restart" said daybook restart "$MNT"
like "says who serves the share now" "$(cat "$T/said")" "^process $(worker_pid) "
isnt "which is another process" "$(worker_pid)" "$before"
go_on "restarted"
wait "$holder" 2>/dev/null

# history_of NAME: "version flags" of each version, oldest first
history_of()
{
	daybook history --json "held/$1" | "$PYTHON" -c '
import json, sys
versions = [json.loads(line) for line in sys.stdin]
print(*[str(v["version"]) + (v["flags"] or "") for v in reversed(versions)])'
}
for name in half_saved half_long dated half_appended closed_by_a_child mapped named_late; do
	is "$name: one save, one version, though three processes took part" "$(history_of $name)" 1
done
is "half_overwritten: two" "$(history_of half_overwritten)" "1 2"
is "read_before: the third is a conflict" "$(history_of read_before)" "1 2 3conflict"
is "nothing in the log is torn" "$(daybook log --json held | grep -v half_long | grep -cE '"flags":"[^"]*(incomplete|recovered)')" 0

# killed_often TIMES: each one as soon as it serves
killed_often()
{
	local n
	for ((n = 0; n < $1; n++)); do
		kill_worker && ls held >/dev/null || return 1
	done
}
check "killed again and again as soon as it serves, it goes on" killed_often 7

# asked_between TIMES: the store's own directory is named, at a moment at which nobody serves
asked_between()
{
	local n worker
	for ((n = 0; n < $1; n++)); do
		worker=$(worker_pid)
		kill -KILL "$worker"
		while kill -0 "$worker" 2>/dev/null; do :; done
		daybook log --limit 1 --store "$STORE" || return 1
	done
}
check "a tool that asks for the store between two processes is answered" asked_between 4
unlike "and does not take it from the second" "$(cat "$LOG")" "has this store open"

# --- another program ----------------------------------------------------------------------------------------------

# program_of PID
program_of()
{
	readlink "/proc/$1/exe"
}

cp "$BUILD/daybookd" "$T/old-daybookd"
# install_program FILE: as `make install` and dpkg do
install_program()
{
	install -m 755 "$1" "$BUILD/daybookd.new" && mv "$BUILD/daybookd.new" "$BUILD/daybookd"
}

install_program "$T/old-daybookd"
like "the program was replaced on the disk" "$(program_of "$(worker_pid)")" "deleted"
check "daybook restart" daybook restart "$MNT"
is "starts the new one" "$(program_of "$(worker_pid)")" "$BUILD/daybookd"

install_program /bin/false
before=$(worker_pid)
check "daybook restart with a program that does nothing" daybook restart "$MNT"
is "leaves the program at work that was there before" \
	"$(program_of "$(worker_pid)" | sed 's/ (deleted)$//') $(($(worker_pid) != before))" "$BUILD/daybookd 1"
like "and says so" "$(cat "$LOG")" "daybookd cannot serve .*/mnt, it ended with status 1: the program that served it before"
check "the share is served" sh -c 'echo served >held/served && cat held/served'
kill_worker
check "also when that one is killed" sh -c 'echo served again >held/served && rm held/served'
rm "$BUILD/daybookd"
check "daybook restart with no program at all" daybook restart "$MNT"
check "the share is served all the same" ls -l held
install_program "$T/old-daybookd"
check "daybook restart with a program that works" daybook restart "$MNT"
is "starts it" "$(program_of "$(worker_pid)")" "$BUILD/daybookd"

# --- who asks, and when there is nothing to restart -----------------------------------------------------------------

before=$(worker_pid)
refuses "a user may not restart it" "." as "$anna" daybook restart "$MNT"
is "and it was not" "$(worker_pid)" "$before"
cd /
unmount_share
refuses "a store that is not mounted" "." daybook restart "$STORE"
verify_clean "the store verifies"

# --- no process can serve it any more -------------------------------------------------------------------------------

mount_share
holder=$DAEMON
mv "$STORE" "$T/away"
exec 7<"$MNT/held"
began=$SECONDS
kill_worker
refuses "nobody can go on: programs are told" "." timeout 60 stat "$MNT/held/nothing"
check "the share is unmounted" wait_for 10 sh -c '! grep -q " $1 " /proc/self/mounts' sh "$MNT"
check "the daemon ends" wait_for 10 gone "$holder"
wait "$holder"
is "with a status that says so" $? 1
exec 7<&-
DAEMON=
diag "given up after $((SECONDS - began)) s"
like "and a sentence" "$(tail -n 1 "$LOG")" "mnt: the share is unmounted: the process that serves it dies again and again"
like "and why" "$(cat "$LOG")" "store: .*(No such file|not|no )"
mv "$T/away" "$STORE"
mount_share
check "it can be mounted again" ls "$MNT/held/half_saved"
is "the times that a file was given before it was saved are there" "$(stat -c '%.9X %.9Y' "$MNT/held/dated")" \
	"1000000000.000000001 1100000000.000000002"
unmount_share
verify_clean "the store verifies after all that"
done_testing
