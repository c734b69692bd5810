/* confine.c - see confine.h. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/wire.h"

/* ---- capabilities ---- */

#define CAPABILITY_BIT(capability) (1ull << (capability))

static int set_capabilities(uint64_t permitted, uint64_t effective, struct error *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];

	for (unsigned i = 0; i < 2; i++)
		sets[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(permitted >> (32 * i)),
			.effective = (uint32_t)(effective >> (32 * i))
		};
	return syscall(SYS_capset, &head, sets) < 0 ? error_system(e, "cannot drop capabilities")
						    : 0;
}

static int get_capabilities(uint64_t *ret_permitted, struct error *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &head, sets) < 0)
		return error_system(e, "cannot read capabilities");
	*ret_permitted = sets[0].permitted | (uint64_t)sets[1].permitted << 32;
	return 0;
}

/* Only what is in `kept` can ever be had again, through whatever is executed. */
static int drop_bounds(uint64_t kept, struct error *e)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++) {
		if (!(kept & CAPABILITY_BIT(capability)) &&
		    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 &&
		    errno != EPERM) /* without CAP_SETPCAP there is nothing to drop from */
			return error_system(e, "cannot drop capability %lu from the bounding set",
					    capability);
	}
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL ?
		       error_system(e, "cannot clear the ambient capabilities") : 0;
}

static int drop_capabilities(const struct confinement *c, struct error *e)
{
	uint64_t kept = 0, had = 0;
	int rc = get_capabilities(&had, e);

#define X(capability, what) kept |= CAPABILITY_BIT(capability);
	CONFINE_KEPT(X)
#undef X
	if (rc == 0)
		rc = set_capabilities(had, had & (kept | CAPABILITY_BIT(CAP_SETPCAP)), e);
	if (rc < 0)
		return rc;
	if (faccessat(AT_FDCWD, c->store, R_OK | W_OK | X_OK, AT_EACCESS) < 0 && errno == EACCES)
		kept |= CAPABILITY_BIT(CAP_DAC_OVERRIDE);
	rc = drop_bounds(kept, e);
	int dropped = set_capabilities(had & kept, had & kept, e);
	return rc < 0 ? rc : dropped;
}

/* ---- Landlock ---- */

#define ACCESS_READ_ALL (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* And TRUNCATE, which Linux 6.2 has. */
#define ACCESS_WRITE_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | (1ull << 14))
#define ACCESS_SOCKETS                                                                             \
	(ACCESS_READ_ALL | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* What the kernel can refuse, by the version of its interface: 13 kinds of access, then REFER, then
 * TRUNCATE. */
static uint64_t known_access(long version)
{
	return (1ull << (version >= 3 ? 15 : version == 2 ? 14 : 13)) - 1;
}

/* Allows the access below a directory, which is called path. */
static int allow(int ruleset, int directory, const char *path, uint64_t access, struct error *e)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access,
						   .parent_fd = directory };

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? error_system(e, "%s: cannot be exempted from Landlock", path)
		       : 0;
}

/* A path that is not there needs no access. */
static int allow_below(int ruleset, const char *path, uint64_t access, struct error *e)
{
	int directory = open(path, O_PATH | O_CLOEXEC);

	if (directory < 0)
		return errno == ENOENT ? 0 : error_system(e, "%s", path);
	int rc = allow(ruleset, directory, path, access, e);
	close(directory);
	return rc;
}

static int confine_files(const struct confinement *c, struct error *e)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t known = known_access(version);
	struct landlock_ruleset_attr attr = { .handled_access_fs = known };
	int ruleset, rc;

	if (version < 1)
		return 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return error_system(e, "Landlock");
	rc = allow_below(ruleset, "/", ACCESS_READ_ALL, e);
	if (rc == 0)
		rc = allow_below(ruleset, c->store,
				 known & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE, e);
	if (rc == 0)
		rc = allow_below(ruleset, WIRE_DIRECTORY, ACCESS_SOCKETS, e);
	if (rc == 0)
		rc = allow_below(ruleset, "/dev/null", known & ACCESS_WRITE_FILE, e);
	if (rc == 0 && c->proc >= 0)
		rc = allow(ruleset, c->proc, "/proc", ACCESS_READ_ALL, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		rc = error_system(e, "Landlock");
	close(ruleset);
	return rc;
}

/* ---- system calls ---- */

/* What nothing here calls, and what a hole would be used for.  A list of what is allowed would be
 * shorter to break: by the next libc, allocator or name service. */
static const char *const refused[] = {
	/* other programs, and other processes' memory */
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"pidfd_getfd",
	"kcmp",
	"perf_event_open",
	"uselib",
	/* another view of the system */
	"mount",
	"umount",
	"umount2",
	"pivot_root",
	"chroot",
	"unshare",
	"setns",
	"open_tree",
	"move_mount",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"open_by_handle_at",
	"fanotify_init",
	/* the kernel and the machine */
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"quotactl_fd",
	"settimeofday",
	"clock_settime",
	"clock_settime64",
	"clock_adjtime",
	"clock_adjtime64",
	"adjtimex",
	"stime",
	"sethostname",
	"setdomainname",
	"iopl",
	"ioperm",
	"syslog",
	"vhangup",
	"personality",
	"modify_ldt",
	"vm86",
	"vm86old",
	"lookup_dcookie",
	/* large parts of the kernel that nothing here needs */
	"bpf",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"add_key",
	"request_key",
	"keyctl",
	/* another user */
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setfsuid",
	"setfsgid",
	"setgroups",
};

/* A name that this libseccomp does not know is none of this machine's calls, or newer than the
 * library. */
static int refuse(scmp_filter_ctx filter, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	return number == __NR_SCMP_ERROR
		       ? 0
		       : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
}

static int refuse_by_name(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		rc = refuse(filter, refused[i]);
	return rc;
}

/* Sockets other than Unix ones, and new name spaces.  The C library falls back from clone3, whose
 * arguments a filter cannot see, to clone. */
static int refuse_by_argument(scmp_filter_ctx filter)
{
	static const uint64_t spaces[] = { CLONE_NEWNS,    CLONE_NEWUSER, CLONE_NEWPID,
					   CLONE_NEWNET,   CLONE_NEWIPC,  CLONE_NEWUTS,
					   CLONE_NEWCGROUP };
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				  SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));

	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; rc == 0 && i < sizeof(spaces) / sizeof(spaces[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	return rc;
}

static int confine_calls(struct error *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter ? refuse_by_name(filter) : -ENOMEM;

	if (rc == 0)
		rc = refuse_by_argument(filter);
	if (rc == 0)
		rc = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return rc < 0 ? error_set(e, rc, "cannot filter system calls: %s", strerror(-rc)) : 0;
}

int confine_process(const struct confinement *c, struct error *e)
{
	int privileges =
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? error_system(e, "no_new_privs") : 0;
	int capabilities = drop_capabilities(c, e);
	int files = confine_files(c, e), calls = confine_calls(e);

	return privileges < 0     ? privileges
	       : capabilities < 0 ? capabilities
	       : files < 0        ? files
				  : calls;
}
