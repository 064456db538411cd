"""The service as a process of its own: clients that leave, many at once, too many at once, and the end."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.errors import BAD_USE
from api.server import listening
from core.settings import ApiSettings, Settings
from tests.support.databases import variables_of
from tests.support.installation import write_pages
from tests.support.rest import ROOT, Headers, Process, events_of, new_key, running
from threadwise.runtime import Threadwise

SLOTS = 2
QUEUE = 3
SUBJECTS = 50


def words(number: int) -> str:
    """A page that one question finds and no other."""
    name = f"gadget{number:02d}q"
    return f"# {name}\n\nThe {name} is kept in cupboard {name}x and was bought by {name}y for the {name}z.\n"


@dataclass(frozen=True, slots=True)
class Home:
    """A data folder with a page for each subject, and keys."""

    data: Path
    ask: Headers
    admin: Headers


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Ingested before any service runs."""
    folder = tmp_path_factory.mktemp("process")
    pages = write_pages(folder / "pages", {f"{number}.md": words(number) for number in range(SUBJECTS)})
    with Threadwise(Settings(data_dir=folder / "data")) as threadwise:
        threadwise.ingest(pages, name="gadgets")
        return Home(folder / "data", new_key(threadwise, "ask"), new_key(threadwise, "admin"))


def serving(home: Home, folder: Path, **variables: object) -> AbstractContextManager[Process]:
    """A service whose model says the quotes again, with settings by their section and field."""
    usual: dict[str, object] = {"LLM__KIND": "scripted", "ASK__THRESHOLD": 0, "API__BURST": 10_000}
    named = {f"THREADWISE_{name}": str(value) for name, value in (usual | variables).items()}
    return running(home.data, folder / "service.log", named)


@pytest.fixture(scope="module")
def narrow(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Two slots and a short queue."""
    variables = {"LLM__SLOTS": SLOTS, "LLM__TOKEN_SECONDS": 0.02, "ASK__QUEUE": QUEUE, "ASK__QUEUE_SECONDS": 30}
    with serving(home, tmp_path_factory.mktemp("narrow"), **variables) as process:
        process.headers = home.ask
        yield process


@pytest.fixture(scope="module")
def roomy(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Room for everybody."""
    folder = tmp_path_factory.mktemp("roomy")
    with serving(home, folder, LLM__SLOTS=SUBJECTS, LLM__TOKEN_SECONDS=0.005) as process:
        process.headers = home.ask
        yield process


def question(number: int, *, stream: bool = True) -> dict[str, object]:
    name = f"gadget{number:02d}q"
    return {"question": f"Who bought the {name}?", "stream": stream}


def all_free(service: Process, admin: Headers) -> float:
    """Seconds until no answer is open any more."""
    started = time.monotonic()
    while service.metric("threadwise_asks_open", admin) or service.metric("threadwise_asks_waiting", admin):
        assert time.monotonic() - started < 10
        time.sleep(0.02)
    return time.monotonic() - started


def test_a_hundred_clients_that_leave_take_no_slot_with_them(home: Home, tmp_path: Path) -> None:
    async def leave(client: httpx.AsyncClient, number: int) -> None:
        await asyncio.sleep(number * 0.02)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05 + (number % 10) * 0.05):
                await client.post("/v1/ask", json=question(number % SUBJECTS, stream=number % 2 == 0))

    async def story(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers=home.ask, timeout=30, trust_env=False) as client:
            await asyncio.gather(*(leave(client, number) for number in range(100)))

    # An answer that nobody cuts short takes several seconds.
    with serving(home, tmp_path, LLM__SLOTS=5, LLM__TOKEN_SECONDS=0.5, ASK__QUEUE=100) as service:
        asyncio.run(story(service.url))
        assert all_free(service, home.admin) <= 1.0
        with service.client() as client:
            text = client.get("/metrics", headers=home.admin).text
    left = re.search(r'threadwise_asks_total\{outcome="left"\} (\d+)', text)
    assert left is not None
    assert int(left[1]) > 5


def test_fifty_streams_at_once_get_their_own_text_and_nobody_elses(roomy: Process, home: Home) -> None:
    async def answer(client: httpx.AsyncClient, number: int) -> str:
        response = await client.post("/v1/ask", json=question(number))
        assert response.status_code == 200, response.text
        events = events_of(response.text)
        assert events[-1][0] == "done"
        assert events[-1][1]["text"] == "".join(data["text"] for name, data in events if name == "token")
        text: str = events[-1][1]["text"]
        return text

    async def story() -> list[str]:
        limits = httpx.Limits(max_connections=SUBJECTS)
        async with httpx.AsyncClient(
            base_url=roomy.url, headers=home.ask, timeout=60, trust_env=False, limits=limits
        ) as client:
            return await asyncio.gather(*(answer(client, number) for number in range(SUBJECTS)))

    texts = asyncio.run(story())
    for number, text in enumerate(texts):
        assert f"gadget{number:02d}qx" in text
    assert len(set(texts)) == SUBJECTS
    with roomy.client() as client:
        alone = [
            client.post("/v1/ask", json=question(number, stream=False)).json()["text"] for number in range(0, 50, 7)
        ]
    assert texts[::7] == alone
    all_free(roomy, home.admin)


def test_what_is_too_much_is_refused_with_a_time_to_come_back(narrow: Process, home: Home) -> None:
    def one(number: int) -> httpx.Response:
        with narrow.client() as client:
            return client.post("/v1/ask", json=question(number % SUBJECTS, stream=False))

    clients = 3 * (SLOTS + QUEUE)
    with ThreadPoolExecutor(clients) as pool:
        responses = list(pool.map(one, range(3 * clients)))
    codes = {response.status_code for response in responses}
    assert codes == {200, 429}
    refused = [response for response in responses if response.status_code == 429]
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
    assert all(response.json()["code"] == "busy" for response in refused)
    assert len(responses) - len(refused) >= SLOTS + QUEUE
    all_free(narrow, home.admin)


def test_health_is_told_while_every_slot_is_taken(narrow: Process, home: Home) -> None:
    def ask(number: int) -> int:
        with narrow.client() as client:
            return client.post("/v1/ask", json=question(number, stream=False)).status_code

    with ThreadPoolExecutor(SLOTS + QUEUE) as pool, narrow.client() as client:
        asking = [pool.submit(ask, number) for number in range(SLOTS + QUEUE)]
        alive = [client.get("/healthz").status_code for _ in range(20)]
        assert client.post("/v1/search", json={"question": "gadget01q"}).status_code == 200
        assert not all(future.done() for future in asking)
    assert set(alive) == {200}
    all_free(narrow, home.admin)


def test_a_server_says_nothing_of_itself(narrow: Process) -> None:
    with narrow.client() as client:
        assert "server" not in client.get("/healthz").headers


def test_headers_without_end_are_refused(narrow: Process) -> None:
    with narrow.client() as client:
        for headers in ({"X-Long": "x" * 40_000}, {f"X-{number}": "x" for number in range(100)}):
            assert client.get("/healthz", headers=headers).status_code in {400, 431}


def test_a_stream_is_told_that_the_service_stops(home: Home, tmp_path: Path) -> None:
    with serving(home, tmp_path, LLM__TOKEN_SECONDS=0.5) as process:
        process.headers = home.ask
        with process.client() as client, client.stream("POST", "/v1/ask", json=question(1)) as response:
            lines = response.iter_lines()
            assert "event: quote" in lines
            process.process.send_signal(signal.SIGTERM)
            rest = "\n".join(lines)
        stopped = time.monotonic()
        assert process.process.wait(10) == 0
        assert time.monotonic() - stopped < 6
    assert events_of(rest)[-1][0] == "error"
    assert events_of(rest)[-1][1]["code"] == "shutting_down"
    assert "Traceback" not in process.log.read_text()


def test_a_service_without_a_model_answers_with_quotes_and_keeps_them_out_of_its_log(
    home: Home, tmp_path: Path
) -> None:
    with serving(home, tmp_path, LLM__KIND="none") as process:
        process.headers = home.ask
        with process.client() as client:
            assert client.post("/v1/ask", json=question(3, stream=False)).json()["status"] == "quoted"
        process.process.terminate()
        assert process.process.wait(10) == 0
    assert "/v1/ask" in process.log.read_text()
    assert "gadget03q" not in process.log.read_text()


@pytest.mark.no_database
def test_small_answers_leave_at_once() -> None:
    with listening(ApiSettings(port=0)) as bound:
        assert bound.proto == socket.IPPROTO_TCP  # what asyncio looks at before it switches Nagle's algorithm off


def test_a_port_that_is_taken_is_named(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "api.server"],
            cwd=ROOT,
            env=variables_of(home.data) | {"THREADWISE_API__PORT": str(port), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == BAD_USE
    assert "address_in_use" in done.stderr
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
