#!/bin/bash
# The limits of daybook-limits(7): each is reached, and one past it is refused by what the page says.  (Names, paths and
# symlinks are in 02-posix; the socket's clients and the table of open files in unit tests.)
. "$(dirname "$0")/lib.sh"

make_users anna
ulimit -Sn 1024 # as a daemon finds it on most systems
new_share
mkdir "$MNT/limits"
chmod 711 "$STORE"
tap "share" "$PYTHON" "$E2E/limits.py" "$MNT/limits" "$(id -u "$anna")" "$STORE/socket"
is "15 bytes of a program's name are in the log" "$(daybook log --json "$MNT/limits/command" |
	sed -n 's/.*"operation":"save".*"command":"\([^"]*\)".*/\1/p')" fifteen-letters
like "the deepest is in the log" "$(daybook log --limit 100000 "$MNT" 2>&1 | grep -c 'save.*/lower/d/d/.*/file')" "^[1-9]"
chmod 644 "$MNT/limits/rows/f"
remount
is "of 20,001 changes a changes.csv shows 20,000" "$(grep -c '^[0-9]' "$MNT/limits/rows/.history/changes.csv")" 20000
like "and says so" "$(tail -n 1 "$MNT/limits/rows/.history/changes.csv")" "older changes"
unmount_share
verify_clean "the store verifies"

daybookd()
{
	ulimit -n 400
	exec "$BUILD/daybookd" "$@"
}
start || bail "the share mounts with few files to open"
tap "share" "$PYTHON" "$E2E/limits.py" "$MNT/limits" few-files
unmount_share
verify_clean "the store verifies still"
done_testing
