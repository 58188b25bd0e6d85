#include "with_port.h"

/* A fresh socket is so only once: what is about to be done to it is not recorded. */
static void recall(struct shim *now, struct assign *assign)
{
	enum fdcache what = fdcache_get(now->descriptors, assign->fd);

	if (assign->sctp || what < FDCACHE_TCP4)
		return;
	fdcache_forget(now->descriptors, assign->fd);
	assign->fresh = true;
	assign->family = what == FDCACHE_TCP4 || what == FDCACHE_UDP4 ? AF_INET : AF_INET6;
	assign->proto = what == FDCACHE_TCP4 || what == FDCACHE_TCP6 ? PROTO_TCP : PROTO_UDP;
	assign->home = fdcache_home(now->descriptors, assign->proto);
}

int with_port_begin(struct shim *now, struct assign *assign, const char *name)
{
	int rc;

	recall(now, assign);
	rc = assign_begin(&now->fence, assign);
	if (assign->fresh && assign->home)
		fdcache_set_home(now->descriptors, assign->proto);
	if (rc < 0 && assign_speaks(assign))
		log_assign(&now->log, name, assign);
	return rc;
}

bool with_port_end(struct shim *now, struct assign *assign, const char *name, int *error)
{
	if (assign_end(&now->fence, assign, error) == ASSIGN_AGAIN)
		return true;
	if (assign_serves(assign) || assign->escaped)
		log_assign(&now->log, name, assign);
	return false;
}
