#include "broker.h"

#include "../core/policy.h"
#include "fenced.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct broker brokers[] = {
	{ "wine*", "wineserver*", false, "end it first, with 'wineserver -k'" },
	{ "gpg,gpg2,dirmngr-client", "dirmngr", false,
	  "end it first, with 'gpgconf --kill dirmngr'" },
	{ "tmux", "tmux: server", false, "start a server of its own, with 'tmux -L NAME'" },
	{ "ssh,scp,sftp", "ssh", true, "connect without it, with '-o ControlPath=none'" },
	{ "docker,docker-compose", "dockerd", false, "run portfence inside the container" },
	{ "nerdctl,ctr", "containerd", false, "run portfence inside the container" },
	{ "systemd-run,machinectl,systemctl", "systemd", false,
	  "run portfence in the unit's own command" },
	{ "emacsclient", "emacs*", false, "start emacs itself by 'portfence run'" },
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

/* __SO_ACCEPTCON of include/uapi/linux/net.h, among the flags in /proc/net/unix */
#define LISTENS 0x10000

struct local_socket {
	pid_t pid;
	uint32_t inode;
	bool listens;
};

static bool local_socket_line(char *line, void *context)
{
	struct local_socket *local = context;
	unsigned flags, inode;

	local->listens = sscanf(line, "%*s %*x %*x %x %*x %*x %u", &flags, &inode) == 2 &&
			 (flags & LISTENS) && inode == local->inode;
	return !local->listens;
}

static int local_socket_check(uint32_t inode, void *context)
{
	struct local_socket *local = context;

	local->inode = inode;
	procfs_lines(local->pid, "net/unix", local_socket_line, local);
	return local->listens ? -EEXIST : 0;
}

static bool listens_locally(pid_t pid)
{
	struct local_socket local = { .pid = pid };

	procfs_sockets(pid, local_socket_check, &local);
	return local.listens;
}

bool broker_is(const struct broker *broker, pid_t pid)
{
	struct fenced_looks looks = { .known = NULL };
	struct procfs_status status;
	bool is;

	if (procfs_status(pid, &status) || fnmatch(broker->server, status.name, 0) != 0 ||
	    (status.uid && status.uid != geteuid()))
		return false;
	if (broker->listens && !listens_locally(pid))
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
