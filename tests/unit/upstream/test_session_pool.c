/* Pools of sessions that carry many exchanges: which is taken, what is counted, and when one goes. */
#include "upstream/session_pool.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A session without a connection. */
struct fake {
	struct session session;
	bool closed;
};

static struct worker worker;
static struct session_pool pool;
static struct fake fakes[4];
static unsigned emptied;

static struct stream *fake_open(struct session *session, struct exchange *x)
{
	static struct stream stream;

	assert_true(session->running < session->most);
	session->running++;
	session->served++;
	return &stream;
}

static void fake_close(struct session *session)
{
	struct fake *fake = CONTAINER_OF(session, struct fake, session);

	assert_int_equal(session->running, 0);
	assert_false(fake->closed);
	fake->closed = true;
}

static const struct session_ops fake_ops = {.open = fake_open, .close = fake_close};

static void on_empty(struct session_pool *empty)
{
	assert_ptr_equal(empty, &pool);
	emptied++;
}

static int set_up(void **state)
{
	memset(&worker, 0, sizeof(worker));
	emptied = 0;
	session_pool_init(&pool, &worker, 2, on_empty);
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(fakes); i++)
		assert_true(fakes[i].closed || fakes[i].session.running == 0);
	session_pool_fini(&pool);
	return 0;
}

/* A session that is on offer. */
static struct session *add(unsigned index, uint32_t most)
{
	fakes[index] = (struct fake){
		.session = {
			.ops = &fake_ops, .owner_ops = &session_pool_owner_ops, .owner = &pool, .most = most}};
	session_pool_add(&pool, &fakes[index].session);
	session_pool_offer(&pool, &fakes[index].session);
	return &fakes[index].session;
}

static struct session *take(void)
{
	struct session *session = session_pool_take(&pool);

	if (session)
		assert_non_null(session->ops->open(session, NULL));
	return session;
}

/* One of its exchanges ends. */
static void end(struct session *session)
{
	session->running--;
	session->owner_ops->on_ready(session);
}

static void gone(struct session *session)
{
	session->owner_ops->on_gone(session);
}

static void expect(unsigned open, unsigned busy, unsigned idle)
{
	assert_int_equal(pool.open, open);
	assert_int_equal(pool.busy_count, busy);
	assert_int_equal(pool.idle_count, idle);
}

static void test_one_is_filled_before_another(void **state)
{
	struct session *a = add(0, 3), *b = add(1, 3);

	expect(2, 0, 2);
	assert_ptr_equal(take(), b);
	expect(2, 1, 1);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), b);
	expect(2, 0, 1); /* it is full */
	assert_ptr_equal(take(), a);
	end(b); /* the one with room on it counts as the last one used */
	expect(2, 2, 0);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), a);
	assert_ptr_equal(take(), a);
	assert_null(take());
	expect(2, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		end(a);
		end(b);
	}
	expect(2, 0, 2);
}

/* Idle ones are taken last, whatever ended last. */
static void test_busy_before_idle(void **state)
{
	struct session *a = add(0, 1), *b = add(1, 2);

	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), a);
	end(b);
	end(a);
	expect(2, 1, 1);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), a);
	end(a);
	end(b);
	end(b); /* idle: behind the other no more */
	expect(2, 0, 2);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), b);
	assert_ptr_equal(take(), a);
	end(a);
	end(b);
	end(b);
}

static void test_keeps_so_many_idle(void **state)
{
	struct session *sessions[] = {add(0, 1), add(1, 2), add(2, 2)};

	for (unsigned i = 0; i < 5; i++)
		assert_non_null(take());
	expect(3, 0, 0);
	end(sessions[0]);
	end(sessions[1]);
	end(sessions[1]);
	expect(3, 0, 2);
	end(sessions[2]);
	expect(3, 1, 2); /* an exchange runs: it does not count */
	end(sessions[2]);
	assert_true(fakes[2].closed);
	expect(2, 0, 2);
}

static void test_room_changes(void **state)
{
	struct session *a = add(0, 4);

	assert_ptr_equal(take(), a);
	assert_ptr_equal(take(), a);
	a->most = 2; /* SETTINGS: it is full, and nobody was told */
	assert_null(take());
	expect(1, 0, 0);
	a->most = 3;
	a->owner_ops->on_ready(a);
	expect(1, 1, 0);
	assert_ptr_equal(take(), a);
	assert_null(take());
	a->most = 1;
	end(a);
	assert_null(take()); /* still above what is allowed */
	end(a);
	assert_null(take());
	end(a);
	expect(1, 0, 1);
	assert_ptr_equal(take(), a);
	assert_null(take());
	end(a);
	a->most = 0; /* no use to anybody */
	assert_null(take());
	assert_true(fakes[0].closed);
	expect(0, 0, 0);
	assert_int_equal(emptied, 1);
}

static void test_gone_while_exchanges_run(void **state)
{
	struct session *a = add(0, 3), *b = add(1, 2);

	assert_ptr_equal(take(), b);
	gone(b); /* GOAWAY */
	expect(1, 0, 1);
	b->running = 0; /* its last exchange ends: it is nobody's */
	assert_ptr_equal(take(), a);
	assert_ptr_equal(take(), a);
	assert_ptr_equal(take(), a);
	gone(a); /* while it is full */
	expect(0, 0, 0);
	assert_int_equal(emptied, 1);
	a->running = 0;
}

static void test_drain(void **state)
{
	struct session *a = add(0, 2), *b = add(1, 2), *c = add(2, 2);

	assert_ptr_equal(take(), c);
	assert_ptr_equal(take(), c);
	assert_ptr_equal(take(), b);
	worker.draining = true;
	session_pool_drain(&pool);
	assert_true(fakes[0].closed);
	assert_int_equal(a->running, 0);
	expect(2, 1, 0);
	assert_ptr_equal(take(), b); /* what still comes finds a connection */
	end(b);
	end(b);
	assert_true(fakes[1].closed);
	end(c);
	assert_false(fakes[2].closed);
	session_pool_drain(&pool);
	expect(1, 1, 0);
	end(c);
	assert_true(fakes[2].closed);
	expect(0, 0, 0);
	assert_int_equal(emptied, 1);
}

/* Taken, and not used: by session_discard. */
static void test_discarded(void **state)
{
	struct session *a = add(0, 3);

	assert_ptr_equal(take(), a);
	assert_ptr_equal(session_pool_take(&pool), a);
	session_discard(a); /* another runs on it */
	expect(1, 1, 0);
	end(a);
	assert_ptr_equal(session_pool_take(&pool), a);
	session_discard(a);
	assert_true(fakes[0].closed);
	expect(0, 0, 0);
}

static void test_offered(void **state)
{
	struct session *a = add(0, 2), *b = add(1, 2), *c;

	assert_true(session_pool_take_this(&pool, a)); /* although the other comes first */
	assert_non_null(a->ops->open(a, NULL));
	assert_true(session_pool_take_this(&pool, a));
	assert_non_null(a->ops->open(a, NULL));
	assert_false(session_pool_take_this(&pool, a));
	session_pool_settle(&pool, a); /* it is not idle */
	expect(2, 0, 1);
	gone(b);
	assert_false(session_pool_take_this(&pool, b));
	session_pool_settle(&pool, b);
	assert_false(fakes[1].closed);
	fakes[1].closed = true;
	add(2, 2);
	add(3, 2);
	c = add(1, 2);
	session_pool_settle(&pool, c); /* one idle session too many */
	assert_true(fakes[1].closed);
	expect(3, 0, 2);
	end(a);
	end(a);
	assert_true(fakes[0].closed);
	worker.draining = true;
	session_pool_settle(&pool, &fakes[2].session);
	assert_true(fakes[2].closed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_is_filled_before_another),
		TEST(test_busy_before_idle),
		TEST(test_keeps_so_many_idle),
		TEST(test_room_changes),
		TEST(test_gone_while_exchanges_run),
		TEST(test_drain),
		TEST(test_discarded),
		TEST(test_offered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
