"""Given names and surnames of the US census (package `names`), given names it lacks, and which of them are everyday words.

Loaded once, when the first text arrives. All names are in lower case.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from detectors.phrases import listed

COMMON_GIVEN = 0.01
"""Per cent of the population: above it (some 1,500 names) a given name is believed even before an unknown surname."""
COMMON_SURNAME = 0.001

AMBIGUOUS_FILE = Path(__file__).with_name("ambiguous_names.txt")
GIVEN_FILE = Path(__file__).with_name("given_names.txt")

# Words that the census has as names but that in Title Case are nearly always a place, a date or a company.
NOT_GIVEN = listed(
    "an so my in china france paris london asia america houston dallas "
    "florida israel phoenix san santa de la le el del van von see major general long an king queen prince season art "
    "st saint mt fort ft new north south east west tu ha sun son song love christmas easter valencia "
    "dr mr mrs ms miss lake lee's man hong cleveland lincoln denver cuba rome milan cairo golden grand many the for but and or of"
)
# Given names that are places, months or verbs as often: believed only before a surname that is not an everyday word.
PLACE_NAMES = listed(
    "austin madison georgia virginia carolina dakota jordan savannah sydney santiago chad jackson brooklyn devon chelsea april "
    "august may june will hope faith christian"
)
NOT_SURNAME = listed(
    "street avenue road lane drive boulevard court square bridge river lake creek beach bay island islands hill hills valley "
    "mountain mount park "
    "field fields garden gardens forest wood woods canyon city county town village university college school institute academy "
    "hospital clinic "
    "center centre bank church house hall tower building airport station inc llc corp corporation company co ltd group partners associates "
    "foundation trust fund press news times post journal tribune herald international national united states republic kingdom "
    "disease syndrome "
    "test act law bowl cup league series open classic park day days week month year january february march april may july august september "
    "october november december monday tuesday wednesday thursday friday saturday sunday east west north south street's energy "
    "power gas oil "
    "road's bill order rule report plan form agreement letter note department committee board council office agency commission authority "
    "mr mrs ms dr the and of for in on at to by is was has had will would said says a an from with as it this that not "
    "de la el van von best regards sincerely thanks thank dear hi hello please subject re fw fwd cc attached"
)
COMPANIES = frozenset(
    [
        "morgan stanley",
        "charles schwab",
        "johns hopkins",
        "eli lilly",
        "ernst young",
        "arthur andersen",
        "merrill lynch",
        "mary kay",
        "harley davidson",
        "dow jones",
        "thomson reuters",
        "raymond james",
        "edward jones",
        "dean witter",
        "lehman brothers",
        "grant thornton",
        "price waterhouse",
        "wells fargo",
        "lloyd webber",
        "henry schein",
        "jp morgan",
        "dean foods",
        "jack daniels",
        "johnson johnson",
        "martin marietta",
        "lockheed martin",
        "aston martin",
        "calvin klein",
        "ralph lauren",
        "tommy hilfiger",
        "ben jerry",
        "paul hastings",
        "baker hughes",
        "jackson hole",
        "jackson hewitt",
        "st john",
        "parker hannifin",
        "kelly services",
        "kay jewelers",
        "tim hortons",
        "wendy burger",
        "samuel adams",
        "virginia tech",
        "christian science",
        "santa fe",
        "don juan",
    ]
)


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Sets of lower-case names. strong: hardly ever another word."""

    given: frozenset[str] = field(repr=False)
    surnames: frozenset[str] = field(repr=False)
    common_given: frozenset[str] = field(repr=False)
    strong_given: frozenset[str] = field(repr=False)
    strong_surnames: frozenset[str] = field(repr=False)
    ambiguous: frozenset[str] = field(repr=False)

    def known(self, word: str) -> bool:
        """Whether this word is a name and not an everyday word."""
        return (word in self.given or word in self.surnames) and word not in self.ambiguous


@cache
def gazetteer() -> Gazetteer:
    """The census lists, read from the installed `names` package."""
    files = importlib.import_module("names").FILES
    given = _frequencies(files["first:male"])
    for name, frequency in _frequencies(files["first:female"]).items():
        given[name] = max(frequency, given.get(name, 0.0))
    surnames = _frequencies(files["last"])
    for name in _listed_in(GIVEN_FILE):
        given[name] = max(COMMON_GIVEN, given.get(name, 0.0))
    ambiguous = frozenset(_listed_in(AMBIGUOUS_FILE))
    common = frozenset(name for name, frequency in given.items() if frequency >= COMMON_GIVEN) - NOT_GIVEN - PLACE_NAMES
    return Gazetteer(
        given=frozenset(given) - NOT_GIVEN,
        surnames=frozenset(surnames) - NOT_SURNAME,
        common_given=common,
        strong_given=common - ambiguous,
        strong_surnames=frozenset(name for name, frequency in surnames.items() if frequency >= COMMON_SURNAME) - ambiguous - NOT_SURNAME,
        ambiguous=ambiguous,
    )


def _listed_in(path: Path) -> list[str]:
    lines = path.read_text(encoding="ascii").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def _frequencies(path: str) -> dict[str, float]:
    rows = (line.split() for line in Path(path).read_text(encoding="ascii").splitlines())
    return {row[0].lower(): float(row[1]) for row in rows}
