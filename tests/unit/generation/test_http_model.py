"""The HTTP model against servers that answer as real ones do, and as they do on bad days."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSettingError
from features.minilm import TOKENIZER_FILE
from features.minilm_export import wheel_folder
from generation.errors import ModelDamagedError, ModelRefusedError, ModelUnavailableError, PromptTooLongError
from generation.http_model import HttpModel, neutral
from generation.model import Delta, End, Message, Sampling

HELLO = (Message("user", "Hello"),)
Body = dict[str, Any]
Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]
Route = Callable[[Body], Answer]


def shown(value: object) -> Answer:
    return 200, json.dumps(value).encode()


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def nowhere(_: Body) -> Answer:
    return 404, b"no such route"


def delta(text: str | None, finish: str | None = None) -> bytes:
    return event({"choices": [{"delta": {"role": "assistant", "content": text}, "finish_reason": finish}]})


DONE = b"data: [DONE]\n\n"
USAGE = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
REPLY = b": ping\n\n" + delta(None) + delta("Good ") + delta("day") + delta("", "stop") + USAGE + DONE

LLAMA: dict[str, Route] = {
    "/v1/models": lambda _: shown({"data": [{"id": "small"}]}),
    "/apply-template": lambda body: shown({"prompt": "".join(f"[{m['content']}]" for m in body["messages"])}),
    "/tokenize": lambda body: shown({"tokens": body["content"].split()}),
    "/v1/chat/completions": lambda _: (200, REPLY),
}


class StubServer:
    """Answers from a table of routes and keeps what it was asked; `url` ends with /v1."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.asked: list[tuple[str, Body, dict[str, str]]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler(routes))
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def handler(self, routes: dict[str, Route]) -> type[BaseHTTPRequestHandler]:
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
                status, raw, *headers = routes.get(self.path, nowhere)(body)
                self.send_response(status)
                for name, value in headers[0].items() if headers else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def body_of(self, path: str) -> Body:
        return next(body for asked, body, _ in reversed(self.asked) if asked == path)


@contextmanager
def serving(routes: dict[str, Route]) -> Iterator[StubServer]:
    stub = StubServer(routes)
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.005,))
    thread.start()
    try:
        yield stub
    finally:
        stub.server.shutdown()
        thread.join()
        stub.server.server_close()


@contextmanager
def model_on(routes: dict[str, Route], **options: Any) -> Iterator[tuple[HttpModel, StubServer]]:  # noqa: ANN401
    with serving(routes) as stub, closing(HttpModel(stub.url, "small", context_tokens=100, **options)) as model:
        yield model, stub


def replying(answer: Answer) -> dict[str, Route]:
    return LLAMA | {"/v1/chat/completions": lambda _: answer}


def test_pieces_and_usage_are_read_from_the_stream() -> None:
    with model_on(LLAMA) as (model, _):
        assert list(model.generate(HELLO, Sampling())) == [
            Delta("Good "),
            Delta("day"),
            End(reason="stop", prompt_tokens=9, cached_tokens=0, output_tokens=2),
        ]


def test_without_usage_the_end_says_what_was_counted_here() -> None:
    with model_on(replying((200, delta("a") + delta("b", "length") + DONE))) as (model, _):
        *_, end = model.generate((Message("user", "one two three"),), Sampling())
        assert end == End(reason="length", prompt_tokens=3, cached_tokens=0, output_tokens=2)


def test_only_what_was_asked_for_is_sent() -> None:
    with model_on(LLAMA) as (model, stub):
        list(model.generate(HELLO, Sampling(max_tokens=7)))
        plain = stub.body_of("/v1/chat/completions")
        list(model.generate(HELLO, Sampling(top_k=5, stop=("Q:",), keep_prefix=False)))
        special = stub.body_of("/v1/chat/completions")
    assert plain["max_tokens"] == 7
    assert not {"top_k", "stop", "cache_prompt"} & set(plain)
    assert (special["top_k"], special["stop"], special["cache_prompt"]) == (5, ["Q:"], False)


@pytest.mark.parametrize(("key", "sent"), [("", None), ("secret", "Bearer secret")])
def test_a_key_is_sent_only_if_there_is_one(key: str, sent: str | None) -> None:
    with model_on(LLAMA, api_key=key) as (model, stub):
        list(model.generate(HELLO, Sampling()))
        assert {headers.get("authorization") for _, _, headers in stub.asked} == {sent}


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with model_on(LLAMA) as (model, _):
        assert list(model.generate(HELLO, Sampling()))


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_refused_and_not_followed(status: int) -> None:
    with serving(LLAMA) as other:
        moved = replying((status, b"", {"Location": f"{other.url}/chat/completions"}))
        with model_on(moved) as (model, _), pytest.raises(ModelRefusedError, match=str(status)):
            list(model.generate(HELLO, Sampling()))
        assert not other.asked


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_overloaded_or_broken_server_can_be_asked_again(status: int) -> None:
    with model_on(replying((status, b"busy"))) as (model, _), pytest.raises(ModelUnavailableError) as refused:
        list(model.generate(HELLO, Sampling()))
    assert refused.value.retryable


@pytest.mark.parametrize(("status", "said"), [(400, "bad"), (401, "key"), (403, "key"), (404, "model name")])
def test_a_refused_request_is_not_asked_again(status: int, said: str) -> None:
    with model_on(replying((status, b"bad"))) as (model, _), pytest.raises(ModelRefusedError, match=said) as refused:
        list(model.generate(HELLO, Sampling()))
    assert not refused.value.retryable


def test_a_server_with_a_shorter_context_than_configured_says_that_the_prompt_is_too_long() -> None:
    body = json.dumps({"error": {"type": "exceed_context_size_error"}}).encode()
    with model_on(replying((400, body))) as (model, _), pytest.raises(PromptTooLongError):
        list(model.generate(HELLO, Sampling()))


@pytest.mark.parametrize(
    "raw",
    [
        delta("half"),
        delta("half") + DONE,
        delta("half") + event({"error": {"message": "out of memory"}}),
        delta("half") + b"data: {not json\n\n",
        delta("half") + b"data: []\n\n",
        delta("half") + event({"choices": [{"delta": None}]}),
        delta("half") + event({"choices": "many"}),
        delta("half") + event({"choices": [None]}),
        delta("half") + event({"choices": [{"delta": {"content": ["a"]}}]}),
        delta("half") + event({"choices": [{"delta": {"content": 7}}]}),
        delta("half", "stop") + event({"choices": [], "usage": {"prompt_tokens": None}}) + DONE,
        delta("half", "stop") + event({"choices": [], "usage": "many"}) + DONE,
        delta("half", "stop") + b'data: {"choices": [], "usage": {"prompt_tokens": NaN}}\n\n' + DONE,
        delta("half", "stop") + event({"choices": [], "usage": {"prompt_tokens_details": [1]}}) + DONE,
    ],
)
def test_a_reply_that_breaks_off_is_an_error_after_its_pieces(raw: bytes) -> None:
    with model_on(replying((200, raw))) as (model, _):
        parts = model.generate(HELLO, Sampling())
        assert next(parts) == Delta("half")
        with pytest.raises(ModelUnavailableError):
            list(parts)


@pytest.mark.parametrize("told", [{"tokens": None}, [], None, {"tokens": 3}])
def test_a_count_that_is_not_understood_is_the_servers_failure(told: object) -> None:
    with model_on(LLAMA | {"/tokenize": lambda _: shown(told)}) as (model, _), pytest.raises(ModelUnavailableError):
        model.count("Hello")


def test_a_model_that_the_server_lacks_is_refused_with_those_it_has() -> None:
    with serving(LLAMA) as stub, pytest.raises(ModelRefusedError, match=r"called 'large'.*It has: small"):
        HttpModel(stub.url, "large", context_tokens=100)


def test_without_a_name_the_only_model_of_the_server_is_meant() -> None:
    with serving(LLAMA) as stub, closing(HttpModel(stub.url, "", context_tokens=100)) as model:
        assert model.id == "small"


def test_a_name_without_its_tag_is_enough() -> None:
    with model_on(LLAMA | {"/v1/models": lambda _: shown({"data": [{"id": "small:latest"}]})}) as (model, _):
        assert model.id == "small"


def test_a_server_without_a_list_of_models_may_have_any() -> None:
    routes = {path: route for path, route in LLAMA.items() if path != "/v1/models"}
    with model_on(routes) as (model, _):
        assert model.count("one two") == 2


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with serving(LLAMA) as stub:
        url = stub.url
    with pytest.raises(ModelUnavailableError, match="does not answer"):
        HttpModel(url, "small", context_tokens=100)


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://models/v1", "http://", "http://[::1/v1"])
def test_what_is_no_http_address_is_an_invalid_setting(url: str) -> None:
    with pytest.raises(InvalidSettingError):
        HttpModel(url, "small", context_tokens=100)


def test_a_page_instead_of_an_api_is_refused() -> None:
    with (
        serving(LLAMA | {"/v1/models": lambda _: (200, b"<html>")}) as stub,
        pytest.raises(ModelRefusedError, match="/v1"),
    ):
        HttpModel(stub.url, "small", context_tokens=100)


def test_a_server_that_counts_messages_in_one_route_is_asked_there() -> None:
    def tokenize(body: Body) -> Answer:
        texts = [turn["content"] for turn in body["messages"]] if "messages" in body else [body["prompt"]]
        return shown({"count": len(" ".join(texts).split()) + 4 * ("messages" in body)})

    routes = {path: LLAMA[path] for path in ("/v1/models", "/v1/chat/completions")} | {"/tokenize": tokenize}
    with model_on(routes) as (model, _):
        assert model.count("one two") == 2
        assert model.count_prompt((Message("user", "one two"),)) == 6


BARE = {path: LLAMA[path] for path in ("/v1/models", "/v1/chat/completions")}


def test_a_server_that_cannot_count_needs_a_tokenizer_file() -> None:
    with serving(BARE) as stub, pytest.raises(ModelRefusedError, match=r"tokenizer\.json"):
        HttpModel(stub.url, "small", context_tokens=100)


def test_with_a_tokenizer_file_a_prompts_count_is_an_upper_estimate() -> None:
    with model_on(BARE, tokenizer=wheel_folder() / TOKENIZER_FILE) as (model, _):
        assert model.count("annual leave") == 2
        assert model.count_prompt((Message("user", "annual leave"),)) > 2 + 8


def test_a_tokenizer_file_that_is_none_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with serving(BARE) as stub, pytest.raises(ModelDamagedError):
        HttpModel(stub.url, "small", context_tokens=100, tokenizer=tmp_path / "tokenizer.json")


def test_closing_the_generator_closes_its_connection() -> None:
    noticed = threading.Event()

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(LLAMA["/v1/models"]({})[1])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(b"" if "stream" in body else LLAMA[self.path](body)[1])
            while "stream" in body:
                try:
                    self.wfile.write(delta("more "))
                except OSError:
                    noticed.set()
                    return

        def reply(self, raw: bytes) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        with closing(HttpModel(f"http://127.0.0.1:{server.server_port}/v1", "small", context_tokens=100)) as model:
            parts = model.generate(HELLO, Sampling())
            assert next(parts) == Delta("more ")
            parts.close()  # type: ignore[attr-defined]
            assert noticed.wait(5)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CONTROL = re.compile(r"<\||\|>|<\uFF5C|</?[A-Za-z_]\w*>|<<|\[/?[A-Z_]{2,}\]")


@pytest.mark.parametrize(
    "token",
    ["<|im_start|>", "<|endoftext|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>", "<repo_name>"],
)
def test_what_is_spelled_like_a_control_token_is_taken_apart(token: str) -> None:
    assert token not in neutral(f"a {token} b")
    assert neutral(token).replace(" ", "") == token


@given(text=st.text("<|>/[]sINST_ a\uff5c", max_size=40))
def test_nothing_that_looks_like_a_control_token_is_left_and_only_spaces_are_added(text: str) -> None:
    assert not CONTROL.search(neutral(text))
    assert neutral(text).replace(" ", "") == text.replace(" ", "")
    assert neutral(neutral(text)) == neutral(text)


def test_ordinary_text_stays_as_it_is() -> None:
    text = "5 < 7 > 3 | a <= b; see [1] and [Leave policy], mail <ann@example.org>; x << 3"
    assert neutral(text).replace("< <", "<<") == text


def test_messages_are_neutral_before_they_leave() -> None:
    with model_on(LLAMA) as (model, stub):
        list(model.generate((Message("user", "a<|im_end|>b"),), Sampling()))
        assert stub.body_of("/v1/chat/completions")["messages"] == [{"role": "user", "content": "a< |im_end| >b"}]
