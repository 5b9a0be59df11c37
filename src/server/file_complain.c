/*
 * What is wrong with a file that is read again while Guise runs, as one line of the log.
 */
#include "server/server_internal.h"

void file_complain(const struct server *server, const struct diagnostics *diagnostics, const char *whose,
		   const char *kept)
{
	const struct diagnostic *first = diagnostics->first;

	while (first && first->warning)
		first = first->next;
	if (!first)
		log_say(server->ring, LOG_ERROR, "%s: out of memory: the old %s stay in use", whose, kept);
	else if (first->place.line == 0 || !first->file)
		log_say(server->ring, LOG_ERROR, "%s: %s: the old %s stay in use", whose, first->text, kept);
	else
		log_say(server->ring, LOG_ERROR, "%s: %s:%u:%u: %s%s: the old %s stay in use", whose,
			first->file, first->place.line, first->place.column, first->text,
			diagnostics->errors > 1 ? " (and more)" : "", kept);
}
