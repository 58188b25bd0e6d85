#include "processes.h"

#include "array.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_inodes(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_holds(const void *a, const void *b)
{
	const struct processes_hold *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return (x->process > y->process) - (x->process < y->process);
}

static int compare_processes(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

int processes_describe(pid_t pid, struct process *ret_process)
{
	struct procfs_status status;
	int rc = procfs_status(pid, &status);
	char *c;

	if (rc)
		return rc;
	ret_process->pid = pid;
	ret_process->parent = status.parent;
	ret_process->uid = status.uid;
	memcpy(ret_process->name, status.name, sizeof(ret_process->name));
	/* a name must not control the terminal that it is shown on */
	for (c = ret_process->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return 0;
}

/* What the descriptors of one process are compared with. */
struct search {
	const uint32_t *inodes; /* of all sockets, ascending */
	size_t count;
	struct processes *processes; /* the process is the last */
};

static int note_hold(uint32_t inode, void *context)
{
	const struct search *search = context;
	struct processes *processes = search->processes;
	struct processes_hold *hold;

	if (!bsearch(&inode, search->inodes, search->count, sizeof(inode), compare_inodes))
		return 0;
	hold = array_add(&processes->hold, &processes->holds, sizeof(*hold));
	if (!hold)
		return -ENOMEM;
	hold->inode = inode;
	hold->process = (uint32_t)processes->count - 1;
	return 0;
}

/* Could a process hold sockets that we may not see? A kernel thread cannot, nor what has ended. */
static bool may_hold(pid_t pid)
{
	struct procfs_status status;
	int rc = procfs_status(pid, &status);

	return rc ? rc != -ESRCH : status.has_memory;
}

static int read_process(pid_t pid, struct search *search)
{
	struct processes *processes = search->processes;
	const size_t before = processes->holds;
	struct process *entry;
	int rc;

	entry = array_add(&processes->entry, &processes->count, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->pid = pid;
	rc = procfs_sockets(pid, note_hold, search);
	if (rc == -EACCES || rc == -EPERM) {
		processes->unseen += may_hold(pid);
		rc = 0;
	}
	entry->holds = processes->holds > before;
	if (!rc && entry->holds)
		rc = processes_describe(pid, entry);
	if (rc != -ESRCH)
		return rc;
	processes->holds = before;
	processes->count--;
	return 0;
}

/* The sockets' inodes, ascending. Return: NULL if there is no memory */
static uint32_t *list_inodes(const struct sockets *sockets, size_t *ret_count)
{
	uint32_t *inodes = malloc((sockets->count + 1) * sizeof(*inodes));
	size_t i, count = 0;

	if (!inodes)
		return NULL;
	for (i = 0; i < sockets->count; i++)
		if (sockets->entry[i].inode)
			inodes[count++] = sockets->entry[i].inode;
	qsort(inodes, count, sizeof(*inodes), compare_inodes);
	*ret_count = count;
	return inodes;
}

int processes_read(const struct sockets *sockets, struct processes *ret_processes)
{
	const struct dirent *item;
	struct search search = { .processes = ret_processes };
	uint32_t *inodes;
	DIR *proc;
	int rc;

	memset(ret_processes, 0, sizeof(*ret_processes));
	inodes = list_inodes(sockets, &search.count);
	if (!inodes)
		return -ENOMEM;
	search.inodes = inodes;
	proc = opendir("/proc");
	rc = proc ? 0 : -errno;
	/* the kernel lists them by ascending id (fs/proc/base.c, proc_pid_readdir) */
	while (proc && !rc && (item = readdir(proc))) {
		pid_t pid = (pid_t)strtol(item->d_name, NULL, 10);

		if (pid > 0)
			rc = read_process(pid, &search);
	}
	if (proc)
		closedir(proc);
	free(inodes);
	/* a process may hold a socket by several descriptors */
	ret_processes->holds = array_sort_unique(ret_processes->hold, ret_processes->holds,
						 sizeof(*ret_processes->hold), compare_holds);
	return rc;
}

void processes_free(struct processes *processes)
{
	free(processes->entry);
	free(processes->hold);
	memset(processes, 0, sizeof(*processes));
}

size_t processes_holders(const struct processes *processes, uint32_t inode,
			 const struct processes_hold **ret_first)
{
	size_t low = 0, high = processes->holds, count = 0;

	if (!inode)
		return 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (processes->hold[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + count < processes->holds && processes->hold[low + count].inode == inode)
		count++;
	*ret_first = processes->hold + low;
	return count;
}

const struct process *processes_find(const struct processes *processes, pid_t pid)
{
	const struct process wanted = { .pid = pid };

	return bsearch(&wanted, processes->entry, processes->count, sizeof(wanted),
		       compare_processes);
}

void processes_format_user(uid_t uid, char ret_text[PROCESSES_USER])
{
	/* of a thousand processes, most have the same user: getpwuid() would read a file for each */
	static char known[PROCESSES_USER];
	static uid_t known_uid;
	const struct passwd *entry;

	if (!*known || known_uid != uid) {
		entry = getpwuid(uid);
		if (entry)
			snprintf(known, sizeof(known), "user %s", entry->pw_name);
		else
			snprintf(known, sizeof(known), "user %u", (unsigned)uid);
		known_uid = uid;
	}
	strcpy(ret_text, known);
}
