"""What a change of policy would have done to past nights: in records, lanes and cost, from the evidence that the ledger counted.

- Both policies decide the same evidence, families together. No text is read.
- Where the counts cannot tell (questions that were never asked, another model or directory that a policy names), the record is counted
  apart and never guessed (`policies/hindsight.py`).
- Destinations are those the record's job used: its strategy and endpoints, by the facts of the registry given. Overrides are left aside.
- Where the record itself was weighed (its tier, price, confidence, a full queue), it stays where it was as long as that is permitted: what
  the scales said is not weighed again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from detectors import load
from detectors.document import EvidenceKind, ReadProblem
from detectors.errors import DetectorsError
from flows.errors import JobError
from policies.assign import PREFERENCE
from policies.decide import UNREADABLE_RULE, decide_family, decide_unreadable
from policies.errors import PolicyFileError
from policies.facts import unmet
from policies.hindsight import Scanned, decide_in_hindsight
from policies.load import load_policy, parse_policy
from policies.model import Decision, Endpoint, Lane
from policies.policy import Policy
from policies.registry import load_registry
from policies.rules import NO_KINDS
from policies.yaml_value import Source
from sinks.ledger.decided import decided, destinations, prices, registered_policies
from sinks.ledger.entry import EvidenceCount

WEIGHED = frozenset({"tiered", "waterfall", "cheapest"})
WEIGHED_REASONS = frozenset({"overflow", "soonest", "escalated"})
HELD = "held"
CANNOT_TELL = "cannot tell"
SAME, OTHER_CLASSES, MOVED = "same", "other classes", "moved"
SHORTEST_HASH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record goes under a policy. endpoint: "" where the job never used one in this lane, or the record is held."""

    lane: str
    endpoint: str
    rule: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Records to which the change does the same."""

    change: str
    old: Place
    new: Place


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many, and what they cost; a cost is None once that of one of them is unknown."""

    records: int = 0
    cost_old: float | None = 0.0
    cost_new: float | None = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """by_group: everything that was decided in the range. why: of the records that cannot be told, by reason."""

    old: str
    new: str
    by_group: Mapping[Group, Tally] = field(repr=False)
    why: Counter[str]

    @property
    def by_change(self) -> Counter[str]:
        """Records by what the change does to them."""
        counted: Counter[str] = Counter()
        for group, tally in self.by_group.items():
            counted[group.change] += tally.records
        return counted


def compare(ledger: Path, old: str, new: str, *, since: date | None, until: date | None, registry: Path) -> PolicyDiff:
    """Decide every record of the range under both policies. old, new: a path, or (the beginning of) a hash in the ledger."""
    texts = registered_policies(ledger)
    hindsight = _Hindsight(texts)
    policies = [policy_named(name, texts, ledger) for name in (old, new)]
    jobs = _Jobs(destinations(ledger), load_registry(registry))
    paid = prices(ledger)
    groups: defaultdict[Group, Tally] = defaultdict(Tally)
    why: Counter[str] = Counter()
    for table in decided(ledger, since=since, until=until):
        for family in _families(table.to_pylist()):
            sides = [hindsight.decide(family, policy) for policy in policies]
            for place, row in enumerate(family):
                pair = [None if side is None else jobs.place(side[place], row) for side in sides]
                _count(groups, row, pair, paid)
                why.update([_reason(row)] if None in pair else [])
    return PolicyDiff(old=old, new=new, by_group=groups, why=why)


def policy_named(name: str, texts: Mapping[str, str], ledger: Path) -> Policy:
    """A policy file, or one that the ledger holds. Raises JobError, PolicyFileError."""
    if Path(name).is_file():
        return load_policy(Path(name))
    found = [one for one in texts if len(name) >= SHORTEST_HASH and one.startswith(name)]
    if len(found) != 1:
        raise JobError(
            f"{name}: expected a policy file, or the hash (its first {SHORTEST_HASH} digits or more) of one policy that is registered in "
            f"{ledger}; found {len(found)} such policies"
        )
    return parse_policy(Source(name=f"policy {found[0][:SHORTEST_HASH]} of the ledger", data=texts[found[0]].encode()))


class _Hindsight:
    """Decides past records again; knows the policies that decided then, and what detectors of today answer."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._then = {name: _parsed(name, text) for name, text in texts.items()}

    def decide(self, family: Sequence[Mapping[str, Any]], policy: Policy) -> list[Decision] | None:
        """The decisions of a family under a policy; None where those of one member cannot be told, as its classes would be everybody's."""
        decisions: list[Decision] = []
        for row in family:
            if row["rule"] == UNREADABLE_RULE:
                decisions.append(decide_unreadable(row["record_id"], ReadProblem.EMPTY, policy, ""))
                continue
            one = decide_in_hindsight(self._scanned(row, policy), policy)
            if one is None:
                return None
            decisions.append(one)
        return decide_family(decisions, policy) if len(decisions) > 1 else decisions

    def _scanned(self, row: Mapping[str, Any], policy: Policy) -> Scanned:
        then = self._then.get(row["policy_hash"])
        counts = tuple(EvidenceCount(**line) for line in row["evidence"] or ())
        settled = _settled(row, then, counts)
        names, kinds = _configured_apart(then, policy) if then else (frozenset(), NO_KINDS)
        return Scanned(
            record_id=row["record_id"],
            counts=tuple(line for line in counts if line.detector not in names),
            settled=settled - kinds,
            policy=then if not names and not kinds else None,
            data_classes=tuple(row["data_classes"] or ()),
            partial=bool(row["partial"]),
        )


def _settled(row: Mapping[str, Any], then: Policy | None, counts: Sequence[EvidenceCount]) -> frozenset[EvidenceKind]:
    """What was certainly asked: everything, where the policy wanted complete evidence and nothing failed. Else nobody can say."""
    failed = any(line.entity.startswith("failure:") for line in counts)
    if then is None or then.evidence != "complete" or row["partial"] or failed:
        return NO_KINDS
    today = _detectors(then)
    return then.kinds | (today.kinds if today is not None and today.hash == row["detectors_hash"] else NO_KINDS)


def _configured_apart(then: Policy, policy: Policy) -> tuple[frozenset[str], frozenset[EvidenceKind]]:
    """The detectors that the two policies set up differently (a names model, directories of counsel), and what they answer."""
    if (then.ner, then.participants) == (policy.ner, policy.participants):
        return frozenset(), NO_KINDS
    bare = {detector.name for detector in load().detectors}
    sets = [_detectors(one) for one in (then, policy)]
    own = [detector for one in sets if one is not None for detector in one.detectors if detector.name not in bare]
    kinds = NO_KINDS.union(*(detector.provides for detector in own))
    # A model that is not installed here cannot say what it answers: then every entity and marker is open.
    missing = None in sets
    return frozenset(detector.name for detector in own), kinds | (then.kinds | policy.kinds if missing else NO_KINDS)


@cache
def _load(ner: Any, participants: Any) -> Any:
    try:
        return load(ner=ner, participants=participants)
    except DetectorsError:
        return None


def _detectors(policy: Policy) -> Any:
    return _load(policy.ner, policy.participants)


def _parsed(name: str, text: str) -> Policy | None:
    try:
        return parse_policy(Source(name=f"policy {name}", data=text.encode()))
    except PolicyFileError:
        return None


def _families(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    families: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        families[row["run_id"], row["family"] or row["record_id"]].append(row)
    return iter(families.values())


class _Jobs:
    """Where each job sends: its strategy, and the endpoints it ever used in each lane."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], registry: Mapping[str, Endpoint]) -> None:
        self._registry = registry
        self._strategy: dict[str, str] = {}
        self._endpoints: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._without: set[tuple[str, str]] = set()
        for row in rows:
            self._strategy[row["job"]] = row["strategy"]
            self._endpoints[row["job"], row["lane"]].append(row["endpoint"])
            if row["reason"] == "fallback":  # permitted, and yet not taken: the job has no endpoint there
                self._without.add((row["job"], PREFERENCE[row["strategy"]][0]))

    def place(self, decision: Decision, row: Mapping[str, Any]) -> Place:
        """Where the record goes under a decision."""
        lane, endpoint = self._stayed(decision, row) or self._chosen(decision, row["job"])
        return Place(lane=lane, endpoint=endpoint, rule=decision.rule, classes=decision.data_classes)

    def _stayed(self, decision: Decision, row: Mapping[str, Any]) -> tuple[str, str] | None:
        lane, endpoint = row["lane"], row["endpoint"]
        weighed = row["strategy"] in WEIGHED or row["reason"] in WEIGHED_REASONS
        if not weighed or not endpoint or lane not in decision.lanes:
            return None
        return (lane, endpoint) if lane == Lane.LOCAL or self._satisfies(endpoint, decision) else None

    def _chosen(self, decision: Decision, job: str) -> tuple[str, str]:
        for lane in PREFERENCE[self._strategy.get(job, "cloud_first")]:
            used = self._endpoints.get((job, lane), [])
            if lane not in decision.lanes or (not used and (job, lane) in self._without):
                continue
            able = [name for name in dict.fromkeys(used) if lane is Lane.LOCAL or self._satisfies(name, decision)]
            if able or not used:
                return lane, able[0] if able else ""
        return HELD, ""

    def _satisfies(self, name: str, decision: Decision) -> bool:
        endpoint = self._registry.get(name)
        return not decision.cloud_requires or (endpoint is not None and not unmet(endpoint, decision.cloud_requires))


def _reason(row: Mapping[str, Any]) -> str:
    return "partial evidence" if row["partial"] else "questions not asked, or not as this policy would"


def _count(groups: defaultdict[Group, Tally], row: Mapping[str, Any], pair: Sequence[Place | None], paid: Mapping[str, float]) -> None:
    old, new = (one or _then(row) for one in pair)
    if None in pair:
        change = CANNOT_TELL
    elif (old.lane, old.endpoint) != (new.lane, new.endpoint):
        change = MOVED
    else:
        change = SAME if set(old.classes) == set(new.classes) else OTHER_CLASSES
    tally = groups[Group(change=change, old=old, new=new if change != CANNOT_TELL else _unknown())]
    tally.records += 1
    tally.cost_old = _plus(tally.cost_old, _cost(old, row, paid))
    tally.cost_new = None if change == CANNOT_TELL else _plus(tally.cost_new, _cost(new, row, paid))


def _then(row: Mapping[str, Any]) -> Place:
    """As it was decided and assigned."""
    return Place(lane=row["lane"] or HELD, endpoint=row["endpoint"] or "", rule=row["rule"] or "", classes=tuple(row["data_classes"] or ()))


def _unknown() -> Place:
    return Place(lane="?", endpoint="", rule="", classes=())


def _cost(place: Place, row: Mapping[str, Any], paid: Mapping[str, float]) -> float | None:
    """Nothing where it is held; what was paid, where it went there; else its tokens at what that endpoint cost; else unknown."""
    if place.lane == HELD:
        return 0.0
    if row["done_at"] == place.endpoint and row["cost_usd"] is not None:
        return float(row["cost_usd"])
    if place.endpoint not in paid or row["tokens_in"] is None or row["tokens_out"] is None:
        return None
    return float((row["tokens_in"] + row["tokens_out"]) * paid[place.endpoint])


def _plus(total: float | None, more: float | None) -> float | None:
    return None if total is None or more is None else total + more
