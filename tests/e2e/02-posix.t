#!/bin/bash
# The operations of an ordinary filesystem, played on the mount and, as the test of the test, beside it.
# NAMES=100000: so many names come and go while a directory is read, instead of 4,000.
. "$(dirname "$0")/lib.sh"

make_users anna
new_share
uid=$(id -u "$anna") gid=$(id -g "$anna")

chmod 777 "$MNT"
for part in posix posix_times posix_rights posix_data posix_names posix_locks; do
	mkdir "$MNT/$part" "$T/$part"
	chmod 777 "$MNT/$part" "$T/$part"
	case $(stat -f -c %T "$T") in
	ext*|xfs|btrfs) tap "beside" "$HELPERS/$part" "$T/$part" "$uid" "$gid" ${NAMES:+"$NAMES"} ;;
	*) skip "beside" "only on ext4 and its like does all of it work: $(stat -f -c %T "$T")" ;;
	esac
	tap "share" "$HELPERS/$part" "$MNT/$part" "$uid" "$gid" ${NAMES:+"$NAMES"}
	[ -z "$(ls -A "$T/$part")" ] ||
		is "what was unlinked is gone" "$(cd "$MNT/$part" && find . | sort)" "$(cd "$T/$part" && find . | sort)"
done

cd "$MNT" || bail "the share is there"

# what programs see
echo one > a
isnt "there is a birth time" "$(stat -c %W a)" 0
check "statfs says something" sh -c '[ "$(stat -f -c %b "$1")" -gt 0 ]' sh "$MNT"
check "df" df "$MNT"

# bytes: random operations against a copy in memory
mkdir bytes
tap "beside" "$E2E/bytes.py" "$T/posix" 1 300
for seed in 1 2 3 4 5 6 $RANDOM; do
	mkdir "bytes/$seed"
	tap "share" "$E2E/bytes.py" "bytes/$seed" "$seed" 300
done
mkdir "$T/churn" churn
tap "beside" "$HELPERS/churn" "$T/churn" 6000 "${SEED:-$RANDOM}"
tap "share" "$HELPERS/churn" "$MNT/churn" 6000 "${SEED:-$RANDOM}"
bytes=$(b2sum bytes/*/*)

# names
long=$(printf 'n%.0s' $(seq 255))
check "a name of 255 bytes" touch "$long"
refuses "one of 256" "too long" touch "${long}n"
check "a name that is no UTF-8" touch $'latin\xe9'
check "a name with a newline" touch $'two\nlines'
is "they are listed as they are" "$(find . -maxdepth 1 \( -name $'latin\xe9' -o -name $'two\nlines' \) -printf x)" xx
refuses "nobody's directory is called .history" "exists|invalid" mkdir .history
refuses "nor a file renamed to it" "exist|invalid|permi|director|read-only" mv -T a .history
refuses "nor a link" "exists|invalid|permitted" ln -T a .history
check "deep paths" mkdir -p "$(printf 'deep/%.0s' $(seq 200))"

# sizes
check "a sparse file of 20 GiB" truncate -s 20G big
printf end | dd of=big bs=1 seek=$((20 * 1024 * 1024 * 1024 - 3)) conv=notrunc status=none
is "its end reads back" "$(tail -c 3 big)" end
is "it takes little room" "$(($(stat -c %b big) < 4096))" 1
is "it has that size" "$(stat -c %s big)" $((20 * 1024 * 1024 * 1024))
check "holes are found" "$PYTHON" -c '
import os
fd = os.open("big", os.O_RDONLY)
data = os.lseek(fd, 0, os.SEEK_DATA)
assert data > 19 << 30, data
assert os.lseek(fd, data, os.SEEK_HOLE) == 20 << 30
assert os.lseek(fd, 0, os.SEEK_HOLE) == 0'
rm big

# a directory of many
mkdir many
check "a directory of 20,000 files" "$PYTHON" -c '
import os
for i in range(20000):
    os.close(os.open(f"many/file-{i:06}", os.O_CREAT | os.O_WRONLY, 0o644))'
is "all are listed, each once" "$(ls many | sort -u | wc -l) $(ls many | wc -l)" "20000 20000"
check "removing while reading removes all" rm -r many

# ACLs
check "an ACL is set" setfacl -m "u:$anna:rw" a
like "and read back" "$(getfacl -cp a)" "^user:$anna:rw-"
chmod 600 a
refuses "the mask counts" "denied" as "$anna" sh -c 'cat "$1" </dev/null' sh "$MNT/a"
mkdir d && setfacl -d -m "u:$anna:rwx" d && mkdir d/sub && touch d/sub/f
like "a default ACL is inherited" "$(getfacl -cp d/sub/f)" "^user:$anna:rwx"

# read-only programs, execution
printf '#!/bin/sh\necho ran\n' > run.sh && chmod 755 run.sh
is "a program on the share runs" "$(./run.sh)" ran
cp /bin/true true && check "and a binary" ./true

cd /
sizes=$(find "$MNT" -printf '%P %y %m %s %n %T@\n' | sort)
remount
is "all is there after a remount" "$(find "$MNT" -printf '%P %y %m %s %n %T@\n' | sort | diff - <(echo "$sizes") | head -5)" ""
is "and every byte" "$(cd "$MNT" && b2sum bytes/*/*)" "$bytes"
unmount_share
verify_clean "the store verifies"
done_testing
