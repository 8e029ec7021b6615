/*
 * The simulator: all of AWS and the receiver in memory, behind the program's own transport and clock.
 *
 * What runs is the program itself (cmd_run), with the bottom of its transports and its clock replaced
 * through session_hook, and with its threads one at a time (sim_threads.c). So every effect that a run has on the world is one call of sim_send, and a
 * crash at any of them is cheap: from there on the world answers nothing and changes no more, the run
 * comes to its end, and what it held in memory is gone with it. Checkpoints and lake are in the
 * simulated S3, so the whole path to them is the real one.
 *
 * All that the world answers is a pure function of its seed, and so is the order of calls, whatever the
 * number of workers and of runs at once: a plan of faults that fails, fails again.
 */
#ifndef MUSTER_TESTS_SIM_SIM_H
#define MUSTER_TESTS_SIM_SIM_H

#include <jansson.h>
#include <pthread.h>

#include "aws/cloudwatch.h"
#include "base/clock.h"
#include "base/map.h"
#include "net/transport.h"
#include "run/session.h"
#include "tests/sink/receiver.h"

#define SIM_EPOCH	 1767225600000LL /* 2026-01-01T00:00:00Z */
#define SIM_MIN		 60000LL
#define SIM_REGIONS	 2
#define SIM_SERIES	 2 /* of each tenant and region */
#define SIM_GROUPS	 2
#define SIM_MAX_FAULTS	 64
#define SIM_MAX_RUNS	 5 /* at once */
#define SIM_WORDS	 256
#define SIM_CALL_MS	 300
#define SIM_DELAY	 (5 * SIM_MIN)	/* of the job `ecs` */
#define SIM_DELAY_LOGS	 (10 * SIM_MIN) /* of the job `app` */
#define SIM_DELAY_ALARMS SIM_MIN
#define SIM_HOLD	 (15 * SIM_MIN) /* after which it asks again, in a late world */

/* What a world has. */
enum sim_jobs {
	SIM_USUAL,  /* metrics and logs: the jobs `ecs` and `app` */
	SIM_LATE,   /* the job `app` alone, which looks for what comes late: some events do */
	SIM_TRACES, /* the job `traces` alone */
	SIM_ALARMS, /* the job `alarms` alone */
	SIM_POINTS, /* the job `ecs` alone, of whose points some come late */
	SIM_WORLDS
};
enum sim_fault_kind {
	SIM_CRASH_BEFORE, /* the process is gone, the call never came */
	SIM_CRASH_AFTER,  /* it came, and the process never learned of it */
	SIM_FAIL_BEFORE,  /* no answer, nothing done */
	SIM_LOST,	  /* done, and the answer lost */
	SIM_FAULTS
};
struct sim_fault {
	uint64_t at; /* the how many-th call since the world began, from 1 */
	enum sim_fault_kind kind;
};

struct sim_object {
	char *key; /* with the bucket */
	char *bytes;
	size_t n;
	char etag[72];
	char *meta; /* "name: value\n" lines */
	unsigned writes;
	struct sim_object *next; /* in its folder */
};
struct sim_query {
	int64_t from_ms, to_ms;
	int64_t now_ms; /* when it was started: what comes later is not seen */
	size_t tenant, region;
	char text[2048];
};
struct sim_event {
	int64_t ms;
	size_t group;
	int n; /* of its minute */
	int64_t found_ms; /* from when on queries find it */
};

/* Where the program's own keys come from. */
enum sim_keys {
	SIM_KEYS_ENV,
	SIM_KEYS_PROFILE,
	SIM_KEYS_ROLES,	    /* of a profile, by two roles one after the other */
	SIM_KEYS_PROGRAM,   /* credential_process */
	SIM_KEYS_WEB,	    /* a token in a file */
	SIM_KEYS_CONTAINER, /* the endpoint of ECS and EKS */
	SIM_KEYS_INSTANCE,  /* the metadata service of EC2 */
};
/* How the program and its world deal with each other. */
struct sim_ways {
	const char *name;
	enum sim_jobs jobs;
	enum cw_proto proto; /* of CloudWatch: the others are unknown to it */
	enum sim_keys keys;
	bool files;  /* state and lake are on files */
	bool stats;  /* the job `app` counts events by the minute */
	bool spans;  /* Transaction Search is on: traces are in aws/spans */
	bool oncall; /* alarms go to an Alertmanager, too */
	bool text;   /* the job `ecs` goes to OpenMetrics files and to the standard output, too */
};

/* What is run. */
enum sim_command {
	SIM_RUN,
	SIM_COMPACT,
	SIM_BACKFILL /* over the world's `window` */
};

/* How it stands with a tenant. */
struct sim_tenancy {
	bool absent;   /* not in the configuration */
	bool unjudged; /* what it has may be wrong, and nobody could have told */
};

/* One run of the program, with what takes the place of its network and its clock. */
struct sim_proc {
	struct transport base; /* first */
	struct clock clock;
	struct session_hooks hooks;
	struct sim *world;
	enum sim_command command;
	int64_t now_ms; /* its --now */
	size_t workers;
	bool dead;  /* it has crashed */
	int status; /* its exit status, or -1 if it crashed */
};

struct sim {
	uint64_t seed;
	size_t tenants, regions;
	int64_t every_ms; /* of both jobs */
	enum sim_jobs jobs;
	struct sim_ways ways;
	char folder[64]; /* of its configuration, the files of keys, and of state and lake on files */
	bool numbers; /* of log events samples are made, too: else the lake is all they have */
	int64_t now_ms;	   /* the present of the data */
	int64_t passed_ms; /* since the present run began, or the first of several */
	int64_t call_ms;   /* that a call takes, SIM_CALL_MS: checkpoints move while a run is at work */
	uint64_t calls;	     /* so far */
	struct sim_fault faults[SIM_MAX_FAULTS]; /* sorted */
	size_t n_faults, next_fault;
	struct cell window; /* of backfills */
	bool receiver_down; /* as long as it is set */
	uint64_t lake_overwrites;
	struct map objects; /* key -> struct sim_object */
	struct map folders; /* the first parts of a key -> one of its objects: who lists looks at few */
	struct sim_query *queries;
	size_t n_queries;
	struct receiver *receiver;
	struct map spans; /* that came by OTLP, by their ids */
	int screen;	  /* a file: its standard output, of all runs; 0: the sweep's own */
	char config[96]; /* path of the configuration */
	const char *run_conf; /* more of its `run`; NULL: nothing */
	struct sim_tenancy *of; /* each tenant's */
	struct sim_oncall {
		bool seen, told; /* firing, as CloudWatch said it last, and as the Alertmanager heard it last */
	} (*alerts)[SIM_REGIONS]; /* each tenant's */
	int64_t judge_from_ms; /* what is older is not in the world any more */
	int64_t skew_ms;       /* of the machine's clock */
	bool out_of_order;     /* the program knows that the receiver takes what is old */
	bool gaps;	      /* are allowed, and what they cover is not looked for */
	bool pages;	      /* points come one series a page, log events three a page */
	/* What comes of a call, instead of sim_answer; NULL: that. */
	int (*meddle)(struct sim_proc *p, const struct http_req *req, struct http_resp *resp,
		      struct err *err);
	void *meddle_arg;
	bool trace;
};

/* ---- sim_world.c: names, values, events ---- */

extern const char *const sim_regions[SIM_REGIONS];
extern const char *const sim_metrics[SIM_SERIES];  /* CloudWatch's names */
extern const char *const sim_series[SIM_SERIES];   /* and muster's */
extern const char *const sim_groups[SIM_GROUPS];
void sim_tenant(size_t tenant, char id[16], char account[16]);
/* Of its account, or of its id. s->tenants: none. */
size_t sim_tenant_of(const struct sim *s, const char *text);
/* The value of a minute; false: there is none. */
bool sim_value(const struct sim *s, size_t tenant, size_t region, size_t series, int64_t ms, double *ret);
/* From when on CloudWatch shows it: later than its time in a world of late points. */
int64_t sim_shown_ms(const struct sim *s, size_t tenant, size_t region, size_t series, int64_t ms);
/* Calls fn for each log event of [from, to), in order of time. */
void sim_events(const struct sim *s, size_t tenant, size_t region, int64_t from_ms, int64_t to_ms,
		void (*fn)(void *arg, const struct sim_event *e), void *arg);
void sim_message(const struct sim_event *e, char out[64]);

/* Of the job `app` where it counts: how many events a minute has. */
size_t sim_count(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms);

/* ---- sim_ways.c: keys, and what is on files ---- */

/* The program's environment, and the files it names. */
void sim_set_ways(const struct sim *s);
void sim_container(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_imds(struct sim *s, const struct http_req *req, struct http_resp *resp);
/* What is on files becomes objects of the world, for who judges it. */
void sim_load_files(struct sim *s);
void sim_remove_files(const struct sim *s);

/* ---- sim_wire.c: one document in each protocol of CloudWatch ---- */

/* How a token begins that no service gave: who asks with it is at the first page. */
#define SIM_NO_TOKEN "chaos-"

/* NULL: it is in none of them. */
json_t *sim_wire_read(const struct http_req *req);
/* The answer is JSON; from here on it is in the request's protocol, if that is one of these. */
void sim_wire_answer(const struct http_req *req, struct http_resp *resp);

/* ---- sim_traces.c: X-Ray, and a receiver of spans ---- */

/* A minute has one trace of one segment, or none: when it began, and its span's id; false: none. */
bool sim_span(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms, int64_t *ret_ms, char id[17]);

/* ---- sim_alarms.c: an alarm that is OK or firing ---- */

/* Whether it changes in this minute: when, and to what. */
bool sim_change(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms, int64_t *ret_ms, bool *firing);
bool sim_firing(const struct sim *s, size_t tenant, size_t region, int64_t ms);

/* Its Alertmanager. */
void sim_oncall(struct sim *s, const struct http_req *req, struct http_resp *resp);

/* ---- sim_text.c: OpenMetrics files, and the standard output ---- */

/* The file of a cell of the job `ecs` has its samples, each once. */
bool sim_openmetrics_match(const struct sim *s, size_t tenant, size_t region, int64_t from_ms);
/* What is on the standard output is what the lake has of the job `ecs`; a cell may be there twice. */
bool sim_screen_matches(const struct sim *s);

/* ---- sim_send.c: the transport, and the services behind it ---- */

/* A new world with its own configuration file. Aborts without memory: it is a test. */
struct sim *sim_new(uint64_t seed, size_t tenants, int64_t every_ms, enum receiver_habit habit,
		    enum sim_jobs jobs);
/* Before its first run. */
void sim_take_ways(struct sim *s, const struct sim_ways *w);
void sim_free(struct sim *s);
int sim_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err);
/* What the services say to it, sorted as the program does. */
int sim_answer(struct sim *s, const struct http_req *req, struct http_resp *resp, struct err *err);
int sim_sort(const struct http_req *req, struct http_resp *resp, struct err *err);
/* There was none. */
int sim_no_answer(struct http_resp *resp, struct err *err);
void sim_write_config(struct sim *s);
/* What the world's clock shows. */
int64_t sim_wall_ms(const struct sim *s);
/* One service each: fill *resp. */
void sim_sts(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_monitoring(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_alarms(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_logs(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_s3(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_receive(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_xray(struct sim *s, const struct http_req *req, struct http_resp *resp);
void sim_otlp(struct sim *s, const struct http_req *req, struct http_resp *resp);
/* The tenant and region a call is for; false: none. */
bool sim_place(const struct sim *s, const struct http_req *req, size_t *tenant, size_t *region);
const struct sim_object *sim_object(const struct sim *s, const char *key);
void sim_object_free(void *object);
/* It is no longer there, if it ever was. */
void sim_object_remove(struct sim *s, const char *key);

/* ---- sim_run.c ---- */

/* One run at s->now_ms, faults included. Returns its exit status, or -1 if it crashed. */
int sim_run(struct sim *s, enum sim_command command, size_t workers);
/* As many runs at once, each at a `now_ms` and with the `workers` of its own, in any order. */
void sim_race(struct sim *s, struct sim_proc *procs, size_t n);

/* ---- sim_threads.c: one thread at a time, by the seed ---- */

/* The calling thread is the first task, and of that run. */
void sim_threads_begin(struct sim *s, struct sim_proc *proc);
void sim_threads_end(void);
/* Another one, of that run. Joined by pthread_join. */
int sim_thread_create(pthread_t *ret, const pthread_attr_t *attr, struct sim_proc *proc,
		      void *(*fn)(void *), void *arg);
/* Others may go first. */
void sim_yield(void);
/* Others go first until so much has passed in the world. */
void sim_sleep(int64_t ms);

/* ---- sim_alloc.c: memory that runs out ---- */

/* From now on allocations of the program are counted, and that one fails (0: none). */
void sim_alloc_begin(uint64_t at);
/* Returns how many there were. */
uint64_t sim_alloc_end(void);
/* The calling thread is in the world (or no longer): what it allocates there is not the program's. */
void sim_alloc_outside(bool yes);

/* ---- sim_check.c: the verdict ---- */

struct sim_verdict {
	uint64_t lost, duplicated, mismatched;
	char what[SIM_WORDS]; /* the first thing wrong, "" if nothing */
};
/* What is in the world after a run that ended well at s->now_ms, against the truth. */
void sim_check(struct sim *s, struct sim_verdict *v);
/* The lines of all cells that a table over the lake shows, sorted. */
void sim_lake_lines(const struct sim *s, struct buf *out);
/* Its objects. */
size_t sim_lake_objects(const struct sim *s);

/* The report of the last run, of which there is one: it is taken away. NULL: none could be written. */
json_t *sim_take_report(struct sim *s);

/* ---- sim_chaos.c, sim_day.c, sim_year.c ---- */

/* One chaos world, 1,000 tenants at most; `trace`: with all calls shown. Adds to *v what is wrong, with words. */
void sim_chaos(uint64_t seed, size_t tenants, bool trace, struct sim_verdict *v);
/* How many runs there were in all of them so far, and how often a call was in which trouble. */
void sim_chaos_say(size_t tenants);
/* After the last of them. */
void sim_chaos_end(void);
/* A day in a late world: `turns` runs and backfills. */
void sim_day(uint64_t seed, unsigned turns, bool trace, struct sim_verdict *v);
void sim_year(uint64_t seed, unsigned days, bool trace, struct sim_verdict *v);

#endif
