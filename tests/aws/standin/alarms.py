"""What is true of alarms: which there are, and every change of their states, without any server.

Every place has a metric alarm for each service of its clusters, one composite alarm, one log alarm, as many further metric
alarms as its `alarms` has under `more`, and one of each name under `named`. `said` ends each reason. Time is cut into slots of
`slot` seconds. Once in each slot, at a millisecond that depends on the seed, an alarm takes the state of the slot: OK, ALARM or
INSUFFICIENT_DATA, often the one it had. `lives` may give an alarm a `from`, at which it is made and is INSUFFICIENT_DATA, and an
`until`, at which it is deleted.
"""
from dataclasses import dataclass

from .world import fraction

SLOT = 420
SHARES = ((0.55, "OK"), (0.9, "ALARM"), (1.0, "INSUFFICIENT_DATA"))
QUOTED = '"quoted", a \\ and an é'


@dataclass(frozen=True)
class Alarm:
    """One alarm of an account and region; times in milliseconds, None is always."""
    account: str
    region: str
    name: str
    kind: str
    slot: int
    since: int
    until: int
    detail: tuple = ()
    said: str = QUOTED

    @property
    def arn(self):
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{self.name}"

    def there(self, now):
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)


@dataclass(frozen=True)
class Change:
    ms: int
    old: str
    new: str
    said: str = QUOTED

    @property
    def reason(self):
        return f"{self.new} after {self.old}: 3 datapoints looked at, {self.said}"


class Alarms:
    """The alarms of a world and their states."""

    def __init__(self, world):
        self.world = world

    def of(self, account, region):
        """Every alarm there ever is, in the order of names."""
        tenant = self.world.by_account.get(account)
        place = tenant["regions"].get(region) if tenant else None
        if place is None:
            return []
        how = place.get("alarms", {})
        found = []
        for name, kind, detail in _named(place, how.get("more", 0), how.get("named", ())):
            life = how.get("lives", {}).get(name, {})
            since, until = (None if life.get(key) is None else int(life[key] * 1000) for key in ("from", "until"))
            found.append(Alarm(account, region, name, kind, how.get("slot", SLOT), since, until, detail,
                               how.get("said", QUOTED)))
        return sorted(found, key=lambda alarm: alarm.name)

    def all(self):
        """(tenant, Alarm) for all there is, in the world's order."""
        for tenant in self.world.tenants:
            for region in tenant["regions"]:
                for alarm in self.of(tenant["account"], region):
                    yield tenant, alarm

    def _slot_state(self, alarm, slot):
        share = fraction(self.world.seed, "alarm state", alarm.account, alarm.region, alarm.name, slot)
        return next(state for limit, state in SHARES if share < limit)

    def _slot_ms(self, alarm, slot):
        part = fraction(self.world.seed, "alarm time", alarm.account, alarm.region, alarm.name, slot)
        return slot * alarm.slot * 1000 + int(part * alarm.slot * 1000)

    def changes(self, alarm, start, end):
        """The transitions in [start, end), milliseconds."""
        width = alarm.slot * 1000
        if alarm.since is None:
            slot = start // width
            state = self._slot_state(alarm, slot - 1)
        else:
            slot, state = alarm.since // width, "INSUFFICIENT_DATA"
        end = end if alarm.until is None else min(end, alarm.until)
        while slot * width < end:
            ms, new = self._slot_ms(alarm, slot), self._slot_state(alarm, slot)
            slot += 1
            if alarm.since is not None and ms <= alarm.since:
                continue
            if new != state and start <= ms < end:
                yield Change(ms, state, new, alarm.said)
            state = new

    def state(self, alarm, ms):
        """(state, in it since, reason) at a moment; None where the alarm is not there."""
        if not alarm.there(ms):
            return None
        width = alarm.slot * 1000
        for back in (2, 20, 200, 2000):
            found = list(self.changes(alarm, (ms // width - back) * width, ms + 1))
            if found:
                return found[-1].new, found[-1].ms, found[-1].reason
        return "INSUFFICIENT_DATA", alarm.since or 0, "Unchecked: Initial alarm creation"


def _named(place, more, further):
    """(name, type, detail) of each alarm of a place."""
    names = []
    for cluster in place.get("clusters", []):
        for service in cluster["services"]:
            pairs = (("ClusterName", cluster["name"]), ("ServiceName", service["name"]))
            names.append((f"{cluster['name']}-{service['name']}-cpu-high", "MetricAlarm", pairs))
    names += [(f"more-{number:04d}", "MetricAlarm", ()) for number in range(more)]
    names += [(name, "MetricAlarm", ()) for name in further]
    rule = " OR ".join(f'ALARM("{name}")' for name, _, _ in names[:2])
    names.append((f"any of {{them}} {QUOTED}", "CompositeAlarm", (rule,)))
    names.append(("errors-logged", "LogAlarm", ()))
    return names
