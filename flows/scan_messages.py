"""What a run and the processes that scan for it say to each other, over a pipe that both can pickle from."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.document import Demand, Document, Evidence
from detectors.ner_choice import NerChoice
from detectors.participants import Participants
from detectors.scan import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a scan process is to do: sent to it once. warm_up: scanned for everything before it says that it has started."""

    ner: NerChoice | None
    participants: Participants
    demand: Demand
    limits: Limits
    warm_up: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer to `Terms`. detectors_hash: of the detectors as this process has loaded them; problem: why it could not."""

    detectors_hash: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Documents to scan, and for how long at the most: past that the process ends itself, should nobody be there to end it."""

    documents: tuple[Document, ...] = field(repr=False)
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One evidence per document of the `Work`, in order, and what was logged: detectors, record ids and names of exceptions."""

    evidence: tuple[Evidence, ...]
    messages: tuple[str, ...] = ()
