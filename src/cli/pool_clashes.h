/* pool_clashes: which other programs of this machine use ports of the pool; it prints nothing. */
#ifndef PORTFENCE_CLI_POOL_CLASHES_H
#define PORTFENCE_CLI_POOL_CLASHES_H

#include "../core/range.h"

/* @text: one line, without an end */
typedef void pool_clashes_fn(void *context, const char *text);

/* pool_clashes_find() - Tell of each use of the pool's ports that other programs of this machine have by default */
void pool_clashes_find(const struct range *pool, pool_clashes_fn *found, void *context);

#endif
