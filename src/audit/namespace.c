/*
 * Namespaces of Linux, and the loopback interface in them. See namespace.h.
 */
#include "audit/namespace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

static bool write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, len) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return done;
}

/* Without the right to make the others: a user namespace in which we are root, and they inside it (user_namespaces(7)). */
static bool enter_as_user(void)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0)
		return false;
	(void)write_file("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1", user);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	(void)snprintf(map, sizeof(map), "0 %u 1", group);
	return write_file("/proc/self/gid_map", map);
}

static bool loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		close(fd);
	return done;
}

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

static void route_attribute(struct route_request *request, unsigned short type, const void *data, size_t len)
{
	struct rtattr *at =
		(struct rtattr *)(void *)((uint8_t *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	at->rta_type = type;
	at->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(at), data, len);
	request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_LENGTH(len));
}

/* The kernel's answer to one request (rtnetlink(7)). */
static bool netlink_ask(int fd, const struct route_request *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[256];
	} answer = {0};

	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return false;
	if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)(sizeof(answer.header) + sizeof(int)))
		return false;
	errno = answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
	return errno == 0;
}

/* local ::/0 or 0.0.0.0/0 dev lo src 127.0.0.1, in the table of local addresses */
static bool all_is_local(int fd, unsigned char family)
{
	struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	unsigned index = if_nametoindex("lo");
	struct route_request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = RTM_NEWROUTE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE},
		.route = {.rtm_family = family,
			  .rtm_table = RT_TABLE_LOCAL,
			  .rtm_protocol = RTPROT_BOOT,
			  .rtm_scope = RT_SCOPE_HOST,
			  .rtm_type = RTN_LOCAL},
	};

	route_attribute(&request, RTA_OIF, &index, sizeof(index));
	if (family == AF_INET)
		route_attribute(&request, RTA_PREFSRC, &loopback, sizeof(loopback));
	return netlink_ask(fd, &request);
}

static bool make_local(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool done = fd >= 0 && all_is_local(fd, AF_INET);

	/* A machine without IPv6 is one where nobody can be reached by it. */
	if (done && !all_is_local(fd, AF_INET6))
		done = errno == EOPNOTSUPP || errno == EAFNOSUPPORT || errno == ENODEV || errno == EACCES;
	if (fd >= 0)
		close(fd);
	/* Where these are read-only, addresses of configured listeners may still be bound: they are local. */
	(void)write_file("/proc/sys/net/ipv4/ip_nonlocal_bind", "1");
	(void)write_file("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
	return done;
}

bool audit_namespace_enter(const char **why, const char **advice)
{
	*why = "this system does not let this user make a network namespace, in which the audit would run";
	*advice = "run it as root; or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
		  "user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0); in a "
		  "container, give it the capability SYS_ADMIN";
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 && !enter_as_user())
		return false;
	*why = "the network namespace of the audit could not be set up";
	*advice = "routes of their own are needed in it: the capability NET_ADMIN, and a kernel with netlink";
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && loopback_up() && make_local();
}

bool audit_namespace_cover(const char *path)
{
	return mount("/dev/null", path, NULL, MS_BIND, NULL) == 0;
}
