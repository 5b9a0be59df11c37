/*
 * From a snapshot to running workers, and back to nothing. Main thread.
 */
#include "server/server.h"

#include "account/allowance.h"
#include "config/files.h"
#include "proxy/secrets.h"
#include "server/control.h"
#include "server/outdated.h"
#include "server/own.h"
#include "server/server_internal.h"
#include "tls/client.h"
#include "upstream/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	DESCRIPTORS_ASIDE = 256, /* for listeners, logs, the resolver, pipes; at most a quarter of what there is */
	RESOLVER_ENTRIES = 4096,
	FILES_LOOK_MS = 1000,
	CERTIFICATES_LOOKS = 2, /* every so many looks at files */
	ALLOWANCES_LOOKS = 60,
	NAMES_MS = 2000, /* names are waited for at start, at the most */
};

/* ---- what the system allows ---- */

static void limits_prepare(struct server *server)
{
	uint64_t descriptors = system_descriptors();
	uint64_t aside = size_min(DESCRIPTORS_ASIDE, descriptors / 4);
	uint64_t possible = size_max((descriptors - aside) / 2, 1);

	server->limits = server->snapshot->settings.limits;
	if (server->limits.memory == 0)
		server->limits.memory = system_memory() / 4 * 3;
	if (server->limits.connections > possible) {
		server->limits.connections = possible;
		server->descriptors = descriptors;
	}
	memory_init(&server->memory, server->limits.memory);
	clients_init(&server->clients, &server->memory, server->limits.connections,
		     server->limits.connections_per_address);
}

/* ---- logs ---- */

static bool log_open(const char *key, const struct setting_string *where, int *fd)
{
	*fd = -1;
	if (strcmp(where->text, "off") == 0)
		return true;
	if (strcmp(where->text, "stdout") == 0)
		*fd = STDOUT_FILENO;
	else if (strcmp(where->text, "stderr") == 0)
		*fd = STDERR_FILENO;
	else
		*fd = open(where->text, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (*fd >= 0)
		return true;
	fprintf(stderr, "guise: %s: cannot open %s: %s\n", key, where->text, strerror(errno));
	return false;
}

static bool logs_start(struct server *server)
{
	const struct log_settings *settings = &server->snapshot->settings.log;

	if (!log_open("log.access", &settings->access, &server->access_fd) ||
	    !log_open("log.error", &settings->error, &server->error_fd))
		return false;
	server->log = log_start(server->access_fd, server->error_fd, (enum log_level)settings->level);
	return server->log != NULL;
}

static void log_close(int fd)
{
	if (fd > STDERR_FILENO)
		close(fd);
}

/* ---- names ---- */

/* "a,b:53,[::1]:53": the servers as c-ares wants them. NULL: out of memory. */
static const char *resolver_servers(struct server *server)
{
	const struct setting_strings *servers = &server->snapshot->settings.resolver.servers;
	struct span list = SPAN("");

	for (size_t i = 0; i < servers->count && list.at; i++)
		list = arena_format(&server->arena, "%.*s%s%s", SPAN_ARG(list), i ? "," : "",
				    servers->items[i].text);
	return (const char *)list.at;
}

bool resolver_prepare(struct server *server)
{
	const struct resolver_keys *keys = &server->snapshot->settings.resolver;
	struct span text;

	server->resolver = (struct resolver_settings){
		.servers = resolver_servers(server),
		.family = (enum resolver_family)keys->family,
		.timeout_ms = keys->timeout,
		.attempts = (unsigned)keys->attempts,
		.cache_entries = RESOLVER_ENTRIES,
	};
	if (!server->resolver.servers)
		return false;
	map_init(&server->hosts, &server->memory);
	if (keys->hosts && files_read(&server->arena, NULL, "/etc/hosts", &text) == NULL &&
	    !resolver_hosts_parse(text, &server->arena, &server->hosts))
		return false;
	server->resolver.hosts = &server->hosts;
	return true;
}

/* ---- workers ---- */

/* The control thread before the others: it tells them of servers, and is told nothing by them. */
static bool workers_prepare(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;

	server->fleet = fleet_new(&server->memory, snapshot->plans, snapshot->upstream_count,
				  server->worker_count, NULL);
	server->parents = parents_new(&server->memory, &server->snapshot->parents);
	if (!server->fleet || !server->parents)
		return false;
	if (server->own.servers)
		fleet_keep_addresses(server->fleet, server->own.servers);
	server->admin.fleet = server->fleet;
	server->workers = arena_zalloc(&server->arena, server->worker_count, sizeof(*server->workers));
	if (!server->workers)
		return false;
	for (unsigned i = 0; i < server->worker_count; i++)
		if (!worker_thread_init(server, i))
			return false;
	server->control = control_new(server);
	return server->control != NULL;
}

static bool workers_start(struct server *server)
{
	span_wipe(span_make(server->client_log.key, sizeof(server->client_log.key)));
	control_settle(server->control, NAMES_MS);
	if (!control_start(server->control))
		return false;
	for (unsigned i = 0; i < server->worker_count; i++)
		if (!worker_thread_start(&server->workers[i]))
			return false;
	return true;
}

static void workers_drain(struct server *server, bool cut)
{
	for (unsigned i = 0; server->workers && i < server->worker_count; i++)
		if (server->workers[i].started)
			worker_thread_drain(&server->workers[i], cut);
}

/* ---- signals ---- */

static void signals_block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL); /* every thread inherits it: only the main thread asks for them */
	signal(SIGPIPE, SIG_IGN);
}

/* The next signal within `wait_ms` (-1: for ever) that tells to end; SIGHUP is answered here. */
static bool signal_to_end(struct server *server, const sigset_t *set, int wait_ms)
{
	struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000};
	int signal;

	do {
		signal = wait_ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &wait);
		if (signal == SIGHUP) {
			log_say(server->ring, LOG_WARNING,
				"SIGHUP: certificates, users, secrets, lists and servers are looked at; the configuration is read again by a restart alone");
			certificates_look(server);
			server_files_look(server);
			user_files_look(server);
			server_lists_look(server);
			secret_files_look(server);
		}
	} while (signal == SIGHUP || (signal < 0 && errno == EINTR));
	return signal > 0;
}

static void run_until_told(struct server *server, const sigset_t *set)
{
	bool cut = false, watched = certificates_watched(server) || server_files_watched(server) ||
				    user_files_watched(server) || server_lists_watched(server) ||
				    secret_files_watched(server) || allowances_watched(server);
	unsigned looks = 0;

	while (!signal_to_end(server, set, watched ? FILES_LOOK_MS : -1)) {
		outdated_look(server);
		server_files_look(server);
		user_files_look(server);
		server_lists_look(server);
		secret_files_look(server);
		if (++looks % CERTIFICATES_LOOKS == 0)
			certificates_look(server);
		if (looks % ALLOWANCES_LOOKS == 0)
			allowances_say(server);
	}
	log_say(server->ring, LOG_INFO, "draining");
	workers_drain(server, false);
	while (atomic_load(&server->running) > 0) {
		if (!signal_to_end(server, set, 20) || cut)
			continue;
		cut = true;
		log_say(server->ring, LOG_WARNING, "told twice: cutting what is still open");
		workers_drain(server, true);
	}
	allowances_say(server);
}

/* ---- all of it ---- */

static bool server_init(struct server *server)
{
	const struct settings *settings = &server->snapshot->settings;

	arena_init(&server->arena, &server->memory, NULL, NULL, 0);
	server->access_fd = server->error_fd = -1;
	server->worker_count = settings->workers ? (unsigned)settings->workers : system_cores();
	if (!sockets_bind(server) || !logs_start(server))
		return false;
	server->ring = log_ring_new(server->log, LOG_RING);
	if (server->ring && listeners_prepare(server) && certificates_init(server) &&
	    server_files_init(server) && server_lists_init(server) && resolver_prepare(server) &&
	    workers_prepare(server) && user_files_start(server) && workers_start(server))
		return true;
	fprintf(stderr, "guise: cannot start: %s\n", errno ? strerror(errno) : "out of memory");
	return false;
}

static void server_fini(struct server *server)
{
	for (unsigned i = 0; server->workers && i < server->worker_count; i++)
		worker_thread_join(&server->workers[i]);
	control_join(server->control);
	user_files_stop(server);
	tls_trust_settle(server->snapshot->later_trust);
	/* No thread is left that could post a letter. */
	control_free(server->control);
	for (unsigned i = 0; server->workers && i < server->worker_count; i++)
		worker_thread_fini(&server->workers[i]);
	fleet_free(server->fleet);
	outdated_fini(server);
	user_files_fini(server);
	secrets_free(server->secrets);
	parents_free(server->parents);
	allowances_free(server->allowances);
	own_fini(server);
	certificates_fini(server);
	sockets_close(server);
	if (log_stop(server->log)) {
		log_close(server->access_fd);
		log_close(server->error_fd);
	}
	map_fini(&server->hosts);
	arena_fini(&server->arena);
	clients_fini(&server->clients);
}

int server_run(struct snapshot *snapshot, const struct server_options *options)
{
	struct server *server = calloc(1, sizeof(*server));
	sigset_t set;

	if (!server)
		return EXIT_FAILURE;
	server->snapshot = snapshot;
	signals_block(&set);
	limits_prepare(server);
	bool good = server_init(server);
	if (good) {
		banner_print(server, options->quiet);
		exits_look(server);
		masks_look(server);
		run_until_told(server, &set);
	} else {
		workers_drain(server, true);
	}
	server_fini(server);
	free(server);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
