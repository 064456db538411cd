"""llama.cpp in this process: a GGUF file, kept prompt prefixes, several slots decoded in one batch.

Prompts are submitted as token ids. The template is tokenised with control tokens, every message without them, so
that a text which spells a control token stays text (see `generation.chat_prompt`). The engine's tokenizer and
template are reached over a Unix socket in a private folder, with a key of this process alone.

A generation runs on a thread of its own, which holds the engine's streaming call; the call's callback puts chunks
into a queue and returns True once the generator was closed, and that frees the slot. During a prompt the callback is
called after each batch of `BATCH_TOKENS` tokens.
"""

import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import httpx

from generation.chat_prompt import pieces_of, plain_pieces
from generation.errors import ModelRefusedError, ModelUnavailableError, PromptTooLongError
from generation.llama_engine import Chunk, Engine, EngineOptions, open_engine
from generation.memory import available_bytes
from generation.model import Delta, End, Message, Role, Sampling, never
from generation.pump import awaited

_SIDE_SECONDS = 30.0  # for counting and rendering, which never wait for a slot
_CLOSED = "The language model is closed."


class LlamaModel:
    """A GGUF model with `slots` slots of `context_tokens` tokens each; its file has been verified by the caller.

    `threads` compute, and should be fewer than the free cores. Loading raises `ModelMissingError`,
    `ModelDamagedError` or `ModelTooLargeError`.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int = 4096,
        slots: int = 1,
        threads: int = 1,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        self.id = path.stem
        self.slots = slots
        self.context_tokens = context_tokens
        self._folder = Path(tempfile.mkdtemp(prefix="threadwise-"))
        socket, key = self._folder / "llama.sock", secrets.token_urlsafe(32)
        options = EngineOptions(
            address=str(socket), key=key, context_tokens=context_tokens, slots=slots, threads=threads
        )
        try:
            engine, header = open_engine(path, options, available)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._engine: Engine | None = engine
        self.instructed = header.templated
        self._side = _side_door(socket, key)
        # Templates and few-shot examples repeat in every prompt.
        self._ids = lru_cache(maxsize=128)(self._tokenised)
        self._running: set[_Generation] = set()
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        """See `LanguageModel.count`."""
        return len(self._ids(text, control=False, first=False))

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """See `LanguageModel.count_prompt`."""
        return len(self.prompt_ids(messages))

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that `generate` submits."""
        pieces = pieces_of(messages, self._rendered) if self.instructed else plain_pieces(messages)
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            ids += self._ids(piece.text, control=piece.control, first=number == 0)
        return ids

    def _rendered(self, turns: Sequence[tuple[Role, str]]) -> str:
        sent = [{"role": role, "content": text} for role, text in turns]
        return str(self._ask("/apply-template", {"messages": sent})["prompt"])

    def _tokenised(self, text: str, *, control: bool, first: bool) -> tuple[int, ...]:
        """Token ids; in front of the `first` piece stands what the model wants at its beginning."""
        answer = self._ask("/tokenize", {"content": text, "parse_special": control, "add_special": first})
        return tuple(answer["tokens"])

    def _ask(self, route: str, body: Chunk) -> Chunk:
        if self._engine is None:
            raise ModelUnavailableError(_CLOSED)
        try:
            response = self._side.post(route, json=body)
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: closed by another thread meanwhile
            raise ModelUnavailableError("The engine in this process does not answer.") from error
        answer: Chunk = response.json()
        if response.is_error:
            raise _refusal(answer)
        return answer

    def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Delta | End]:
        """See `LanguageModel.generate`."""
        prompt = self.prompt_ids(messages)
        if len(prompt) >= self.context_tokens:
            raise PromptTooLongError.of(len(prompt), self.context_tokens)
        generation = self._started(_request(prompt, sampling))
        try:
            yield from _parts(generation, stop)
        finally:
            generation.cancelled.set()

    def _started(self, request: Chunk) -> "_Generation":
        with self._lock:
            if self._engine is None:
                raise ModelUnavailableError(_CLOSED)
            generation = _Generation(self._engine, request, self._ended)
            self._running.add(generation)
        generation.thread.start()
        return generation

    def _ended(self, generation: "_Generation") -> None:
        with self._lock:
            self._running.discard(generation)

    def close(self) -> None:
        """Stop what runs, which ends with `ModelUnavailableError`, and free the memory."""
        with self._lock:
            self._engine, running = None, tuple(self._running)
        for generation in running:
            generation.cancelled.set()
        for generation in running:
            generation.thread.join()
        self._side.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Generation:
    """One streamed call to the engine, on its own thread; `chunks` ends with None."""

    def __init__(self, engine: Engine, request: Chunk, ended: "Callable[[_Generation], None]") -> None:
        self.chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self.cancelled = threading.Event()
        self._ended = ended
        self.thread = threading.Thread(target=self._run, args=(engine, request), name="llama-generation")

    def _run(self, engine: Engine, request: Chunk) -> None:
        try:
            engine.handle_completions(request, self._received)
        except RuntimeError as error:
            self.chunks.put({"error": {"message": str(error)}})
        finally:
            self._ended(self)
            self.chunks.put(None)

    def _received(self, chunk: Chunk) -> bool:
        self.chunks.put(chunk)
        return self.cancelled.is_set()


def _side_door(socket: Path, key: str) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)),
        base_url="http://llama",
        headers={"Authorization": f"Bearer {key}"},
        timeout=_SIDE_SECONDS,
        trust_env=False,
    )


def _request(prompt: list[int], sampling: Sampling) -> Chunk:
    """The engine's own samplers are replaced: what `Sampling` does not name is off."""
    return {
        "prompt": prompt,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": 0.0,
        "samplers": ["top_k", "top_p", "temperature"],
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "cache_prompt": sampling.keep_prefix,
        "stream": True,
        "return_progress": True,
    }


def _parts(generation: _Generation, stop: Callable[[], bool]) -> Iterator[Delta | End]:
    while (chunk := awaited(generation.chunks, stop)) is not None:
        if "error" in chunk:
            raise _refusal(chunk)
        choice = chunk["choices"][0]
        if choice["text"]:
            yield Delta(choice["text"])
        if choice["finish_reason"]:
            yield _end(chunk, choice["finish_reason"])
            return
    if stop():
        return
    raise ModelUnavailableError("The engine stopped in the middle of an answer.", hint="Ask again.")


def _end(chunk: Chunk, reason: str) -> End:
    usage = chunk["usage"]
    return End(
        reason="length" if reason == "length" else "stop",
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
        output_tokens=usage["completion_tokens"],
    )


def _refusal(answer: Chunk) -> ModelRefusedError | ModelUnavailableError:
    error = answer.get("error", {})
    message = f"The engine refused: {error.get('message', 'no reason given')}."
    if error.get("type") in {"invalid_request_error", "exceed_context_size_error"}:
        return ModelRefusedError(message)
    return ModelUnavailableError(message, hint="Ask again.")
