#include "subject.h"

#include "place.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VARIABLES_MAX 12
#define LAUNCHER_MAX 12 /* words before the worker's own, and NULL */
#define IPV4_ROWS                                                                                  \
	"tcp4-connect bind-tcp bind-udp listen udp-first udp-connect sendto sendmsg "              \
	"sendmmsg udp-send tcp-send unix-connect write"

/* An environment that owes nothing to the caller's. */
struct variables {
	char *text[VARIABLES_MAX + 1];
	size_t count;
};

static const struct subject_neighbour neighbours[] = {
	{
		.name = "socket_wrapper",
		.pattern = "/usr/lib/*/libsocket_wrapper.so",
		.variables = { "SOCKET_WRAPPER_DIR=%s/socket_wrapper",
			       "SOCKET_WRAPPER_DEFAULT_IFACE=1" },
		.own_world = true,
		.rows = "tcp4-connect bind-tcp bind-udp listen udp-connect unix-connect write",
	},
	{
		.name = "proxychains4",
		.pattern = "/usr/lib/*/libproxychains.so.4",
		.variables = { "PROXYCHAINS_CONF_FILE=%s/proxychains.conf",
			       "PROXYCHAINS_QUIET_MODE=1" },
		.file = "proxychains.conf",
		.content = "strict_chain\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\n"
			   "socks5 127.0.0.1 9\n",
		.rows = IPV4_ROWS,
	},
	{
		.name = "torsocks",
		.pattern = "/usr/lib/*/torsocks/libtorsocks.so",
		.variables = { "TORSOCKS_CONF_FILE=%s/torsocks.conf", "TORSOCKS_LOG_LEVEL=1" },
		.file = "torsocks.conf",
		.content = "TorAddress 127.0.0.1\nTorPort 9\nAllowInbound 1\n"
			   "AllowOutboundLocalhost 2\n",
		.rows = IPV4_ROWS,
	},
	{
		.name = "tsocks",
		.pattern = "/usr/lib/*/libtsocks.so",
		.variables = { "TSOCKS_CONF_FILE=%s/tsocks.conf" },
		.file = "tsocks.conf",
		.content = "local = 127.0.0.0/255.0.0.0\nserver = 127.0.0.1\n",
	},
	{
		.name = "bindp",
		.pattern = "/usr/lib/*/libindp.so",
		.variables = { "BIND_ADDR=127.0.0.1" },
	},
	{ .name = NULL },
};

__attribute__((format(printf, 2, 3))) static void set(struct variables *variables,
						      const char *format, ...)
{
	va_list arguments;
	int n;

	if (variables->count == VARIABLES_MAX)
		die("too many variables");
	va_start(arguments, format);
	n = vasprintf(&variables->text[variables->count], format, arguments);
	va_end(arguments);
	if (n < 0)
		die("no memory");
	variables->text[++variables->count] = NULL;
}

static void forget(struct variables *variables)
{
	while (variables->count)
		free(variables->text[--variables->count]);
}

static void set_preload(struct variables *variables, const char *name)
{
	char *path = scene_built(name);

	set(variables, "LD_PRELOAD=%s", path);
	free(path);
}

/* State of its own, so that subjects do not meet in one cursor. Return: its folder, to be freed */
static char *set_state(struct variables *variables, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/state-%s", scene_folder(), name) < 0)
		die("no memory");
	if (mkdir(path, 0700) && errno != EEXIST)
		die("'%s': %s", path, strerror(errno));
	set(variables, "PORTFENCE_STATE=%s", path);
	return path;
}

/* @launcher: what stands before the worker on the command line, or NULL */
static void start(struct subject *subject, const char *name, int netns, bool quiet,
		  const char *const *launcher, struct variables *variables)
{
	char *worker = scene_built("test/bench/worker"), cpu[16];
	const char *argv[LAUNCHER_MAX + 3];
	size_t count = 0;

	snprintf(cpu, sizeof(cpu), "%d", scene_cpu(0));
	while (launcher && *launcher)
		argv[count++] = *launcher++;
	argv[count++] = worker;
	argv[count++] = "work";
	argv[count++] = cpu;
	argv[count] = NULL;
	set(variables, "PATH=/usr/local/bin:/usr/bin:/bin");
	set(variables, "HOME=%s", scene_folder());
	/* with a sanitizer in the library, a program starts only with its options */
	if (getenv("ASAN_OPTIONS"))
		set(variables, "ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
	memset(subject, 0, sizeof(*subject));
	snprintf(subject->name, sizeof(subject->name), "%s", name);
	scene_start(&subject->process, netns, quiet, argv, (const char *const *)variables->text);
	free(worker);
	forget(variables);
}

/* Is it fenced at all? */
static void check(const struct subject *subject, unsigned first)
{
	char line[PLACE_LINE];
	unsigned port;

	if (!scene_tell(&subject->process, "where\n") ||
	    !scene_hear(&subject->process, line, sizeof(line)))
		die("the worker '%s' does not run", subject->name);
	if (sscanf(line, "%u", &port) != 1 || port < first || port >= first + PLACE_RANGE_SIZE)
		die("the worker '%s' got port %s, outside its range", subject->name, line);
}

/* Return: its path, to be freed */
static char *write_configuration(const char *name, unsigned sections)
{
	char *path;
	FILE *file;
	unsigned i;

	if (asprintf(&path, "%s/%s", scene_folder(), name) < 0)
		die("no memory");
	file = fopen(path, "we");
	if (!file)
		die("'%s': %s", path, strerror(errno));
	for (i = 1; i < sections; i++)
		fprintf(file, "[application%05u]\nrange = %u-%u\n\n", i, 20000 + i, 20099 + i);
	/* the worker, and what it starts */
	if (sections)
		fprintf(file, "[bench]\nmatch = true, worker\nrange = %d+%d\n", PLACE_OUTSIDE,
			PLACE_RANGE_SIZE);
	if (fclose(file))
		die("'%s': %s", path, strerror(errno));
	return path;
}

void subject_plain(struct subject *subject, const char *name, int netns)
{
	struct variables variables = { .count = 0 };

	start(subject, name, netns, false, NULL, &variables);
}

char *subject_leasing(struct subject *subject, const char *name)
{
	struct variables variables = { .count = 0 };
	char *state = set_state(&variables, name);

	start(subject, name, -1, false, NULL, &variables);
	return state;
}

void subject_shim(struct subject *subject, const char *name, int netns)
{
	struct variables variables = { .count = 0 };
	char file[64];

	snprintf(file, sizeof(file), "test/bench/%s.so", name);
	set_preload(&variables, file);
	start(subject, name, netns, false, NULL, &variables);
}

void subject_fenced(struct subject *subject, const char *name, int netns, unsigned first,
		    const char *order)
{
	struct variables variables = { .count = 0 };
	char *none = write_configuration("none.ini", 0);

	set_preload(&variables, "libportfence.so");
	free(set_state(&variables, name));
	set(&variables, "PORTFENCE_CONFIG=%s", none);
	set(&variables, "PORTFENCE_RANGE=%u+%d", first, PLACE_RANGE_SIZE);
	if (order)
		set(&variables, "PORTFENCE_ORDER=%s", order);
	start(subject, name, netns, false, NULL, &variables);
	check(subject, first);
	free(none);
}

void subject_configured(struct subject *subject, const char *name, unsigned sections, bool launched)
{
	char *file = write_configuration(name, sections), *portfence = scene_built("portfence");
	char *library = scene_built("libportfence.so"); /* beside it, where it looks */
	const char *launcher[] = { portfence, "run", "--config", file, "--", NULL };
	struct variables variables = { .count = 0 };

	free(set_state(&variables, name));
	if (!launched) {
		set_preload(&variables, "libportfence.so");
		set(&variables, "PORTFENCE_CONFIG=%s", file);
	}
	start(subject, name, -1, false, launched ? launcher : NULL, &variables);
	check(subject, PLACE_OUTSIDE);
	free(library);
	free(portfence);
	free(file);
}

void subject_launching(struct subject *subject, const char *name, const char *launcher,
		       unsigned sections)
{
	char *file = write_configuration(name, sections), *path = scene_built(launcher);
	char *library = scene_built("libportfence.so"); /* beside it, where it looks */
	struct variables variables = { .count = 0 };

	free(set_state(&variables, name));
	set(&variables, "PORTFENCE_CONFIG=%s", file);
	set(&variables, "BENCH_LAUNCHER=%s", path);
	start(subject, name, -1, false, NULL, &variables);
	free(library);
	free(path);
	free(file);
}

void subject_supervised(struct subject *subject, const char *name, const char *sandbox)
{
	char *filter = scene_built("test/bench/sandbox"), *portfence = scene_built("portfence");
	const char *launcher[LAUNCHER_MAX] = { "/usr/bin/setpriv", "--bounding-set=-all",
					       "--inh-caps=-all" };
	struct variables variables = { .count = 0 };
	size_t count = 3;
	char range[32];

	snprintf(range, sizeof(range), "--range=%d+%d", PLACE_OUTSIDE, PLACE_RANGE_SIZE);
	if (sandbox) {
		launcher[count++] = filter;
		launcher[count++] = sandbox;
	}
	launcher[count++] = portfence;
	launcher[count++] = "run";
	launcher[count++] = "--via=supervise";
	launcher[count++] = range;
	launcher[count] = "--";
	free(set_state(&variables, name));
	start(subject, name, -1, false, launcher, &variables);
	check(subject, PLACE_OUTSIDE);
	free(portfence);
	free(filter);
}

const struct subject_neighbour *subject_neighbours(void)
{
	return neighbours;
}

static void write_content(const struct subject_neighbour *neighbour)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", scene_folder(), neighbour->file);
	file = fopen(path, "we");
	if (!file || fputs(neighbour->content, file) < 0 || fclose(file))
		die("'%s': %s", path, strerror(errno));
}

static void set_neighbour(struct variables *variables, const struct subject_neighbour *neighbour,
			  const char *library)
{
	size_t i;

	set(variables, "LD_PRELOAD=%s", library);
	for (i = 0; i < 3 && neighbour->variables[i]; i++) {
		const char *text = neighbour->variables[i], *mark = strstr(text, "%s");

		if (mark)
			set(variables, "%.*s%s%s", (int)(mark - text), text, scene_folder(),
			    mark + 2);
		else
			set(variables, "%s", text);
	}
}

bool subject_neighbour_start(struct subject *subject, const struct subject_neighbour *neighbour,
			     struct scene_process *server)
{
	struct variables variables = { .count = 0 }, for_server = { .count = 0 };
	struct subject_batch batch;
	char path[512];
	glob_t found;

	if (glob(neighbour->pattern, 0, NULL, &found))
		return false;
	if (neighbour->file)
		write_content(neighbour);
	set_neighbour(&variables, neighbour, found.gl_pathv[0]);
	if (neighbour->own_world) {
		char *worker = scene_built("test/bench/worker"), cpu[16];
		const char *argv[] = { worker, "serve", cpu, NULL };

		snprintf(cpu, sizeof(cpu), "%d", scene_cpu(1));
		snprintf(path, sizeof(path), "%s/%s", scene_folder(), neighbour->name);
		mkdir(path, 0700);
		set_neighbour(&for_server, neighbour, found.gl_pathv[0]);
		scene_start(server, -1, true, argv, (const char *const *)for_server.text);
		scene_order(server, "ready\n");
		forget(&for_server);
		free(worker);
	}
	globfree(&found);
	start(subject, neighbour->name, -1, true, NULL, &variables);
	subject->may_fail = true;
	subject->rows = neighbour->rows;
	if (subject_run(subject, "write", 1, 1, 1, &batch))
		return true;
	subject_stop(subject);
	scene_stop(server);
	return false;
}

void subject_stop(struct subject *subject)
{
	scene_stop(&subject->process);
}

bool subject_parse(const char *line, struct subject_batch *ret_batch)
{
	return sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %d", &ret_batch->ns,
		      &ret_batch->cpu_ns, &ret_batch->operations, &ret_batch->errors,
		      &ret_batch->error) == 5;
}

bool subject_can(const struct subject *subject, const char *row)
{
	size_t len = strlen(row);
	const char *at = subject->rows;

	if (!at)
		return true;
	while ((at = strstr(at, row))) {
		if ((at == subject->rows || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

bool subject_run(struct subject *subject, const char *row, uint64_t iterations, unsigned threads,
		 unsigned processes, struct subject_batch *ret_batch)
{
	char line[PLACE_LINE];

	if (subject->dead)
		return false;
	/* some operations come before, to warm up */
	snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 " %u %u\n", row, iterations,
		 iterations / 16 + (iterations > 1), threads, processes);
	if (scene_tell(&subject->process, line) &&
	    scene_hear(&subject->process, line, sizeof(line)) && subject_parse(line, ret_batch))
		return true;
	subject->dead = true;
	if (!subject->may_fail)
		die("the worker '%s' died at %s", subject->name, row);
	return false;
}
