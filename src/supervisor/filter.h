/* filter: the seccomp filter of a supervised tree: which system calls trapped, and which are refused. */
#ifndef PORTFENCE_SUPERVISOR_FILTER_H
#define PORTFENCE_SUPERVISOR_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* Calls that wait for the supervisor. */
enum filter_call {
	FILTER_NONE,
	FILTER_BIND,
	FILTER_CONNECT,
	FILTER_LISTEN,
	FILTER_SENDTO,
	FILTER_SENDMSG,
	FILTER_SENDMMSG,
	FILTER_SOCKET,
	FILTER_SETSOCKOPT, /* of SCTP alone, as is the next */
	FILTER_GETSOCKOPT,
	FILTER_GETSOCKNAME, /* where sockets are born, as is the next */
	FILTER_EPOLL_CTL,   /* of EPOLL_CTL_ADD alone */
	FILTER_LANDLOCK_CREATE,
	FILTER_LANDLOCK_RESTRICT,
	FILTER_SOCKETCALL, /* one system call for all of them, on 32-bit x86 */
	FILTER_IO_URING    /* refused by the filter itself */
};

/* What a filter stops. */
struct filter {
	uint64_t gate;  /* what comes from this page passes; 0 for none */
	bool io_uring;  /* allow io_uring; what is done through it is not fenced */
	bool any_mptcp; /* let MPTCP sockets be made as the program asks for them */
	bool exact; /* only where no signal can interrupt a call that is being served (Linux 5.19) */
	bool born; /* the supervisor makes the sockets that it serves; stop what it has to know of them */
};

/**
 * filter_install() - Put this thread, and all that it starts, under the filter
 *
 * Sets no_new_privs where the kernel demands it: of all but CAP_SYS_ADMIN.
 *
 * Return: the listener, close-on-exec, to be served by another process; -EBUSY if a filter with a
 * listener is there already; another -errno. Source: seccomp(2), seccomp_unotify(2).
 */
int filter_install(const struct filter *filter);

/* filter_knows_exact() - Would the kernel take a filter that is exact? */
bool filter_knows_exact(void);

/* filter_draw_gate() - An address for a page that few programs use; 0 if there is none */
uint64_t filter_draw_gate(void);

/* filter_call() - What a trapped call is. @arch: AUDIT_ARCH_ value, seccomp(2) */
enum filter_call filter_call(uint32_t arch, int nr);

/* filter_socketcall() - What socketcall(2)'s first argument asks for; FILTER_NONE for the others */
enum filter_call filter_socketcall(uint64_t call);

/* filter_has_32bit_pointers() - Has this architecture 32-bit pointers? */
bool filter_has_32bit_pointers(uint32_t arch);

#endif
