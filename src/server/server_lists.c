/*
 * The files with lists of names and networks (`lists`): looked at every second, read here on the main thread into a new table, which workers then find in place of the
 * old one. No worker waits for any of it: one that is inside of the old table goes on in it.
 *
 * The old table is freed when each worker has opened a letter that was posted after the new one was published: what a worker does is over before it opens a letter,
 * so that none has the old one any more. It is freed here, since giving back so much memory takes longer than a worker should.
 */
#include "server/server_internal.h"

#include "config/lists.h"
#include "server/watched_file.h"

struct list_watch {
	struct list *list;
	struct watched_file file;
};

struct old_table;

struct seen_letter {
	struct letter letter;
	struct old_table *table;
};

/* One that may still be in use. */
struct old_table {
	struct old_table *next;
	struct domain_list *table;
	size_t size;      /* of this */
	atomic_uint left; /* workers that may be inside of it */
	struct seen_letter letters[];
};

struct server_lists {
	struct old_table *old;
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

/* ---- old tables ---- */

static void on_seen(struct letter *letter, void *owner)
{
	struct seen_letter *self = CONTAINER_OF(letter, struct seen_letter, letter);

	/* The last thing that this worker does with it. */
	atomic_fetch_sub_explicit(&self->table->left, 1, memory_order_release);
}

static struct old_table *old_table_new(struct server *server)
{
	size_t size = sizeof(struct old_table) + server->worker_count * sizeof(struct seen_letter);
	struct old_table *old = memory_alloc(&server->memory, size);

	if (!old)
		return NULL;
	memset(old, 0, size);
	old->size = size;
	atomic_init(&old->left, server->worker_count);
	return old;
}

static void old_table_free(struct server *server, struct old_table *old)
{
	domain_list_free(old->table);
	memory_free(&server->memory, old, old->size);
}

/* Those that nobody is inside of any more. */
static void old_tables_look(struct server *server)
{
	struct old_table **at = &server->lists->old;

	while (*at) {
		struct old_table *old = *at;
		if (atomic_load_explicit(&old->left, memory_order_acquire) > 0) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		old_table_free(server, old);
	}
}

static void replace(struct server *server, struct list *list, struct domain_list *table, struct old_table *old)
{
	old->table = list_publish(list, table);
	old->next = server->lists->old;
	server->lists->old = old;
	for (unsigned i = 0; i < server->worker_count; i++) {
		old->letters[i] = (struct seen_letter){.letter = {.open = on_seen}, .table = old};
		mailbox_post(&server->workers[i].worker.mailbox, &old->letters[i].letter);
	}
}

/* ---- a changed file ---- */

static enum watched_result list_read_again(struct server *server, struct list *list)
{
	const char *name = list->settings->name.text, *file = list->settings->file.text, *why = "out of memory";
	struct old_table *old = old_table_new(server);
	struct domain_list *table = NULL;
	struct list_report report;
	struct arena arena;

	if (!old) {
		log_say(server->ring, LOG_ERROR, "list \"%s\": %s: %s: the old list stays in use", name, file,
			why);
		return WATCHED_NO_MEMORY;
	}
	arena_init(&arena, &server->memory, NULL, NULL, 0);
	table = lists_read(list, server->snapshot->arena.memory, &arena, &report, &why);
	if (table) {
		replace(server, list, table, old);
		log_say(server->ring, report.wrong ? LOG_WARNING : LOG_INFO,
			"list \"%s\": %s has changed: %s", name, file, lists_describe(table, &report, &arena));
	} else {
		log_say(server->ring, LOG_ERROR, "list \"%s\": %s: %s: the old list stays in use", name, file,
			why);
		memory_free(&server->memory, old, old->size);
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
	old_tables_look(server);
	for (size_t i = 0; i < server->lists->count; i++)
		list_look(server, &server->lists->watches[i]);
}

void server_lists_fini(struct server *server)
{
	while (server->lists && server->lists->old) {
		struct old_table *old = server->lists->old;
		server->lists->old = old->next;
		old_table_free(server, old);
	}
}
