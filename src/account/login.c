/*
 * One login: what is known is answered at once, the rest goes to the threads, and comes back by letter. See login.h.
 */
#include "account/login.h"

#include "account/accounts_internal.h"

#include <time.h>

/* One who waits. The worker's, but for `result` and the letter while it is on its way. */
struct login_job {
	struct verifier_waiter waiter;
	struct letter letter;
	struct login *login; /* NULL: cancelled */
	struct worker *worker;
	enum login_result result;
};

/* What the brake has to be told of a task, on whatever thread. */
struct login_context {
	struct brake_keys keys;
};

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- answers ---- */

static enum login_result result_of(enum verifier_answer answer)
{
	switch (answer) {
	case VERIFIER_GOOD:
		return LOGIN_GOOD;
	case VERIFIER_WRONG:
		return LOGIN_WRONG;
	case VERIFIER_STOPPED:
		break;
	}
	return LOGIN_BUSY;
}

static enum brake_outcome outcome_of(enum verifier_answer answer)
{
	switch (answer) {
	case VERIFIER_GOOD:
		return BRAKE_GOOD;
	case VERIFIER_WRONG:
		return BRAKE_WRONG;
	case VERIFIER_STOPPED:
		break;
	}
	return BRAKE_UNSEEN;
}

/* On the verifier's thread: counted although all who have asked may have gone. */
static void on_verified(struct verifier_task *task, enum verifier_answer answer, void *owner)
{
	struct accounts *accounts = owner;
	struct login_context *context = task->context;
	uint64_t now = monotonic_ms();

	brake_leave(accounts->brake, &accounts->plan->settings->brake, &context->keys, outcome_of(answer), now);
	if (answer == VERIFIER_GOOD)
		login_cache_add(accounts->cache, &task->mac, now);
	memory_free(accounts->memory, context, sizeof(*context));
}

static void on_answer(struct verifier_waiter *waiter, enum verifier_answer answer, void *owner)
{
	struct login_job *job = CONTAINER_OF(waiter, struct login_job, waiter);

	job->result = result_of(answer);
	mailbox_post(&job->worker->mailbox, &job->letter);
}

const struct verifier_ops login_verifier_ops = {
	.on_verified = on_verified,
	.on_answer = on_answer,
};

/* On the worker. At the end of a thread nobody is told any more: what waits was cancelled, or goes with the worker. */
static void on_letter(struct letter *letter, void *owner)
{
	struct login_job *job = CONTAINER_OF(letter, struct login_job, letter);
	struct worker *worker = job->worker;
	struct login *login = job->login;
	enum login_result result = job->result;

	memory_free(worker->memory, job, sizeof(*job));
	if (!login)
		return;
	login->job = NULL;
	if (!worker->loop.stopping)
		login->on_done(login, result);
}

/* ---- asking ---- */

static struct login_job *job_new(struct login *login, struct worker *worker)
{
	struct login_job *job = memory_alloc(worker->memory, sizeof(*job));

	if (job)
		*job = (struct login_job){
			.letter = {.open = on_letter},
			.login = login,
			.worker = worker,
		};
	return job;
}

/* What is looked up, and compared. */
struct attempt {
	struct span name, password, hash;
	bool decoy; /* there is no such user: somebody's hash, so that it takes as long */
	struct login_mac mac;
	struct brake_keys keys;
};

/* NULL: out of memory. */
static struct verifier_task *task_new(struct accounts *accounts, const struct attempt *attempt)
{
	struct login_context *context = memory_alloc(accounts->memory, sizeof(*context));
	struct verifier_task *task = context ? verifier_task_new(accounts->verifier) : NULL;

	if (!task) {
		if (context)
			memory_free(accounts->memory, context, sizeof(*context));
		return NULL;
	}
	context->keys = attempt->keys;
	task->mac = attempt->mac;
	task->decoy = attempt->decoy;
	task->context = context;
	memcpy(task->hash, attempt->hash.at, attempt->hash.len);
	if (attempt->password.len)
		memcpy(task->password, attempt->password.at, attempt->password.len);
	return task;
}

static void task_free(struct accounts *accounts, struct verifier_task *task)
{
	memory_free(accounts->memory, task->context, sizeof(struct login_context));
	verifier_task_free(accounts->verifier, task);
}

static enum login_result braked(struct login *login, uint64_t wait_ms)
{
	login->retry = (uint32_t)((wait_ms + 999) / 1000);
	return LOGIN_BRAKED;
}

/* Nothing is known of it, and the brake does not hold it yet. */
static enum login_result verify(struct login *login, struct accounts *accounts, const struct attempt *attempt,
				struct login_job *job)
{
	const struct brake_settings *settings = &accounts->plan->settings->brake;
	uint64_t wait = brake_enter(accounts->brake, settings, &attempt->keys, monotonic_ms());
	struct verifier_task *task = wait ? NULL : task_new(accounts, attempt);
	enum verifier_asked asked = VERIFIER_FULL;

	if (wait)
		return braked(login, wait);

	if (task)
		asked = verifier_ask(accounts->verifier, task, &job->waiter);
	if (asked == VERIFIER_TAKEN)
		return LOGIN_WAIT;
	brake_leave(accounts->brake, settings, &attempt->keys, BRAKE_UNSEEN, monotonic_ms());
	if (task)
		task_free(accounts, task);
	return asked == VERIFIER_JOINED ? LOGIN_WAIT : LOGIN_BUSY;
}

/* It is not known. LOGIN_WAIT: login->job is made, and on its way. */
static enum login_result ask(struct login *login, struct worker *worker, struct accounts *accounts,
			     struct attempt *attempt, enum brake_state state, uint64_t wait)
{
	struct login_job *job = job_new(login, worker);
	enum login_result result;

	if (!job)
		return LOGIN_BUSY;
	/* Somebody asks the same at this moment: the answer is no more than he gets. */
	if (verifier_join(accounts->verifier, &attempt->mac, &job->waiter))
		result = LOGIN_WAIT;
	else if (state == BRAKE_REPEATED)
		result = LOGIN_WRONG;
	else if (wait)
		result = braked(login, wait);
	else
		result = verify(login, accounts, attempt, job);
	if (result == LOGIN_WAIT)
		login->job = job;
	else
		memory_free(worker->memory, job, sizeof(*job));
	return result;
}

static enum login_result judge(struct login *login, struct worker *worker, struct accounts *accounts,
			       struct attempt *attempt)
{
	const struct brake_settings *settings = &accounts->plan->settings->brake;
	uint64_t now = monotonic_ms(), wait = 0;
	enum brake_state state = brake_look(accounts->brake, settings, &attempt->keys, now, &wait);
	bool cached = login_cache_has(accounts->cache, &attempt->mac, now);

	if (state != BRAKE_FREE || !(cached & !attempt->decoy))
		return ask(login, worker, accounts, attempt, state, wait);
	brake_pass(accounts->brake, settings, &attempt->keys, now);
	return LOGIN_GOOD;
}

/* What crypt(3) could not take, or would take for something shorter. */
static bool is_possible(struct span name, struct span password)
{
	return name.len <= USER_NAME_MOST && password.len <= USER_PASSWORD_MOST && span_find(password, 0) < 0;
}

/* False: nobody could log in so. */
static bool attempt_prepare(struct attempt *attempt, const struct accounts *accounts)
{
	const struct users *users = atomic_load_explicit(&accounts->users, memory_order_acquire);
	const char *hash, *decoy;

	if (!users || !is_possible(attempt->name, attempt->password))
		return false;
	hash = users_hash(users, attempt->name);
	decoy = users_decoy(users, attempt->name);
	attempt->decoy = !hash;
	attempt->hash = span_of(hash ? hash : decoy);
	return attempt->hash.at != NULL;
}

enum login_result login_start(struct login *login, struct worker *worker, struct accounts *accounts,
			      struct span name, struct span password, const struct address *client,
			      login_fn *on_done)
{
	struct attempt attempt = {.name = name, .password = password};
	uint64_t what;

	*login = (struct login){.worker = worker, .on_done = on_done};
	if (!attempt_prepare(&attempt, accounts))
		return LOGIN_WRONG;
	if (!login_cache_mac(accounts->cache, attempt.hash, name, password, &attempt.mac))
		return LOGIN_BUSY;
	memcpy(&what, attempt.mac.bytes, sizeof(what));
	attempt.keys = brake_keys(accounts->brake, client, name, what);
	return judge(login, worker, accounts, &attempt);
}

void login_cancel(struct login *login)
{
	if (login->job)
		login->job->login = NULL;
	login->job = NULL;
}
