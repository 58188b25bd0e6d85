#include "snapshot.h"

#include "../cli/say.h"

#include <string.h>

int snapshot_around(unsigned flags, int failure, struct snapshot *look)
{
	int rc;

	look->looks.otherwise = &look->sections.policy;
	rc = sockets_read(flags, &look->sockets);
	if (rc)
		return say_failure(failure, "the kernel does not tell of its sockets: %s",
				   strerror(-rc));
	rc = processes_read(&look->sockets, &look->processes);
	return rc ? say_failure(failure, "'/proc' cannot be read: %s", strerror(-rc)) : 0;
}

void snapshot_end(struct snapshot *look)
{
	sections_free(&look->sections);
	sockets_free(&look->sockets);
	processes_free(&look->processes);
	fenced_forget(&look->looks);
}
