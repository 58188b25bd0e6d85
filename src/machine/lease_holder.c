#include "lease_holder.h"

#include "../core/timing.h"
#include "../core/variables.h"
#include "fenced.h"
#include "procfs.h"

#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT_LARGEST ((size_t)8 << 20) /* execve() takes 6 MiB at most */

/* Is the process that took the lease still there, and no other that has its number now? */
static bool took_it_and_lives(const struct lease *lease)
{
	struct procfs_stat stat;

	return !procfs_stat(lease->pid, &stat) && stat.has_memory &&
	       fenced_started(&stat) - TIMING_SECOND_NS <= lease->boottime;
}

/* The value of one of our variables in an environment; "" if it is not there */
static const char *find_value(const char *text, size_t size, enum variable variable)
{
	const char *name = variables_name(variable), *p;
	const size_t len = strlen(name);

	for (p = text; p < text + size; p += strlen(p) + 1)
		if (!strncmp(p, name, len) && p[len] == '=')
			return p + len + 1;
	return "";
}

/* The ports of the run that a process belongs to. */
struct ports {
	unsigned long first, last;
	struct portmap map;
};

static void read_ports(const char *text, size_t size, struct ports *ret_ports)
{
	struct reason why;

	ret_ports->first = strtoul(find_value(text, size, VARIABLE_FIRST), NULL, 10);
	ret_ports->last = strtoul(find_value(text, size, VARIABLE_LAST), NULL, 10);
	if (portmap_parse(find_value(text, size, VARIABLE_MAP), &ret_ports->map, &why))
		ret_ports->map.count = 0;
}

/* Is it the lease of the run's block, or of a port that its map keeps? */
static bool are_of(const struct ports *ports, const struct lease *lease)
{
	return (lease->first == ports->first && lease->last == ports->last) ||
	       (lease->first == lease->last &&
		portmap_real(&ports->map, lease->first) == lease->first);
}

/* What is known of the process that a lease is to be told of. */
struct heir {
	bool wanted;
	int64_t started; /* as fenced_started() has it */
};

static void try_process(const struct process *process, char *text, struct lease *lease,
			struct heir *heirs, size_t count)
{
	long size = procfs_read(process->pid, "environ", text, ENVIRONMENT_LARGEST);
	struct process described;
	struct procfs_stat stat;
	struct ports ports;
	int64_t started;
	size_t i;

	if (size <= 0 || procfs_stat(process->pid, &stat))
		return;
	started = fenced_started(&stat);
	read_ports(text, (size_t)size, &ports);
	for (i = 0; i < count; i++) {
		if (!heirs[i].wanted || !are_of(&ports, &lease[i]))
			continue;
		/* of a lease in another file, the variables may be the same; most likely, its processes began earlier */
		if (started < lease[i].boottime || (lease[i].pid && started >= heirs[i].started) ||
		    processes_describe(process->pid, &described))
			continue;
		heirs[i].started = started;
		lease[i].pid = process->pid;
		strcpy(lease[i].heir, described.name);
	}
}

void lease_holder_find(struct lease *lease, size_t count)
{
	struct heir *heirs = calloc(count + 1, sizeof(*heirs));
	const struct sockets none = { .count = 0 };
	struct processes processes = { .count = 0 };
	char *text = malloc(ENVIRONMENT_LARGEST);
	bool wanted = false;
	size_t i;

	for (i = 0; heirs && text && i < count; i++) {
		heirs[i].wanted =
			lease[i].known && !lease[i].judged && !took_it_and_lives(&lease[i]);
		lease[i].judged = true;
		if (heirs[i].wanted)
			lease[i].pid = 0;
		wanted |= heirs[i].wanted;
	}
	if (wanted && !processes_read(&none, &processes))
		for (i = 0; i < processes.count; i++)
			try_process(&processes.entry[i], text, lease, heirs, count);
	processes_free(&processes);
	free(text);
	free(heirs);
}
