#!/bin/bash
# The process that serves a share has given up what it does not need, and a restart works all the same.
. "$(dirname "$0")/lib.sh"

# field NAME PID: of /proc/PID/status
field()
{
	awk -v name="$1:" '$1 == name { print $2 }' "/proc/$2/status"
}

# of_every_thread NAME PID: the same, of each of its threads; one line when all agree
of_every_thread()
{
	awk -v name="$1:" '$1 == name { print $2 }' /proc/"$2"/task/*/status | sort -u
}

# has_only MASK SET...: whether all sets (hexadecimal) are within the mask (one that runs in a container may have less)
has_only()
{
	local mask=$1 set
	shift
	[ $# -gt 0 ] || return 1
	for set; do [ $((0x$set & ~mask)) -eq 0 ] || { echo "$set"; return 1; }; done
}

RESOURCE=$((1 << 24)) OVERRIDE=$((1 << 1)) ADMIN=$((1 << 21))

# what a worker of process id $1 is to be like
is_confined()
{
	check "$2: its only capability is CAP_SYS_RESOURCE" has_only $RESOURCE $(of_every_thread CapEff "$1")
	check "$2: it can get no other" has_only $RESOURCE $(of_every_thread CapBnd "$1")
	is "$2: all its threads are filtered" "$(of_every_thread Seccomp "$1")" 2
	is "$2: it gains no rights by executing" "$(of_every_thread NoNewPrivs "$1")" 1
}

[ -z "$REPORTS" ] || { skip "confinement" "the sanitizers' daemon keeps its rights"; done_testing; }
make_users anna
export PROBE=$STORE/probe PROBE_ELSEWHERE=$T/elsewhere
echo untouched >"$PROBE_ELSEWHERE"

# cannot NAME: a thread of the worker that serves now tries what it must not be able to (preload/probe.c)
cannot()
{
	local pid
	pid=$(worker_pid)
	: >"$PROBE.ask"
	check "$1 is asked" wait_for 10 sh -c 'mkdir "$1/asked" && rmdir "$1/asked"; [ -e "$2" ]' sh "$MNT" "$PROBE.$pid"
	is "$1 neither writes elsewhere, nor goes out, nor becomes anything" "$(paste -sd ' ' "$PROBE.$pid")" \
		"write: EACCES remove: EACCES socket: EAFNOSUPPORT trace: EPERM mount: EPERM become: EPERM execute: EPERM"
	rm -f "$PROBE".*
}

LD_PRELOAD=$BUILD/probe.so new_share
first=$(worker_pid)
is_confined "$first" "the first worker"
cannot "the first worker"
is "the process that holds the mount can end it" $((0x$(field CapEff "$DAEMON") & ADMIN)) $ADMIN
check "it serves" as_sh "$anna" "echo one > '$MNT/dept/file' && cat '$MNT/dept/.history/files/file/'*.v1.*"
is "it knows who is who" "$(daybook log "$MNT/dept/file" --csv | grep -c ",$anna,")" 2
check "the tools change what is there" as "$anna" daybook restore "$MNT/dept/file" --version 1

check "it is replaced" daybook restart "$MNT"
second=$(worker_pid)
isnt "by another process" "$second" "$first"
is_confined "$second" "the second worker"
cannot "the second worker"
check "which serves" as_sh "$anna" "echo two > '$MNT/dept/file' && grep -q two '$MNT/dept/file'"
kill_worker
check "one that takes over after kill -9 serves" as_sh "$anna" "echo three > '$MNT/dept/file'"
third=$(worker_pid)
isnt "by another process again" "$third" "$second"
is_confined "$third" "the third worker"
cannot "the third worker"
is "what is elsewhere is untouched" "$(cat "$PROBE_ELSEWHERE")" untouched
check "the store verifies" daybook verify "$MNT"

# A store of somebody else, in a directory that only he may enter.
unmount_share
chown -R "$anna:" "$STORE" && chmod 700 "$STORE"
mount_share
check "a store that is not root's is reached with CAP_DAC_OVERRIDE" \
	has_only $((RESOURCE | OVERRIDE)) $(of_every_thread CapEff "$(worker_pid)")
check "and served" as_sh "$anna" "echo three > '$MNT/dept/file'"
unmount_share
LD_PRELOAD=$BUILD/probe.so mount_share -o unconfined
: >"$PROBE.ask"
check "-o unconfined: it can do what the others could not" \
	wait_for 10 sh -c 'mkdir "$1/asked" && rmdir "$1/asked"; [ "$(paste -sd " " "$2")" = "write: done remove: done socket: done" ]' sh \
	"$MNT" "$PROBE.$(worker_pid)"
is "-o unconfined: it keeps its rights" "$(of_every_thread Seccomp "$(worker_pid)")" 0
like "which is said" "$(cat "$LOG")" "served with all the rights of root, as asked"
done_testing
