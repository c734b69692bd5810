#!/bin/bash
# Installing, and every way to mount: daybookd, daybook mount, mount(8), fstab; and what is said when it cannot be.
. "$(dirname "$0")/lib.sh"

# --- make install -------------------------------------------------------------------------------------------------

prefix=$T/usr
check "make install" make -s -C "$ROOT" BUILD="$MADE" PREFIX=/usr DESTDIR="$T" install
check "the programs are there" test -x "$prefix/bin/daybook" -a -x "$prefix/sbin/daybookd"
is "and every manual page" "$(cd "$prefix" && find share/man -type f -printf '%f\n' | sort)" "$(ls "$ROOT/man" | sort)"
PATH=$prefix/bin:$prefix/sbin:$PATH
hash -r
is "they are those that run" "$(command -v daybookd)" "$prefix/sbin/daybookd"
check "--help" daybookd --help
like "--help names the options" "$(daybookd --help)" "show_history"
check "--version" daybookd --version

# installed COMMAND...: with daybookd where mount(8) looks for it, which sets a PATH of its own; other processes of this
# machine do not see it there, but a mount below $T/shared is seen by all
mkdir -p "$T/shared/mnt" /usr/local/sbin
mount --bind "$T/shared" "$T/shared" && mount --make-shared "$T/shared" || bail "a shared mount"
MNT=$T/shared/mnt
installed()
{
	unshare --mount --propagation unchanged sh -c '
		top=$(findmnt -n -o TARGET -T /usr/local/sbin) # nothing in a chroot that is no mount
		[ -z "$top" ] || mount --make-private "$top"
		mount --bind "$1" /usr/local/sbin && shift && "$@"
		status=$?
		umount -l /usr/local/sbin
		exit $status' sh "$prefix/sbin" "$@"
}

# --- what is said when it cannot be mounted -----------------------------------------------------------------------

check "daybook init" daybook init "$STORE"
refuses "init does not touch what is there" "is not empty|already|exists" daybook init "$STORE"

# one_sentence NAME REGEX COMMAND...: refused, in one line
one_sentence()
{
	local name=$1 lines
	refuses "$@"
	shift 2
	lines=$("$@" 2>&1 | wc -l)
	is "$name: in one line" "$lines" 1
}

one_sentence "no such store" "nowhere" daybookd "$T/nowhere" "$MNT"
mkdir "$T/empty"
one_sentence "a directory that is no store" "empty.*(no|not).* store|no daybook store" daybookd "$T/empty" "$MNT"
one_sentence "no such mountpoint" "nothing-here" daybookd "$STORE" "$T/nothing-here"
touch "$T/file"
one_sentence "a mountpoint that is a file" "file.*(cannot|not a directory)|not a directory" daybookd "$STORE" "$T/file"
one_sentence "no such option" "colour" daybookd "$STORE" "$MNT" -o colour=red
one_sentence "a bad size" "cache" daybookd "$STORE" "$MNT" -o cache=much
one_sentence "a size that no number holds" "cache" daybookd "$STORE" "$MNT" -o cache=17179869185g
one_sentence "too few arguments" "usage" daybookd "$STORE"
refuses "in the foreground too" "nowhere" daybookd -f "$T/nowhere" "$MNT"
refuses "daybook mount says the same" "nowhere" daybook mount "$T/nowhere" "$MNT"
refuses "mount(8) says the same" "nowhere" installed mount -t fuse.daybookd "$T/nowhere" "$MNT"
is "nothing is mounted after all that" "$(grep -c " $MNT " /proc/self/mounts)" 0
check "nor is the store harmed" daybook verify --store "$STORE"

# --- the daemon in the background ---------------------------------------------------------------------------------

# pids_of MOUNTPOINT: of the daybookd that keeps it and the one that serves it, started by this test
pids_of()
{
	local dir
	for dir in /proc/[0-9]*; do
		[ "$dir/exe" -ef "$prefix/sbin/daybookd" ] &&
			tr '\0' '\n' <"$dir/cmdline" 2>/dev/null | grep -qxF "$1" && echo "${dir#/proc/}"
	done
}

# pid_of MOUNTPOINT: of the one that keeps it, which is the other's parent
pid_of()
{
	local pid
	for pid in $(pids_of "$1"); do
		tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qx -- --worker || echo "$pid"
	done
}

# ended PID: waits
ended()
{
	wait_for 30 gone "$1"
}

check "daybookd mounts" timeout 30 daybookd "$STORE" "$MNT"
check "it is ready when it returns" is_mounted
ls "$MNT" >"$T/out" # the kernel has been greeted
device=$(stat -c %d "$MNT")
ahead=/sys/class/bdi/$((device >> 8 & 4095)):$(((device & 255) | (device >> 12 & 1048320)))/read_ahead_kb
check "the kernel reads 2 MiB ahead" wait_for 10 grep -q '^2048$' "$ahead"
daemon=$(pid_of "$MNT")
at_exit 'for pid in $(pids_of "$MNT"); do kill -KILL "$pid"; done'
like "one process keeps it" "$daemon" "^[0-9]+\$"
is "and another one serves it" "$(pids_of "$MNT" | wc -l)" 2
is "which has no terminal and holds no directory" \
	"$(readlink "/proc/$daemon/cwd") $(readlink "/proc/$daemon/fd/0") $(readlink "/proc/$daemon/fd/1")" "/ /dev/null /dev/null"
like "mounted with the options that a shared drive needs" "$(grep " $MNT " /proc/self/mounts)" \
	"fuse.daybookd rw,nosuid,nodev.*default_permissions.*allow_other"
echo saved >"$MNT/file"
mkdir "$T/second"
one_sentence "a second daemon on the same store" "(in use|another|mounted|already|open)" daybookd "$STORE" "$T/second"
check "does not disturb the first" cat "$MNT/file"
check "umount" umount "$MNT"
check "ends the daemon" ended "$daemon"
check "the store is clean" daybook verify --store "$STORE"

# --- signals ------------------------------------------------------------------------------------------------------

for signal in TERM INT HUP; do
	daybookd "$STORE" "$MNT"
	daemon=$(pid_of "$MNT")
	exec 7>"$MNT/open-$signal"
	echo "written by a program that is still running" >&7
	kill "-$signal" "$daemon"
	check "SIG$signal ends the daemon" ended "$daemon"
	check "SIG$signal unmounts" sh -c '! grep -q " $1 " /proc/self/mounts' sh "$MNT"
	exec 7>&-
	check "SIG$signal leaves a clean store" daybook verify --store "$STORE"
done
mount_share
is "with what was written" "$(cat "$MNT"/open-{TERM,INT,HUP} | sort -u)" "written by a program that is still running"
unmount_share

# --- under a service manager --------------------------------------------------------------------------------------

# told SOCKET: prints what a program says to the service manager there, line by line
told()
{
	exec "$PYTHON" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    print(s.recv(1000).decode(), flush=True)' "$1"
}

told "$T/notify" >"$T/told" 2>&1 &
manager=$!
at_exit 'kill $manager'
wait_for 10 grep -q listening "$T/told"
NOTIFY_SOCKET=$T/notify daybookd -f "$STORE" "$MNT" ${REPORTS:+-o unconfined} >>"$LOG" 2>&1 &
daemon=$!
check "a service manager is told that the share is ready" wait_for 30 grep -q READY=1 "$T/told"
check "when it is" is_mounted
kill "$daemon"
check "and that it is being stopped" wait_for 30 grep -q STOPPING=1 "$T/told"
wait "$daemon"
is "which ends well" $? 0

unit=$prefix/lib/systemd/system/daybook@.service
if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	sed "s|=/usr/|=$prefix/|" "$unit" >"$T/units/daybook@.service"
	is "systemd finds nothing wrong with the unit" \
		"$(systemd-analyze --man=no verify "$T/units/daybook@share.service" 2>&1 | grep daybook)" ""
else
	skip "systemd finds nothing wrong with the unit" "no systemd here"
fi

# --- mount(8) and fstab -------------------------------------------------------------------------------------------

check "mount -t fuse.daybookd" installed mount -t fuse.daybookd "$STORE" "$MNT" -o show_history,cache=64m
check "it is ready" is_mounted
is "its options arrive" "$(ls -a "$MNT" | grep -c '^\.history$')" 1
daemon=$(pid_of "$MNT")
check "umount" umount "$MNT"
ended "$daemon"

printf '%s %s fuse.daybookd noauto,nofail,x-systemd.automount,ro 0 0\n' "$STORE" "$MNT" >"$T/fstab"
check "mount by a line of fstab" installed mount --fstab "$T/fstab" "$MNT"
like "with its options" "$(grep " $MNT " /proc/self/mounts)" "fuse.daybookd ro,"
refuses "-o ro: nothing can be written" "read-only" sh -c 'echo x 2>/dev/null >"$1/new" || touch "$1/new"' sh "$MNT"
refuses "-o ro: nor removed" "read-only" rm -f "$MNT/file"
refuses "-o ro: nor its mode changed" "read-only" chmod 600 "$MNT/file"
refuses "-o ro: no tags" "read-only" mkdir "$MNT/.history/tags/now"
is "-o ro: it reads" "$(cat "$MNT/file")" saved
is "-o ro: the past too" "$(cat "$(version "$MNT/file" 1)")" saved
daemon=$(pid_of "$MNT")
check "umount" umount "$MNT"
ended "$daemon"

check "daybook mount" daybook mount "$STORE" "$MNT" -o rw
is "serves it" "$(cat "$MNT/file")" saved
daemon=$(pid_of "$MNT")
umount "$MNT"
check "and ends" ended "$daemon"
check "the store is clean after all that" daybook verify --store "$STORE"

# --- a mountpoint whose daemon died -------------------------------------------------------------------------------

daybookd "$STORE" "$MNT"
pids=$(pids_of "$MNT")
kill -KILL $pids
for pid in $pids; do ended "$pid"; done
refuses "over a mount whose daemon died" "." daybookd "$STORE" "$MNT"
check "it can be unmounted" umount "$MNT"
check "and mounted anew" daybookd "$STORE" "$MNT"
is "with everything" "$(cat "$MNT/file")" saved
daemon=$(pid_of "$MNT")
umount "$MNT"
ended "$daemon"

check "make uninstall" make -s -C "$ROOT" BUILD="$MADE" PREFIX=/usr DESTDIR="$T" uninstall
is "leaves no file" "$(find "$prefix" -type f | wc -l)" 0
done_testing
