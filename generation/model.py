"""What Threadwise asks of a language model, and the values that go in and come out.

Three implementations share one contract suite: llama.cpp in this process, any OpenAI-style HTTP server, and a
scripted one that answers from a script.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from generation.errors import InvalidSamplingError

MAX_TEMPERATURE = 2.0

Role = Literal["system", "user", "assistant"]
EndReason = Literal["stop", "length"]


def never() -> bool:
    """Nobody wants to stop."""
    return False


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Its text is data: a control token spelled in it reaches the model as plain characters."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen and when to stop.

    `temperature` 0 takes the most probable token; `top_p` is in (0, 1]; `top_k` 0 switches the cut off. A stop
    string ends the answer and is not part of it. Without `keep_prefix` nothing computed for earlier prompts is used
    again: slower, and the only way to the same text in every run, because a kept prefix changes the last bits of the
    numbers. Raises `InvalidSamplingError` that names the field.
    """

    max_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    keep_prefix: bool = True

    def __post_init__(self) -> None:
        rules = (
            (self.max_tokens >= 1, "max_tokens", "1 or more"),
            (0.0 <= self.temperature <= MAX_TEMPERATURE, "temperature", "between 0 and 2"),
            (0.0 < self.top_p <= 1.0, "top_p", "above 0 and at most 1"),
            (self.top_k >= 0, "top_k", "0 (off) or more"),
            (0 <= self.seed < 2**32 - 1, "seed", "between 0 and 4294967294"),  # the last one means random to llama.cpp
            (all(self.stop), "stop", "a list without empty strings"),
        )
        for holds, name, allowed in rules:
            if not holds:
                raise InvalidSamplingError(f"{name} is {getattr(self, name)!r}.", hint=f"It has to be {allowed}.")


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer: never empty, never a part of a stop string or of the prompt."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last thing a generation gives: why it ended and what it cost, in tokens.

    `prompt_tokens` counts the whole prompt with its template; `cached_tokens` of them were kept from an earlier one.
    """

    reason: EndReason
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int


@runtime_checkable
class LanguageModel(Protocol):
    """Writes text after a list of messages. Safe to call from several threads, up to `slots` at a time."""

    @property
    def id(self) -> str:
        """Names the weights: answers of two ids are never compared or cached together."""
        ...

    @property
    def context_tokens(self) -> int:
        """Tokens that one slot holds, prompt and answer together."""
        ...

    @property
    def slots(self) -> int:
        """How many generations run at once; a further one waits inside the engine."""
        ...

    @property
    def instructed(self) -> bool:
        """True for a model tuned to follow instructions; any other needs examples to continue."""
        ...

    def count(self, text: str) -> int:
        """Tokens of plain text, without special tokens around it; a control token spelled in it is text."""
        ...

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of exactly what `generate` submits for these messages, chat template included."""
        ...

    def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Delta | End]:
        """A plain generator of deltas and one `End` as the last; closing it stops the engine and frees the slot.

        When `stop` turns true it ends without an `End`, within a tenth of a second, even while it waits for the
        first token.

        Raises, at the first step, `PromptTooLongError` (when prompt and one token exceed the context) before
        anything is submitted, and `ModelUnavailableError` when the engine cannot be reached or breaks off.
        """
        ...

    def close(self) -> None:
        """Give back memory and connections; safe to call twice."""
        ...
