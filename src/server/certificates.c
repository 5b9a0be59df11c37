/*
 * The TLS of listeners while Guise runs: a context for each worker, and the files of certificates looked at every now and then. A changed file
 * becomes a new store on the main thread, which workers get by letter; handshakes go on with the old one until then.
 */
#include "server/server_internal.h"

#include "tls/server.h"

#include <stdio.h>
#include <time.h>

/* What is known of the files of one listener. */
struct certificate_watch {
	const struct snapshot_listener *origin;
	uint64_t loaded; /* signature of what is in use */
	uint64_t failed; /* signature of what could not be used at the last look; 0: none */
	bool complained; /* about that */
};

struct certificates {
	struct tls_ticket_seed seed;
	struct certificate_watch *watches;
	size_t count;
};

/* ---- contexts ---- */

/* As loops count. */
static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool certificates_init(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	struct certificates *all = arena_zalloc(&server->arena, 1, sizeof(*all));

	if (!all)
		return false;
	random_secret(all->seed.bytes, sizeof(all->seed.bytes));
	all->seed.start_ms = monotonic_ms();
	all->watches = arena_zalloc(&server->arena, snapshot->listener_count + 1, sizeof(*all->watches));
	server->certificates = all;
	for (size_t i = 0; all->watches && i < snapshot->listener_count; i++) {
		const struct snapshot_listener *origin = &snapshot->listeners[i];
		if (origin->tls)
			all->watches[all->count++] = (struct certificate_watch){
				.origin = origin,
				.loaded = origin->tls->signature,
			};
	}
	for (size_t i = 0; i < server->bound_count; i++) {
		struct bound *bound = &server->bound[i];
		if (!bound->origin->tls)
			continue;
		bound->listener.tls =
			arena_zalloc(&server->arena, server->worker_count, sizeof(*bound->listener.tls));
		if (!bound->listener.tls)
			return false;
	}
	return all->watches != NULL;
}

void certificates_fini(struct server *server)
{
	if (server->certificates)
		explicit_bzero(&server->certificates->seed, sizeof(server->certificates->seed));
}

static bool context_init(struct server_worker *self, struct bound *bound)
{
	const struct listener_tls *tls = bound->origin->tls;
	const struct tls_listener_settings *settings = tls->settings;
	struct tls_server_options options = {
		.store = tls->store,
		.minimum = (enum tls_version)settings->minimum,
		.strict_sni = settings->strict_sni,
		.http2 = bound->origin->http2 == HTTP2_TLS,
		.clients = (enum tls_client_verify)settings->clients.verify,
		.clients_ca = tls->clients_ca,
		.seed = settings->tickets ? &self->server->certificates->seed : NULL,
		.name = span_of(bound->text),
	};
	const char *why = "out of memory";
	struct tls_server *context = tls_server_new(&self->worker, &options, &why);

	if (!context) {
		fprintf(stderr, "guise: %s: %s\n", bound->text, why);
		return false;
	}
	bound->listener.tls[self->worker.index] = context;
	return true;
}

bool certificates_worker_init(struct server_worker *self)
{
	struct server *server = self->server;

	for (size_t i = 0; i < server->bound_count; i++)
		if (server->bound[i].listener.tls && !context_init(self, &server->bound[i]))
			return false;
	return true;
}

void certificates_worker_fini(struct server_worker *self)
{
	struct server *server = self->server;

	for (size_t i = 0; i < server->bound_count; i++) {
		struct tls_server **contexts = server->bound[i].listener.tls;
		if (!contexts || !contexts[self->worker.index])
			continue;
		tls_server_free(contexts[self->worker.index]);
		contexts[self->worker.index] = NULL;
	}
}

/* ---- new stores ---- */

/* From the main thread to one worker; freed where it is opened. */
struct store_letter {
	struct letter letter;
	const struct snapshot_listener *origin;
	struct tls_store *store;
};

static void store_letter_free(struct store_letter *letter, struct memory *memory)
{
	tls_store_release(letter->store);
	memory_free(memory, letter, sizeof(*letter));
}

static void on_store(struct letter *letter, void *owner)
{
	struct store_letter *self = CONTAINER_OF(letter, struct store_letter, letter);
	struct server_worker *worker = CONTAINER_OF((struct worker *)owner, struct server_worker, worker);
	struct server *server = worker->server;

	for (size_t i = 0; i < server->bound_count && !worker->worker.loop.stopping; i++) {
		const struct bound *bound = &server->bound[i];
		if (bound->origin == self->origin &&
		    !tls_server_set_store(bound->listener.tls[worker->worker.index], self->store))
			log_say(worker->worker.log, LOG_ERROR,
				"certificates of %s: out of memory: worker %u goes on with the old ones",
				bound->text, worker->worker.index);
	}
	store_letter_free(self, &server->memory);
}

/* A letter for each worker, chained; NULL: out of memory. */
static struct letter *store_letters(struct server *server, const struct snapshot_listener *origin,
				    struct tls_store *store)
{
	struct letter *first = NULL;

	for (unsigned i = 0; i < server->worker_count; i++) {
		struct store_letter *letter = memory_alloc(&server->memory, sizeof(*letter));
		if (!letter)
			goto fail;
		*letter = (struct store_letter){
			.letter = {.open = on_store, .next = first},
			.origin = origin,
			.store = tls_store_retain(store),
		};
		first = &letter->letter;
	}
	return first;
fail:
	while (first) {
		struct letter *next = first->next;
		store_letter_free(CONTAINER_OF(first, struct store_letter, letter), &server->memory);
		first = next;
	}
	return NULL;
}

/* To every worker, or to none when memory is out. */
static bool store_post(struct server *server, const struct snapshot_listener *origin, struct tls_store *store)
{
	struct letter *letter = store_letters(server, origin, store), *next;

	if (!letter)
		return false;
	for (unsigned i = 0; letter; letter = next, i++) {
		next = letter->next;
		mailbox_post(&server->workers[i].worker.mailbox, letter);
	}
	return true;
}

/* ---- looking ---- */

/* What is wrong with the files now is told only when they stay so: certificate and key are often replaced one after the other. */
struct complaints {
	struct server *server;
	bool faults, warnings; /* to be told */
};

static void on_complaint(void *owner, bool fault, const char *text)
{
	const struct complaints *complaints = owner;

	if (fault ? complaints->faults : complaints->warnings)
		log_say(complaints->server->ring, fault ? LOG_ERROR : LOG_WARNING,
			fault ? "certificates: the old ones stay in use: %s" : "certificates: %s", text);
}

static void watch_look(struct server *server, struct certificate_watch *watch)
{
	const struct snapshot_listener *origin = watch->origin;
	uint64_t signature = listener_tls_signature(origin->tls);
	bool again = signature == watch->failed;
	struct complaints complaints = {.server = server, .faults = again, .warnings = true};

	if (signature == watch->loaded) {
		watch->failed = 0;
		return;
	}
	if (again && watch->complained)
		return;
	struct tls_store *store = listener_tls_read(origin->tls, &server->memory, on_complaint, &complaints);
	if (store && store_post(server, origin, store)) {
		watch->loaded = signature;
		watch->failed = 0;
		log_say(server->ring, LOG_INFO, "certificates of %s[%u] have changed: the new ones are in use",
			server_face_name(origin->face), origin->index);
	} else {
		watch->complained = again;
		watch->failed = signature;
	}
	tls_store_release(store);
}

bool certificates_watched(const struct server *server)
{
	return server->certificates->count > 0;
}

void certificates_look(struct server *server)
{
	for (size_t i = 0; i < server->certificates->count; i++)
		watch_look(server, &server->certificates->watches[i]);
}
