/* calls: how many system calls an operation makes, counted from outside. */
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

#endif
