#include "curves.h"

#include "place.h"
#include "report.h"

#include <stdio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Three worlds, each a network namespace with a server, a holder and a worker:
 *
 *   plain   nothing preloaded; the namespace's ephemeral range has 10,000 ports
 *   kernel  fenced; the same ports, within an ephemeral range of the usual size
 *   bind    fenced; 10,000 ports outside the ephemeral range
 *
 * In each, the holder holds the same part of the ports in the same places, in
 * the way in which that world's own processes would have come by them. The
 * workers then take turns as everywhere else.
 */

enum { WORLD_PLAIN, WORLD_KERNEL, WORLD_BIND, WORLDS };

struct world {
	int netns;
	unsigned first;
	struct scene_process server, holder;
};

static const struct kind {
	const char *name;
	const char *row;
	const char *held;
	unsigned to;        /* the holders' destination; 0: none */
	const char *parity; /* the half that the kernel uses up first; NULL: it does not halve */
} kinds[] = {
	{ "same", "tcp4-connect", NULL, PLACE_NEAR, "even" },
	{ "other", "tcp4-connect", NULL, PLACE_FAR, "even" },
	{ "bind", "bind-tcp", "tcp", 0, "odd" },
	{ "udp", "bind-udp", "udp", 0, NULL },
};

/* `parity`: as ports are held where plain programs took them (__inet_hash_connect,
 * inet_csk_find_open_port: one half of the range first, the other when that is full). */
static const char *const shapes[] = { "scatter", "run", "parity" };

/* What one search costs depends on where it begins, so a batch has at least so many. */
#define SEARCHES 32

/* Ports held of 10,000. */
static const unsigned levels[] = { 0, 5000, 9000, 9900, 9990, 10000 };

static void open_world(int which, struct world *world, struct subject *subject)
{
	world->first = which == WORLD_BIND ? PLACE_OUTSIDE : PLACE_INSIDE;
	if (which == WORLD_PLAIN)
		world->netns = scene_namespace(PLACE_INSIDE, PLACE_INSIDE + PLACE_RANGE_SIZE - 1);
	else
		world->netns = scene_namespace(0, 0);
	scene_helper(&world->server, world->netns, "serve");
	scene_order(&world->server, "ready\n");
	scene_helper(&world->holder, world->netns, "hold");
	if (which == WORLD_PLAIN)
		subject_plain(subject, "plain", world->netns);
	else
		subject_fenced(subject, which == WORLD_BIND ? "bind" : "kernel", world->netns,
			       world->first, NULL);
}

static void close_world(struct world *world, struct subject *subject)
{
	subject_stop(subject);
	scene_stop(&world->holder);
	scene_stop(&world->server);
	close(world->netns);
}

/* Holds the candidates from @from up to @to. */
static void hold(const struct world *world, int which, const struct kind *kind, const char *shape,
		 unsigned from, unsigned to)
{
	char how[32];

	if (kind->to)
		snprintf(how, sizeof(how), "%s-%u", which == WORLD_BIND ? "bound" : "chosen",
			 kind->to);
	else
		snprintf(how, sizeof(how), "%s", kind->held);
	scene_order(&world->server, "keep\n");
	scene_order(&world->holder, "hold %s %s %u %u %u %u\n", how, shape, world->first,
		    PLACE_RANGE_SIZE, from, to);
	scene_order(&world->server, "drop\n");
}

static void release(const struct world *world)
{
	scene_order(&world->holder, "release\n");
	scene_order(&world->server, "release\n");
}

static void run_curve(const struct measure_effort *effort, const struct kind *kind,
		      const char *shape, const char *label, const struct world *worlds,
		      struct subject *subjects)
{
	struct measure_result results[WORLDS];
	struct measure measure = {
		.group = "curves",
		.label = label,
		.row = kind->row,
		.threads = 1,
		.processes = 1,
		.subjects = subjects,
		.count = WORLDS,
	};
	unsigned level, before = 0;
	int which;

	for (level = 0; level < sizeof(levels) / sizeof(levels[0]); level++) {
		if (effort->quick && levels[level] != 0 && levels[level] != 9000 &&
		    levels[level] != PLACE_RANGE_SIZE)
			continue;
		for (which = 0; which < WORLDS; which++)
			hold(&worlds[which], which, kind, shape, before, levels[level]);
		before = levels[level];
		measure.percent = levels[level] * 100.0 / PLACE_RANGE_SIZE;
		/* ports held towards another destination can be shared */
		measure.fails = levels[level] == PLACE_RANGE_SIZE && kind->to != PLACE_FAR;
		measure.least = measure.fails ? 1 : SEARCHES;
		measure_run(&measure, effort, results);
		report_add(results, WORLDS);
	}
	for (which = 0; which < WORLDS; which++)
		release(&worlds[which]);
}

void curves_run(const struct measure_effort *effort,
		bool (*wanted)(const char *group, const char *label))
{
	struct subject subjects[WORLDS];
	struct world worlds[WORLDS];
	bool open = false;
	size_t i, j;
	int which;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++) {
			char label[48];

			snprintf(label, sizeof(label), "%s/%s", kinds[i].name, shapes[j]);
			if (!wanted("curves", label) || (j == 2 && !kinds[i].parity))
				continue;
			for (which = 0; !open && which < WORLDS; which++)
				open_world(which, &worlds[which], &subjects[which]);
			if (!open)
				report_group("curves: % of 10,000 ports held, scattered or in one "
					     "run; plain: an ephemeral range of that size");
			open = true;
			run_curve(effort, &kinds[i], j == 2 ? kinds[i].parity : shapes[j], label,
				  worlds, subjects);
		}
	}
	for (which = 0; open && which < WORLDS; which++)
		close_world(&worlds[which], &subjects[which]);
}

void curves_shared(const struct measure_effort *effort)
{
	static const struct kind kind = { "shared", "tcp4-connect", NULL, PLACE_FAR, NULL };
	struct subject subjects[WORLDS];
	struct measure_result results[WORLDS];
	struct measure measure = {
		.group = kind.name,
		.label = kind.row,
		.row = kind.row,
		.threads = 1,
		.processes = 1,
		.counts = true,
		.subjects = subjects,
		.count = WORLDS,
	};
	struct world world;

	open_world(WORLD_BIND, &world, &subjects[2]);
	subject_plain(&subjects[0], "plain", world.netns);
	subject_plain(&subjects[1], "control", world.netns);
	hold(&world, WORLD_BIND, &kind, "run", 0, PLACE_RANGE_SIZE);
	measure_run(&measure, effort, results);
	report_add(results, WORLDS);
	subject_stop(&subjects[0]);
	subject_stop(&subjects[1]);
	close_world(&world, &subjects[2]);
}
