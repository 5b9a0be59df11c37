/*
 * See outdated.h.
 */
#include "server/outdated.h"

#include "server/server_internal.h"

struct outdated_letter {
	struct letter letter;
	struct outdated *outdated;
};

struct outdated {
	struct outdated *next;
	void *table;
	outdated_free_fn *table_free;
	size_t size;      /* of this */
	atomic_uint left; /* workers that may be inside of the table */
	struct outdated_letter letters[];
};

struct outdated *outdated_new(struct server *server)
{
	size_t size = sizeof(struct outdated) + server->worker_count * sizeof(struct outdated_letter);
	struct outdated *outdated = memory_alloc(&server->memory, size);

	if (!outdated)
		return NULL;
	memset(outdated, 0, size);
	outdated->size = size;
	atomic_init(&outdated->left, server->worker_count);
	return outdated;
}

void outdated_drop(struct server *server, struct outdated *outdated)
{
	memory_free(&server->memory, outdated, outdated->size);
}

/* The last thing that a worker does with it. */
static void outdated_on_letter(struct letter *letter, void *owner)
{
	struct outdated_letter *self = CONTAINER_OF(letter, struct outdated_letter, letter);

	atomic_fetch_sub_explicit(&self->outdated->left, 1, memory_order_release);
}

void outdated_add(struct server *server, struct outdated *outdated, void *table, outdated_free_fn *table_free)
{
	outdated->table = table;
	outdated->table_free = table_free;
	outdated->next = server->outdated;
	server->outdated = outdated;
	for (unsigned i = 0; i < server->worker_count; i++) {
		outdated->letters[i] =
			(struct outdated_letter){.letter = {.open = outdated_on_letter}, .outdated = outdated};
		mailbox_post(&server->workers[i].worker.mailbox, &outdated->letters[i].letter);
	}
}

static void outdated_end(struct server *server, struct outdated *outdated)
{
	outdated->table_free(outdated->table);
	outdated_drop(server, outdated);
}

void outdated_look(struct server *server)
{
	struct outdated **at = &server->outdated;

	while (*at) {
		struct outdated *outdated = *at;
		if (atomic_load_explicit(&outdated->left, memory_order_acquire) > 0) {
			at = &outdated->next;
			continue;
		}
		*at = outdated->next;
		outdated_end(server, outdated);
	}
}

void outdated_fini(struct server *server)
{
	while (server->outdated) {
		struct outdated *outdated = server->outdated;
		server->outdated = outdated->next;
		outdated_end(server, outdated);
	}
}
