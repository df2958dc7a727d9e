"""An explanation in lines, read from top to bottom: where it goes, by which route, because of which classes, because of what.

Of several branches that hold the first is shown and the others are named; `--json` tells all of them in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

INDENT = "  "
SHOWN_TOPIC = 0.05
MOST_EVIDENCE = 8
"""So many pieces of evidence are shown of each condition; `--json` has them all."""


def explanation_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The lines about one document. Ends with an empty one."""
    explanation = verdict["explanation"]
    policy = PurePath(explanation["policy"]).name
    name = verdict["source"] + (f" [{verdict['source_id']}]" if verdict["source_id"] else "")
    yield f"{name}: {' + '.join(verdict['data_classes']) or 'no class'} → {' or '.join(verdict['lanes']) or 'held'}"
    yield INDENT + _route(explanation["route"], policy)
    if verdict["partial"]:
        yield f"{INDENT}the scan stopped when this was settled: other classes may hold too"
    for reason in explanation["classes"]:
        yield from _class(reason, policy)
    yield f"{INDENT}found in all: {_found(verdict)}"
    yield ""


def _found(verdict: Mapping[str, Any]) -> str:
    """Everything that was found, in short: also what no rule asked for."""
    entities = Counter(finding["entity"] for finding in verdict["findings"])
    topics = [f"{name} {score:.2f}" for name, score in verdict["topics"].items() if score >= SHOWN_TOPIC]
    return (
        ", ".join([*(f"{name}×{count}" for name, count in entities.most_common()), *topics, *verdict["markers"], *verdict["failures"]])
        or "nothing"
    )


def _route(route: Mapping[str, Any], policy: str) -> str:
    reason = f", because {route['reason']}" if route["reason"] else ""
    if "line" not in route:
        return f"rule {route['rule']}: held{reason}"
    lanes = " or ".join(route["lanes"]) or "held"
    return f"rule {route['rule']} ({policy}:{route['line']}): {', '.join(route['when'])} → {lanes}{reason}"


def _class(reason: Mapping[str, Any], policy: str) -> Iterator[str]:
    place = f" ({policy}:{reason['line']})" if reason.get("line") else ""
    covered = f", not listed beside {', '.join(reason['covered_by'])}" if "covered_by" in reason else ""
    yield f"{INDENT}{reason['class']}{place}{covered}"
    if reason.get("basis"):
        yield f"{INDENT * 2}basis: {reason['basis']}"
    if "why" in reason:
        yield f"{INDENT * 2}← {reason['why']}" + (f": {', '.join(reason['failures'])}" if "failures" in reason else "")
    if "held" in reason:
        others: list[str] = []
        for leaf in _leaves(reason["held"], others):
            yield f"{INDENT * 2}← {_leaf(leaf)}"
            yield from _evidence(leaf["evidence"])
        if others:
            yield f"{INDENT * 2}holds too by {', '.join(others)}"


def _leaf(leaf: Mapping[str, Any]) -> str:
    path = f"{leaf['path']}: " if leaf["path"] else ""
    score = f"; it has {leaf['score']:.2f}" if "score" in leaf else ""
    return path + _short(leaf["says"]) + score


def _leaves(held: Mapping[str, Any], others: list[str]) -> Iterator[Mapping[str, Any]]:
    """The conditions of the first branch that holds. The paths of the other branches go into `others`."""
    members = held.get("members")
    if members is None:
        yield held
        return
    if held["says"] == "any of":
        others += [member["path"] for member in members[1:]]
        members = members[:1]
    for member in members:
        yield from _leaves(member, others)


def _evidence(evidence: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for piece in evidence[:MOST_EVIDENCE]:
        yield f"{INDENT * 3}← {_piece(piece)}"
    if len(evidence) > MOST_EVIDENCE:
        yield f"{INDENT * 3}  … and {len(evidence) - MOST_EVIDENCE} more"


def _piece(piece: Mapping[str, Any]) -> str:
    kind = piece["kind"].partition(":")[2]
    shown = f"  {_printable(piece['text'])}" if "text" in piece else ""
    return f"{kind} {piece['score']:.2f}  {piece['part']} {piece['start']}-{piece['end']}, {piece['detector']}{shown}"


LONGEST = 100


def _short(says: str) -> str:
    """A long list of entities is cut: what was found stands below it, the rest in the policy file."""
    return says if len(says) <= LONGEST else says[: says.rfind(",", 0, LONGEST)] + ", …"


def _printable(text: str) -> str:
    """In quotes, on one line, without anything that a terminal would act on."""
    return "“" + "".join(letter if letter.isprintable() else " " for letter in text) + "”"
