/*
 * Blocks and chunk queues: what they hold, what they cost, and a random walk against a flat buffer.
 */
#include "core/chunk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct memory memory;
	struct buffers buffers;
	struct chunk_queue queue;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	memory_init(&fixture.memory, 0);
	buffers_init(&fixture.buffers, &fixture.memory);
	chunk_queue_init(&fixture.queue);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	memory_fail_every(&fixture->memory, 0);
	chunk_queue_clear(&fixture->buffers, &fixture->queue);
	buffers_fini(&fixture->buffers);
	return atomic_load(&fixture->memory.used) == 0 ? 0 : -1;
}

static unsigned chunks(const struct chunk_queue *queue)
{
	unsigned count = 0;
	size_t bytes = 0;
	for (const struct chunk *chunk = queue->first; chunk; chunk = chunk->next) {
		assert_true(chunk->len > 0);
		assert_true(chunk->next || chunk == queue->last);
		bytes += chunk->len;
		count++;
	}
	assert_int_equal(bytes, queue->bytes);
	return count;
}

static void test_block_sizes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		size_t asked, got;
	} cases[] = {
		{0, BLOCK_SMALL - BLOCK_HEADER},
		{BLOCK_SMALL - BLOCK_HEADER, BLOCK_SMALL - BLOCK_HEADER},
		{BLOCK_SMALL, BLOCK_MEDIUM - BLOCK_HEADER},
		{BLOCK_MEDIUM, BLOCK_LARGE - BLOCK_HEADER},
		{BLOCK_LARGE, BLOCK_LARGE},
		{1 << 20, 1 << 20},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct block *block = block_new(&f->buffers, cases[i].asked);
		assert_non_null(block);
		assert_int_equal(block->capacity, cases[i].got);
		assert_int_equal(block->references, 1);
		memset(block->bytes, 1, block->capacity);
		block_release(&f->buffers, block);
	}
	assert_null(block_new(&f->buffers, (size_t)1 << 33));
	block_release(&f->buffers, NULL);
}

static void test_add_refers_or_copies(void **state)
{
	struct fixture *f = *state;
	struct block *block = block_new(&f->buffers, BLOCK_MEDIUM - BLOCK_HEADER);
	memset(block->bytes, 'x', block->capacity);
	block->used = block->capacity;
	assert_true(chunk_queue_add(&f->buffers, &f->queue, block, span_make(block->bytes, 100)));
	assert_int_equal(block->references, 1);
	assert_true(chunk_queue_add(&f->buffers, &f->queue, block, span_make(block->bytes + 100, 5000)));
	assert_int_equal(block->references, 2);
	/* What follows directly needs neither copy nor chunk, however short. */
	assert_true(chunk_queue_add(&f->buffers, &f->queue, block, span_make(block->bytes + 5100, 3)));
	assert_int_equal(block->references, 2);
	assert_int_equal(chunks(&f->queue), 2);
	assert_int_equal(f->queue.bytes, 5103);
	block_release(&f->buffers, block);
}

static void test_copy_fills_up(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 1000; i++)
		assert_true(chunk_queue_copy(&f->buffers, &f->queue, SPAN("ab")));
	assert_int_equal(chunks(&f->queue), 1);
	struct block *block = f->queue.first->block;
	block->references++; /* somebody else looks: the rest of the block is not ours */
	assert_true(chunk_queue_copy(&f->buffers, &f->queue, SPAN("ab")));
	assert_int_equal(chunks(&f->queue), 2);
	block_release(&f->buffers, block);
}

/* A copy that needs several blocks and does not get the last of them leaves the queue as it was. */
static void test_copy_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[5 * BLOCK_LARGE];
	assert_true(chunk_queue_copy(&f->buffers, &f->queue, SPAN("before")));
	size_t used = atomic_load(&f->memory.used);
	for (uint64_t every = 3; every < 11; every++) {
		memory_fail_every(&f->memory, every);
		assert_false(chunk_queue_copy(&f->buffers, &f->queue, span_make(bytes, sizeof(bytes))));
		assert_int_equal(f->queue.bytes, 6);
		assert_int_equal(chunks(&f->queue), 1);
		while (f->buffers.large.free)
			pool_shrink(&f->buffers.large, pool_get(&f->buffers.large));
		while (f->buffers.chunks.free)
			pool_shrink(&f->buffers.chunks, pool_get(&f->buffers.chunks));
		assert_int_equal(atomic_load(&f->memory.used), used);
	}
	memory_fail_every(&f->memory, 0);
	assert_true(chunk_queue_copy(&f->buffers, &f->queue, span_make(bytes, sizeof(bytes))));
	assert_int_equal(f->queue.bytes, 6 + sizeof(bytes));
}

static void test_static_and_vectors(void **state)
{
	struct fixture *f = *state;
	struct iovec vectors[4];
	assert_true(chunk_queue_static(&f->buffers, &f->queue, SPAN("HTTP/1.1 ")));
	assert_true(chunk_queue_copy(&f->buffers, &f->queue, SPAN("200 ")));
	assert_true(chunk_queue_static(&f->buffers, &f->queue, SPAN("OK")));
	assert_int_equal(chunk_queue_vectors(&f->queue, vectors, 2), 2);
	assert_int_equal(chunk_queue_vectors(&f->queue, vectors, 4), 3);
	assert_int_equal(vectors[2].iov_len, 2);
	chunk_queue_consume(&f->buffers, &f->queue, 7);
	uint8_t out[8];
	chunk_queue_peek(&f->queue, out, 8);
	assert_memory_equal(out, "1 200 OK", 8);
	chunk_queue_consume(&f->buffers, &f->queue, 8);
	assert_true(chunk_queue_empty(&f->queue));
	assert_null(f->queue.first);
	assert_null(f->queue.last);
}

static void test_reserve(void **state)
{
	struct fixture *f = *state;
	uint8_t *at = chunk_queue_reserve(&f->buffers, &f->queue, 100);
	assert_non_null(at);
	memcpy(at, "head", 4);
	chunk_queue_commit(&f->buffers, &f->queue, 4);
	uint8_t *next = chunk_queue_reserve(&f->buffers, &f->queue, 1000);
	assert_ptr_equal(next, at + 4);
	chunk_queue_commit(&f->buffers, &f->queue, 0);
	assert_int_equal(chunks(&f->queue), 1);
	assert_non_null(chunk_queue_reserve(&f->buffers, &f->queue, 10000));
	chunk_queue_commit(&f->buffers, &f->queue, 0);
	assert_int_equal(chunks(&f->queue), 1);
	assert_int_equal(f->queue.bytes, 4);
}

static void test_move_joins_neighbours(void **state)
{
	struct fixture *f = *state;
	struct chunk_queue to = {0};
	assert_true(chunk_queue_copy(&f->buffers, &f->queue, SPAN("abcdefghij")));
	for (int i = 0; i < 9; i++)
		assert_true(chunk_queue_move(&f->buffers, &to, &f->queue, 1));
	assert_int_equal(chunks(&to), 1);
	assert_int_equal(to.bytes, 9);
	assert_int_equal(f->queue.bytes, 1);
	assert_true(chunk_queue_move(&f->buffers, &to, &f->queue, 0));
	chunk_queue_clear(&f->buffers, &to);
}

/* The same steps on queues and on flat text: whatever happens, the bytes are the same. */
struct model {
	uint8_t text[200000];
	size_t len;
};

static void model_append(struct model *model, const uint8_t *at, size_t len)
{
	memcpy(model->text + model->len, at, len);
	model->len += len;
}

static void model_consume(struct model *model, size_t len)
{
	memmove(model->text, model->text + len, model->len - len);
	model->len -= len;
}

static void compare(const struct chunk_queue *queue, const struct model *model)
{
	static uint8_t out[200000];
	chunks(queue);
	assert_int_equal(queue->bytes, model->len);
	chunk_queue_peek(queue, out, queue->bytes);
	assert_memory_equal(out, model->text, model->len);
}

static uint32_t step_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void random_step(struct fixture *f, struct chunk_queue *queues, struct model *models, uint64_t *seed)
{
	static uint8_t source[100000];
	unsigned which = step_random(seed) % 2;
	struct chunk_queue *queue = &queues[which];
	struct model *model = &models[which];
	size_t len = step_random(seed) % 5 == 0 ? step_random(seed) % 70000 : step_random(seed) % 300;
	if (model->len + models[!which].len + len > sizeof(model->text) - 100000)
		len = 0;
	for (size_t i = 0; i < len; i++)
		source[i] = (uint8_t)step_random(seed);
	switch (step_random(seed) % 6) {
	case 0:
		if (chunk_queue_copy(&f->buffers, queue, span_make(source, len)))
			model_append(model, source, len);
		break;
	case 1: {
		struct block *block = block_new(&f->buffers, len);
		if (!block)
			break;
		memcpy(block->bytes, source, len);
		block->used = (uint32_t)len;
		if (chunk_queue_add(&f->buffers, queue, block, span_make(block->bytes, len)))
			model_append(model, source, len);
		block_release(&f->buffers, block);
		break;
	}
	case 2: {
		uint8_t *at = chunk_queue_reserve(&f->buffers, queue, len);
		if (!at)
			break;
		len = len ? step_random(seed) % (len + 1) : 0;
		memcpy(at, source, len);
		chunk_queue_commit(&f->buffers, queue, len);
		model_append(model, source, len);
		break;
	}
	case 3:
		len = step_random(seed) % (model->len + 1);
		chunk_queue_consume(&f->buffers, queue, len);
		model_consume(model, len);
		break;
	case 4:
		len = step_random(seed) % (model->len + 1);
		if (!chunk_queue_move(&f->buffers, &queues[!which], queue, len))
			break;
		model_append(&models[!which], model->text, len);
		model_consume(model, len);
		break;
	case 5:
		if (!chunk_queue_static(&f->buffers, queue, SPAN("static")))
			break;
		model_append(model, (const uint8_t *)"static", 6);
		break;
	}
}

static void random_walk(struct fixture *f, uint64_t seed)
{
	static struct model models[2];
	struct chunk_queue queues[2] = {{0}, {0}};
	models[0].len = models[1].len = 0;
	for (int i = 0; i < 500; i++) {
		random_step(f, queues, models, &seed);
		compare(&queues[0], &models[0]);
		compare(&queues[1], &models[1]);
	}
	chunk_queue_clear(&f->buffers, &queues[0]);
	chunk_queue_clear(&f->buffers, &queues[1]);
}

static void test_random_walk(void **state)
{
	for (uint64_t seed = 1; seed < 12; seed++)
		random_walk(*state, seed);
}

static void test_random_walk_without_memory(void **state)
{
	struct fixture *f = *state;
	for (uint64_t every = 1; every < 9; every++) {
		buffers_fini(&f->buffers); /* nothing kept: the heap is asked again */
		memory_fail_every(&f->memory, every);
		random_walk(f, every);
	}
}

/* Whoever has the block next finds nothing in it, however far it looks. */
static void test_blocks_are_wiped(void **state)
{
	struct fixture *fixture = *state;
	static const size_t sizes[] = {BLOCK_SMALL, BLOCK_MEDIUM, BLOCK_LARGE};

	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		struct block *block = block_new(&fixture->buffers, sizes[i] - BLOCK_HEADER);
		assert_non_null(block);
		memset(block->bytes, 0xa5, block->capacity);
		block->used = block->capacity;
		block_release(&fixture->buffers, block);
		struct block *again = block_new(&fixture->buffers, sizes[i] - BLOCK_HEADER);
		assert_ptr_equal(again, block);
		for (size_t at = 0; at < again->capacity; at++)
			assert_int_equal(again->bytes[at], 0);
		block_release(&fixture->buffers, again);
	}
}

/* The same of what queues write, whichever way. */
static void test_queues_are_wiped(void **state)
{
	struct fixture *fixture = *state;
	struct buffers *buffers = &fixture->buffers;
	uint8_t bytes[BLOCK_SMALL - BLOCK_HEADER];

	memset(bytes, 0xa5, sizeof(bytes));
	assert_true(chunk_queue_copy(buffers, &fixture->queue, span_make(bytes, 700)));
	assert_true(chunk_queue_copy(buffers, &fixture->queue, span_make(bytes, 700)));
	const struct block *block = fixture->queue.first->block;
	uint8_t *room = chunk_queue_reserve(buffers, &fixture->queue, 500);
	assert_non_null(room);
	memset(room, 0xa5, 500);
	chunk_queue_commit(buffers, &fixture->queue, 500);
	assert_int_equal(chunks(&fixture->queue), 1);
	chunk_queue_consume(buffers, &fixture->queue, 1900);
	struct block *again = block_new(buffers, 1);
	assert_ptr_equal(again, block);
	for (size_t at = 0; at < again->capacity; at++)
		assert_int_equal(again->bytes[at], 0);
	block_release(buffers, again);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_block_sizes),
		TEST(test_add_refers_or_copies),
		TEST(test_copy_fills_up),
		TEST(test_copy_is_all_or_nothing),
		TEST(test_static_and_vectors),
		TEST(test_reserve),
		TEST(test_move_joins_neighbours),
		TEST(test_blocks_are_wiped),
		TEST(test_queues_are_wiped),
		TEST(test_random_walk),
		TEST(test_random_walk_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
