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
    for name in ("gap-rate", "late-rate"):
        group.add_argument(f"--{name}", type=float, metavar="SHARE")
    for name in ("late-max", "delay", "list-delay"):
        group.add_argument(f"--{name}", type=int, metavar="SECONDS")
    group.add_argument("--bucket", action="append", default=[], metavar="NAME[:OWNER[:REGION]]",
                       help="a bucket beside those of the file (default: the central account's, in the central region)")


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
        late_max=args.late_max, delay=args.delay, list_delay=args.list_delay)
