/*
 * See secrets.h. Any thread.
 */
#include "proxy/secrets.h"

#include "http/target.h"

#include <pthread.h>

struct secret {
	const struct secret_plan *plan;
	struct span value; /* ours */
};

struct secrets {
	struct memory *memory;
	pthread_mutex_t lock; /* around values */
	size_t size, count;
	struct secret items[];
};

static void value_free(struct secrets *secrets, struct span value)
{
	if (!value.at)
		return;
	span_wipe(value);
	memory_free(secrets->memory, (void *)(uintptr_t)value.at, value.len);
}

struct secrets *secrets_new(struct memory *memory, const struct secret_plan *plans, size_t count)
{
	size_t size = sizeof(struct secrets) + count * sizeof(struct secret);
	struct secrets *secrets = memory_alloc(memory, size);

	if (!secrets)
		return NULL;
	memset(secrets, 0, size);
	secrets->memory = memory;
	secrets->size = size;
	pthread_mutex_init(&secrets->lock, NULL);
	while (secrets->count < count) {
		size_t index = secrets->count++;
		secrets->items[index].plan = &plans[index];
		if (!secrets_replace(secrets, index, plans[index].value)) {
			secrets_free(secrets);
			return NULL;
		}
	}
	return secrets;
}

void secrets_free(struct secrets *secrets)
{
	if (!secrets)
		return;
	for (size_t i = 0; i < secrets->count; i++)
		value_free(secrets, secrets->items[i].value);
	pthread_mutex_destroy(&secrets->lock);
	memory_free(secrets->memory, secrets, secrets->size);
}

const char *secret_value_read(struct span text, struct span *value)
{
	while (text.len && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
		text.len--;
	if (text.len == 0)
		return "it is empty";
	if (text.len > SECRET_MOST)
		return "it is longer than 8 KiB";
	if (span_find(text, '\n') >= 0 || span_find(text, '\r') >= 0)
		return "it has more than one line, and a field has one";
	if (!http_is_field_value(text))
		return "it has bytes that a field cannot carry (RFC 9110 5.5)";
	*value = text;
	return NULL;
}

bool secrets_replace(struct secrets *secrets, size_t index, struct span value)
{
	uint8_t *copy = memory_alloc(secrets->memory, value.len);

	if (!copy)
		return false;
	memcpy(copy, value.at, value.len);
	pthread_mutex_lock(&secrets->lock);
	struct span old = secrets->items[index].value;
	secrets->items[index].value = span_make(copy, value.len);
	pthread_mutex_unlock(&secrets->lock);
	value_free(secrets, old);
	return true;
}

const struct secret_plan *secrets_plan_at(const struct secrets *secrets, size_t index)
{
	return secrets->items[index].plan;
}

static bool same_host(const struct http_authority *one, const struct http_authority *other)
{
	if (one->ip_family != other->ip_family)
		return false;
	return one->ip_family ? memcmp(one->ip, other->ip, sizeof(one->ip)) == 0 :
				span_equal(one->host, other->host);
}

bool secret_is_for(const struct secret_plan *plan, const struct http_authority *host, struct span scheme)
{
	uint16_t own = http_scheme_port(scheme), port = host->port ? host->port : own;

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct http_authority *named = &plan->hosts[i];
		if (port == (named->port ? named->port : own) && same_host(named, host))
			return true;
	}
	return false;
}

/* Room for it is made outside the lock: the value may have grown meanwhile, and then there is another turn. */
bool secrets_get(struct secrets *secrets, size_t index, struct arena *arena, struct span *text,
		 struct span *bare)
{
	const struct setting_string *prefix = &secrets->items[index].plan->settings->prefix;
	struct secret *secret = &secrets->items[index];
	uint8_t *copy = NULL;
	size_t room = 0;

	for (;;) {
		pthread_mutex_lock(&secrets->lock);
		size_t wanted = prefix->len + secret->value.len;
		if (copy && wanted <= room) {
			memcpy(copy + prefix->len, secret->value.at, secret->value.len);
			pthread_mutex_unlock(&secrets->lock);
			if (prefix->len)
				memcpy(copy, prefix->text, prefix->len);
			*text = span_make(copy, wanted);
			*bare = span_from(*text, prefix->len);
			return true;
		}
		pthread_mutex_unlock(&secrets->lock);
		copy = arena_alloc(arena, wanted);
		room = wanted;
		if (!copy)
			return false;
	}
}
