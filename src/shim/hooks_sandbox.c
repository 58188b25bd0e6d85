#include "libc.h"

#include "gate.h"
#include "real.h"
#include "sandbox.h"
#include "shim.h"

#include <stdarg.h>
#include <sys/prctl.h>

/*
 * Theory of operation
 *
 * This hook changes nothing. It notes what a process forbids itself or others. What else
 * comes with a first socket is made before that.
 */

/* The kernel engine asks the kernel about each socket. The bind engine needs no question about a fresh one. */
static void note_prctl(int option, unsigned long value)
{
	struct shim *shim = shim_get();
	int proto;

	sandbox_note_prctl(option, value);
	if (!sandbox_is_filtered() || !shim->fence.rule || shim->fence.rule->engine != ENGINE_AUTO)
		return;
	for (proto = 0; proto < PROTO_COUNT; proto++)
		engine_kernel_distrust(&shim->kernel[proto]);
}

/* libc reads four arguments more, whatever the option is (sysdeps/unix/sysv/linux/prctl.c of glibc). */
EXPORT int prctl(int option, ...)
{
	unsigned long argument[4];
	va_list rest;
	int result, i;

	va_start(rest, option);
	for (i = 0; i < 4; i++)
		argument[i] = va_arg(rest, unsigned long);
	va_end(rest);
	if (sandbox_begins(option))
		fdcache_prepare(shim_get()->fdcache);
	/* once the supervisor may not look into the process, it serves no call that comes while another thread moves it */
	if (sandbox_begins(option) || option == PR_SET_DUMPABLE)
		gate_prepare();
	result = REAL(prctl)(option, argument[0], argument[1], argument[2], argument[3]);
	if (result == 0)
		note_prctl(option, argument[0]);
	return result;
}
