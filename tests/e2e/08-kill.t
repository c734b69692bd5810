#!/bin/bash
# P1: kill -9 of the daemon at random moments loses no acknowledged save, and no write that returned.
#
#   KILLS=200 SEED=7 tests/e2e/08-kill.t     more rounds than the usual 25; the same random moments again
. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-25}
SEED=${SEED:-$(date +%s)}
RANDOM=$SEED
diag "KILLS=$KILLS SEED=$SEED"

make_users anna ben
new_share
for id in 1 2 3 4; do
	touch "$T/acked.$id"
done
chown "$anna" "$T/acked.1" "$T/acked.2"
chown "$ben" "$T/acked.3" "$T/acked.4"

# A moment between 0 and $1 milliseconds
moment()
{
	local ms=$(((RANDOM << 15 | RANDOM) % $1))
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# grew BYTES: a save was acknowledged since the logs had so many
grew()
{
	[ "$(cat "$T"/acked.* | wc -c)" -gt "$1" ]
}

# round N: writers, a kill, a start (which is killed too, now and then), a check of all that this round's writers know
round()
{
	local dir=$MNT/dept/d$(($1 / 8)) id writer user acked pids=()
	acked=$(cat "$T"/acked.* | wc -c)
	[ -d "$dir" ] || { mkdir "$dir" && chown "root:$GROUP" "$dir" && chmod 2775 "$dir"; } || return 1
	for id in 1 2 3 4; do
		user=$anna
		[ $id -le 2 ] || user=$ben
		as "$user" "$PYTHON" "$E2E/kill.py" write "$dir" $id "$T/acked.$id" $((SEED * 1000 + $1 * 10 + id)) \
			2>>"$T/writers.log" &
		pids+=($!)
	done
	wait_for 20 grew "$acked" || return 1
	moment 500
	kill_daemon
	for writer in "${pids[@]}"; do wait "$writer" || return 1; done
	if [ $(($1 % 4)) -eq 3 ]; then
		daybookd -f "$STORE" "$MNT" >>"$LOG" 2>&1 &
		DAEMON=$!
		moment 60
		kill_daemon 2>/dev/null
	fi
	start || return 1
	all_there "$dir"
}

# all_there DIR: what was acknowledged below DIR
all_there()
{
	"$PYTHON" "$E2E/kill.py" check "$1" "$T"/acked.* >"$T/check.out" 2>"$T/check.err"
}

failed=
for ((n = 0; n < KILLS; n++)); do
	round "$n" || { failed="round $n"; break; }
done
is "every acknowledged save is there with its author and bytes after each of $KILLS kills" "$failed" "" ||
	diag "$(cat "$T/check.err" "$T/check.out"; tail -n 5 "$T/writers.log")"
check "and all of them at the end" all_there "$MNT" || diag "$(head -n 5 "$T/check.err")"
diag "$(cat "$T/check.out"); $(grep -c 'became version' "$LOG") others became versions marked incomplete"

# Writes that returned, with no fsync and no close.
held=$MNT/dept/held
mkdir "$held" && chown "root:$GROUP" "$held" && chmod 2775 "$held"
head -c 300000 /dev/urandom >"$T/middle.bin"
as "$anna" cp "$T/middle.bin" "$held/middle.bin"
as_sh "$anna" 'cd "$1" && echo first >end.txt && echo first >over.txt && seq 1000 >short.bin &&
	echo 1 >again && rm again && touch again && chmod 664 *' "$held"
chmod 777 "$T"
: >"$LOG"
as "$ben" "$PYTHON" "$E2E/kill.py" hold "$held" "$T/ready" &
holder=$!
at_exit 'kill "$(cat "$T/ready")" 2>/dev/null'
check "the writer's writes return" wait_for 20 test -s "$T/ready" || bail "nothing was written"
chmod 711 "$T"
kill_daemon
start
result $? "the daemon starts again"
kill "$(cat "$T/ready")"
wait $holder 2>/dev/null

# recovered NAME WANTED-FILE: the file has those bytes, as ben's version, marked incomplete and told of
recovered()
{
	local newest
	newest=$(daybook history --json "$held/$1" | head -n 1)
	same "$1: the bytes are there" "$held/$1" "$2"
	like "$1: as a version of who wrote them" "$newest" "\"author\":\"$ben\""
	like "$1: marked incomplete" "$newest" '"flags":"[^"]*incomplete'
	like "$1: and the start said so" "$(cat "$LOG")" \
		"dept/held/$1: unsaved bytes of $ben became version [0-9]+, marked incomplete"
}

for n in $(seq 0 49); do yes "$(printf %05d "$n")" | head -n 700; done >"$T/new"
{ head -c 5000 "$T/middle.bin"; printf MIDDLE; tail -c +5007 "$T/middle.bin"; } >"$T/middle"
printf 'first\nappended\n' >"$T/end"
printf 'over\n' >"$T/over"
seq 1000 | head -c 100 >"$T/short"
printf 'moved on' >"$T/moved"
recovered new.bin "$T/new"
recovered middle.bin "$T/middle"
recovered end.txt "$T/end"
recovered over.txt "$T/over"
recovered short.bin "$T/short"
recovered "moved to.bin" "$T/moved"
is "sparse.bin: far bytes are there" "$(stat -c %s "$held/sparse.bin") $(tail -c 3 "$held/sparse.bin")" \
	"$(((1 << 33) + 3)) far"
recovered dated.bin <(printf dated)
is "dated.bin: the times and the mode that it was given are there" "$(stat -c '%.9X %.9Y %a' "$held/dated.bin")" \
	"1000000000.000000001 1100000000.000000002 604"
is "long.bin: all of it is there" "$(stat -c %s "$held/long.bin")" $((65 << 20))
is "long.bin: what was saved of it before its end is no whole save" \
	"$(daybook history --json "$held/long.bin" | grep -vc '"flags":"[^"]*incomplete')" 0
is "the version before is intact" "$(cat "$(version "$held/over.txt" 1)")" first
is "a name filled again, but never saved, is empty" "$(stat -c %s "$held/again") $(version_count "$held/again")" "0 1"
is "a file without a name is gone" "$(find "$held" -name "*unlinked*")" ""
is "nothing is left in staging/" "$(find "$STORE/staging" -type f | wc -l)" 0

unmount_share
verify_clean "the store verifies"
done_testing
