/*
 * Whole configurations: any bytes give a snapshot or mistakes, and everything is given back. The first byte, when it is
 * below 64, makes each so manyth allocation fail.
 */
#include "config/deviation.h"
#include "config/report.h"
#include "config/snapshot.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct diagnostics diagnostics;
	struct snapshot *snapshot;
	struct memory memory;
	struct arena arena;
	uint64_t every = 0;

	if (!null)
		null = fopen("/dev/null", "w");
	if (size > 0 && data[0] > 0 && data[0] < 32 && data[0] != '\n' && data[0] != '\r' && data[0] != '\t') {
		every = data[0];
		data++;
		size--;
	}
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, "fuzz");
	memory_fail_every(&memory, every);
	snapshot = snapshot_from_yaml(span_make(data, size), NULL, &memory, &diagnostics);
	memory_fail_every(&memory, 0);
	ENSURE((snapshot == NULL) == (diagnostics.errors > 0));
	if (null)
		report_print(null, &diagnostics, true, false);
	if (snapshot)
		deviation_in_force(&deviations[0], snapshot);
	snapshot_release(snapshot);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
