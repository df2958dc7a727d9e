"""Commit, compaction, questions, chain check, deep verification and size of the sealed ledger, beside a plain insert and a plain write.

`make bench-ledger`; `--entries N` for another size. Entries are those of a night, invented: decided, assigned, cleared, submitting and
completed for each record. Committing is timed from the columns on: hash, tree, sign, write, fsync, link. Figures are the best of their
repetitions, because others may use the machine; the ratios are to the same rows in the same run.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from report import Figure, write

from sinks.ledger import files
from sinks.ledger.compaction import compact
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.schema import DICTIONARY_COLUMNS, to_table, with_sequence
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify
from sinks.ledger.views import DATABASE

SHARD_RECORDS = 500
ENTITIES = ("PERSON", "US_SSN", "EMAIL_ADDRESS", "PHONE_NUMBER", "MEDICAL_RECORD_NUMBER", "DATE_TIME", "health")
RUN = "night-2026-11-22"
START = datetime(2026, 11, 22, 1, tzinfo=UTC)
COMMIT_TARGET, DEEP_TARGET, CHAIN_TARGET_S, SIZE_TARGET = 150_000, 250_000, 2.0, 150
DAILY_TARGET_S, HISTORY_TARGET_S = 0.5, 0.25
TEN_MILLION = 10_000_000


class Night:
    """Invented entries, shard by shard; the same seed gives the same night."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.hashes = {name: self.digits(64) for name in ("policy_hash", "detectors_hash", "template_hash")}

    def digits(self, count: int) -> str:
        """So many random hex digits."""
        return self.chance.randbytes(count // 2).hex()

    def shard(self, number: int) -> list[Entry]:
        """The five entries of each record of one shard, in the order that a night writes them."""
        local = self.chance.random() < 0.4  # noqa: PLR2004 - a share
        common: dict[str, Any] = {"run_id": RUN, "lane": "local" if local else "cloud", "endpoint": "vllm" if local else "openai-batch-us"}
        intent, shard_hmac = self.digits(16), self.digits(32)
        at = START + timedelta(seconds=10 * number)
        stages: list[list[Entry]] = [[], [], []]
        for row in range(SHARD_RECORDS):
            record, clearance, payload, size = f"r{self.digits(24)}", self.digits(32), self.digits(32), self.chance.randrange(500, 20_000)
            moment = at + timedelta(milliseconds=20 * row)
            cleared = {"clearance_id": clearance, "payload_hmac": payload, "payload_bytes": size, "attempt": 1}
            stages[0] += [
                self.decided(record, moment, local=local),
                Entry(event=Event.ASSIGNED, at=moment, record_id=record, strategy="prefer_cloud", reason="permitted", **common),
                Entry(event=Event.CLEARED, at=moment, record_id=record, **common, **cleared),
            ]
            handed = {**common, **cleared, "intent_id": intent, "shard_hmac": shard_hmac}
            stages[1].append(Entry(event=Event.SUBMITTING, at=at + timedelta(seconds=10), record_id=record, **handed))
            stages[2].append(
                self.completed(record, at + timedelta(minutes=2), result={"intent_id": intent, "result_row": row, **common}, size=size)
            )
        return [entry for stage in stages for entry in stage]

    def decided(self, record: str, at: datetime, *, local: bool) -> Entry:
        """A decision with none to three lines of evidence."""
        found = self.chance.sample(ENTITIES, self.chance.choice([0, 1, 2, 3]))
        return Entry(
            event=Event.DECIDED,
            at=at,
            run_id=RUN,
            record_id=record,
            data_classes=("PHI", "PII") if local else ("CLEAN",),
            partial=False,
            evidence=tuple(
                EvidenceCount(entity=one, count=self.chance.randrange(1, 9), max_score=round(self.chance.random(), 3), detector=one.lower())
                for one in found
            ),
            rule="route 1",
            lanes=("local",) if local else ("local", "cloud"),
            cloud_requires=("dpa=true", "training_use=false"),
            document_hmac=self.digits(32),
            **self.hashes,
        )

    def completed(self, record: str, at: datetime, *, result: dict[str, Any], size: int) -> Entry:
        """A result with its tokens and price."""
        return Entry(
            event=Event.COMPLETED,
            at=at,
            record_id=record,
            result_file=f"{RUN}/results/{result['intent_id']}.parquet",
            result_digest=self.digits(32),
            model="m-70b",
            revision="2026-08",
            tokens_in=size // 4,
            tokens_out=self.chance.randrange(50, 400),
            cost_usd=Decimal(self.chance.randrange(100, 9000)).scaleb(-6),
            finish_reason="stop",
            confidence=-self.chance.random(),
            **result,
        )


def seconds(work: Callable[[], Any]) -> float:
    """How long it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def commits(folder: Path, night: pa.Table, rows: int, total: int) -> tuple[list[float], float, Path]:
    """Commit `total` entries, `rows` at a time: the seconds of each commit, the least CPU seconds of any, and where the ledger is."""
    ledger = Ledger.open(folder / f"ledger-{rows}-{total}")
    commit = ledger._append  # noqa: SLF001 - `commit` without the making of columns, which is timed by itself
    pieces = [night.slice(start, rows) for start in range(0, night.num_rows - rows + 1, rows)]
    taken, computed = [], []
    for number in range(total // rows):
        before = time.process_time()
        taken.append(seconds(partial(commit, pieces[number % len(pieces)], expected_head=None)))
        computed.append(time.process_time() - before)
    return taken, min(computed), ledger.path


def plainly(folder: Path, night: pa.Table, rows: int) -> tuple[float, float]:
    """Entries a second of a DuckDB insert, and of an unsealed Parquet file with an fsync left out, of the same rows: the best of three."""
    piece = with_sequence(night.slice(0, rows), 1)
    with duckdb.connect(folder / f"plain-{rows}.duckdb") as connection:
        connection.register("piece", piece)
        connection.execute("CREATE TABLE entries AS FROM piece LIMIT 0")
        inserted = min(seconds(lambda: connection.execute("INSERT INTO entries FROM piece")) for _ in range(3))
    target = folder / "plain.parquet"
    written = min(seconds(lambda: pq.write_table(piece, target, compression="zstd", use_dictionary=DICTIONARY_COLUMNS)) for _ in range(3))
    return rows / inserted, rows / written


def nights(folder: Path, night: pa.Table, total: int) -> Ledger:
    """A ledger of `total` entries, half a million a night, in which every record is another."""
    ledger = Ledger.open(folder / "nights")
    for number in range(total // night.num_rows):
        piece = night
        for name in ("record_id", "intent_id", "clearance_id"):
            index = piece.schema.get_field_index(name)
            values = pc.binary_replace_slice(piece[name], 1, 5, f"{number:04x}")
            piece = piece.set_column(index, piece.schema.field(index), values)
        day = timedelta(days=number // 5)
        moments = pc.add(piece["at"], pa.scalar(day, pa.duration("us"))).cast(piece.schema.field("at").type)
        piece = piece.set_column(piece.schema.get_field_index("at"), piece.schema.field("at"), moments)
        run = pa.array([f"night-{START + day:%Y-%m-%d}"] * len(piece), pa.string())
        piece = piece.set_column(piece.schema.get_field_index("run_id"), piece.schema.field("run_id"), run)
        ledger._append(piece, expected_head=None)  # noqa: SLF001 - as in `commits`
    return ledger


def questions(folder: Path, night: pa.Table, total: int) -> dict[str, Figure]:
    """Compaction of all but the last segment, and the questions of the design to the archive file that it makes."""
    ledger = nights(folder, night, total)
    compacting = seconds(partial(compact, ledger, least=1))
    figures = {"compaction, recomputed": Figure(value=total / compacting, unit="entries/s")}
    with duckdb.connect(ledger.path / DATABASE, read_only=True) as auditor:
        auditor.execute("SET threads = 2")
        ((record,),) = auditor.execute("SELECT record_id FROM entries WHERE seq = $seq", {"seq": total // 2}).fetchall()
        for name, target, query in (
            ("class x destination x day", DAILY_TARGET_S, "FROM class_destination_daily"),
            ("history of one record", HISTORY_TARGET_S, f"FROM document_history('{record}')"),
        ):
            value = min(seconds(lambda: auditor.execute(query).fetchall()) for _ in range(3))  # noqa: B023 - called at once
            met: dict[str, Any] = {"target": f"< {target:g} at {TEN_MILLION:,}", "met": value < target} if total >= TEN_MILLION else {}
            figures[f"{name}, {total:,} entries archived"] = Figure(value=value, unit="s", **met)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries in the ledger that is verified")
    wanted = parser.parse_args(arguments)
    figures: dict[str, Figure] = {}
    night = Night()
    entries = [entry for number in range(40) for entry in night.shard(number)]
    making = len(entries) / seconds(lambda: to_table(entries))
    table = to_table(entries)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows, total in ((1_000, 50_000), (10_000, 200_000), (100_000, max(300_000, wanted.entries))):
            taken, computed, path = commits(folder, table, rows, total)
            best = rows / min(taken)
            inserted, written = plainly(folder, table, rows)
            large = rows == 100_000  # noqa: PLR2004 - the size that the target speaks of
            met: dict[str, Any] = {"target": f">= {COMMIT_TARGET:,}", "met": best >= COMMIT_TARGET} if large else {}
            figures[f"commit of {rows:,}, best"] = Figure(value=best, unit="entries/s", **met)
            figures[f"commit of {rows:,}, median"] = Figure(value=rows / median(taken), unit="entries/s")
            figures[f"commit of {rows:,}, on the CPU"] = Figure(value=rows / computed, unit="entries/CPU s")
            figures[f"commit of {rows:,}, time over a DuckDB insert"] = Figure(value=inserted / best, unit="×")
            figures[f"commit of {rows:,}, time over a Parquet write"] = Figure(value=written / best, unit="×")
            size = sum(file.stat().st_size for _, file in files.numbered(path / files.SEGMENTS)) / total
            figures[f"size at commits of {rows:,}"] = Figure(
                value=size, unit="bytes/entry", target=f"<= {SIZE_TARGET}", met=size <= SIZE_TARGET
            )
        figures["making columns of entries"] = Figure(value=making, unit="entries/s")
        figures |= questions(folder, table, max(300_000, wanted.entries))
        # The newest segment is recomputed whatever the length of the chain, so that only the rest is scaled.
        _, _, single = commits(folder, table, rows, rows)
        one, all_of_them = (min(seconds(partial(verify, ledger)) for _ in range(3)) for ledger in (single, path))
        chain = one + (all_of_them - one) * (TEN_MILLION / rows - 1) / (total / rows - 1)
        met = {"target": f"< {CHAIN_TARGET_S:g}", "met": chain < CHAIN_TARGET_S}
        figures[f"chain check, 10M entries, from {total:,}"] = Figure(value=chain, unit="s", **met)
        deep = total / min(seconds(lambda: verify(path, deep=True)) for _ in range(2))
        figures["deep verification"] = Figure(value=deep, unit="entries/s", target=f">= {DEEP_TARGET:,}", met=deep >= DEEP_TARGET)
    write("ledger", figures)


if __name__ == "__main__":
    main()
