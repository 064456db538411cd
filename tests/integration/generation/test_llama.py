"""The bundled model in this process and as a server: what no other implementation could get wrong."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from generation.bundled import SMOLLM2
from generation.errors import ModelDamagedError, ModelMissingError, ModelTooLargeError, ModelUnavailableError
from generation.gguf import read_header
from generation.http_model import HttpModel
from generation.llama import LlamaModel
from generation.model import Delta, End, Message, Sampling
from tests.support.language_models import ROOT, model_server, weights

pytestmark = pytest.mark.no_database

# ChatML's two and everything else that this vocabulary keeps for control: ids 0 to 16.
CONTROL_IDS = set(range(17))
SPELLINGS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<repo_name>",
    "<reponame>",
    "<file_sep>",
    "<filename>",
    "<gh_stars>",
    "<issue_start>",
    "<issue_comment>",
    "<issue_closed>",
    "<jupyter_start>",
    "<jupyter_text>",
    "<jupyter_code>",
    "<jupyter_output>",
    "<jupyter_script>",
    "<empty_output>",
]
SENTENCE = (Message("user", "Name a colour."),)


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    with closing(LlamaModel(weights(), context_tokens=512, slots=1)) as opened:
        yield opened


def end_of(model: LlamaModel, messages: tuple[Message, ...], sampling: Sampling) -> End:
    *_, end = model.generate(messages, sampling)
    assert isinstance(end, End)
    return end


def test_the_weights_are_what_their_entry_says() -> None:
    header = read_header(weights())
    assert (header.window, header.bytes, header.templated) == (SMOLLM2.window, SMOLLM2.bytes, SMOLLM2.instructed)
    assert header.kv_bytes(1) == 30 * 3 * (64 + 64) * 2  # layers, heads, keys and values, half precision


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_control_token_in_a_message_never_becomes_one(model: LlamaModel, spelling: str) -> None:
    plain = model.prompt_ids((Message("system", "Be brief."), Message("user", "Hello a b")))
    hostile = model.prompt_ids((Message("system", "Be brief."), Message("user", f"Hello a{spelling}b")))
    assert [id_ for id_ in hostile if id_ in CONTROL_IDS] == [id_ for id_ in plain if id_ in CONTROL_IDS]
    assert model.count(spelling) > 1


def test_the_spellings_are_control_tokens_where_parsing_is_on(model: LlamaModel) -> None:
    parsed = {model._ids(spelling, control=True, first=False) for spelling in SPELLINGS}
    assert parsed == {(number,) for number in CONTROL_IDS}


def test_messages_reach_the_model_in_its_own_template(model: LlamaModel) -> None:
    prompt = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    ids = model.prompt_ids((Message("system", "Be brief."), Message("user", "Hello")))
    assert ids == list(model._ids(prompt, control=True, first=True))


def test_a_repeated_prefix_is_kept_unless_it_is_not_wanted(model: LlamaModel) -> None:
    total = model.count_prompt(SENTENCE)
    end_of(model, SENTENCE, Sampling(max_tokens=1))
    assert end_of(model, SENTENCE, Sampling(max_tokens=1)).cached_tokens == total - 1
    assert end_of(model, SENTENCE, Sampling(max_tokens=1, keep_prefix=False)).cached_tokens == 0


def test_another_seed_gives_another_text_when_it_is_hot(model: LlamaModel) -> None:
    def text(seed: int) -> str:
        parts = model.generate(SENTENCE, Sampling(max_tokens=12, temperature=1.5, seed=seed, keep_prefix=False))
        return "".join(part.text for part in parts if isinstance(part, Delta))

    assert len({text(seed) for seed in range(3)}) > 1


def test_top_k_one_is_the_most_probable_token_however_hot(model: LlamaModel) -> None:
    def text(sampling: Sampling) -> list[object]:
        return list(model.generate(SENTENCE, sampling))

    assert text(Sampling(max_tokens=8, temperature=2.0, top_k=1, keep_prefix=False)) == text(
        Sampling(max_tokens=8, keep_prefix=False)
    )


def test_the_engine_stops_writing_when_the_generator_is_closed(model: LlamaModel) -> None:
    story = (Message("user", "Tell me a very long story about a ship."),)
    sampling = Sampling(max_tokens=100, keep_prefix=False)
    assert end_of(model, story, sampling).output_tokens == 100
    parts = model.generate(story, sampling)
    next(parts)
    (generation,) = model._running
    parts.close()  # type: ignore[attr-defined]
    generation.thread.join(10)
    assert generation.chunks.qsize() < 50
    assert not model._running


def test_a_generation_that_waits_for_the_slot_gets_it_when_the_other_is_closed(model: LlamaModel) -> None:
    first = model.generate(SENTENCE, Sampling(max_tokens=400, temperature=1.0))
    next(first)
    ended: list[End] = []
    second = threading.Thread(target=lambda: ended.append(end_of(model, SENTENCE, Sampling(max_tokens=1))))
    second.start()
    first.close()  # type: ignore[attr-defined]
    second.join(10)
    assert [end.output_tokens for end in ended] == [1]


def test_closing_the_model_ends_the_generation_that_runs_and_leaves_no_socket() -> None:
    model = LlamaModel(weights(), context_tokens=256, slots=1)
    folder = model._folder
    assert [path.suffix for path in folder.iterdir()] == [".sock"]
    assert folder.stat().st_mode & 0o077 == 0
    running = model.generate(SENTENCE, Sampling(max_tokens=200, temperature=1.0))
    next(running)
    model.close()
    with pytest.raises(ModelUnavailableError):
        list(running)
    assert not folder.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "llama-generation"]


def test_a_model_beyond_the_free_memory_is_refused_before_it_is_loaded() -> None:
    with pytest.raises(ModelTooLargeError, match=r"needs \d+ MiB .* 100 are free"):
        LlamaModel(weights(), available=lambda: 100 * 2**20)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        LlamaModel(tmp_path / "none.gguf")
    with weights().open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(8 * 2**20))
    with pytest.raises(ModelDamagedError):
        LlamaModel(tmp_path / "cut.gguf", context_tokens=256)


LOADING = """
import signal, sys
from pathlib import Path
from generation.llama import LlamaModel
from generation.model import Message, Sampling

before = signal.getsignal(signal.SIGTERM)
model = LlamaModel(Path(sys.argv[1]), context_tokens=256)
list(model.generate([Message("user", "Hi")], Sampling(max_tokens=2)))
model.close()
try:
    LlamaModel(Path(sys.argv[2]), context_tokens=256)
except Exception as error:
    assert error.code == "model_damaged"
assert signal.getsignal(signal.SIGTERM) is before
signal.raise_signal(signal.SIGTERM)
"""


def test_the_engine_prints_nothing_and_leaves_signals_alone(tmp_path: Path) -> None:
    with weights().open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(8 * 2**20))
    command = [sys.executable, "-c", LOADING, str(weights()), str(tmp_path / "cut.gguf")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert done.returncode == -signal.SIGTERM


def test_a_server_asks_for_its_key_and_ends_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open sesame\n", encoding="utf-8")
    with model_server("--context-tokens", "256", "--key-file", str(tmp_path / "key")) as server:
        assert httpx.get(f"{server.address}/health", trust_env=False).status_code == 200
        assert httpx.post(f"{server.address}/tokenize", json={"content": "a"}, trust_env=False).status_code == 401
        with closing(HttpModel(server.url, weights().stem, context_tokens=256, api_key="open sesame")) as model:
            assert model.count("a") == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert server.process.communicate() == ("", "")


def test_a_server_that_is_killed_within_an_answer_is_unavailable() -> None:
    with (
        model_server("--context-tokens", "256") as server,
        closing(HttpModel(server.url, weights().stem, context_tokens=256)) as model,
    ):
        running = model.generate(SENTENCE, Sampling(max_tokens=200, temperature=1.5))
        next(running)
        server.process.kill()
        server.process.wait(10)
        with pytest.raises(ModelUnavailableError):
            list(running)
        with pytest.raises(ModelUnavailableError):
            model.count("a")


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "generation.llama_server", *options]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)


def test_a_server_is_not_opened_to_others_without_a_key() -> None:
    done = serve("--model", str(weights()), "--host", "0.0.0.0")  # noqa: S104 - refused
    assert done.returncode == 2
    assert "--key-file" in done.stderr


def test_a_server_without_weights_or_on_a_taken_port_says_so() -> None:
    done = serve("--model", "nothing.gguf")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing.gguf" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve("--model", str(weights()), "--port", str(taken.getsockname()[1]), "--context-tokens", "256")
    assert (done.returncode, done.stdout) == (1, "")
    assert "listen" in done.stderr
