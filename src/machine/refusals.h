/* refusals: how many calls of an application's processes, of all users, were refused a port. */
#ifndef PORTFENCE_MACHINE_REFUSALS_H
#define PORTFENCE_MACHINE_REFUSALS_H

#include "../core/state.h"

struct refusals {
	uint64_t count[PROTO_COUNT][STATE_REFUSALS];
};

/**
 * refusals_read() - Add up what the state files of an application have counted
 * @folder:	`state` of the configuration, or NULL for the users' own folders
 * @runtime:	XDG_RUNTIME_DIR, or NULL
 *
 * Only files that this process may read count: without root, this user's own. What another user
 * has written is believed, as it concerns that user's processes alone. Runs with --fresh or a
 * lease of their own have other files, which are not looked at.
 */
void refusals_read(const char *folder, const char *runtime, const char *application,
		   struct refusals *ret_refusals);

#endif
