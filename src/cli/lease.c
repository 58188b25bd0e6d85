#include "../core/ownership.h"
#include "../core/pool.h"
#include "../core/reason.h"
#include "../machine/procfs.h"
#include "lease_block.h"
#include "lease_hold.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_CONFIG, OPTION_POOL, OPTION_WAIT, OPTION_JSON };

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_POOL] = { .name = "pool",
			  .argument = "RANGE",
			  .help = "take the block out of this range (default: 'pool' of [portfence], "
				  "else 20000-29999 without the ranges of sections)" },
	[OPTION_WAIT] = { .name = "wait",
			  .argument = "SECONDS",
			  .help = "if no block is free, try again for this time" },
	[OPTION_JSON] = { .name = "json", .help = "print one line of JSON" },
	{ .name = NULL },
};

static int lease(const struct option_values *given);

const struct verb verb_lease = {
	.name = "lease",
	.summary = "take a block of ports for a process that runs already",
	.usage = "[N] [-- COMMAND [ARGUMENT]...]",
	.about =
		"Takes a block of N ports (default: 1) that no other lease has and no socket uses, "
		"prints it, such as 20000-20009, and holds it. The lease ends when the standard input of this "
		"process ends, when this process is ended by a signal, or when the process that "
		"started it has ended, whichever is first. A standard input that is no pipe, socket "
		"or terminal, such as /dev/null, is not looked at. With COMMAND, it is 'portfence run "
		"--lease N -- COMMAND', and N is 100 if it is not given.",
	.options = options,
	.operands = OPERANDS_ANY,
	.command_after_dashes = true,
	.status = "0 once the lease is over; 1 if there is none, 2 if it is called wrongly; with "
		  "COMMAND, as 'portfence run'",
	.example = "coproc portfence lease 10 && read -r block <&\"${COPROC[0]}\"\n"
		   "portfence lease 10 --json\n"
		   "portfence lease 100 -- make check\n",
	.function = lease,
};

/* A lease that was taken. */
struct held {
	struct settings settings;
	struct lease entry;
	int fd; /* of the lease file */
};

/* ---- with a command ---- */

/* Becomes `portfence run --lease N`, with the options that both have. */
static int run_command(const struct option_values *given, uint32_t count, char *command[])
{
	static const int passed[] = { OPTION_CONFIG, OPTION_POOL, OPTION_WAIT };
	static char name[] = "run", dashes[] = "--";
	struct option_values values;
	size_t words = 0, i;
	char **argv;
	int rc;

	for (i = 0; command[i]; i++)
		;
	argv = calloc(i + sizeof(passed) / sizeof(passed[0]) + 4, sizeof(*argv));
	if (!argv)
		return say_failure("%s", strerror(ENOMEM));
	argv[words++] = name;
	rc = asprintf(&argv[words++], "--lease=%u", count);
	for (i = 0; rc >= 0 && i < sizeof(passed) / sizeof(passed[0]); i++)
		if (given->value[passed[i]])
			rc = asprintf(&argv[words++], "--%s=%s", options[passed[i]].name,
				      given->value[passed[i]]);
	if (rc < 0)
		return say_failure("%s", strerror(ENOMEM));
	argv[words++] = dashes;
	for (i = 0; command[i]; i++)
		argv[words++] = command[i];
	say_set_status(verb_run.failure_status);
	optind = 0;
	rc = option_parse(&verb_run, (int)words, argv, &values);
	return rc == OPTION_GO_ON ? verb_run.function(&values) : rc;
}

/* ---- without one ---- */

/* Words for others: whom it is held for. */
static void describe_holder(struct lease *entry)
{
	const pid_t parent = getppid();
	char line[128];
	long n = procfs_read(parent, "cmdline", line, sizeof(line)), i;

	for (i = 0; i + 1 < n; i++)
		if (!line[i])
			line[i] = ' ';
	entry->pid = getpid();
	if (n > 0)
		snprintf(entry->command, sizeof(entry->command), "portfence lease, for pid %d: %s",
			 (int)parent, line);
	else
		snprintf(entry->command, sizeof(entry->command), "portfence lease");
}

static bool rest_while_wanted(void *hold, int64_t ns)
{
	return lease_hold_wait(hold, ns);
}

static int take_lease(const struct option_values *given, uint32_t count, struct arena *arena,
		      struct lease_hold *hold, struct held *ret_held)
{
	struct lease_block block;
	struct reason why;
	int rc = lease_block_settings(given->value[OPTION_CONFIG], arena, &ret_held->settings);

	if (!rc)
		rc = lease_block_parse(count, given->value[OPTION_POOL], given->value[OPTION_WAIT],
				       &ret_held->settings, arena, &block);
	if (rc)
		return rc;
	block.rest = rest_while_wanted;
	block.context = hold;
	ret_held->fd = lease_open(&ret_held->settings, true, &why);
	if (ret_held->fd < 0)
		return say_failure("%s", why.text);
	rc = lease_block_take(&block, ret_held->fd, &ret_held->entry);
	if (rc)
		return rc;
	describe_holder(&ret_held->entry);
	return lease_block_publish(ret_held->fd, &ret_held->entry);
}

static int print_json(const struct held *held)
{
	const struct lease *entry = &held->entry;
	char path[PATH_MAX];
	json_t *object;

	if (ownership_path(held->fd, path))
		*path = '\0';
	object = json_pack("{s:i, s:i, s:i, s:i}", "first", entry->first, "last", entry->last,
			   "ports", entry->last - entry->first + 1, "pid", (int)entry->pid);
	json_object_set_new(object, "file", say_json(*path ? path : NULL));
	return say_object(stdout, object, JSON_COMPACT);
}

/* Return: 0 once all of it has been written */
static int print_block(const struct held *held, bool json)
{
	const struct lease *entry = &held->entry;
	int rc = 0;

	if (json)
		rc = print_json(held);
	else if (entry->first == entry->last)
		printf("%d\n", entry->first);
	else
		printf("%d-%d\n", entry->first, entry->last);
	/* nobody knows of a lease that could not be told: main() says why */
	return rc || fflush(stdout) ? say_status() : 0;
}

static int hold_lease(const struct option_values *given, uint32_t count)
{
	struct arena arena = { 0 };
	struct lease_hold hold;
	struct held held;
	int kept[2], rc;

	memset(&held, 0, sizeof(held));
	lease_hold_begin(&hold);
	rc = take_lease(given, count, &arena, &hold, &held);
	if (!rc)
		rc = print_block(&held, given->value[OPTION_JSON]);
	if (rc)
		return rc;
	kept[0] = hold.watched[LEASE_HOLD_PARENT].fd;
	kept[1] = held.fd;
	lease_hold_let_go(kept + (kept[0] < 0), kept[0] < 0 ? 1 : 2, false);
	lease_hold_wait(&hold, -1);
	return 0;
}

static int lease(const struct option_values *given)
{
	char **operand = given->operand;
	const bool dashes = !strcmp(operand[-1], "--");
	const char *number = NULL;
	uint32_t count = 1;
	struct reason why;

	/* what stands before "--" is in front of what stands behind it */
	if (*operand && (!dashes || (**operand && !(*operand)[strspn(*operand, "0123456789")])))
		number = *operand++;
	if (number && pool_parse_lease(number, &count, &why))
		return option_wrong(&verb_lease, "%s", why.text);
	if (*operand && !dashes)
		return option_wrong(&verb_lease,
				    "'%s' is one argument too many; a command stands behind '--'",
				    *operand);
	if (!*operand)
		return hold_lease(given, count);
	if (given->value[OPTION_JSON])
		return option_wrong(&verb_lease, "'--json' prints nothing with a command");
	return run_command(given, number ? count : POOL_LEASE, operand);
}
