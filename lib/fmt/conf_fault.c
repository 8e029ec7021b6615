/*
 * Faults in a configuration: collected with their place, told all at once. An operator who repairs
 * a file wants the whole list, in the order of the file, each line in the form that editors jump
 * to.
 */
#include "fmt/conf_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/utf8.h"

#define FAULT_TEXT_MAX 2000
#define PATH_MAX_TEXT  512

struct fault {
	const char *file; /* one of fault_list.files */
	unsigned line, column;
	size_t seq;
	char *text; /* the whole line */
};

/* Behind a pointer, so that sorting may wait for the first look. */
struct fault_list {
	struct fault *v;
	size_t n, cap;
	bool sorted;
	bool lost;	  /* one could not be kept */
	struct err local; /* another trouble of the machine, the first; ERR_NONE: none */
	char **files;	  /* names of their own: faults outlive the nodes */
	size_t n_files;
};

struct conf_faults {
	struct fault_list *l;
};

struct conf_faults *
conf_faults_new(void)
{
	struct conf_faults *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->l = calloc(1, sizeof(*f->l));
	if (!f->l) {
		free(f);
		return NULL;
	}
	return f;
}

void
conf_faults_free(struct conf_faults *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->l->n; i++)
		free(f->l->v[i].text);
	free(f->l->v);
	for (size_t i = 0; i < f->l->n_files; i++)
		free(f->l->files[i]);
	free(f->l->files);
	free(f->l);
	free(f);
}

size_t
conf_faults_count(const struct conf_faults *f)
{
	return f ? f->l->n + (f->l->lost || f->l->local.kind != ERR_NONE) : 1;
}

static int
compare_faults(const void *a, const void *b)
{
	const struct fault *x = a, *y = b;
	int c = strcmp(x->file, y->file);

	if (c)
		return c;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

const char *
conf_faults_get(const struct conf_faults *f, size_t i)
{
	if (!f || (i >= f->l->n && f->l->lost))
		return "out of memory while reading the configuration";
	if (i >= f->l->n)
		return f->l->local.msg;
	if (!f->l->sorted)
		qsort(f->l->v, f->l->n, sizeof(*f->l->v), compare_faults);
	f->l->sorted = true;
	return f->l->v[i].text;
}

/* The list's own copy of a file's name, NULL without memory. */
static const char *
intern(struct fault_list *l, const char *file)
{
	char **v;

	for (size_t i = l->n_files; i > 0; i--)
		if (!strcmp(l->files[i - 1], file))
			return l->files[i - 1];
	v = reallocarray(l->files, l->n_files + 1, sizeof(*v));
	if (!v)
		return NULL;
	l->files = v;
	v[l->n_files] = strdup(file);
	return v[l->n_files] ? v[l->n_files++] : NULL;
}

void
conf_faults_file(struct conf_faults *f, const char *file)
{
	if (f && !f->l->n_files)
		(void)intern(f->l, file);
}

void
conf_nomem(struct conf_faults *f)
{
	if (f)
		f->l->lost = true;
}

int
conf_faults_local(const struct conf_faults *f, const char *path, struct err *err)
{
	if (!f || f->l->lost)
		return err_set(err, ERR_LOCAL, "%s: out of memory while reading it", path);
	if (f->l->local.kind == ERR_NONE)
		return 0;
	if (err)
		*err = f->l->local;
	return -1;
}

/* A fault is one line that says what it says, whatever the file holds: control characters (C0, DEL,
 * C1) come out as \xNN, what cannot be seen or turns text around as \uNNNN.
 */
static void
add_escaped(struct buf *out, const char *text)
{
	struct sv s = sv_of(text);
	uint32_t cp;
	size_t n;

	for (; s.n; s.p += n, s.n -= n) {
		n = utf8_next(s, &cp);
		if (cp == UTF8_BAD)
			buf_str(out, UTF8_REPLACE);
		else if (utf8_deceives(cp))
			buf_fmt(out, cp < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)cp);
		else
			buf_add(out, s.p, n);
	}
}

static void
add_path(struct buf *out, const struct conf_node *n)
{
	if (!n)
		return;
	add_path(out, n->parent);
	if (n->key) {
		if (out->n)
			buf_ch(out, '.');
		add_escaped(out, *n->key ? n->key : "''");
	} else if (n->parent && !n->key_line) {
		buf_fmt(out, "[%zu]", n->index);
	}
}

static bool
grow(struct fault_list *l)
{
	struct fault *v = array_grow(l->v, l->n, &l->cap, sizeof(*v), NULL);

	if (!v)
		return false;
	l->v = v;
	return true;
}

/* Takes the text out of `line`. */
static void
keep(struct fault_list *l, const char *file, unsigned row, unsigned column, struct buf *line)
{
	struct fault one = {.line = row, .column = column, .seq = l->n};

	one.file = intern(l, file);
	if (!one.file || !grow(l)) {
		l->lost = true;
		return;
	}
	one.text = buf_steal(line);
	if (!one.text) {
		l->lost = true;
		return;
	}
	l->v[l->n++] = one;
	l->sorted = false;
}

/* file:line:column: path: text */
__attribute__((format(printf, 6, 0))) static void
add_fault(struct conf_faults *f, const char *file, unsigned row, unsigned column,
	  const struct buf *path, const char *fmt, va_list ap)
{
	struct buf line = BUF_INIT(64 << 10);
	char text[FAULT_TEXT_MAX];

	if (!f)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	add_escaped(&line, file);
	if (row)
		buf_fmt(&line, ":%u:%u", row, column);
	buf_str(&line, ": ");
	if (path && path->n) {
		buf_fmt(&line, "%.*s%s: ", PATH_MAX_TEXT, buf_cstr(path),
			path->n > PATH_MAX_TEXT ? "..." : "");
	}
	add_escaped(&line, text);
	if (buf_ok(&line))
		keep(f->l, file, row, column, &line);
	else
		f->l->lost = true;
	buf_done(&line);
}

void
conf_fault_at(struct conf_faults *f, const char *file, unsigned line, unsigned column,
	      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_fault(f, file, line, column, NULL, fmt, ap);
	va_end(ap);
}

void
conf_fault(struct conf_faults *f, const struct conf_node *node, const char *fmt, ...)
{
	const char *file = f && f->l->n_files ? f->l->files[0] : "configuration";
	struct buf path = BUF_INIT(64 << 10);
	va_list ap;

	add_path(&path, node);
	va_start(ap, fmt);
	add_fault(f, node ? node->file : file, node ? node->line : 1, node ? node->column : 1,
		  &path, fmt, ap);
	va_end(ap);
	buf_done(&path);
}

void
conf_fault_key(struct conf_faults *f, const struct conf_node *node, const char *fmt, ...)
{
	bool has_key = node->key_line != 0;
	struct buf path = BUF_INIT(64 << 10);
	va_list ap;

	add_path(&path, node);
	va_start(ap, fmt);
	add_fault(f, node->file, has_key ? node->key_line : node->line,
		  has_key ? node->key_column : node->column, &path, fmt, ap);
	va_end(ap);
	buf_done(&path);
}

void
conf_fault_missing(struct conf_faults *f, const struct conf_node *node, const char *key,
		   const char *fmt, ...)
{
	struct buf path = BUF_INIT(64 << 10);
	va_list ap;

	add_path(&path, node);
	if (path.n)
		buf_ch(&path, '.');
	buf_str(&path, key);
	va_start(ap, fmt);
	add_fault(f, node->file, node->line, node->column, &path, fmt, ap);
	va_end(ap);
	buf_done(&path);
}

void
conf_unreadable(struct conf_faults *f, const struct conf_node *node, const char *path, int errnum)
{
	if (errnum == ENOMEM)
		conf_nomem(f);
	else if (f && errnum_is_trouble(errnum)) {
		if (f->l->local.kind == ERR_NONE)
			(void)err_sys(&f->l->local, errnum, "%s: cannot be read", path);
	} else if (node)
		conf_fault(f, node, "cannot be read: %s", strerrordesc_np(errnum));
	else
		conf_fault_at(f, path, 1, 1, "cannot be read: %s", strerrordesc_np(errnum));
}

/* Readers of values have no other trouble of this machine than that. */
void
conf_fault_err(struct conf_faults *f, const struct conf_node *node, const struct err *err)
{
	if (err->kind == ERR_LOCAL)
		conf_nomem(f);
	else
		conf_fault(f, node, "%s", err->msg);
}
