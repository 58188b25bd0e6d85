#include "status_metrics.h"

#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By protocol. @member: of the protocol's object; @inner: of the object that the member is, or NULL */
static const struct {
	const char *name, *help, *member, *inner;
} metrics[] = {
	{ "portfence_ports", "Ports of the range.", "ports", NULL },
	{ "portfence_ports_used", "Ports of the range in use, those in TIME_WAIT included.", "used",
	  NULL },
	{ "portfence_ports_time_wait", "Ports of the range that are in TIME_WAIT only.",
	  "time_wait_only", NULL },
	{ "portfence_sockets", "Sockets on ports of the range.", "sockets", NULL },
	{ "portfence_destinations", "Destinations that ports of the range are connected to.",
	  "destinations", NULL },
	{ "portfence_fullest_destination_ports",
	  "Ports of the range that the destination with the most ports has. If it has all, connect "
	  "fails.",
	  "fullest", "ports" },
};

/* Members of the protocol's object `refused` */
static const char *const reasons[] = { "no_port", "system_port", "bind", "other" };

static const char *const protocols[] = { "tcp", "udp", "sctp" };

static void write_head(const char *name, const char *type, const char *help, FILE *to)
{
	fprintf(to, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* A label's value; three characters are escaped in it. */
static void write_quoted(const char *text, FILE *to)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", to);
		else
			fprintf(to, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	}
	fputc('"', to);
}

static void write_section(const json_t *section, size_t metric, FILE *to)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		const json_t *value = json_object_get(json_object_get(section, protocols[i]),
						      metrics[metric].member);

		if (metrics[metric].inner)
			value = json_object_get(value, metrics[metric].inner);
		fprintf(to, "%s{application=", metrics[metric].name);
		write_quoted(json_string_value(json_object_get(section, "name")), to);
		/* 0 where there is no destination yet */
		fprintf(to, ",protocol=\"%s\"} %lld\n", protocols[i],
			(long long)json_integer_value(value));
	}
}

static void write_refusals(const json_t *section, FILE *to)
{
	size_t i, reason;

	for (i = 0; i < 3; i++) {
		const json_t *refused =
			json_object_get(json_object_get(section, protocols[i]), "refused");

		for (reason = 0; reason < sizeof(reasons) / sizeof(reasons[0]); reason++) {
			fputs("portfence_refusals_total{application=", to);
			write_quoted(json_string_value(json_object_get(section, "name")), to);
			fprintf(to, ",protocol=\"%s\",reason=\"%s\"} %lld\n", protocols[i],
				reasons[reason],
				(long long)json_integer_value(
					json_object_get(refused, reasons[reason])));
		}
	}
}

void status_metrics_write(const json_t *object, FILE *to)
{
	const json_t *sections = json_object_get(object, "sections"),
		     *leases = json_object_get(object, "leases");
	long long leased = 0;
	size_t metric, i;

	for (metric = 0; metric < sizeof(metrics) / sizeof(metrics[0]); metric++) {
		write_head(metrics[metric].name, "gauge", metrics[metric].help, to);
		for (i = 0; i < json_array_size(sections); i++)
			write_section(json_array_get(sections, i), metric, to);
	}
	write_head(
		"portfence_refusals", "counter",
		"Calls that got no port of the range; with the reason system_port, they got one of "
		"the system's.",
		to);
	for (i = 0; i < json_array_size(sections); i++)
		write_refusals(json_array_get(sections, i), to);
	write_head("portfence_ports_outside", "gauge",
		   "Ports held by processes that are not fenced by this section.", to);
	for (i = 0; i < json_array_size(sections); i++) {
		const json_t *one = json_array_get(sections, i);

		fputs("portfence_ports_outside{application=", to);
		write_quoted(json_string_value(json_object_get(one, "name")), to);
		fprintf(to, "} %lld\n",
			(long long)json_integer_value(json_object_get(one, "outside")));
	}
	for (i = 0; i < json_array_size(leases); i++)
		leased += json_integer_value(json_object_get(json_array_get(leases, i), "ports"));
	write_head("portfence_leases", "gauge", "Leases that runs hold.", to);
	fprintf(to, "portfence_leases %zu\n", json_array_size(leases));
	write_head("portfence_leased_ports", "gauge", "Ports of these leases.", to);
	fprintf(to, "portfence_leased_ports %lld\n", leased);
	write_head("portfence_pool_ports", "gauge", "Ports that leases are taken from.", to);
	fprintf(to, "portfence_pool_ports %lld\n# EOF\n",
		(long long)json_integer_value(
			json_object_get(json_object_get(object, "pool"), "ports")));
}

/* Return: 0, or an errno */
static int write_file(const json_t *object, int fd)
{
	FILE *to = fdopen(fd, "w");
	int rc;

	if (!to) {
		rc = errno;
		close(fd);
		return rc;
	}
	status_metrics_write(object, to);
	rc = fflush(to) || fchmod(fd, 0644) || fsync(fd) ? errno : 0;
	return fclose(to) && !rc ? errno : rc;
}

int status_metrics_replace(const json_t *object, const char *path)
{
	char *new = malloc(strlen(path) + sizeof(".XXXXXX"));
	int fd, rc;

	if (!new)
		return say_failure("%s", strerror(ENOMEM));
	/* beside it, as rename() stays within a file system; node_exporter reads "*.prom" alone */
	stpcpy(stpcpy(new, path), ".XXXXXX");
	fd = mkstemp(new);
	rc = fd < 0 ? errno : write_file(object, fd);
	if (!rc && rename(new, path))
		rc = errno;
	if (rc && fd >= 0)
		unlink(new);
	free(new);
	return rc ? say_failure("'%s' cannot be written: %s", path, strerror(rc)) : 0;
}
