/*
 * See lists.h.
 */
#include "config/lists.h"

#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

static const char *const no_memory = "out of memory";

static const char *failure(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}

/* In pieces, so that a list takes no more than its table while it is read. NULL, or why not. */
static const char *read_pieces(int file, size_t expected, struct list_reader *reader, struct memory *memory)
{
	uint8_t *piece = memory_alloc(memory, PIECE);
	const char *why = NULL;
	size_t used = 0;

	if (!piece)
		return no_memory;
	while (!why) {
		ssize_t got = read(file, piece, PIECE);
		if (got == 0)
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			why = failure(errno);
			break;
		}
		used += (size_t)got;
		list_reader_feed(reader, span_make(piece, (size_t)got));
		why = reader->full ? no_memory : used > LISTS_FILE_MOST ? "it is larger than 1 GiB" : NULL;
	}
	memory_free(memory, piece, PIECE);
	return why ? why : used < expected ? "it became shorter while it was read" : NULL;
}

/* Into the reader, which is then started. */
static const char *read_file(const struct list *list, struct arena *arena, struct list_reader *reader,
			     struct memory *memory)
{
	const char *path = files_path(arena, list->base, list->settings->file.text), *why = NULL;
	struct stat status = {.st_size = 0};

	list_reader_start(reader, memory, (enum list_format)list->settings->format, 0);
	if (!list->base)
		return "files are not read here";
	if (!path)
		return no_memory;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0)
		return failure(errno);
	if (fstat(file, &status) < 0)
		why = failure(errno);
	else if (!S_ISREG(status.st_mode))
		why = S_ISDIR(status.st_mode) ? failure(EISDIR) : "it is not a regular file";
	else if (status.st_size > LISTS_FILE_MOST)
		why = "it is larger than 1 GiB";
	if (!why) {
		list_reader_start(reader, memory, (enum list_format)list->settings->format,
				  (size_t)status.st_size);
		why = read_pieces(file, (size_t)status.st_size, reader, memory);
	}
	close(file);
	return why;
}

static const char *judge_content(const struct domain_list *table, const struct list_report *report,
				 struct arena *arena)
{
	struct span text;

	if (domain_list_names(table) || domain_list_has_networks(table))
		return NULL;
	if (report->wrong == 0)
		return report->comments ?
			       NULL :
			       "it has nothing in it; a list that is meant to be empty has a comment";
	text = arena_format(arena, "it is no list: not one line is of use; line %llu: %s",
			    (unsigned long long)report->first[0].line, report->first[0].why);
	return text.at ? (const char *)text.at : no_memory;
}

struct domain_list *lists_read(const struct list *list, struct memory *memory, struct arena *arena,
			       struct list_report *report, const char **why)
{
	struct list_reader *reader = memory_alloc(memory, sizeof(*reader));
	struct domain_list *table = NULL;

	*why = no_memory;
	if (!reader)
		return NULL;
	*why = read_file(list, arena, reader, memory);
	if (*why) {
		list_reader_drop(reader);
	} else {
		table = list_reader_finish(reader);
		*why = table ? judge_content(table, &reader->report, arena) : no_memory;
	}
	*report = reader->report;
	memory_free(memory, reader, sizeof(*reader));
	if (!*why)
		return table;
	domain_list_free(table);
	return NULL;
}

uint64_t lists_signature(const struct list *list, uint64_t *node)
{
	return files_signature(list->base, list->settings->file.text, node);
}

const char *lists_describe(const struct domain_list *table, const struct list_report *report,
			   struct arena *arena)
{
	size_t networks = domain_list_networks(table);
	struct span text = arena_format(arena, "%zu names", domain_list_names(table));

	if (text.at && networks)
		text = arena_format(arena, "%.*s, %zu networks", SPAN_ARG(text), networks);
	if (text.at && report->wrong)
		text = arena_format(arena, "%.*s; %llu lines are of no use, the first is line %llu: %s",
				    SPAN_ARG(text), (unsigned long long)report->wrong,
				    (unsigned long long)report->first[0].line, report->first[0].why);
	return text.at ? (const char *)text.at : "?";
}

/* ---- of a snapshot ---- */

/* The first few by line, in the file; and how many there are besides. */
static void warn_of_lines(const struct list *list, const struct list_report *report, struct arena *arena,
			  struct diagnostics *diagnostics)
{
	const char *configuration = diagnostics->file;
	const char *path = files_path(arena, list->base, list->settings->file.text);
	size_t shown = size_min(report->wrong, LIST_WRONG_SHOWN);

	diagnostics->file = path ? path : list->settings->file.text;
	for (size_t i = 0; i < shown; i++) {
		const struct list_wrong *one = &report->first[i];
		struct setting_place place = {.line = (unsigned)size_min(one->line, UINT32_MAX), .column = 1};
		diagnostics_warning(diagnostics, place, "%s: the line is left out", one->why);
	}
	diagnostics->file = configuration;
	if (report->wrong > shown)
		diagnostics_warning(diagnostics, list->settings->file.place,
				    "%llu more lines of %s are of no use and left out",
				    (unsigned long long)(report->wrong - shown), list->settings->file.text);
}

static void load(struct list *list, struct arena *arena, struct diagnostics *diagnostics)
{
	struct list_report report;
	const char *why;
	uint64_t node;

	list->signature = lists_signature(list, &node);
	struct domain_list *table = lists_read(list, arena->memory, arena, &report, &why);
	atomic_store_explicit(&list->table, table, memory_order_release);
	if (table)
		warn_of_lines(list, &report, arena, diagnostics);
	else
		diagnostics_error(diagnostics, list->settings->file.place, "cannot read the list %s: %s",
				  list->settings->file.text, why);
}

bool lists_load(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	const struct setting_list *given = &snapshot->settings.lists;
	struct arena *arena = &snapshot->arena;

	snapshot->lists.items = arena_zalloc(arena, given->count + 1, sizeof(*snapshot->lists.items));
	if (!snapshot->lists.items)
		return false;
	for (size_t i = 0; i < given->count; i++) {
		struct list *list = &snapshot->lists.items[snapshot->lists.count++];
		list->settings = (const struct list_settings *)given->items + i;
		list->base = base;
		atomic_init(&list->table, NULL);
		if (list->settings->file.len) /* else it was said already */
			load(list, arena, diagnostics);
	}
	return true;
}

void lists_release(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->lists.count; i++)
		domain_list_free(list_publish(&snapshot->lists.items[i], NULL));
}
