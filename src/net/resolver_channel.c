/*
 * c-ares on the event loop: its sockets as sources, its timeouts as one timer. c-ares expects to be told of what is ready for as long as
 * it is; edges only start a look with poll(2), which is repeated until nothing is left. On the resolver's worker.
 */
#include "net/resolver_internal.h"

#include <poll.h>
#include <unistd.h>

enum {
	ROUNDS_A_TURN = 16,
	UDP_QUERIES_A_PORT = 64,
	LOOK_MS = 20, /* between two looks at what has timed out */
};

struct resolver_socket {
	struct loop_source source;
	struct link link;
	struct loop_task look, retire;
	struct resolver *resolver;
	struct worker *worker;
	bool wants_write;
};

/*
 * ares_timeout walks all questions: with thousands that nobody answers it must not be asked for each new one. No question is due sooner
 * than `timeout_ms` after it was asked, so a timer that runs is early enough.
 */
void resolver_channel_arm(struct resolver *resolver)
{
	struct timeval left;

	if (resolver->ending || timer_active(&resolver->timeout) ||
	    !ares_timeout(resolver->channel, NULL, &left))
		return;
	uint64_t due = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
	uint64_t delay = due < LOOK_MS ? LOOK_MS : due;
	loop_timer_start(&resolver->worker->loop, &resolver->timeout,
			 size_min(delay, resolver->settings.timeout_ms));
}

static void on_timeout(struct timer *timer)
{
	struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timeout);

	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_channel_arm(resolver);
}

static bool process_once(struct resolver_socket *socket)
{
	int fd = socket->source.fd;
	struct pollfd look = {.fd = fd, .events = (short)(POLLIN | (socket->wants_write ? POLLOUT : 0))};

	if (poll(&look, 1, 0) <= 0)
		return false;
	ares_process_fd(socket->resolver->channel, look.revents & ~POLLOUT ? fd : ARES_SOCKET_BAD,
			look.revents & POLLOUT ? fd : ARES_SOCKET_BAD);
	return socket->source.fd >= 0;
}

static void run_look(struct loop_task *task)
{
	struct resolver_socket *socket = CONTAINER_OF(task, struct resolver_socket, look);
	unsigned rounds = 0;

	if (socket->source.fd < 0)
		return;
	while (rounds < ROUNDS_A_TURN && process_once(socket))
		rounds++;
	resolver_channel_arm(socket->resolver);
	if (rounds == ROUNDS_A_TURN)
		loop_soon(&socket->worker->loop, &socket->look);
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct resolver_socket *socket = CONTAINER_OF(source, struct resolver_socket, source);

	loop_soon(&socket->worker->loop, &socket->look);
}

static void run_retire(struct loop_task *task)
{
	struct resolver_socket *socket = CONTAINER_OF(task, struct resolver_socket, retire);

	memory_free(socket->worker->memory, socket, sizeof(*socket));
}

static struct resolver_socket *find_socket(struct resolver *resolver, int fd)
{
	for (struct link *link = resolver->sockets.next; link != &resolver->sockets; link = link->next) {
		struct resolver_socket *socket = CONTAINER_OF(link, struct resolver_socket, link);
		if (socket->source.fd == fd)
			return socket;
	}
	return NULL;
}

/* NULL: out of memory. The question then runs into its timeout. */
static struct resolver_socket *add_socket(struct resolver *resolver, int fd)
{
	struct worker *worker = resolver->worker;
	struct resolver_socket *socket = memory_alloc(worker->memory, sizeof(*socket));

	if (!socket)
		return NULL;
	*socket = (struct resolver_socket){
		.source = {.fd = fd, .on_event = on_event},
		.resolver = resolver,
		.worker = worker,
	};
	loop_task_init(&socket->look, run_look);
	loop_task_init(&socket->retire, run_retire);
	if (!loop_add(&worker->loop, &socket->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
		memory_free(worker->memory, socket, sizeof(*socket));
		return NULL;
	}
	list_push(&resolver->sockets, &socket->link);
	return socket;
}

/* Called by c-ares when it opens a socket, wants something else of it, or is about to close it (neither). */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = data;
	struct loop *loop = &resolver->worker->loop;
	struct resolver_socket *socket = find_socket(resolver, fd);

	if (!readable && !writable) {
		if (!socket)
			return;
		(void)loop_forget(loop, &socket->source);
		list_remove(&socket->link);
		loop_retire(loop, &socket->retire);
		return;
	}
	if (!socket)
		socket = add_socket(resolver, fd);
	if (!socket)
		return;
	socket->wants_write = writable;
	if (writable)
		loop_soon(loop, &socket->look);
}

/* What newer versions can do. Our cache is the one that is bounded; questions are spread over ports (RFC 5452 9.2). */
#ifdef ARES_OPT_QUERY_CACHE
static int newer_options(struct ares_options *options)
{
	options->qcache_max_ttl = 0;
	options->udp_max_queries = UDP_QUERIES_A_PORT;
	return ARES_OPT_QUERY_CACHE | ARES_OPT_UDP_MAX_QUERIES;
}
#else
static int newer_options(struct ares_options *options)
{
	(void)UDP_QUERIES_A_PORT;
	return 0;
}
#endif

/* Newer versions tell only of domains that were set by option: then there may be some. */
static bool may_search(ares_channel channel)
{
	struct ares_options saved;
	int mask = 0;

	memset(&saved, 0, sizeof(saved));
	if (ares_save_options(channel, &saved, &mask) != ARES_SUCCESS)
		return true;
	bool some = !(mask & ARES_OPT_DOMAINS) || saved.ndomains > 0;
	ares_destroy_options(&saved);
	return some;
}

bool resolver_node_address(const struct resolver *resolver, const struct ares_addrinfo_node *node,
			   struct address *address)
{
	union socket_address raw;

	if (!node->ai_addr || node->ai_addrlen > sizeof(raw))
		return false;
	memcpy(&raw, node->ai_addr, node->ai_addrlen);
	*address = address_from_socket(&raw, node->ai_addrlen);
	address->port = 0;
	address->scope = 0;
	return (address->family == ADDRESS_V4 || address->family == ADDRESS_V6) &&
	       resolver_wants(resolver, address);
}

bool resolver_channel_open(struct resolver *resolver)
{
	const struct resolver_settings *settings = &resolver->settings;
	char lookups[] = "b"; /* DNS alone: no file is opened on the way */
	struct ares_options options = {
		.timeout = (int)settings->timeout_ms,
		.tries = (int)settings->attempts,
		.lookups = lookups,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = resolver,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

	timer_init(&resolver->timeout, on_timeout);
	mask |= newer_options(&options);
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return false;
	resolver->library = true;
	if (ares_init_options(&resolver->channel, &options, mask) != ARES_SUCCESS) {
		resolver->channel = NULL;
		return false;
	}
	resolver->searches = may_search(resolver->channel);
	return !settings->servers || !settings->servers[0] ||
	       ares_set_servers_ports_csv(resolver->channel, settings->servers) == ARES_SUCCESS;
}

void resolver_channel_close(struct resolver *resolver)
{
	resolver->ending = true;
	loop_timer_stop(&resolver->worker->loop, &resolver->timeout);
	if (resolver->channel)
		ares_destroy(resolver->channel);
	resolver->channel = NULL;
	if (resolver->library)
		ares_library_cleanup();
	resolver->library = false;
}

/* A connect of a datagram socket sends nothing; it asks the routing table. */
bool resolver_channel_v6_routed(void)
{
	struct address address = {.family = ADDRESS_V6,
				  .port = 53,
				  .ip = {0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, [13] = 2, [15] = 0x30}};
	union socket_address raw;
	socklen_t len = address_to_socket(&address, &raw);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool routed = connect(fd, &raw.any, len) == 0;
	close(fd);
	return routed;
}
