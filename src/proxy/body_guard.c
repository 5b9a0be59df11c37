/*
 * See body_guard.h. On the exchange's worker; it lies in the exchange's arena, its window and decoder on the heap.
 */
#include "proxy/body_guard.h"

#include "exchange/filter.h"
#include "http/inflate.h"
#include "mask/leak_text.h"
#include "proxy/leaks.h"
#include "proxy/proxy_internal.h"

enum { DECODED = 8 * 1024 }; /* bytes, at a time */

/* How content goes through. */
enum body_way {
	BODY_WATCH, /* passes as it comes, and is looked at beside */
	BODY_GATE,  /* as it comes, but not before it has been looked at: it may have to be broken off */
	BODY_TEXT,  /* decoded, as the text is settled, changed or not */
};

struct body_guard {
	struct flow_filter filter;
	struct leak_text text;
	struct exchange *x;
	struct proxy_exchange *p;
	enum leak_done done; /* what becomes of a leak */
	enum body_way way;
	size_t window;
	struct inflater *inflater; /* NULL: the content is not encoded */
	struct leak_server server;
	struct leak_public site;
	struct address address;                 /* that server points to */
	struct chunk_queue *out;                /* while it runs */
	struct chunk_queue older, newer;        /* BODY_GATE: passed on when what they say is settled */
	uint64_t decoded, older_end, newer_end; /* of the text */
	bool blind;                             /* the rest is not looked at */
	struct error error;                     /* why it is broken */
};

static struct body_guard *body_guard_of(struct flow_filter *filter)
{
	return CONTAINER_OF(filter, struct body_guard, filter);
}

static struct buffers *body_buffers(const struct body_guard *guard)
{
	return &guard->x->worker->buffers;
}

/* ---- the text ---- */

static enum leak_answer on_leak(struct leak_text *text, const struct leak *leak)
{
	struct body_guard *guard = CONTAINER_OF(text, struct body_guard, text);
	enum leak_done done = guard->done;

	if (done == LEAK_REWRITTEN && !leak_has_public(leak, text->site))
		done = LEAK_REMOVED;
	leaks_tell(guard->x, guard->p, SPAN("content"), leak, done);
	switch (done) {
	case LEAK_REPORTED:
		return LEAK_KEEP;
	case LEAK_REMOVED:
		return LEAK_CUT;
	case LEAK_REWRITTEN:
		return LEAK_REPLACE;
	case LEAK_BLOCKED:
		break;
	}
	guard->error = error_make(ERROR_LEAK, NULL);
	return LEAK_STOP;
}

static bool on_text(struct leak_text *text, struct span bytes)
{
	struct body_guard *guard = CONTAINER_OF(text, struct body_guard, text);

	if (guard->way != BODY_TEXT || chunk_queue_copy(body_buffers(guard), guard->out, bytes))
		return true;
	guard->error = error_make(ERROR_MEMORY, NULL);
	return false;
}

static const struct leak_text_ops text_ops = {.on_leak = on_leak, .on_text = on_text};

/* It cannot be looked at any more. What passes as it is goes on; what is decoded has come to its end, and so has what must not pass unseen. */
static void go_blind(struct body_guard *guard, const char *why)
{
	leaks_tell_blind(guard->x, guard->p, why);
	guard->blind = true;
	if (guard->way != BODY_WATCH)
		guard->error = error_make(ERROR_UPSTREAM_CODING, why);
}

static void feed_decoded(struct body_guard *guard, struct span bytes)
{
	guard->decoded += bytes.len;
	leak_text_push(&guard->text, bytes, false);
}

/* Decodes the front of `bytes`, up to a portion. Answers how many bytes of it were used: all, if there was no more than that portion in them. */
static size_t feed_encoded(struct body_guard *guard, struct span bytes)
{
	uint8_t decoded[DECODED];
	struct span rest = bytes;
	size_t made = DECODED;

	while (made == DECODED && !error_is(&guard->error) && !guard->blind) {
		switch (inflater_run(guard->inflater, &rest, decoded, DECODED, &made)) {
		case INFLATE_GOOD:
			feed_decoded(guard, span_make(decoded, made));
			break;
		case INFLATE_BAD:
			go_blind(guard, "it is not encoded as it says");
			break;
		case INFLATE_BOMB:
			go_blind(guard, "it becomes too much when it is decoded");
			break;
		case INFLATE_MEMORY:
			guard->error = error_make(ERROR_MEMORY, NULL);
			break;
		}
		if (rest.len > 0 && guard->way == BODY_TEXT)
			break; /* the rest can wait for room */
	}
	return guard->way == BODY_TEXT ? bytes.len - rest.len : bytes.len;
}

static size_t feed(struct body_guard *guard, struct span bytes)
{
	if (guard->blind)
		return bytes.len;
	if (guard->inflater)
		return feed_encoded(guard, bytes);
	feed_decoded(guard, bytes);
	return bytes.len;
}

/* ---- the filter ---- */

/* What has been looked at goes on: all that came before the newest piece, once nothing in it can become a part of a leak any more. */
static void open_gate(struct body_guard *guard)
{
	if (guard->text.settled < guard->older_end)
		return;
	chunk_queue_move_all(guard->out, &guard->older);
	chunk_queue_move_all(&guard->older, &guard->newer);
	guard->older_end = guard->newer_end;
	if (guard->text.settled >= guard->older_end)
		chunk_queue_move_all(guard->out, &guard->older);
}

/* The first `len` bytes of `in` have been looked at. */
static void pass(struct body_guard *guard, struct chunk_queue *in, size_t len)
{
	struct buffers *buffers = body_buffers(guard);
	struct chunk_queue *to = guard->way == BODY_GATE ? &guard->newer : guard->out;

	if (guard->way == BODY_TEXT) {
		chunk_queue_consume(buffers, in, len);
		return;
	}
	if (!chunk_queue_move(buffers, to, in, len)) {
		guard->error = error_make(ERROR_MEMORY, NULL);
		return;
	}
	guard->newer_end = guard->decoded;
	if (guard->way == BODY_GATE)
		open_gate(guard);
}

static void end_text(struct body_guard *guard)
{
	if (guard->inflater && !guard->blind && !inflater_may_end(guard->inflater))
		go_blind(guard, "it ends too early");
	if (error_is(&guard->error))
		return;
	if (!guard->blind)
		leak_text_push(&guard->text, (struct span){0}, true);
	if (error_is(&guard->error))
		return;
	chunk_queue_move_all(guard->out, &guard->older);
	chunk_queue_move_all(guard->out, &guard->newer);
}

static enum filter_result body_guard_run(struct flow_filter *filter, struct chunk_queue *in,
					 struct chunk_queue *out, size_t room, bool end)
{
	struct body_guard *guard = body_guard_of(filter);

	guard->out = out;
	while (in->bytes > 0 && !error_is(&guard->error) && !guard->p->leaked) {
		if (out->bytes >= room)
			return FILTER_MORE;
		size_t used = feed(guard, span_make(in->first->at, in->first->len));
		if (!error_is(&guard->error))
			pass(guard, in, used);
	}
	if (end && !error_is(&guard->error) && !guard->p->leaked)
		end_text(guard);
	if (guard->p->leaked) /* it was found in the trailers */
		guard->error = error_make(ERROR_LEAK, NULL);
	return error_is(&guard->error) ? FILTER_BROKEN : FILTER_EMPTY;
}

static void body_guard_on_broken(struct flow_filter *filter)
{
	struct body_guard *guard = body_guard_of(filter);

	exchange_abort(guard->x, &guard->error);
}

static void body_guard_on_off(struct flow_filter *filter)
{
	struct body_guard *guard = body_guard_of(filter);
	struct worker *worker = guard->x->worker;

	chunk_queue_clear(&worker->buffers, &guard->older);
	chunk_queue_clear(&worker->buffers, &guard->newer);
	inflater_free(guard->inflater);
	memory_free(worker->memory, guard->text.window, guard->window);
}

static const struct flow_filter_ops body_guard_ops = {
	.run = body_guard_run,
	.on_broken = body_guard_on_broken,
	.on_off = body_guard_on_off,
};

/* ---- requests ---- */

bool body_guard_request(struct exchange *x, struct proxy_exchange *p)
{
	const struct leak_guard *guard = reverse_mask_leaks(p->match.route->mask);
	struct http_fields *fields = &x->request.fields;
	const struct span accept = SPAN("Accept-Encoding");
	struct span narrow;

	if (!guard || guard->body == LEAK_OFF)
		return true;
	if (guard->body != LEAK_REPORT) {
		/* Half of a name is none; and a part of what is changed is no part of what the server has (RFC 9110 14.2). */
		http_fields_drop_name(fields, SPAN("range"));
		http_fields_drop_name(fields, SPAN("if-range"));
	}
	if (!http_fields_find_name(fields, accept))
		return true;
	narrow = content_coding_narrow(fields, &x->arena);
	return narrow.at && http_fields_set(fields, HTTP_FIELD_OTHER, accept, narrow);
}

/* ---- responses ---- */

static bool is_for(const struct leak_guard *guard, const struct http_head *response)
{
	const struct http_field *type = http_fields_find(&response->fields, HTTP_FIELD_CONTENT_TYPE);

	return response->status != 101 && type && leak_guard_has_type(guard, type->value);
}

/* RFC 9110 7.7: content that is not to be transformed is not; nor is it where what is known of the whole would be wrong for this one. */
static bool may_edit(const struct http_head *response)
{
	const struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(&response->fields, &index)))
		if (field->id == HTTP_FIELD_CACHE_CONTROL && http_list_has(field->value, SPAN("no-transform")))
			return false;
	return response->status == 200;
}

/* A strong one promises the very bytes that the server has (RFC 9110 8.8.1). */
static bool weaken_etag(struct http_fields *fields)
{
	struct http_field *etag = http_fields_find_name(fields, SPAN("etag"));
	const struct span parts[] = {SPAN("W/"), etag ? etag->value : (struct span){0}};

	if (!etag || !span_starts_with(etag->value, SPAN("\"")))
		return true;
	etag->value = arena_join(fields->arena, parts, ARRAY_LENGTH(parts));
	return etag->value.at != NULL;
}

/* What fields say of the server's own bytes is not true of others (RFC 9110 14.3, RFC 9530). False: out of memory. */
static bool drop_untrue(struct http_fields *fields)
{
	static const char *const untrue[] = {"accept-ranges", "digest", "content-digest", "repr-digest",
					     "content-md5"};

	for (size_t i = 0; i < ARRAY_LENGTH(untrue); i++)
		http_fields_drop_name(fields, span_of(untrue[i]));
	return weaken_etag(fields);
}

/* The head of content that is changed on the way, or would be for another method. False: out of memory. */
static bool edit_head(struct http_head *response, bool decoded)
{
	if (decoded)
		http_fields_drop_id(&response->fields, HTTP_FIELD_CONTENT_ENCODING);
	response->length_known = false;
	if (http_head_has_body(response))
		response->body = HTTP_BODY_STREAMED;
	return drop_untrue(&response->fields);
}

bool body_guard_trailers(const struct proxy_exchange *p, struct http_fields *trailers)
{
	return !p->edited || drop_untrue(trailers);
}

static struct body_guard *body_guard_new(struct exchange *x, struct proxy_exchange *p,
					 const struct leak_guard *settings, enum content_coding coding)
{
	struct body_guard *guard = arena_zalloc(&x->arena, 1, sizeof(*guard));
	uint8_t *window = memory_alloc(x->worker->memory, settings->window);

	if (!guard || !window)
		goto fail;
	guard->x = x;
	guard->p = p;
	guard->window = settings->window;
	guard->server = leaks_server(x, p, &guard->address);
	guard->site = leaks_site(x, p);
	guard->text = (struct leak_text){.ops = &text_ops,
					 .terms = &settings->terms,
					 .server = &guard->server,
					 .site = &guard->site,
					 .window = window,
					 .size = settings->window};
	if (coding != CODING_IDENTITY) {
		guard->inflater = inflater_new(x->worker->memory, coding);
		if (!guard->inflater)
			goto fail;
	}
	return guard;
fail:
	if (window)
		memory_free(x->worker->memory, window, settings->window);
	return NULL;
}

/* What is done, where what was asked for may not be done. */
static enum leak_done allowed(enum leak_policy policy, bool editable)
{
	switch (policy) {
	case LEAK_BLOCK:
		return LEAK_BLOCKED;
	case LEAK_REMOVE:
		return editable ? LEAK_REMOVED : LEAK_REPORTED;
	case LEAK_REWRITE:
		return editable ? LEAK_REWRITTEN : LEAK_REPORTED;
	default:
		return LEAK_REPORTED;
	}
}

static enum body_way way_of(enum leak_done done, enum content_coding coding)
{
	if (done == LEAK_REPORTED)
		return BODY_WATCH;
	return done == LEAK_BLOCKED && coding != CODING_IDENTITY ? BODY_GATE : BODY_TEXT;
}

bool body_guard_begin(struct exchange *x, struct proxy_exchange *p)
{
	const struct leak_guard *settings = leaks_guard(p);
	struct http_head *response = &x->response;
	struct body_guard *guard;

	if (!settings || settings->body == LEAK_OFF)
		return true;
	/* What a 304 says is said of a 200 that was changed. */
	if (response->status == 304)
		return settings->body == LEAK_REPORT || settings->body == LEAK_BLOCK ||
		       edit_head(response, false);
	if (!is_for(settings, response))
		return true;
	enum content_coding coding = content_coding_of(&response->fields);
	enum leak_done done = allowed(settings->body, may_edit(response) && coding != CODING_OTHER);
	bool edited = done == LEAK_REMOVED || done == LEAK_REWRITTEN;
	if (coding == CODING_OTHER && http_head_has_body(response)) {
		leaks_tell_blind(x, p, "of its coding only gzip and deflate are known");
		p->leaked = done == LEAK_BLOCKED;
		return !p->leaked;
	}
	if (edited && !edit_head(response, coding != CODING_IDENTITY))
		return false;
	if (!http_head_has_body(response))
		return true;
	guard = body_guard_new(x, p, settings, coding);
	if (!guard)
		return false;
	p->edited = edited;
	guard->done = done;
	guard->way = way_of(done, coding);
	flow_filter_start(&x->response_body, &guard->filter, &body_guard_ops);
	return true;
}
