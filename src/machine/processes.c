#include "processes.h"

#include "array.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A number that is all of a text or ends at @end. Return: 0 if it is none */
static unsigned long read_number(const char *text, char end)
{
	char *rest;
	unsigned long number;

	if (*text < '1' || *text > '9')
		return 0;
	number = strtoul(text, &rest, 10);
	return *rest == end ? number : 0;
}

int processes_describe(pid_t pid, struct process *ret_process)
{
	char path[64], line[256], *c;
	unsigned effective;
	long number;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -ESRCH;
	ret_process->pid = pid;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "Name:\t", 6)) {
			snprintf(ret_process->name, sizeof(ret_process->name), "%.*s",
				 (int)strcspn(line + 6, "\n"), line + 6);
		} else if (sscanf(line, "PPid:\t%ld", &number) == 1) {
			ret_process->parent = (pid_t)number;
		} else if (sscanf(line, "Uid:\t%*u\t%u", &effective) == 1) {
			ret_process->uid = effective;
			break;
		}
	}
	fclose(file);
	/* a terminal is not to do what a process is called */
	for (c = ret_process->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return 0;
}

/* Notes which of @inodes the descriptors in a folder are. Return: 0 or -errno */
static int read_descriptors(DIR *folder, const uint32_t *inodes, size_t count,
			    struct processes *processes)
{
	static const char prefix[] = "socket:[";
	const size_t len = sizeof(prefix) - 1, before = processes->holds;
	const struct dirent *item;

	while ((item = readdir(folder))) {
		struct processes_hold *hold;
		char link[64];
		uint32_t inode;
		ssize_t n;

		n = readlinkat(dirfd(folder), item->d_name, link, sizeof(link) - 1);
		if (n <= (ssize_t)len || memcmp(link, prefix, len))
			continue;
		link[n] = '\0';
		inode = (uint32_t)read_number(link + len, ']');
		if (!bsearch(&inode, inodes, count, sizeof(*inodes), compare_inodes))
			continue;
		hold = array_grow(processes->hold, processes->holds, sizeof(*hold));
		if (!hold)
			return -ENOMEM;
		processes->hold = hold;
		hold[processes->holds].inode = inode;
		hold[processes->holds++].process = (uint32_t)processes->count;
	}
	processes->entry[processes->count].holds = processes->holds > before;
	return 0;
}

/* A kernel thread or a process that has ended holds nothing that could be missed. */
static bool has_memory(pid_t pid)
{
	char path[64], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "VmSize:", 7);
	if (file)
		fclose(file);
	return found;
}

static int read_process(pid_t pid, const uint32_t *inodes, size_t count,
			struct processes *processes)
{
	struct process *entry;
	char path[64];
	DIR *folder;
	int rc = 0;

	entry = array_grow(processes->entry, processes->count, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	processes->entry = entry;
	entry += processes->count;
	memset(entry, 0, sizeof(*entry));
	entry->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (folder) {
		rc = read_descriptors(folder, inodes, count, processes);
		closedir(folder);
	} else if (errno == EACCES || errno == EPERM) {
		processes->unseen += has_memory(pid);
	} else {
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : 0;
	}
	processes->count++;
	if (!rc && entry->holds)
		processes_describe(pid, entry);
	return rc;
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

/* A process may hold a socket by several descriptors. */
static void drop_doubles(struct processes *processes)
{
	size_t i, kept = 0;

	for (i = 0; i < processes->holds; i++)
		if (!kept || compare_holds(&processes->hold[i], &processes->hold[kept - 1]))
			processes->hold[kept++] = processes->hold[i];
	processes->holds = kept;
}

int processes_read(const struct sockets *sockets, struct processes *ret_processes)
{
	const struct dirent *item;
	uint32_t *inodes;
	size_t count;
	DIR *proc;
	int rc;

	memset(ret_processes, 0, sizeof(*ret_processes));
	inodes = list_inodes(sockets, &count);
	if (!inodes)
		return -ENOMEM;
	proc = opendir("/proc");
	rc = proc ? 0 : -errno;
	/* the kernel lists them by ascending id (fs/proc/base.c, proc_pid_readdir) */
	while (proc && !rc && (item = readdir(proc))) {
		pid_t pid = (pid_t)read_number(item->d_name, '\0');

		if (pid)
			rc = read_process(pid, inodes, count, ret_processes);
	}
	if (proc)
		closedir(proc);
	free(inodes);
	if (ret_processes->holds) {
		qsort(ret_processes->hold, ret_processes->holds, sizeof(*ret_processes->hold),
		      compare_holds);
		drop_doubles(ret_processes);
	}
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
	const struct passwd *entry = getpwuid(uid);

	if (entry)
		snprintf(ret_text, PROCESSES_USER, "user %s", entry->pw_name);
	else
		snprintf(ret_text, PROCESSES_USER, "user %u", (unsigned)uid);
}
