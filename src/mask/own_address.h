/*
 * Whether a text holds one certain address, a client's, as a word of its own. Only that address counts, in any of the spellings below, and never what
 * merely looks like one: "Chrome/126.0.0.0" holds the address 126.0.0.0 and nobody else's.
 *
 * IPv4: four decimal numbers, leading zeros too. IPv6: any text of RFC 4291 2.2, in either case, its colons perhaps as "%3A"; so are IPv4-mapped
 * ones. A word ends where no letter or digit goes on, nor a dot with one behind it; "%20" and its like are no letters.
 * Not seen: other encodings (base64, hexadecimal, a decimal number of 32 bits), dots as "%2E" or "-".
 *
 * Pure; no allocation; linear in the text.
 */
#ifndef GUISE_MASK_OWN_ADDRESS_H
#define GUISE_MASK_OWN_ADDRESS_H

#include "net/address.h"

struct own_address {
	struct address address; /* unmapped */
	/* The last digit of its first number, before the first dot of IPv4; and before a colon (of IPv4: of the mapped form). In lower case. */
	uint8_t before_dot, before_colon;
	bool any_colon; /* the first number may be left out: before_colon means nothing */
};

/* False: nobody's in particular, and nothing is to be looked for: a loopback address, or none (unix sockets). */
WARN_UNUSED bool own_address_init(const struct address *client, struct own_address *own);

/* `own` is as own_address_init gave it. */
bool own_address_in(const struct own_address *own, struct span text);

#endif
