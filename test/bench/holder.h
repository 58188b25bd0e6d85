/* holder: a process that holds ports of a range, so that it is more or less full. */
#ifndef BENCH_HOLDER_H
#define BENCH_HOLDER_H

/*
 * holder_main() - Holds ports until standard input ends
 *
 * Commands, one a line, each answered with `ok COUNT` or `failed WHY`:
 *   hold HOW SHAPE FIRST SIZE FROM TO
 *            the candidates number FROM up to TO of the ports FIRST..FIRST+SIZE-1 in
 *            the order of SHAPE: `run`, ascending; `even` and `odd`, those at an even or
 *            odd distance from FIRST and then the rest; `scatter`, one fixed random order
 *   release  gives them all back
 *
 * HOW, as the processes that are measured would hold them:
 *   tcp, udp         bound to the wildcard address, exclusively
 *   bound-PORT       connected to PORT; bound by hand, then opened to sharing
 *   chosen-PORT      connected to PORT; chosen by the kernel (ip_local_port_range is
 *                    set to that one port for a moment). The two do not mix.
 *
 * Return: the process's exit status
 */
int holder_main(void);

#endif
