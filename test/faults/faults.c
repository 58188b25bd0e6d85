/*
 * faults: each system call that the library makes is answered with each error that its manual page
 * lists (and ENOSYS and EPERM, as a sandbox answers), at its first and at later occurrences, in each
 * scene; and what becomes of the program's calls is held against what is expected. As root.
 *
 *   faults run LIBRARY INJECTOR PORTFENCE FOLDER all|some [SCENE]    FOLDER: an empty one
 *   faults scene NAME                                             for its own use
 *
 * With `some`, each is tried at the first and the last time that a scene makes it, and at all times
 * at once; what every scene begins with, in one scene only. A line for each case: scene, call, occurrence, error, outcome, and "ok" or "bad". The outcome is
 * "same" (as without the fault), or how it differs: by errno, by "range" where the plain call had
 * failed; then "told" if standard error has a line about it.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 2
#define HANG_MS 120000
#define RECORDS 16
#define KEYS 4096

static const char *library, *injector, *portfence, *folder;
static char self[4096];
static bool all;
static int result_fd, worker;

/* ---- the errors that the manual pages list ---- */

/*
 * Left out: EFAULT, and EBADF where the descriptor is the library's own, as the pointers and
 * descriptors that it hands over are good.
 */
#define SANDBOX "EPERM ENOSYS "
#define PATH_ERRORS "EACCES EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR "
#define OPEN_ERRORS                                                                                \
	SANDBOX PATH_ERRORS "EDQUOT EEXIST EFBIG EINTR EINVAL EISDIR EMFILE ENFILE ENODEV ENOSPC " \
			    "ENXIO EOPNOTSUPP EOVERFLOW EROFS ETXTBSY EAGAIN"

static const struct {
	const char *key; /* as far as the colon, if there is none in it */
	const char *errors;
} possible[] = {
	{ "access", SANDBOX PATH_ERRORS "EINVAL EROFS" },
	{ "asprintf", "ENOMEM" },
	{ "bind", SANDBOX "EACCES EADDRINUSE EADDRNOTAVAIL EBADF EINVAL ENOMEM ENOBUFS ENOTSOCK" },
	{ "capget", SANDBOX "EINVAL ESRCH" },
	{ "close", "EINTR EIO ENOSPC EDQUOT" },
	{ "connect",
	  SANDBOX "EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED "
		  "EINPROGRESS EINTR EISCONN ENETUNREACH ENOTSOCK EPROTOTYPE ETIMEDOUT" },
	{ "fcntl", SANDBOX "EINVAL EMFILE" },
	{ "flock", SANDBOX "EAGAIN EBADF EINTR EINVAL ENOLCK" },
	{ "fstat", SANDBOX "EACCES EBADF EIO ENOMEM EOVERFLOW" },
	{ "ftruncate", SANDBOX "EACCES EBADF EFBIG EINTR EINVAL EIO ENOSPC EROFS" },
	{ "getcwd", SANDBOX "EACCES EINVAL ENAMETOOLONG ENOENT ENOMEM ERANGE" },
	{ "getpeername", SANDBOX "EACCES EBADF EINVAL ENOBUFS ENOTCONN ENOTSOCK" },
	{ "getpid", SANDBOX },
	{ "getrandom", SANDBOX "EAGAIN EINTR EINVAL SHORT ZERO" },
	{ "getsockname", SANDBOX "EACCES EBADF EINVAL ENOBUFS ENOTSOCK" },
	{ "getsockopt", SANDBOX "EACCES EBADF EINVAL ENOPROTOOPT ENOTSOCK ENOMEM" },
	{ "linkat", SANDBOX PATH_ERRORS "EDQUOT EEXIST EMLINK ENOSPC EROFS EXDEV" },
	{ "listen", SANDBOX "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP" },
	{ "getxattr", SANDBOX PATH_ERRORS "ENODATA EOPNOTSUPP ERANGE" },
	{ "lseek", SANDBOX "EBADF EINVAL ENXIO EOVERFLOW ESPIPE" },
	{ "madvise", SANDBOX "EACCES EAGAIN EBADF EINVAL EIO ENOMEM" },
	{ "malloc", "ENOMEM" },
	{ "lstat", SANDBOX PATH_ERRORS "EOVERFLOW" },
	{ "mkdir", SANDBOX PATH_ERRORS "EDQUOT EEXIST EINVAL EMLINK ENOSPC EROFS" },
	{ "mmap",
	  SANDBOX "EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EOVERFLOW ETXTBSY" },
	{ "mremap", SANDBOX "EAGAIN EFAULT EINVAL ENOMEM" },
	{ "munmap", SANDBOX "EINVAL ENOMEM" },
	{ "nanosleep", SANDBOX "EINTR EINVAL" },
	{ "open", OPEN_ERRORS },
	{ "openat", OPEN_ERRORS },
	{ "ppoll", SANDBOX "EINTR EINVAL ENOMEM ZERO" },
	{ "putenv", "ENOMEM" },
	{ "pwritev2",
	  SANDBOX "EAGAIN EDQUOT EFBIG EINTR EINVAL EIO ENOSPC EOPNOTSUPP EPIPE ESPIPE ZERO" },
	{ "read", SANDBOX "EAGAIN EINTR EINVAL EIO EISDIR SHORT ZERO" },
	{ "readlink", SANDBOX PATH_ERRORS "EINVAL" },
	{ "fstatfs", SANDBOX "EINTR EIO ENOMEM EOVERFLOW" },
	{ "recvfrom:netlink",
	  SANDBOX "EAGAIN ECONNREFUSED EINTR EINVAL ENOBUFS ENOMEM ENOTCONN SHORT ZERO "
		  "GARBAGE LENGTH LONG INTERRUPTED" },
	{ "rt_sigprocmask", SANDBOX },
	{ "rt_sigprocmask:restore", SANDBOX },
	{ "rt_sigtimedwait", SANDBOX "EAGAIN EINTR EINVAL" },
	{ "sbrk", "ENOMEM" },
	{ "sched_yield", SANDBOX },
	{ "sendmsg:syslog",
	  SANDBOX "EACCES EAGAIN ECONNREFUSED ECONNRESET EINTR EMSGSIZE ENOBUFS ENOENT ENOMEM "
		  "ENOTCONN EPIPE" },
	{ "send",
	  SANDBOX "EACCES EAGAIN EBADF ECONNREFUSED EDESTADDRREQ EINTR EINVAL EISCONN EMSGSIZE "
		  "ENOBUFS ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE" },
	{ "sendto:netlink",
	  SANDBOX "EACCES EAGAIN ECONNREFUSED EINTR EINVAL EMSGSIZE ENOBUFS ENOMEM" },
	{ "sendto",
	  SANDBOX "EACCES EAGAIN EBADF ECONNREFUSED EDESTADDRREQ EINTR EINVAL EISCONN "
		  "EMSGSIZE ENOBUFS ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE EINPROGRESS" },
	{ "sendmsg",
	  SANDBOX "EACCES EAGAIN EBADF EINTR EINVAL EMSGSIZE ENOBUFS ENOMEM ENOTSOCK EPIPE" },
	{ "sendmmsg",
	  SANDBOX "EACCES EAGAIN EBADF EINTR EINVAL EMSGSIZE ENOBUFS ENOMEM ENOTSOCK EPIPE" },
	{ "setsockopt", SANDBOX "EACCES EBADF EINVAL ENODEV ENOMEM ENOPROTOOPT ENOTSOCK" },
	{ "shutdown", SANDBOX "EBADF EINVAL ENOTCONN ENOTSOCK" },
	{ "sigpending", SANDBOX },
	{ "sigprocmask", SANDBOX "EINVAL" },
	{ "socket",
	  SANDBOX "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT" },
	{ "unlinkat", SANDBOX PATH_ERRORS "EBUSY EISDIR EROFS" },
	{ "unsetenv", "ENOMEM" },
	{ "write", SANDBOX "EAGAIN EDQUOT EFBIG EINTR EINVAL EIO ENOSPC EPIPE SHORT ZERO" },
	{ "statvfs", SANDBOX PATH_ERRORS "EINTR EOVERFLOW" },
	{ "stat", SANDBOX PATH_ERRORS "EOVERFLOW" },
};

static const struct {
	const char *name;
	int value;
} answers[] = {
	{ "SHORT", FAULT_SHORT },   { "ZERO", FAULT_ZERO }, { "GARBAGE", FAULT_GARBAGE },
	{ "LENGTH", FAULT_LENGTH }, { "LONG", FAULT_LONG }, { "INTERRUPTED", FAULT_INTERRUPTED },
};

/* Is @word one of the blank-separated words of @list? "*" is all of them. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; *list; list += strcspn(list, " "), list += strspn(list, " ")) {
		if (*list == '*')
			return true;
		if (!strncmp(list, word, len) && (list[len] == ' ' || !list[len]))
			return true;
	}
	return false;
}

static int answer_of(const char *name)
{
	size_t i;
	int error;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (!strcmp(answers[i].name, name))
			return answers[i].value;
	for (error = 1; error < 134; error++)
		if (strerrorname_np(error) && !strcmp(strerrorname_np(error), name))
			return error;
	fprintf(stderr, "what is %s?\n", name);
	exit(3);
}

/* Does @pattern name @key? A key has a detail behind a colon, and a pattern may leave it out. */
static bool names_key(const char *pattern, const char *key)
{
	size_t len = strlen(pattern);

	return !strncmp(pattern, key, len) &&
	       (!key[len] || (key[len] == ':' && strcmp(key + len, ":netlink") != 0));
}

/* Does one of the blank-separated patterns name it? */
static bool has_key(const char *patterns, const char *key)
{
	char list[1024], *one, *save = NULL;

	snprintf(list, sizeof(list), "%s", patterns);
	for (one = strtok_r(list, " ", &save); one; one = strtok_r(NULL, " ", &save))
		if (names_key(one, key))
			return true;
	return false;
}

static const char *errors_of(const char *key)
{
	size_t i;

	for (i = 0; i < sizeof(possible) / sizeof(possible[0]); i++)
		if (names_key(possible[i].key, key))
			return possible[i].errors;
	fprintf(stderr, "no errors are known of %s\n", key);
	exit(3);
}

/* ---- what is expected ---- */

#define LOGS "log-file log-full log-syslog log-overlap record"
#define KERNELS "start-kernel listen-kernel connect-kernel send-kernel dissolve-kernel"
#define SHARES "share share-any crowd time-wait"
#define EXECS "exec-large exec-shell start-relative"

/* What the configuration is read with */
#define READING                                                                                    \
	"open:configuration openat:portfence.ini fstat read:configuration mmap:anonymous "         \
	"readlink access "                                                                         \
	"openat:cmdline openat:services openat:ip_local_port_range read"
/* What the kernel engine asks before it serves */
#define JUDGING                                                                                    \
	"openat:ip_local_port_range openat:ip_local_reserved_ports read mmap:anonymous "           \
	"socket:AF_INET getsockopt:SO_NETNS_COOKIE setsockopt:IP_LOCAL_PORT_RANGE"
#define IDENTITY "getsockname getsockopt:SO_TYPE getsockopt:SO_PROTOCOL"
#define NETLINK "socket:NETLINK_SOCK_DIAG socket:NETLINK_ROUTE sendto:netlink recvfrom:netlink"
#define EXHAUSTED "EADDRINUSE EADDRNOTAVAIL EAGAIN "
#define EXHAUSTED_LOUD "EADDRINUSE! EADDRNOTAVAIL! EAGAIN! "
/* Where one call has failed, the next may do better, or have nothing to send to. */
#define AFTERWARDS " range EDESTADDRREQ"

/*
 * The first line that fits says which outcomes there may be beyond "same"; what
 * is not listed changes nothing for the program. "!" behind one: and there has
 * to be a line on standard error. "itself": the error that was injected.
 */
static const struct {
	const char *scenes; /* "*": all */
	const char *keys;
	const char *errors;
	const char *outcomes;
} expected[] = {
	/* A port that the program names needs nothing of a broken configuration. */
	{ "bind-own bind-deny", READING, "*", "outside range" },
	{ LOGS, READING, "*", "EACCES" },
	/* Such a file is not there, and the next place is looked at. */
	{ "start-xdg start-home", "open:configuration openat:portfence.ini access",
	  "ENOENT ENOTDIR", "outside" },
	/* a home folder that is somebody else's */
	{ "start-home", "access", "EACCES", "outside" },
	/* Without a /proc a program is what it was started as. */
	{ "start-link", "readlink", "ENOENT ENOTDIR", "outside" },
	/* a program without arguments */
	{ "start-args", "read", "ZERO", "outside EACCES!" },
	/* which has such a line anyway */
	{ "moved", JUDGING, "*", "EACCES! EADDRNOTAVAIL" AFTERWARDS },
	{ KERNELS, JUDGING, "*", "EACCES! " EXHAUSTED_LOUD AFTERWARDS },
	{ EXECS, "mmap:anonymous asprintf putenv unsetenv", "*", "ENOMEM EACCES!" },
	{ "*", READING, "*", "EACCES!" AFTERWARDS },

	/* A descriptor that is no socket is none for the call either. */
	{ "*", IDENTITY, "EBADF ENOTSOCK", "itself outside outside-failed" AFTERWARDS },
	{ "*", IDENTITY, "*", "EACCES!" AFTERWARDS },

	/* Nobody can take the port back (OUT OF REACH in libportfence(8)). */
	{ "send-nowhere-bind send-nowhere-auto", "getpeername", "ENOTCONN",
	  "EMSGSIZE outside-failed" },
	{ "send-nowhere-bind send-nowhere-auto", "getpeername connect:AF_UNSPEC", "*",
	  "outside-failed! outside!" },

	/* The program's own call fails, and with its own error. */
	{ "moved", "connect", "*", "itself outside-failed" AFTERWARDS },
	{ "*", "connect listen send sendto sendmsg sendmmsg", "*", "itself" AFTERWARDS },

	{ "bind-own bind-deny", "bind", "*", "itself EADDRINUSE" },
	{ SHARES, "bind", "EADDRINUSE EACCES", "itself! EADDRNOTAVAIL outside" AFTERWARDS },
	{ "*", "bind", "EADDRINUSE EINVAL", "itself " EXHAUSTED AFTERWARDS },
	{ "*", "bind", "EADDRNOTAVAIL EBADF ENOTSOCK", "itself" AFTERWARDS },
	{ "*", "bind", "*", "itself!" AFTERWARDS },

	{ "*",
	  "getsockopt:SO_REUSEADDR getsockopt:SO_REUSEPORT setsockopt:SO_REUSEADDR=0 setsockopt:SO_REUSEPORT=0",
	  "EBADF EINVAL ENODEV ENOPROTOOPT ENOTSOCK", "itself " EXHAUSTED AFTERWARDS },
	{ "*",
	  "getsockopt:SO_REUSEADDR getsockopt:SO_REUSEPORT setsockopt:SO_REUSEADDR=0 setsockopt:SO_REUSEPORT=0",
	  "*", "itself!" AFTERWARDS },
	/* what could be cleared can be set, but for a fault of a moment */
	{ "bind-reuse-bind bind-reuse-auto", "setsockopt:SO_REUSEADDR=1 setsockopt:SO_REUSEPORT=1",
	  "*", "range-options" },
	/* then a port is not shared, and `share-any` has all others */
	{ "share share-any", "setsockopt:SO_REUSEADDR=1", "*", "EADDRNOTAVAIL outside" AFTERWARDS },
	{ SHARES, NETLINK, "*", "EADDRNOTAVAIL! EADDRNOTAVAIL" AFTERWARDS },

	/* what the kernel does not take back, it does not take back */
	{ "share-any", "munmap", "*", "range-mappings outside-mappings" },
	{ "*", "munmap", "*", "range-mappings EADDRNOTAVAIL-mappings ECONNREFUSED-mappings" },
	{ "*", "sigprocmask:restore rt_sigprocmask:restore", "*",
	  "range-mask outside-mask outside-failed-mask EADDRNOTAVAIL-mask ECONNREFUSED-mask" },
};

struct outcome {
	size_t count;
	struct record record[RECORDS];
	int status;
	char errors[4096]; /* standard error */
	bool hung;
};

static const char *word_of(const struct scene *scene, const struct record *record)
{
	static char word[128];
	const char *name = record->result < 0 ? strerrorname_np(record->error) : "range";
	bool outside = record->port && (record->port < scene->first || record->port > scene->last);

	snprintf(word, sizeof(word), "%s%s%s%s%s%s%s%s",
		 outside ? "outside"
		 : name  ? name
			 : "?",
		 outside && record->result < 0 ? "-failed" : "",
		 record->wrong & WRONG_DESCRIPTORS ? "-descriptors" : "",
		 record->wrong & WRONG_MAPPINGS ? "-mappings" : "",
		 record->wrong & WRONG_OPTIONS ? "-options" : "",
		 record->wrong & WRONG_ERRNO ? "-errno" : "",
		 record->wrong & WRONG_MASK ? "-mask" : "",
		 record->wrong & WRONG_PEER ? "-peer" : "");
	return word;
}

static bool may_be(const char *outcomes, const char *word, const char *error, bool told)
{
	char loud[160];

	snprintf(loud, sizeof(loud), "%s!", word);
	if (has_word(outcomes, word) || (told && has_word(outcomes, loud)))
		return true;
	return !strcmp(word, error) &&
	       (has_word(outcomes, "itself") || (told && has_word(outcomes, "itself!")));
}

/* Is there a warning or an error that the plain run has not? */
static bool tells(const struct outcome *plain, const struct outcome *now)
{
	const char *line = now->errors, *message;
	char text[sizeof(now->errors)];

	while ((message = strstr(line, "portfence[")) != NULL) {
		message += strcspn(message, "] \n");
		line = message + strcspn(message, "\n");
		snprintf(text, sizeof(text), "%.*s", (int)(line - message), message);
		if ((strstr(text, ": error: ") || strstr(text, ": warning: ")) &&
		    !strstr(plain->errors, text))
			return true;
	}
	return false;
}

/* Return: true if all is as expected; how it differs from the plain run */
static bool judge(const struct scene *scene, const char *key, const char *error,
		  const struct outcome *plain, const struct outcome *now, char *ret_text,
		  size_t size)
{
	const char *outcomes = "";
	char word[128];
	size_t i;
	bool good = true, told = tells(plain, now);

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (has_word(expected[i].scenes, scene->name) && has_key(expected[i].keys, key) &&
		    has_word(expected[i].errors, error)) {
			outcomes = expected[i].outcomes;
			break;
		}
	*ret_text = '\0';
	if (now->hung || now->status || now->count != plain->count) {
		snprintf(ret_text, size, "%s",
			 now->hung                  ? "hang"
			 : WIFSIGNALED(now->status) ? strsignal(WTERMSIG(now->status))
						    : "ended");
		good = false;
	}
	for (i = 0; i < now->count && i < plain->count; i++) {
		snprintf(word, sizeof(word), "%s", word_of(scene, &now->record[i]));
		if (!strcmp(word, word_of(scene, &plain->record[i])))
			continue;
		good = good && may_be(outcomes, word, error, told);
		if (has_word(ret_text, word))
			continue;
		if (*ret_text)
			strncat(ret_text, " ", size - strlen(ret_text) - 1);
		strncat(ret_text, word, size - strlen(ret_text) - 1);
	}
	if (!*ret_text)
		snprintf(ret_text, size, "same");
	if (told)
		strncat(ret_text, " told", size - strlen(ret_text) - 1);
	for (i = 0; ret_text[i]; i++)
		if (ret_text[i] == ' ')
			ret_text[i] = ',';
	return good;
}

/* ---- one run of one scene ---- */

struct fault {
	const char *key;
	int at, more, error;
};

#define VARIABLES 24

static char *variable[VARIABLES + 1];
static char handed[4][8192];
static size_t handed_count;

static void set(const char *name, const char *value)
{
	size_t i, len = strlen(name);

	for (i = 0; variable[i]; i++)
		if (!strncmp(variable[i], name, len) && variable[i][len] == '=')
			break;
	free(variable[i]);
	if (asprintf(&variable[i], "%s=%s", name, value) < 0 || i == VARIABLES)
		exit(3);
}

/* @text with each @ replaced by the folder */
static void expand(const char *text, char *ret, size_t size)
{
	size_t used = 0;

	for (; *text && used + 1 < size; text++) {
		if (*text == '@')
			used += (size_t)snprintf(ret + used, size - used, "%s", folder);
		else
			ret[used++] = *text;
	}
	ret[used] = '\0';
}

static void environment(const struct scene *scene, const struct fault *fault, const char *trace)
{
	char text[4096], list[4096], number[16], *one, *save = NULL;
	size_t i;

	for (i = 0; variable[i]; i++) {
		free(variable[i]);
		variable[i] = NULL;
	}
	snprintf(text, sizeof(text), "%s:%s",
		 scene->flags & SCENE_RELATIVE ? "./libportfence.so" : library, injector);
	set("LD_PRELOAD", text);
	set("FAULTS_SELF", self);
	snprintf(text, sizeof(text), "%s/state", folder);
	set("PORTFENCE_STATE", text);
	snprintf(text, sizeof(text), "%s/%s.ini", folder, scene->ini ? "portfence" : "none");
	if (scene->ini)
		set("PORTFENCE_CONFIG", text);
	snprintf(text, sizeof(text), "%s/none", folder);
	set("XDG_CONFIG_HOME", text);
	expand(scene->environment, list, sizeof(list));
	for (one = strtok_r(list, " ", &save); one; one = strtok_r(NULL, " ", &save)) {
		char *value = strchr(one, '=');

		*value++ = '\0';
		/* an empty variable counts as not set */
		set(one, value);
	}
	if (scene->flags & SCENE_HANDED)
		for (i = 0; i < handed_count; i++) {
			char *value = strchr(handed[i], '=');

			*value = '\0';
			set(handed[i], value + 1);
			*value = '=';
		}
	if (trace)
		set("FAULTS_TRACE", trace);
	if (!fault)
		return;
	set("FAULTS_KEY", fault->key);
	snprintf(number, sizeof(number), "%d", fault->at);
	set("FAULTS_AT", number);
	snprintf(number, sizeof(number), "%d", fault->more);
	set("FAULTS_MORE", number);
	snprintf(number, sizeof(number), "%d", fault->error);
	set("FAULTS_ERROR", number);
}

static void fill(int fd)
{
	static const char bytes[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void clean(const struct scene *scene)
{
	char path[4200];
	static const char *const states[] = { "@/state/faults.0", "/dev/shm/portfence-0/faults.0",
					      "@/runtime/portfence/faults.0", "@/log" };
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		expand(states[i], path, sizeof(path));
		if (scene->flags & SCENE_NEW_STATE || i == 3)
			unlink(path);
	}
	if (scene->flags & SCENE_NEW_STATE)
		rmdir("/dev/shm/portfence-0");
}

static void start_scene(const struct scene *scene, int report, int errors)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s", self);
	dup2(report, REPORT_FD);
	dup2(errors, STDERR_FILENO);
	if (!strcmp(scene->name, "start-link"))
		expand("@/faults", path, sizeof(path));
	execve(path, (char *const[]){ path, (char *)"scene", (char *)scene->name, NULL }, variable);
	_exit(125);
}

static void run_scene(const struct scene *scene, const struct fault *fault, const char *trace,
		      struct outcome *ret)
{
	int report[2], errors[2], pidfd;
	struct pollfd wait;
	ssize_t n;
	pid_t pid;

	memset(ret, 0, sizeof(*ret));
	environment(scene, fault, trace);
	clean(scene);
	if (pipe2(report, O_CLOEXEC) || pipe2(errors, O_CLOEXEC))
		exit(3);
	if (scene->flags & SCENE_FULL_PIPE)
		fill(errors[1]);
	pid = vfork();
	if (pid == 0)
		start_scene(scene, report[1], errors[1]);
	close(report[1]);
	close(errors[1]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	wait = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	ret->hung = poll(&wait, 1, HANG_MS) != 1;
	if (ret->hung)
		kill(pid, SIGKILL);
	close(pidfd);
	waitpid(pid, &ret->status, 0);
	while (ret->count < RECORDS && (n = read(report[0], &ret->record[ret->count],
						 sizeof(ret->record[0]))) == sizeof(ret->record[0]))
		ret->count++;
	fcntl(errors[0], F_SETFL, O_NONBLOCK);
	n = scene->flags & SCENE_FULL_PIPE ? 0
					   : read(errors[0], ret->errors, sizeof(ret->errors) - 1);
	ret->errors[n > 0 ? n : 0] = '\0';
	close(report[0]);
	close(errors[0]);
}

/* ---- a place of its own for each worker ---- */

static void must(int rc, const char *what)
{
	if (rc < 0) {
		perror(what);
		exit(3);
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	must(fd, path);
	must((int)write(fd, text, strlen(text)), path);
	close(fd);
}

static void write_in(const char *name, const char *text)
{
	char path[4200];

	expand(name, path, sizeof(path));
	write_file(path, text);
}

static void make_folder(const char *name)
{
	char path[4200];

	expand(name, path, sizeof(path));
	must(mkdir(path, 0700), path);
}

static void make_place(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_un log = { AF_UNIX, "/dev/log" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char from[4200], command[16384];

	must(unshare(CLONE_NEWNET | CLONE_NEWNS), "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	must(mount("none", folder, "tmpfs", 0, NULL), folder);
	must(mount("none", "/dev", "tmpfs", 0, NULL), "/dev");
	must(mkdir("/dev/shm", 01777), "/dev/shm");
	must(mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)), "/dev/null");
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(ioctl(fd, SIOCSIFFLAGS, &loopback), "loopback");
	close(fd);
	/* stays open; what it cannot take is dropped */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(fd, (struct sockaddr *)&log, sizeof(log)), "/dev/log");
	make_folder("@/state");
	make_folder("@/xdg");
	make_folder("@/home");
	make_folder("@/home/.config");
	make_folder("@/runtime");
	expand("@/faults", from, sizeof(from));
	snprintf(command, sizeof(command), "cp '%s' '%s/really'", self, folder);
	must(-system(command), command);
	must(symlink("really", from), from);
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "3");
	/* relative to where the library is */
	snprintf(from, sizeof(from), "%s", library);
	*strrchr(from, '/') = '\0';
	must(chdir(from), from);
}

static void hand_over(void)
{
	char command[16384], line[8192];
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "PORTFENCE_STATE='%s/state' XDG_CONFIG_HOME='%s/none' '%s' run --config "
		 "'%s/portfence.ini' --app faults -- env",
		 folder, folder, portfence, folder);
	handed_count = 0;
	pipe = popen(command, "r");
	while (pipe && fgets(line, sizeof(line), pipe)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "PORTFENCE_", 10) && handed_count < 4)
			strcpy(handed[handed_count++], line);
	}
	if (pclose(pipe) || !handed_count)
		exit(3);
}

static void prepare(const struct scene *scene)
{
	struct outcome first;

	write_in("@/portfence.ini", scene->ini ? scene->ini : "");
	write_in("@/xdg/portfence.ini", scene->ini ? scene->ini : "");
	write_in("@/home/.config/portfence.ini", scene->ini ? scene->ini : "");
	write_in("@/record", "");
	/* a connection that has ended leaves nothing that a later run would meet */
	write_file("/proc/sys/net/ipv4/tcp_max_tw_buckets",
		   scene->flags & SCENE_TIME_WAIT ? "100000" : "0");
	/* `start-runtime`: a folder that is not to be used */
	if (strstr(scene->environment, "XDG_RUNTIME_DIR")) {
		if (mkdir("/dev/shm/portfence-0", 0700) && errno != EEXIST)
			exit(3);
		unlink("/dev/shm/portfence-0/faults.0");
		must(chmod("/dev/shm/portfence-0", 0777), "/dev/shm");
	}
	if (scene->flags & SCENE_HANDED)
		hand_over();
	run_scene(scene, NULL, NULL, &first);
}

/* ---- all cases ---- */

struct keys {
	size_t count;
	struct {
		char name[96];
		int count;
	} key[KEYS];
};

static void read_trace(const char *trace, struct keys *ret)
{
	FILE *file = fopen(trace, "r");
	char line[96];
	size_t i;

	ret->count = 0;
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		for (i = 0; i < ret->count; i++)
			if (!strcmp(ret->key[i].name, line))
				break;
		if (i == ret->count) {
			strcpy(ret->key[ret->count].name, line);
			ret->key[ret->count++].count = 0;
		}
		ret->key[i].count++;
	}
	fclose(file);
}

static void try(const struct scene *scene, const struct outcome *plain, const struct fault *fault,
		const char *error)
{
	char text[512], line[1024];
	struct outcome outcome;
	bool good;
	int n;

	run_scene(scene, fault, NULL, &outcome);
	good = judge(scene, fault->key, error, plain, &outcome, text, sizeof(text));
	n = snprintf(line, sizeof(line), "%s %s %d%s %s %s %s\n", scene->name, fault->key,
		     fault->at, fault->more ? "+" : "", error, text, good ? "ok" : "bad");
	must((int)write(result_fd, line, (size_t)n), "result");
}

static void try_errors(const struct scene *scene, const struct outcome *plain, const char *key,
		       int at, bool more)
{
	char list[512], *error, *save = NULL;

	snprintf(list, sizeof(list), "%s", errors_of(key));
	for (error = strtok_r(list, " ", &save); error; error = strtok_r(NULL, " ", &save)) {
		const struct fault fault = { key, at, more, answer_of(error) };

		/* an accident happens once, a sandbox and a want of memory last */
		if (more && !all && !has_word("EPERM ENOSYS ENOMEM EMFILE", error))
			continue;
		/* but no process is interrupted for ever */
		if (more && !strcmp(error, "EINTR"))
			continue;
		try(scene, plain, &fault, error);
	}
}

static int count_of(const struct keys *keys, const char *name)
{
	size_t i;

	for (i = 0; i < keys->count; i++)
		if (!strcmp(keys->key[i].name, name))
			return keys->key[i].count;
	return 0;
}

static void try_scene(const struct scene *scene)
{
	/* what every scene begins with */
	static struct keys start;
	struct outcome plain;
	char trace[4200];
	struct keys *keys = malloc(sizeof(*keys));
	size_t i;
	int at, first;

	expand("@/trace", trace, sizeof(trace));
	prepare(scene);
	write_file(trace, "");
	run_scene(scene, NULL, trace, &plain);
	if (plain.status || plain.hung || !plain.count) {
		fprintf(stderr, "%s does not work without a fault\n", scene->name);
		exit(3);
	}
	read_trace(trace, keys);
	for (i = 0; i < keys->count; i++) {
		/* both workers see the same keys */
		if ((int)(i % WORKERS) != worker)
			continue;
		first = all ? 1 : 1 + count_of(&start, keys->key[i].name);
		for (at = first; at <= keys->key[i].count; at++)
			if (all || at == first || at == keys->key[i].count)
				try_errors(scene, &plain, keys->key[i].name, at, false);
		if (first < keys->key[i].count)
			try_errors(scene, &plain, keys->key[i].name, first, true);
	}
	if (!strcmp(scene->name, "start-only"))
		start = *keys;
	free(keys);
}

static int run(const char *only)
{
	const struct scene *scene;
	pid_t pid[WORKERS];
	int status, failed = 0;

	result_fd = STDOUT_FILENO;
	for (worker = 0; worker < WORKERS; worker++) {
		pid[worker] = fork();
		if (pid[worker])
			continue;
		make_place();
		for (scene = scenes; scene->name; scene++)
			if (scene->environment && (!only || !strcmp(scene->name, only)))
				try_scene(scene);
		exit(0);
	}
	for (worker = 0; worker < WORKERS; worker++)
		failed |= waitpid(pid[worker], &status, 0) != pid[worker] || status;
	return failed;
}

/* It grows now, and not while mappings are compared. */
__attribute__((noinline)) static void grow_stack(void)
{
	char stack[256 << 10];

	memset(stack, 1, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory");
}

static int play(const char *name)
{
	const struct scene *scene = scene_find(name);

	if (!scene)
		return 2;
	grow_stack();
	scene->body();
	return 0;
}

int main(int argc, char *argv[])
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc == 3 && !strcmp(argv[1], "scene"))
		return play(argv[2]);
	if (n <= 0 || argc < 6 || strcmp(argv[1], "run") != 0)
		return 2;
	library = argv[2];
	injector = argv[3];
	portfence = argv[4];
	folder = argv[5];
	all = argc > 6 && !strcmp(argv[6], "all");
	return run(argc > 7 ? argv[7] : NULL);
}
