"""A record must not speak for anyone else: what looks like a model's control token in it is broken up before a server reads it. Pure.

A server makes tokens of the whole prompt and takes `<|im_end|>` for the end of a message, whoever wrote it. The offline worker asks the
model's own tokenizer; of a server only the usual spellings are known, so any of them is broken up, whatever the model. A space after the
first character is enough, and costs the reader nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# ChatML, Llama 3, Phi, DeepSeek (full-width bars); Llama 2 and Mistral; Gemma. Looked ahead of, so that one token inside another is found.
_CONTROL = re.compile(
    r"<(?=([|\uff5c][^\n]{0,100}?[|\uff5c]>|</?SYS>>|/?s>|(?:start|end)_of_turn>|[be]os>))"
    r"|\[(?=(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]|TOOL_CALLS\]))"
)


def guarded(pieces: Sequence[tuple[str, bool]]) -> str:
    """The pieces of one message as one text. A piece is a text and whether it is the record's: the template's own words stay as they are.

    A token counts as the record's when any character of it is: half of it could stand in one column and half in the next.
    """
    content, records = "", list[tuple[int, int]]()
    for text, is_record in pieces:
        if is_record and text:
            records.append((len(content), len(content) + len(text)))
        content += text
    broken, done = list[str](), 0
    for match in _CONTROL.finditer(content):
        first, end = match.end(), max(match.end(1), match.end(2))
        if any(start < end and match.start() < stop for start, stop in records):
            broken.append(content[done:first])
            done = first
    return " ".join((*broken, content[done:]))
