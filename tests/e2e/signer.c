/*
 * Signs what it is told to, for a judge to compare (test_oracles.py): a request a line, its fields
 * in hex with blanks between them (an empty one is "-"): rules (s3 or other), method, path, query,
 * region, service, date, payload hash, secret, and for each header its name and value. The answer
 * is a line, too: the canonical request in hex, and the signature.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "fmt/codec.h"

#define FIELDS_MAX 64
#define FIXED	   9
#define TEXT_MAX   ((size_t)1 << 20)

enum { RULES, METHOD, PATH, QUERY, REGION, SERVICE, DATE, PAYLOAD, SECRET };

static int
answer(struct buf *f, size_t n)
{
	CLEANUP(buf_done) struct buf canonical = BUF_INIT(TEXT_MAX), names = BUF_INIT(TEXT_MAX);
	CLEANUP(buf_done) struct buf to_sign = BUF_INIT(TEXT_MAX);
	struct http_header headers[FIELDS_MAX / 2];
	struct sigv4_input in = {
	    .method = buf_view(&f[METHOD]),
	    .path = buf_view(&f[PATH]),
	    .query = buf_view(&f[QUERY]),
	    .headers = headers,
	    .n_headers = (n - FIXED) / 2,
	    .payload_hash = buf_cstr(&f[PAYLOAD]),
	    .region = buf_cstr(&f[REGION]),
	    .service = buf_cstr(&f[SERVICE]),
	    .amz_date = buf_cstr(&f[DATE]),
	    .s3_rules = !strcmp(buf_cstr(&f[RULES]), "s3"),
	};
	struct secret secret = {0};
	char hex[SHA256_HEX_LEN + 1];
	struct err err = {0};

	for (size_t i = 0; i < in.n_headers; i++)
		headers[i] = (struct http_header){buf_cstr(&f[FIXED + 2 * i]),
						  buf_cstr(&f[FIXED + 2 * i + 1])};
	if (sigv4_canonical(&in, &canonical, &names, &err) ||
	    secret_set(&secret, buf_view(&f[SECRET]), &err)) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	sigv4_string_to_sign(&in, buf_view(&canonical), &to_sign);
	sigv4_signature(&in, &secret, buf_view(&to_sign), hex);
	secret_done(&secret);
	for (size_t i = 0; i < canonical.n; i++)
		(void)printf("%02x", (unsigned char)canonical.p[i]);
	return printf(" %s\n", hex) < 0 ? -1 : 0;
}

static int
one(char *line)
{
	struct buf fields[FIELDS_MAX];
	char *save = NULL;
	size_t n = 0;
	int r = -1;

	for (char *word = strtok_r(line, " \n", &save); word && n < FIELDS_MAX;
	     word = strtok_r(NULL, " \n", &save), n++) {
		fields[n] = BUF_INIT(TEXT_MAX);
		if (strcmp(word, "-") != 0 && !hex_decode(&fields[n], sv_of(word)))
			(void)fprintf(stderr, "not hex: %s\n", word);
	}
	if (n >= FIXED && (n - FIXED) % 2 == 0)
		r = answer(fields, n);
	for (size_t i = 0; i < n; i++)
		buf_done(&fields[i]);
	return r;
}

int
main(void)
{
	CLEANUP(freep) char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0)
		if (one(line))
			return 1;
	return 0;
}
