/* status_metrics: what `status --json` has, as numbers for a monitor; it looks at no socket. */
#ifndef PORTFENCE_CLI_STATUS_METRICS_H
#define PORTFENCE_CLI_STATUS_METRICS_H

#include <jansson.h>
#include <stdio.h>

/**
 * status_metrics_write() - Write the sections and leases of the object in the OpenMetrics text format
 *
 * Source: OpenMetrics 1.0, ABNF. All samples of a metric stand together, as it demands.
 */
void status_metrics_write(const json_t *object, FILE *to);

/**
 * status_metrics_replace() - Write them to a file, which a reader finds as it was or whole
 * @path:	is replaced by a file that everybody may read; on failure it stays as it was
 *
 * Return: 0, or say_status() after the problem was reported
 */
int status_metrics_replace(const json_t *object, const char *path);

#endif
