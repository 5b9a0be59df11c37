/*
 * Listening sockets: bound in one place at start (server), accepted from on each worker. A bound descriptor belongs to who asked for
 * it; an acceptor belongs to its worker.
 */
#include "net/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LISTEN_BACKLOG = 4096,
	ACCEPTS_A_TURN = 64,
	RESUME_MS = 100,      /* after running out of descriptors or memory */
	COMPLAINT_MS = 10000, /* one line in the error log for a burst of that */
};

/* --- binding --- */

static int open_socket(const struct address *address)
{
	int domain = address->family == ADDRESS_V4 ? AF_INET :
		     address->family == ADDRESS_V6 ? AF_INET6 :
						     AF_UNIX;

	return socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static const char *set_options(int fd, const struct address *address, bool dual, bool shared)
{
	if (address->family == ADDRESS_UNIX)
		return NULL;
	if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return "cannot set SO_REUSEADDR";
	if (shared && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return "cannot set SO_REUSEPORT";
	/* Linux lets accepted sockets inherit it: one system call for the listener instead of one for each connection. */
	if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return "cannot set TCP_NODELAY";
	if (address->family == ADDRESS_V6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual))
		return "cannot set IPV6_V6ONLY";
	return NULL;
}

/* Nobody answers on the socket file: it was left behind by a process that is gone. errno is kept. */
static bool stale(const union socket_address *raw, socklen_t len)
{
	struct stat status;

	if (raw->unix_path.sun_path[0] == 0 || lstat(raw->unix_path.sun_path, &status) != 0 ||
	    !S_ISSOCK(status.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool refused = connect(fd, &raw->any, len) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static bool bind_socket(int fd, const union socket_address *raw, socklen_t len)
{
	if (bind(fd, &raw->any, len) == 0)
		return true;
	if (errno != EADDRINUSE || raw->any.sa_family != AF_UNIX)
		return false;
	if (!stale(raw, len) || unlink(raw->unix_path.sun_path) != 0) {
		errno = EADDRINUSE;
		return false;
	}
	return bind(fd, &raw->any, len) == 0;
}

static const char *bind_text(int number)
{
	switch (number) {
	case EADDRINUSE:
		return "the address is in use";
	case EADDRNOTAVAIL:
		return "this machine does not have the address";
	case EACCES:
	case EPERM:
		return "no right to bind to the address";
	case ENOENT:
	case ENOTDIR:
		return "the directory of the socket does not exist";
	default:
		return "cannot bind to the address";
	}
}

static void read_port(int fd, struct address *address)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);

	if (address->family != ADDRESS_UNIX && getsockname(fd, &raw.any, &len) == 0)
		address->port = address_from_socket(&raw, len).port;
}

struct address listener_local(int fd, const struct address *bound)
{
	static const uint8_t any[16];
	union socket_address raw;
	socklen_t len = sizeof(raw);

	if (bound->family == ADDRESS_UNIX || memcmp(bound->ip, any, bound->family == ADDRESS_V4 ? 4 : 16) != 0 ||
	    getsockname(fd, &raw.any, &len) != 0)
		return *bound;
	struct address local = address_from_socket(&raw, len);
	return address_unmap(&local);
}

bool listener_came_to(int fd, struct address *local)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);

	if (getsockname(fd, &raw.any, &len) != 0)
		return false;
	*local = address_from_socket(&raw, len);
	return local->family == ADDRESS_V4 || local->family == ADDRESS_V6;
}

bool listener_redirected(int fd, const struct address *peer, struct address *original)
{
	/* SO_ORIGINAL_DST of linux/netfilter_ipv4.h, IP6T_SO_ORIGINAL_DST of linux/netfilter_ipv6/ip6_tables.h, which do not go with libc's headers. */
	enum { ORIGINAL_DESTINATION = 80 };
	union socket_address raw;
	bool v4 = peer->family == ADDRESS_V4;
	socklen_t len = v4 ? sizeof(raw.v4) : sizeof(raw.v6);

	if (peer->family != ADDRESS_V4 && peer->family != ADDRESS_V6)
		return false;
	if (getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DESTINATION, &raw, &len) != 0)
		return false;
	*original = address_from_socket(&raw, len);
	return true;
}

/* What a socket is for besides listening. */
struct listening {
	bool dual;
	bool shared;      /* with other sockets: SO_REUSEPORT */
	bool transparent; /* for connections to others' addresses */
};

static const char *set_transparent(int fd, const struct address *address)
{
	bool good = address->family == ADDRESS_V6 ? set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) :
						    set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);

	return good ? NULL :
		      "\"tproxy\" needs the right to take others' connections (root, CAP_NET_ADMIN or CAP_NET_RAW)";
}

static int bind_and_listen(struct address *address, const struct listening *how, const char **error_text)
{
	union socket_address raw;
	socklen_t len = address_to_socket(address, &raw);
	int fd = -1;

	errno = ENAMETOOLONG;
	*error_text = "the path of the socket is too long";
	if (len == 0)
		return -1;
	*error_text = "cannot open a socket";
	fd = open_socket(address);
	if (fd < 0)
		return -1;
	*error_text = set_options(fd, address, how->dual, how->shared);
	if (!*error_text && how->transparent)
		*error_text = set_transparent(fd, address);
	if (*error_text)
		goto fail;
	if (!bind_socket(fd, &raw, len)) {
		*error_text = bind_text(errno);
		goto fail;
	}
	if (listen(fd, LISTEN_BACKLOG) != 0) {
		*error_text = errno == EADDRINUSE ? bind_text(errno) : "cannot listen on the address";
		goto fail;
	}
	read_port(fd, address);
	return fd;
fail:;
	int number = errno;
	close(fd);
	errno = number;
	return -1;
}

int listener_bind(struct address *address, bool dual, const char **error_text)
{
	return bind_and_listen(address, &(struct listening){.dual = dual, .shared = true}, error_text);
}

int listener_bind_transparent(struct address *address, bool dual, const char **error_text)
{
	struct listening how = {.dual = dual, .shared = true, .transparent = true};

	return bind_and_listen(address, &how, error_text);
}

bool listener_in_use(const struct address *address, bool dual)
{
	struct address copy = *address;
	const char *text;

	if (address->family == ADDRESS_UNIX || address->port == 0)
		return false;
	int fd = bind_and_listen(&copy, &(struct listening){.dual = dual}, &text);
	if (fd < 0)
		return errno == EADDRINUSE;
	close(fd);
	return false;
}

/* --- accepting --- */

static bool out_of_resources(int number)
{
	return number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS;
}

static void rest_a_little(struct acceptor *acceptor, int number)
{
	struct loop *loop = &acceptor->worker->loop;

	loop_timer_start(loop, &acceptor->resume, RESUME_MS);
	if (acceptor->complained && loop->now - acceptor->complained < COMPLAINT_MS)
		return;
	acceptor->complained = loop->now ? loop->now : 1;
	char text[ADDRESS_TEXT];
	size_t len = address_format(&acceptor->local, text);
	if (acceptor->worker->log)
		log_say(acceptor->worker->log, LOG_ERROR, "cannot accept on %.*s: %s; connections wait",
			(int)len, text,
			number == EMFILE || number == ENFILE ? "no file descriptor left" : "no memory left");
}

static bool at_rest(const struct acceptor *acceptor)
{
	return acceptor->source.fd < 0 || acceptor->paused || timer_active(&acceptor->resume);
}

/* One accept. False: nothing more to accept now. */
static bool accept_one(struct acceptor *acceptor)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	int fd = accept4(acceptor->source.fd, &raw.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN)
			return false;
		if (out_of_resources(errno))
			rest_a_little(acceptor, errno);
		return true; /* what else there is concerns that one connection (accept(2), "Error handling") */
	}
	struct address peer = address_from_socket(&raw, len);
	if (acceptor->local.family == ADDRESS_UNIX)
		peer = (struct address){.family = ADDRESS_UNIX};
	peer = address_unmap(&peer);
	acceptor->ops->on_accept(acceptor, fd, &peer);
	return true;
}

static void accept_on(struct acceptor *acceptor)
{
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		if (at_rest(acceptor) || !accept_one(acceptor))
			return;
	}
	/* The rest in the next turn, by a timer: what has just been accepted, and may be dead already, is looked at before. */
	loop_timer_start(&acceptor->worker->loop, &acceptor->resume, 0);
}

static void on_event(struct loop_source *source, uint32_t events)
{
	accept_on(CONTAINER_OF(source, struct acceptor, source));
}

static void run_again(struct loop_task *task)
{
	accept_on(CONTAINER_OF(task, struct acceptor, again));
}

static void on_resume(struct timer *timer)
{
	accept_on(CONTAINER_OF(timer, struct acceptor, resume));
}

bool acceptor_start(struct acceptor *acceptor, struct worker *worker, int fd, const struct address *local,
		    const struct acceptor_ops *ops, void *owner)
{
	*acceptor = (struct acceptor){
		.source = {.fd = fd, .on_event = on_event},
		.worker = worker,
		.ops = ops,
		.owner = owner,
		.local = *local,
	};
	timer_init(&acceptor->resume, on_resume);
	loop_task_init(&acceptor->again, run_again);
	/* Where workers share a socket, one of them is woken for a connection and not all. */
	return loop_add(&worker->loop, &acceptor->source, EPOLLIN | EPOLLEXCLUSIVE);
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (acceptor->source.fd < 0)
		return;
	loop_timer_stop(&acceptor->worker->loop, &acceptor->resume);
	(void)loop_remove(&acceptor->worker->loop, &acceptor->source);
}

void acceptor_pause(struct acceptor *acceptor)
{
	acceptor->paused = true;
}

void acceptor_resume(struct acceptor *acceptor)
{
	if (!acceptor->paused)
		return;
	acceptor->paused = false;
	if (!at_rest(acceptor))
		loop_soon(&acceptor->worker->loop, &acceptor->again);
}
