#include "fenced.h"

#include "../core/settings.h"
#include "../core/state.h"
#include "../core/text.h"
#include "../core/timing.h"
#include "../core/variables.h"
#include "procfs.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A process is fenced if the library is mapped into it, or if it is under a
 * filter and was started with what `portfence run` hands over: then a supervisor
 * fences it. Its rule follows from what it was started with: environment, executable and command line. The
 * environment is laid under our own code for a moment (`environ` is a pointer),
 * so that no second copy of the rules for finding rules can go wrong.
 *
 * Two things may have changed since: the configuration, which only the
 * process's age can hint at, and the memory that the kernel shows as the
 * environment, which is the program's to write to. But the library maps a state
 * file, whose name tells the section (state_application()), and that mapping stays.
 */

#define LIBRARY "libportfence.so"
#define DELETED " (deleted)"
#define FILE_LARGEST ((size_t)8 << 20)    /* of environ; execve() takes 6 MiB at most */
#define VARIABLES_MOST ((size_t)64 << 10) /* of ours, of one process */
#define KEY_MOST ((size_t)16 << 10)       /* what is longer is found anew each time */
#define ARGS_LONGEST 4096                 /* the library looks at no more (settings.c) */

/* What decides on a process's rule; the same again means the same rule. */
struct fenced_known {
	struct fenced_known *next;
	const char *key;
	size_t key_len;
	struct fenced fenced;
};

static const struct fenced gone = { .state = FENCED_GONE };
static const struct fenced unseen = { .state = FENCED_UNSEEN };
static const struct fenced not_fenced = { .state = FENCED_NOT };
static const struct fenced no_memory = { .state = FENCED_UNKNOWN, .why = "there is no memory" };

/* What is read of one process. */
struct subject {
	char exe[PATH_MAX];
	char started_as[PATH_MAX];
	char args[ARGS_LONGEST];
	char section[NAME_MAX + 1]; /* by the mapped state file, or "" */
	char *variables;            /* "NAME=value", each with a NUL behind it */
	size_t size;
};

/* ---- what is mapped ---- */

/* One line of /proc/PID/maps: "from-to rwxp offset device inode path". */
struct mapping {
	unsigned long from, to;
	char rights[5];
	const char *name; /* the last part of the path */
};

static bool parse_mapping(char *line, struct mapping *ret_mapping)
{
	int path = 0;
	size_t len;

	if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &ret_mapping->from, &ret_mapping->to,
		   ret_mapping->rights, &path) != 3 ||
	    strlen(ret_mapping->rights) != 4 || !path || line[path] != '/')
		return false;
	line += path;
	len = strlen(line);
	/* of an upgrade, say */
	if (len > strlen(DELETED) && !strcmp(line + len - strlen(DELETED), DELETED))
		line[len - strlen(DELETED)] = '\0';
	ret_mapping->name = policy_base_name(line);
	return true;
}

/* What a process's mappings tell. */
struct mapped {
	size_t state_size; /* of a state file's mapping */
	bool library;
	char *section; /* of NAME_MAX + 1 bytes: by its state file, "" if none is mapped */
};

static bool read_mapping(char *line, void *context)
{
	struct mapped *mapped = context;
	struct mapping mapping;

	if (!parse_mapping(line, &mapping))
		return true;
	if (mapping.rights[2] == 'x' && !strcmp(mapping.name, LIBRARY))
		mapped->library = true;
	if (!strcmp(mapping.rights, "rw-s") && mapping.to - mapping.from == mapped->state_size)
		state_application(mapping.name, mapped->section);
	return true;
}

/* Return: 1 if the library is mapped, 0 if not, -errno if that cannot be seen */
static int read_maps(pid_t pid, char ret_section[NAME_MAX + 1])
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct mapped mapped = {
		.state_size = (sizeof(struct state_file) + page - 1) / page * page,
		.section = ret_section,
	};
	int rc;

	*ret_section = '\0';
	rc = procfs_lines(pid, "maps", read_mapping, &mapped);
	return rc ? rc : mapped.library;
}

/* ---- what it was started with ---- */

static const char *variable(const struct subject *subject, const char *name)
{
	const size_t len = strlen(name);
	const char *p = subject->variables, *end = p + subject->size;

	for (; p < end; p += strlen(p) + 1)
		if (!strncmp(p, name, len) && p[len] == '=' && p[len + 1])
			return p + len + 1;
	return NULL;
}

/* Keeps only the variables that settings_load() may ask for. */
static int read_environment(pid_t pid, struct subject *subject)
{
	static const char *const wanted[] = { "PORTFENCE_", "XDG_CONFIG_HOME=", "HOME=" };
	char *text = malloc(FILE_LARGEST + 1), *to, *from;
	ssize_t n;
	size_t i;

	if (!text)
		return -ENOMEM;
	n = procfs_read(pid, "environ", text, FILE_LARGEST);
	if (n < 0) {
		free(text);
		return (int)n;
	}
	to = text;
	for (from = text; from < text + n; from += strlen(from) + 1)
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (!strncmp(from, wanted[i], strlen(wanted[i]))) {
				size_t len = strlen(from) + 1;

				memmove(to, from, len);
				to += len;
				break;
			}
	subject->variables = text;
	subject->size = (size_t)(to - text);
	return 0;
}

/*
 * The path that it was started by, a script's own or a symlink's, is in the
 * process's memory alone (getauxval(3), AT_EXECFN). To read it takes the right to
 * trace the process; without it, the command line's first word has to do. So it has
 * for another user's process: that may have put a page of a file system of its own
 * there, and would let us wait for ever. Of a command line and an environment, the
 * kernel reads no such page (fs/proc/base.c, FOLL_ANON).
 */
static void read_started_as(pid_t pid, bool ours, const char *first_word, char ret_path[PATH_MAX])
{
	Elf64_auxv_t table[64];
	long n = 0;
	size_t i;

	snprintf(ret_path, PATH_MAX, "%s", first_word);
	if (ours)
		n = procfs_read(pid, "auxv", (char *)table, sizeof(table));
	for (i = 0; n > 0 && i < (size_t)n / sizeof(table[0]); i++) {
		char path[PATH_MAX];

		if (table[i].a_type != AT_EXECFN)
			continue;
		n = procfs_memory(pid, table[i].a_un.a_val, path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
		if (*path)
			strcpy(ret_path, path);
		return;
	}
}

/*
 * The executable is read last. Its link goes when the memory goes, so if it is
 * there, nothing that was read before it is empty because the process has ended.
 */
static int read_subject(pid_t pid, bool ours, struct subject *subject)
{
	long n = procfs_read(pid, "cmdline", subject->args, sizeof(subject->args));
	size_t len, i;
	int rc;

	if (n < 0)
		return (int)n;
	read_started_as(pid, ours, subject->args, subject->started_as);
	for (i = 0; i + 1 < (size_t)n; i++)
		if (!subject->args[i])
			subject->args[i] = ' ';
	rc = read_environment(pid, subject);
	rc = rc ? rc : procfs_link(pid, "exe", subject->exe, sizeof(subject->exe));
	if (rc)
		return rc;
	len = strlen(subject->exe);
	if (len > strlen(DELETED) && !strcmp(subject->exe + len - strlen(DELETED), DELETED))
		subject->exe[len - strlen(DELETED)] = '\0';
	return 0;
}

/* ---- its rule ---- */

struct mistake {
	struct arena *arena;
	const char *first;
};

static void note_mistake(void *context, const char *file, unsigned line, const char *problem)
{
	struct mistake *mistake = context;
	char text[1024], where[16] = "";

	if (mistake->first)
		return;
	if (line)
		snprintf(where, sizeof(where), ":%u", line);
	snprintf(text, sizeof(text), "%s%s: %s", file, where, problem);
	text_make_safe(text);
	mistake->first = arena_copy(mistake->arena, text, strlen(text));
}

static int load_settings(const struct subject *subject, const char *known_file, struct arena *arena,
			 struct mistake *mistake, struct settings *ret_settings)
{
	const struct policy_process process = {
		.exe = subject->exe,
		.started_as = *subject->started_as ? subject->started_as : NULL,
		.args = subject->args,
		.foreign = true,
		.known_file = known_file,
	};
	char **own = environ, **others, *p;
	size_t count = 0;
	int rc;

	/* each takes two bytes at least */
	others = arena_alloc(arena, (subject->size / 2 + 1) * sizeof(*others));
	if (!others)
		return -ENOMEM;
	for (p = subject->variables; p < subject->variables + subject->size; p += strlen(p) + 1)
		others[count++] = p;
	environ = others;
	rc = settings_load(&process, arena, note_mistake, mistake, ret_settings);
	environ = own;
	return rc;
}

static struct fenced unknown(const char *why)
{
	return (struct fenced){ .state = FENCED_UNKNOWN, .why = why };
}

/* The rule that @settings and the mapped state file tell of. All of it is in the arena of the settings. */
static struct fenced judge_settings(const struct subject *subject, const struct policy *otherwise,
				    struct settings *settings)
{
	const struct rule *rule = settings->rule;
	bool told = variable(subject, variables_name(VARIABLE_APP)) ||
		    variable(subject, variables_name(VARIABLE_RANGE));
	const char *file;

	if (!told && *subject->section && (!rule || strcmp(rule->name, subject->section) != 0)) {
		rule = policy_find(&settings->policy, subject->section);
		if (!rule && otherwise && !variable(subject, variables_name(VARIABLE_CONFIG))) {
			rule = policy_find(otherwise, subject->section);
			settings->policy.file = otherwise->file;
		}
		if (!rule)
			return unknown("its section is no longer in the configuration");
	}
	file = rule ? policy_file(&settings->policy, rule) : settings->policy.file;
	if ((rule && text_has_control(rule->name)) || (file && text_has_control(file)))
		return unknown("the name of its section or file has control characters");
	return (struct fenced){
		.state = rule ? FENCED_RULE : FENCED_NOT,
		.rule = rule,
		.file = file,
	};
}

static const void *keep(struct arena *arena, const void *data, size_t size)
{
	return data ? arena_copy(arena, data, size) : NULL;
}

/* Copies the parts of a rule that are asked for later. Return: NULL if there is no memory */
static const struct rule *keep_rule(struct arena *arena, const struct rule *rule)
{
	struct rule *copy = arena_alloc(arena, sizeof(*copy));
	int i;

	if (!copy)
		return NULL;
	*copy = *rule;
	copy->match = copy->args = copy->file = NULL;
	copy->name = keep(arena, rule->name, strlen(rule->name));
	copy->map = keep(arena, rule->map, sizeof(*rule->map));
	for (i = 0; i < PROTO_COUNT; i++) {
		const struct range *range = rule->range[i];

		copy->range[i] =
			i && range == rule->range[0]
				? copy->range[0]
				: keep(arena, range,
				       sizeof(*range) + range->spans * sizeof(*range->span));
		if (!copy->range[i])
			return NULL;
	}
	return copy->name && (copy->map || !rule->map) ? copy : NULL;
}

/*
 * Finds the rule of one process. What is read for it may be much, and is whatever its
 * user wants: it is given back at once, but for what is found.
 */
static void judge_subject(const struct subject *subject, struct fenced_looks *looks,
			  struct fenced *ret_fenced)
{
	const char *known_file = looks->otherwise ? looks->otherwise->file : NULL;
	struct arena arena = { .used = 0 };
	struct settings settings = { .rule = NULL };
	struct mistake mistake = { .arena = &looks->arena };

	if (subject->size > VARIABLES_MOST)
		*ret_fenced = unknown("its variables are longer than 64 kB");
	else if (load_settings(subject, known_file, &arena, &mistake, &settings))
		*ret_fenced = unknown(mistake.first ? mistake.first : no_memory.why);
	else
		*ret_fenced = judge_settings(subject, looks->otherwise, &settings);
	if (ret_fenced->rule) {
		ret_fenced->rule = keep_rule(&looks->arena, ret_fenced->rule);
		if (ret_fenced->file)
			ret_fenced->file =
				keep(&looks->arena, ret_fenced->file, strlen(ret_fenced->file));
		if (!ret_fenced->rule)
			*ret_fenced = no_memory;
	} else {
		ret_fenced->file = NULL;
	}
	arena_free(&arena);
}

/* All that a rule depends on, as one piece of memory, to be freed; NULL if there is none. */
static char *make_key(const struct subject *subject, size_t *ret_len)
{
	size_t len = strlen(subject->exe) + strlen(subject->started_as) + strlen(subject->args) +
		     strlen(subject->section) + 4 + subject->size;
	char *key = malloc(len), *p = key;

	if (!key)
		return NULL;
	p = stpcpy(p, subject->exe) + 1;
	p = stpcpy(p, subject->started_as) + 1;
	p = stpcpy(p, subject->args) + 1;
	p = stpcpy(p, subject->section) + 1;
	memcpy(p, subject->variables, subject->size);
	*ret_len = len;
	return key;
}

static const struct fenced *find_rule(struct fenced_looks *looks, const struct subject *subject)
{
	struct fenced_known *known;
	size_t len;
	char *key = make_key(subject, &len);

	if (!key)
		return &no_memory;
	for (known = looks->known; known; known = known->next)
		if (known->key_len == len && !memcmp(known->key, key, len))
			goto out;
	known = arena_alloc(&looks->arena, sizeof(*known));
	if (!known)
		goto out;
	known->key = len <= KEY_MOST ? arena_copy(&looks->arena, key, len) : NULL;
	known->key_len = known->key ? len : 0;
	judge_subject(subject, looks, &known->fenced);
	known->next = looks->known;
	looks->known = known;
out:
	free(key);
	return known ? &known->fenced : &no_memory;
}

static const struct fenced *explain_failure(int rc)
{
	if (rc == -ENOMEM)
		return &no_memory;
	return rc == -ESRCH ? &gone : &unseen;
}

const struct fenced *fenced_look(struct fenced_looks *looks, pid_t pid)
{
	struct subject subject = { .size = 0 };
	const struct fenced *fenced;
	int mapped = read_maps(pid, subject.section), rc;
	struct procfs_status status;

	if (mapped < 0)
		return explain_failure(mapped);
	rc = procfs_status(pid, &status);
	if (!mapped && (rc || status.seccomp != SECCOMP_MODE_FILTER))
		return &not_fenced;
	rc = read_subject(pid, !rc && status.uid == geteuid(), &subject);
	if (rc)
		fenced = explain_failure(rc);
	else if (!mapped && !variable(&subject, variables_name(VARIABLE_RULE)))
		fenced = &not_fenced;
	else
		fenced = find_rule(looks, &subject);
	free(subject.variables);
	return fenced;
}

void fenced_forget(struct fenced_looks *looks)
{
	arena_free(&looks->arena);
	looks->known = NULL;
}

int64_t fenced_started(const struct procfs_stat *stat)
{
	const int64_t tick = TIMING_SECOND_NS / sysconf(_SC_CLK_TCK);

	/* rounded up, as the kernel has left out part of a tick: what was before is not to seem later */
	return ((int64_t)stat->started + 1) * tick;
}

time_t fenced_since(pid_t pid)
{
	struct procfs_stat stat;

	if (procfs_stat(pid, &stat))
		return 0;
	return (time_t)((timing_ns(CLOCK_REALTIME) - timing_ns(CLOCK_BOOTTIME) +
			 fenced_started(&stat)) /
			TIMING_SECOND_NS);
}
