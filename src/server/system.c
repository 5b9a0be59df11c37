/*
 * What the machine has and what it allows this process. At start, main thread.
 */
#include "server/server_internal.h"

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
