/*
 * xoshiro256++ (Blackman and Vigna, public domain) for spreading load; getrandom(2) for secrets. A generator
 * belongs to one thread.
 */
#include "core/random.h"

#include <errno.h>
#include <sys/random.h>

void random_secret(void *out, size_t len)
{
	uint8_t *at = out;
	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);
		ENSURE(got >= 0 || errno == EINTR);
		if (got < 0)
			continue;
		at += got;
		len -= (size_t)got;
	}
}

void random_init(struct random *random)
{
	random_secret(random->state, sizeof(random->state));
	random->state[0] |= 1; /* all zero would stay so */
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

uint64_t random_next(struct random *random)
{
	uint64_t *state = random->state;
	uint64_t result = rotate(state[0] + state[3], 23) + state[0];
	uint64_t shifted = state[1] << 17;
	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate(state[3], 45);
	return result;
}

/* Lemire, "Fast random integer generation in an interval": a multiplication, and rarely another draw. */
uint32_t random_below(struct random *random, uint32_t bound)
{
	ENSURE(bound > 0);
	uint32_t reject = -bound % bound;
	uint64_t product;
	do {
		product = (random_next(random) >> 32) * bound;
	} while ((uint32_t)product < reject);
	return (uint32_t)(product >> 32);
}
