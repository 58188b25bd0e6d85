#include "supervised.h"

#include "report.h"

#include <stddef.h>

/* The socket's birth, a call that stops on a socket that has its port, and ones that get a port. */
static const char *const labels[] = { "udp-socket", "sendto", "bind-udp", "tcp4-connect" };

#define LABELS (sizeof(labels) / sizeof(labels[0]))

enum { PLAIN, CONTROL, GETFD, BIRTHS, SUBJECTS };

static void run_row(const char *label, struct subject *subjects,
		    const struct measure_effort *effort)
{
	struct measure_result results[SUBJECTS];
	const struct measure measure = {
		.group = "supervised",
		.label = label,
		.row = label,
		.threads = 1,
		.processes = 1,
		.least = 1,
		.subjects = subjects,
		.count = SUBJECTS,
	};

	measure_run(&measure, effort, results);
	report_add(results, SUBJECTS);
}

void supervised_run(const struct measure_effort *effort,
		    bool (*wanted)(const char *group, const char *label))
{
	struct subject subjects[SUBJECTS];
	unsigned chosen = 0, i;

	for (i = 0; i < LABELS; i++)
		chosen += wanted("supervised", labels[i]);
	if (!chosen)
		return;
	report_group(
		"supervised: a program without rights, under a supervisor that takes its sockets (getfd) "
		"and under one that makes them (births)");
	subject_plain(&subjects[PLAIN], "plain", -1);
	subject_plain(&subjects[CONTROL], "control", -1);
	subject_supervised(&subjects[GETFD], "getfd", NULL);
	subject_supervised(&subjects[BIRTHS], "births", "docker");
	for (i = 0; i < LABELS; i++)
		if (wanted("supervised", labels[i]))
			run_row(labels[i], subjects, effort);
	for (i = 0; i < SUBJECTS; i++)
		subject_stop(&subjects[i]);
}
