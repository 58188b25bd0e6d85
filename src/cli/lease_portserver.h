/* lease_portserver: gives single ports to processes by python_portpicker's protocol; each is a lease. */
#ifndef PORTFENCE_CLI_LEASE_PORTSERVER_H
#define PORTFENCE_CLI_LEASE_PORTSERVER_H

#include "lease_block.h"
#include "lease_hold.h"

/**
 * lease_portserver_run() - Serve until @hold is over
 * @address:	path of a UNIX socket; "@" in front: a name in the abstract namespace
 * @block:	its pool
 *
 * A client sends a process id and a newline, and gets a port and a newline, or nothing if there is
 * no port for it. The port is given back when that process has ended. Clients of other users are
 * served by root alone, and each may only name processes of its own user.
 *
 * Prints the address once clients can connect. Return: 0, or say_status() after the problem was
 * reported. Source: python_portpicker, portserver.py.
 */
int lease_portserver_run(const char *address, const struct lease_block *block,
			 const struct settings *settings, struct lease_hold *hold);

#endif
