#include "leases.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMED 1000

/* Processes that hold a lease each, with a name, as long as the pipe is open. */
struct named {
	pid_t pid[NAMED];
	int input;
};

static void run_row(const char *row, const char *label, struct subject *subjects, unsigned count,
		    const struct measure_effort *effort)
{
	struct measure_result results[2];
	const struct measure measure = {
		.group = "lease",
		.label = label,
		.row = row,
		.threads = 1,
		.processes = 1,
		.counts = !strcmp(row, "spawn") || !strcmp(row, "lease"),
		.least = 1,
		.subjects = subjects,
		.count = count,
	};

	measure_run(&measure, effort, results);
	report_add(results, count);
}

static pid_t start_named(unsigned number, const posix_spawn_file_actions_t *actions,
			 const char *state)
{
	char *portfence = scene_built("portfence"), name[16], variable[256];
	char *argv[] = { portfence, (char *)"lease", (char *)"--name", name, NULL };
	char *envp[] = { variable, NULL };
	pid_t pid;
	int error;

	snprintf(name, sizeof(name), "name%u", number);
	snprintf(variable, sizeof(variable), "PORTFENCE_STATE=%s", state);
	error = posix_spawn(&pid, portfence, actions, NULL, argv, envp);
	if (error)
		die("'%s': %s", portfence, strerror(error));
	free(portfence);
	return pid;
}

/* Returns once all of them hold their lease. */
static void start_all_named(const char *state, struct named *ret_named)
{
	posix_spawn_file_actions_t actions;
	int input[2], output[2], lines = 0;
	unsigned i;
	char byte;

	if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC))
		die("no pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
	for (i = 0; i < NAMED; i++)
		ret_named->pid[i] = start_named(i, &actions, state);
	posix_spawn_file_actions_destroy(&actions);
	close(input[0]);
	close(output[1]);
	while (read(output[0], &byte, 1) == 1)
		lines += byte == '\n';
	close(output[0]);
	if (lines != NAMED)
		die("%d of %d leases were taken", lines, NAMED);
	ret_named->input = input[1];
}

static void end_all_named(const struct named *named)
{
	unsigned i;

	close(named->input);
	for (i = 0; i < NAMED; i++)
		waitpid(named->pid[i], NULL, 0);
}

static void run_list(const struct measure_effort *effort)
{
	struct subject subjects[2];
	struct named named;
	char *state;

	free(subject_leasing(&subjects[0], "none"));
	state = subject_leasing(&subjects[1], "1000-named");
	start_all_named(state, &named);
	run_row("leases", "list", subjects, 2, effort);
	end_all_named(&named);
	free(state);
	subject_stop(&subjects[0]);
	subject_stop(&subjects[1]);
}

void leases_run(const struct measure_effort *effort,
		bool (*wanted)(const char *group, const char *label))
{
	static const char *const rows[] = { "spawn", "lease", "fixture" };
	const bool list = wanted("lease", "list");
	bool any = list;
	struct subject subject;
	unsigned i;

	for (i = 0; i < 3; i++)
		any |= wanted("lease", rows[i]);
	if (!any)
		return;
	/* beside the worker, which looks for it there */
	free(scene_built("portfence"));
	free(subject_leasing(&subject, "plain"));
	report_group(
		"lease: /bin/true, and `portfence lease`, taken and released; fixture: a port for a "
		"test of a Python process; list: `portfence leases`");
	for (i = 0; i < 3; i++)
		if (wanted("lease", rows[i]))
			run_row(rows[i], rows[i], &subject, 1, effort);
	subject_stop(&subject);
	if (list)
		run_list(effort);
}
