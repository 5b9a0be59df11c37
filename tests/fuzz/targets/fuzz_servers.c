/*
 * Files with lists of servers: any bytes give a list whose items are what a group can use, or mistakes, and everything is given back. The
 * first byte, when it is no text, makes each so manyth allocation fail.
 */
#include "config/servers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnostics diagnostics;
	struct setting_list servers;
	struct memory memory;
	struct arena arena;
	uint64_t every = 0;

	if (size > 0 && data[0] > 0 && data[0] < 32 && data[0] != '\n' && data[0] != '\r' && data[0] != '\t') {
		every = data[0];
		data++;
		size--;
	}
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, "fuzz");
	memory_fail_every(&memory, every);
	bool good = servers_parse(span_make(data, size), &arena, &diagnostics, &servers);
	memory_fail_every(&memory, 0);
	ENSURE(good == (diagnostics.errors == 0));
	const struct upstream_server_settings *items = servers.items;
	for (size_t i = 0; good && i < servers.count; i++) {
		ENSURE(items[i].weight >= 1 && items[i].weight <= 256 && items[i].priority <= 65535);
		ENSURE(!upstream_check_address(items[i].address.text, items[i].address.len));
	}
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
