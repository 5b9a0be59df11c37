/*
 * Binding: the one place where listening sockets come from, before the workers start.
 */
#include "server/server_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t addresses_wanted(const struct snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->listener_count; i++)
		count += snapshot->listeners[i].address_count;
	return count;
}

const char *server_face_name(enum snapshot_face face)
{
	static const char *const names[] = {
		[SNAPSHOT_FORWARD] = "forward",
		[SNAPSHOT_REVERSE] = "reverse",
		[SNAPSHOT_TCP] = "tcp",
		[SNAPSHOT_ADMIN] = "admin",
	};
	return names[face];
}

/* guise.yaml:3:5: forward[0].listen: 127.0.0.1:80: cannot bind: Permission denied */
static void complain(const struct server *server, const struct bound *bound, const char *what, int error)
{
	const struct setting_place *place = &bound->written->place;

	if (server->snapshot->file && place->line)
		fprintf(stderr, "%s:%u:%u: ", server->snapshot->file, place->line, place->column);
	else
		fputs("guise: ", stderr);
	fputs(server_face_name(bound->origin->face), stderr);
	if (bound->origin->face != SNAPSHOT_ADMIN)
		fprintf(stderr, "[%u]", bound->origin->index);
	fprintf(stderr, ".listen: %s: %s", bound->written->text, what);
	if (error == EADDRINUSE)
		fputs(": another program listens there already", stderr);
	else if (error == EACCES && bound->address.port && bound->address.port < 1024)
		fputs(": ports below 1024 need the right to bind them (root, or CAP_NET_BIND_SERVICE)", stderr);
	else if (error)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
}

/* The socket of the operator's interface is for our own user alone, from the moment on that it is there. */
static int bind_socket(struct bound *bound, const char **what)
{
	bool guarded = bound->origin->face == SNAPSHOT_ADMIN && bound->shared;
	mode_t before = guarded ? umask(0177) : 0;
	bool transparent = bound->origin->intercept == INTERCEPT_TPROXY;
	int fd = (transparent ? listener_bind_transparent : listener_bind)(&bound->address,
									   bound->written->dual, what);
	int error = errno;

	if (guarded)
		umask(before);
	errno = error;
	return fd;
}

/* The first socket finds the port (0 asks for any), the others join it. */
static bool bind_one(struct server *server, struct bound *bound)
{
	bool dual = bound->written->dual;
	const char *what = "cannot listen";

	if (listener_in_use(&bound->address, dual)) {
		complain(server, bound, what, EADDRINUSE);
		return false;
	}
	bound->shared = bound->address.family == ADDRESS_UNIX;
	for (unsigned i = 0; i < server->worker_count; i++) {
		if (i > 0 && bound->shared) {
			bound->sockets[i] = bound->sockets[0];
			continue;
		}
		bound->sockets[i] = bind_socket(bound, &what);
		if (bound->sockets[i] < 0) {
			complain(server, bound, what, errno);
			return false;
		}
	}
	return true;
}

static bool bound_init(struct server *server, struct bound *bound, const struct snapshot_listener *origin,
		       const struct snapshot_address *written)
{
	*bound = (struct bound){.origin = origin, .written = written, .address = written->address};
	bound->sockets = arena_zalloc(&server->arena, server->worker_count, sizeof(int));
	if (!bound->sockets)
		return false;
	for (unsigned i = 0; i < server->worker_count; i++)
		bound->sockets[i] = -1;
	return true;
}

bool sockets_describe(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	size_t wanted = addresses_wanted(snapshot);

	server->bound = arena_zalloc(&server->arena, wanted, sizeof(*server->bound));
	if (!server->bound)
		return false;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *listener = &snapshot->listeners[i];
		for (size_t j = 0; j < listener->address_count; j++) {
			struct bound *bound = &server->bound[server->bound_count];
			if (!bound_init(server, bound, listener, &listener->addresses[j]))
				return false;
			server->bound_count++;
			bound->text[address_format(&bound->address, bound->text)] = '\0';
		}
	}
	return true;
}

bool sockets_bind(struct server *server)
{
	bool good = true;

	if (!sockets_describe(server))
		return false;
	for (size_t i = 0; i < server->bound_count; i++) {
		struct bound *bound = &server->bound[i];
		good &= bind_one(server, bound); /* all that is wrong, in one run */
		bound->text[address_format(&bound->address, bound->text)] = '\0';
	}
	return good;
}

void sockets_close(struct server *server)
{
	for (size_t i = 0; i < server->bound_count; i++) {
		struct bound *bound = &server->bound[i];
		unsigned count = bound->shared ? 1 : server->worker_count;
		for (unsigned j = 0; j < count; j++)
			if (bound->sockets[j] >= 0)
				close(bound->sockets[j]);
		if (bound->shared && bound->sockets[0] >= 0 && bound->address.path[0] != '@')
			unlink(bound->address.path);
	}
	server->bound_count = 0;
}
