/*
 * Bodies on their way out: what the streams of both sides do when their flow has something for them.
 */
#include "http/h1/h1_internal.h"
#include "http/h1/write.h"

bool h1_body_write(struct buffers *buffers, struct flow *flow, bool chunked, bool *done, struct chunk_queue *out)
{
	struct chunk_queue data = {0};
	bool good = true;

	flow_take(flow, &data);
	if (chunked)
		good = h1_chunk_write(buffers, out, &data);
	else
		chunk_queue_move_all(out, &data);
	if (good && flow->fin && !*done) {
		*done = true;
		if (chunked)
			good = h1_last_chunk_write(buffers, out, flow->trailers);
	}
	if (good)
		return true;
	chunk_queue_clear(buffers, &data);
	chunk_queue_clear(buffers, out);
	return false;
}
