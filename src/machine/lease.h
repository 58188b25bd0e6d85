/* lease: blocks of ports that one holder has at a time, by locks on a file; it fences nothing. */
#ifndef PORTFENCE_MACHINE_LEASE_H
#define PORTFENCE_MACHINE_LEASE_H

#include "../core/portmap.h"
#include "../core/range.h"
#include "../core/settings.h"
#include "lease_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * lease_open() - Open the file that the leases are locks on
 * @settings:	its policy names the file that all users share; else it is among the user's state
 *		files
 * @write:	to take a lease: the user's own file is made where it is not there
 * @ret_why:	on failure, the problem and what to do
 *
 * Return: descriptor, close-on-exec; -ENOENT if nobody has taken a lease yet, and it is not to be
 * written; another -errno
 */
int lease_open(const struct settings *settings, bool write, struct reason *ret_why);

/**
 * lease_take() - Take the first block of a pool that no other lease has and no socket is on
 * @fd:		of lease_open(); the block is held until its last copy is closed, fork(2)'s included
 * @count:	ports of the block, which lies in one piece of the pool
 *
 * Ports that only sockets in TIME_WAIT are on are taken where there are no others. What sockets
 * there are is looked at in this network namespace; a program without a lease may still be faster.
 * The search ends after some seconds, however many locks others hold.
 *
 * Return: 0; -EADDRINUSE if no such block is found now; -ESTALE if the file was removed; another
 * -errno. Source: fcntl(2), F_OFD_SETLK.
 */
int lease_take(int fd, const struct range *pool, uint32_t count, uint16_t *ret_first);

/* lease_take_at() - Take the block that begins at @first, and no other. Return: as lease_take() */
int lease_take_at(int fd, uint16_t first, uint32_t count);

/**
 * lease_keep() - Take a port that a program insists on, if no lease has it and no socket is on it
 *
 * If the process that took the lease of the port has ended, it waits some milliseconds for the end of
 * the lease.
 *
 * Return: 0; -EADDRINUSE if others have it; another -errno of lease_take()
 */
int lease_keep(int fd, uint16_t port);

/* lease_publish() - Tell others who has a lease: this user since now, and the rest from @lease. Return: 0 or -errno */
int lease_publish(int fd, const struct lease *lease);

/* Leases that are collected. */
struct lease_list {
	int fd;
	struct lease *lease; /* for the caller to free */
	size_t count;
};

/**
 * lease_list_by() - Collect what stands behind all locks of a file
 * @add:	is given @ret_list for each lock; see lease_file_walk()
 * @compare:	order of the list
 *
 * Return: as lease_list()
 */
int lease_list_by(int fd, lease_file_found_fn *add, int (*compare)(const void *, const void *),
		  struct lease_list *ret_list);

/**
 * lease_list() - All leases, by ascending port, but for one that @fd itself has
 * @ret_lease:	for the caller to free
 *
 * Return: 0; 1 if there are so many that the list ends after some seconds; -ENOMEM, another -errno
 */
int lease_list(int fd, struct lease **ret_lease, size_t *ret_count);

/* lease_set_map() - Tell of a rule's map */
void lease_set_map(struct lease *lease, const struct portmap *map);

/* lease_map() - What a lease tells of its map. Return: false if that is none */
bool lease_map(const struct lease *lease, struct portmap *ret_map);

/* lease_command() - A command line as a lease has it, cut where it is too long */
void lease_command(char *const argv[], char ret_text[LEASE_COMMAND]);

/* lease_command_of() - A process's command line in the same way, cut at @size. Return: false if it has none */
bool lease_command_of(pid_t pid, char *ret_text, size_t size);

/* Room for the longest text of lease_format() */
#define LEASE_TEXT (LEASE_APPLICATION + LEASE_NAME_MOST + LEASE_COMMAND + PROCESSES_NAME + 192)

/*
 * lease_format() - "20000-20099 by 'make check' (pid 4711, user erp, since 2026-01-31 12:00:00)"
 *
 * With a name: "20000-20099 'db' by 'make check' (pid ..."
 * Once the command has ended: "20000-20099 by 'make check', now adb (pid ..."
 */
void lease_format(const struct lease *lease, char ret_text[LEASE_TEXT]);

/* Room for the text of lease_format_since() */
#define LEASE_SINCE 32

/* lease_format_since() - "2026-01-31 12:00:00", local time; "?" if it is no time */
void lease_format_since(const struct lease *lease, char ret_text[LEASE_SINCE]);

#endif
