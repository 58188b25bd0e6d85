#include "settings.h"

#include "fd.h"
#include "handover.h"
#include "key.h"
#include "log_destination.h"
#include "slices.h"
#include "text.h"
#include "variables.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGS_LONGEST 4096

/* What is read of a process's own, to be matched against. */
struct self {
	struct policy_process process;
	char exe[PATH_MAX];
	char args[ARGS_LONGEST];
};

/* A variable that is not ours. */
static const char *other_variable(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

static int cannot_match(conf_error_fn *error, void *context, const char *file, int rc)
{
	char why[256];

	snprintf(why, sizeof(why), "cannot be read: %s, so nobody knows which section fits",
		 strerror(-rc));
	error(context, file, 0, why);
	return rc;
}

/*
 * Where it cannot be told what this process is, a section that fits it might be
 * passed over, and the process would not be fenced. Without a /proc, what it
 * was started as has to do.
 */
static int describe_self(struct self *self, bool with_args, conf_error_fn *error, void *context)
{
	ssize_t n;
	long len, i;

	/* a section that is pinned need not fit */
	if (variables_get(VARIABLE_APP))
		return 0;
	n = readlink("/proc/self/exe", self->exe, sizeof(self->exe) - 1);
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		return cannot_match(error, context, "/proc/self/exe", -errno);
	if (n > 0) {
		self->exe[n] = '\0';
		self->process.exe = self->exe;
	}
	/* the kernel's own word, not argv[0]: a symlink's path, or a script's */
	self->process.started_as = (const char *)getauxval(AT_EXECFN);
	if (!with_args)
		return 0;
	len = fd_read_file("/proc/self/cmdline", self->args, sizeof(self->args));
	if (len < 0)
		return cannot_match(error, context, "/proc/self/cmdline", (int)len);
	if (len == 0)
		return 0;
	for (i = 0; i < len - 1; i++)
		if (!self->args[i])
			self->args[i] = ' ';
	self->process.args = self->args;
	return 0;
}

/* Tries one file. Return: as conf_load(), -ENOENT also where there is no path to it. */
static int try_file(const struct policy_process *process, const char *folder, const char *rest,
		    struct arena *arena, conf_error_fn *error, void *context,
		    struct policy *ret_policy)
{
	bool foreign;
	char *path;
	int rc;

	if (!folder)
		return -ENOENT;
	path = arena_alloc(arena, strlen(folder) + strlen(rest) + 1);
	if (!path)
		return -ENOMEM;
	stpcpy(stpcpy(path, folder), rest);
	foreign = process && process->foreign &&
		  (!process->known_file || strcmp(path, process->known_file) != 0);
	rc = conf_load(path, foreign, arena, error, context, ret_policy);
	/* children have to find the same file, broken or not */
	if (rc && rc != -ENOENT)
		ret_policy->file = path;
	return rc;
}

/*
 * The home folder may be one that this process cannot enter: a daemon that gave
 * up root's rights often keeps root's HOME. Then there is no file for it there.
 */
static int try_home(const struct policy_process *process, struct arena *arena, conf_error_fn *error,
		    void *context, struct policy *ret_policy)
{
	const char *home = other_variable("HOME");
	char folder[PATH_MAX], problem[256];
	int rc;

	if (!home || snprintf(folder, sizeof(folder), "%s/.config", home) >= (int)sizeof(folder))
		return -ENOENT;
	if (access(folder, X_OK)) {
		rc = -errno;
		if (rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES)
			return -ENOENT;
		snprintf(problem, sizeof(problem), "cannot be entered: %s", strerror(-rc));
		error(context, folder, 0, problem);
		return rc;
	}
	return try_file(process, folder, "/portfence.ini", arena, error, context, ret_policy);
}

static int load_policy(const struct policy_process *process, struct arena *arena,
		       conf_error_fn *error, void *context, struct policy *ret_policy)
{
	const char *named = variables_get(VARIABLE_CONFIG),
		   *xdg = other_variable("XDG_CONFIG_HOME");
	int rc;

	if (named) {
		rc = try_file(process, named, "", arena, error, context, ret_policy);
		if (rc == -ENOENT)
			error(context, named, 0, "cannot be read: No such file or directory");
		return rc;
	}
	if (xdg)
		rc = try_file(process, xdg, "/portfence.ini", arena, error, context, ret_policy);
	else
		rc = try_home(process, arena, error, context, ret_policy);
	if (rc == -ENOENT)
		rc = try_file(process, SETTINGS_SYSTEM_FILE, "", arena, error, context, ret_policy);
	return rc == -ENOENT ? 0 : rc;
}

/* PORTFENCE_APP pins a process to a section whatever the program's name. */
static int select_rule(const struct policy_process *process, const struct policy *policy,
		       conf_error_fn *error, void *context, const struct rule **ret_rule)
{
	const char *app = variables_get(VARIABLE_APP);
	char why[256];

	if (!app) {
		*ret_rule = policy_select(policy, process);
		return 0;
	}
	*ret_rule = policy_find(policy, app);
	if (*ret_rule || variables_get(VARIABLE_RANGE))
		return 0;
	if (policy->file)
		snprintf(why, sizeof(why), "there is no section [%s] in %s", app, policy->file);
	else
		snprintf(why, sizeof(why),
			 "there is no section [%s], as there is no configuration file", app);
	error(context, variables_name(VARIABLE_APP), 0, why);
	return -EINVAL;
}

/* Replaces *rule with a copy that the environment's variables were laid over. */
static int override_rule(const struct policy_process *process, struct arena *arena,
			 const struct slices_host *hosts, conf_error_fn *error, void *context,
			 const struct rule **rule)
{
#define OVERRIDE(id, ...) { VARIABLE_##id, KEY_##id },
	static const struct {
		enum variable variable;
		enum key key;
	} table[] = { KEY_OVERRIDES(OVERRIDE) };
	const char *name = variables_get(VARIABLE_APP);
	enum variable last = VARIABLE_RANGE;
	struct rule *copy;
	struct reason why;
	int rc, worst = 0;
	size_t i;

	if (!*rule && !variables_get(VARIABLE_RANGE))
		return 0;
	copy = arena_alloc(arena, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	if (*rule) {
		*copy = **rule;
	} else {
		if (!name)
			name = policy_base_name(process->started_as ? process->started_as
						: process->exe      ? process->exe
								    : "unnamed");
		copy->name = arena_copy(arena, name, strlen(name));
		if (!copy->name)
			return -ENOMEM;
	}
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *text = variables_get(table[i].variable);

		if (text)
			last = table[i].variable;
		rc = text && table[i].key == KEY_RANGE
			     ? slices_expand(text, hosts, arena, &text, &why)
			     : 0;
		if (text && !rc)
			rc = key_override(copy, table[i].key, text, arena, &why);
		if (rc == -EINVAL)
			error(context, variables_name(table[i].variable), 0, why.text);
		worst = worst ? worst : rc;
	}
	*rule = copy;
	if (worst)
		return worst;
	rc = key_place_map(copy, arena, &why);
	if (!rc)
		rc = key_check(copy, &why);
	if (rc == -EINVAL)
		error(context, variables_name(last), 0, why.text);
	return rc;
}

static int select_log(const struct policy *policy, struct arena *arena, conf_error_fn *error,
		      void *context, const char **ret_log)
{
	const char *log = variables_get(VARIABLE_LOG);
	struct reason why;

	*ret_log = policy->log;
	if (!log)
		return 0;
	if (log_destination_check(log, &why)) {
		error(context, variables_name(VARIABLE_LOG), 0, why.text);
		return -EINVAL;
	}
	/* the program may change its environment */
	*ret_log = arena_copy(arena, log, strlen(log));
	return *ret_log ? 0 : -ENOMEM;
}

/* A port of a variable, 0 if it is not set. Return: false if it is none */
static bool read_port(enum variable variable, uint16_t *ret_port)
{
	const char *text = variables_get(variable);

	*ret_port = 0;
	return !text || (text_get_port(&text, ret_port) && !*text);
}

static int select_record(struct arena *arena, conf_error_fn *error, void *context,
			 struct record *ret_record)
{
	const char *path = variables_get(VARIABLE_RECORD);
	struct summary_block *block = &ret_record->block;

	if (path && *path != '/') {
		error(context, variables_name(VARIABLE_RECORD), 0,
		      "this is no record, write an absolute path");
		return -EINVAL;
	}
	if (!read_port(VARIABLE_FIRST, &block->first) || !read_port(VARIABLE_LAST, &block->last) ||
	    !block->first != !block->last || block->first > block->last) {
		error(context, variables_name(VARIABLE_FIRST), 0,
		      "this and PORTFENCE_LAST are no block of ports, unset both");
		return -EINVAL;
	}
	if (!path)
		return 0;
	ret_record->path = arena_copy(arena, path, strlen(path));
	return ret_record->path ? 0 : -ENOMEM;
}

/* What `portfence run` has found for the whole tree. Return: false if it has to be found again */
static bool take_over(struct arena *arena, struct settings *ret_settings)
{
	const char *text = variables_get(VARIABLE_RULE);
	struct handover handover;

	if (!text || handover_read(text, arena, &handover))
		return false;
	ret_settings->rule = handover.rule;
	ret_settings->policy.file = handover.file;
	ret_settings->log = handover.log;
	ret_settings->state = handover.state;
	ret_settings->record = handover.record;
	ret_settings->gate = handover.gate;
	ret_settings->tracer = handover.tracer;
	ret_settings->tracer_space = handover.tracer_space;
	ret_settings->verbose = handover.verbose;
	ret_settings->unseen = handover.unseen;
	ret_settings->taken_over = true;
	return true;
}

/* A block is held by the process that `portfence run` leaves behind; nobody else can hold one. */
static int check_lease(const struct settings *settings, conf_error_fn *error, void *context)
{
	const struct rule *rule = settings->rule;
	char why[256];

	if (!rule || !rule->lease)
		return 0;
	snprintf(why, sizeof(why),
		 "[%s] has 'range = lease', which needs 'portfence run' to take the lease",
		 rule->name);
	error(context, policy_file(&settings->policy, rule), rule->range_line[PROTO_COUNT], why);
	return -EINVAL;
}

int settings_load(const struct policy_process *process, struct arena *arena, conf_error_fn *error,
		  void *context, struct settings *ret_settings)
{
	const char *runtime = other_variable("XDG_RUNTIME_DIR"),
		   *state = variables_get(VARIABLE_STATE);
	struct settings settings = { .rule = NULL };
	struct self *self = NULL;
	const bool own = !process;
	int rc, other;

	if (runtime)
		settings.runtime = arena_copy(arena, runtime, strlen(runtime));
	if (!process && take_over(arena, &settings)) {
		*ret_settings = settings;
		return 0;
	}
	rc = load_policy(process, arena, error, context, &settings.policy);
	other = select_log(&settings.policy, arena, error, context, &settings.log);
	rc = rc ? rc : other;
	other = select_record(arena, error, context, &settings.record);
	rc = rc ? rc : other;
	settings.state = state ? arena_copy(arena, state, strlen(state)) : settings.policy.state;
	if (state && *state != '/') {
		error(context, variables_name(VARIABLE_STATE), 0,
		      "this is no state folder, write an absolute path");
		rc = rc ? rc : -EINVAL;
	}
	if (!process) {
		self = arena_alloc(arena, sizeof(*self));
		if (!self)
			return -ENOMEM;
		other = describe_self(self, policy_uses_args(&settings.policy), error, context);
		rc = rc ? rc : other;
		process = &self->process;
	}
	/* without the file's rules, the variables cannot be judged */
	if (!rc)
		rc = select_rule(process, &settings.policy, error, context, &settings.rule);
	if (!rc)
		rc = override_rule(process, arena, settings.policy.hosts, error, context,
				   &settings.rule);
	if (!rc && own)
		rc = check_lease(&settings, error, context);
	*ret_settings = settings;
	return rc;
}

/* Return: true if the kernel lets this process bind to any port (capabilities(7)) */
static bool may_bind_low(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return !syscall(SYS_capget, &head, data) && data[0].effective & 1U << CAP_NET_BIND_SERVICE;
}

unsigned settings_unprivileged_port(void)
{
	char text[32];

	if (fd_read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)) <= 0)
		return 1024;
	return (unsigned)strtoul(text, NULL, 10);
}

unsigned settings_port_start(void)
{
	return may_bind_low() ? 0 : settings_unprivileged_port();
}
