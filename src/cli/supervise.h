/* supervise: puts this process under a filter, and starts the one that serves its calls. */
#ifndef PORTFENCE_CLI_SUPERVISE_H
#define PORTFENCE_CLI_SUPERVISE_H

#include "../core/settings.h"

/**
 * supervise_start() - Fence this process, and all that it will start, from outside
 * @settings:	its rule is the whole tree's
 * @failure:	what to return where it fails; standard error says why
 *
 * Once it has returned 0, whatever this process executes is fenced.
 *
 * Return: 0, or @failure
 */
int supervise_start(const struct settings *settings, int failure);

#endif
