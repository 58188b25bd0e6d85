#include "agents.h"

#include "../core/policy.h"
#include "procfs.h"

#include <errno.h>
#include <fnmatch.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static const struct agent agents[] = {
	/* https://developer.hashicorp.com/nomad/docs/configuration/client, min_dynamic_port */
	{ "Nomad", "its tasks", 20000, 32000, "nomad", NULL, NULL },
	/* https://kubernetes.io/docs/concepts/services-networking/service/, NodePort */
	{ "Kubernetes", "NodePort services", 30000, 32767,
	  "kubelet,kube-proxy,k3s*,rke2*,microk8s*,k0s*", "kube-ipvs*,cni0", "/var/lib/kubelet" },
	/* its FelixConfiguration, bpfPSNATPorts */
	{ "Calico", "translated connections", 20000, 29999, "calico-node,calico-felix",
	  "cali*,vxlan.calico,bpfin.cali,tunl0.calico", NULL },
};

_Static_assert(sizeof(agents) / sizeof(agents[0]) <= AGENTS_MOST, "see agents.h");

static bool fits(const char *globs, const char *name)
{
	char glob[POLICY_GLOB_MAX];

	while (globs && policy_next_glob(&globs, glob))
		if (!fnmatch(glob, name, 0))
			return true;
	return false;
}

static int try_process(pid_t pid, void *context)
{
	bool *seen = context;
	char name[PROCFS_NAME + 1];
	size_t i;

	/* of a thousand processes, "status" would take most of the time of `portfence leases` */
	if (procfs_read(pid, "comm", name, sizeof(name)) <= 0)
		return 0;
	name[strcspn(name, "\n")] = '\0';
	for (i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
		seen[i] |= fits(agents[i].processes, name);
	return 0;
}

static void find_interfaces(bool seen[])
{
	struct if_nameindex *list = if_nameindex(), *one;
	size_t i;

	for (one = list; one && one->if_name; one++)
		for (i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
			seen[i] |= fits(agents[i].interfaces, one->if_name);
	if (list)
		if_freenameindex(list);
}

static bool meets(const struct range *range, const struct agent *agent)
{
	uint32_t i;

	for (i = 0; i < range->spans; i++)
		if (range->span[i].first <= agent->last && range->span[i].last >= agent->first)
			return true;
	return false;
}

size_t agents_seen(const struct range *range, const struct agent *ret_agent[AGENTS_MOST])
{
	bool seen[AGENTS_MOST] = { false };
	size_t count = 0, i;

	procfs_each(try_process, seen);
	find_interfaces(seen);
	for (i = 0; i < sizeof(agents) / sizeof(agents[0]); i++) {
		seen[i] |= agents[i].folder && !access(agents[i].folder, F_OK);
		if (seen[i] && meets(range, &agents[i]))
			ret_agent[count++] = &agents[i];
	}
	return count;
}
