#include "../core/fd.h"
#include "../core/ownership.h"
#include "../core/pool.h"
#include "lease_block.h"
#include "lease_hold.h"
#include "lease_portserver.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OPTION_CONFIG,
	OPTION_POOL,
	OPTION_WAIT,
	OPTION_NAME,
	OPTION_JSON,
	OPTION_DETACH,
	OPTION_RELEASE,
	OPTION_PORTSERVER,
	OPTION_COUNT
};

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_POOL] = OPTION_ENTRY_POOL("block"),
	[OPTION_WAIT] = OPTION_ENTRY_WAIT,
	[OPTION_NAME] = OPTION_ENTRY_NAME,
	[OPTION_JSON] = { .name = "json", .help = "print one line of JSON" },
	[OPTION_DETACH] = { .name = "detach",
			    .help = "print the block and return; the lease goes on until it is released" },
	[OPTION_RELEASE] = { .name = "release",
			     .argument = "NAME",
			     .help = "end the lease that was taken by this name with --detach" },
	[OPTION_PORTSERVER] = { .name = "portserver",
				.argument = "PATH",
				.help = "give single ports to the clients of this UNIX socket, by "
					"python_portpicker's protocol" },
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
		"--lease N -- COMMAND', and N is 100 if it is not given. With --name, the default is what the "
		"name had before.",
	.options = options,
	.operands = OPERANDS_ANY,
	.command_after_dashes = true,
	.status = "0 once the lease is over; 1 if there is none, 2 if it is called wrongly; with "
		  "COMMAND, as 'portfence run'",
	.example = "coproc portfence lease 10 && read -r block <&\"${COPROC[0]}\"\n"
		   "portfence lease 10 --name db --detach\n"
		   "portfence lease --release db\n"
		   "portfence lease 100 -- make check\n",
	.function = lease,
};

/* A lease, and what it depends on. */
struct held {
	struct settings settings;
	struct lease_taken taken;
	struct lease_hold hold;
};

/* ---- with a command ---- */

/* Becomes `portfence run --lease N`, with the options that both have. */
static int run_command(const struct option_values *given, uint32_t count, char *command[])
{
	static const int passed[] = { OPTION_CONFIG, OPTION_POOL, OPTION_WAIT, OPTION_NAME };
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
	/* a name has a number of its own */
	if (!count && !given->value[OPTION_NAME])
		count = POOL_LEASE;
	rc = count ? asprintf(&argv[words++], "--lease=%u", count) : 0;
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

	entry->pid = getpid();
	if (entry->detached)
		strcpy(entry->command, "portfence lease --detach");
	else if (lease_command_of(parent, line, sizeof(line)))
		snprintf(entry->command, sizeof(entry->command), "portfence lease, for pid %d: %s",
			 (int)parent, line);
	else
		strcpy(entry->command, "portfence lease");
}

static bool rest_while_wanted(void *hold, int64_t ns)
{
	return lease_hold_wait(hold, ns);
}

static int take_lease(const struct option_values *given, uint32_t count, struct arena *arena,
		      struct held *held)
{
	struct lease_block block;
	int rc = lease_block_settings(given->value[OPTION_CONFIG], arena, &held->settings);

	if (!rc)
		rc = lease_block_parse(count ? count : !given->value[OPTION_NAME],
				       given->value[OPTION_POOL], given->value[OPTION_WAIT],
				       given->value[OPTION_NAME], &held->settings, arena, &block);
	if (rc)
		return rc;
	block.if_new = 1;
	if (!given->value[OPTION_DETACH]) {
		block.rest = rest_while_wanted;
		block.context = &held->hold;
	}
	held->taken.entry.detached = given->value[OPTION_DETACH];
	describe_holder(&held->taken.entry);
	return lease_block_take(&block, &held->settings, &held->taken);
}

static int print_json(const struct held *held)
{
	const struct lease *entry = &held->taken.entry;
	char path[PATH_MAX];
	json_t *object;

	if (ownership_path(held->taken.fd, path))
		*path = '\0';
	object = json_pack("{s:i, s:i, s:i, s:i}", "first", entry->first, "last", entry->last,
			   "ports", entry->last - entry->first + 1, "pid", (int)entry->pid);
	json_object_set_new(object, "file", say_json(*path ? path : NULL));
	json_object_set_new(object, "name", say_json(*entry->name ? entry->name : NULL));
	json_object_set_new(object, "joined", json_boolean(held->taken.named.joined));
	return say_object(stdout, object, JSON_COMPACT);
}

/* Return: 0 once all of it has been written */
static int print_block(const struct held *held, bool json)
{
	const struct lease *entry = &held->taken.entry;
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

/* Closes what the holder does not need. */
static void let_go(const struct held *held, bool detached)
{
	int kept[3] = { 0 }, candidates[3], count = 0, i, k;

	candidates[0] = detached ? -1 : held->hold.watched[LEASE_HOLD_PARENT].fd;
	candidates[1] = held->taken.fd;
	candidates[2] = held->taken.names_fd;
	for (i = 0; i < 3; i++) {
		if (candidates[i] < 0)
			continue;
		for (k = count++; k && kept[k - 1] > candidates[i]; k--)
			kept[k] = kept[k - 1];
		kept[k] = candidates[i];
	}
	lease_hold_let_go(kept, (size_t)count, detached);
}

static int hold_lease(const struct option_values *given, uint32_t count)
{
	struct arena arena = { 0 };
	struct held held;
	int rc;

	memset(&held, 0, sizeof(held));
	lease_hold_begin(&held.hold);
	rc = take_lease(given, count, &arena, &held);
	if (!rc)
		rc = print_block(&held, given->value[OPTION_JSON]);
	if (rc)
		return rc;
	let_go(&held, false);
	lease_hold_wait(&held.hold, -1);
	return 0;
}

/* ---- detached ---- */

/* Another holder that is detached: one is enough. Return: its process, 0 if there is none */
static pid_t find_detached(const struct held *held)
{
	const struct lease *entry = &held->taken.entry;
	struct lease *list = NULL;
	size_t count = 0, i;
	pid_t pid = 0;

	lease_name_list(held->taken.names_fd, &list, &count);
	for (i = 0; i < count && !pid; i++)
		if (list[i].detached && !strcmp(list[i].name, entry->name))
			pid = list[i].pid;
	free(list);
	return pid;
}

/*
 * What the process that stays does: only a signal ends it. It notes itself as the holder, so that it is
 * the one to be released even if the process that started it is killed here. Then it writes to @ready.
 */
static void stay(struct held *held, int ready)
{
	sigset_t none;

	held->taken.entry.pid = getpid();
	if (lease_block_publish(&held->taken))
		_exit(say_status());
	/* it fails if the process that waits for it was killed */
	fd_write(ready, "", 1);
	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	let_go(held, true);
	/* so that no file system is busy because of this process; if that fails, one is */
	if (chdir("/"))
		errno = 0;
	for (;;)
		pause();
}

/* Starts the process that stays. Return: 0 once it holds the lease, or say_status() */
static int start_holder(struct held *held, pid_t *ret_pid)
{
	int ready[2];
	char text;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) || (pid = fork()) < 0)
		return say_failure("no process can be started for the lease: %s", strerror(errno));
	if (!pid) {
		close(ready[0]);
		stay(held, ready[1]);
	}
	close(ready[1]);
	*ret_pid = pid;
	/* it has said what is wrong */
	return fd_read_all(ready[0], &text, 1) == 1 ? 0 : say_status();
}

static int detach_lease(const struct option_values *given, uint32_t count)
{
	struct arena arena = { 0 };
	struct held held;
	pid_t other, pid = 0;
	int rc;

	memset(&held, 0, sizeof(held));
	lease_hold_begin(&held.hold);
	rc = take_lease(given, count, &arena, &held);
	if (rc)
		return rc;
	other = find_detached(&held);
	if (!other)
		rc = start_holder(&held, &pid);
	held.taken.entry.pid = other ? other : pid;
	if (!rc)
		rc = print_block(&held, given->value[OPTION_JSON]);
	/* it is our child, so that its number is its own until it is waited for */
	if (rc && pid)
		kill(pid, SIGKILL);
	return rc;
}

static int release_lease(const struct option_values *given)
{
	struct settings settings;
	struct arena arena = { 0 };
	char name[LEASE_NAME_MOST + 1];
	struct lease *list = NULL;
	size_t count = 0, others = 0, released = 0, i;
	struct reason why;
	int rc = lease_block_settings(given->value[OPTION_CONFIG], &arena, &settings), fd;

	if (rc)
		return rc;
	if (lease_name_read(given->value[OPTION_RELEASE], name, &why))
		return say_failure("--release: %s", why.text);
	fd = lease_name_open(&settings, false, &why);
	if (fd < 0 && fd != -ENOENT)
		return say_failure("%s", why.text);
	if (fd >= 0)
		rc = lease_name_list(fd, &list, &count);
	for (i = 0; rc >= 0 && i < count; i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		others += !list[i].detached;
		released += list[i].detached;
		if (list[i].detached)
			rc = lease_name_release(fd, &list[i]);
	}
	free(list);
	/* a list that ends early has some of them, perhaps */
	if (rc > 0)
		rc = -EBUSY;
	if (rc)
		return say_failure("the lease '%s' cannot be released: %s", name, strerror(-rc));
	if (!others && !released)
		return say_failure("nobody holds a lease '%s', see 'portfence leases'", name);
	if (!others)
		return 0;
	say_failure("%sthe lease '%s' goes on until those that hold it have ended",
		    released ? "warning: " : "", name);
	lease_block_holders(&settings, name);
	return released ? 0 : say_status();
}

/* ---- by python_portpicker's protocol ---- */

static int serve_ports(const struct option_values *given)
{
	struct arena arena = { 0 };
	struct settings settings;
	struct lease_block block;
	struct lease_hold hold;
	int rc;

	lease_hold_begin(&hold);
	rc = lease_block_settings(given->value[OPTION_CONFIG], &arena, &settings);
	if (!rc)
		rc = lease_block_parse(1, given->value[OPTION_POOL], NULL, NULL, &settings, &arena,
				       &block);
	if (!rc)
		rc = lease_portserver_run(given->value[OPTION_PORTSERVER], &block, &settings,
					  &hold);
	return rc;
}

/* ---- the verb ---- */

/* Return: an option that makes no sense together with another one, or -1 */
static int find_given(const struct option_values *given, unsigned options_mask)
{
	int i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (options_mask >> i & 1 && given->value[i])
			return i;
	return -1;
}

/* Return: 0, or the exit status after the problem was reported */
static int check_options(const struct option_values *given, bool number, bool command)
{
	const unsigned own = 1U << OPTION_JSON | 1U << OPTION_DETACH | 1U << OPTION_RELEASE |
			     1U << OPTION_PORTSERVER;
	const unsigned all = own | 1U << OPTION_POOL | 1U << OPTION_WAIT | 1U << OPTION_NAME;
	int odd = command ? find_given(given, own) : -1;

	if (odd >= 0)
		return option_wrong(&verb_lease, "'--%s' is not for a command", options[odd].name);
	odd = given->value[OPTION_RELEASE] ? find_given(given, all & ~(1U << OPTION_RELEASE)) : -1;
	if (odd >= 0)
		return option_wrong(&verb_lease, "'--%s' does not go with '--release'",
				    options[odd].name);
	odd = given->value[OPTION_PORTSERVER]
		      ? find_given(given, all & ~(1U << OPTION_PORTSERVER) & ~(1U << OPTION_POOL))
		      : -1;
	if (odd >= 0)
		return option_wrong(&verb_lease, "'--%s' does not go with '--portserver'",
				    options[odd].name);
	if (number && (given->value[OPTION_RELEASE] || given->value[OPTION_PORTSERVER]))
		return option_wrong(&verb_lease, "'--%s' takes no number of ports",
				    given->value[OPTION_RELEASE] ? "release" : "portserver");
	if (given->value[OPTION_DETACH] && !given->value[OPTION_NAME])
		return option_wrong(&verb_lease,
				    "'--detach' needs '--name NAME', to release it by that");
	return 0;
}

static int lease(const struct option_values *given)
{
	char **operand = given->operand;
	const bool dashes = !strcmp(operand[-1], "--");
	const char *number = NULL;
	uint32_t count = 0;
	struct reason why;
	int rc;

	/* the operands before "--" come first; getopt(3) leaves "--" in front of all */
	if (*operand && (!dashes || (**operand && !(*operand)[strspn(*operand, "0123456789")])))
		number = *operand++;
	if (number && pool_parse_lease(number, &count, &why))
		return option_wrong(&verb_lease, "%s", why.text);
	if (*operand && !dashes)
		return option_wrong(&verb_lease,
				    "'%s' is one argument too many; a command stands behind '--'",
				    *operand);
	rc = check_options(given, number, *operand);
	if (rc)
		return rc;
	if (*operand)
		return run_command(given, count, operand);
	if (given->value[OPTION_RELEASE])
		return release_lease(given);
	if (given->value[OPTION_PORTSERVER])
		return serve_ports(given);
	return (given->value[OPTION_DETACH] ? detach_lease : hold_lease)(given, count);
}
