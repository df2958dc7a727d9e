"""A random sample of what was sent, for people to read again, and the file that carries it to them and back.

- Reproducible: the texts with the smallest digests, keyed by the seed, of all that was sent in the range up to one entry of the ledger. Who
  has the ledger and the one line that names the sample (`SampleSpec.text`) draws the same again; nothing needs to be stored.
- A text counts once, however often and wherever to it was sent. Every text has the same chance.
- The file holds ids and classes. Names of sources are in it only where they were asked for, and no cell can be taken for a formula.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from flows.errors import ReviewError
from sinks.ledger.segments import Ledger
from sinks.ledger.sent import Range, last_seq, sent_texts, sent_texts_at_once

SEED = re.compile(r"[A-Za-z0-9-]{1,40}")
ITEM_DIGITS = 16
MOST = 1_000_000
"""More than anybody reads."""
NO_SAMPLE = "sample: expected the line that `waybill audit sample` wrote, found something else"
_SPEC = re.compile(
    r"sample:(?P<seed>[A-Za-z0-9-]{1,40}):(?P<size>\d{1,7}):(?P<since>[\d-]*):(?P<until>[\d-]*):(?P<data_class>[A-Z0-9_]*):(?P<as_of>\d{1,18})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSpec:
    """What names a sample. since is included, until is not. as_of: the last entry of the ledger that it knows of."""

    seed: str
    size: int
    as_of: int
    since: date | None = None
    until: date | None = None
    data_class: str | None = None

    @property
    def text(self) -> str:
        """In one line, as the file and the ledger state it: `sample:SEED:SIZE:SINCE:UNTIL:CLASS:AS_OF`."""
        days = ":".join(day.isoformat() if day else "" for day in (self.since, self.until))
        return f"sample:{self.seed}:{self.size}:{days}:{self.data_class or ''}:{self.as_of}"

    @classmethod
    def parse(cls, text: str) -> SampleSpec:
        """Read such a line. Raises ReviewError."""
        found = _SPEC.fullmatch(text)
        if found is None or not 0 < int(found["size"]) <= MOST:
            raise ReviewError(NO_SAMPLE)
        return cls(
            seed=found["seed"],
            size=int(found["size"]),
            since=_day(found["since"]),
            until=_day(found["until"]),
            data_class=found["data_class"] or None,
            as_of=int(found["as_of"]),
        )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ReviewError(NO_SAMPLE) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One text that was drawn. item: names it in the file. The rest is of its last hand-over in the range."""

    item: str
    record_id: str
    document_hmac: str
    day: date
    run_id: str
    endpoint: str
    data_classes: tuple[str, ...]
    rule: str
    cloud_requires: tuple[str, ...]
    policy_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A drawn sample, in the order of the draw. population: how many texts it was drawn from. by_class: of these, by decided class."""

    spec: SampleSpec
    population: int
    by_class: Mapping[str, int]
    items: tuple[Sampled, ...] = field(repr=False)


def new_spec(ledger: Path, *, seed: str, size: int, since: date | None, until: date | None, data_class: str | None) -> SampleSpec:
    """Name a sample of what the ledger holds now. Raises ReviewError for a seed that could not be written down."""
    if not SEED.fullmatch(seed):
        raise ReviewError("--seed: expected at most 40 letters, digits and hyphens")
    return SampleSpec(seed=seed, size=size, since=since, until=until, data_class=data_class, as_of=last_seq(ledger))


def draw(ledger: Ledger | Path, spec: SampleSpec, *, at_once: bool = False) -> Sample:
    """Draw the sample. Memory is bounded by its size and by a share of the records; at_once: by all that was sent, which is quicker."""
    drawn: list[tuple[int, str, dict[str, Any]]] = []
    population = 0
    by_class: dict[str, int] = {}
    wanted = Range(since=spec.since, until=spec.until, as_of=spec.as_of)
    for answer in (sent_texts_at_once if at_once else sent_texts)(ledger, wanted, data_class=spec.data_class):
        population += answer.num_rows
        for counted in answer["data_classes"].combine_chunks().flatten().value_counts().to_pylist():
            by_class[counted["values"]] = by_class.get(counted["values"], 0) + counted["counts"]
        texts = zip(answer["record_id"].to_pylist(), answer["document_hmac"].to_pylist(), strict=True)
        for row, (record_id, document_hmac) in enumerate(texts):
            digest = _digest(spec.seed, record_id, document_hmac)
            rank = -int(digest, 16)
            # Of millions of texts only the drawn ones become objects.
            if len(drawn) < spec.size:
                heapq.heappush(drawn, (rank, digest, answer.slice(row, 1).to_pylist()[0]))
            elif rank > drawn[0][0]:
                heapq.heapreplace(drawn, (rank, digest, answer.slice(row, 1).to_pylist()[0]))
    drawn.sort(key=lambda entry: entry[1])
    return Sample(spec=spec, population=population, by_class=by_class, items=tuple(_sampled(digest, row) for _, digest, row in drawn))


def _digest(seed: str, record_id: str, document_hmac: str) -> str:
    return hmac.digest(seed.encode(), f"{record_id} {document_hmac}".encode(), hashlib.sha256).hex()


def _sampled(digest: str, row: Mapping[str, Any]) -> Sampled:
    return Sampled(
        item=f"s{digest[:ITEM_DIGITS]}",
        record_id=row["record_id"],
        document_hmac=row["document_hmac"],
        day=row["day"],
        run_id=row["run_id"],
        endpoint=row["endpoint"],
        data_classes=tuple(row["data_classes"] or ()),
        rule=row["rule"] or "",
        cloud_requires=tuple(row["cloud_requires"] or ()),
        policy_hash=row["policy_hash"] or "",
    )


def rows_of(sample: Sample, names: Mapping[str, Any] | None = None) -> Sequence[dict[str, str]]:
    """The lines of the file: `verdict` and `reviewer` are the reviewer's to fill. names: what records are called, where that is wanted."""
    rows = []
    for one in sample.items:
        name = names.get(one.record_id) if names is not None else None
        called = {"source": name.source if name else "", "source_id": (name.source_id if name else "") or ""} if names is not None else {}
        rows.append(
            {"item": one.item, "record_id": one.record_id}
            | called
            | {
                "sent": one.day.isoformat(),
                "endpoint": one.endpoint,
                "data_classes": " ".join(one.data_classes),
                "rule": one.rule,
                "verdict": "",
                "reviewer": "",
                "sample": sample.spec.text,
            }
        )
    return rows
