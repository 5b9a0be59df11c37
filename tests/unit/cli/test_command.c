/*
 * The command line as a user meets it: statuses, what is printed, and where. Each case runs in a child of its own.
 */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12 };

struct outcome {
	int status;
	char *out, *errors;
};

static char *read_all(FILE *file)
{
	char *text = NULL;
	size_t room = 0;

	rewind(file);
	if (getdelim(&text, &room, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

/* Words separated by blanks, after "guise". */
static struct outcome run(const char *line, const char *input)
{
	FILE *out = tmpfile(), *errors = tmpfile(), *in = tmpfile();
	struct outcome outcome;
	pid_t child;

	assert_true(out && errors && in);
	fputs(input, in);
	rewind(in);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char words[512], *argv[ARGUMENTS_MAX + 1] = {(char[]){"guise"}}, *at = words, *word;
		int argc = 1;
		snprintf(words, sizeof(words), "%s", line);
		while ((word = strsep(&at, " ")) && argc < ARGUMENTS_MAX)
			if (*word)
				argv[argc++] = word;
		if (dup2(fileno(in), 0) < 0 || dup2(fileno(out), 1) < 0 || dup2(fileno(errors), 2) < 0)
			_exit(99);
		alarm(20);
		int status = command_dispatch(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &outcome.status, 0), child);
	assert_true(WIFEXITED(outcome.status));
	outcome.status = WEXITSTATUS(outcome.status);
	outcome.out = read_all(out);
	outcome.errors = read_all(errors);
	fclose(in);
	return outcome;
}

static void outcome_free(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->errors);
}

static void test_usage_errors(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"", "usage: guise COMMAND"},
		{"chekc", "guise: unknown command \"chekc\", did you mean \"check\"?\n"},
		{"frobnicate",
		 "guise: unknown command \"frobnicate\"; \"guise help\" lists those that there are\n"},
		{"--frobnicate", "guise: a command comes first, not \"--frobnicate\""},
		{"-c x run", "guise: a command comes first, not \"-c\""},
		{"help chekc", "did you mean \"check\"?"},
		{"help a b", "unexpected argument \"b\""},
		{"help --frobnicate", "unknown option \"--frobnicate\""},
		{"run --confg x", "guise run: unknown option \"--confg\", did you mean \"--config\"?\n"},
		{"run -x", "unknown option \"-x\""},
		{"run -c", "\"-c\" needs an argument"},
		{"run --config", "\"--config\" needs an argument"},
		{"run -c a.yaml b.yaml", "unexpected argument \"b.yaml\""},
		{"check --quiet=yes -c x", "\"--quiet=yes\""},
		{"version x", "unexpected argument \"x\""},
		{"schema --format xml", "--format takes json or markdown, not \"xml\""},
		{"forward", "--listen ADDRESS is missing"},
		{"forward --listen nonsense",
		 "--listen: expected ADDRESS:PORT, :PORT or unix:/path: \"nonsense\""},
		{"forward --listen 127.0.0.1:0 --mask elit", "did you mean \"elite\"?"},
		{"forward --listen 127.0.0.1:0 --allow 10.0.0.1/8", "--allow takes an address or a network"},
		{"forward --listen 127.0.0.1:0 --log xml", "--log takes off, json or combined, not \"xml\""},
		{"reverse --listen 127.0.0.1:0", "--to ADDRESS is missing"},
		{"reverse --to 127.0.0.1:1", "--listen ADDRESS is missing"},
		{"reverse --listen 127.0.0.1:0 --to 127.0.0.1", "--to: a port is missing, as in 127.0.0.1:8080"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct outcome outcome = run(rows[i].line, "");
		if (outcome.status != EXIT_USAGE || *outcome.out || !strstr(outcome.errors, rows[i].says))
			fail_msg("guise %s: status %d, \"%s\", \"%s\"", rows[i].line, outcome.status,
				 outcome.out, outcome.errors);
		outcome_free(&outcome);
	}
}

static void test_help(void **state)
{
	for (size_t i = 0; commands[i]; i++) {
		char line[64], usage[64];
		struct outcome outcome, other;
		snprintf(line, sizeof(line), "%s --help", commands[i]->name);
		snprintf(usage, sizeof(usage), "usage: guise %s", commands[i]->name);
		outcome = run(line, "");
		assert_int_equal(outcome.status, EXIT_GOOD);
		assert_true(strncmp(outcome.out, usage, strlen(usage)) == 0);
		assert_non_null(strstr(outcome.out, commands[i]->example));
		assert_string_equal(outcome.errors, "");
		for (const struct command_option *option = commands[i]->options; option->name; option++)
			assert_non_null(strstr(outcome.out, option->help));
		snprintf(line, sizeof(line), "help %s", commands[i]->name);
		other = run(line, "");
		assert_string_equal(outcome.out, other.out);
		outcome_free(&outcome);
		outcome_free(&other);
		other = run("help", "");
		assert_non_null(strstr(other.out, commands[i]->summary));
		outcome_free(&other);
	}
}

static void test_version(void **state)
{
	static const char *const lines[] = {"version", "--version"};

	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		struct outcome outcome = run(lines[i], "");
		assert_int_equal(outcome.status, EXIT_GOOD);
		assert_string_equal(outcome.out, "guise " GUISE_VERSION "\n");
		outcome_free(&outcome);
	}
}

static void test_check(void **state)
{
	static const char good[] = "forward: [{listen: 127.0.0.1:0}]\nupstreams: {web: ['127.0.0.1:1']}\n";
	struct outcome outcome = run("check -c -", good);

	assert_int_equal(outcome.status, EXIT_GOOD);
	assert_string_equal(
		outcome.out,
		"standard input: configuration is good\n"
		"deliberate deviations in force (docs/deviations.md):\n"
		"  RFC 9110 7.6.3: an elite forward proxy sends no Via; \"mask: anonymous\" restores the rule\n");
	assert_string_equal(outcome.errors,
			    "standard input:2:13: warning: no route goes to the upstream \"web\"\n");
	outcome_free(&outcome);

	outcome = run("check --quiet --config=-", good);
	assert_int_equal(outcome.status, EXIT_GOOD);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.errors, "");
	outcome_free(&outcome);

	outcome = run("check -qc -", "forwrd: []\n");
	assert_int_equal(outcome.status, EXIT_FAILED);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.errors,
			    "standard input:1:1: unknown key \"forwrd\", did you mean \"forward\"?\n");
	outcome_free(&outcome);

	outcome = run("check -c /nonexistent/guise.yaml", "");
	assert_int_equal(outcome.status, EXIT_FAILED);
	assert_string_equal(
		outcome.errors,
		"/nonexistent/guise.yaml: cannot read the configuration: No such file or directory\n");
	outcome_free(&outcome);
}

static void test_open_proxy(void **state)
{
	struct outcome outcome = run("forward --listen 0.0.0.0:0", "");

	assert_int_equal(outcome.status, EXIT_FAILED);
	assert_string_equal(outcome.errors,
			    "guise: on 0.0.0.0:0 this would be an open proxy, for anybody who can reach it: "
			    "--open says that this is wanted\n");
	outcome_free(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage_errors), cmocka_unit_test(test_help),
		cmocka_unit_test(test_version),      cmocka_unit_test(test_check),
		cmocka_unit_test(test_open_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
