/*
 * The files with lists of names and networks (`lists`): looked at every second, read here on the main thread into a new table, which workers then find in place of the
 * old one. No worker waits for any of it: one that is inside of the old table goes on in it.
 */
#include "server/server_internal.h"

#include "config/lists.h"
#include "server/outdated.h"
#include "server/watched_file.h"

struct list_watch {
	struct list *list;
	struct watched_file file;
};

struct server_lists {
	size_t count;
	struct list_watch watches[];
};

bool server_lists_init(struct server *server)
{
	struct lists *lists = &server->snapshot->lists;

	server->lists = arena_zalloc(&server->arena, 1,
				     sizeof(*server->lists) + lists->count * sizeof(struct list_watch));
	if (!server->lists)
		return false;
	for (size_t i = 0; i < lists->count; i++) {
		struct list_watch *watch = &server->lists->watches[server->lists->count++];
		uint64_t node, now = lists_signature(&lists->items[i], &node);
		watch->list = &lists->items[i];
		watched_file_init(&watch->file, watch->list->signature, now, node);
	}
	return true;
}

bool server_lists_watched(const struct server *server)
{
	return server->lists->count > 0;
}

/* ---- a changed file ---- */

static void table_free(void *table)
{
	domain_list_free(table);
}

static enum watched_result list_read_again(struct server *server, struct list *list)
{
	const char *name = list->settings->name.text, *file = list->settings->file.text, *why = "out of memory";
	struct outdated *outdated = outdated_new(server);
	struct domain_list *table = NULL;
	struct list_report report;
	struct arena arena;

	if (!outdated) {
		log_say(server->ring, LOG_ERROR, "list \"%s\": %s: %s: the old list stays in use", name, file,
			why);
		return WATCHED_NO_MEMORY;
	}
	arena_init(&arena, &server->memory, NULL, NULL, 0);
	table = lists_read(list, server->snapshot->arena.memory, &arena, &report, &why);
	if (table) {
		outdated_add(server, outdated, list_publish(list, table), table_free);
		log_say(server->ring, report.wrong ? LOG_WARNING : LOG_INFO,
			"list \"%s\": %s has changed: %s", name, file, lists_describe(table, &report, &arena));
	} else {
		log_say(server->ring, LOG_ERROR, "list \"%s\": %s: %s: the old list stays in use", name, file,
			why);
		outdated_drop(server, outdated);
	}
	arena_fini(&arena);
	return table ? WATCHED_TAKEN : WATCHED_MISTAKEN;
}

static void list_look(struct server *server, struct list_watch *watch)
{
	uint64_t node, other, signature = lists_signature(watch->list, &node);

	switch (watched_file_look(&watch->file, signature, node)) {
	case WATCHED_SAME:
		return;
	case WATCHED_GONE:
		log_say(server->ring, LOG_ERROR, "list \"%s\": %s is not there: the old list stays in use",
			watch->list->settings->name.text, watch->list->settings->file.text);
		return;
	case WATCHED_CHANGED:
		break;
	}
	enum watched_result result = list_read_again(server, watch->list);
	uint64_t after = lists_signature(watch->list, &other);
	watched_file_done(&watch->file, signature, node, after, result);
}

void server_lists_look(struct server *server)
{
	for (size_t i = 0; i < server->lists->count; i++)
		list_look(server, &server->lists->watches[i]);
}
