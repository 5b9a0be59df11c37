/*
 * Why something failed, in the few words that SOCKS has for it (RFC 1928 6).
 */
#include "socks/socks_internal.h"

#include <errno.h>

static enum socks_code code_of_status(unsigned status)
{
	switch (status) {
	case 403:
	case 407:
	case 429:
		return SOCKS_NOT_ALLOWED;
	case 405:
		return SOCKS_COMMAND_UNKNOWN;
	case 504:
		return SOCKS_TTL_EXPIRED;
	default:
		return SOCKS_FAILED;
	}
}

enum socks_code socks_code_of(const struct error *error, unsigned status)
{
	switch (error->code) {
	case ERROR_DENIED:
	case ERROR_TARGET_PROHIBITED:
		return SOCKS_NOT_ALLOWED;
	case ERROR_METHOD_NOT_ALLOWED:
		return SOCKS_COMMAND_UNKNOWN;
	case ERROR_DNS_FAILED:
	case ERROR_DNS_TIMEOUT:
		return SOCKS_HOST_UNREACHABLE;
	case ERROR_CONNECT_REFUSED:
		return SOCKS_REFUSED;
	case ERROR_UNREACHABLE:
		return error->system == ENETUNREACH ? SOCKS_NETWORK_UNREACHABLE : SOCKS_HOST_UNREACHABLE;
	case ERROR_CONNECT_TIMEOUT:
		return SOCKS_TTL_EXPIRED;
	default:
		return code_of_status(status);
	}
}
