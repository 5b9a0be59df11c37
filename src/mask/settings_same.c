/*
 * The rows of what makes servers indistinguishable. Immutable.
 */
#include "mask/settings.h"

const struct setting sameness_rows[] = {
	{.key = NULL},
};
