/*
 * The server on its stage: in a namespace, with observers around it. See config.h. Main thread; the server is a child process, made before any thread.
 */
#include "audit/config_internal.h"
#include "audit/namespace.h"
#include "audit/reverse.h"
#include "config/believe.h"
#include "core/deadline.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	READY_MS = 20000,
	END_MS = 3000,
	LOOK_MS = 10,
};

static bool fail(struct stage *stage, const char *why, const char *advice)
{
	stage->audit->why = why;
	stage->audit->advice = advice;
	return false;
}

/* ---- the server ---- */

/* In the child: waits until everybody else is there. Snapshots of servers that are left are the system's to free. */
static _Noreturn void be_server(const struct stage *stage, int go)
{
	const struct server_options options = {0};
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(stage->said, STDERR_FILENO) < 0 || dup2(stage->said, STDOUT_FILENO) < 0 ||
	    read(go, &byte, 1) != 1)
		_exit(1);
	_exit(server_run(stage->snapshot, &options));
}

static bool start_server(struct stage *stage)
{
	int ends[2];

	stage->said = memfd_create("guise-audit", MFD_CLOEXEC);
	if (stage->said < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return fail(stage, "the server could not be started: no more descriptors", NULL);
	stage->go = ends[1];
	stage->server = fork();
	if (stage->server == 0) {
		close(ends[1]);
		be_server(stage, ends[0]);
	}
	close(ends[0]);
	if (stage->server > 0)
		return true;
	stage->server = 0;
	return fail(stage, "the server could not be started: no more processes", NULL);
}

/* What the server has said so far. */
static const char *what_it_said(struct stage *stage)
{
	ssize_t len = pread(stage->said, stage->text, sizeof(stage->text) - 1, 0);

	stage->text[len > 0 ? len : 0] = '\0';
	return stage->text;
}

static bool has_ended(struct stage *stage)
{
	if (waitpid(stage->server, NULL, WNOHANG) != stage->server)
		return false;
	stage->server = 0;
	return true;
}

/* The descriptor is not to be waited for: it is looked at, as often as nobody minds. */
static bool wait_until_ready(struct stage *stage)
{
	uint64_t deadline = deadline_now() + READY_MS;
	bool ended = false;

	while (!ended && deadline_now() < deadline) {
		(void)poll(NULL, 0, LOOK_MS);
		ended = has_ended(stage);
		if (strstr(what_it_said(stage), "guise: ready\n"))
			return true;
	}
	return fail(stage,
		    ended ? "the server ended instead of serving" : "the server was not ready after 20 seconds",
		    (const char *)arena_format(stage->arena, "%s", what_it_said(stage)).at);
}

static void end_server(struct stage *stage)
{
	uint64_t deadline = deadline_now() + END_MS;

	if (stage->server == 0)
		return;
	/* The second signal cuts what is being drained. */
	(void)kill(stage->server, SIGTERM);
	(void)poll(NULL, 0, LOOK_MS);
	(void)kill(stage->server, SIGTERM);
	while (!has_ended(stage) && deadline_now() < deadline)
		(void)poll(NULL, 0, LOOK_MS);
	if (stage->server == 0)
		return;
	(void)kill(stage->server, SIGKILL);
	(void)waitpid(stage->server, NULL, 0);
	stage->server = 0;
}

/* ---- whom it speaks to ---- */

/* observer_answer_fn: as the listener that is audited now has it. */
static void on_request(void *owner, const struct observer_message *message, struct observer_reply *reply)
{
	static const struct talker nobody;
	struct stage *stage = owner;
	const struct talker *talker = atomic_load(&stage->talker);

	reverse_answer((void *)(talker ? talker : &nobody), message, reply);
}

bool stage_play_servers(struct stage *stage)
{
	const struct observer_options options = {
		.answer = on_request, .owner = stage, .authority = stage->authority};
	const char *why;

	stage->servers = observer_new(&options, &why);
	if (!stage->servers)
		return fail(stage, why, NULL);
	for (unsigned i = 0; i < stage->place_count; i++) {
		struct address place = stage->places[i], bound;

		if (observer_listen(stage->servers, &place, &bound))
			continue;
		if (place.family == ADDRESS_V6) /* without IPv6, that is all there is */
			place.family = ADDRESS_V4;
		if (!observer_listen(stage->servers, &place, &bound))
			return fail(stage, "the observer cannot listen where servers would", strerror(errno));
	}
	return true;
}

void stage_end_servers(struct stage *stage)
{
	observer_free(stage->servers);
	stage->servers = NULL;
}

static bool play_resolvers(struct stage *stage)
{
	const struct observer_options options = {.names = &stage->names};
	const char *why;

	stage->resolvers = observer_new(&options, &why);
	if (!stage->resolvers)
		return fail(stage, why, NULL);
	for (unsigned i = 0; i < stage->resolver_count; i++) {
		struct address bound;

		if (!observer_listen_dns(stage->resolvers, &stage->resolver[i], &stage->resolver[i], &bound))
			return fail(stage, "the observer cannot listen where the name server would",
				    strerror(errno));
	}
	return true;
}

/* ---- the whole ---- */

static bool has_servers(const struct snapshot *snapshot)
{
	return snapshot->upstream_count > 0 || snapshot->parents.count > 0;
}

bool stage_begin(struct stage *stage)
{
	const char *why, *advice;

	dns_names_init(&stage->names);
	stage->go = stage->said = -1;
	if (!audit_namespace_enter(&why, &advice))
		return fail(stage, why, advice);
	stage->authority = tls_authority_new(&why);
	if (!stage->authority || !snapshot_believe(stage->snapshot, tls_authority_pem(stage->authority), &why))
		return fail(stage, why, NULL);
	if (!stage_prepare_snapshot(stage))
		return false;
	if (stage->snapshot->listener_count == 0)
		return true;
	stage_find_resolvers(stage);
	stage_find_places(stage);
	if (stage->crowded)
		return fail(stage, "servers listen on more ports than one audit can play",
			    "Audit the configuration in parts.");
	if (!start_server(stage))
		return false;
	/* Of a proxy that has no servers of its own, the audit of the forward face itself plays the name server, and sees what is asked. */
	if (has_servers(stage->snapshot) && (!play_resolvers(stage) || !stage_play_servers(stage)))
		return false;
	if (write(stage->go, "", 1) != 1)
		return fail(stage, "the server ended before it began", NULL);
	return wait_until_ready(stage);
}

void stage_end(struct stage *stage)
{
	if (stage->listener_count)
		stage->snapshot->listener_count = stage->listener_count;
	end_server(stage);
	stage_end_servers(stage);
	observer_free(stage->resolvers);
	tls_authority_free(stage->authority);
	dns_names_fini(&stage->names);
	if (stage->go >= 0)
		close(stage->go);
	if (stage->said >= 0)
		close(stage->said);
}
