#!/bin/bash
# A tree of thousands of files untarred, copied, compared, cloned and built: no difference to the same done beside it.
# timeout: 400
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
mkdir "$T/plain" "$MNT/work"
plain=$T/plain work=$MNT/work

# --- a tree that has everything in it -----------------------------------------------------------------------------

make_tree()
{
	local i
	mkdir -p "$1/odd" "$1/deep" "$1/many"
	for i in $(seq 2000); do echo "$i" >"$1/many/file $i"; done
	for i in linux asm-generic x86_64-linux-gnu c++ rocksdb fuse3; do
		[ ! -e "/usr/include/$i" ] || cp -rL "/usr/include/$i" "$1/$i"
	done
	(
		cd "$1/odd" || exit
		for i in 0 1 400 444 600 640 644 751 755 777 1644 2755 4755 6711; do
			echo "$i" >"mode $i" && chmod "$i" "mode $i"
		done
		mkdir -m 1777 sticky && mkdir -m 2775 setgid
		for i in "$anna" "$ben"; do echo "$i" >"of $i" && chown "$i:$GROUP" "of $i"; done
		ln "mode 644" "hard link" && ln "mode 644" sticky/third
		ln -s "mode 644" symlink && ln -s /nowhere/at/all dangling && ln -s ../odd directory
		mkfifo fifo && mknod null c 1 3 && mknod disk b 8 1
		printf 'x' >$'new\nline' && printf 'x' >$'not \xff\xfe UTF-8' && printf 'x' >"$(printf 'n%.0s' $(seq 255))"
		touch -d '1985-10-26 01:21:00.123456789 UTC' old && touch -d '2199-12-31 23:59:59.5 UTC' future
		touch -d @-2000000000.25 older && touch -h -d @4294967296.999999999 dangling && mkdir long-ago && touch -d @-1 long-ago
		: >empty && truncate -s 5M sparse && printf end | dd of=sparse bs=1 seek=3000000 conv=notrunc status=none
		for i in 1 2 3; do setfattr -n "user.attribute$i" -v "value $i" "mode 644" || exit; done
		setfattr -n user.binary -v 0x00ff00 old && setfattr -n trusted.root -v only old
		setfacl -m "u:$anna:rw,g:$GROUP:r" "mode 600" && setfacl -d -m "u:$ben:rwx" setgid && setfacl -m "u:$ben:rx" setgid
		dd if=/dev/urandom of=large bs=1M count=12 status=none
	)
	(cd "$1/deep" && for i in $(seq 40); do mkdir "level $i" && cd "level $i" && echo "$i" >file; done)
	[ "$(find "$1" | wc -l)" -ge 2000 ]
}

check "a tree of 2,000 files and more is there" make_tree "$plain/tree"
tar --xattrs --xattrs-include='*' --acls --numeric-owner -C "$plain" -cf "$T/tree.tar" tree

# facts DIRECTORY: everything about every file below it but its bytes, and of directories but their size and change time
facts()
{
	(
		cd "$1" || exit
		find . -mindepth 1 \( -type d -printf '%P %y %m %U %G %n %T@\0' -o -printf '%P %y %m %U %G %n %s %T@ %l\0' \) | sort -z | tr '\0' '\n'
		find . -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex 2>/dev/null
		find . ! -type l -print0 | sort -z | xargs -0 getfacl -n -p 2>/dev/null
	)
}

# alike NAME DIRECTORY DIRECTORY: no difference in content, names, modes, owners, times, xattrs, ACLs and links
alike()
{
	local differs
	differs=$(diff -r --no-dereference "$2" "$3" 2>&1 | grep -vE 'is a (fifo|character|block)' | head)
	is "$1: content" "$differs" ""
	differs=$(diff <(facts "$2") <(facts "$3") | head -n 20)
	is "$1: modes, owners, times, links, xattrs, ACLs" "$differs" ""
	differs=$(rsync -aHAXc --numeric-ids --delete --dry-run --itemize-changes "$2/" "$3/" 2>&1 | head)
	is "$1: rsync -c finds nothing to do" "$differs" ""
}

check "tar unpacks it" tar --xattrs --xattrs-include='*' --acls --numeric-owner -C "$work" -xpf "$T/tree.tar"
alike "untarred" "$plain/tree" "$work/tree"
check "cp -a copies it within the share" cp -a "$work/tree" "$work/copy"
alike "cp -a within the share" "$plain/tree" "$work/copy"
check "cp -a copies it out" cp -a "$work/tree" "$plain/out"
alike "cp -a out of the share" "$plain/tree" "$plain/out"
check "rsync copies it in" rsync -aHAX --numeric-ids "$plain/tree/" "$work/rsync/"
alike "rsync into the share" "$plain/tree" "$work/rsync"
echo bytes >"$plain/one" && chmod 640 "$plain/one" && touch -d 2020-02-02 "$plain/one"
mkdir "$work/ones" && cp -a "$plain/one" "$work/one" && tar -C "$plain" -cf - one | tar -C "$work/ones" -xpf -
for copied in "$work/one" "$work/ones/one"; do
	is "a file with rights and times is two changes" \
		"$(daybook log --csv "$copied" | cut -d, -f3,14 | tr '\n' ' ')" "operation,after save,0:0 640 create,600 "
	is "and has them" "$(stat -c '%a %Y' "$copied")" "640 $(date -d 2020-02-02 +%s)"
done
truncate -s 5M "$work/sparse" && echo end | dd of="$work/sparse" bs=1 seek=3000000 conv=notrunc status=none
check "cp copies a sparse file" cp "$work/sparse" "$work/sparse copy"
same "whole" "$work/sparse" "$work/sparse copy"
is "and it stays sparse" "$(($(stat -c %b "$work/sparse copy") < 2000))" 1

# --- git and make -------------------------------------------------------------------------------------------------

git=(git -c safe.directory='*')
check "git clones on the share" "${git[@]}" clone -q --no-hardlinks "$ROOT" "$work/clone"
check "git clones beside it" "${git[@]}" clone -q --no-hardlinks "$ROOT" "$plain/clone"
check "git fsck finds nothing" "${git[@]}" -C "$work/clone" fsck --no-progress --strict
is "git status is clean" "$("${git[@]}" -C "$work/clone" status --porcelain)" ""
is "both clones have the same files" "$(diff -r -x .git "$work/clone" "$plain/clone")" ""
for at in "$work" "$plain"; do
	check "make builds in ${at#"$T/"}" env -u CI -u MAKEFLAGS -u MAKELEVEL -u BUILD make -s -C "$at/clone" -j2 CFLAGS=-O0 build/libstore.a
done
is "both builds made the same objects" "$(cd "$work/clone/build" && find . -name '*.o' | wc -l) $(
	cd "$work/clone/build" && find . -name '*.o' -exec cmp {} "$plain/clone/build/{}" \; 2>&1 | head)" \
	"$(find "$plain/clone/build" -name '*.o' | wc -l) "
is "make finds nothing to do a second time" "$(env -u CI -u MAKEFLAGS -u MAKELEVEL -u BUILD make -C "$work/clone" CFLAGS=-O0 build/libstore.a | grep -c '^cc')" 0

# --- afterwards ---------------------------------------------------------------------------------------------------

remount
alike "after a remount" "$plain/tree" "$work/tree"
instant=$(instant)
next_second
check "rm -r removes it all" rm -r "$work/copy" "$work/rsync" "$work/clone"
alike "the instant before, in .history/at" "$plain/tree" "$work/.history/at/$instant/copy"
unmount_share
verify_clean "the store verifies"
done_testing
