/*
 * See sameness.h.
 */
#include "mask/sameness.h"

#include "core/base64.h"
#include "core/random.h"
#include "mask/entity_tag.h"
#include "mask/name_set.h"
#include "tls/seal.h"
#include "tls/siv.h"

enum {
	/* Tags are filled up to a multiple of this, so that their lengths tell no servers apart: MD5, SHA-1 and what nginx and Apache make are one size. */
	TAG_STEP = 48,
	TAG_FILLED = (SAMENESS_TAG_MOST / TAG_STEP + 1) * TAG_STEP,
	TAG_SEALED = TAG_FILLED + SIV_ADDS,
	TAG_TEXT = (TAG_SEALED * 4 + 2) / 3, /* base64url_length */
	TAG_AROUND = sizeof("W/\"\"") - 1,
};

_Static_assert((SAMENESS_TAG_MOST + 1) % TAG_STEP == 0, "the longest tag and its mark fill the last step");

#define SAMENESS_PURPOSE "guise entity tags 1"

struct sameness {
	struct siv *siv; /* NULL: tags are left alone */
	bool random, date, order;
	enum sameness_errors errors;
	const struct name_set *kept; /* by errors whose content is replaced */
};

/* ---- compiling ---- */

/* What tells a client what to do about an error, lets a page read it (CORS), and keeps its session; and no more. */
static const char *const kept_rows[] = {
	"Accept-*",
	"Access-Control-*",
	"Allow",
	"Authentication-Info",
	"Clear-Site-Data",
	"Content-Range", /* of 416, RFC 9110 15.5.17 */
	"Date",
	"Deprecation",
	"grpc-*",
	"RateLimit",
	"RateLimit-*",
	"Retry-After",
	"Set-Cookie",
	"Strict-Transport-Security",
	"Sunset",
	"WWW-Authenticate",
	"X-RateLimit-*",
	NULL,
};

static bool compile_kept(struct sameness *same, struct arena *arena)
{
	struct name_set *kept = name_set_new(arena);

	same->kept = kept;
	return kept && name_set_add_all(kept, kept_rows, 1) && name_set_seal(kept);
}

static bool compile_tags(struct sameness *same, const struct sameness_settings *settings,
			 struct diagnostics *diagnostics)
{
	const struct setting_string *secret = &settings->key;
	uint8_t key[SIV_KEY];
	bool good = true;

	_Static_assert((int)SIV_KEY == (int)SEAL_KEY, "one is derived as the other");
	same->random = secret->len == 0;
	if (same->random)
		random_secret(key, sizeof(key));
	else
		good = seal_derive(span_make(secret->text, secret->len), SPAN(SAMENESS_PURPOSE), key);
	same->siv = good ? siv_new(key) : NULL;
	span_wipe(span_make(key, sizeof(key)));
	if (!same->siv)
		diagnostics_error(diagnostics, settings->place,
				  "\"etags\" needs AES-SIV (RFC 5297), which OpenSSL does not have here");
	return same->siv != NULL;
}

bool sameness_compile(const struct sameness_settings *settings, struct arena *arena,
		      struct diagnostics *diagnostics, const struct sameness **out)
{
	struct sameness *same;

	*out = NULL;
	if (settings->key.len && !settings->etags)
		diagnostics_warning(diagnostics, settings->key.place,
				    "\"key\" is for \"etags: true\", and does nothing without it");
	if (!settings->etags && !settings->date && !settings->order && !settings->errors)
		return true;
	same = arena_zalloc(arena, 1, sizeof(*same));
	if (!same || !compile_kept(same, arena)) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	same->date = settings->date;
	same->order = settings->order;
	same->errors = (enum sameness_errors)settings->errors;
	*out = same;
	return !settings->etags || compile_tags(same, settings, diagnostics);
}

void sameness_free(const struct sameness *same)
{
	if (same)
		siv_free(same->siv);
}

/* ---- what it does ---- */

bool sameness_key_is_random(const struct sameness *same)
{
	return same && same->siv && same->random;
}

bool sameness_has_date(const struct sameness *same)
{
	return same && same->date;
}

bool sameness_has_order(const struct sameness *same)
{
	return same && same->order;
}

bool sameness_replaces(const struct sameness *same, unsigned status)
{
	switch (same ? same->errors : SAMENESS_ERRORS_OFF) {
	case SAMENESS_ERRORS_OFF:
		break;
	case SAMENESS_ERRORS_5XX:
		return status >= 500;
	case SAMENESS_ERRORS_ALL:
		return status >= 400;
	}
	return false;
}

void sameness_strip_error(const struct sameness *same, struct http_fields *fields)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index)))
		field->dropped = name_set_find(same->kept, field->id, field->name) == 0;
}

/* ---- one tag ---- */

/* The tag, a mark, and zeros (ISO/IEC 7816-4). How many bytes. */
static size_t fill(struct span opaque, uint8_t out[TAG_FILLED])
{
	size_t len = (opaque.len / TAG_STEP + 1) * TAG_STEP;

	memset(out, 0, len);
	if (opaque.len)
		memcpy(out, opaque.at, opaque.len);
	out[opaque.len] = 0x80;
	return len;
}

/* W/"...": no NUL; the length. */
static size_t put_tag(bool weak, struct span opaque, uint8_t *out)
{
	size_t len = 0;

	if (weak) {
		out[len++] = 'W';
		out[len++] = '/';
	}
	out[len++] = '"';
	if (opaque.len)
		memcpy(out + len, opaque.at, opaque.len);
	len += opaque.len;
	out[len++] = '"';
	return len;
}

/* False: out of memory. */
static bool close_tag(const struct sameness *same, struct span group, const struct entity_tag *tag,
		      struct arena *arena, struct span *value)
{
	uint8_t filled[TAG_FILLED], sealed[TAG_SEALED], *out = arena_alloc(arena, TAG_TEXT + TAG_AROUND);
	char text[TAG_TEXT];
	size_t len = fill(tag->opaque, filled);

	if (!out || !siv_close(same->siv, group, span_make(filled, len), sealed))
		return false;
	base64url_encode(span_make(sealed, len + SIV_ADDS), text);
	*value = span_make(out, put_tag(tag->weak, span_make(text, base64url_length(len + SIV_ADDS)), out));
	return true;
}

/* Takes a tag that is ours apart, into *opaque, which lies in `plain`. False: it is not. */
static bool open_tag(const struct sameness *same, struct span group, const struct entity_tag *tag,
		     uint8_t plain[TAG_FILLED], struct span *opaque)
{
	uint8_t sealed[TAG_SEALED];
	size_t len = tag->opaque.len * 3 / 4;

	if (tag->opaque.len > TAG_TEXT || len <= SIV_ADDS || !base64url_decode(tag->opaque, sealed, len) ||
	    !siv_open(same->siv, group, span_make(sealed, len), plain))
		return false;
	len -= SIV_ADDS;
	while (len > 0 && plain[len - 1] == 0)
		len--;
	*opaque = span_make(plain, len > 0 ? len - 1 : 0);
	return len > 0 && plain[len - 1] == 0x80;
}

/* ---- responses ---- */

bool sameness_close_tags(const struct sameness *same, struct span group, struct http_fields *fields)
{
	struct http_field *field, *found = NULL;
	struct entity_tag tag = {0};
	bool one = true;
	uint32_t index = 0;

	if (!same || !same->siv)
		return true;
	while ((field = http_fields_next(fields, &index))) {
		if (field->id != HTTP_FIELD_OTHER || !span_equal_nocase(field->name, SPAN("ETag")))
			continue;
		one = !found;
		found = field;
	}
	if (!found)
		return true;
	if (one && entity_tag_parse(found->value, &tag) && tag.opaque.len <= SAMENESS_TAG_MOST)
		return close_tag(same, group, &tag, fields->arena, &found->value);
	http_fields_drop_name(fields, SPAN("ETag"));
	return true;
}

/* ---- conditions ---- */

/* What a condition has been found to be made of. */
struct condition {
	bool there; /* the field is there */
	bool holds; /* some member is left of it, that can match */
};

/* The members that are ours, opened, and "*". Empty: none is. False: out of memory. */
static bool open_list(const struct sameness *same, struct span group, struct arena *arena, struct span *value)
{
	/* What is opened is shorter than what it was sealed into; between members there are two bytes at most where there was one. */
	uint8_t plain[TAG_FILLED], *out = arena_alloc(arena, 2 * value->len + 1);
	enum entity_tag_member member;
	struct entity_tag tag;
	struct span rest = *value, opaque;
	size_t len = 0;

	if (!out)
		return false;
	while ((member = entity_tag_next(&rest, &tag)) != ENTITY_TAG_END) {
		bool ours = member == ENTITY_TAG_ONE && open_tag(same, group, &tag, plain, &opaque);
		if (!ours && member != ENTITY_TAG_ANY)
			continue;
		if (len) {
			out[len++] = ',';
			out[len++] = ' ';
		}
		if (ours)
			len += put_tag(tag.weak, opaque, out + len);
		else
			out[len++] = '*';
	}
	*value = span_make(out, len);
	return true;
}

/* All lines of a condition that is a list. False: out of memory. */
static bool open_lists(const struct sameness *same, struct span group, struct http_fields *fields,
		       struct span name, struct condition *condition)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		if (field->id != HTTP_FIELD_OTHER || !span_equal_nocase(field->name, name))
			continue;
		condition->there = true;
		if (!open_list(same, group, fields->arena, &field->value))
			return false;
		field->dropped = field->value.len == 0;
		condition->holds |= !field->dropped;
	}
	return true;
}

/*
 * RFC 9110 13.1.2: with no tag that could match, the request is done as if it had no condition. If-Modified-Since is none beside it (13.1.3), and must not
 * become one.
 */
static bool open_if_none_match(const struct sameness *same, struct span group, struct http_fields *fields)
{
	struct condition condition = {0};

	if (!open_lists(same, group, fields, SPAN("If-None-Match"), &condition))
		return false;
	if (condition.there && !condition.holds)
		http_fields_drop_name(fields, SPAN("If-Modified-Since"));
	return true;
}

/*
 * RFC 9110 13.1.1: what no tag of the client matches must not be done, which is for the server to say (412, or that it has done it before). A weak tag
 * never matches there, and this one is nobody's.
 */
static bool open_if_match(const struct sameness *same, struct span group, struct http_fields *fields)
{
	struct condition condition = {0};

	if (!open_lists(same, group, fields, SPAN("If-Match"), &condition))
		return false;
	return !condition.there || condition.holds ||
	       http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("If-Match"), SPAN("W/\"guise:no-such-tag\""));
}

/* RFC 9110 13.1.5: where the tag does not match, Range is ignored, and the whole comes. Without If-Range it would count. */
static bool open_if_range(const struct sameness *same, struct span group, struct http_fields *fields)
{
	struct http_field *field = http_fields_find_name(fields, SPAN("If-Range"));
	uint8_t plain[TAG_FILLED], *out;
	struct entity_tag tag;
	struct span opaque;

	/* A date, or nothing that means anything to us: a tag has a quote among its first three bytes (13.1.5). */
	if (!field || span_find(span_first(field->value, size_min(field->value.len, 3)), '"') < 0)
		return true;
	if (!entity_tag_parse(field->value, &tag) || !open_tag(same, group, &tag, plain, &opaque)) {
		http_fields_drop_name(fields, SPAN("If-Range"));
		http_fields_drop_name(fields, SPAN("Range"));
		return true;
	}
	out = arena_alloc(fields->arena, opaque.len + TAG_AROUND);
	if (!out)
		return false;
	field->value = span_make(out, put_tag(tag.weak, opaque, out));
	return true;
}

bool sameness_open_conditions(const struct sameness *same, struct span group, struct http_fields *fields)
{
	if (!same || !same->siv)
		return true;
	return open_if_none_match(same, group, fields) && open_if_match(same, group, fields) &&
	       open_if_range(same, group, fields);
}
