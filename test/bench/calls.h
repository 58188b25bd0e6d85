/* calls: how many system calls an operation makes, counted from outside, and how many it is known to make. */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include "subject.h"

/*
 * calls_count() - System calls for one operation of a row, those of processes
 * that it starts included
 *
 * @operations: how many to take the mean of
 *
 * By ptrace, so nothing is to be timed meanwhile. Return: their number; below 0
 * if they cannot be counted here
 */
double calls_count(struct subject *subject, const char *row, int operations);

/* calls_read() - Read the table of counts that are known; dies if it cannot be read */
void calls_read(const char *path);

/*
 * calls_known() - How many more calls than the plain one an operation makes, by the table
 *
 * Return: their number; below 0 if the table does not have it
 */
int calls_known(const char *row, const char *subject);

#endif
