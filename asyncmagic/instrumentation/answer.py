"""Answer: what a language model's answer has said so far, whole or in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes

Json = dict[str, Any]

#: What reading somebody else's JSON may raise where it is not what their documentation promises.
STRANGE = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
_decode = json.JSONDecoder().raw_decode


def parse(data: bytes) -> Any:
    """Return what the JSON says, at a third of the price of `json.loads`; an error of `STRANGE` where it is none."""
    return _decode(data.decode().lstrip())[0]


class Answer:
    """Adds up what the functions of `providers` read; what the server did not say is left out.

    `has_content` is true from the first piece of text, reasoning or tool call on, `is_complete` once the answer said
    that it is over, and `error` names what the answer itself reported as its failure.
    """

    __slots__ = ("_attributes", "_choices", "_reasons", "error", "has_content", "is_complete", "keeps_content")

    def __init__(self, *, keeps_content: bool = False) -> None:
        self.has_content = False
        self.is_complete = False
        self.error: str | None = None
        self.keeps_content = keeps_content
        self._attributes: Attributes = {}
        self._reasons: dict[int, str] = {}
        self._choices: dict[int, list[Json]] = {}

    def says(self, *, model: Any = None, response_id: Any = None) -> None:
        """Note the model that answers and the answer's id."""
        if isinstance(model, str) and model:
            self._attributes[semconv.RESPONSE_MODEL] = model
        if isinstance(response_id, str) and response_id:
            self._attributes[semconv.RESPONSE_ID] = response_id

    def uses(
        self,
        *,
        read: Any = None,
        written: Any = None,
        cached: Any = None,
        cache_write: Any = None,
        reasoning: Any = None,
    ) -> None:
        """Note the tokens: `read` includes the cached ones, `written` the reasoning ones; later figures replace."""
        attributes = self._attributes
        if type(read) is int:
            attributes[semconv.INPUT_TOKENS] = read
        if type(written) is int:
            attributes[semconv.OUTPUT_TOKENS] = written
        if type(cached) is int:
            attributes[semconv.CACHED_TOKENS] = cached
        if type(cache_write) is int:
            attributes[semconv.CACHE_WRITE_TOKENS] = cache_write
        if type(reasoning) is int:
            attributes[semconv.REASONING_TOKENS] = reasoning

    def adds(self, part: str, text: Any, choice: int = 0) -> None:
        """Add a piece of `text` or `reasoning`: a string, or a list of parts that hold one."""
        if not text:
            return
        if isinstance(text, str):
            self.has_content = True
            if self.keeps_content:
                self._part(choice, part, None)["content"] += text
        elif isinstance(text, list):
            for piece in text:
                if isinstance(piece, dict):
                    thinking = piece.get("thinking")
                    self.adds("reasoning" if thinking else part, thinking or piece.get("text"), choice)

    def calls(
        self, *, name: Any = None, arguments: Any = None, call_id: Any = None, index: Any = None, choice: int = 0
    ) -> None:
        """Add a tool call or a piece of one; pieces of one call share its `index`."""
        self.has_content = self.has_content or bool(arguments or name)
        if self.keeps_content:
            part = self._part(choice, "tool_call", index)
            part["id"] = part["id"] or call_id
            part["name"] = part["name"] or name
            if arguments is not None:
                part["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def finishes(self, reason: Any, choice: int = 0) -> None:
        """Note why a choice ended, in the provider's own word."""
        if isinstance(reason, str) and reason:
            self._reasons[choice] = reason.lower() if reason.isupper() else reason

    def fails(self, error: Any) -> None:
        """Note that the answer is an error; `error` is the provider's object or word for it."""
        self.error = error_kind(error) or "error"

    def attributes(self) -> Attributes:
        """Return what was read, by the names of semconv."""
        found = self._attributes
        if self._reasons:
            found[semconv.FINISH_REASONS] = [self._reasons[choice] for choice in sorted(self._reasons)]
        if self._choices:
            found[semconv.OUTPUT_MESSAGES] = json.dumps(list(self._messages()), ensure_ascii=False)
        return found

    def _messages(self) -> Iterable[Json]:
        for choice, parts in sorted(self._choices.items()):
            cleaned = [{key: value for key, value in part.items() if key != "index"} for part in parts]
            message: Json = {"role": "assistant", "parts": cleaned}
            if choice in self._reasons:
                message["finish_reason"] = self._reasons[choice]
            yield message

    def _part(self, choice: int, kind: str, index: Any) -> Json:
        parts = self._choices.setdefault(choice, [])
        if kind == "tool_call":
            for part in parts:
                if index is not None and part.get("index") == index:
                    return part
            parts.append({"type": kind, "id": None, "name": None, "arguments": "", "index": index})
        elif not parts or parts[-1]["type"] != kind:
            parts.append({"type": kind, "content": ""})
        return parts[-1]


def error_kind(error: Any) -> str | None:
    """Return the short name that a provider gives an error, such as `rate_limit_exceeded`, or `None`."""
    if isinstance(error, dict):
        for key in ("code", "type", "status"):
            if isinstance(error.get(key), str) and error[key]:
                return str(error[key])[:80]
    return error[:80] if isinstance(error, str) and error.replace("_", "").isalnum() else None
