#include "broker.h"

#include "../core/policy.h"
#include "fenced.h"
#include "procfs.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct broker brokers[] = {
	{ "wine*", "wineserver*", NULL, "end it first, with 'wineserver -k'" },
	{ "gpg,gpg2,dirmngr-client", "dirmngr", NULL,
	  "end it first, with 'gpgconf --kill dirmngr'" },
	{ "tmux", "tmux: server", NULL, "start a server of its own, with 'tmux -L NAME'" },
	{ "ssh,scp,sftp", "ssh", "[mux]", "connect without it, with '-o ControlPath=none'" },
	{ "docker,docker-compose", "dockerd", NULL, "run portfence inside the container" },
	{ "nerdctl,ctr", "containerd", NULL, "run portfence inside the container" },
	{ "systemd-run,machinectl,systemctl", "systemd", NULL,
	  "run portfence in the unit's own command" },
	{ "emacsclient", "emacs*", NULL, "start emacs itself by 'portfence run'" },
};

const struct broker *broker_of(const char *program)
{
	const char *name = policy_base_name(program), *list;
	char glob[POLICY_GLOB_MAX];
	size_t i;

	for (i = 0; i < sizeof(brokers) / sizeof(brokers[0]); i++)
		for (list = brokers[i].clients; policy_next_glob(&list, glob);)
			if (!fnmatch(glob, name, 0))
				return &brokers[i];
	return NULL;
}

bool broker_serves(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(brokers) / sizeof(brokers[0]); i++)
		if (!fnmatch(brokers[i].server, name, 0))
			return true;
	return false;
}

bool broker_is(const struct broker *broker, pid_t pid)
{
	struct fenced_looks looks = { .known = NULL };
	struct procfs_status status;
	char title[4096];
	bool is;

	if (procfs_status(pid, &status) || fnmatch(broker->server, status.name, 0) != 0 ||
	    (status.uid && status.uid != geteuid()))
		return false;
	/* it has the whole line as its first argument */
	if (broker->title && (procfs_read(pid, "cmdline", title, sizeof(title)) <= 0 ||
			      !strstr(title, broker->title)))
		return false;
	is = fenced_look(&looks, pid)->state != FENCED_RULE;
	fenced_forget(&looks);
	return is;
}

pid_t broker_running(const struct broker *broker)
{
	DIR *proc = opendir("/proc");
	const struct dirent *item;
	pid_t pid = 0;

	while (proc && !pid && (item = readdir(proc))) {
		const pid_t one = (pid_t)strtol(item->d_name, NULL, 10);

		if (one > 0 && broker_is(broker, one))
			pid = one;
	}
	if (proc)
		closedir(proc);
	return pid;
}
