/*
 * The pipes of a worker: made when bulk has to be moved, used again by whoever needs one next, never more than so many.
 */
#include "net/room_internal.h"

#include <fcntl.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 256 * 1024,
	PIPE_LEAST = 64 * 1024, /* less than this (pipe-user-pages-soft) is no gain over copying */
	PIPES_MOST = 64,
	PIPES_KEPT = 16,
};

static void pipe_close(struct net_room *room, const struct net_pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	room->pipes_open--;
}

bool net_pipe_take(struct net_room *room, struct net_pipe *pipe)
{
	int ends[2];

	if (room->pipes_kept > 0) {
		*pipe = room->pipes[--room->pipes_kept];
		return true;
	}
	if (room->pipes_open >= PIPES_MOST || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	*pipe = (struct net_pipe){.out = ends[0], .in = ends[1]};
	room->pipes_open++;
	int size = fcntl(pipe->in, F_SETPIPE_SZ, PIPE_SIZE);
	if (size < 0)
		size = fcntl(pipe->in, F_GETPIPE_SZ);
	if (size < PIPE_LEAST) {
		pipe_close(room, pipe);
		return false;
	}
	pipe->size = (unsigned)size;
	return true;
}

void net_pipe_give(struct net_room *room, const struct net_pipe *pipe, bool empty)
{
	_Static_assert(ARRAY_LENGTH(room->pipes) == PIPES_KEPT, "as many as are kept");
	if (empty && room->pipes_kept < PIPES_KEPT)
		room->pipes[room->pipes_kept++] = *pipe;
	else
		pipe_close(room, pipe);
}

void net_pipes_fini(struct net_room *room)
{
	while (room->pipes_kept > 0)
		pipe_close(room, &room->pipes[--room->pipes_kept]);
}
