"""Verdicts of people on a sample of what was sent: checked line by line, entered in the ledger, and what they say of all that was sent.

- All lines are good, or nothing is entered. A sample that is filled in half says nothing, so every item needs its verdict.
- What a file may speak of follows from the ledger alone: the sample is drawn again, and a record that is not in it is refused.
- Entering a file again changes nothing. A reviewer's later word replaces the earlier one; between reviewers the more severe one counts,
  because counter-evidence lowers nothing (invariant 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.errors import ReviewError
from flows.leak_rate import CONFIRMED, IN_DOUBT, LEAK, MISSED_CLASS, SEVERITY, LeakRate, leak_rates
from flows.review_file import ReviewLine, read_review
from flows.sampling import Sample, Sampled, SampleSpec, draw
from policies.errors import PolicyFileError
from policies.facts import Fact
from policies.load import parse_policy
from policies.model import BUILT_IN_CLASSES, CLEAN, UNSCANNABLE, Lane
from policies.policy import Policy, verdict
from policies.yaml_value import Source
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lock import one_runner
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sent import last_seq

UNSURE = "UNSURE"
_BETWEEN_WORDS = re.compile(r"[\s+,;]+")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOCK = "waybill.review"  # no job can have this name


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one reviewer says of one text. data_classes is (UNSURE,) where they cannot tell."""

    item: Sampled
    reviewer: str
    data_classes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What was entered, and what is known of the sample by now."""

    spec: SampleSpec
    entered: int
    missed_classes: int
    reviewers: tuple[str, ...]
    rates: tuple[LeakRate, ...]


def enter_review(folder: Path, file: Path, *, reviewer: str, keys: Path | None = None) -> Review:
    """Check and enter a file; raises ReviewError that names every bad line, one a line."""
    lines = read_review(file)
    sample = draw(folder, _spec_of(lines, file, folder))
    verdicts = check_lines(lines, sample, _Policies(folder), reviewer=reviewer, file=file)
    ledger = Ledger.open(folder, keys=keys)
    with one_runner(ledger.path, _LOCK, wait=True):
        said = {(record, text, actor): after for record, text, actor, after, _ in _entered(ledger, sample.spec)}
        entries = [_entry(one, sample.spec) for one in verdicts if said.get(_who_of_what(one)) != "+".join(one.data_classes)]
        ledger.commit(entries)
    return _review(ledger, sample, len(entries))


def _who_of_what(one: Verdict) -> tuple[str, str, str]:
    return one.item.record_id, one.item.document_hmac, one.reviewer


def _spec_of(lines: Sequence[ReviewLine], file: Path, folder: Path) -> SampleSpec:
    if not lines:
        raise ReviewError(f"{file}: expected the lines of a sample, found none")
    spec = SampleSpec.parse(lines[0].sample)
    if spec.as_of > last_seq(folder):
        raise ReviewError(f"{file}:{lines[0].number}: the sample is of another ledger, or of an older copy than it knows; name its ledger")
    return spec


def check_lines(lines: Sequence[ReviewLine], sample: Sample, policies: _Policies, *, reviewer: str, file: Path) -> list[Verdict]:
    """The verdicts, in the order of the file. Raises ReviewError with everything that is wrong."""
    drawn = {one.item: one for one in sample.items}
    verdicts: list[Verdict] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for line in lines:
        try:
            one = _item(line, sample, drawn, seen)
            verdicts.append(_verdict(line, one, policies, reviewer))
        except ReviewError as error:
            problems.append(f"{file}:{line.number}: {error}")
        seen.setdefault(line.item, line.number)
    left = len(drawn.keys() - seen.keys())
    if left:
        problems.append(f"{file}: {left} of the {len(drawn)} items of the sample have no line; without them it is no random sample")
    if problems:
        raise ReviewError("\n".join(problems))
    return verdicts


def _item(line: ReviewLine, sample: Sample, drawn: Mapping[str, Sampled], seen: Mapping[str, int]) -> Sampled:
    """What the line is about. Raises ReviewError with what is wrong, without the place; so does `_verdict`."""
    if line.sample != sample.spec.text:
        raise ReviewError("another sample than the first line's; give each sample a file of its own")
    one = drawn.get(line.item)
    if one is None or one.record_id != line.record_id:
        raise ReviewError("this record is not in the sample, or was never sent")
    if line.item in seen:
        raise ReviewError(f"the same item as in line {seen[line.item]}")
    return one


def _verdict(line: ReviewLine, one: Sampled, policies: _Policies, reviewer: str) -> Verdict:
    name = line.reviewer or reviewer
    if not _NAME.fullmatch(name) or not name.strip():
        raise ReviewError("reviewer: expected a name of at most 100 characters in one line")
    words = tuple(dict.fromkeys(word for word in _BETWEEN_WORDS.split(line.verdict.upper()) if word))
    if not words:
        raise ReviewError(f"verdict: expected data classes, {CLEAN} or {UNSURE}, found nothing")
    unknown = [word for word in words if word not in policies.classes | {UNSURE}]
    if unknown:
        known = ", ".join(sorted(policies.classes | {UNSURE}))
        raise ReviewError(f"verdict: expected some of {known}; found another word")
    if len(words) > 1 and {CLEAN, UNSURE} & set(words):
        raise ReviewError(f"verdict: expected {CLEAN} or {UNSURE} alone, found more beside it")
    return Verdict(item=one, reviewer=name, data_classes=words, reason=reason_of(one, words, policies.of(one.policy_hash)))


def reason_of(item: Sampled, words: Sequence[str], policy: Policy | None) -> str:
    """What a verdict means: would the policy that decided have let the text go, had these classes been known?"""
    if UNSURE in words:
        return IN_DOUBT
    more = set(words) - {CLEAN} - set(item.data_classes)
    if not more:
        return CONFIRMED
    if policy is None:  # nobody can say any more what it would have permitted
        return LEAK
    found = verdict(policy, sorted((set(words) | set(item.data_classes)) - {CLEAN}))
    checked = {_written(name, value) for name, value in found.cloud_requires.items()} <= set(item.cloud_requires)
    return MISSED_CLASS if Lane.CLOUD in found.lanes and checked else LEAK


def _written(name: str, value: Fact) -> str:
    """A requirement as `decided` states it."""
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"


class _Policies:
    """The policies that ever decided in this ledger. classes: every word that a reviewer may use for a class."""

    def __init__(self, folder: Path) -> None:
        with reading(folder, ("policies",)) as reader:
            rows = reader.table("SELECT policy_hash, policy_text FROM policies").to_pylist()
        self._known = {row["policy_hash"]: _parsed(row["policy_hash"], row["policy_text"]) for row in rows}
        declared = {name for policy in self._known.values() if policy for name in policy.classes}
        self.classes = frozenset(declared | set(BUILT_IN_CLASSES)) - {UNSCANNABLE}

    def of(self, policy_hash: str) -> Policy | None:
        """The policy of this hash, where its text is there and can still be read."""
        return self._known.get(policy_hash)


def _parsed(policy_hash: str, text: str | None) -> Policy | None:
    try:
        return parse_policy(Source(name=f"policy {policy_hash}", data=(text or "").encode()))
    except PolicyFileError:
        return None


def _entry(one: Verdict, spec: SampleSpec) -> Entry:
    return Entry(
        event=Event.REVIEWED,
        at=datetime.now(UTC),
        run_id=one.item.run_id,
        record_id=one.item.record_id,
        actor=one.reviewer,
        detail_code=spec.text,
        document_hmac=one.item.document_hmac,
        endpoint=one.item.endpoint,
        policy_hash=one.item.policy_hash or None,
        reason=one.reason,
        before="+".join(one.item.data_classes) or None,
        after="+".join(one.data_classes),
    )


def _entered(ledger: Ledger, spec: SampleSpec) -> Iterator[tuple[str, str, str, str, str]]:
    """Record, text, reviewer, verdict, reason: the last word of each reviewer on each text of the sample."""
    with reading(ledger) as reader:
        rows = reader.table(
            """
            SELECT record_id, document_hmac, actor, arg_max(after, seq) AS after, arg_max(reason, seq) AS reason
            FROM entries WHERE event = 'reviewed' AND detail_code = $spec GROUP BY ALL
            """,
            spec=spec.text,
        )
    for row in rows.to_pylist():
        yield row["record_id"], row["document_hmac"], row["actor"], row["after"], row["reason"]


def _review(ledger: Ledger, sample: Sample, entered: int) -> Review:
    worst: dict[tuple[str, str], str] = {}
    reviewers: set[str] = set()
    for record_id, text, actor, _, reason in _entered(ledger, sample.spec):
        reviewers.add(actor)
        worst[record_id, text] = max(worst.get((record_id, text), CONFIRMED), reason, key=SEVERITY.index)
    return Review(
        spec=sample.spec,
        entered=entered,
        missed_classes=sum(reason == MISSED_CLASS for reason in worst.values()),
        reviewers=tuple(sorted(reviewers)),
        rates=leak_rates(sample, worst),
    )
