/*
 * Basic credentials. See basic.h.
 */
#include "account/basic.h"

#include "core/base64.h"

/* RFC 9110 11.4: scheme SP token68, the scheme in any case. */
static bool cut_scheme(struct span value, struct span *token)
{
	static const struct span scheme = {(const uint8_t *)"Basic", 5};

	if (value.len < scheme.len || !span_equal_nocase(span_first(value, scheme.len), scheme) ||
	    (value.len > scheme.len && value.at[scheme.len] != ' '))
		return false;
	*token = span_from(value, scheme.len);
	while (token->len && token->at[0] == ' ')
		*token = span_from(*token, 1);
	return true;
}

enum basic_read basic_read(struct span value, struct basic *basic)
{
	struct span token;
	size_t len = 0;

	if (!cut_scheme(value, &token))
		return BASIC_OTHER;
	if (!base64_decode(token, basic->bytes, sizeof(basic->bytes), &len))
		return BASIC_BAD;
	/* RFC 7617 2: neither has control characters, and the name no colon. */
	for (size_t i = 0; i < len; i++)
		if (basic->bytes[i] < 0x20 || basic->bytes[i] == 0x7f)
			return BASIC_BAD;
	if (!span_cut(span_make(basic->bytes, len), ':', &basic->name, &basic->password) ||
	    basic->name.len > USER_NAME_MOST || basic->password.len > USER_PASSWORD_MOST)
		return BASIC_BAD;
	return BASIC_GOOD;
}

void basic_wipe(struct basic *basic)
{
	explicit_bzero(basic, sizeof(*basic));
}
