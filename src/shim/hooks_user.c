#include "libc.h"

#include "real.h"
#include "sandbox.h"
#include "shim.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * These hooks change nothing. A process that gives up its user for good, as a daemon's
 * workers do, keeps what it has mapped. But the state is shared with all processes
 * of that user, and whoever may write to it can end them: madvise(2) makes holes
 * in its file, and where /dev/shm is full, a look at one is a SIGBUS. So it goes
 * on with a copy, unless a filter of its own may forbid the calls that this takes.
 */

static void leave_shared_state(void)
{
	const uid_t user = (uid_t)getauxval(AT_EUID);
	const int saved = errno;
	uid_t real, effective, kept;

	if (sandbox_is_filtered())
		return;
	/* the bare call, as programs have a getresuid() of their own in the place of libc's (fakeroot) */
	if (!syscall(SYS_getresuid, &real, &effective, &kept) && real != user &&
	    effective != user && kept != user)
		state_unshare(&shim_get()->fence.state);
	errno = saved;
}

EXPORT int setuid(uid_t user)
{
	int result = REAL(setuid)(user);

	if (result == 0)
		leave_shared_state();
	return result;
}

EXPORT int setreuid(uid_t real, uid_t effective)
{
	int result = REAL(setreuid)(real, effective);

	if (result == 0)
		leave_shared_state();
	return result;
}

EXPORT int setresuid(uid_t real, uid_t effective, uid_t kept)
{
	int result = REAL(setresuid)(real, effective, kept);

	if (result == 0)
		leave_shared_state();
	return result;
}
