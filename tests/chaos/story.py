"""What happens in one night of the campaign, all of it drawn from the night's seed: documents, job, faults, kills, starts."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROVIDERS = ("openai", "anthropic", "bedrock")
ENDPOINT = "chaos-cloud"
HOW = ("commit", "file", "wire", "instant")
"""Where a start is killed: at a commit of the ledger, at a step that changes files, at a write to a socket, or at any instant."""

RESTRICTED = (
    (
        "Discharge summary\nPatient: Goran Castellan\nDate of birth: 14 March 1961\nMedical record number: MRN 40718823\n"
        "The patient was admitted with chest pain. Diagnosis: unstable angina. Treated with aspirin and metoprolol. {canary}\n"
    ),
    (
        "Dear Ms Ines Lindqvist,\nThank you for your loan application. Your account number is 40718290017.\n"
        "Your current balance is $4,210.55 and the annual percentage rate on your loan is 6.4 percent. SSN 536-22-8145. {canary}\n"
    ),
    (
        "PRIVILEGED AND CONFIDENTIAL\nATTORNEY-CLIENT COMMUNICATION\nYou asked for our legal advice on the mooring dispute. "
        "We advise that the harbour should concede nothing by letter. {canary}\n"
    ),
)
CLEAN = (
    (
        "The harbour council will repave the promenade between the fish market and the old lighthouse this spring. {canary}\n"
        "Visitors can reach the island by ferry number {number}, which leaves from the northern pier.\n"
    ),
    (
        "The museum opened a hall on the history of navigation, with instruments from {number} centuries. {canary}\n"
        "Admission is free on the first Sunday of the month, and the café stays open until the last guest has gone.\n"
    ),
    (
        "A new species of moss was described from the wet slopes above reservoir {number}. {canary}\n"
        "It grows on basalt and stays green in winter.\u2028Its spores travel with the wind.\n"
    ),
)
MAIL = """From: Noor Abara <noor@harbour.test>
To: Hana Birk <hana@harbour.test>
Subject: Timetable
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

Dear Hana, the new ferry timetable is attached for the notice board. {canary}
--cut
Content-Type: text/plain; name=letter.txt
Content-Disposition: attachment; filename=letter.txt

{letter}
--cut--
"""
EXTRACT = "{kind: extract, max_tokens: 60, schema: {type: object, required: [title], properties: {title: {type: string}}}}"
SUMMARIZE = "{kind: summarize, max_tokens: 60}"
REPAIRS = ("repair: 0", "repair: 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A document of the night. restricted: it may be received by no provider. canary: stands in it, and in no other document."""

    content: str
    canary: str
    restricted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Where a start ends by SIGKILL: at the `number`-th step of a kind, before or after it; or after `seconds`."""

    how: str
    number: int
    after: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a night (`run`) or of a collection. pass_s: virtual seconds that go by before it. second: another runner at once."""

    collect: bool
    wait: bool
    second: bool
    kill: Kill | None
    pass_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One night. delay_s: how long each batch takes, in virtual seconds. random: the emulator's faults by chance. dialects: its manners."""

    seed: int
    provider: str
    documents: Mapping[str, Text]
    job: str
    settings: Mapping[str, object]
    random: Mapping[str, object]
    delay_s: float
    dialects: tuple[str, ...]
    starts: tuple[Start, ...]

    @property
    def by_hand(self) -> bool:
        """Whether a person is to decide on hand-overs in doubt."""
        return "on_ambiguous: hold" in self.job

    @property
    def files(self) -> dict[str, Text]:
        """The documents that are files of their own; an attachment lies in its e-mail."""
        return {name: text for name, text in self.documents.items() if "#" not in name}


def story(seed: int, provider: str) -> Story:
    """The night of this seed."""
    chance = random.Random(f"{seed}|{provider}")
    rate = chance.choice((0.0, 0.1, 0.2, 0.3, 0.5))
    return Story(
        seed=seed,
        provider=provider,
        documents=_documents(chance),
        job=_job(chance),
        settings=_settings(chance, provider),
        random={
            "seed": seed,
            "rate": rate,
            "most": chance.choice((3, 10, 40)),
            "most_each": chance.choice((1, 2)),
            "stuck_s": chance.choice((600.0, 40 * 3600.0)),
            "slow_s": 0.02,
        },
        delay_s=chance.choice((0.0, 0.0, 600.0, 3 * 3600.0, 30 * 3600.0)),
        dialects=_dialects(chance) if provider == "openai" else (),
        starts=(_start(chance, first=True), *(_start(chance, first=False) for _ in range(chance.randint(0, 4)))),
    )


def write(told: Story, folder: Path, *, base_url: str, s3: Mapping[str, str], registry: str) -> Path:
    """Lay the night's files out; returns the job file. registry: the bundled one's text, to which the night's endpoint is added."""
    for name, text in told.files.items():
        path = folder / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.content.encode())
    entry = {
        "lane": "cloud",
        "engine": f"{told.provider}_batch",
        "provider": "emulator",
        "model": "extractive-emulator",
        "region": "us-east-1",
        "base_url": base_url,
        "facts": {"baa": False, "dpa": True, "training_use": False, "zero_data_retention": False, "human_review": False},
        "evidence_link": "README.md",
        "review_by": "2099-12-31",
        "settings": {"emulator": True, **told.settings, **s3},
    }
    (folder / "endpoints.yaml").write_text(f"{registry}\n  {ENDPOINT}: {json.dumps(entry)}\n".replace('"2099-12-31"', "2099-12-31"))
    (folder / "plan.json").write_text(json.dumps({"random": told.random}))
    job = folder / "job.yaml"
    job.write_text(told.job)
    return job


def _documents(chance: random.Random) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for number in range(chance.randint(10, 40)):
        canary = f"quetzalcoatl-{number:04d}"
        kind = chance.random()
        if kind < 0.05:
            found |= _mail(chance, number, canary)
        elif kind < 0.08:
            found[f"empty/{number}.txt"] = Text(content="", canary=canary, restricted=True)
        elif kind < 0.3:
            found[f"inside/{number}.txt"] = Text(content=chance.choice(RESTRICTED).format(canary=canary), canary=canary, restricted=True)
        else:
            content = chance.choice(CLEAN).format(canary=canary, number=number)
            found[f"public/{number}.txt"] = Text(content=content, canary=canary, restricted=False)
    return found


def _mail(chance: random.Random, number: int, canary: str) -> dict[str, Text]:
    """A harmless e-mail with a privileged attachment: the whole family stays inside."""
    inner = f"{canary}-letter"
    letter = RESTRICTED[2].format(canary=inner)
    name = f"mail/{number}.eml"
    return {
        name: Text(content=MAIL.format(canary=canary, letter=letter), canary=canary, restricted=True),
        f"{name}#letter.txt": Text(content=letter, canary=inner, restricted=True),
    }


def _job(chance: random.Random) -> str:
    lines = [
        "name: chaos",
        "source: {path: inbox}",
        f"task: {chance.choice((EXTRACT, SUMMARIZE))}",
        f"lanes: {{cloud: {ENDPOINT}}}",
        "registry: endpoints.yaml",
        "output: unused",
        "ledger: unused-ledger",
        f"batch_size: {chance.choice((7, 15, 40))}",
        "poll_s: 3600",
        f"on_ambiguous: {chance.choice(('resubmit', 'resubmit', 'hold'))}",
        f"on_cloud_failure: {chance.choice(('local', 'wait', 'hold'))}",
        chance.choice(REPAIRS),
    ]
    return "\n".join(lines) + "\n"


def _settings(chance: random.Random, provider: str) -> dict[str, object]:
    common: dict[str, object] = {"reconcile_after_s": chance.choice((0, 120)), "timeout_s": 10}
    if chance.random() < 0.5:
        common["shard_max_rows"] = chance.choice((4, 9))
    if provider == "bedrock":
        common |= {"role_arn": "arn:aws:iam::210987654321:role/batch", "shard_min_rows": chance.choice((1, 2, 3))}
        common["structured_output"] = chance.choice(("json_schema", "json_schema", "none"))
    return common


def _dialects(chance: random.Random) -> tuple[str, ...]:
    return tuple(
        sorted(chance.sample(("no_expiry", "error_file", "empty_id", "scheduling", "body_string", "no_rest"), chance.randint(0, 2)))
    )


def _start(chance: random.Random, *, first: bool) -> Start:
    how = chance.choice(HOW)
    most = {"commit": 14, "file": 250, "wire": 12, "instant": 1}[how]
    kill = Kill(how=how, number=chance.randint(1, most), after=chance.random() < 0.5, seconds=chance.uniform(0.05, 0.8))
    return Start(
        collect=not first and chance.random() < 0.6,
        wait=chance.random() < 0.5,
        second=chance.random() < 0.15,
        kill=kill if chance.random() < 0.6 else None,
        pass_s=0.0 if first else chance.choice((0.0, 300.0, 4 * 3600.0, 12 * 3600.0)),
    )


def said(told: Story) -> str:
    """The night in one line."""
    starts = ", ".join(map(_said, told.starts))
    return f"{told.provider}, {len(told.documents)} documents, rate {told.random['rate']}, delay {told.delay_s:g} s: {starts}"


def _said(start: Start) -> str:
    kill = start.kill
    word = "collect" if start.collect else "run"
    where = "" if kill is None else f" killed at {kill.how} {kill.number if kill.how != 'instant' else f'{kill.seconds:.2f} s'}"
    return word + (" of two" if start.second else "") + where
