/*
 * Random numbers: a fast generator for spreading load (never for secrets), and the kernel's for secrets.
 */
#ifndef GUISE_CORE_RANDOM_H
#define GUISE_CORE_RANDOM_H

#include "core/base.h"

struct random {
	uint64_t state[4];
};

void random_init(struct random *random); /* seeded by the kernel */
uint64_t random_next(struct random *random);
uint32_t random_below(struct random *random, uint32_t bound); /* 0 .. bound-1, unbiased; bound > 0 */
void random_secret(void *out, size_t len);                    /* getrandom(2) */

#endif
