"""From which confidence on a local answer is kept, and what was proved about those that are: the file of `waybill router calibrate`.

Confidence here, in `lanes.escalate_below` and in samples is the geometric mean of the token probabilities, 0..1: exp of the mean token
log-probability that lanes report and the ledger's column `confidence` holds. An answer without one is escalated: nothing is known of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from policies.errors import PolicyFileError
from policies.load import read_source
from policies.strategies.json_source import parse_json
from policies.yaml_value import Source

KIND = "waybill calibration"
BOUND = "learn-then-test, fallback sequence, exact binomial tail"
_KEYS = ("threshold", "target", "confidence", "reviewed", "accepted", "wrong", "right_at_least", "bound", "endpoint", "digest", "made_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A threshold and its proof: of `reviewed` answers `accepted` had at least this confidence, and `wrong` of those were wrong.

    right_at_least: the lower bound of the share of right ones among all that are accepted, at `target` or above it. endpoint: whose answers
    these were, empty where nobody said. digest: SHA-256 over the sample's confidences and verdicts.
    """

    threshold: float
    target: float
    confidence: float
    reviewed: int
    accepted: int
    wrong: int
    right_at_least: float
    endpoint: str
    digest: str
    made_on: date

    @property
    def accepted_share(self) -> float:
        """How many of the sample's answers stay local."""
        return self.accepted / self.reviewed

    def keeps(self, mean_log_probability: float | None) -> bool:
        """Whether an answer of this mean token log-probability stays; if not, it is escalated."""
        return not is_below(mean_log_probability, self.threshold)

    @property
    def text(self) -> str:
        """The file, byte for byte the same for the same calibration."""
        tree = {
            "kind": KIND,
            "version": 1,
            "threshold": self.threshold,
            "target": self.target,
            "confidence": self.confidence,
            "reviewed": self.reviewed,
            "accepted": self.accepted,
            "wrong": self.wrong,
            "right_at_least": self.right_at_least,
            "bound": BOUND,
            "endpoint": self.endpoint,
            "digest": self.digest,
            "made_on": self.made_on.isoformat(),
        }
        return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def probability_of(mean_log_probability: float | None) -> float | None:
    """The geometric mean token probability, 0..1; None where nothing usable was reported."""
    if mean_log_probability is None or not math.isfinite(mean_log_probability):
        return None
    return math.exp(min(0.0, mean_log_probability))


def is_below(mean_log_probability: float | None, threshold: float) -> bool:
    """Whether an answer has less confidence than the threshold asks for; one without confidence has, whatever the threshold."""
    probability = probability_of(mean_log_probability)
    return probability is None or probability < threshold


def load_calibration(path: Path) -> Calibration:
    """Read a calibration. Raises PolicyFileError."""
    return parse_calibration(read_source(path))


def parse_calibration(source: Source) -> Calibration:
    """Bytes → calibration. Pure. Raises PolicyFileError, also where the numbers contradict each other."""
    root = parse_json(source, kind=KIND)
    root.keys(_KEYS)
    found = Calibration(
        threshold=root.number("threshold", "a probability, 0..1", low=0, high=1),
        target=root.number("target", "a share, 0..1", low=0, high=1),
        confidence=root.number("confidence", "a share, 0..1", low=0, high=1),
        reviewed=root.whole("reviewed", "a count", low=1),
        accepted=root.whole("accepted", "a count", low=1),
        wrong=root.whole("wrong", "a count"),
        right_at_least=root.number("right_at_least", "a share, 0..1", low=0, high=1),
        endpoint=root.text("endpoint", "the name of an endpoint, or nothing", pattern=r"(?:[a-z0-9][a-z0-9_.-]{0,62})?"),
        digest=root.text("digest", "a SHA-256 in hex", pattern=r"[0-9a-f]{64}"),
        made_on=root.day("made_on"),
    )
    root.text("bound", f"`{BOUND}`", pattern=BOUND)
    if not found.wrong <= found.accepted <= found.reviewed or found.right_at_least < found.target:
        raise PolicyFileError(
            f"{source.name}: expected wrong <= accepted <= reviewed and right_at_least >= target, found numbers that contradict "
            "each other; calibrate again"
        )
    return found
