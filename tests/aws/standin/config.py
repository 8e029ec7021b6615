"""muster.yaml, and the environment to run it in, for a world."""
import fnmatch
import json

from .truth import INSIGHTS

METRICS = {
    "ecs": [{"namespace": INSIGHTS, "dimensions": [["ClusterName", "ServiceName"]]}],
    "utilization": [{"namespace": "AWS/ECS", "metrics": ["CPUUtilization", "MemoryUtilization"],
                     "statistics": ["Average", "Maximum"]}],
    "checkout": [{"namespace": "Checkout", "metrics": ["*"]}],
}
QUERIES = {
    "app-logs": {"log_groups": ["/ecs/app-*"], "query": "fields @timestamp, @logStream, @message, level"},
    "app-errors": {"log_groups": ["/ecs/app-*"], "query": "fields @timestamp, @message, status, took_ms\n"
                   "| filter level = \"error\" or @message like /Exception/"},
    "edge-requests": {"log_groups": ["/ecs/edge"],
                      "query": "parse @message '\"* * HTTP/1.1\" * ' as method, path, status\n"
                      "| stats count(*) as requests by bin(1m) as t, method, status"},
    "task-usage": {"log_groups": ["/aws/ecs/containerinsights/*/performance"], "query": "filter Type = \"Task\"\n"
                   "| stats avg(CpuUtilized) as cpu, avg(MemoryUtilized) as mem by bin(1m) as t, ClusterName, "
                   "ServiceName, TaskId",
                   "series": {"time": "t",
                              "values": {"cpu": "ecs_task_cpu_utilized", "mem": "ecs_task_memory_utilized"},
                              "labels": {"ClusterName": "cluster", "ServiceName": "service", "TaskId": "task"}}},
}
KEYS = ("every", "period", "delay", "lookback", "hold", "revisit", "discover_every")
OF_METRICS = ("period", "discover_every")  # what a job of logs does not have


def add_options(group):
    group.add_argument("--endpoint", default="http://127.0.0.1:4566", metavar="URL", help="of the stand-in")
    group.add_argument("--receiver", choices=("aps", "prometheus", "none"), default="aps")
    group.add_argument("--workspace", default="ws-1", metavar="ID")
    group.add_argument("--receiver-url", metavar="URL", help="instead of the stand-in's")
    group.add_argument("--writer-role", action="store_true", help="let the aps sink assume the world's amp-writer")
    group.add_argument("--max-age", metavar="DURATION", help="of the receiver's sink")
    group.add_argument("--out-of-order", metavar="DURATION", help="of the receiver's sink")
    group.add_argument("--lake", default="file:///tmp/muster/lake", metavar="URL",
                       help="file:///DIR or s3://BUCKET/PREFIX; '' for none")
    group.add_argument("--state", default="file:///tmp/muster/state", metavar="URL", help="the same")
    group.add_argument("--kms-key", metavar="ID", help="of the lake")
    group.add_argument("--expected-owner", metavar="ACCOUNT", help="of the lake's bucket")
    group.add_argument("--lake-role", action="store_true", help="let the lake sink assume the world's lake-writer")
    group.add_argument("--jobs", default="ecs", metavar="A,B", help=f"of {','.join([*METRICS, *QUERIES])}")
    group.add_argument("--only", action="append", metavar="GLOB", help="tenants (default: all; repeatable)")
    for key in KEYS:
        group.add_argument(f"--job-{key.replace('_', '-')}", metavar="DURATION", help=f"{key} of every job")
    group.add_argument("--log-group", action="append", metavar="GLOB", help="of every job of logs (repeatable)")
    group.add_argument("--query", metavar="TEXT", help="of every job of logs")
    group.add_argument("--workers", type=int, metavar="N")


def yaml(world, args):
    """A configuration: blocks by hand, and below the first levels flow style, which JSON is a part of."""
    parts = [f"region: {world.region}", f"state: {json.dumps(args.state)}", "tenants:"]
    parts += [f"  - {_flow(_tenant(tenant))}" for tenant in _chosen(world, args)]
    parts.append("jobs:")
    parts += [f"  {name}: {_flow(_job(name, args))}" for name in args.jobs.split(",")]
    parts.append("sinks:")
    parts += [f"  {name}: {_flow(sink)}" for name, sink in _sinks(world, args).items()]
    if args.workers:
        parts += ["run:", f"  workers: {args.workers}"]
    return "\n".join(parts) + "\n"


def environment(world, args):
    """What the SDKs' variables must say for a program to find the stand-in and to be let in."""
    values = {
        "AWS_ENDPOINT_URL": args.endpoint,
        "AWS_REGION": world.region,
        "AWS_ACCESS_KEY_ID": world.central["access_key"],
        "AWS_SECRET_ACCESS_KEY": world.central["secret_key"],
    }
    return "".join(f"export {name}='{value}'\n" for name, value in values.items())


def _chosen(world, args):
    globs = args.only or ["*"]
    return [tenant for tenant in world.tenants if any(fnmatch.fnmatchcase(tenant["id"], glob) for glob in globs)]


def _tenant(tenant):
    return {"id": tenant["id"], "account": tenant["account"], "role": tenant["role"],
            "external_id": tenant["external_id"], "regions": list(tenant["regions"])}


def _job(name, args):
    given = {key: getattr(args, f"job_{key}") for key in KEYS if getattr(args, f"job_{key}")}
    sinks = [sink for sink, there in (("amp", args.receiver != "none"), ("lake", args.lake)) if there]
    if name in METRICS:
        return {"kind": "metrics", **given, "from": METRICS[name], "to": sinks}
    changes = {"log_groups": args.log_group, "query": args.query}
    job = {**QUERIES[name], **{key: value for key, value in changes.items() if value}}
    kept = {key: value for key, value in given.items() if key not in OF_METRICS}
    return {"kind": "insights", **kept, **job, "to": [sink for sink in sinks if sink == "lake" or "series" in job]}


def _sinks(world, args):
    sinks = {}
    if args.receiver != "none":
        sinks["amp"] = _receiver(world, args)
    if args.lake:
        sinks["lake"] = _lake(world, args)
    return sinks


def _receiver(world, args):
    signed = args.receiver == "aps"
    path = f"/workspaces/{args.workspace}/api/v1/remote_write" if signed else "/api/v1/write"
    sink = {"kind": "remote_write", "url": args.receiver_url or args.endpoint + path}
    if signed:
        sink["sigv4"] = {"service": "aps"}
    if args.writer_role:
        sink["role"] = _writer(world, "amp")
    return {**sink, **_given(args, "max_age", "out_of_order")}


def _lake(world, args):
    sink = {"kind": "objects", "url": args.lake, **_given(args, "kms_key", "expected_owner")}
    if args.lake_role:
        sink["role"] = _writer(world, "lake")
    return sink


def _writer(world, sink):
    return next(arn for arn in world.roles if arn.endswith(f"role/{sink}-writer"))


def _given(args, *names):
    """The options that were given, by their configuration's names."""
    return {name: getattr(args, name) for name in names if getattr(args, name)}


def _flow(value):
    return json.dumps(value, ensure_ascii=False)
