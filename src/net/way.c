/*
 * Sockets that are to leave the machine in a certain way. See way.h.
 */
#include "net/way.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static int domain_of(enum address_family family)
{
	switch (family) {
	case ADDRESS_V4:
		return AF_INET;
	case ADDRESS_V6:
		return AF_INET6;
	default:
		return AF_UNIX;
	}
}

static bool way_bind(const struct net_way *way, int fd, const struct address *source)
{
	bool v4 = source->family == ADDRESS_V4;
	union socket_address raw;
	socklen_t len = address_to_socket(source, &raw);
	int on = 1;

	/* The port is chosen when it is known where to, so that 64k connections from one address go to each target, not to all. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (!v4 && way->freebind && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) != 0)
		return false;
	return bind(fd, &raw.any, len) == 0;
}

/* False: errno tells. */
static bool way_prepare(const struct net_way *way, int fd, enum address_family family)
{
	struct address source = family == ADDRESS_V4 ? way->source_v4 : way->source_v6;

	if (way->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way->interface,
					 (socklen_t)strlen(way->interface)) != 0)
		return false;
	if (source.family == ADDRESS_NONE) {
		errno = EADDRNOTAVAIL;
		return !way->bound;
	}
	while (!way_bind(way, fd, &source)) {
		int number = errno;
		if (!way->on_unbound || !way->on_unbound(way, &source, number)) {
			errno = number;
			return false;
		}
	}
	return true;
}

bool way_leads_to(const struct net_way *way, enum address_family family)
{
	if (!way || !way->bound || family == ADDRESS_UNIX)
		return true;
	return (family == ADDRESS_V4 ? way->source_v4 : way->source_v6).family != ADDRESS_NONE;
}

int way_socket(const struct net_way *way, enum address_family family, int type)
{
	int fd = socket(domain_of(family), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || !way || family == ADDRESS_UNIX || way_prepare(way, fd, family))
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct error way_error(const struct net_way *way, int number)
{
	struct error error = error_system(ERROR_NO_EXIT, number);

	if (!way || !(way->bound || way->interface))
		return ERROR_OK;
	switch (number) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return ERROR_OK;
	case EADDRNOTAVAIL:
		error.text = "the exit has no address that this machine has now";
		break;
	case ENODEV:
		error.text = "the interface of the exit is not there";
		break;
	default:
		break;
	}
	error.unprocessed = true;
	return error;
}
