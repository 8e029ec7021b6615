/*
 * Writing the status page; see status_page.h.
 *
 * On disk it is a file for others to read (a web server, a colleague), unlike all else that muster
 * writes; in S3 it is one object, put without a condition.
 */
#include "run/status_page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/uri.h"
#include "run/status_runs.h"

#define PAGE_MAX ((size_t)256 << 20)

int
status_page_text(const struct status *st, struct store *state, struct buf *out, struct err *err)
{
	struct status_runs runs;

	status_runs_read(state, st->now_ms, &runs);
	return status_html(st, &runs, out, err);
}

int
status_page_save(const char *path, struct sv text, struct err *err)
{
	mode_t mask;

	if (fsx_output(path, "the page", text, NULL, err))
		return err_wrap(err, "status page");
	if (strcmp(path, "-") == 0)
		return 0;
	mask = umask(077);
	(void)umask(mask);
	if (chmod(path, 0666 & ~mask))
		return err_sys(err, errno, "status page: chmod %s", path);
	return 0;
}

static int
save_file(struct sv rest, struct sv text, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(4096);

	if (!uri_decode(&path, rest, false) || !buf_ok(&path) ||
	    memchr(buf_cstr(&path), '\0', path.n))
		return err_set(err, ERR_USAGE, "the path is too long or wrongly encoded");
	return status_page_save(buf_cstr(&path), text, err);
}

/* s3://bucket/some/folder + page.html */
static int
save_s3(const struct session *s, const char *url, struct sv text, struct err *err)
{
	const struct store_put put = {.cond = STORE_ANY,
				      .content_type = "text/html; charset=utf-8"};
	const struct store_env env = {
	    .transport = s->top,
	    .creds = s->base,
	    .region = s->config->region,
	    .unconditional = true,
	};
	CLEANUP(buf_done) struct buf folder = BUF_INIT(4096);
	const char *slash = strrchr(url, '/');
	struct store *store = NULL;
	int r;

	buf_sv(&folder, (struct sv){url, (size_t)(slash - url)});
	if (buf_check(&folder, "URL", err) || store_open(buf_cstr(&folder), &env, &store, err))
		return -1;
	r = store_put(store, slash + 1, text, &put, NULL, err);
	store_free(store);
	return r;
}

static int
write_page(const struct session *s, const char *url, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(PAGE_MAX);
	int64_t wall = session_shared_now(s);
	struct status *st = NULL;
	int r;

	if (status_gather(s->config, s->state, NULL, run_now_ms(&s->env), wall, &st, err))
		return -1;
	r = status_page_text(st, s->state, &text, err);
	status_free(st);
	if (r)
		return -1;
	if (sv_starts(sv_of(url), SV("file://")))
		return save_file(sv_of(url + strlen("file://")), buf_view(&text), err);
	return save_s3(s, url, buf_view(&text), err);
}

void
status_page_after_run(const struct session *s)
{
	const char *url = s->config->run.status_page;
	struct err err = {0};

	if (!url || s->options->dry_run || s->options->shard || clock_cancelled(s->clock))
		return;
	if (write_page(s, url, &err))
		log_event(LOG_WARN, "status page not written", LOG_S("status_page", url),
			  LOG_E(&err));
}
