/* lease_name: names of a user's leases: who asks for the same name gets the same block. */
#ifndef PORTFENCE_MACHINE_LEASE_NAME_H
#define PORTFENCE_MACHINE_LEASE_NAME_H

#include "../core/range.h"
#include "../core/settings.h"
#include "lease.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* It stands for a name of the current folder, or of the repository or worktree that this folder is in. */
#define LEASE_NAME_FOLDER "@dir"

/**
 * lease_name_read() - Read a name that a user gave
 * @text:	LEASE_NAME_FOLDER becomes "@" with the folder's name and a hash of its path
 *
 * Return: 0; -EINVAL and the problem in @ret_why
 */
int lease_name_read(const char *text, char ret_name[LEASE_NAME_MOST + 1], struct reason *ret_why);

/* lease_name_open() - Open the user's file of names. Return: as lease_open() */
int lease_name_open(const struct settings *settings, bool write, struct reason *ret_why);

/* What became of a name. */
struct lease_named {
	uint64_t id;   /* of the time that the block has the name */
	uint32_t slot; /* of this holder */
	bool joined;   /* others had the block already */
	bool moved;    /* the name had another block before, which is not free or not in the pool */
	uint16_t before_first, before_last; /* of that block */
};

/**
 * lease_name_take() - Take the block that a name has, or give it one
 * @fd:		of lease_name_open(), opened for this call; the name is held until its last copy is closed
 * @lease_fd:	of lease_open(), like @fd: the block is held until its last copy is closed
 * @count:	ports; 0: as many as the name had
 * @entry:	who takes it; it gets the ports and the name, and others are told all of it
 *
 * While anybody holds the name, it keeps its block, even if that is outside the pool by now. Who takes
 * the name later gets the same block if it lies in the pool and is free, or else another.
 *
 * Return: 0; -ENOENT if the name is new and @count is 0; -EADDRINUSE if no block is found now;
 * -EMSGSIZE if the name is held with fewer ports, which @entry gets; -EBUSY if other processes keep
 * the file locked; -ENOSPC if all names or places are held; another -errno of lease_take()
 */
int lease_name_take(int fd, int lease_fd, const struct range *pool, uint32_t count,
		    const char *name, struct lease *entry, struct lease_named *ret_named);

/**
 * lease_name_keep() - Take a port that a program insists on, as lease_keep(), for all who hold a name
 * @fd:		holds the name, by lease_name_take()
 * @lease_fd:	of lease_open(), not the one that has the block: the port is held until its last copy is
 *		closed
 *
 * The first holder that asks decides it for all who hold the name at the same time.
 *
 * Return: as lease_keep(); -EBUSY if other processes keep the file of names locked
 */
int lease_name_keep(int fd, int lease_fd, const struct lease_named *named, uint16_t port);

/* lease_name_publish() - Tell others who holds a name. Return: 0 or -errno */
int lease_name_publish(int fd, const struct lease_named *named, const struct lease *entry);

/**
 * lease_name_list() - All holders of all names, by ascending port, then by the time since when
 * @ret_lease:	for the caller to free
 *
 * Return: as lease_list()
 */
int lease_name_list(int fd, struct lease **ret_lease, size_t *ret_count);

/**
 * lease_name_release() - End the holder of a lease that is @detached, and wait until it has ended
 *
 * Return: 0; -ESRCH if it is not to be found here (another PID namespace); another -errno
 */
int lease_name_release(int fd, const struct lease *lease);

#endif
