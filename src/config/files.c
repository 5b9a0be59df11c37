/*
 * Reading whole files with a bound. See files.h.
 */
#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char *const no_memory = "out of memory";

/* Why a system call failed, in the arena. */
static const char *failure(struct arena *arena, int error)
{
	const char *text = strerrordesc_np(error);
	struct span copy = arena_format(arena, "%s", text ? text : "unknown error");

	return copy.at ? (const char *)copy.at : no_memory;
}

/* Reads to the end; the buffer grows by doubling, so that pipes work too. */
static const char *read_all(struct arena *arena, int file, size_t expected, struct span *content)
{
	size_t room = expected + 1, used = 0;
	uint8_t *buffer = arena_alloc(arena, room + 1);

	if (!buffer)
		return no_memory;
	for (;;) {
		ssize_t got = read(file, buffer + used, room - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failure(arena, errno);
		used += (size_t)got;
		if (used > FILES_MAX_SIZE)
			return "it is larger than 16 MiB";
		if (got == 0)
			break;
		if (used == room) {
			uint8_t *larger = arena_alloc(arena, 2 * room + 1);
			if (!larger)
				return no_memory;
			memcpy(larger, buffer, used);
			explicit_bzero(buffer, used); /* it may be a private key */
			buffer = larger;
			room *= 2;
		}
	}
	buffer[used] = '\0';
	*content = span_make(buffer, used);
	return NULL;
}

const char *files_path(struct arena *arena, const char *base, const char *path)
{
	if (!base || !*base || path[0] == '/')
		return path;
	return (const char *)arena_format(arena, "%s/%s", base, path).at;
}

const char *files_read(struct arena *arena, const char *base, const char *path, struct span *content)
{
	struct stat status;
	const char *why;
	int file;

	if (!base && strcmp(path, "-") == 0)
		return read_all(arena, STDIN_FILENO, 8191, content);
	path = files_path(arena, base, path);
	if (!path)
		return no_memory;
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0)
		return failure(arena, errno);
	if (fstat(file, &status) < 0)
		why = failure(arena, errno);
	else if (S_ISDIR(status.st_mode))
		why = failure(arena, EISDIR);
	else if (S_ISREG(status.st_mode) && status.st_size > FILES_MAX_SIZE)
		why = "it is larger than 16 MiB";
	else if (fcntl(file, F_SETFL, 0) < 0) /* a pipe is waited for */
		why = failure(arena, errno);
	else
		why = read_all(arena, file, S_ISREG(status.st_mode) ? (size_t)status.st_size : 8191, content);
	close(file);
	return why;
}

const char *files_read_named(struct arena *arena, const char *base, const char *path, struct span *content)
{
	return base ? files_read(arena, base, path, content) : "files are not read here";
}

const char *files_directory(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	struct span copy;

	if (!slash)
		return "";
	copy = arena_format(arena, "%.*s", len ? (int)len : 1, path);
	return (const char *)copy.at;
}

/* Where the path becomes too long for the buffer, the file cannot be read either. */
uint64_t files_signature(const char *base, const char *path, uint64_t *node)
{
	bool joined = base && *base && path[0] != '/';
	struct stat status;
	char whole[4096];
	int len = snprintf(whole, sizeof(whole), "%s%s%s", joined ? base : "", joined ? "/" : "", path);

	*node = 0;
	if (len < 0 || (size_t)len >= sizeof(whole) || stat(whole, &status) != 0)
		return 0;
	const uint64_t which[] = {(uint64_t)status.st_dev, (uint64_t)status.st_ino};
	const uint64_t parts[] = {
		which[0],
		which[1],
		(uint64_t)status.st_size,
		(uint64_t)status.st_mtim.tv_sec,
		(uint64_t)status.st_mtim.tv_nsec,
		(uint64_t)status.st_ctim.tv_sec,
		(uint64_t)status.st_ctim.tv_nsec,
	};
	*node = XXH3_64bits(which, sizeof(which));
	return XXH3_64bits(parts, sizeof(parts)) | 1;
}
