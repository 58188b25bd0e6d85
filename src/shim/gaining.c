#include "libc.h"

#include "gaining.h"

#include "../core/gain.h"
#include "sandbox.h"
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/*
 * Theory of operation
 *
 * A filter without root takes no_new_privs (seccomp(2)), so under a supervisor no program
 * of a run gains rights: authbind's helper, sudo and the like fail, and what they say seldom tells
 * why. Each execution is a new process, so "once" is kept where all processes of an application see
 * it: in the state file.
 */

#define PATH_LONGEST 1024 /* a longer one is not looked at: the stack may be small */

/* Where execvp(3) finds a file. Return: false if it does not */
static bool find_file(const char *file, char ret_path[PATH_LONGEST])
{
	const char *list = secure_getenv("PATH");

	if (strchr(file, '/'))
		return snprintf(ret_path, PATH_LONGEST, "%s", file) < PATH_LONGEST;
	for (list = list ? list : "/bin:/usr/bin"; *list;) {
		const int len = (int)strcspn(list, ":");

		if (snprintf(ret_path, PATH_LONGEST, "%.*s/%s", len, list, file) < PATH_LONGEST &&
		    !access(ret_path, X_OK))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static bool first_time(const struct shim *shim)
{
	static _Atomic uint64_t told;
	_Atomic uint64_t *where = shim->fence.state.file ? &shim->fence.state.file->told : &told;

	return atomic_exchange_explicit(where, shim->run, memory_order_relaxed) != shim->run;
}

void gaining_check(const char *file)
{
	char path[PATH_LONGEST], text[PATH_LONGEST + 256];
	struct shim *shim = shim_get();
	const int saved = errno;
	const char *why;

	/*
	 * Under a filter of the program's own, no other call than it wants is safe. And where no
	 * supervisor is there, somebody else has set no_new_privs.
	 */
	if (!shim->fenced || !file || sandbox_is_filtered() || !shim->run ||
	    syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || !find_file(file, path))
		goto out;
	why = gain_of(path, geteuid(), getegid());
	if (!why || !first_time(shim))
		goto out;
	snprintf(
		text, sizeof(text),
		"'%s' gains no rights here, though %s: a run without root that has a supervisor takes "
		"no_new_privs; use '--via preload'",
		path, why);
	log_say(&shim->log, "warning", text);
out:
	errno = saved;
}
