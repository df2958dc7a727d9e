"""Where things are in a result row of each provider, so that a fault can put something else there. Pure."""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol

from sinks.emulator.catalogue import ANTHROPIC, BEDROCK, OPENAI
from sinks.emulator.jobs import Tree

Finish = Literal["refusal", "content_filter", "length"]
_SORRY = "I cannot help with that."


class RowForm(Protocol):
    """identity: the key of the row's id. The methods change a row that has an answer, in place."""

    identity: str

    def said(self, tree: Tree) -> str:
        """The answer's text."""

    def say(self, tree: Tree, text: str) -> None:
        """Give another text."""

    def finish(self, tree: Tree, how: Finish) -> None:
        """End the answer in another way than it did."""

    def no_choices(self, tree: Tree) -> None:
        """Leave the answer out."""

    def no_usage(self, tree: Tree) -> None:
        """Leave the token counts out."""

    def error_body(self, tree: Tree) -> None:
        """An error where the answer was; the row still says that all is well."""

    def status_zero(self, tree: Tree) -> None:
        """A status code of 0 and no answer, as some gateways say when nothing came back."""

    def body_string(self, tree: Tree) -> None:
        """The body as a JSON string."""


class OpenAIForm:
    """`{"custom_id", "response": {"status_code", "body": {"choices", "usage"}}, "error"}`."""

    identity = "custom_id"

    def said(self, tree: Tree) -> str:
        """As RowForm."""
        return str(tree["response"]["body"]["choices"][0]["message"]["content"])

    def say(self, tree: Tree, text: str) -> None:
        """As RowForm."""
        tree["response"]["body"]["choices"][0]["message"]["content"] = text

    def finish(self, tree: Tree, how: Finish) -> None:
        """As RowForm; a refusal is a field of the message and ends as usual."""
        choice = tree["response"]["body"]["choices"][0]
        if how == "refusal":
            choice["message"].update(content=None, refusal=_SORRY)
        else:
            choice.update(finish_reason=how, message=choice["message"] | {"content": _half(choice["message"]["content"])})

    def no_choices(self, tree: Tree) -> None:
        """As RowForm."""
        tree["response"]["body"]["choices"] = []

    def no_usage(self, tree: Tree) -> None:
        """As RowForm."""
        del tree["response"]["body"]["usage"]

    def error_body(self, tree: Tree) -> None:
        """As RowForm."""
        error = {"message": "The server had an error", "type": "server_error", "param": None, "code": "server_error"}
        tree["response"]["body"] = {"error": error}

    def status_zero(self, tree: Tree) -> None:
        """As RowForm."""
        tree["response"] = {"status_code": 0, "request_id": "", "body": None}

    def body_string(self, tree: Tree) -> None:
        """As RowForm."""
        tree["response"]["body"] = json.dumps(tree["response"]["body"])


class MessageForm:
    """A message of Anthropic's, and Converse's, which has the same parts under other names."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    def said(self, tree: Tree) -> str:
        """As RowForm."""
        return "".join(str(block.get("text", "")) for block in _message(tree)["content"])

    def say(self, tree: Tree, text: str) -> None:
        """As RowForm."""
        _message(tree)["content"] = [{"text": text}] if _converse(tree) else [{"type": "text", "text": text, "citations": None}]

    def finish(self, tree: Tree, how: Finish) -> None:
        """As RowForm."""
        self.say(tree, "" if how == "refusal" else _half(self.said(tree)))
        if (outer := _converse(tree)) is not None:
            outer["stopReason"] = "max_tokens" if how == "length" else "content_filtered"
        else:
            _message(tree)["stop_reason"] = "max_tokens" if how == "length" else "refusal"

    def no_choices(self, tree: Tree) -> None:
        """As RowForm."""
        _message(tree)["content"] = []

    def no_usage(self, tree: Tree) -> None:
        """As RowForm."""
        (_converse(tree) or _message(tree)).pop("usage", None)

    def error_body(self, tree: Tree) -> None:
        """As RowForm."""
        error = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
        if "result" in tree:
            tree["result"]["message"] = error
        else:
            tree["modelOutput"] = error

    def status_zero(self, tree: Tree) -> None:
        """Nothing: there is no status in these rows."""

    def body_string(self, tree: Tree) -> None:
        """The model's output as a JSON string."""
        if "modelOutput" in tree:
            tree["modelOutput"] = json.dumps(tree["modelOutput"])


def _converse(tree: Tree) -> Tree | None:
    """Converse's output, if it is one."""
    output = tree.get("modelOutput")
    return output if isinstance(output, dict) and "output" in output else None


def _message(tree: Tree) -> dict[str, Any]:
    outer = _converse(tree)
    message: dict[str, Any] = outer["output"]["message"] if outer is not None else tree.get("modelOutput") or tree["result"]["message"]
    return message


def _half(text: str) -> str:
    return text[: len(text) // 2]


FORMS: dict[str, RowForm] = {OPENAI: OpenAIForm(), ANTHROPIC: MessageForm("custom_id"), BEDROCK: MessageForm("recordId")}
