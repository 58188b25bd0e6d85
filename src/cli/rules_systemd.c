#include "rules_systemd.h"

#include "../core/settings.h"
#include "../core/variables.h"
#include "../machine/procfs.h"
#include "say.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the administrator's units are, and the packages'; the first one counts. Source: systemd.unit(5) */
static const char *const folders[] = {
	"/etc/systemd/system",     "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
};

/* What may stand before a command. Source: systemd.service(5), COMMAND LINES */
#define PREFIXES "@-:+!|"

/* "erp" is "erp.service", and "erp@1" is in the file "erp@.service". Return: false if the name is too long */
static bool make_file_name(const char *unit, char ret_name[NAME_MAX + 1])
{
	const char *end = strrchr(unit, '.'), *at = strchr(unit, '@');
	const bool has_type = end && !strcmp(end, ".service");
	const size_t stem =
		at ? (size_t)(at + 1 - unit) : strlen(unit) - (has_type ? strlen(end) : 0);

	return snprintf(ret_name, NAME_MAX + 1, "%.*s.service", (int)stem, unit) <= NAME_MAX;
}

static FILE *open_unit(const char *unit, char ret_path[PATH_MAX])
{
	char name[NAME_MAX + 1];
	size_t i;
	FILE *file;

	if (strchr(unit, '/')) {
		snprintf(ret_path, PATH_MAX, "%s", unit);
		return fopen(unit, "re");
	}
	errno = ENAMETOOLONG;
	if (!make_file_name(unit, name))
		return NULL;
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(ret_path, PATH_MAX, "%s/%s", folders[i], name);
		file = fopen(ret_path, "re");
		if (file || errno != ENOENT)
			return file;
	}
	return NULL;
}

/* Reads one line with those that go on with it, as systemd joins them. Return: NULL at the end; to be freed */
static char *read_line(FILE *from)
{
	char *line = NULL, *more = NULL;
	size_t size = 0, len = 0;
	ssize_t got;

	while ((got = getline(&more, &size, from)) > 0) {
		char *longer;

		if (more[got - 1] == '\n')
			more[--got] = '\0';
		/* a comment among lines that are joined does not end them */
		if (line && (*more == '#' || *more == ';'))
			continue;
		longer = realloc(line, len + (size_t)got + 1);
		if (!longer)
			break;
		line = longer;
		strcpy(line + len, more);
		len += (size_t)got;
		if (!len || line[len - 1] != '\\')
			break;
		line[len - 1] = ' ';
	}
	free(more);
	return line;
}

/* Return: what follows "ExecStart=", or NULL if it is another line */
static char *exec_start_of(char *line)
{
	line += strspn(line, " \t");
	if (strncmp(line, "ExecStart", strlen("ExecStart")) != 0)
		return NULL;
	line += strlen("ExecStart");
	line += strspn(line, " \t");
	return *line == '=' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

/* Writes each ExecStart= anew. Return: how many there are; -1 after a problem was reported */
static int write_commands(FILE *from, const char *path, const char *self, FILE *to)
{
	char *line, *command;
	int count = 0;

	for (; (line = read_line(from)); free(line)) {
		size_t prefix;

		command = exec_start_of(line);
		if (!command)
			continue;
		prefix = strspn(command, PREFIXES);
		if (memchr(command, '@', prefix)) {
			say_failure("%s: 'ExecStart=@' gives the program another name, which "
				    "'portfence run' cannot; take the '@' out",
				    path);
			free(line);
			return -1;
		}
		/* an empty one takes back those before */
		fprintf(to, "ExecStart=%.*s%s%s\n", (int)prefix, command,
			command[prefix] ? self : "", command + prefix);
		count = command[prefix] ? count + 1 : 0;
	}
	return count;
}

/* A value between double quotes, where '%' begins a specifier. */
static void print_variable(const char *name, const char *value)
{
	printf("Environment=\"%s=", name);
	for (; *value; value++) {
		if (strchr("\"\\", *value))
			putchar('\\');
		else if (*value == '%')
			putchar('%');
		putchar(*value);
	}
	printf("\"\n");
}

/*
 * What the program may not bind to. SocketBindAllow= with SocketBindDeny=any would also refuse port 0,
 * which the fence may bind to, and no SocketBindAllow= can name port 0.
 */
static void print_bind(const struct rule *rule)
{
	static const enum proto protos[] = { PROTO_TCP, PROTO_UDP };
	size_t i, k;

	if (rule->bind == BIND_ALLOW) {
		printf("# The section has 'bind = allow', so the program may name any port itself.\n"
		       "# With 'bind = own', SocketBindDeny= stands here.\n");
		return;
	}
	for (i = 0; i < 2; i++) {
		const struct range *range = rule->range[protos[i]];
		int next = 1;

		for (k = 0; k <= range->spans; k++) {
			const int first = k < range->spans ? range->span[k].first : 65536;

			if (next < first)
				printf("SocketBindDeny=%s:%d-%d\n", policy_proto_name(protos[i]),
				       next, first - 1);
			next = k < range->spans ? range->span[k].last + 1 : next;
		}
	}
}

static void print_drop_in(const char *unit, const char *path, const struct rules_plan *plan,
			  const char *commands)
{
	const struct rules_app *app = &plan->app[0];
	const char *base = strrchr(unit, '/');
	char label[PATH_MAX];

	base = base ? base + 1 : unit;
	rules_plan_label(base, label, sizeof(label));
	printf("# Fences %s by [%s]. Put it in /etc/systemd/system/%s%s.d/portfence.conf, then:\n"
	       "# systemctl daemon-reload && systemctl restart %s\n\n[Service]\n",
	       label, app->label, label, strstr(label, ".service") ? "" : ".service", label);
	print_variable(variables_name(VARIABLE_APP), app->rule->name);
	if (strcmp(plan->file, SETTINGS_SYSTEM_FILE) != 0 && realpath(plan->file, label))
		print_variable(variables_name(VARIABLE_CONFIG), label);
	rules_plan_label(path, label, sizeof(label));
	printf("\n# of %s, with the fence in front\nExecStart=\n%s", label, commands);
	printf("\n# The fence asks the kernel by netlink whether a port can be shared.\n"
	       "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\n");
	print_bind(app->rule);
	printf("\n# Whatever leaves the unit from other ports is counted by the table of\n"
	       "# 'portfence rules --nft'. systemd before 255 says that it does not know this line.\n"
	       "NFTSet=cgroup:inet:portfence:%s_units\n",
	       app->name);
}

int rules_systemd_print(const char *unit, const struct rules_plan *plan)
{
	char path[PATH_MAX], self[PATH_MAX], *commands = NULL;
	size_t size;
	FILE *from = open_unit(unit, path), *to;
	int count, rc;

	if (!from)
		return errno == ENOENT
			       ? say_failure("there is no unit '%s'; a service's name or its "
					     "file is wanted",
					     unit)
			       : say_failure("unit '%s' cannot be read: %s", unit, strerror(errno));
	to = open_memstream(&commands, &size);
	rc = to ? procfs_link(PROCFS_SELF, "exe", self, sizeof(self) - sizeof(" run -- "))
		: -ENOMEM;
	if (rc) {
		fclose(from);
		return say_failure("%s", strerror(-rc));
	}
	strcat(self, " run -- ");
	count = write_commands(from, path, self, to);
	fclose(from);
	fclose(to);
	if (count > 0)
		print_drop_in(unit, path, plan, commands);
	free(commands);
	if (count > 0)
		return 0;
	return count ? say_status() : say_failure("%s has no 'ExecStart=' to fence", path);
}
