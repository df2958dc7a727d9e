"""The documents of a night, and what becomes of them from one day to the next. Invented, each with a word of its own to be found by."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

KEYWORD = "marzipan"
"""The model inside calls a document that speaks of it a trade secret; no detector does."""

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
RECIPE = (
    f"The bakery on the promenade sells a cake of almonds and {KEYWORD} at its stall number {{number}}. {{canary}}\n"
    "It opens at eight on the first Sunday of the month, and the cake is gone by noon.\n"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A document of the night. restricted: it may be received by no provider. canary: stands in it, and in no other document.

    since: the day on which it came, or became what it is.
    """

    content: str
    canary: str
    restricted: bool
    since: int = 0


Documents = Mapping[str, Text]


def first_day(chance: random.Random, *, looked_at: bool) -> dict[str, Text]:
    """The documents of the first day, by name. looked_at: a model inside looks at all of them, so some are for it to keep inside."""
    found: dict[str, Text] = {}
    for number in range(chance.randint(10, 40)):
        canary = f"quetzalcoatl-{number:04d}"
        kind = chance.random()
        if kind < 0.05:
            found |= _mail(number, canary)
        elif kind < 0.08:
            found[f"empty/{number}.txt"] = Text(content="", canary=canary, restricted=True)
        elif kind < 0.3:
            found[f"inside/{number}.txt"] = _restricted(chance, canary, 0)
        elif looked_at and kind < 0.45:
            found[f"public/{number}.txt"] = Text(content=RECIPE.format(canary=canary, number=number), canary=canary, restricted=True)
        else:
            found[f"public/{number}.txt"] = _clean(chance, canary, number, 0)
    return found


def next_day(chance: random.Random, before: Documents, day: int) -> dict[str, Text]:
    """The same documents: some with another text, which may have to stay inside although the last one did not, and a few new ones."""
    found = dict(before)
    for number, name in enumerate(sorted(before)):
        canary = f"quetzalcoatl-{1000 * day + number:04d}"
        if not name.startswith("public/") or chance.random() > 0.15:
            continue
        found[name] = _restricted(chance, canary, day) if chance.random() < 0.3 else _clean(chance, canary, number, day)
    for number in range(chance.randint(0, 4)):
        canary = f"quetzalcoatl-{1000 * day + 500 + number:04d}"
        found[f"public/{day}-{number}.txt"] = _clean(chance, canary, number, day)
    return found


def _clean(chance: random.Random, canary: str, number: int, day: int) -> Text:
    return Text(content=chance.choice(CLEAN).format(canary=canary, number=number), canary=canary, restricted=False, since=day)


def _restricted(chance: random.Random, canary: str, day: int) -> Text:
    return Text(content=chance.choice(RESTRICTED).format(canary=canary), canary=canary, restricted=True, since=day)


def _mail(number: int, canary: str) -> dict[str, Text]:
    """A harmless e-mail with a privileged attachment: the whole family stays inside."""
    inner = f"{canary}-letter"
    letter = RESTRICTED[2].format(canary=inner)
    name = f"mail/{number}.eml"
    return {
        name: Text(content=MAIL.format(canary=canary, letter=letter), canary=canary, restricted=True),
        f"{name}#letter.txt": Text(content=letter, canary=inner, restricted=True),
    }
