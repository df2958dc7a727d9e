from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from sumy.summarizers.lex_rank import LexRankSummarizer

from sinks.extraction.centrality import VectorLexRank, rank
from sinks.extraction.summary import MOST_UNITS, summarize
from sinks.extraction.units import count_tokens, split_units, words

LETTER = """Dear Ms Calder,

Thank you for your letter. The bridge over the river Arlo will be closed for repairs from Monday. The repairs of the bridge
take six weeks, because the river is high. During the repairs a ferry crosses the river every hour. The ferry is free for
residents. Cars must use the bridge at Tarn. We had soup for lunch. A map of the ferry and of both bridges is enclosed.

Kind regards,
Tom Reyes
"""

MINUTES = """Minutes of the garden society
Present: Ines Calder, Tom Reyes
1. The society bought two apple trees for the garden.
2. The apple trees will be planted in the garden in March.
3. Next meeting: 4 May.
"""

CODE = """import os


def load_orders(path):
    orders = read_table(path)
    return [order for order in orders if order.total > 0]


def print_orders(orders):
    for order in orders:
        print(order.total)
"""


def sentences(text: str) -> list[list[str]]:
    return [words(unit.text) for unit in split_units(text)]


@pytest.mark.parametrize("text", [pytest.param(LETTER, id="letter"), pytest.param(MINUTES, id="minutes"), pytest.param(CODE, id="code")])
def test_the_matrix_is_the_one_sumy_computes(text: str) -> None:
    theirs, ours, bags = LexRankSummarizer(), VectorLexRank(), sentences(text)
    tf, idf = theirs._compute_tf(bags), theirs._compute_idf(bags)
    assert ours._compute_idf(bags) == pytest.approx(idf)
    expected = theirs._create_matrix(bags, theirs.threshold, tf, idf)
    found = ours._create_matrix(bags, ours.threshold, tf, idf)
    linked = expected.sum(axis=1) > 0  # ours also links a sentence without telling words to itself
    assert np.allclose(found[linked], expected[linked])


def test_rank_of_sentences_without_anything_in_common_is_finite() -> None:
    assert all(np.isfinite(rank(["alpha beta", "gamma delta"])))
    assert rank([]) == []


def test_a_summary_keeps_the_central_sentences_in_their_order() -> None:
    summary = summarize(LETTER, max_tokens=120)
    positions = [LETTER.replace("\n", " ").find(unit.text) for unit in split_units(summary)]
    assert "repairs" in summary
    assert "soup" not in summary
    assert "Dear" not in summary
    assert positions == sorted(positions)
    assert min(positions) >= 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(MINUTES, "apple trees", id="minutes"),
        pytest.param(CODE, "order", id="code"),
        pytest.param("Name: Ines Calder\nAccount: 123456\nBalance: $5.00\nStatus: open", ":", id="form"),
        pytest.param("item | price\nnut | 2\nbolt | 3\nscrew | 4\nnail | 5", "|", id="table"),
        pytest.param("ok", "ok", id="one word"),
        pytest.param("Hello,\nThanks,\nTom", "Tom", id="only courtesy"),
    ],
)
def test_every_kind_of_text_has_a_summary_made_of_its_own_words(text: str, expected: str) -> None:
    summary = summarize(text, max_tokens=200)
    assert expected in summary
    assert set(words(summary)) <= set(words(text))


@pytest.mark.parametrize("limit", [1, 5, 20, 100])
@pytest.mark.parametrize("text", [LETTER, "x" * 5000, "日本語の文です。" * 200], ids=["letter", "one word", "Japanese"])
def test_the_limit_holds_and_nothing_comes_out_empty(text: str, limit: int) -> None:
    summary = summarize(text, max_tokens=limit)
    assert summary
    assert count_tokens(summary) <= limit


def test_a_long_text_has_a_short_summary_without_repetitions() -> None:
    text = " ".join(f"The river gauge number {number % 50} reads {number % 50} feet." for number in range(3000))
    found = [unit.text for unit in split_units(summarize(text, max_tokens=10_000))]
    assert 1 < len(found) <= MOST_UNITS
    assert len(set(found)) == len(found)


def test_white_space_has_no_summary() -> None:
    assert summarize(" \n ", max_tokens=10) == ""


def test_every_process_gives_the_same_summary() -> None:
    program = "import sys; from sinks.extraction.summary import summarize; sys.stdout.write(summarize(sys.stdin.read(), max_tokens=60))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=LETTER,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {summarize(LETTER, max_tokens=60)}
