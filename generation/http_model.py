"""Any server that speaks the OpenAI HTTP API: llama-server, vLLM, Ollama, or `generation.llama_server`.

What leaves this process are messages, not token ids, and such a server reads control tokens wherever they stand. So
everything in a message that is spelled like one is taken apart first (`neutral`).

Tokens are counted by the server where it offers that (llama-server, vLLM). Where it does not (Ollama), the model's
`tokenizer.json` has to be given; a prompt's count is then an upper estimate, because the template is not known.

Samplers that the API does not name stay as the server has them. Redirects are not followed and proxies of the
environment not used: text goes to the configured server and nowhere else.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from core.errors import InvalidSettingError
from generation.errors import ModelRefusedError, ModelUnavailableError, PromptTooLongError
from generation.http_counting import ChatServer, Counter, counter_for
from generation.model import Delta, End, EndReason, Message, Sampling, never
from generation.pump import pumped
from generation.sse import event_data

_CONNECT_SECONDS = 5.0

_CONTROL = re.compile(
    r"(?<=<)(?=\|)"  # <|im_start|>
    r"|(?<=\|)(?=>)"
    r"|(?<=<)(?=/?[A-Za-z_][\w]{0,31}>)"  # <s>, </s>, <start_of_turn>, <repo_name>
    r"|(?<=<)(?=<)"  # <<SYS>>
    r"|(?<=\[)(?=/?[A-Z_]{2,24}\])"  # [INST]
    r"|(?<=<)(?=\uFF5C)"  # the full-width bar of some families
)


def neutral(text: str) -> str:
    """The text with a space inside of everything that is spelled like a control token; nothing else changes."""
    return _CONTROL.sub(" ", text)


class HttpModel:
    """A model behind `base_url`, which ends with `/v1`; `context_tokens` and `slots` are what the server was given.

    The constructor asks the server for its models and for a way to count. It raises `ModelUnavailableError` where
    nothing answers, `ModelRefusedError` where the model or key is unknown or tokens cannot be counted. The key is
    sent only if there is one. `read_seconds` is the longest silence within a reply.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        context_tokens: int,
        slots: int = 1,
        api_key: str = "",
        instructed: bool = True,
        tokenizer: Path | None = None,
        read_seconds: float = 120.0,
    ) -> None:
        self.context_tokens = context_tokens
        self.slots = slots
        self.instructed = instructed
        timeout = httpx.Timeout(read_seconds, connect=_CONNECT_SECONDS)
        self._server = ChatServer(_checked(base_url), _headers(api_key), timeout, connections=slots + 2)
        try:
            self.id = _checked_model(self._server.get("models"), model)
            self._counter: Counter = counter_for(self._server, self.id, tokenizer)
        except BaseException:
            self._server.close()
            raise

    def count(self, text: str) -> int:
        """See `LanguageModel.count`; the text is counted as it would be submitted."""
        with understood():
            return self._counter.count(neutral(text))

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """See `LanguageModel.count_prompt`; an upper estimate where a tokenizer file counts."""
        with understood():
            return self._counter.count_turns(_turns(messages))

    def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Delta | End]:
        """See `LanguageModel.generate`; closing it closes the connection, which is how a server learns of it.

        A server that is still reading the prompt learns of it with its first token.
        """
        yield from pumped(self._generated(messages, sampling), stop)

    def _generated(self, messages: Sequence[Message], sampling: Sampling) -> Generator[Delta | End]:
        turns = _turns(messages)
        prompt = self.count_prompt(messages)
        if prompt >= self.context_tokens:
            raise PromptTooLongError.of(prompt, self.context_tokens)
        with self._server.stream("chat/completions", self._request(turns, sampling)) as chunks:
            parts = self._parts(event_data(chunks), prompt)
            while (part := _next(parts)) is not None:
                yield part

    def _request(self, turns: list[dict[str, str]], sampling: Sampling) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.id,
            "messages": turns,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if sampling.top_k:
            request["top_k"] = sampling.top_k
        if not sampling.keep_prefix:
            request["cache_prompt"] = False
        return request

    def _parts(self, events: Iterator[str], prompt: int) -> Iterator[Delta | End]:
        reason: EndReason | None = None
        usage: Mapping[str, Any] = {}
        written = 0
        for chunk in _chunks(events):
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices", ())[:1]:
                text = choice.get("delta", {}).get("content")
                if text is not None and not isinstance(text, str):
                    raise TypeError(type(text).__name__)
                if text:
                    written += 1
                    yield Delta(text)
                reason = _reason(choice.get("finish_reason")) or reason
        if reason is None:
            raise ModelUnavailableError("The language model's server broke off within an answer.", hint="Ask again.")
        yield _end(reason, usage, prompt, written)

    def close(self) -> None:
        """Close every connection."""
        self._server.close()


@contextmanager
def understood() -> Iterator[None]:
    """A reply of another form than was agreed is the server's failure and not ours."""
    try:
        yield
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise ModelUnavailableError(
            f"The language model's server replies in a form that is not understood ({type(error).__name__}).",
            hint="Check that its address is that of an OpenAI-style server.",
        ) from error


def _next(parts: Iterator[Delta | End]) -> Delta | End | None:
    with understood():
        return next(parts, None)


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidSettingError(f"{base_url!r} is no URL ({error}).") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise InvalidSettingError(f"{base_url!r} is no HTTP address.", hint="For example http://127.0.0.1:8080/v1.")
    return base_url.rstrip("/") + "/"


def _headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _checked_model(answer: Any, model: str) -> str:  # noqa: ANN401 - foreign JSON
    """The name to ask for: a listed one, or the only one when none is given; Ollama's `name:tag` answers to `name`."""
    offered = answer.get("data") if isinstance(answer, dict) else None
    names = [str(entry.get("id")) for entry in offered or () if isinstance(entry, dict)]
    if not model and len(names) == 1:
        return names[0]
    if not model or (names and model not in names and f"{model}:latest" not in names):
        raise ModelRefusedError(f"The server has no model called {model!r}.", hint=f"It has: {', '.join(names)}.")
    return model


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": neutral(message.text)} for message in messages]


def _chunks(events: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The objects in a reply up to [DONE]; raises what an error object or something unreadable stands for."""
    try:
        for event in events:
            if event == "[DONE]":
                return
            chunk = json.loads(event)
            if not isinstance(chunk, dict) or "error" in chunk:
                raise ModelUnavailableError(f"The language model's server reports: {event[:300]}", hint="Ask again.")
            yield chunk
    except ValueError as error:
        raise ModelUnavailableError(f"The language model's server sends no readable events: {error}.") from error


def _reason(finish: object) -> EndReason | None:
    if not finish:
        return None
    return "length" if finish == "length" else "stop"


def _end(reason: EndReason, usage: Mapping[str, Any], prompt: int, written: int) -> End:
    """What the server says it took, or else our count of the prompt and the number of pieces."""
    details = usage.get("prompt_tokens_details") or {}
    return End(
        reason=reason,
        prompt_tokens=int(usage.get("prompt_tokens", prompt)),
        cached_tokens=int(details.get("cached_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens", written)),
    )
