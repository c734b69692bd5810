/* config.c - see config.h. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

/* mount(8) hands these on although they are its own affair, or are always so here. */
static const char *const ignored[] = {
	"defaults",    "auto",          "noauto",      "user",
	"nouser",      "users",         "owner",       "group",
	"nofail",      "_netdev",       "dev",         "nodev",
	"suid",        "nosuid",        "atime",       "noatime",
	"relatime",    "norelatime",    "diratime",    "nodiratime",
	"strictatime", "nostrictatime", "lazytime",    "nolazytime",
	"silent",      "loud",          "allow_other", "default_permissions",
	"nonempty"
};

/* What the kernel does for any file system; the last one given counts. */
static const struct {
	const char *set, *clear;
	unsigned long flag;
} kernels[] = { { "noexec", "exec", MS_NOEXEC },
		{ "sync", "async", MS_SYNCHRONOUS },
		{ "dirsync", NULL, MS_DIRSYNC } };

static bool set_kernels(struct config *c, const char *option)
{
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		bool clear = kernels[i].clear && strcmp(option, kernels[i].clear) == 0;

		if (!clear && strcmp(option, kernels[i].set) != 0)
			continue;
		c->mount_flags = clear ? c->mount_flags & ~kernels[i].flag
				       : c->mount_flags | kernels[i].flag;
		return true;
	}
	return false;
}

static bool is_ignored(const char *option)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (strcmp(option, ignored[i]) == 0)
			return true;
	}
	return strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0 ||
	       strncmp(option, "user=", 5) == 0 || strncmp(option, "fsname=", 7) == 0 ||
	       strncmp(option, "subtype=", 8) == 0;
}

static int parse_size(const char *text, size_t *ret, struct error *e)
{
	static const char suffixes[] = "kmg";
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	const char *suffix = *end ? strchr(suffixes, *end | 0x20) : NULL;
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
	bool size = n <= 1ull << 40 >> shift && n << shift >= 16ull << 20;

	if (!size || end == text || *text == '-' || (*end && (!suffix || end[1])))
		return error_set(e, -E_USAGE,
				 "-o cache=%s: a size from 16m to 1024g is wanted, like 512m",
				 text);
	*ret = (size_t)n << shift;
	return 0;
}

static int parse_pack(struct config *c, const char *text, struct error *e)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	c->no_pack = strcmp(text, "off") == 0;
	if (!c->no_pack && (end == text || *text == '-' || *end || n > 1u << 30))
		return error_set(e, -E_USAGE, "-o pack=%s: a number of seconds is wanted, or off",
				 text);
	c->pack_age_s = (unsigned)n;
	return 0;
}

static int set_string(char **to, const char *value, struct error *e)
{
	free(*to);
	*to = strdup(value);
	return *to ? 0 : error_set(e, -E_NO_MEMORY, "out of memory");
}

static int parse_option(struct config *c, const char *option, struct error *e)
{
	if (strcmp(option, "ro") == 0)
		c->read_only = true;
	else if (strcmp(option, "rw") == 0)
		c->read_only = false;
	else if (strcmp(option, "show_history") == 0)
		c->show_history = true;
	else if (strcmp(option, "debug") == 0)
		c->debug = true;
	else if (strcmp(option, "unconfined") == 0)
		c->unconfined = true;
	else if (strncmp(option, "cache=", 6) == 0)
		return parse_size(option + 6, &c->cache_bytes, e);
	else if (strncmp(option, "pack=", 5) == 0)
		return parse_pack(c, option + 5, e);
	else if (*option && !set_kernels(c, option) && !is_ignored(option))
		return error_set(e, -E_USAGE,
				 "-o %s: there is no such option; `daybookd --help` lists them",
				 option);
	return 0;
}

static int parse_options(struct config *c, const char *list, struct error *e)
{
	char *copy = strdup(list), *at = copy, *option;
	int rc = copy ? 0 : error_set(e, -E_NO_MEMORY, "out of memory");

	while (rc == 0 && (option = strsep(&at, ",")))
		rc = parse_option(c, option, e);
	free(copy);
	return rc;
}

/* For the holder's eyes only. */
static int parse_worker(struct config *c, const char *text, struct error *e)
{
	char rest;

	if (sscanf(text, "%d,%d,%d,%d,%d%c", &c->ends.device, &c->ends.region, &c->ends.talk,
		   &c->ends.notices, &c->ends.lock, &rest) != 5)
		return error_set(e, -E_USAGE,
				 "--worker is how daybookd starts itself; leave it out");
	c->is_worker = true;
	return 0;
}

static int parse_positional(struct config *c, const char *arg, struct error *e)
{
	if (!c->store)
		return set_string(&c->store, arg, e);
	if (!c->mountpoint)
		return set_string(&c->mountpoint, arg, e);
	return error_set(e, -E_USAGE, "%s: one store and one mountpoint are wanted", arg);
}

int config_parse(int argc, char **argv, struct config *ret, struct error *e)
{
	int rc = 0;

	*ret = (struct config){ .pack_age_s = 60 };
	for (int i = 1; rc == 0 && i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
			ret->help = true;
		else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
			ret->version = true;
		else if (strcmp(arg, "--worker") == 0 && i + 1 < argc)
			rc = parse_worker(ret, argv[++i], e);
		else if (strcmp(arg, "-f") == 0)
			ret->foreground = true;
		else if (strcmp(arg, "-o") == 0 && i + 1 < argc)
			rc = parse_options(ret, argv[++i], e);
		else if (strncmp(arg, "-o", 2) == 0 && arg[2])
			rc = parse_options(ret, arg + 2, e);
		else if (arg[0] == '-' && arg[1])
			rc = error_set(e, -E_USAGE,
				       "%s: there is no such option; `daybookd --help` lists them",
				       arg);
		else
			rc = parse_positional(ret, arg, e);
	}
	if (rc == 0 && !ret->help && !ret->version && !ret->mountpoint)
		rc = error_set(e, -E_USAGE, "usage: daybookd STORE MOUNTPOINT [-o options] [-f]");
	return rc;
}

void config_release(struct config *config)
{
	free(config->store);
	free(config->mountpoint);
	*config = (struct config){ 0 };
}
