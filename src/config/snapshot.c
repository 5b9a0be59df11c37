/*
 * Building and counting snapshots. See snapshot.h.
 */
#include "config/snapshot.h"

#include "config/bind.h"
#include "config/check.h"
#include "config/exits.h"
#include "config/files.h"
#include "config/lists.h"
#include "config/masks.h"
#include "config/parents.h"
#include "config/secrets.h"
#include "config/rules.h"
#include "config/servers_tls.h"
#include "config/upstreams.h"
#include "config/users.h"

static const struct setting_place nowhere = {0, 0};

/* Out of memory is the one mistake that no place belongs to. */
static void say_out_of_memory(struct diagnostics *diagnostics)
{
	diagnostics_error(diagnostics, nowhere, "out of memory");
}

static struct snapshot *snapshot_new(struct memory *memory)
{
	struct snapshot *snapshot = memory_alloc(memory, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	memset(snapshot, 0, sizeof(*snapshot));
	atomic_init(&snapshot->references, 1);
	arena_init(&snapshot->arena, memory, NULL, NULL, 0);
	return snapshot;
}

/* The names of the groups, for the router; NULL: out of memory. */
static const char *const *group_names(struct snapshot *snapshot)
{
	const char **names = arena_zalloc(&snapshot->arena, snapshot->upstream_count + 1, sizeof(*names));

	for (size_t i = 0; names && i < snapshot->upstream_count; i++)
		names[i] = snapshot->upstreams[i].name.text;
	return names;
}

/* What comes before the first request on a listener of either face. */
static void compile_entrance(struct snapshot *snapshot, struct snapshot_listener *listener,
			     const struct entrance_settings *settings, const char *base,
			     struct diagnostics *diagnostics)
{
	listener->http2 = (enum listener_http2)settings->http2;
	if (!peers_compile(&settings->proxy_protocol, &snapshot->arena, diagnostics, &listener->proxy_protocol))
		listener->proxy_protocol.count = 0;
	if (settings->tls.place.line == 0)
		return;
	if (listener->http2 == HTTP2_CLEAR)
		diagnostics_error(
			diagnostics, settings->http2_place,
			"\"http2: clear\" is for listeners without \"tls\"; with it, HTTP/2 is offered by ALPN: \"http2: tls\"");
	listener->tls = arena_zalloc(&snapshot->arena, 1, sizeof(*listener->tls));
	if (listener->tls)
		listener_tls_load(listener->tls, &settings->tls, listener->face == SNAPSHOT_REVERSE, base,
				  &snapshot->arena, diagnostics);
	else
		say_out_of_memory(diagnostics);
}

static void compile_reverse(struct snapshot *snapshot, struct snapshot_listener *listener,
			    const char *const *groups, struct diagnostics *diagnostics)
{
	const struct reverse_settings *settings =
		(const struct reverse_settings *)snapshot->settings.reverse.items + listener->index;
	struct router_context context = {
		.arena = &snapshot->arena,
		.diagnostics = diagnostics,
		.groups = groups,
		.inside = snapshot->inside,
	};
	unsigned before = diagnostics->errors;

	listener->router = router_compile(settings, &context);
	if (!forwarded_compile(&settings->trusted, settings->forwarded, &snapshot->arena, diagnostics,
			       &listener->forwarded))
		listener->forwarded.trusted.count = 0;
	if (!listener->router && diagnostics->errors == before)
		say_out_of_memory(diagnostics);
}

static void compile_forward(struct snapshot *snapshot, struct snapshot_listener *listener, const char *base,
			    struct diagnostics *diagnostics)
{
	const struct forward_settings *settings =
		(const struct forward_settings *)snapshot->settings.forward.items + listener->index;

	if (!forward_mask_compile(&settings->mask, &snapshot->arena, diagnostics, &listener->mask))
		listener->mask = NULL;
	listener->socks = settings->socks;
	trust_bind(snapshot, listener, &settings->trust, base, diagnostics);
	exits_bind(snapshot, listener, settings, diagnostics);
	listener->allowance = RULE_NONE;
	if (settings->allowance.len && !allowances_find(&snapshot->settings.allowances, &settings->allowance,
							diagnostics, &listener->allowance))
		listener->allowance = RULE_NONE;
	listener->intercept = (enum listener_intercept)settings->intercept;
	listener->intercept_destination = (enum intercept_destination)settings->intercept_destination;
	intercept_check(settings, diagnostics);
	rules_bind(snapshot, listener, settings, &snapshot->arena, diagnostics);
	if (listener->rules && settings->pac.place.line && settings->pac.enabled)
		listener->pac = pac_compile(&settings->pac, listener->rules, &snapshot->arena, diagnostics);
}

static void compile_tcp(struct snapshot *snapshot, struct snapshot_listener *listener,
			const char *const *groups, struct diagnostics *diagnostics)
{
	const struct tcp_settings *settings =
		(const struct tcp_settings *)snapshot->settings.tcp.items + listener->index;

	listener->tcp = tcp_router_compile(settings, &snapshot->arena, groups, diagnostics);
	if (!peers_compile(&settings->proxy_protocol, &snapshot->arena, diagnostics, &listener->proxy_protocol))
		listener->proxy_protocol.count = 0;
}

static void compile_listener(struct snapshot *snapshot, struct snapshot_listener *listener,
			     const char *const *groups, const char *base, struct diagnostics *diagnostics)
{
	const struct settings *settings = &snapshot->settings;
	const struct forward_settings *forward = settings->forward.items;
	const struct reverse_settings *reverse = settings->reverse.items;
	const struct tcp_settings *tcp = settings->tcp.items;
	unsigned index = listener->index;

	switch (listener->face) {
	case SNAPSHOT_FORWARD:
		listener->place = forward[index].place;
		compile_entrance(snapshot, listener, &forward[index].entrance, base, diagnostics);
		compile_forward(snapshot, listener, base, diagnostics);
		users_bind(snapshot, listener, base, diagnostics);
		break;
	case SNAPSHOT_REVERSE:
		listener->place = reverse[index].place;
		compile_entrance(snapshot, listener, &reverse[index].entrance, base, diagnostics);
		compile_reverse(snapshot, listener, groups, diagnostics);
		break;
	case SNAPSHOT_TCP:
		listener->place = tcp[index].place;
		compile_tcp(snapshot, listener, groups, diagnostics);
		break;
	case SNAPSHOT_ADMIN:
		listener->place = settings->admin.place;
		listener->http2 = HTTP2_OFF;
		break;
	}
}

/* False: out of memory. */
static bool snapshot_compile(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	const struct settings *settings = &snapshot->settings;
	const size_t counts[] = {
		[SNAPSHOT_FORWARD] = settings->forward.count,
		[SNAPSHOT_REVERSE] = settings->reverse.count,
		[SNAPSHOT_TCP] = settings->tcp.count,
		[SNAPSHOT_ADMIN] = settings->admin.place.line != 0,
	};
	const char *const *groups;
	size_t all = 0;

	for (size_t face = 0; face < ARRAY_LENGTH(counts); face++)
		all += counts[face];
	if (base) { /* files are looked at again while the snapshot lives */
		base = (const char *)arena_format(&snapshot->arena, "%s", base).at;
		if (!base)
			return false;
	}
	if (!upstreams_plan(snapshot, base, diagnostics) || !parents_plan(snapshot, base, diagnostics) ||
	    !secrets_plan(snapshot, base, diagnostics))
		return false;
	allowances_check(&settings->allowances, diagnostics);
	if (!masks_gather(snapshot) || !lists_load(snapshot, base, diagnostics))
		return false;
	snapshot->exits = exits_compile(&settings->exits, &snapshot->arena, diagnostics);
	if (!snapshot->exits)
		return false;
	snapshot->listeners = arena_zalloc(&snapshot->arena, all + 1, sizeof(*snapshot->listeners));
	groups = group_names(snapshot);
	if (!groups || !snapshot->listeners)
		return false;
	for (size_t face = 0; face < ARRAY_LENGTH(counts); face++)
		for (size_t i = 0; i < counts[face]; i++) {
			struct snapshot_listener *listener = &snapshot->listeners[snapshot->listener_count++];
			listener->face = (enum snapshot_face)face;
			listener->index = (unsigned)i;
			compile_listener(snapshot, listener, groups, base, diagnostics);
		}
	return check_snapshot(snapshot, diagnostics);
}

struct snapshot *snapshot_from_yaml(struct span text, const char *base, struct memory *memory,
				    struct diagnostics *diagnostics)
{
	struct snapshot *snapshot = snapshot_new(memory);
	struct bind bind = {.diagnostics = diagnostics, .base = base};
	struct node *root;

	if (!snapshot) {
		say_out_of_memory(diagnostics);
		return NULL;
	}
	bind.arena = &snapshot->arena;
	root = node_parse(&snapshot->arena, text, diagnostics);
	if (root) {
		bind_struct(&bind, settings_rows, NULL, &snapshot->settings, root, "configuration");
		if (bind.out_of_memory || !snapshot_compile(snapshot, base, diagnostics))
			say_out_of_memory(diagnostics);
	} else if (diagnostics->errors == 0) {
		say_out_of_memory(diagnostics);
	}
	if (diagnostics->errors == 0) {
		snapshot->file = diagnostics->file;
		return snapshot;
	}
	snapshot_release(snapshot);
	return NULL;
}

struct snapshot *snapshot_load(const char *path, struct memory *memory, struct diagnostics *diagnostics)
{
	bool standard_input = strcmp(path, "-") == 0;
	struct snapshot *snapshot = NULL;
	struct arena scratch;
	struct span text;
	const char *base, *why;

	diagnostics->file = standard_input ? "standard input" : path;
	arena_init(&scratch, memory, NULL, NULL, 0);
	base = files_directory(&scratch, path);
	why = base ? files_read(&scratch, NULL, path, &text) : "out of memory";
	if (why)
		diagnostics_error(diagnostics, nowhere, "cannot read the configuration: %s", why);
	else
		snapshot = snapshot_from_yaml(text, base, memory, diagnostics);
	arena_fini(&scratch);
	return snapshot;
}

void snapshot_retain(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
}

void snapshot_release(struct snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < snapshot->listener_count && snapshot->listeners; i++) {
		router_free(snapshot->listeners[i].router);
		rules_free(snapshot->listeners[i].rules);
		users_unbind(&snapshot->listeners[i]);
		tls_trust_release(snapshot->listeners[i].trust);
		tcp_router_free(snapshot->listeners[i].tcp);
		if (snapshot->listeners[i].tls)
			listener_tls_unload(snapshot->listeners[i].tls);
	}
	inside_free(snapshot->inside);
	upstreams_release(snapshot);
	parents_release(snapshot);
	secrets_release(snapshot);
	lists_release(snapshot);
	tls_trust_release(snapshot->system_trust);
	tls_trust_release(snapshot->later_trust);
	struct memory *memory = snapshot->arena.memory;
	arena_fini(&snapshot->arena);
	memory_free(memory, snapshot, sizeof(*snapshot));
}
