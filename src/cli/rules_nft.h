/* rules_nft: the sections' ports as a table for nft(8). */
#ifndef PORTFENCE_CLI_RULES_NFT_H
#define PORTFENCE_CLI_RULES_NFT_H

#include "rules_plan.h"

/* rules_nft_print() - Print a file for `nft -f`. It replaces the table inet portfence, and touches no other */
void rules_nft_print(const struct rules_plan *plan);

#endif
