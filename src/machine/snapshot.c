#include "snapshot.h"

int snapshot_take(unsigned flags, const struct policy *policy, struct snapshot *ret_snapshot,
		  const char **ret_why)
{
	int rc;

	ret_snapshot->looks.otherwise = policy;
	*ret_why = "the kernel does not tell of its sockets";
	rc = sockets_read(flags, &ret_snapshot->sockets);
	if (rc)
		return rc;
	*ret_why = "'/proc' cannot be read";
	return processes_read(&ret_snapshot->sockets, &ret_snapshot->processes);
}

void snapshot_free(struct snapshot *snapshot)
{
	sockets_free(&snapshot->sockets);
	processes_free(&snapshot->processes);
	fenced_forget(&snapshot->looks);
}
