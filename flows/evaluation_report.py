"""An evaluation as JSON for programs and as tables for people. Pure; never text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flows.evaluating import ClassLeak, Evaluation, OverBlock, Rate, TierCount
from flows.evaluation_outcome import Miss, Outcome, misses
from flows.span_matching import SpanCounts, SpanScores

DIGITS = 4
Row = tuple[str, ...]

CLUSTERS = (
    "A cluster is a template of one source (`meta.template`); a document without one is its own. It leaks when any of its documents does."
)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The tree that `waybill eval --json` prints."""
    return {
        "documents": evaluation.documents,
        "words": evaluation.words,
        "seconds": round(evaluation.seconds, 3),
        "documents_per_s": _per_second(evaluation.documents, evaluation.seconds),
        "words_per_s": _per_second(evaluation.words, evaluation.seconds),
        "leak": {name: _leak_json(leak) for name, leak in evaluation.leak.items()},
        "over_block": {name: _over_block_json(block) for name, block in evaluation.over_block.items()},
        "hard_negatives": _rates_json(evaluation.hard_negatives),
        "without_requirement": _rates_json(evaluation.without_requirement),
        "wrong_class": _rates_json(evaluation.wrong_class),
        "not_english": _rates_json(evaluation.not_english),
        "tiers": {name: _tier_json(tier) for name, tier in evaluation.tiers.items()},
        "files": {name: _tier_json(file) for name, file in evaluation.files.items()},
        "spans": None if evaluation.spans is None else _spans_json(evaluation.spans),
    }


def misses_json(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Every miss with what was found; ids and counts only."""
    return [
        {
            "miss": str(miss),
            "class": name or None,
            "file": outcome.file,
            "line": outcome.line,
            "id": outcome.record_id,
            "source": outcome.source,
            "kind": outcome.kind,
            "rule": outcome.rule,
            "data_classes": list(outcome.data_classes),
            "lanes": [str(lane) for lane in outcome.lanes],
            "entities": dict(outcome.entities),
            "topics": {topic: round(score, DIGITS) for topic, score in outcome.topics.items()},
            "markers": list(outcome.markers),
            "failures": list(outcome.failures),
        }
        for miss, name, outcome in misses(outcomes)
    ]


def tables(evaluation: Evaluation) -> str:
    """What a person reads: rates in percent, `≤` the one-sided 95% bounds."""
    sections = [
        _section("leak: documents of a class that the cloud would have got", "class / source", _leak_rows(evaluation.leak)),
        _section("permitted to the cloud, but without what the class requires", "class", _rate_rows(evaluation.without_requirement)),
        _section("over-block: clean documents kept inside", "source / kind of near miss", _block_rows(evaluation.over_block)),
        _section("wrong class, but kept inside", "class", _rate_rows(evaluation.wrong_class)),
        _section("not English: documents that the cloud would have got", "language", _rate_rows(evaluation.not_english)),
        _section("apart: tiers whose labels are unsure", "tier", _tier_rows(evaluation.tiers)),
        _spans_section(evaluation.spans),
        CLUSTERS,
        _speed(evaluation),
    ]
    return "\n\n".join(section for section in sections if section)


def miss_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """One line a miss: what, class, where, id, rule, and the evidence in short."""
    for miss, name, outcome in misses(outcomes):
        where = f"{outcome.file}:{outcome.line}"
        decided = "+".join(outcome.data_classes) or "held"
        said = f"as {decided} by {outcome.rule}" if miss is not Miss.LEAK else f"by {outcome.rule}"
        yield f"{miss:11} {name:14} {where} {_printable(outcome.record_id)}  {said}: {summary(outcome)}"


def summary(outcome: Outcome) -> str:
    """Entities with their counts, topics with their scores, markers, failures."""
    entities = [f"{entity}×{count}" for entity, count in sorted(outcome.entities.items(), key=lambda one: (-one[1], one[0]))]
    topics = [f"{topic} {score:.2f}" for topic, score in outcome.topics.items()]
    return ", ".join([*entities, *topics, *outcome.markers, *outcome.failures]) or "no evidence"


def _rate_json(rate: Rate) -> dict[str, Any]:
    return {
        "k": rate.k,
        "n": rate.n,
        "rate": rate.rate,
        "upper95": rate.upper95,
        "clusters": rate.clusters,
        "clusters_k": rate.clusters_hit,
        "upper95_clustered": rate.upper95_clustered,
    }


def _rates_json(rates: Mapping[str, Rate]) -> dict[str, Any]:
    return {name: _rate_json(rate) for name, rate in rates.items()}


def _leak_json(leak: ClassLeak) -> dict[str, Any]:
    return _rate_json(leak.total) | {"sources": _rates_json(leak.sources), "label_quality": _rates_json(leak.label_qualities)}


def _over_block_json(block: OverBlock) -> dict[str, Any]:
    return _rate_json(block.total) | {"kinds": _rates_json(block.kinds), "kept_as": dict(sorted(block.classes.items()))}


def _tier_json(tier: TierCount) -> dict[str, Any]:
    return {
        "documents": tier.documents,
        "words": tier.words,
        "leak": _rates_json(tier.leak),
        "over_block": None if tier.over_block is None else _rate_json(tier.over_block),
    }


def _spans_json(scores: SpanScores) -> dict[str, Any]:
    return {"entities": {kind: _span_json(counts) for kind, counts in scores.kinds.items()}, "not_measured": dict(scores.not_measured)}


def _span_json(counts: SpanCounts) -> dict[str, Any]:
    return {
        "marked": counts.marked,
        "found": counts.found,
        "recall": counts.recall,
        "recall_any_entity": counts.recall_any,
        "reported": counts.reported,
        "right": counts.right,
        "precision": counts.precision,
    }


def _per_second(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds else 0.0


RATE_HEAD = ("k/n", "rate", "≤ 95%", "clusters", "≤ 95% clustered")


def _rate_cells(rate: Rate) -> Row:
    return (
        f"{rate.k}/{rate.n}",
        f"{rate.rate:.2%}",
        f"{rate.upper95:.2%}",
        f"{rate.clusters_hit}/{rate.clusters}",
        f"{rate.upper95_clustered:.2%}",
    )


def _rate_rows(rates: Mapping[str, Rate]) -> list[Row]:
    return [(name, *_rate_cells(rate)) for name, rate in rates.items()]


def _worst_first(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    return dict(sorted(rates.items(), key=lambda one: (-one[1].rate, one[0])))


def _leak_rows(leaks: Mapping[str, ClassLeak]) -> Iterator[Row]:
    for name, leak in leaks.items():
        yield (name, *_rate_cells(leak.total))
        yield from _rate_rows({f"  {source}": rate for source, rate in _worst_first(leak.sources).items()})


def _block_rows(blocks: Mapping[str, OverBlock]) -> Iterator[Row]:
    for name, block in blocks.items():
        yield (name, *_rate_cells(block.total))
        kinds = {kind: rate for kind, rate in block.kinds.items() if kind != name or rate.n != block.total.n}
        yield from _rate_rows({f"  {kind}": rate for kind, rate in _worst_first(kinds).items()})


def _tier_rows(tiers: Mapping[str, TierCount]) -> Iterator[Row]:
    for name, tier in tiers.items():
        if name in {"core", "hard_negative"}:
            continue
        if not tier.leak and tier.over_block is None:
            yield (f"{name}: {tier.documents} documents, no labels", *[""] * len(RATE_HEAD))
        yield from _rate_rows({f"{name}, leak {label}": rate for label, rate in tier.leak.items()})
        if tier.over_block is not None:
            yield (f"{name}, unlabelled and kept inside", *_rate_cells(tier.over_block))


def _section(title: str, head: str, rows: Iterable[Row]) -> str:
    body = list(rows)
    return "\n".join([title, *_aligned([(head, *RATE_HEAD), *body])]) if body else ""


SPAN_HEAD = ("entity", "marked", "recall", "found as any entity", "reported", "precision")


def _spans_section(scores: SpanScores | None) -> str:
    if scores is None:
        return (
            "planned: spans are not measured, and wrong class is an upper bound, because the scan stops before it has looked for everything"
        )
    rows: list[Row] = [
        (kind, str(counts.marked), _share(counts.recall), _share(counts.recall_any), str(counts.reported), _share(counts.precision))
        for kind, counts in scores.kinds.items()
    ]
    missing = ", ".join(f"{name} ({count})" for name, count in scores.not_measured.items())
    lines = ["spans, by overlap; precision in sources that mark the entity", *_aligned([SPAN_HEAD, *rows])] if rows else []
    return "\n".join([*lines, *([f"not measured, because no detector here looks for them: {missing}"] if missing else [])])


def _share(value: float | None) -> str:
    return "·" if value is None else f"{value:.1%}"


def _speed(evaluation: Evaluation) -> str:
    documents, words = _per_second(evaluation.documents, evaluation.seconds), _per_second(evaluation.words, evaluation.seconds)
    counted = f"{evaluation.documents:,} documents, {evaluation.words:,} words in {evaluation.seconds:.1f} s"
    return f"{counted}: {documents:,.0f} documents/s, {words:,.0f} words/s (scan and decision; models were loaded before)"


def _printable(text: str) -> str:
    """A name that a record brought, on one line and without anything that a terminal would act on."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Columns: the first to the left, figures to the right. Sources and kinds are the records' own words."""
    rows = [tuple(map(_printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([f"  {row[0]:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]
