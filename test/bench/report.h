/* report: what was measured, as a table, as JSON and as a plot. It measures nothing. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "measure.h"

/* report_machine() - Prints the machine's description, in one line, and how it was measured */
void report_machine(const struct measure_effort *effort);

/* report_group() - Begins a group of rows */
void report_group(const char *title);

/* report_add() - Prints results, one line each, and keeps them */
void report_add(const struct measure_result *results, unsigned count);

/* report_grown() - How many rows make more system calls than are known, see calls_known() */
unsigned report_grown(void);

/* report_note() - Says a word between the rows */
__attribute__((format(printf, 1, 2))) void report_note(const char *format, ...);

/* report_json() - Writes all results. Return: 0 or -errno */
int report_json(const char *path, const struct measure_effort *effort);

/* report_svg() - Plots the occupancy curves by gnuplot. Return: 0, -ENOENT without gnuplot, -errno */
int report_svg(const char *path);

#endif
