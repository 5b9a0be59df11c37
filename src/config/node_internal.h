/*
 * Between the files that read YAML: saying what is wrong with its syntax.
 */
#ifndef GUISE_CONFIG_NODE_INTERNAL_H
#define GUISE_CONFIG_NODE_INTERNAL_H

#include "config/node.h"

#include <yaml.h>

/* After yaml_parser_parse failed: one mistake, with its place and in words that help. */
void node_syntax_error(const yaml_parser_t *parser, struct span input, struct arena *arena,
		       struct diagnostics *diagnostics);

#endif
