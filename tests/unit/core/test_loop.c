/*
 * The order of a turn, events, tasks, retirement; letters between threads; a whole worker.
 */
#include "core/worker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct step {
	struct loop_task task;
	struct loop *loop;
	char name;
	struct step *soon, *last;
};

static char trace[64];
static size_t traced;

static void note(char name)
{
	assert_true(traced + 1 < sizeof(trace));
	trace[traced++] = name;
	trace[traced] = 0;
}

static void on_step(struct loop_task *task)
{
	struct step *step = CONTAINER_OF(task, struct step, task);
	note(step->name);
	if (step->soon)
		loop_soon(step->loop, &step->soon->task);
	if (step->last)
		loop_last(step->loop, &step->last->task);
}

static struct step step_make(struct loop *loop, char name)
{
	return (struct step){.task.run = on_step, .loop = loop, .name = name};
}

struct fixture {
	struct loop loop;
	int pipe[2];
};

static int set_up(void **state)
{
	static struct fixture fixture;
	traced = 0;
	trace[0] = 0;
	*state = &fixture;
	return loop_init(&fixture.loop) && pipe(fixture.pipe) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close(f->pipe[0]);
	close(f->pipe[1]);
	loop_fini(&f->loop);
	return 0;
}

static void test_order_of_tasks(void **state)
{
	struct fixture *f = *state;
	struct step a = step_make(&f->loop, 'a'), b = step_make(&f->loop, 'b'), c = step_make(&f->loop, 'c');
	struct step last = step_make(&f->loop, 'L'), retired = step_make(&f->loop, 'R');
	a.soon = &b;
	last.soon = &c;
	loop_retire(&f->loop, &retired.task);
	loop_last(&f->loop, &last.task);
	loop_soon(&f->loop, &a.task);
	loop_soon(&f->loop, &a.task); /* once */
	loop_turn(&f->loop, 0);
	assert_string_equal(trace, "abLcR");
	assert_int_equal(f->loop.turns, 1);
}

static unsigned many;

static void on_again(struct loop_task *task)
{
	struct step *step = CONTAINER_OF(task, struct step, task);
	many++;
	loop_soon(step->loop, task);
}

/* Tasks without end do not hold up writes nor the next turn; what was retired waits for them to settle. */
static void test_budget(void **state)
{
	struct fixture *f = *state;
	struct step again = step_make(&f->loop, 'x'), last = step_make(&f->loop, 'L'),
		    retired = step_make(&f->loop, 'R');
	again.task.run = on_again;
	many = 0;
	loop_soon(&f->loop, &again.task);
	loop_last(&f->loop, &last.task);
	loop_retire(&f->loop, &retired.task);
	loop_turn(&f->loop, -1);
	assert_true(many >= 1000 && many <= 100000);
	assert_string_equal(trace, "L");
	again.task.run = on_step;
	loop_turn(&f->loop, -1); /* does not wait: something is left */
	assert_string_equal(trace, "LxR");
}

struct reader {
	struct loop_source source;
	struct loop *loop;
	struct reader *removes;
	unsigned events;
};

static void on_readable(struct loop_source *source, uint32_t events)
{
	struct reader *reader = CONTAINER_OF(source, struct reader, source);
	assert_true(events & EPOLLIN);
	reader->events++;
	if (reader->removes)
		loop_remove(reader->loop, &reader->removes->source);
}

static void test_edge_triggered(void **state)
{
	struct fixture *f = *state;
	struct reader reader = {.source = {.fd = f->pipe[0], .on_event = on_readable}, .loop = &f->loop};
	assert_true(loop_add(&f->loop, &reader.source, EPOLLIN));
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	loop_turn(&f->loop, -1);
	loop_turn(&f->loop, 0);
	assert_int_equal(reader.events, 1);
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	loop_turn(&f->loop, -1);
	assert_int_equal(reader.events, 2);
	assert_int_equal(loop_remove(&f->loop, &reader.source), f->pipe[0]);
	assert_int_equal(loop_remove(&f->loop, &reader.source), -1);
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	loop_turn(&f->loop, 0);
	assert_int_equal(reader.events, 2);
}

/* A source that was removed in this very turn hears nothing any more, though its event is in the batch. */
static void test_removed_in_the_turn(void **state)
{
	struct fixture *f = *state;
	struct reader a = {.source = {.fd = f->pipe[0], .on_event = on_readable}, .loop = &f->loop};
	struct reader b = {.source = {.fd = dup(f->pipe[0]), .on_event = on_readable}, .loop = &f->loop};
	int duplicate = b.source.fd;
	a.removes = &b;
	b.removes = &a;
	assert_true(loop_add(&f->loop, &a.source, EPOLLIN));
	assert_true(loop_add(&f->loop, &b.source, EPOLLIN));
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	loop_turn(&f->loop, -1);
	assert_int_equal(a.events + b.events, 1);
	close(duplicate);
}

static void test_add_fails(void **state)
{
	struct fixture *f = *state;
	struct reader reader = {.source = {.fd = 99999, .on_event = on_readable}};
	assert_false(loop_add(&f->loop, &reader.source, EPOLLIN));
	assert_int_equal(errno, EBADF);
}

struct alarm {
	struct timer timer;
	struct loop *loop;
};

static void on_alarm(struct timer *timer)
{
	loop_stop(CONTAINER_OF(timer, struct alarm, timer)->loop);
}

static void test_timer_ends_wait(void **state)
{
	struct fixture *f = *state;
	struct alarm alarm = {.loop = &f->loop};
	timer_init(&alarm.timer, on_alarm);
	uint64_t start = f->loop.now;
	loop_timer_start(&f->loop, &alarm.timer, 20);
	loop_run(&f->loop);
	assert_true(f->loop.now >= start + 20);
	assert_false(timer_active(&alarm.timer));
	assert_true(f->loop.wall_ms > 1700000000000);
}

/* A source whose event starts a timer. */
struct starter {
	struct loop_source source;
	struct alarm alarm;
};

static void on_start(struct loop_source *source, uint32_t events)
{
	struct starter *starter = CONTAINER_OF(source, struct starter, source);
	loop_timer_start(starter->alarm.loop, &starter->alarm.timer, 50);
}

/* However long the loop has waited for the event: the timer's time begins now. */
static void test_timer_started_by_an_event(void **state)
{
	struct fixture *f = *state;
	struct starter starter = {.source = {.fd = f->pipe[0], .on_event = on_start}, .alarm.loop = &f->loop};
	timer_init(&starter.alarm.timer, on_alarm);
	assert_true(loop_add(&f->loop, &starter.source, EPOLLIN));
	struct timespec idle = {.tv_nsec = 100 * 1000 * 1000};
	nanosleep(&idle, NULL); /* what an idle loop does */
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	loop_turn(&f->loop, -1);
	uint64_t start = f->loop.now;
	assert_true(timer_active(&starter.alarm.timer));
	loop_run(&f->loop);
	assert_true(f->loop.now >= start + 50);
	loop_remove(&f->loop, &starter.source);
}

enum { SENDERS = 4, LETTERS = 20000 };

struct mail {
	struct letter letter;
	unsigned sender, number;
};

struct office {
	struct worker worker;
	unsigned next[SENDERS], opened;
};

struct sender {
	pthread_t thread;
	struct office *office;
	unsigned index;
};

static void on_mail(struct letter *letter, void *owner)
{
	struct mail *mail = CONTAINER_OF(letter, struct mail, letter);
	struct office *office = CONTAINER_OF((struct worker *)owner, struct office, worker);
	assert_int_equal(mail->number, office->next[mail->sender]++);
	if (++office->opened == SENDERS * LETTERS)
		loop_stop(&office->worker.loop);
	free(mail);
}

static void *send_letters(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 0; i < LETTERS; i++) {
		struct mail *mail = malloc(sizeof(*mail));
		if (!mail)
			abort();
		*mail = (struct mail){.letter.open = on_mail, .sender = sender->index, .number = i};
		mailbox_post(&sender->office->worker.mailbox, &mail->letter);
	}
	return NULL;
}

static void test_mailbox(void **state)
{
	static struct office office;
	struct memory memory;
	struct sender senders[SENDERS];
	memory_init(&memory, 0);
	assert_true(worker_init(&office.worker, 3, &memory, NULL));
	assert_int_equal(office.worker.index, 3);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.office = &office, .index = i};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]), 0);
	}
	loop_run(&office.worker.loop);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_int_equal(office.opened, SENDERS * LETTERS);
	struct mail *late = malloc(sizeof(*late));
	*late = (struct mail){.letter.open = on_mail, .number = LETTERS};
	mailbox_post(&office.worker.mailbox, &late->letter);
	worker_fini(&office.worker); /* opens it */
	assert_int_equal(office.opened, SENDERS * LETTERS + 1);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_worker_without_memory(void **state)
{
	struct worker worker;
	struct memory memory;
	memory_init(&memory, 0);
	memory_fail_every(&memory, 1);
	assert_false(worker_init(&worker, 0, &memory, NULL));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(atomic_load(&memory.used), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order_of_tasks),
		TEST(test_budget),
		TEST(test_edge_triggered),
		TEST(test_removed_in_the_turn),
		TEST(test_add_fails),
		TEST(test_timer_ends_wait),
		TEST(test_timer_started_by_an_event),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_worker_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
