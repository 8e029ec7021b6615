/*
 * Configuration by tables: every type, every fault with its exact line, and documents that mean
 * harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fmt/conf.h"

#define ARENA_BYTES ((size_t)256 << 20)

static const char *const colours[] = {"red", "green", "blue", NULL};

struct wheel {
	const char *name;
	int64_t spokes;
};
static const struct conf_key wheel_keys[] = {
    {.name = "spokes",
     .type = CONF_INT,
     .offset = offsetof(struct wheel, spokes),
     .deflt = "32",
     .min = 1,
     .max = 100,
     .help = "How many spokes."},
    CONF_END,
};

struct part {
	const char *id;
	bool spare;
};
static const struct conf_key part_keys[] = {
    {.name = "id",
     .type = CONF_STRING,
     .offset = offsetof(struct part, id),
     .flags = CONF_REQUIRED},
    {.name = "spare", .type = CONF_BOOL, .offset = offsetof(struct part, spare)},
    CONF_END,
};

struct bike {
	const char *owner, *search, *keep;
	bool bell;
	int64_t gears, service_ms, off_ms;
	uint64_t load, daily;
	double price;
	struct conf_strings tags;
	struct conf_stringss sets;
	struct conf_map labels;
	int colour;
	struct wheel front;
	struct conf_array parts, wheels;
	const struct conf_node *extra, *service_node;
};
#define ROW(n, t) .name = #n, .type = (t), .offset = offsetof(struct bike, n)
static const struct conf_key bike_keys[] = {
    {ROW(owner, CONF_STRING), .flags = CONF_REQUIRED, .help = "Whose it is."},
    {ROW(search, CONF_STRING), .flags = CONF_RAW},
    {ROW(keep, CONF_STRING), .flags = CONF_REGEX},
    {ROW(bell, CONF_BOOL), .deflt = "true"},
    {ROW(gears, CONF_INT), .min = 1, .max = INT64_MAX, .deflt = "3"},
    {.name = "service",
     .type = CONF_DURATION,
     .offset = offsetof(struct bike, service_ms),
     .min = 1000,
     .max = 86400000,
     .deflt = "1h30m",
     .node_offset = offsetof(struct bike, service_node)},
    {.name = "off",
     .type = CONF_DURATION,
     .offset = offsetof(struct bike, off_ms),
     .flags = CONF_OFF},
    {ROW(load, CONF_BYTES), .deflt = "100MB"},
    {ROW(daily, CONF_BYTES), .flags = CONF_PER_DAY},
    {ROW(price, CONF_NUMBER)},
    {ROW(tags, CONF_STRINGS)},
    {ROW(sets, CONF_STRINGSS)},
    {ROW(labels, CONF_MAP)},
    {ROW(colour, CONF_ENUM), .words = colours, .deflt = "green"},
    {ROW(front, CONF_TABLE), .table = wheel_keys},
    {ROW(parts, CONF_TABLES), .table = part_keys, .elem_size = sizeof(struct part)},
    {ROW(wheels, CONF_NAMED), .table = wheel_keys, .elem_size = sizeof(struct wheel),
     .name_offset = offsetof(struct wheel, name)},
    {ROW(extra, CONF_NODE)},
    CONF_END,
};

struct fixture {
	struct arena a;
	struct conf_faults *f;
	struct bike b;
	const struct conf_node *root;
};

static void
read_sv(struct fixture *x, struct sv text)
{
	const struct conf_key *const tables[] = {bike_keys, NULL};
	void *const outs[] = {&x->b};

	memset(x, 0, sizeof(*x));
	x->a = ARENA_INIT(ARENA_BYTES);
	x->f = conf_faults_new();
	assert_non_null(x->f);
	x->root = conf_parse("t", text, &x->a, x->f);
	if (x->root)
		conf_read(x->root, tables, outs, &x->a, x->f);
}

static void
done(struct fixture *x)
{
	conf_faults_free(x->f);
	arena_done(&x->a);
}

/* All fault lines, each with its newline. */
static void
join_faults(const struct conf_faults *f, struct buf *out)
{
	for (size_t i = 0; i < conf_faults_count(f); i++)
		buf_fmt(out, "%s\n", conf_faults_get(f, i));
}

static void
expect_faults(struct sv text, const char *want)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(1 << 20);
	struct fixture x;

	read_sv(&x, text);
	join_faults(x.f, &got);
	assert_string_equal(buf_cstr(&got), want);
	done(&x);
}

static void
read_good(struct fixture *x, const char *text)
{
	read_sv(x, sv_of(text));
	if (conf_faults_count(x->f))
		fail_msg("%s", conf_faults_get(x->f, 0));
	assert_non_null(x->root);
}

static void
test_every_type(void **state)
{
	struct fixture x;
	const struct part *parts;
	const struct wheel *wheels;

	(void)state;
	read_good(&x,
		  "owner: Ada\nsearch: 'a $x ${y}'\nkeep: '^a.*(b|c)$'\nbell: No\ngears: 21\n"
		  "service: 5m\noff: none\nload: 2KiB\ndaily: 50GB/d\nprice: 1e-2\n"
		  "tags: [a, 012]\nsets: [[A, B], [], [C]]\nlabels: {b: x, a: 7}\ncolour: blue\n"
		  "front: {spokes: 16}\nparts:\n  - {id: p1, spare: on}\n  - id: p2\n"
		  "wheels:\n  back: {spokes: 20}\n  third:\nextra: {any: [thing]}\n");
	assert_string_equal(x.b.owner, "Ada");
	assert_string_equal(x.b.search, "a $x ${y}");
	assert_string_equal(x.b.keep, "^a.*(b|c)$");
	assert_false(x.b.bell);
	assert_int_equal(x.b.gears, 21);
	assert_int_equal(x.b.service_ms, 300000);
	assert_non_null(x.b.service_node);
	assert_int_equal(x.b.off_ms, 0);
	assert_int_equal(x.b.load, 2048);
	assert_int_equal(x.b.daily, 50000000000);
	assert_true(x.b.price > 0.0099 && x.b.price < 0.0101);
	assert_int_equal(x.b.tags.n, 2);
	assert_string_equal(x.b.tags.v[1], "012");
	assert_int_equal(x.b.sets.n, 3);
	assert_int_equal(x.b.sets.v[0].n, 2);
	assert_int_equal(x.b.sets.v[1].n, 0);
	assert_string_equal(x.b.sets.v[2].v[0], "C");
	assert_int_equal(x.b.labels.n, 2);
	assert_string_equal(x.b.labels.v[0].key, "b");
	assert_string_equal(x.b.labels.v[1].value, "7");
	assert_int_equal(x.b.colour, 2);
	assert_int_equal(x.b.front.spokes, 16);
	assert_int_equal(x.b.parts.n, 2);
	parts = x.b.parts.v;
	assert_true(parts[0].spare);
	assert_string_equal(parts[1].id, "p2");
	assert_int_equal(x.b.wheels.n, 2);
	wheels = x.b.wheels.v;
	assert_string_equal(wheels[0].name, "back");
	assert_int_equal(wheels[0].spokes, 20);
	assert_int_equal(wheels[1].spokes, 32);
	assert_non_null(conf_child(x.b.extra, "any"));
	done(&x);
}

static void
test_defaults(void **state)
{
	const struct conf_key *const tables[] = {bike_keys, NULL};
	struct fixture x;
	void *const outs[] = {&x.b};

	(void)state;
	read_good(&x, "owner: Ada\nfront:\nbell: ~\ngears: null\n");
	assert_true(x.b.bell);
	assert_int_equal(x.b.gears, 3);
	assert_int_equal(x.b.service_ms, 5400000);
	assert_null(x.b.service_node);
	assert_int_equal(x.b.load, 100000000);
	assert_int_equal(x.b.colour, 1);
	assert_int_equal(x.b.front.spokes, 32);
	assert_null(x.b.search);
	assert_int_equal(x.b.tags.n, 0);
	memset(&x.b, 0, sizeof(x.b));
	conf_read(NULL, tables, outs, &x.a, x.f);
	assert_int_equal(conf_faults_count(x.f), 0);
	assert_int_equal(x.b.gears, 3);
	done(&x);
}

static void
test_scalars_keep_their_text(void **state)
{
	static const struct {
		const char *yaml, *owner;
	} cases[] = {
	    {"owner: 111122223333\n", "111122223333"},
	    {"owner: \"012345678901\"\n", "012345678901"},
	    {"owner: 012345678901\n", "012345678901"},
	    {"owner: 1_000\n", "1_000"},
	    {"owner: 0x1F\n", "0x1F"},
	    {"owner: yes\n", "yes"},
	    {"owner: 2026-01-02\n", "2026-01-02"},
	    {"owner: !!str 5\n", "5"},
	    {"owner: !!str null\n", "null"},
	    {"owner: 'null'\n", "null"},
	    {"owner: |\n  a\n  b\n", "a\nb\n"},
	    {"owner: >-\n  a\n  b\n", "a b"},
	    {"{\"owner\": \"J\\u00e9\", \"gears\": 5, \"tags\": [\"x\"]}", "J\xc3\xa9"},
	    {"\xEF\xBB\xBFowner: bom\n", "bom"},
	    {"owner: crlf\r\ngears: 5\r\n", "crlf"},
	    {"%YAML 1.1\n---\nowner: d\n...\n", "d"},
	};
	struct fixture x;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		read_good(&x, cases[i].yaml);
		assert_string_equal(x.b.owner, cases[i].owner);
		done(&x);
	}
}

static void
test_bool_words(void **state)
{
	static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", "'true'"};
	static const char *const no[] = {"false", "no", "NO", "off", "Off"};
	char text[64];
	struct fixture x;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		(void)snprintf(text, sizeof(text), "owner: a\nbell: %s\n", yes[i]);
		read_good(&x, text);
		assert_true(x.b.bell);
		done(&x);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		(void)snprintf(text, sizeof(text), "owner: a\nbell: %s\n", no[i]);
		read_good(&x, text);
		assert_false(x.b.bell);
		done(&x);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		const char *yaml;
		const char *faults;
	} cases[] = {
	    {"owner: a\nevry: 1\nservce: 5m\nto: x\n",
	     "t:2:1: evry: unknown key\n"
	     "t:3:1: servce: unknown key (did you mean service?)\n"
	     "t:4:1: to: unknown key\n"},
	    {"gears: 1\n", "t:1:1: owner: missing\n"},
	    {"owner: a\nowner: b\n", "t:2:1: owner: given twice, first in line 1\n"},
	    {"owner: [a]\n", "t:1:8: owner: should be a string, not a list\n"},
	    {"owner: {a: b}\n", "t:1:8: owner: should be a string, not a mapping\n"},
	    {"owner: ''\n", "t:1:8: owner: should not be empty\n"},
	    {"owner: a\nbell: maybe\n", "t:2:7: bell: 'maybe' is not true or false\n"},
	    {"owner: a\nbell: [true]\n", "t:2:7: bell: should be true or false, not a list\n"},
	    {"owner: a\ngears: 2.5\n", "t:2:8: gears: '2.5' is not a whole number\n"},
	    {"owner: a\ngears: 0\n", "t:2:8: gears: '0' should be at least 1\n"},
	    {"owner: a\nservice: 5\n",
	     "t:2:10: service: '5' is not a duration such as 90s, 5m or 1h30m\n"},
	    {"owner: a\nservice: 2d\n", "t:2:10: service: '2d' should be between 1s and 1d\n"},
	    {"owner: a\nservice: none\n",
	     "t:2:10: service: 'none' is not a duration such as 90s, 5m or 1h30m\n"},
	    {"owner: a\nservice: -5m\n",
	     "t:2:10: service: '-5m' is not a duration such as 90s, 5m or 1h30m\n"},
	    {"owner: a\nload: lots\n",
	     "t:2:7: load: 'lots' is not an amount of bytes such as 50GB or 512MiB\n"},
	    {"owner: a\nload: 50GB/d\n",
	     "t:2:7: load: '50GB/d' is not an amount of bytes such as 50GB or 512MiB\n"},
	    {"owner: a\ndaily: x/d\n", "t:2:8: daily: 'x/d' is not an amount of bytes such as "
				       "50GB, or 50GB/d for each day\n"},
	    {"owner: a\nprice: .inf\n", "t:2:8: price: '.inf' is not a number\n"},
	    {"owner: a\nprice: nan\n", "t:2:8: price: 'nan' is not a number\n"},
	    {"owner: a\ntags: {a: b}\n", "t:2:7: tags: should be a list of strings\n"},
	    {"owner: a\ntags: [a, [b], ~, '']\n",
	     "t:2:11: tags[1]: should be a string\n"
	     "t:2:16: tags[2]: should be a string, but there is nothing\n"
	     "t:2:19: tags[3]: should not be empty\n"},
	    {"owner: a\ntags: []\n", "t:2:7: tags: should not be empty\n"},
	    {"owner: a\nsets: [A, B]\n", "t:2:8: sets[0]: should be a list of lists of strings\n"
					 "t:2:11: sets[1]: should be a list of lists of strings\n"},
	    {"owner: a\nsets: A\n", "t:2:7: sets: should be a list of lists of strings\n"},
	    {"owner: a\nlabels: [a]\n", "t:2:9: labels: should be a mapping of strings\n"},
	    {"owner: a\nlabels: {a: , b: [c]}\n",
	     "t:2:13: labels.a: should be a string, but there is nothing\n"
	     "t:2:18: labels.b: should be a string\n"},
	    {"owner: a\ncolour: gren\n",
	     "t:2:9: colour: unknown value 'gren' (did you mean green?)\n"},
	    {"owner: a\ncolour: black\n",
	     "t:2:9: colour: unknown value 'black' (known: red, green, blue)\n"},
	    {"owner: a\nfront: 5\n", "t:2:8: front: should be a mapping of keys\n"},
	    {"owner: a\nfront: {spoke: 5}\n",
	     "t:2:9: front.spoke: unknown key (did you mean spokes?)\n"},
	    {"owner: a\nparts: {id: x}\n", "t:2:8: parts: should be a list of mappings\n"},
	    {"owner: a\nparts: [{}, ~, {id: x, spar: 1}, 5]\n",
	     "t:2:9: parts[0].id: missing\n"
	     "t:2:13: parts[1].id: missing\n"
	     "t:2:24: parts[2].spar: unknown key (did you mean spare?)\n"
	     "t:2:34: parts[3]: should be a mapping of keys\n"},
	    {"owner: a\nwheels: [a]\n", "t:2:9: wheels: should be a mapping of names\n"},
	    {"owner: a\nwheels: {Big: {spokes: 1}, -x: ~, a: {spokes: 101}}\n",
	     "t:2:10: wheels.Big: names are made of a-z, 0-9, '.', '_' and '-', begin with a "
	     "letter or digit and have at most 63 characters\n"
	     "t:2:28: wheels.-x: names are made of a-z, 0-9, '.', '_' and '-', begin with a letter "
	     "or digit and have at most 63 characters\n"
	     "t:2:47: wheels.a.spokes: '101' should be between 1 and 100\n"},
	    {"owner: a\nkeep: 'a(b'\n",
	     "t:2:7: keep: not an extended regular expression: Unmatched ( or \\(\n"},
	    {"- a\n- b\n", "t:1:1: should be a mapping of keys\n"},
	    {"just text\n", "t:1:1: should be a mapping of keys\n"},
	    {"", "t:1:1: the file is empty\n"},
	    {"---\n", "t:2:1: owner: missing\n"},
	    {"# only\n", "t:1:1: the file is empty\n"},
	    {"a: b: c\n",
	     "t:1:5: not valid YAML: mapping values are not allowed in this context\n"},
	    {"owner: [a, b\n", "t:2:1: not valid YAML: did not find expected ',' or ']', while "
			       "parsing a flow sequence in line 1\n"},
	    {"owner: a\n\tgears: 3\n",
	     "t:2:1: not valid YAML: found a tab character that violates indentation, while "
	     "scanning a plain scalar in line 1\n"},
	    {"owner: \"a\n", "t:2:1: not valid YAML: found unexpected end of stream, while "
			     "scanning a quoted scalar in line 1\n"},
	    {"owner: a\n---\nowner: b\n",
	     "t:2:1: a second document begins here; only one is read\n"},
	    {"owner: *x\n", "t:1:8: owner: no anchor &x above this alias\n"},
	    {"owner: a\ntags: &l [x, *l]\n",
	     "t:2:14: tags[1]: the alias *l stands inside of what it means\n"},
	    {"owner: a\nfront: &f {spokes: 1, <<: *f}\n",
	     "t:2:23: front: merge keys (<<) are not supported; write the keys out\n"
	     "t:2:27: front: the alias *f stands inside of what it means\n"},
	    {"<<: {owner: a}\n", "t:1:1: merge keys (<<) are not supported; write the keys out\n"
				 "t:1:1: owner: missing\n"},
	    {"owner: !secret a\n", "t:1:8: owner: the tag '!secret' is not supported\n"},
	    {"owner: !!int 5\n",
	     "t:1:8: owner: the tag 'tag:yaml.org,2002:int' is not supported\n"},
	    {"owner: a\ntags: !!set {x}\n",
	     "t:2:7: tags: the tag 'tag:yaml.org,2002:set' is not supported\n"},
	    {"owner: a\n? [x, y]\n: 5\n", "t:2:3: a key should be a plain string\n"},
	    {"owner: a\n? {x: y}\n: 5\n", "t:2:3: a key should be a plain string\n"},
	    {"owner: a\n!!str gears: 4\n", "t:2:1: tags on keys are not supported\n"},
	    {"owner: \"a\\0b\"\n", "t:1:8: owner: holds a NUL character\n"},
	    {"owner: a\n\"ge\\0ars\": 5\n", "t:2:1: a key should be a plain string\n"},
	    {"owner: a\n\"b\\nx\\e[31m\": 5\n", "t:2:1: b\\x0ax\\x1b[31m: unknown key\n"},
	    {"owner: a\xff\n", "t:1:9: not valid UTF-8 (byte 0xff)\n"},
	    {"owner: a\x01\n", "t:1:9: not valid YAML: control characters are not allowed\n"},
	    {"owner: é: ü\n",
	     "t:1:9: not valid YAML: mapping values are not allowed in this context\n"},
	    {"owner: \xc3\xa9\xc3\xa9 \xff\n", "t:1:11: not valid UTF-8 (byte 0xff)\n"},
	    {"owner: $HOME\n",
	     "t:1:8: owner: a plain $ is written $$ (a reference to the environment: ${NAME})\n"},
	    {"owner: ${}\n", "t:1:8: owner: a reference to the environment is written ${NAME} "
			     "or ${NAME:-default}; a plain $ as $$\n"},
	    {"owner: ${A\n", "t:1:8: owner: a reference to the environment is written ${NAME} "
			     "or ${NAME:-default}; a plain $ as $$\n"},
	    {"owner: ${1A}\n", "t:1:8: owner: a reference to the environment is written "
			       "${NAME} or ${NAME:-default}; a plain $ as $$\n"},
	    {"owner: ${A:+x}\n", "t:1:8: owner: a reference to the environment is written "
				 "${NAME} or ${NAME:-default}; a plain $ as $$\n"},
	    {"owner: ${MUSTER_TEST_UNSET}\n",
	     "t:1:8: owner: the environment variable MUSTER_TEST_UNSET is not set and has no "
	     "default\n"},
	    {"owner: ${MUSTER_TEST_EMPTY}\n", "t:1:8: owner: should not be empty\n"},
	    {"owner: ok\nbell: ${MUSTER_TEST_UNSET:-5}\n",
	     "t:2:7: bell: '5' is not true or false\n"},
	    {"owner: a\nparts:\n  - &p {spare: x}\n  - *p\n",
	     "t:3:5: parts[0].id: missing\n"
	     "t:3:5: parts[1].id: missing\n"
	     "t:3:16: parts[0].spare: 'x' is not true or false\n"
	     "t:3:16: parts[1].spare: 'x' is not true or false\n"},
	    {"owner: a\nwheels:\n  a: {spokes: 0}\n  b: {spokes: 0}\n  a: {spokes: 0}\n",
	     "t:3:15: wheels.a.spokes: '0' should be between 1 and 100\n"
	     "t:4:15: wheels.b.spokes: '0' should be between 1 and 100\n"
	     "t:5:3: wheels.a: given twice, first in line 3\n"},
	    {"owner: a\ntags: [x]\n  - y\n", "t:3:3: not valid YAML: did not find expected "
					     "key, while parsing a block mapping in line 1\n"},
	};

	(void)state;
	assert_int_equal(setenv("MUSTER_TEST_EMPTY", "", 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_faults(sv_of(cases[i].yaml), cases[i].faults);
}

/* A misspelt required key is one fault, not two. */
static void
test_misspelt_is_not_missing(void **state)
{
	(void)state;
	expect_faults(SV("ownr: a\n"), "t:1:1: ownr: unknown key (did you mean owner?)\n");
}

static void
test_environment(void **state)
{
	static const struct {
		const char *yaml, *owner;
	} cases[] = {
	    {"owner: ${MUSTER_TEST_A}\n", "x y"},
	    {"owner: pre-${MUSTER_TEST_A}-post\n", "pre-x y-post"},
	    {"owner: '${MUSTER_TEST_A}${MUSTER_TEST_A}'\n", "x yx y"},
	    {"owner: ${MUSTER_TEST_UNSET:-other}\n", "other"},
	    {"owner: a${MUSTER_TEST_UNSET:-}b\n", "ab"},
	    {"owner: ${MUSTER_TEST_EMPTY:-other}\n", "other"},
	    {"owner: a${MUSTER_TEST_EMPTY}b\n", "ab"},
	    {"owner: $$\n", "$"},
	    {"owner: $${MUSTER_TEST_A}\n", "${MUSTER_TEST_A}"},
	    {"owner: ${MUSTER_TEST_UNSET:-a:b-$c}\n", "a:b-$c"},
	};
	struct fixture x;

	(void)state;
	assert_int_equal(setenv("MUSTER_TEST_A", "x y", 1), 0);
	assert_int_equal(setenv("MUSTER_TEST_EMPTY", "", 1), 0);
	assert_int_equal(setenv("MUSTER_TEST_FIVE", "5", 1), 0);
	assert_int_equal(setenv("MUSTER_TEST_BAD", "a\xff", 1), 0);
	assert_int_equal(unsetenv("MUSTER_TEST_UNSET"), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		read_good(&x, cases[i].yaml);
		assert_string_equal(x.b.owner, cases[i].owner);
		done(&x);
	}
	read_good(&x,
		  "owner: a\ngears: ${MUSTER_TEST_FIVE}\ntags: ['$$${MUSTER_TEST_FIVE}']\n"
		  "labels: {a: '${MUSTER_TEST_A}'}\nkeep: 'x$'\nsearch: '${MUSTER_TEST_UNSET}'\n");
	assert_int_equal(x.b.gears, 5);
	assert_string_equal(x.b.tags.v[0], "$5");
	assert_string_equal(x.b.labels.v[0].value, "x y");
	assert_string_equal(x.b.keep, "x$");
	assert_string_equal(x.b.search, "${MUSTER_TEST_UNSET}");
	done(&x);
	expect_faults(
	    SV("owner: ${MUSTER_TEST_BAD}\n"),
	    "t:1:8: owner: the environment variable MUSTER_TEST_BAD is not valid UTF-8\n");
}

static void
test_aliases_are_copies(void **state)
{
	const struct part *parts;
	struct fixture x;

	(void)state;
	read_good(&x, "owner: &o Ada\ntags: &t [a, b]\nparts:\n  - &p {id: *o}\n  - *p\n"
		      "sets: [*t, *t]\nlabels: {x: *o}\n");
	parts = x.b.parts.v;
	assert_string_equal(parts[1].id, "Ada");
	assert_int_equal(x.b.sets.n, 2);
	assert_string_equal(x.b.sets.v[1].v[1], "b");
	assert_string_equal(x.b.labels.v[0].value, "Ada");
	done(&x);
}

static void
test_billion_laughs(void **state)
{
	CLEANUP(buf_done) struct buf y = BUF_INIT(1 << 20);

	(void)state;
	buf_str(&y, "owner: a\nextra:\n  - &a0 lol\n");
	for (int i = 1; i < 12; i++) {
		buf_fmt(&y, "  - &a%d [", i);
		for (int j = 0; j < 10; j++)
			buf_fmt(&y, "%s*a%d", j ? "," : "", i - 1);
		buf_str(&y, "]\n");
	}
	expect_faults(buf_view(&y), "t:8:38: more than 100000 values\n");
}

static void
nested(struct buf *y, int depth)
{
	buf_reset(y);
	buf_str(y, "owner: a\nextra: ");
	for (int i = 0; i < depth; i++)
		buf_ch(y, '[');
	for (int i = 0; i < depth; i++)
		buf_ch(y, ']');
	buf_ch(y, '\n');
}

static void
test_deep_nesting(void **state)
{
	CLEANUP(buf_done) struct buf y = BUF_INIT(4 << 20), long_path = BUF_INIT(4096);
	struct fixture x;

	(void)state;
	nested(&y, 31);
	read_good(&x, buf_cstr(&y));
	done(&x);
	buf_str(&long_path, "t:2:39: extra");
	for (int i = 0; i < 31; i++)
		buf_str(&long_path, "[0]");
	buf_str(&long_path, ": nested more than 32 deep\n");
	nested(&y, 32);
	expect_faults(buf_view(&y), buf_cstr(&long_path));
	nested(&y, 1000000);
	expect_faults(buf_view(&y), buf_cstr(&long_path));
	/* The same by an alias. */
	buf_reset(&y);
	buf_str(&y, "extra: [&a [[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]], "
		    "[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]\n");
	read_sv(&x, buf_view(&y));
	assert_int_equal(conf_faults_count(x.f), 1);
	assert_non_null(strstr(conf_faults_get(x.f, 0), ": nested more than 32 deep"));
	done(&x);
}

static void
test_many_nodes(void **state)
{
	CLEANUP(buf_done) struct buf y = BUF_INIT(8 << 20);
	struct fixture x;

	(void)state;
	buf_str(&y, "owner: a\nextra:\n");
	for (int i = 0; i < 99997; i++)
		buf_fmt(&y, "  k%d: 1\n", i);
	read_good(&x, buf_cstr(&y));
	done(&x);
	buf_str(&y, "  last: 1\n");
	expect_faults(buf_view(&y), "t:100000:3: more than 100000 values\n");
}

/* As many faults as nodes: all are told, in the order of the file. */
static void
test_many_faults(void **state)
{
	CLEANUP(buf_done) struct buf y = BUF_INIT(8 << 20);
	struct fixture x;

	(void)state;
	buf_str(&y, "owner: a\n");
	for (int i = 0; i < 20000; i++)
		buf_fmt(&y, "k%d: 1\n", i);
	read_sv(&x, buf_view(&y));
	assert_int_equal(conf_faults_count(x.f), 20000);
	assert_string_equal(conf_faults_get(x.f, 0), "t:2:1: k0: unknown key");
	assert_string_equal(conf_faults_get(x.f, 19999), "t:20001:1: k19999: unknown key");
	done(&x);
}

static void
test_size_limit(void **state)
{
	CLEANUP(buf_done) struct buf y = BUF_INIT(CONF_FILE_MAX + 16);

	(void)state;
	assert_true(buf_reserve(&y, CONF_FILE_MAX + 1));
	memset(y.p, '#', CONF_FILE_MAX + 1);
	y.n = CONF_FILE_MAX + 1;
	expect_faults(buf_view(&y), "t:1:1: larger than 16 MiB\n");
	y.n = CONF_FILE_MAX;
	expect_faults(buf_view(&y), "t:1:1: the file is empty\n");
}

/* Whatever a document is cut to, it is read or refused; the sanitizers watch. */
static void
test_every_prefix(void **state)
{
	static const char doc[] =
	    "\xEF\xBB\xBFowner: &o \"A\\u00e9\"\r\ntags: [a, *o, 'b']\nparts:\n- {id: "
	    "x, spare: yes}\n- id: |\n   y\n? front\n: {spokes: 5}\n# end\n";
	struct fixture x;

	(void)state;
	for (size_t n = 0; n < sizeof(doc); n++) {
		char *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, doc, n);
		read_sv(&x, (struct sv){copy, n});
		assert_true(x.root || conf_faults_count(x.f) > 0);
		done(&x);
		free(copy);
	}
}

static void
test_load(void **state)
{
	char path[] = "/tmp/conf_test.XXXXXX";
	struct arena a = ARENA_INIT(1 << 20);
	struct conf_faults *f = conf_faults_new();
	int fd = mkstemp(path);
	const struct conf_node *root;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: b\n", 5), 5);
	assert_int_equal(close(fd), 0);
	root = conf_load(path, &a, NULL, f);
	assert_non_null(root);
	assert_string_equal(conf_peek(root, "a"), "b");
	assert_int_equal(unlink(path), 0);
	assert_null(conf_load("/nowhere/x.yaml", &a, NULL, f));
	assert_null(conf_load("/", &a, NULL, f));
	assert_int_equal(conf_faults_count(f), 2);
	assert_string_equal(conf_faults_get(f, 0), "/:1:1: cannot be read: Is a directory");
	assert_string_equal(conf_faults_get(f, 1),
			    "/nowhere/x.yaml:1:1: cannot be read: No such file or directory");
	conf_faults_free(f);
	arena_done(&a);
}

/* Whose doing it is that a file cannot be read. */
static void
test_unreadable(void **state)
{
	static const int troubles[] = {EMFILE, ENFILE, EIO, ENOMEM},
			 faults[] = {ENOENT, EACCES, EISDIR};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
		struct conf_faults *f = conf_faults_new();

		conf_unreadable(f, NULL, "x.yaml", troubles[i]);
		conf_unreadable(f, NULL, "y.yaml", troubles[i]); /* the first one is told */
		assert_int_equal(conf_faults_count(f), 1);
		assert_int_equal(conf_faults_local(f, "all.yaml", &err), -1);
		assert_int_equal(err.kind, ERR_LOCAL);
		assert_string_equal(
		    err.msg, troubles[i] == EMFILE ? "x.yaml: cannot be read: Too many open files"
			     : troubles[i] == ENFILE
				 ? "x.yaml: cannot be read: Too many open files in system"
			     : troubles[i] == EIO ? "x.yaml: cannot be read: Input/output error"
						  : "all.yaml: out of memory while reading it");
		conf_faults_free(f);
	}
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct conf_faults *f = conf_faults_new();

		conf_unreadable(f, NULL, "x.yaml", faults[i]);
		assert_int_equal(conf_faults_count(f), 1);
		assert_non_null(strstr(conf_faults_get(f, 0), "x.yaml:1:1: cannot be read: "));
		assert_int_equal(conf_faults_local(f, "all.yaml", &err), 0);
		conf_faults_free(f);
	}
}

static void
test_without_memory(void **state)
{
	struct arena a = ARENA_INIT(256);
	struct conf_faults *f = conf_faults_new();

	(void)state;
	assert_null(conf_parse("t", SV("a: [b, c, d, e, f]\n"), &a, f));
	assert_int_equal(conf_faults_count(f), 1);
	assert_string_equal(conf_faults_get(f, 0), "out of memory while reading the configuration");
	assert_int_equal(conf_faults_count(NULL), 1);
	conf_faults_free(f);
	arena_done(&a);
}

static void
test_nearest(void **state)
{
	static const char *const words[] = {"every", "region", "regions", "to", "discover_every"};
	static const struct {
		const char *word, *near;
	} cases[] = {
	    {"evry", "every"},	    {"evrey", "every"}, {"regoin", "region"},
	    {"REGIONS", "regions"}, {"ot", "to"},	{"id", NULL},
	    {"tos", "to"},	    {"", NULL},		{"discovr_evry", "discover_every"},
	    {"xxxxxx", NULL},	    {"each", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = conf_nearest(cases[i].word, words, ARRAY_LEN(words));

		if (!cases[i].near)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].near);
	}
}

static void
test_names(void **state)
{
	static const char *const good[] = {"a", "0", "acme", "a.b_c-d", "9-"};
	static const char *const bad[] = {"",	 "A",	"-a",	    ".a", "_a",
					  "a/b", "a b", "\xc3\xa9", ".."};
	char name[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(conf_name_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(conf_name_valid(bad[i]));
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(conf_name_valid(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(conf_name_valid(name));
}

static void
test_help(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);

	(void)state;
	conf_help(wheel_keys, "  ", &out);
	assert_string_equal(buf_cstr(&out), "  spokes  (number, 1 to 100; default 32)\n"
					    "      How many spokes.\n");
	buf_reset(&out);
	conf_help(bike_keys, "", &out);
	assert_true(buf_ok(&out));
	assert_non_null(strstr(buf_cstr(&out), "owner  (string; required)\n    Whose it is.\n"));
	assert_non_null(strstr(buf_cstr(&out), "colour  (red | green | blue; default green)\n"));
	assert_non_null(strstr(buf_cstr(&out), "keep  (regular expression)\n"));
	assert_non_null(strstr(buf_cstr(&out), "gears  (number, at least 1; default 3)\n"));
	assert_non_null(strstr(buf_cstr(&out), "wheels  (NAME: the keys below)\n    spokes  ("));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_type),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_scalars_keep_their_text),
	    cmocka_unit_test(test_bool_words),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_misspelt_is_not_missing),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_aliases_are_copies),
	    cmocka_unit_test(test_billion_laughs),
	    cmocka_unit_test(test_deep_nesting),
	    cmocka_unit_test(test_many_nodes),
	    cmocka_unit_test(test_many_faults),
	    cmocka_unit_test(test_size_limit),
	    cmocka_unit_test(test_every_prefix),
	    cmocka_unit_test(test_load),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_without_memory),
	    cmocka_unit_test(test_nearest),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
