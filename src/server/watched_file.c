/*
 * See watched_file.h.
 */
#include "server/watched_file.h"

void watched_file_init(struct watched_file *file, uint64_t loaded, uint64_t now, uint64_t node)
{
	*file = (struct watched_file){.loaded = loaded, .node = now == loaded ? node : 0, .seen = loaded};
}

enum watched_look watched_file_look(struct watched_file *file, uint64_t signature, uint64_t node)
{
	bool settled = signature == file->seen || (node && node != file->node), missed = file->missing;

	file->seen = signature;
	file->missing = signature == 0 && settled;
	if (file->missing && !missed)
		return WATCHED_GONE;
	if (signature == 0 || signature == file->loaded || signature == file->failed || !settled)
		return WATCHED_SAME;
	return WATCHED_CHANGED;
}

void watched_file_done(struct watched_file *file, uint64_t signature, uint64_t node, uint64_t after,
		       enum watched_result result)
{
	if (after != signature)
		return;
	file->node = node;
	if (result == WATCHED_TAKEN)
		file->loaded = signature;
	file->failed = result == WATCHED_MISTAKEN ? signature : 0;
}
