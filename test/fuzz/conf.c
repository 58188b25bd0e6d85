/*
 * conf: any text is a configuration, or is refused with words that fit on a line of a terminal.
 *
 * An input that begins with the number of a key is a value for it instead, as it comes with the
 * environment or the command line.
 */
#include "../../src/core/conf.h"

#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct told {
	unsigned lines;
	unsigned errors;
};

static void tell(void *context, const char *file, unsigned line, const char *problem)
{
	struct told *told = context;
	const char *c;

	told->errors++;
	CLAIM(file && *problem && line <= told->lines);
	for (c = problem; *c; c++)
		CLAIM((unsigned char)*c >= ' ' || *c == '\t');
}

static void ignore(void *context, const char *warning)
{
	(void)context;
	CLAIM(*warning);
}

static void check_rule(const struct rule *rule, const struct told *told)
{
	struct reason why;
	int proto;

	CLAIM(*rule->name && strlen(rule->name) < 50);
	CLAIM(rule->line >= 1 && rule->line <= told->lines);
	CLAIM(rule->order < ORDER_COUNT && rule->bind <= BIND_DENY);
	CLAIM(rule->exhausted <= EXHAUSTED_SYSTEM && rule->engine <= ENGINE_BIND);
	CLAIM(!rule->match || *rule->match);
	CLAIM(!rule->args || *rule->args);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		fuzz_check_range(rule->range[proto]);
	CLAIM(key_check(rule, &why) == 0);
}

static void check_policy(const struct policy *policy, const struct told *told)
{
	const struct policy_process process = { .exe = "/usr/bin/curl",
						.started_as = "/opt/erp/bin/erpd",
						.args = "erpd -x 1" };
	const struct rule *rule = policy_select(policy, &process);
	size_t i;

	CLAIM(!rule || policy_find(policy, rule->name) == rule);
	for (i = 0; i < policy->count; i++) {
		check_rule(policy->rules[i], told);
		CLAIM(policy_find(policy, policy->rules[i]->name) == policy->rules[i]);
		CLAIM(i == 0 || policy->rules[i]->line > policy->rules[i - 1]->line);
		policy_warnings(policy, policy->rules[i], 1024, ignore, NULL);
	}
	CLAIM(!policy->state || *policy->state == '/');
	CLAIM(!policy->log || *policy->log);
}

static void load(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;
	struct told told = { .lines = 1 };
	struct arena arena = { 0 };
	struct policy policy;
	size_t i;
	int rc;

	if (fd < 0) {
		fd = memfd_create("conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	for (i = 0; i < size; i++)
		told.lines += data[i] == '\n';
	rc = conf_load(path, false, &arena, tell, &told, &policy);
	CLAIM(rc == (told.errors ? -EINVAL : 0));
	if (!rc)
		check_policy(&policy, &told);
	arena_free(&arena);
}

static void override(enum key key, const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	char *text = fuzz_text(&fuzz, '\0');
	struct reason why = { "" };
	struct arena arena = { 0 };
	struct rule rule = { .name = "fuzz" };
	int rc = key_override(&rule, key, text, &arena, &why);

	CLAIM(rc == 0 || (rc == -EINVAL && *why.text));
	if (!rc && key == KEY_RANGE)
		fuzz_check_range(rule.range[PROTO_UDP]);
	CLAIM(rule.order < ORDER_COUNT);
	free(text);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] < KEY_COUNT)
		override((enum key)data[0], data + 1, size - 1);
	else
		load(data, size);
	return 0;
}
