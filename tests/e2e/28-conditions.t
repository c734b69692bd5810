#!/bin/bash
# What is around the daemon is not as usual: the process that serves is stopped, runs out of memory, or dies of what it
# is asked; a new program hangs; /proc hides processes; the kernel cannot send requests again.
# shellcheck disable=SC2086
[ -n "${ALONE:-}" ] || ALONE=1 exec unshare --mount --propagation slave bash "$0" # what is mounted over /proc is our own
. "$(dirname "$0")/lib.sh"

ulimit -c 0
make_users anna ben
new_share

# anew [daybookd's arguments]: the share with another daemon, which finds the conditions of preload/conditions.c that
# stand in the environment
anew()
{
	cd /
	unmount_share
	LD_PRELOAD=$BUILD/conditions.so mount_share "$@"
	cd "$MNT/dept" || bail "the share is there"
}

# gives_up HOLDER SENTENCE: the mount ends, and says why
gives_up()
{
	cd /
	check "the share is unmounted" wait_for 10 sh -c '! grep -q " $1 " /proc/self/mounts' sh "$MNT"
	check "the daemon ends" wait_for 10 gone "$1"
	wait "$1"
	is "with a status that says so" $? 1
	DAEMON=
	like "and a sentence" "$(tail -n 1 "$LOG")" "$2"
}
cd "$MNT/dept" || bail "the share is there"

# --- stopped ----------------------------------------------------------------------------------------------------------

# asks USER TEXT: a program that needs an answer is under way as $program
asks()
{
	as_sh "$1" 'echo "$1" >stopped && cat stopped' "$2" >"$T/said" 2>&1 &
	program=$!
}

# answered TEXT NAME
answered()
{
	wait "$program"
	is "$2" "$? $(cat "$T/said")" "0 $1"
}

worker=$(worker_pid)
kill -STOP "$worker"
asks "$anna" once
sleep 1
check "a program that asks a stopped process waits" kill -0 "$program"
kill -CONT "$worker"
answered once "and gets what it asked for when it goes on"

kill -STOP "$worker"
asks "$anna" twice
refuses "daybook restart says that it does not answer, and what helps" \
	"process $worker, which serves the share, does not answer: .daybook restart --kill. ends it" daybook restart "$MNT"
check "daybook restart --kill" daybook restart --kill "$MNT"
isnt "has another process serve" "$(worker_pid)" "$worker"
answered twice "which answers those who waited"
worker=$(worker_pid)
check "--kill and a process that answers" daybook restart --kill "$MNT"
isnt "also have another one serve" "$(worker_pid)" "$worker"
is "without killing that one" "$(grep -c 'was ended by signal' "$LOG")" 1

# --- out of memory ----------------------------------------------------------------------------------------------------

# pen BYTES PID: no more memory than that for the process from now on; fails where that cannot be had
pen()
{
	local tree=/sys/fs/cgroup limit=memory.max
	[ ! -d $tree/memory ] || tree=$tree/memory limit=memory.limit_in_bytes
	PEN=$tree/daybook-$$
	mkdir "$PEN" 2>/dev/null || return 1
	at_exit 'wait_for 10 rmdir "$PEN" 2>/dev/null || rmdir "$PEN"'
	echo "$1" 2>/dev/null >"$PEN/$limit" && echo "$2" >"$PEN/cgroup.procs"
}

worker=$(worker_pid)
if pen $((3 << 20)) "$worker"; then
	as_sh "$anna" 'for n in 1 2 3; do head -c 20000000 /dev/urandom | tee "large$n" | b2sum >"sum$n" || exit; done' \
		>"$T/said" 2>&1
	is "programs that save more than the memory that is left see no error" "$? $(cat "$T/said")" "0 "
	isnt "the process was killed for want of memory, and another one serves" "$(worker_pid)" "$worker"
	is "which the log says" "$(grep -c 'was ended by signal 9' "$LOG")" 2
	is "all bytes are there" "$(for n in 1 2 3; do b2sum <"large$n"; done)" "$(cat sum?)"
else
	skip "out of memory" "no control group with a limit can be made here"
fi

# --- processes that die at once, a new program that hangs -------------------------------------------------------------

[ -z "$REPORTS" ] || { skip "the other conditions" "nothing can be preloaded with sanitizers"; done_testing; }

# dies_at_once TIMES: of a fault of its own, as soon as it serves
dies_at_once()
{
	local n
	for ((n = 0; n < $1; n++)); do
		kill -SEGV "$(worker_pid)" && echo "$n" >again || return 1
	done
}
for round in 1 2; do
	check "three processes that die at once are followed by a fourth ($round)" dies_at_once 3
	check "daybook restart starts the count anew ($round)" daybook restart "$MNT"
done

HURRY=20 anew # 30 s are 1.5
cp "$BUILD/daybookd" "$T/daybookd"
printf '#!/bin/sh\nexec sleep 1000\n' >"$T/hangs"
install -m 755 "$T/hangs" "$BUILD/new" && mv "$BUILD/new" "$BUILD/daybookd"
worker=$(worker_pid) began=$SECONDS
asks "$anna" thrice
check "daybook restart with a program that hangs" daybook restart "$MNT"
like "has the one before it go on" "$(readlink "/proc/$(worker_pid)/exe")" "daybookd \(deleted\)$"
isnt "as another process" "$(worker_pid)" "$worker"
answered thrice "programs wait as long"
like "the log says what was wrong" "$(cat "$LOG")" "daybookd cannot serve .*/mnt, it was ended by signal 9"
install -m 755 "$T/daybookd" "$BUILD/new" && mv "$BUILD/new" "$BUILD/daybookd"

# --- killed while the kernel is told of a restore -----------------------------------------------------------------

# The kernel takes a notice when it has the directory's lock, which a program has that waits for the daemon: who waits
# so with a notice cannot be killed.  So nobody who serves may.
LINGER=20 anew # a program has that lock nearly all the time
mkdir told && chmod 777 told
echo one >told/restored
echo two >told/restored
rm -f "$T/stop"
workers=()
for id in 1 2 3; do
	as "$anna" timeout 60 "$PYTHON" -c 'import os, sys
me, stop = sys.argv[1:]
while not os.path.exists(stop):
    os.close(os.open("told/" + me, os.O_CREAT | os.O_WRONLY))
    os.rename("told/" + me, "told/" + me + ".moved")
    os.unlink("told/" + me + ".moved")' "w$id" "$T/stop" 2>"$T/told.$id" &
	workers+=($!)
done
timeout 60 sh -c 'n=1; while [ ! -e "$1" ]; do n=$((3 - n)); daybook restore told/restored --version $n; done' sh \
	"$T/stop" >"$T/told.restores" 2>&1 &
workers+=($!)
for id in 1 2 3 4; do
	sleep 0.5
	kill_worker
done
check "a daemon that tells the kernel of restores can be killed" timeout 30 stat told
check "and restarted" timeout 30 daybook restart "$MNT"
touch "$T/stop"
ended=
for pid in "${workers[@]}"; do wait "$pid" || ended+="$? "; done
is "no program was held up or saw an error" "$ended$(cat "$T"/told.[123])" ""
like "there were restores all the while" "$(grep -c restored "$T/told.restores")" "^[0-9]{2,}"

# --- a request of which every process dies ----------------------------------------------------------------------------

POISON=poison anew
holder=$DAEMON
exec 7<.
refuses "a request of which every process dies is answered with an error" "." stat poison
exec 7<&-
gives_up "$holder" "mnt: the share is unmounted: the process that serves it dies again and again"
mount_share
check "it can be mounted again" cat "$MNT/dept/stopped"

# --- a kernel that cannot send requests again -------------------------------------------------------------------------

NO_RESEND=1 anew
holder=$DAEMON worker=$(worker_pid)
refuses "daybook restart refuses on a kernel that cannot hand over" "kernel" daybook restart "$MNT"
is "and leaves the process that serves alone" "$(worker_pid)" "$worker"
exec 7>unsaved
echo "written, not closed" >&7
kill_worker
refuses "when that dies, programs are told" "." stat nothing
exec 7>&-
gives_up "$holder" "unmounted: the process that served it died, and this kernel cannot hand over"
mount_share
is "what was written is there when it is mounted again" "$(cat "$MNT/dept/unsaved")" "written, not closed"
unmount_share

# --- /proc hides processes --------------------------------------------------------------------------------------------

# hidden OPTIONS: nobody but the group of no one sees others' processes
for options in hidepid=2,gid=65534 hidepid=4; do
	mount -t proc -o $options proc /proc
	mount_share
	cd "$MNT/dept" || bail "the share is there"
	as "$anna" "$PYTHON" -c 'import os, sys, threading
def save():
    with open(sys.argv[1], "w") as f:
        f.write("one")
thread = threading.Thread(target=save)
thread.start()
thread.join()
print(os.getpid())' "$options" >"$T/said"
	is "$options: who saves is a process, not its thread, and has a name" \
		"$(daybook log --json "$options" | sed -nE 's/.*"save",.*"process":([0-9]+),"command":"([^"]*)".*/\1 \2/p')" \
		"$(cat "$T/said") $("$PYTHON" -c 'print(open("/proc/self/comm").read().strip())')"
	chmod 660 "$options"
	is "$options: what a group may read it may read of the past" \
		"$(as "$ben" sh -c 'cat ".history/files/$1/"*.v1.*' sh "$options")" one
	is "$options: the tools are known by name" "$(as "$anna" daybook restore "$options" --version 1 >"$T/said" &&
		daybook log --json "$options" | head -n 1 | grep -o '"command":"[^"]*"')" '"command":"daybook"'
	cd /
	unmount_share
	umount /proc
done
verify_clean "the store verifies"
done_testing
