"""What may be spent on a prompt, in tokens of the model's own tokenizer: pure arithmetic.

The room of the answer is set aside first and never lent. On a processor the prompt is what costs time, so passages
have a limit of their own, far below the window, and a long question takes from it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Self

from core.errors import ThreadwiseError
from generation.model import LanguageModel, Message

USUAL_QUESTION = 32
"""Tokens of a question that takes nothing from the passages."""

TOKENS_PER_WORD = 4 / 3  # 75 English words are about 100 tokens


class QuestionTooLongError(ThreadwiseError):
    """The question alone leaves no room for an answer."""

    code = "question_too_long"

    @classmethod
    def of(cls, count: int, limit: int) -> Self:
        """The error for a question of `count` tokens where `limit` would have fitted."""
        return cls(f"The question has {count} tokens, at most {limit} fit.", hint="Ask it in fewer words.")


class WindowTooSmallError(ThreadwiseError):
    """Passages, template, question and answer cannot fit into the model's window together."""

    code = "window_too_small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of one prompt and how it is measured.

    `window` holds prompt and answer, `reserve` of it is the answer's, `context_tokens` is the most that passages may
    take. `count` measures a text, `count_prompt` whole messages with the model's chat template.
    """

    window: int
    reserve: int
    context_tokens: int
    count: Callable[[str], int]
    count_prompt: Callable[[Sequence[Message]], int]

    @classmethod
    def of(cls, model: LanguageModel, *, reserve: int, context_tokens: int) -> Self:
        """The budget of a model: its window and its tokenizer; `reserve` is the sampling's `max_tokens`."""
        return cls(
            window=model.context_tokens,
            reserve=reserve,
            context_tokens=context_tokens,
            count=model.count,
            count_prompt=model.count_prompt,
        )

    @property
    def prompt_limit(self) -> int:
        """The most tokens a prompt may have."""
        return self.window - self.reserve


def context_room(context_tokens: int, question_tokens: int) -> int:
    """Tokens left for passages: all of them for a usual question, fewer the longer it is, never below a third."""
    beyond = max(0, question_tokens - USUAL_QUESTION)
    return max(context_tokens - beyond, context_tokens // 3)


def fitting(costs: Iterable[int], room: int) -> int:
    """How many of the costs, taken from the first, fit into the room; the first that does not fit ends it.

    A later, smaller one never takes its place: the better passage would be missing and nobody would know. What is
    refused is not counted.
    """
    return sum(1 for _ in takewhile(lambda total: total <= room, accumulate(costs)))


def check_room(
    *, window: int, reserve: int, template_tokens: int, question_tokens: int, top_k: int, chunk_tokens: int
) -> int:
    """The tokens left when `top_k` passages of `chunk_tokens` each, template, question and answer are taken.

    Raises `WindowTooSmallError` with every number when nothing is left to take them from. Meant for the start.
    """
    needed = top_k * chunk_tokens + template_tokens + question_tokens + reserve
    if needed > window:
        raise WindowTooSmallError(
            f"{top_k} passages of {chunk_tokens} tokens ({top_k * chunk_tokens}), the template ({template_tokens}), "
            f"a question ({question_tokens}) and the answer ({reserve}) need {needed} tokens; "
            f"the model's window has {window}.",
            hint="Ask for fewer or shorter passages, a shorter answer, or a model with a larger window.",
        )
    return window - needed


def estimated_tokens(words: int) -> int:
    """A preview of what English words will cost. For showing only: whatever is packed is counted."""
    return round(words * TOKENS_PER_WORD)
