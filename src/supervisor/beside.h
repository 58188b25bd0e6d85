/* beside: makes a process beside the program, which the program does not notice; what it does is not known here. */
#ifndef PORTFENCE_SUPERVISOR_BESIDE_H
#define PORTFENCE_SUPERVISOR_BESIDE_H

#include <stdbool.h>
#include <sys/types.h>

/* A process beside this one, and the channel to it: SOCK_SEQPACKET, close-on-exec. */
struct beside {
	pid_t pid; /* after beside_meet() */
	int channel;
	/* for beside_leave_alone() */
	pid_t child;
	bool is_orphan;
};

/**
 * beside_start() - Make a process
 * @life:	what it does; @program is this process, @channel its own end, and @theirs the number that the
 *		program's end has in the program. It begins with beside_greet()
 *
 * It is no child of this process, as far as wait(2) tells: see beside.c.
 *
 * Return: 0, -errno
 */
int beside_start(void (*life)(void *context, pid_t program, int channel, int theirs), void *context,
		 struct beside *ret_beside);

/**
 * beside_greet() - In the process beside: tell the program who we are, and how we do
 * @rc:		for beside_meet()
 *
 * Return: false if nobody is left at the other end
 */
bool beside_greet(int channel, int rc);

/**
 * beside_meet() - Wait for the process's beside_greet()
 * @beside:	its process id is filled in
 *
 * Return: what the process says, -EAGAIN if there is no process
 */
int beside_meet(struct beside *beside);

/**
 * beside_leave_alone() - Go on with the program, once the process needs nothing more of it
 * @failed:	close the channel, so that the process ends. Else execve(2) closes the channel, by which the
 *		process learns that the command is executed
 */
void beside_leave_alone(struct beside *beside, bool failed);

/**
 * beside_call() - Call a function in a process of its own that shares this one's memory, and ends with it
 * @function:	makes no call that has more to it than a system call, as this process goes on meanwhile
 * @flags:	more flags of clone(2)
 *
 * No page is copied. No signal announces the process's end. There is one such process at a time.
 *
 * Return: its process id, or -1 and errno
 */
pid_t beside_call(int (*function)(void *context), void *context, int flags);

/* beside_hear() - Get a number from a channel or a pipe. Return: false if nobody is left at the other end */
bool beside_hear(int from, int *ret_number);

/* beside_say() - Send a number. Return: false if nobody is left at the other end */
bool beside_say(int to, int number);

/**
 * beside_detach() - Leave the program's session, terminal and folder, ignore signals, and close its files
 * @keep:	descriptors to keep; they get other numbers
 *
 * Return: 0, -errno
 */
int beside_detach(int *const keep[], unsigned count);

/* beside_rename() - Give this process a command line that says what it @does, such as "supervises" */
void beside_rename(const char *does, pid_t program);

#endif
