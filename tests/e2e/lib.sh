# lib.sh - what every end-to-end test stands on: a private store and mount, users, assertions in TAP, cleaning up.
#
# A test sources this file first and calls done_testing last.  Everything it makes lives below $T, a directory of
# its own that is removed when all went well and kept, unmounted, when a check failed.  Only processes that the
# test started are ended, by their ids.
#
#   $ROOT   the checkout            $MADE   where it was built
#   $BUILD  daybookd, daybook and the helpers, copied to where every user may run them: a checkout may be private
#   $STORE  the store               $MNT    where it is mounted
# shellcheck shell=bash disable=SC2034

set -u
shopt -s nullglob dotglob
export LC_ALL=C.UTF-8 TZ=UTC
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MADE=${BUILD:-$ROOT/build}
case $MADE in /*) ;; *) MADE=$ROOT/$MADE ;; esac
PYTHON=/usr/bin/python3
NAME=$(basename "$0" .t)

T=$(mktemp -d "${TMPDIR:-/tmp}/daybook-$NAME.XXXXXX") || exit 1
chmod 711 "$T"
BUILD=$T/bin HELPERS=$T/bin E2E=$T/bin
PATH=$BUILD:$PATH:/usr/sbin:/sbin
mkdir "$BUILD" || exit 1
for program in "$MADE/daybook" "$MADE/daybookd" "$MADE"/tests/e2e/* "$ROOT"/tests/e2e/*.py; do
	case $program in *.d) ;; *) install -m 755 "$program" "$BUILD/" || exit 1 ;; esac
done
STORE=$T/store
MNT=$T/mnt
LOG=$T/daybookd.log
DAEMON=
mkdir "$MNT"

# --- sanitizers ---------------------------------------------------------------------------------------------------
# Programs that were built with one (BUILD=build/sanitize or build/tsan) leave what they find in $REPORTS, whoever runs
# them; done_testing looks there.

case $MADE in
*/sanitize | */tsan) REPORTS=$T/reports ;;
*) REPORTS= ;;
esac
if [ -n "$REPORTS" ]; then
	mkdir -m 1777 "$REPORTS" || exit 1
	chmod 1777 "$REPORTS"
	export ASAN_OPTIONS="detect_leaks=1:log_path=$REPORTS/asan" UBSAN_OPTIONS="print_stacktrace=1:log_path=$REPORTS/ubsan"
	export TSAN_OPTIONS="ignore_noninstrumented_modules=1:suppressions=$BUILD/tsan.supp:log_path=$REPORTS/tsan"
	install -m 644 "$ROOT/tests/tsan.supp" "$BUILD/" || exit 1
fi

# no_reports: what the sanitizers found, a test point of its own
no_reports()
{
	local report
	[ -n "$REPORTS" ] || return 0
	for report in "$REPORTS"/*; do
		diag "$(basename "$report"):"
		DIAG_LINES=60 diag "$(cat "$report")"
	done
	is "the sanitizers found nothing" "$(find "$REPORTS" -type f | wc -l)" 0
}

# --- TAP ----------------------------------------------------------------------------------------------------------

test_count=0 fail_count=0 finished=

# diag TEXT...: lines for the reader, as TAP comments
diag()
{
	printf '%s\n' "$*" | head -n "${DIAG_LINES:-40}" | cut -c 1-400 | sed 's/^/#   /'
}

# result STATUS NAME: one test point; true when it passed
result()
{
	test_count=$((test_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $test_count - $2"
		return 0
	fi
	fail_count=$((fail_count + 1))
	echo "not ok $test_count - $2"
	local caller=1
	[ "${#BASH_LINENO[@]}" -gt 2 ] || caller=0 # called by the test itself
	diag "at ${BASH_SOURCE[caller + 1]##*/} line ${BASH_LINENO[caller]}"
	return 1
}

# skip NAME WHY
skip()
{
	test_count=$((test_count + 1))
	echo "ok $test_count - $1 # SKIP $2"
}

# check NAME COMMAND...: the command succeeds; its output is shown when it does not
check()
{
	local name=$1 out status
	shift
	out=$("$@" 2>&1) && status=0 || status=$?
	result "$status" "$name" || { diag "$(printf '%q ' "$@"): exit $status"; diag "$out"; return 1; }
}

# refuses NAME REGEX COMMAND...: the command fails by itself, not by a signal, and says something that matches
refuses()
{
	local name=$1 regex=$2 out status
	shift 2
	if [ "$(type -t "$1")" = function ]; then
		out=$("$@" 2>&1) && status=0 || status=$?
	else
		out=$(timeout 60 "$@" 2>&1) && status=0 || status=$?
	fi
	[ "$status" -gt 0 ] && [ "$status" -lt 124 ] && grep -qiE -- "$regex" <<<"$out"
	result $? "$name" || { diag "$(printf '%q ' "$@"): exit $status, wanted /$regex/"; diag "$out"; return 1; }
}

# is NAME GOT WANTED
is()
{
	[ "$2" = "$3" ]
	result $? "$1" || { diag "got:    $2"; diag "wanted: $3"; return 1; }
}

# isnt NAME GOT UNWANTED
isnt()
{
	[ "$2" != "$3" ]
	result $? "$1" || { diag "got: $2"; return 1; }
}

# like NAME GOT REGEX
like()
{
	grep -qE -- "$3" <<<"$2"
	result $? "$1" || { diag "got:    $2"; diag "wanted: /$3/"; return 1; }
}

# unlike NAME GOT REGEX
unlike()
{
	! grep -qE -- "$3" <<<"$2"
	result $? "$1" || { diag "got:      $2"; diag "unwanted: /$3/"; return 1; }
}

# same NAME FILE FILE: equal bytes
same()
{
	local out
	out=$(cmp -- "$2" "$3" 2>&1)
	result $? "$1" || { diag "$out"; return 1; }
}

# tap NAME COMMAND...: runs a program that prints "ok - what" and "not ok - what" lines (and # comments); each
# becomes a test point, and that it ended well another
tap()
{
	local name=$1 line status
	shift
	"$@" >"$T/tap.out" 2>"$T/tap.err" </dev/null && status=0 || status=$?
	while IFS= read -r line; do
		case $line in
		"ok - "*) result 0 "$name: ${line#ok - }" ;;
		"not ok - "*) result 1 "$name: ${line#not ok - }" ;;
		"skip - "*) skip "$name: ${line#skip - }" "not possible here" ;;
		*) diag "${line#\# }" ;;
		esac
	done <"$T/tap.out"
	result "$status" "$name: ends well" || diag "exit $status: $(tail -n 20 "$T/tap.err")"
}

done_testing()
{
	unmount_share
	no_reports
	echo "1..$test_count"
	finished=1
	exit $((fail_count > 0))
}

# bail TEXT: nothing further makes sense
bail()
{
	result 1 "$1"
	[ ! -s "$LOG" ] || diag "daybookd said: $(tail -n 20 "$LOG")"
	echo "1..$test_count"
	finished=1
	exit 1
}

# --- cleaning up --------------------------------------------------------------------------------------------------

# at_exit COMMAND: runs at the end whatever happens, last given first
at_exit_commands=()
at_exit()
{
	at_exit_commands=("$1" "${at_exit_commands[@]}")
}

cleanup()
{
	local status=$? command
	trap - EXIT
	trap '' HUP INT TERM
	[ -n "$finished" ] || { echo "not ok $((test_count + 1)) - ended early at line ${BASH_LINENO[0]}"; status=1; }
	cd /
	for command in "${at_exit_commands[@]}"; do eval "$command"; done
	[ -z "$DAEMON" ] || kill -KILL "$DAEMON" 2>/dev/null
	awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r point; do
		umount "$point" 2>/dev/null || umount -l "$point"
	done
	remove_users
	if [ "$status" -eq 0 ] && [ "$fail_count" -eq 0 ] && [ -z "${KEEP:-}" ]; then
		rm -rf --one-file-system "$T"
	else
		[ ! -s "$LOG" ] || diag "daybookd said: $(tail -n 20 "$LOG")"
		echo "# to look at it: the store and the logs are in $T; again: KEEP=1 $0"
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

# --- users --------------------------------------------------------------------------------------------------------
# Each test has its own, so that tests can run side by side and on a machine with users of its own.

USERS=() GROUP=

# locked COMMAND...: the user database has one lock, which another test may hold just now
locked()
{
	local i
	for i in $(seq 100); do
		"$@" >"$T/useradd.log" 2>&1 && return 0
		grep -qE 'cannot lock|try again' "$T/useradd.log" || break
		sleep 0.1
	done
	diag "$*: $(cat "$T/useradd.log")"
	return 1
}

# make_users NAME...: makes users; "anna" becomes $anna, e.g. anna4711; all are in the group $GROUP
make_users()
{
	local name
	if [ -z "$GROUP" ]; then
		GROUP=dept$$
		locked groupadd "$GROUP" || bail "groupadd"
	fi
	for name; do
		declare -g "$name=$name$$"
		locked useradd -M -U -G "$GROUP" -d "$T/home/$name" -s /bin/bash "$name$$" || bail "useradd"
		USERS+=("$name$$")
		mkdir -p "$T/home/$name"
		chown "$name$$:" "$T/home/$name"
	done
}

remove_users()
{
	local user
	for user in "${USERS[@]}"; do locked userdel "$user"; done
	[ -z "$GROUP" ] || locked groupdel "$GROUP"
}

# as USER COMMAND...: runs a command as that user, umask 002 as on a shared drive
as()
{
	local user=$1
	shift
	(
		umask 002
		exec setpriv --reuid "$user" --regid "$user" --init-groups \
			env HOME="$T/home/${user%%[0-9]*}" TMPDIR="$T/home/${user%%[0-9]*}" USER="$user" LOGNAME="$user" "$@"
	)
}

# as_sh USER SCRIPT [ARG...]: a shell script as that user
as_sh()
{
	local user=$1 script=$2
	shift 2
	as "$user" sh -c "$script" sh "$@"
}

# --- the share ----------------------------------------------------------------------------------------------------

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for()
{
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

is_mounted()
{
	[ "$(stat -f -c %t "${1:-$MNT}" 2>/dev/null)" = 65735546 ]
}

# gone PID: all of it has ended, whether or not its parent (in a container, one that does not care) has noticed
gone()
{
	! kill -0 "$1" 2>/dev/null || ! grep -qs '^State:.*[^ZX] (' "/proc/$1/task"/*/status
}

# start [daybookd's further arguments]: mounts $STORE at $MNT in the foreground of a process of ours
start()
{
	daybookd -f "$STORE" "$MNT" ${REPORTS:+-o unconfined} "$@" >>"$LOG" 2>&1 &
	DAEMON=$!
	wait_for 60 ready_or_gone
	is_mounted
}

ready_or_gone()
{
	is_mounted || gone "$DAEMON"
}

# mount_share [arguments]: start, and no test goes on without
mount_share()
{
	start "$@" || bail "the share mounts"
}

# new_share [arguments]: an empty store, mounted, a directory that everybody of the group may write: $MNT/dept
new_share()
{
	daybook init "$STORE" >>"$LOG" 2>&1 || bail "daybook init makes a store"
	mount_share "$@"
	chmod 755 "$MNT"
	if [ -n "$GROUP" ]; then
		mkdir "$MNT/dept" && chown "root:$GROUP" "$MNT/dept" && chmod 2775 "$MNT/dept" || bail "a directory"
	fi
}

# unmount_share: umount, and the daemon ends by itself; its status is daemon_status
daemon_status=0
unmount_share()
{
	[ -n "$DAEMON" ] || return 0
	local pid=$DAEMON
	cd /
	wait_for 10 umount "$MNT" 2>/dev/null || { result 1 "umount works"; umount -l "$MNT"; }
	wait_for 60 gone "$pid" || { result 1 "daybookd ends after umount"; kill -KILL "$pid"; }
	DAEMON=
	wait "$pid" 2>/dev/null && daemon_status=0 || daemon_status=$?
	[ "$daemon_status" -eq 0 ] || result 1 "daybookd ends with status 0, not $daemon_status"
}

# status_field NAME: of `daybook status`
status_field()
{
	daybook status --json "$MNT" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# worker_pid: of the process that serves; $DAEMON is the one that keeps the mount
worker_pid()
{
	pgrep -P "$DAEMON"
}

# kill_worker: kill -9 of the process that serves: another one takes over
kill_worker()
{
	kill -KILL "$(worker_pid)"
}

no_worker()
{
	! pgrep -f -- "daybookd --worker .* $STORE " >/dev/null
}

# kill_daemon: kill -9 of all of it, as a power cut would, and the dead mount taken away
kill_daemon()
{
	local worker=$(worker_pid)
	kill -KILL "$DAEMON" $worker
	wait "$DAEMON" 2>/dev/null
	[ -z "$worker" ] || wait_for 10 gone "$worker"
	wait_for 10 no_worker # one that was just being started dies by itself
	DAEMON=
	umount -l "$MNT"
}

# remount [arguments]
remount()
{
	unmount_share
	mount_share "$@"
}

# verify_clean NAME: with no daemon running
verify_clean()
{
	check "$1" daybook verify --store "$STORE"
}

# --- looking at the past ------------------------------------------------------------------------------------------

# fact FILE NAME: the xattr user.daybook.NAME, empty when there is none
fact()
{
	getfattr --absolute-names --only-values -n "user.daybook.$2" -- "$1" 2>/dev/null
}

# versions FILE: the paths of the versions that .history/files shows for a name, oldest first
versions()
{
	local dir
	dir=$(dirname "$1")/.history/files/$(basename "$1")
	find "$dir" -mindepth 1 -maxdepth 1 -type f ! -name changes.csv -printf '%f\n' 2>/dev/null |
		sort -t . -V | awk -v d="$dir" 'match($0, /\.v[0-9]+\./) { print substr($0, RSTART + 2), d "/" $0 }' |
		sort -n | cut -d ' ' -f 2-
}

# version_count FILE
version_count()
{
	versions "$1" | wc -l
}

# version FILE N: the path of its version N
version()
{
	versions "$1" | grep -E "\.v$2\." | head -n 1
}

# authors FILE: the authors' names as the version names have them, oldest first, one line
authors()
{
	versions "$1" | sed -E 's/.*Z\.v[0-9]+\.([^.]+)(\.[^.]*)*$/\1/' | paste -sd ' '
}

digest_of()
{
	b2sum -l 256 <"$1" | cut -d ' ' -f 1
}

# next_second: so that what comes next has another second than what was
next_second()
{
	sleep 1.05
}

# instant [SECONDS ago]: the name that .history/at has for now
instant()
{
	date -u -d "@$(($(date +%s) - ${1:-0}))" +%Y-%m-%d_%H.%M.%SZ
}
