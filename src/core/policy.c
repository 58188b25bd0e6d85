#include "policy.h"

#include <fnmatch.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

const char *const policy_bind_names[] = { "allow", "own", "deny", "move", NULL };
const char *const policy_exhausted_names[] = { "fail", "system", NULL };
const char *const policy_engine_names[] = { "auto", "kernel", "bind", NULL };
const char *const policy_via_names[] = { "auto", "preload", "supervise", "both", NULL };
const char *const policy_io_uring_names[] = { "deny", "allow", NULL };
const char *const policy_mptcp_names[] = { "tcp", "refuse", "allow", NULL };

const char *policy_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* As fnmatch(), but quick where the text before the first special character differs. */
static bool match_glob(const char *glob, const char *text)
{
	size_t i;

	for (i = 0; !strchr("*?[\\", glob[i]); i++)
		if (glob[i] != text[i])
			return false;
	/* strchr() also finds the NUL, so the loop ends there */
	return glob[i] ? !fnmatch(glob, text, 0) : !text[i];
}

static bool match_path(const char *glob, const char *path)
{
	if (!path)
		return false;
	return match_glob(glob, strchr(glob, '/') ? path : policy_base_name(path));
}

static bool match_process(const char *glob, const struct policy_process *process)
{
	return match_path(glob, process->exe) || match_path(glob, process->started_as);
}

static bool match_args(const char *glob, const struct policy_process *process)
{
	return process->args && match_glob(glob, process->args);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool policy_next_glob(const char **list, char ret_glob[POLICY_GLOB_MAX])
{
	const char *item = *list;
	size_t len, rest;

	while (is_blank(*item))
		item++;
	if (!*item)
		return false;
	len = strcspn(item, ",");
	rest = len + (item[len] == ',');
	*list = item + rest;
	while (len && is_blank(item[len - 1]))
		len--;
	len = len < POLICY_GLOB_MAX ? len : 0;
	memcpy(ret_glob, item, len);
	ret_glob[len] = '\0';
	return true;
}

/* Does any glob of a list fit? */
static bool match_any(const char *list, bool (*fits)(const char *, const struct policy_process *),
		      const struct policy_process *process)
{
	char glob[POLICY_GLOB_MAX];

	while (policy_next_glob(&list, glob))
		if (*glob && fits(glob, process))
			return true;
	return false;
}

bool policy_match(const struct rule *rule, const struct policy_process *process)
{
	const char *match = rule->match;

	if (!match && !rule->args)
		return (process->exe && !strcmp(rule->name, policy_base_name(process->exe))) ||
		       (process->started_as &&
			!strcmp(rule->name, policy_base_name(process->started_as)));
	if (match && !match_any(match, match_process, process))
		return false;
	return !rule->args || match_any(rule->args, match_args, process);
}

const struct rule *policy_find(const struct policy *policy, const char *name)
{
	size_t i;

	for (i = 0; i < policy->count; i++)
		if (!strcmp(policy->rules[i]->name, name))
			return policy->rules[i];
	return NULL;
}

const struct rule *policy_select(const struct policy *policy, const struct policy_process *process)
{
	size_t i;

	for (i = 0; i < policy->count; i++)
		if (policy_match(policy->rules[i], process))
			return policy->rules[i];
	return policy_find(policy, "*");
}

bool policy_holds(const struct rule *rule, enum proto proto, uint16_t port)
{
	return range_has(rule->range[proto], port) || portmap_has(rule->map, port);
}

const char *policy_file(const struct policy *policy, const struct rule *rule)
{
	return rule->file ? rule->file : policy->file;
}

bool policy_uses_args(const struct policy *policy)
{
	size_t i;

	for (i = 0; i < policy->count; i++)
		if (policy->rules[i]->args)
			return true;
	return false;
}

const char *policy_engine_name(enum engine engine)
{
	return engine == ENGINE_AUTO ? "none" : policy_engine_names[engine];
}

enum proto policy_proto(int protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
		return PROTO_TCP;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return PROTO_UDP;
	case IPPROTO_SCTP:
		return PROTO_SCTP;
	default:
		return PROTO_COUNT;
	}
}

const char *policy_proto_name(enum proto proto)
{
	static const char *const names[PROTO_COUNT] = { "tcp", "udp", "sctp" };

	return names[proto];
}

static void warn_privileged(const struct rule *rule, unsigned port_start,
			    void (*tell)(void *, const char *), void *context)
{
	char line[256];
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		if (range_first(rule->range[proto]) >= port_start)
			continue;
		snprintf(
			line, sizeof(line),
			"the %s range of '%s' starts at port %d, ports below %u need CAP_NET_BIND_SERVICE "
			"and will be passed over",
			policy_proto_name(proto), rule->name, range_first(rule->range[proto]),
			port_start);
		tell(context, line);
		return;
	}
}

static void warn_overlap(const struct policy *policy, const struct rule *rule,
			 const struct rule *other, void (*tell)(void *, const char *),
			 void *context)
{
	char line[512], where[16] = "";
	const char *file = policy_file(policy, rule), *others = policy_file(policy, other);
	const bool same = file == others || !strcmp(file, others);
	int proto;

	/* a range from the environment has no line */
	if (rule->line)
		snprintf(where, sizeof(where), ":%u", rule->line);
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		uint16_t port = range_overlap(rule->range[proto], other->range[proto]);

		if (!port)
			continue;
		snprintf(
			line, sizeof(line),
			"%s%s: the %s range of '%s' overlaps that of '%s' (%s%s%u), both hold port %d",
			file, where, policy_proto_name(proto), rule->name, other->name,
			same ? "line " : others, same ? "" : ":", other->line, port);
		tell(context, line);
		return;
	}
}

void policy_warnings(const struct policy *policy, const struct rule *rule, unsigned port_start,
		     void (*tell)(void *context, const char *warning), void *context)
{
	size_t i;

	warn_privileged(rule, port_start, tell, context);
	/* leases never overlap */
	for (i = 0; policy && i < policy->count; i++)
		if (strcmp(policy->rules[i]->name, rule->name) && !policy->rules[i]->lease)
			warn_overlap(policy, rule, policy->rules[i], tell, context);
}
