"""The connection to an OpenAI-style server, and how tokens are counted there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from generation.errors import ModelDamagedError, ModelRefusedError, ModelUnavailableError, PromptTooLongError

_TOKENS_PER_TURN = 8  # role, markers and line ends: no common template takes more
_TOKENS_PER_PROMPT = 64  # a beginning of its own, and the system text that some templates bring along
_OVERLOADED = 429
_SERVER_ERROR = 500
_KEY_REFUSED = (401, 403)

Turns = list[dict[str, str]]


_BESIDE_SECONDS = 5.0  # for counting and listing, which no model is needed for


class ChatServer:
    """One server: requests, streams, and its errors in our words. Safe to use from several threads."""

    def __init__(self, base_url: str, headers: dict[str, str], timeout: httpx.Timeout, *, connections: int) -> None:
        self._base = base_url
        self._client = httpx.Client(
            headers=headers,
            timeout=timeout,
            limits=httpx.Limits(max_connections=connections),
            follow_redirects=False,
            trust_env=False,
        )

    def get(self, route: str) -> Any:  # noqa: ANN401 - foreign JSON
        """The JSON at a route below `/v1`, or None where the server has no such route."""
        response = self._send("GET", self._base + route)
        return None if response.status_code == httpx.codes.NOT_FOUND else _json(_accepted(response))

    def post_beside(self, route: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - foreign JSON
        """The JSON at a route beside `/v1`; raises as `_accepted` does."""
        return _json(_accepted(self._send("POST", self._beside(route), body)))

    def offers(self, route: str, body: dict[str, Any]) -> bool:
        """Whether a route beside `/v1` answers this body; raises where the server is down or refuses the key."""
        response = self._send("POST", self._beside(route), body)
        if response.status_code == _OVERLOADED or response.status_code >= _SERVER_ERROR:
            _accepted(response)
        return response.is_success

    def _beside(self, route: str) -> str:
        return self._base.removesuffix("v1/") + route

    def _send(self, method: str, url: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, url, json=body, timeout=_BESIDE_SECONDS)
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed
            raise self._unreachable(error) from error

    @contextmanager
    def stream(self, route: str, body: dict[str, Any]) -> Iterator[Iterator[bytes]]:
        """The bytes of a reply as they come; leaving the block closes its connection."""
        try:
            with self._client.stream("POST", self._base + route, json=body) as response:
                if not response.is_success:
                    response.read()
                yield _accepted(response).iter_bytes()
        except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"The language model's server at {self._base} does not answer ({type(error).__name__}: {error}).",
            hint="Start it, or correct its address.",
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _accepted(response: httpx.Response) -> httpx.Response:
    """The response itself, if it is a success; else raises what its status stands for."""
    status = response.status_code
    if response.is_success:
        return response
    said = f"{status} {response.text[:300]}"
    if status == _OVERLOADED or status >= _SERVER_ERROR:
        raise ModelUnavailableError(f"The language model's server is overloaded or broken: {said}", hint="Ask again.")
    if "exceed_context_size" in said or "context_length_exceeded" in said:
        raise PromptTooLongError(f"The server's context is shorter than configured: {said}", hint="Correct its length.")
    if status in _KEY_REFUSED:
        raise ModelRefusedError(f"The language model's server refuses the key: {status}.", hint="Give it its key.")
    raise ModelRefusedError(f"The language model's server refuses: {said}", hint="Check its address and model name.")


def _json(response: httpx.Response) -> Any:  # noqa: ANN401 - foreign JSON
    try:
        return response.json()
    except ValueError as error:
        raise ModelRefusedError(f"{response.url} gives no JSON.", hint="Its address has to end with /v1.") from error


class Counter(Protocol):
    """One way to count."""

    def count(self, text: str) -> int:
        """Tokens of plain text without special ones."""
        ...

    def count_turns(self, turns: Turns) -> int:
        """Tokens of a whole prompt."""
        ...


def counter_for(server: ChatServer, model: str, tokenizer: Path | None) -> Counter:
    """The best way this server allows; raises `ModelRefusedError` where there is none and no tokenizer is given."""
    turns = [{"role": "user", "content": "a"}]
    if server.offers("apply-template", {"messages": turns}):
        return _LlamaCounter(server)
    if server.offers("tokenize", {"model": model, "messages": turns, "add_generation_prompt": True}):
        return _VllmCounter(server, model)
    if tokenizer is not None:
        return _FileCounter(tokenizer)
    raise ModelRefusedError(
        "The language model's server does not count tokens, so no prompt can be fitted into its context.",
        hint="Configure the model's tokenizer.json.",
    )


class _LlamaCounter:
    """llama-server: its template rendered, its tokenizer."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server

    def count(self, text: str) -> int:
        return self._count(text, special=False)

    def count_turns(self, turns: Turns) -> int:
        prompt = self._server.post_beside("apply-template", {"messages": turns})["prompt"]
        return self._count(prompt, special=True)

    def _count(self, text: str, *, special: bool) -> int:
        body = {"content": text, "parse_special": special, "add_special": special}
        return len(self._server.post_beside("tokenize", body)["tokens"])


class _VllmCounter:
    """vLLM: one route for texts and for messages."""

    def __init__(self, server: ChatServer, model: str) -> None:
        self._server, self._model = server, model

    def count(self, text: str) -> int:
        return self._count({"prompt": text, "add_special_tokens": False})

    def count_turns(self, turns: Turns) -> int:
        return self._count({"messages": turns, "add_generation_prompt": True})

    def _count(self, body: dict[str, Any]) -> int:
        return int(self._server.post_beside("tokenize", {"model": self._model} | body)["count"])


class _FileCounter:
    """A tokenizer file, with an allowance for a template that is not known."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415

        try:
            self._tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare exceptions for a file it cannot read
            raise ModelDamagedError(f"{path} is no readable tokenizer ({error}).") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def count_turns(self, turns: Turns) -> int:
        texts = sum(self.count(turn["content"]) + _TOKENS_PER_TURN for turn in turns)
        return texts + _TOKENS_PER_PROMPT
