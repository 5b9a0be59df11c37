/*
 * Smooth weighted round robin: each server gets exactly its share in every full cycle, spread evenly through it. O(1)
 * while all weights are equal and all servers available, else O(n).
 */
#ifndef GUISE_BALANCE_ROUND_ROBIN_H
#define GUISE_BALANCE_ROUND_ROBIN_H

#include "balance/balance.h"

extern const struct balance_ops balance_round_robin;

#endif
