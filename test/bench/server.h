/* server: the far end of every row, in a process of its own. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

/*
 * server_main() - Serves until standard input ends
 *
 * It looks for connections once a millisecond rather than being woken by each,
 * so that a client's connect() pays for no wake-up. Commands, one a line, each
 * answered with a line:
 *   ready    answered once all sockets stand
 *   keep     from now on connections are kept, after those that wait are dropped
 *   drop     from now on they are closed, after those that wait are kept
 *   release  close what was kept
 *
 * Return: the process's exit status
 */
int server_main(void);

#endif
