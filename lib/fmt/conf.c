/*
 * The configuration's way in: the file's bytes, checked to be UTF-8 before anything looks at them.
 * There may be passwords in it: its text is wiped.
 */
#include "fmt/conf_node.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/utf8.h"

static void
closep(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* 0, or an errno. Symbolic links are followed: that is how mounted configurations arrive. */
static int
read_all(const char *path, struct buf *out)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return errno;
	do {
		if (!secret_reserve(out, 64 << 10) && !secret_reserve(out, 1))
			return out->n >= CONF_FILE_MAX ? EFBIG : ENOMEM;
		n = read(fd, out->p + out->n, out->cap - out->n - 1);
		if (n > 0)
			out->n += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return errno;
	if (out->p)
		out->p[out->n] = '\0';
	return out->n > CONF_FILE_MAX ? EFBIG : 0;
}

void
conf_place(struct sv text, size_t offset, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset && i < text.n; i++) {
		if (text.p[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

/* libyaml would read UTF-16 too, and names only the first bad byte's offset: look before it does.
 */
bool
conf_utf8_ok(const char *file, struct sv text, struct conf_faults *f)
{
	unsigned line, column;
	struct sv rest = text;
	uint32_t cp;

	while (rest.n) {
		size_t n = utf8_next(rest, &cp);

		if (cp == UTF8_BAD) {
			conf_place(text, text.n - rest.n, &line, &column);
			conf_fault_at(f, file, line, column, "not valid UTF-8 (byte 0x%02x)",
				      (unsigned char)*rest.p);
			return false;
		}
		rest.p += n;
		rest.n -= n;
	}
	return true;
}

const struct conf_node *
conf_load(const char *path, struct arena *a, const struct conf_apart *apart, struct conf_faults *f)
{
	CLEANUP(secret_wipe_buf) struct buf text = BUF_INIT(CONF_FILE_MAX + (128 << 10));
	int errnum = read_all(path, &text);

	if (errnum == 0)
		return conf_parse_apart(path, buf_view(&text), a, apart, f);
	conf_faults_file(f, path);
	if (errnum == EFBIG)
		conf_fault_at(f, path, 1, 1, "larger than %zu MiB", CONF_FILE_MAX >> 20);
	else
		conf_unreadable(f, NULL, path, errnum);
	return NULL;
}
