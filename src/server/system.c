/*
 * What the machine has and what it allows this process. At start, main thread.
 */
#include "server/server_internal.h"

#include <ifaddrs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

unsigned system_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	int count = CPU_COUNT(&set);
	return count > 0 ? (unsigned)count : 1;
}

/* A control group's limit in bytes; UINT64_MAX: none, or none to be read. */
static uint64_t cgroup_limit(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long value = 0;

	if (!file)
		return UINT64_MAX;
	int read = fscanf(file, "%llu", &value); /* "max" is no number */
	fclose(file);
	return read == 1 && value > 0 ? value : UINT64_MAX;
}

uint64_t system_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 30;
	const char *const files[] = {
		"/sys/fs/cgroup/memory.max",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(files); i++) {
		uint64_t limit = cgroup_limit(files[i]);
		if (limit < memory)
			memory = limit;
	}
	return memory;
}

uint64_t system_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_cur;
}

static size_t interface_addresses(const struct ifaddrs *list, struct address *addresses)
{
	size_t count = 0;

	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		if (!item->ifa_addr)
			continue;
		int family = item->ifa_addr->sa_family;
		if (family != AF_INET && family != AF_INET6)
			continue;
		socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		union socket_address socket = {0};
		memcpy(&socket, item->ifa_addr, len);
		if (addresses)
			addresses[count] = address_from_socket(&socket, len);
		count++;
	}
	return count;
}

bool system_interfaces(struct arena *arena, const struct address **addresses, size_t *count)
{
	struct ifaddrs *list = NULL;

	*count = 0;
	*addresses = NULL;
	if (getifaddrs(&list) != 0)
		return true; /* wildcard listeners then count for loopback only */
	*count = interface_addresses(list, NULL);
	struct address *copy = arena_zalloc(arena, *count + 1, sizeof(*copy));
	if (copy)
		interface_addresses(list, copy);
	*addresses = copy;
	freeifaddrs(list);
	return copy != NULL;
}
