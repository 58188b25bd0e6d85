/* dear: makes each system call of the bench take longer, as machines of other makes do. */
#ifndef BENCH_DEAR_H
#define BENCH_DEAR_H

/* dear_make() - From now on, a system call of this process and its children takes about @ns nanoseconds */
void dear_make(unsigned ns);

/* dear_call_ns() - How long does a system call that does nothing take? Return: nanoseconds */
unsigned dear_call_ns(void);

#endif
