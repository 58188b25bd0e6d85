#include "with_port.h"

#include "sandbox.h"

/* Uses the fresh hint once: after this call, nobody keeps track of the socket's options. */
static void use_fresh_hint(struct shim *shim, struct assign *assign)
{
	enum fdcache_state what = fdcache_get(shim->fdcache, assign->fd);

	if (assign->sctp || what < FDCACHE_TCP4)
		return;
	fdcache_forget(shim->fdcache, assign->fd);
	assign->fresh = true;
	assign->reuse_addr = what == FDCACHE_TCP4_REUSE || what == FDCACHE_TCP6_REUSE;
	assign->family = what == FDCACHE_TCP4 || what == FDCACHE_TCP4_REUSE || what == FDCACHE_UDP4
				 ? AF_INET
				 : AF_INET6;
	assign->proto = what == FDCACHE_UDP4 || what == FDCACHE_UDP6 ? PROTO_UDP : PROTO_TCP;
	assign->same_netns = fdcache_same_netns(shim->fdcache, assign->proto);
}

bool with_port_is_shy(struct shim *shim, int fd)
{
	const enum fdcache_state what = fdcache_get(shim->fdcache, fd);

	/* whoever makes a socket and sends through it may do what a send without destination asks for */
	if (what == FDCACHE_UDP4 || what == FDCACHE_UDP6)
		return false;
	if (sandbox_is_filtered() || !shim->marked)
		return true;
	if (what == FDCACHE_RECEIVED)
		assign_keep_port(&shim->fence, fd);
	return false;
}

static void write_assign(struct shim *shim, const struct assign *assign, const char *name)
{
	union addr local;

	assign_count(&shim->fence, assign);
	log_assign(&shim->log, name, assign, log_local(&shim->log, assign, &local));
}

int with_port_begin(struct shim *shim, struct assign *assign, const char *name)
{
	int rc;

	assign->shy = with_port_is_shy(shim, assign->fd);
	use_fresh_hint(shim, assign);
	if (!shim->fence.sources)
		shim->fence.sources = fdcache_sources(shim->fdcache);
	rc = assign_begin(&shim->fence, assign);
	if (assign->fresh && assign->same_netns)
		fdcache_set_same_netns(shim->fdcache, assign->proto);
	if (rc < 0 && assign->outcome != OUTCOME_FINE)
		write_assign(shim, assign, name);
	return rc;
}

bool with_port_end(struct shim *shim, struct assign *assign, const char *name, int *error)
{
	if (assign_end(&shim->fence, assign, error) == ASSIGN_AGAIN)
		return true;
	if (assign_serves(assign) || assign->outcome == OUTCOME_ESCAPED)
		write_assign(shim, assign, name);
	if (assign->call == ASSIGN_BIND && !*error)
		log_named_outside(&shim->log, shim->fence.rule, assign);
	return false;
}
