/*
 * Credentials of the scheme Basic (RFC 7617). Pure.
 */
#ifndef GUISE_ACCOUNT_BASIC_H
#define GUISE_ACCOUNT_BASIC_H

#include "account/settings.h"
#include "core/span.h"

enum basic_read {
	BASIC_GOOD,
	BASIC_OTHER, /* of another scheme */
	BASIC_BAD,   /* Basic, and not to be read: no base64, no colon, too long, control characters */
};

/* `name` and `password` point into `bytes`. Wipe it when the password has been used. */
struct basic {
	struct span name, password;
	uint8_t bytes[USER_NAME_MOST + 1 + USER_PASSWORD_MOST];
};

/* Reads the value of Authorization or Proxy-Authorization. */
enum basic_read basic_read(struct span value, struct basic *basic);
void basic_wipe(struct basic *basic);

#endif
