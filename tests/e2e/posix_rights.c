/* posix_rights - who may do what, and which bits a change takes away (see posix.h). */
#include "posix.h"

#include <linux/capability.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define GROUP_IN 40001  /* the other user is in this one, in some tests */
#define GROUP_OUT 40002 /* and never in this */

static const char *path; /* what the functions below work on */
static gid_t new_gid;

static mode_t mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_mode & 07777;
}

/* A file of the other user's and of a group, with a mode. */
static void owned(const char *name, gid_t gid, mode_t mode)
{
	unlink(name);
	make_closed(name, "content");
	if (chown(name, other_uid, gid) || chmod(name, mode))
		say(false, "%s is the other user's", name);
}

static bool as_member(bool (*f)(void))
{
	const gid_t groups[] = { GROUP_IN };

	return as_user(other_uid, other_gid, groups, 1, f);
}

static bool do_write(void)
{
	int fd = open(path, O_WRONLY);

	return fd >= 0 && write(fd, "w", 1) == 1 && close(fd) == 0;
}

static bool do_truncate(void)
{
	return truncate(path, 3) == 0;
}

static bool do_ftruncate(void)
{
	int fd = open(path, O_WRONLY);

	return fd >= 0 && ftruncate(fd, 3) == 0 && close(fd) == 0;
}

static bool do_open_trunc(void)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	return fd >= 0 && close(fd) == 0;
}

static bool do_fallocate(void)
{
	int fd = open(path, O_WRONLY);

	return fd >= 0 && fallocate(fd, 0, 0, 100) == 0 && close(fd) == 0;
}

static bool do_copy(void)
{
	int in = open("rights-source", O_RDONLY), out = open(path, O_WRONLY);

	return in >= 0 && out >= 0 && copy_file_range(in, NULL, out, NULL, 5, 0) == 5 &&
	       close(out) == 0;
}

static bool do_chown_same(void)
{
	return chown(path, (uid_t)-1, (gid_t)-1) == 0;
}

static bool do_chgrp(void)
{
	return chown(path, (uid_t)-1, new_gid) == 0;
}

static bool refused_chgrp(void)
{
	return chown(path, (uid_t)-1, new_gid) == -1 && errno == EPERM;
}

static bool do_chmod_setgid(void)
{
	return chmod(path, 02755) == 0;
}

/* What the mode is after f, from before, when the other user does it (in the group of the file or
 * not) and root. */
static void test_killing(void)
{
	static const struct {
		const char *what;
		bool (*run)(void);
	} changes[] = {
		{ "write", do_write },         { "truncate", do_truncate },
		{ "ftruncate", do_ftruncate }, { "open O_TRUNC", do_open_trunc },
		{ "fallocate", do_fallocate }, { "copy_file_range", do_copy },
	};
	static const struct {
		mode_t before, user, member; /* member: in the file's group */
	} modes[] = {
		{ 06777, 0777, 0777 }, { 04755, 0755, 0755 },   { 02775, 0775, 0775 },
		{ 04666, 0666, 0666 }, { 01777, 01777, 01777 }, { 0777, 0777, 0777 },
	};

	make_closed("rights-source", "source");
	path = "killed";
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++) {
			owned(path, GROUP_IN, modes[j].before);
			bool done = as_other(changes[i].run);
			mode_t got = mode_of(path);

			say(done && got == modes[j].user, "%s by a user takes %04o to %04o (%04o)",
			    changes[i].what, modes[j].before, modes[j].user, got);
			owned(path, GROUP_IN, modes[j].before);
			done = as_member(changes[i].run);
			got = mode_of(path);
			say(done && got == modes[j].member,
			    "%s by a member of its group takes %04o to %04o (%04o)",
			    changes[i].what, modes[j].before, modes[j].member, got);
		}
		owned(path, GROUP_IN, 06777);
		say(changes[i].run() && mode_of(path) == 06777,
		    "%s by root leaves setuid and setgid (%04o)", changes[i].what, mode_of(path));
	}
}

static void test_chown(void)
{
	path = "chowned";
	owned(path, other_gid, 06755);
	new_gid = GROUP_IN;
	say(as_member(do_chgrp) && mode_of(path) == 0755,
	    "a file given to another group of its owner's loses both");
	new_gid = GROUP_OUT;
	say(as_member(refused_chgrp), "to a group that he is not in it cannot be given");
	new_gid = other_gid;
	owned(path, other_gid, 0644);
	say(chown(path, 0, 0) == 0 && as_member(refused_chgrp), "nor can another's file");
	owned(path, other_gid, 06755);
	say(chown(path, other_uid, GROUP_IN) == 0 && mode_of(path) == 0755,
	    "also when root does it");
	owned(path, other_gid, 06745);
	say(chown(path, other_uid, GROUP_IN) == 0 && mode_of(path) == 02745,
	    "but not setgid without group execution");
	owned(path, other_gid, 06755);
	say(as_other(do_chown_same) && mode_of(path) == 0755,
	    "chown to nobody else takes them too (%04o)", mode_of(path));
	say(mkdir("chowned-dir", 0755) == 0 && chmod("chowned-dir", 06775) == 0 &&
		    chown("chowned-dir", other_uid, GROUP_IN) == 0 &&
		    mode_of("chowned-dir") == 06775,
	    "a directory keeps them");
	path = "chmodded";
	owned(path, GROUP_OUT, 0755);
	say(as_other(do_chmod_setgid) && mode_of(path) == 0755,
	    "setgid is not given by who is not in the group");
	owned(path, GROUP_IN, 0755);
	say(as_member(do_chmod_setgid) && mode_of(path) == 02755, "but by who is");
}

/* cap_net_raw+ep, as setcap writes it. */
static bool set_capability(const char *name)
{
	struct vfs_cap_data cap = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
				    .data[0].permitted = 1u << CAP_NET_RAW };

	return setxattr(name, "security.capability", &cap, sizeof(cap), 0) == 0;
}

static bool has_capability(const char *name)
{
	return getxattr(name, "security.capability", NULL, 0) > 0;
}

static void test_capability(void)
{
	static const struct {
		const char *what;
		bool (*run)(void);
	} changes[] = {
		{ "a write", do_write },
		{ "a truncate", do_truncate },
		{ "an ftruncate", do_ftruncate },
		{ "open O_TRUNC", do_open_trunc },
		{ "a fallocate", do_fallocate },
		{ "copy_file_range", do_copy },
		{ "chown to nobody else", do_chown_same },
		{ "chgrp", do_chgrp },
	};

	path = "capable";
	new_gid = GROUP_IN;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		owned(path, other_gid, 0777);
		say(set_capability(path) && has_capability(path), "a file with a capability");
		say(as_member(changes[i].run) && !has_capability(path),
		    "loses it by %s of its owner's", changes[i].what);
		owned(path, other_gid, 0777);
		set_capability(path);
		say(changes[i].run() && !has_capability(path), "and by %s of root's",
		    changes[i].what);
	}
	owned(path, other_gid, 0777);
	set_capability(path);
	say(chmod(path, 0700) == 0 && rename(path, "capable2") == 0 && has_capability("capable2"),
	    "chmod and rename leave it");
}

/* {u16 tag, u16 permissions, u32 id} in little-endian, as acl(5) and the kernel have it. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} at[5];
};

static const struct acl an_acl = {
	2, { { 1, 7, ~0u }, { 2, 4, 12345 }, { 4, 5, ~0u }, { 16, 5, ~0u }, { 32, 5, ~0u } }
};
static const struct acl base_acl = { 2, { { 1, 7, ~0u }, { 4, 5, ~0u }, { 32, 4, ~0u } } };

static bool set_acl(void)
{
	return setxattr(path, "system.posix_acl_access", &an_acl, sizeof(an_acl), 0) == 0;
}

static bool set_base_acl(void)
{
	return setxattr(path, "system.posix_acl_access", &base_acl, 4 + 3 * 8, 0) == 0;
}

static bool remove_acl(void)
{
	return removexattr(path, "system.posix_acl_access") == 0;
}

static bool refused_acl(void)
{
	return setxattr(path, "system.posix_acl_access", &an_acl, sizeof(an_acl), 0) == -1 &&
	       errno == EPERM;
}

static void test_acl(void)
{
	path = "acl";
	owned(path, GROUP_OUT, 02755);
	say(as_other(set_acl) && mode_of(path) == 0755,
	    "an ACL set by a stranger to the group takes setgid (%04o)", mode_of(path));
	owned(path, GROUP_IN, 02755);
	say(as_member(set_acl) && mode_of(path) == 02755, "set by a member it does not (%04o)",
	    mode_of(path));
	owned(path, GROUP_OUT, 02755);
	say(set_acl() && mode_of(path) == 02755, "nor by root (%04o)", mode_of(path));
	owned(path, GROUP_OUT, 02755);
	say(as_other(set_base_acl) && mode_of(path) == 0754,
	    "one that is only a mode takes it too (%04o)", mode_of(path));
	say(getxattr(path, "system.posix_acl_access", NULL, 0) == -1 && errno == ENODATA,
	    "and is not kept as an ACL");
	owned(path, GROUP_IN, 0755);
	set_acl();
	say(chmod(path, 0701) == 0 && as_member(remove_acl) && mode_of(path) == 0701,
	    "without its ACL the mode stays");
	say(chown(path, 0, 0) == 0 && as_other(refused_acl), "the ACL is the owner's to set");
	say(mkdir("acl-dir", 0755) == 0 && setxattr("acl-dir", "system.posix_acl_default", &an_acl,
						    sizeof(an_acl), 0) == 0,
	    "a default ACL");
	make_closed("acl-dir/file", "");
	say(mode_of("acl-dir/file") == 0644 &&
		    getxattr("acl-dir/file", "system.posix_acl_access", NULL, 0) > 0 &&
		    getxattr("acl-dir/file", "system.posix_acl_default", NULL, 0) == -1,
	    "gives a file an ACL");
	say(mkdir("acl-dir/dir", 0777) == 0 &&
		    getxattr("acl-dir/dir", "system.posix_acl_default", NULL, 0) > 0,
	    "and a directory both");
	REFUSED(setxattr("acl", "system.posix_acl_default", &an_acl, sizeof(an_acl), 0), EACCES,
		"a default ACL of a file");
	say(removexattr("acl-dir", "system.posix_acl_default") == 0 &&
		    removexattr("acl-dir", "system.posix_acl_default") == 0,
	    "removing one that is not there is no error");
}

static bool reads_by_group(void)
{
	return access("of-group", R_OK) == 0 &&
	       faccessat(AT_FDCWD, "of-group", R_OK, AT_EACCESS) == 0 &&
	       open("of-group", O_RDONLY) >= 0 && access("of-group", W_OK) == -1 && errno == EACCES;
}

static bool does_not_read(void)
{
	return access("of-group", R_OK) == -1 && errno == EACCES &&
	       open("of-group", O_RDONLY) == -1 && errno == EACCES;
}

static bool enters_by_group(void)
{
	return access("of-group-dir/f", F_OK) == 0 && opendir("of-group-dir") == NULL &&
	       errno == EACCES;
}

static bool real_and_effective(void)
{
	if (seteuid(0)) /* needs the real uid to be root's: it is not */
		return faccessat(AT_FDCWD, "of-group", R_OK, AT_EACCESS) == -1 && errno == EACCES;
	return false;
}

static bool no_noatime(void)
{
	return open("public", O_RDONLY | O_NOATIME) == -1 && errno == EPERM;
}

static void test_access(void)
{
	make_closed("of-group", "g");
	say(chown("of-group", 0, GROUP_IN) == 0 && chmod("of-group", 0640) == 0,
	    "a file for a group");
	say(as_member(reads_by_group), "is read by who has it as a supplementary group");
	say(as_other(does_not_read), "and by nobody else");
	say(as_other(real_and_effective), "whatever the ids that are asked for");
	say(mkdir("of-group-dir", 0700) == 0 && chown("of-group-dir", 0, GROUP_IN) == 0 &&
		    chmod("of-group-dir", 0710) == 0, "a directory that a group may only pass");
	make_closed("of-group-dir/f", "");
	say(as_member(enters_by_group), "is passed, not read");
	make_closed("public", "p");
	REFUSED(access("public", X_OK), EACCES, "root executes nothing that nobody may");
	say(chmod("public", 0645) == 0 && access("public", X_OK) == 0, "but what one may");
	say(as_other(no_noatime), "O_NOATIME is the owner's");
}

static bool refused_in_sticky(void)
{
	bool good = unlink("sticky2/roots") == -1 && errno == EPERM;

	good &= rename("sticky2/roots", "sticky2/moved") == -1 && errno == EPERM;
	good &= rename("sticky2/theirs", "sticky2/roots") == -1 && errno == EPERM;
	good &= rmdir("sticky2/dir") == -1 && errno == EPERM;
	good &= renameat2(AT_FDCWD, "sticky2/theirs", AT_FDCWD, "sticky2/roots", RENAME_EXCHANGE) ==
			-1 &&
		errno == EPERM;
	return good;
}

static bool own_in_sticky(void)
{
	return rename("sticky2/theirs", "sticky2/moved") == 0 && unlink("sticky2/moved") == 0;
}

static bool all_in_own_sticky(void)
{
	return unlink("sticky2/roots") == 0 && rmdir("sticky2/dir") == 0;
}

static bool refused_in_closed(void)
{
	bool good = open("readonly-dir/n", O_CREAT | O_WRONLY, 0644) == -1 && errno == EACCES;

	good &= mkdir("readonly-dir/n", 0755) == -1 && errno == EACCES;
	good &= unlink("readonly-dir/f") == -1 && errno == EACCES;
	good &= rename("readonly-dir/f", "readonly-dir/g") == -1 && errno == EACCES;
	good &= link("readonly-dir/f", "readonly-dir/g") == -1 &&
		(errno == EACCES || errno == EPERM);
	good &= symlink("x", "readonly-dir/n") == -1 && errno == EACCES;
	good &= mkfifo("readonly-dir/n", 0644) == -1 && errno == EACCES;
	good &= mknod("n", S_IFCHR | 0600, makedev(1, 3)) == -1 && errno == EPERM;
	return good;
}

static bool refused_move_of_directory(void)
{
	return rename("open-a/roots", "open-b/roots") == -1 && errno == EACCES &&
	       rename("open-a/roots", "open-a/r2") == 0;
}

static void test_directories(void)
{
	say(mkdir("sticky2", 0777) == 0 && chmod("sticky2", 01777) == 0 &&
		    mkdir("sticky2/dir", 0777) == 0,
	    "a sticky directory");
	make_closed("sticky2/roots", "");
	owned("sticky2/theirs", other_gid, 0666);
	say(as_other(refused_in_sticky),
	    "in it another's names cannot be removed, moved or replaced");
	say(as_other(own_in_sticky), "but one's own");
	say(chown("sticky2", other_uid, other_gid) == 0 && as_other(all_in_own_sticky),
	    "and all in one's own directory");
	say(mkdir("readonly-dir", 0755) == 0, "a directory that others only read");
	owned("readonly-dir/f", other_gid, 0644);
	say(as_other(refused_in_closed), "takes and gives no names");
	say(mkdir("open-a", 0777) == 0 && mkdir("open-b", 0777) == 0 &&
		    chmod("open-a", 0777) == 0 && chmod("open-b", 0777) == 0 &&
		    mkdir("open-a/roots", 0755) == 0,
	    "a directory of root's in open ones");
	say(as_other(refused_move_of_directory),
	    "is moved only within its parent by who may not write it");
}

static bool makes_setgid_file(void)
{
	int fd = open("setgid-dir/f", O_CREAT | O_WRONLY, 02775);

	umask(0);
	return fd >= 0 && mkdir("setgid-dir/d", 0775) == 0;
}

static void test_setgid_directory(void)
{
	struct stat st;

	say(mkdir("setgid-dir", 0777) == 0 && chown("setgid-dir", 0, GROUP_OUT) == 0 &&
		    chmod("setgid-dir", 02777) == 0,
	    "a setgid directory of a group that the user is not in");
	say(as_other(makes_setgid_file) && stat("setgid-dir/f", &st) == 0 &&
		    st.st_gid == GROUP_OUT && !(st.st_mode & S_ISGID),
	    "a file in it has that group and no setgid");
	say(stat("setgid-dir/d", &st) == 0 && st.st_gid == GROUP_OUT &&
		    (st.st_mode & 07777) == 02775,
	    "a directory has both");
}

int main(int argc, char **argv)
{
	posix_begin(argc, argv);
	test_killing();
	test_chown();
	test_capability();
	test_acl();
	test_access();
	test_directories();
	test_setgid_directory();
	return 0;
}
