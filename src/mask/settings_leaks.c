/*
 * The rows of the leak guard. Immutable.
 */
#include "mask/settings.h"

const struct setting leak_rows[] = {
	{.key = NULL},
};
