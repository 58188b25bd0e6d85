#include "mptcp.h"

#include <errno.h>

int mptcp_keep(const struct fence *fence, int fd)
{
	const struct range *range = fence->rule->range[PROTO_TCP];

	if (engine_kernel_check(&fence->kernel[PROTO_TCP], fence->calls, range, fd, false) ||
	    engine_kernel_set(fence->calls, range, fd))
		return -EOPNOTSUPP;
	return 0;
}

int mptcp_admit(const struct fence *fence, int fd)
{
	socklen_t len = sizeof(int);
	int protocol = 0;

	if (fence->calls->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) ||
	    protocol != IPPROTO_MPTCP || !mptcp_keep(fence, fd))
		return 0;
	return fence->rule->mptcp == MPTCP_ALLOW ? 0 : -EOPNOTSUPP;
}

bool mptcp_leaves(const struct fence *fence)
{
	return atomic_load_explicit(&fence->kernel[PROTO_TCP].refused, memory_order_relaxed);
}
