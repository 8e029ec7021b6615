"""Command-line options that more than one of the programs here takes."""
from .world import FIRST_EPOCH, World, generate


def add_world(parser):
    """The options that say which world it is: a file, or what to make one from."""
    group = parser.add_argument_group("world", "a file, or a seed and sizes")
    group.add_argument("--world", metavar="FILE", help="a world as awsd-world writes it")
    group.add_argument("--tenants", type=int, default=3, metavar="N")
    group.add_argument("--seed", type=int, default=1, metavar="S")
    group.add_argument("--regions", default="eu-west-1", metavar="A,B", help="the first is the central region")
    group.add_argument("--regions-per-tenant", type=int, metavar="N", help="default: all")
    group.add_argument("--clusters", type=int, default=1, metavar="N", help="a tenant and region")
    group.add_argument("--services", type=int, default=2, metavar="N", help="a cluster")
    group.add_argument("--births", type=float, default=0.0, metavar="SHARE", help="of services that begin in the span")
    group.add_argument("--ends", type=float, default=0.0, metavar="SHARE", help="of services that end in the span")
    group.add_argument("--epoch", type=int, default=FIRST_EPOCH, metavar="EPOCH", help="where the span begins")
    group.add_argument("--span", type=int, default=6 * 3600, metavar="SECONDS", help="default: 6 h")
    for name in ("gap-rate", "late-rate", "revise-rate"):
        group.add_argument(f"--{name}", type=float, metavar="SHARE")
    for name in ("late-max", "revise-max", "delay", "list-delay"):
        group.add_argument(f"--{name}", type=int, metavar="SECONDS")
    group.add_argument("--log-rate", type=float, metavar="N", help="events a second and log group")
    group.add_argument("--log-huge", type=float, metavar="SHARE", help="of events of a megabyte")
    group.add_argument("--log-burst", type=_burst, action="append", metavar="MS:EVENTS:WITHIN",
                       help="so many events from this millisecond on, within so many, in each first group (repeatable)")
    group.add_argument("--log-groups", type=int, metavar="N", help="so many more groups in each place")
    group.add_argument("--log-delay", type=int, metavar="SECONDS", help="until an event can be found")
    group.add_argument("--log-late-rate", type=float, metavar="SHARE", help="of events that can be found later still")
    group.add_argument("--log-late-max", type=int, metavar="SECONDS")
    group.add_argument("--bucket", action="append", default=[], metavar="NAME[:OWNER[:REGION]]",
                       help="a bucket beside those of the file (default: the central account's, in the central region)")


def _burst(text):
    at, events, within = map(int, text.split(":"))
    return {"at": at, "events": events, "within": within}


def add_metrics(parser):
    """The options of CloudWatch metrics."""
    group = parser.add_argument_group("metrics")
    group.add_argument("--cbor", choices=("open", "compact", "off"), default="open",
                       help="how CBOR is written: lengths left open and doubles, as few bytes as possible, not at all")


def add_logs(parser):
    """The options of CloudWatch Logs."""
    group = parser.add_argument_group("logs")
    group.add_argument("--logs-query-ms", type=int, default=200, metavar="MS", help="how long a query takes")
    group.add_argument("--logs-paging", action="store_true", help="up to 100,000 rows, in pages (else 10,000)")
    group.add_argument("--logs-concurrency", type=int, default=100, metavar="N",
                       help="queries of an account and region that run at once")
    group.add_argument("--logs-tps", type=int, metavar="N", help="calls a second of an account, region and operation "
                       "(AWS: 10; default: any number)")
    group.add_argument("--logs-exponents", action="store_true", help="results write numbers from 1e7 on as 1.0E7")


def add_s3(parser):
    """The options of S3."""
    group = parser.add_argument_group("S3")
    group.add_argument("--s3-ignore-conditions", action="store_true", help="a store that does not know If-None-Match "
                       "and If-Match of a write, and does not say so")


def add_receiver(parser):
    """The options of the remote-write receivers."""
    group = parser.add_argument_group("remote write")
    group.add_argument("--rw-mode", choices=("atomic", "partial"), default="atomic",
                       help="one bad sample refuses the whole request (Prometheus), or only itself (Cortex, AMP)")
    group.add_argument("--rw-max-age", type=float, metavar="SECONDS", help="older samples are refused (AMP: 3600)")
    group.add_argument("--rw-window", type=float, default=0, metavar="SECONDS", help="out-of-order window (AMP: 60)")
    group.add_argument("--rw-head-age", type=float, metavar="SECONDS",
                       help="how far a series may lag behind the newest sample of all (Prometheus: 3600)")
    group.add_argument("--rw-future", type=float, default=600, metavar="SECONDS", help="how far ahead a sample may be")
    group.add_argument("--rw-max-body", type=int, default=1_000_000, metavar="BYTES")
    group.add_argument("--rw-basic", metavar="USER:PASSWORD", help="what /api/v1/write asks for")
    group.add_argument("--rw-bearer", metavar="TOKEN", help="what /api/v1/write asks for")


def read_world(args):
    """The World that the options describe."""
    document = _document(args)
    named = [_bucket(document, text) for text in args.bucket]
    there = {row["name"] for row in named}
    kept = [row for row in document.get("buckets", []) if row["name"] not in there]
    return World({**document, "buckets": kept + named})


def _bucket(document, text):
    name, owner, region = (text.split(":") + ["", ""])[:3]
    return {"name": name, "owner": owner or document["central"]["account"], "region": region or document["region"]}


def _document(args):
    if args.world:
        return World.load(args.world).document
    return generate(
        args.tenants, args.seed, args.regions.split(","), args.services, args.clusters, args.regions_per_tenant,
        args.births, args.ends, args.epoch, args.span, gap_rate=args.gap_rate, late_rate=args.late_rate,
        late_max=args.late_max, revise_rate=args.revise_rate, revise_max=args.revise_max, delay=args.delay,
        list_delay=args.list_delay, log_delay=args.log_delay, log_late_rate=args.log_late_rate,
        log_late_max=args.log_late_max, logs=_logs(args))


def _logs(args):
    named = {"rate": args.log_rate, "huge": args.log_huge, "bursts": args.log_burst, "more_groups": args.log_groups}
    return {name: value for name, value in named.items() if value is not None}
