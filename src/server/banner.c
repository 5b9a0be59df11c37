/*
 * What a person sees at start: what listens where, and what to try.
 */
#include "server/server_internal.h"

#include <stdio.h>

/* That a person can try; what is sent to a listener that intercepts the system decides. */
static const struct bound *first_of(const struct server *server, enum snapshot_face face)
{
	for (size_t i = 0; i < server->bound_count; i++) {
		const struct bound *bound = &server->bound[i];
		if (bound->origin->face == face && bound->address.family != ADDRESS_UNIX &&
		    bound->origin->intercept == INTERCEPT_OFF)
			return bound;
	}
	return NULL;
}

/* Commands that work as they stand: towards wildcard addresses by loopback. */
static void reachable(const struct bound *bound, char *out)
{
	struct address address = bound->address;
	static const uint8_t any[16];

	if (address.family == ADDRESS_V4 && memcmp(address.ip, any, 4) == 0)
		memcpy(address.ip, (const uint8_t[]){127, 0, 0, 1}, 4);
	else if (address.family == ADDRESS_V6 && memcmp(address.ip, any, 16) == 0)
		address.ip[15] = 1;
	out[address_format(&address, out)] = '\0';
}

static const char *scheme(const struct bound *bound)
{
	return bound->origin->tls ? "https" : "http";
}

static void suggest(const struct server *server)
{
	const struct bound *forward = first_of(server, SNAPSHOT_FORWARD),
			   *reverse = first_of(server, SNAPSHOT_REVERSE);
	char proxy[ADDRESS_TEXT + 1], site[ADDRESS_TEXT + 1];

	if (!forward && !reverse)
		return;
	fputs("\ntry\n", stderr);
	if (reverse) {
		reachable(reverse, site);
		fprintf(stderr, "    curl -i%s %s://%s/\n", reverse->origin->tls ? "k" : "", scheme(reverse),
			site);
	}
	if (!forward) {
		fputc('\n', stderr);
		return;
	}
	reachable(forward, proxy);
	const char *over = scheme(forward), *lenient = forward->origin->tls ? " --proxy-insecure" : "";
	const char *login = forward->origin->users ? " -U NAME" : ""; /* curl asks for the password */
	if (reverse && !reverse->origin->tls) {
		fprintf(stderr, "    curl -i -x %s://%s%s%s http://%s/\n", over, proxy, lenient, login, site);
		fprintf(stderr, "    curl -i -x %s://%s%s%s --proxytunnel http://%s/\n", over, proxy, lenient,
			login, site);
	} else if (reverse) {
		fprintf(stderr, "    curl -ik -x %s://%s%s%s https://%s/\n", over, proxy, lenient, login, site);
	} else {
		fprintf(stderr, "    curl -x %s://%s%s%s http://example.com/\n", over, proxy, lenient, login);
		fprintf(stderr, "    curl -x %s://%s%s%s https://example.com/\n", over, proxy, lenient, login);
		if (forward->origin->socks && !forward->origin->tls)
			fprintf(stderr, "    curl -x socks5h://%s%s https://example.com/\n", proxy, login);
	}
	fputc('\n', stderr);
}

static void print_limits(const struct server *server)
{
	fprintf(stderr, "guise %s: %u worker%s, at most %llu MiB and %llu connections", GUISE_VERSION,
		server->worker_count, server->worker_count == 1 ? "" : "s",
		(unsigned long long)(server->limits.memory >> 20),
		(unsigned long long)server->limits.connections);
	if (server->descriptors)
		fprintf(stderr, " (more need more than %llu open files: ulimit -n)",
			(unsigned long long)server->descriptors);
	fputc('\n', stderr);
}

static const char *suffix(const struct snapshot_listener *listener)
{
	switch (listener->intercept) {
	case INTERCEPT_REDIRECT:
		return " for redirected connections";
	case INTERCEPT_TPROXY:
		return " for connections by TPROXY";
	case INTERCEPT_OFF:
		break;
	}
	return listener->tls ? " with TLS" : "";
}

void banner_print(const struct server *server, bool quiet)
{
	if (!quiet) {
		print_limits(server);
		for (size_t i = 0; i < server->bound_count; i++)
			fprintf(stderr, "guise: %s %s on %s%s\n",
				server_face_name(server->bound[i].origin->face),
				server->bound[i].origin->face == SNAPSHOT_ADMIN ? "interface" : "proxy",
				server->bound[i].text, suffix(server->bound[i].origin));
		suggest(server);
	}
	fputs("guise: ready\n", stderr);
}
