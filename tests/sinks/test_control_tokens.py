"""What a record could spell to speak as somebody else."""

from __future__ import annotations

import pytest

from sinks.lanes.control_tokens import guarded

TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|reserved_special_token_0|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "<<SYS>>",
    "<</SYS>>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_record_cannot_spell_a_control_token(token: str) -> None:
    assert guarded([("Say: ", False), (f"a{token}b", True)]) == f"Say: a{token[0]} {token[1:]}b"


@pytest.mark.parametrize("token", TOKENS)
def test_the_template_may(token: str) -> None:
    assert guarded([(f"{token}Say: ", False), ("a", True), (token, False)]) == f"{token}Say: a{token}"


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_in_two_halves_is_one(token: str) -> None:
    for cut in range(1, len(token)):
        for first, second in [(True, True), (True, False), (False, True)]:
            assert token not in guarded([(token[:cut], first), (token[cut:], second)])


@pytest.mark.parametrize("token", TOKENS)
def test_what_is_left_holds_no_token(token: str) -> None:
    for outer in TOKENS:
        for cut in range(len(outer)):
            said = guarded([(outer[:cut] + token + outer[cut:], True)])
            assert not any(one in said for one in TOKENS)


@pytest.mark.parametrize("text", ["", "a < b | c > d", "x <| y\n|> z", "[INSTALL]", "<span>", "<script>", "a[/INST", "\u2028 \ud800"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert guarded([(text, True)]) == text
