/*
 * The timer wheel against a plain table of times, over random schedules and large jumps.
 */
#include "core/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct probe {
	struct timer timer;
	struct timer_wheel *wheel;
	struct probe *other;
	unsigned fired;
	uint64_t fired_at, again;
};

static void on_probe(struct timer *timer)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	assert_false(timer_active(timer));
	probe->fired++;
	probe->fired_at = probe->wheel->now;
	if (probe->other)
		timer_stop(probe->wheel, &probe->other->timer);
	if (probe->again != UINT64_MAX)
		timer_start(probe->wheel, timer, probe->again);
}

static void probe_init(struct probe *probe, struct timer_wheel *wheel)
{
	*probe = (struct probe){.wheel = wheel, .again = UINT64_MAX};
	timer_init(&probe->timer, on_probe);
}

static struct timer_wheel wheel;

static void test_exact_delays(void **state)
{
	static const uint64_t starts[] = {1, 63, 64, 4095, 4096, 262143, (1ull << 36) - 1, 123456789};
	static const uint64_t delays[] = {1,
					  2,
					  63,
					  64,
					  65,
					  4095,
					  4096,
					  4097,
					  15000,
					  262144,
					  16777216,
					  1ull << 30,
					  (1ull << 36) - 1,
					  1ull << 36,
					  (1ull << 36) + 12345,
					  1ull << 40};
	for (size_t s = 0; s < ARRAY_LENGTH(starts); s++) {
		for (size_t d = 0; d < ARRAY_LENGTH(delays); d++) {
			struct probe probe;
			timer_wheel_init(&wheel, starts[s]);
			probe_init(&probe, &wheel);
			timer_start(&wheel, &probe.timer, delays[d]);
			timer_wheel_advance(&wheel, starts[s] + delays[d] - 1);
			assert_int_equal(probe.fired, 0);
			timer_wheel_advance(&wheel, starts[s] + delays[d]);
			assert_int_equal(probe.fired, 1);
			assert_true(timer_wheel_wait(&wheel) == UINT64_MAX);
		}
	}
}

/* Sleeping exactly as long as the wheel says reaches the timer in a few steps, and never passes it. */
static void test_wait_leads_there(void **state)
{
	for (uint64_t delay = 1; delay < 3000000000ull; delay = delay * 7 / 3 + 1) {
		struct probe probe;
		unsigned steps = 0;
		timer_wheel_init(&wheel, 777);
		probe_init(&probe, &wheel);
		timer_start(&wheel, &probe.timer, delay);
		while (!probe.fired) {
			timer_wheel_advance(&wheel, wheel.now + timer_wheel_wait(&wheel));
			assert_true(++steps <= TIMER_LEVELS);
		}
		assert_true(probe.fired_at == 777 + delay);
	}
}

static void test_no_delay(void **state)
{
	struct probe probe;
	timer_wheel_init(&wheel, 5);
	probe_init(&probe, &wheel);
	probe.again = 0;
	timer_start(&wheel, &probe.timer, 0);
	assert_int_equal(timer_wheel_wait(&wheel), 0);
	timer_wheel_advance(&wheel, 5);
	assert_int_equal(probe.fired, 1); /* and not for ever */
	timer_wheel_advance(&wheel, 500);
	assert_int_equal(probe.fired, 2);
	timer_stop(&wheel, &probe.timer);
	assert_int_equal(wheel.active, 0);
}

static void test_stop_of_another_that_is_due(void **state)
{
	struct probe a, b;
	timer_wheel_init(&wheel, 1);
	probe_init(&a, &wheel);
	probe_init(&b, &wheel);
	a.other = &b;
	b.other = &a;
	timer_start(&wheel, &a.timer, 10);
	timer_start(&wheel, &b.timer, 10);
	timer_wheel_advance(&wheel, 11);
	assert_int_equal(a.fired + b.fired, 1);
	assert_int_equal(wheel.active, 0);
}

static void test_moves(void **state)
{
	struct probe probe;
	timer_wheel_init(&wheel, 1);
	probe_init(&probe, &wheel);
	timer_start(&wheel, &probe.timer, 100);
	timer_start(&wheel, &probe.timer, 5000); /* lazily later */
	timer_start(&wheel, &probe.timer, 200);  /* sooner again */
	timer_wheel_advance(&wheel, 200);
	assert_int_equal(probe.fired, 0);
	timer_wheel_advance(&wheel, 201);
	assert_int_equal(probe.fired, 1);
	timer_start(&wheel, &probe.timer, UINT64_MAX);
	timer_wheel_advance(&wheel, 1ull << 50);
	assert_int_equal(probe.fired, 1);
	timer_stop(&wheel, &probe.timer);
	timer_stop(&wheel, &probe.timer);
}

/* A timer that was stopped leaves nothing behind that would wake the loop. */
static void test_stopped_wakes_nobody(void **state)
{
	struct probe near, far;
	timer_wheel_init(&wheel, 1);
	probe_init(&near, &wheel);
	probe_init(&far, &wheel);
	timer_start(&wheel, &far.timer, 3600 * 1000);
	uint64_t wait = timer_wheel_wait(&wheel);
	timer_start(&wheel, &near.timer, 5);
	assert_int_equal(timer_wheel_wait(&wheel), 5);
	timer_stop(&wheel, &near.timer);
	assert_int_equal(timer_wheel_wait(&wheel), wait);
}

/* After a suspend a periodic timer fires once, not once for each period that was slept through. */
static void test_suspend(void **state)
{
	struct probe probe;
	timer_wheel_init(&wheel, 1);
	probe_init(&probe, &wheel);
	probe.again = 1;
	timer_start(&wheel, &probe.timer, 1);
	timer_wheel_advance(&wheel, 8 * 3600 * 1000);
	assert_int_equal(probe.fired, 1);
	timer_wheel_advance(&wheel, 8 * 3600 * 1000 + 1);
	assert_int_equal(probe.fired, 2);
}

enum { PROBES = 200 };

struct schedule {
	struct probe probes[PROBES];
	uint64_t expected[PROBES]; /* 0 = not active */
	uint64_t seed;
};

static struct schedule schedule;

static uint64_t draw(uint64_t below)
{
	schedule.seed = schedule.seed * 6364136223846793005u + 1442695040888963407u;
	return (schedule.seed >> 20) % below;
}

static uint64_t draw_delay(void)
{
	return draw((uint64_t)1 << draw(38));
}

static void start_any(void)
{
	size_t which = draw(PROBES);
	uint64_t delay = draw_delay();
	timer_start(&wheel, &schedule.probes[which].timer, delay);
	/*
	 * Nothing that starts within an advance fires in it, and at the earliest 1 ms later unless without
	 * delay.
	 */
	schedule.expected[which] = wheel.now + delay;
}

static void stop_any(void)
{
	size_t which = draw(PROBES);
	timer_stop(&wheel, &schedule.probes[which].timer);
	schedule.expected[which] = 0;
}

static void on_scheduled(struct timer *timer)
{
	size_t which = (size_t)(CONTAINER_OF(timer, struct probe, timer) - schedule.probes);
	uint64_t expected = schedule.expected[which];
	assert_true(expected != 0 && expected <= wheel.now);
	schedule.expected[which] = 0;
	if (draw(3) == 0)
		start_any();
	if (draw(4) == 0)
		stop_any();
}

static void advance_and_compare(uint64_t now)
{
	bool was_due[PROBES];
	for (size_t i = 0; i < PROBES; i++)
		was_due[i] = schedule.expected[i] != 0 && schedule.expected[i] <= now;
	timer_wheel_advance(&wheel, now);
	size_t active = 0;
	for (size_t i = 0; i < PROBES; i++) {
		/*
		 * What was due has fired, was stopped, or was started anew by a callback: for now or later.
		 */
		if (was_due[i])
			assert_true(schedule.expected[i] == 0 || schedule.expected[i] >= now);
		assert_true(timer_active(&schedule.probes[i].timer) == (schedule.expected[i] != 0));
		active += schedule.expected[i] != 0;
	}
	assert_int_equal(wheel.active, active);
}

static void run_schedule(uint64_t seed)
{
	memset(&schedule, 0, sizeof(schedule));
	schedule.seed = seed;
	timer_wheel_init(&wheel, 1 + draw((uint64_t)1 << draw(40)));
	for (size_t i = 0; i < PROBES; i++)
		timer_init(&schedule.probes[i].timer, on_scheduled);
	for (unsigned step = 0; step < 3000; step++) {
		switch (draw(4)) {
		case 0:
			stop_any();
			break;
		case 1:
			advance_and_compare(wheel.now + draw_delay() / 64);
			break;
		case 2:
			if (wheel.active)
				advance_and_compare(wheel.now + timer_wheel_wait(&wheel));
			break;
		default:
			start_any();
		}
	}
}

static void test_random_schedules(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		run_schedule(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_delays), cmocka_unit_test(test_wait_leads_there),
		cmocka_unit_test(test_no_delay),     cmocka_unit_test(test_stop_of_another_that_is_due),
		cmocka_unit_test(test_moves),        cmocka_unit_test(test_stopped_wakes_nobody),
		cmocka_unit_test(test_suspend),      cmocka_unit_test(test_random_schedules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
