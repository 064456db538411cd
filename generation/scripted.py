"""A language model that answers from a script: the same every time, one word a token, as fast or slow as wanted.

Tests use it where an engine would only cost time, load measurements where an engine would be the bottleneck.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from generation.errors import ModelUnavailableError, PromptTooLongError
from generation.model import Delta, End, EndReason, Message, Sampling, never
from generation.pump import POLL_SECONDS

Script = Callable[[Sequence[Message]], str]
_WORD = re.compile(r"\s*\S+|\s+")
_QUOTE = re.compile(r"^\[\d+\] (.+)$", re.MULTILINE)
_TOKENS_PER_MESSAGE = 1  # its role


class ScriptedModel:
    """Gives its replies in turn, from the beginning again after the last, or what a function makes of the messages.

    A token is a word with the white space before it. `first_token_seconds` is waited once and `token_seconds` before
    each further token, while one of the `slots` is held. `asked` keeps the messages of every generation.
    """

    instructed = True

    def __init__(
        self,
        replies: Sequence[str] | Script,
        *,
        first_token_seconds: float = 0.0,
        token_seconds: float = 0.0,
        slots: int = 1,
        context_tokens: int = 8192,
    ) -> None:
        self.id = "scripted"
        self.slots = slots
        self.context_tokens = context_tokens
        self.asked: list[tuple[Message, ...]] = []
        self._script = replies if callable(replies) else self._in_turn(tuple(replies))
        self._first_seconds, self._seconds = first_token_seconds, token_seconds
        self._free = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._closed = False

    def _in_turn(self, replies: tuple[str, ...]) -> Script:
        def script(_: Sequence[Message]) -> str:
            return replies[(len(self.asked) - 1) % len(replies)]

        return script

    def count(self, text: str) -> int:
        """Words of the text; white space at its end counts as one."""
        return len(_WORD.findall(text))

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Words of all texts, and one more for each message."""
        return sum(self.count(message.text) + _TOKENS_PER_MESSAGE for message in messages)

    def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Delta | End]:
        """See `LanguageModel.generate`; temperature and seed change nothing."""
        prompt = self.count_prompt(messages)
        if prompt >= self.context_tokens:
            raise PromptTooLongError.of(prompt, self.context_tokens)
        with self._free:
            words, reason = self._words(messages, sampling, self.context_tokens - prompt)
            for number, word in enumerate(words):
                if not self._wait(self._seconds if number else self._first_seconds, stop):
                    return
                yield Delta(word)
            yield End(reason=reason, prompt_tokens=prompt, cached_tokens=0, output_tokens=len(words))

    def _words(self, messages: Sequence[Message], sampling: Sampling, room: int) -> tuple[list[str], EndReason]:
        with self._lock:
            self._refuse_closed()
            self.asked.append(tuple(messages))
            reply = self._script(messages)
        ends = [place for place in map(reply.find, sampling.stop) if place >= 0]
        words = _WORD.findall(reply[: min(ends)] if ends else reply)
        limit = min(sampling.max_tokens, room)
        return (words[:limit], "length") if len(words) > limit else (words, "stop")

    def _wait(self, seconds: float, stop: Callable[[], bool]) -> bool:
        """Let the time of a token pass; False if somebody wants to stop."""
        while seconds > 0 and not stop():
            time.sleep(min(seconds, POLL_SECONDS))
            seconds -= POLL_SECONDS
        self._refuse_closed()
        return not stop()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ModelUnavailableError("The language model is closed.")

    def close(self) -> None:
        """Generations that run end with `ModelUnavailableError`, and so do new ones."""
        self._closed = True


def repeat_quotes(messages: Sequence[Message]) -> str:
    """A script that answers with the texts of the quotes in the last message, as a model would that only copies."""
    return " ".join(_QUOTE.findall(messages[-1].text)) or "I do not know."
