/* worker: one process of many threads that make and close sockets until its time is up. */
#ifndef PORTFENCE_TEST_WORKER_H
#define PORTFENCE_TEST_WORKER_H

/**
 * worker_run() - Be one
 * @index:	which of the processes it is
 *
 * Return: its exit status; what was found is in the shared mapping
 */
int worker_run(int index);

#endif
