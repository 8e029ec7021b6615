"""The world: which accounts, roles, clusters, services and custom metrics there are.

A world is a JSON document, written by generate() from a seed or edited by hand; World reads one. It holds names,
lifetimes and rates but no values: those are truth.py's, a pure function of the world's seed and of each identity.
"""
import base64
import hashlib
import json

FORMAT = 1
FIRST_EPOCH = 1767225600  # 2026-01-01T00:00:00Z
DAY = 86400
CLUSTERS = ("shop", "billing", "search", "media")
SERVICES = ("api", "web", "worker", "cart", "mail", "auth", "feed", "index")
ENVIRONMENTS = ("prod-a", "prod-b", "test")
DEFAULTS = {
    "delay": 120,       # seconds from a point's timestamp until it can be read
    "gap_rate": 0.02,   # share of minutes without a point
    "late_rate": 0.0,   # share of points that come later than `delay`
    "late_max": 900,    # ... by up to this many seconds
    "revise_rate": 0.0,  # share of points whose value changes once after they can be read
    "revise_max": 900,  # ... after up to this many seconds
    "list_delay": 0,    # seconds from a series' birth until ListMetrics shows it
    "log_delay": 2,     # seconds from an event's timestamp until it is ingested, and can be found
    "log_late_rate": 0.0,  # share of events that are ingested later
    "log_late_max": 900,   # ... by up to this many seconds
    "trace_delay": 30,  # seconds from a trace's end until X-Ray shows it
    "trace_unprocessed": 0.0,  # share of ids that BatchGetTraces leaves unprocessed at first
    "alarm_history_delay": 0,  # seconds until a change of an alarm's state is in the history
}
LOGS = {
    "rate": 0.2,        # events a second, of each group
    "huge": 0.0,        # share of events of a megabyte
    "bursts": [],       # of the first group: {"at": ms, "events": N, "within": ms}
    "more_groups": 0,
}


def digest(*parts):
    """Sixteen bytes that depend on every part and on nothing else."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()


def fraction(*parts):
    """A number in [0, 1) that depends on every part and on nothing else."""
    return int.from_bytes(digest(*parts)[:6], "big") / 2**48


def key_id(prefix, raw):
    return prefix + base64.b32encode(raw).decode()[:16]


def secret_key(raw):
    return base64.b64encode(hashlib.sha256(raw).digest()).decode()[:40]


def _lifetime(seed, births, ends, epoch, span, *name):
    """When a service begins and ends: null is always."""
    since = until = None
    if fraction(seed, "born", *name) < births:
        since = epoch + int(fraction(seed, "birth", *name) * span) // 60 * 60
    if fraction(seed, "mortal", *name) < ends:
        until = (since or epoch) + 60 * (1 + int(fraction(seed, "end", *name) * span) // 60)
    return {"from": since, "until": until}


def _service(seed, index, life, *where):
    name = SERVICES[index % len(SERVICES)]
    if index >= len(SERVICES):
        name += f"-{index // len(SERVICES)}"
    tasks = 1 + int(fraction(seed, "tasks", name, *where) * 5)
    return {"name": name, "family": f"{name}-task", "tasks": tasks, **life(*where, name)}


def _custom():
    """Series of a namespace of the tenant's own: two with dimensions, one without any."""
    rows = []
    for environment in ENVIRONMENTS:
        for metric, unit in (("OrdersPlaced", "Count"), ("PaymentLatency", "Milliseconds")):
            rows.append({"namespace": "Checkout", "metric": metric, "unit": unit,
                         "dimensions": {"Environment": environment}})
    rows.append({"namespace": "Checkout", "metric": "QueueDepth", "unit": "Count", "dimensions": {}})
    return rows


def _log_groups(clusters, logs):
    """A group for each service of the first cluster, one of a web server, the clusters' performance, and more of the
    first kind as wished."""
    names = [f"/ecs/app-{service['name']}" for service in clusters[0]["services"]] if clusters else []
    names += [f"/ecs/more-{number:04d}" for number in range(logs["more_groups"])]
    groups = [{"name": name, "kind": "app", "rate": logs["rate"], "streams": 3, "huge": logs["huge"],
               "bursts": logs["bursts"] if name == names[0] else []} for name in names]
    groups.append({"name": "/ecs/edge", "kind": "access", "rate": logs["rate"], "streams": 2})
    groups += [{"name": f"/aws/ecs/containerinsights/{cluster['name']}/performance", "kind": "performance",
                "rate": 0.0, "streams": 2} for cluster in clusters]
    return [{**group, "created": logs["created"]} for group in groups]


def _region(seed, clusters, services, life, logs, account, region):
    named = []
    for number in range(clusters):
        name = f"{CLUSTERS[number % len(CLUSTERS)]}-{number + 1}"
        where = (account, region, name)
        named.append({"name": name, "services": [_service(seed, s, life, *where) for s in range(services)]})
    return {"clusters": named, "custom": _custom(), "log_groups": _log_groups(named, logs)}


def _tenant(seed, number, regions, build):
    name = f"t{number:04d}"
    account = f"2{seed % 1000:03d}{number:08d}"
    path = "team/" if number % 5 == 0 else ""  # a role's path is not part of the session's ARN
    return {
        "id": name,
        "account": account,
        "role": f"arn:aws:iam::{account}:role/{path}muster-reader",
        "external_id": f"{name}:{digest(seed, 'external', name).hex()[:10]}",
        "max_session": 3600,
        "regions": {region: build(account, region) for region in regions},
    }


def _central(seed):
    account = f"1{seed % 1000:03d}00000001"
    return {
        "account": account,
        "user": "muster",
        "access_key": key_id("AKIA", digest(seed, "central")),
        "secret_key": secret_key(digest(seed, "central secret")),
    }


def generate(tenants, seed, regions, services, clusters=1, regions_per_tenant=None, births=0.0, ends=0.0,
             epoch=FIRST_EPOCH, span=6 * 3600, logs=None, **rates):
    """A world as a document. Births and ends fall into [epoch, epoch + span). `logs` are changes to LOGS."""
    logs = {**LOGS, "created": (epoch - DAY) * 1000, **(logs or {})}

    def life(*name):
        return _lifetime(seed, births, ends, epoch, span, *name)

    def build(account, region):
        return _region(seed, clusters, services, life, logs, account, region)

    def share(number):
        count = min(regions_per_tenant or len(regions), len(regions))
        return [regions[(number + i) % len(regions)] for i in range(count)]

    central = _central(seed)
    return {
        "format": FORMAT,
        "seed": seed,
        "region": regions[0],
        "central": central,
        **DEFAULTS,
        **{name: value for name, value in rates.items() if value is not None},
        "roles": [{"arn": f"arn:aws:iam::{central['account']}:role/{name}-writer", "external_id": None,
                   "max_session": 3600} for name in ("amp", "lake")],
        "tenants": [_tenant(seed, n, share(n - 1), build) for n in range(1, tenants + 1)],
    }


def organize(document, page=20):
    """Put the world's tenants into an organization: a root with the units prod and test, and prod with one more, eu.
    Its management account is no tenant; the role `lister` in it may list."""
    management = document["central"]["account"][:-1] + "2"
    units = [{"id": "ou-abcd-prod0001", "name": "prod", "parent": "r-abcd"},
             {"id": "ou-abcd-test0001", "name": "test", "parent": "r-abcd"},
             {"id": "ou-abcd-prodeu01", "name": "eu", "parent": "ou-abcd-prod0001"}]
    accounts = [{"account": management, "name": "Management", "email": "root@example.com", "parent": "r-abcd"}]
    for number, tenant in enumerate(document["tenants"]):
        accounts.append({"account": tenant["account"], "name": f"Tenant {tenant['id'].upper()}",
                         "email": f"{tenant['id']}@example.com", "parent": units[number % 3]["id"],
                         "tags": {"tenant": tenant["id"], "muster": "yes", "tier": ("gold", "silver")[number % 2],
                                  "external": tenant["external_id"]}})
    document["organization"] = {"id": "o-abcdefghij", "root": "r-abcd", "management": management, "units": units,
                                "accounts": accounts, "page": page}
    document["roles"].append({"arn": f"arn:aws:iam::{management}:role/lister", "external_id": None,
                              "max_session": 3600})


def link(document, types=("AWS::CloudWatch::Metric", "AWS::Logs::LogGroup")):
    """Link every tenant to the central account, wherever the tenant is."""
    document["links"] = [{"account": tenant["account"], "region": region, "label": tenant["id"], "types": list(types)}
                         for tenant in document["tenants"] for region in tenant["regions"]]


class World:
    """A world document with the look-ups the services need."""

    def __init__(self, document):
        if document.get("format") != FORMAT:
            raise ValueError(f"not a world of format {FORMAT}")
        self.document = {**DEFAULTS, **document}
        self.seed = document["seed"]
        self.region = document["region"]
        self.central = document["central"]
        self.tenants = document["tenants"]
        self.by_account = {tenant["account"]: tenant for tenant in self.tenants}
        self.roles = {role["arn"]: role for role in document.get("roles", [])}
        for tenant in self.tenants:
            self.roles[tenant["role"]] = {**tenant, "arn": tenant["role"]}
        self.buckets = document.get("buckets", [])
        self.regions = {self.region}.union(*(tenant["regions"] for tenant in self.tenants))

    def linked(self, account, region, kind):
        """The accounts whose data of this kind (AWS::CloudWatch::Metric, ...) `account` can read in a region."""
        if account != self.central["account"]:
            return []
        return [link["account"] for link in self.document.get("links", [])
                if link["region"] == region and kind in link["types"]]

    @property
    def central_role(self):
        """Whose keys instances, containers and web identities of the central account get."""
        return f"arn:aws:iam::{self.central['account']}:role/{self.central['user']}"

    def central_token(self, kind):
        """What must be shown for them: of "imds", "container", "web"."""
        return f"{kind}-{digest(self.central['secret_key'], kind).hex()}"

    def __getitem__(self, name):
        return self.document[name]

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))


def dumps(document):
    """A world as text, the same for the same world."""
    return json.dumps(document, indent=1) + "\n"
