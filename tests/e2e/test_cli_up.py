"""The command line beside a running service: the same words, shapes and exit codes, and a service that is found."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.databases import variables_of
from tests.support.doorbell import broker, queue_variables

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
QUESTION = "What do I get per mile when I use my own car?"
WORDS = {"THREADWISE_LLM__KIND": "scripted", "THREADWISE_QUEUE__SWEEP_SECONDS": "1"}
# Whoever runs the tests in the background has Ctrl-C ignored.
COMMAND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from api.cli import main; main()"
PRINTED = pytest.mark.embedded_only("what a command prints, refuses and finds in the folder; the database has no part")
REPORT = {"run_id", "state", "documents", "chunks", "embedded", "ledger", "seconds"}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        """Standard output, which has to be one JSON object in one line."""
        assert self.out.count("\n") == 1, self.out + self.err
        return json.loads(self.out)


def start(*arguments: str | Path, data: Path, **variables: str) -> subprocess.Popen[str]:
    """A command over a data folder, running."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | WORDS | variables_of(data) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    return Done(process.returncode, out, err)


def run(*arguments: str | Path, data: Path) -> Done:
    return ended(start(*arguments, data=data))


@dataclass(frozen=True, slots=True)
class Service:
    """A running `threadwise up`, and what it said of itself."""

    data: Path
    process: subprocess.Popen[str]
    said: dict[str, Any]

    def run(self, *arguments: str | Path) -> Done:
        return run(*arguments, data=self.data)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.said["url"] + path, trust_env=False)


@contextmanager
def running(data: Path) -> Iterator[Service]:
    """A service on this folder; it is stopped with Ctrl-C if it still runs then."""
    with broker() as doorbell:
        process = start("up", "--port", "0", "--json", data=data, **queue_variables(doorbell))
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            pytest.fail("".join(process.communicate()))
        try:
            yield Service(data, process, json.loads(line))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which no service runs, with the handbook in it."""
    data = tmp_path_factory.mktemp("here") / "data"
    assert run("ingest", DEMO / "handbook", "--source", "handbook", data=data).status == 0
    return data


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows the handbook."""
    with running(tmp_path_factory.mktemp("there") / "data") as started:
        done = started.run("ingest", DEMO / "handbook", "--source", "handbook")
        assert done.status == 0, done.err
        yield started


def test_a_service_says_where_it_is_and_keeps_its_key_to_its_user(service: Service) -> None:
    place = Path(service.said["key_file"])
    assert place == service.data / "up.json"
    assert place.stat().st_mode & 0o777 == 0o600
    assert json.loads(place.read_text())["url"] == service.said["url"]
    assert service.said["pid"] == service.process.pid
    assert service.get("/readyz").status_code == 200
    assert service.get("/v1/runs").status_code == 401


@PRINTED
def test_a_second_service_on_the_folder_is_refused(service: Service) -> None:
    done = service.run("up", "--port", "0", "--json")
    assert (done.status, done.json["error"]["code"]) == (1, "already_running")
    assert str(service.process.pid) in done.json["error"]["message"]
    assert service.run("search", "leave").status == 0, "the first one is still well"


def test_ingesting_reports_the_same_through_the_service_and_without_it(service: Service, here: Path) -> None:
    options = ("ingest", DEMO / "handbook", "--source", "twice", "--json")
    reports = [service.run(*options).json, run(*options, data=here).json]
    assert set(reports[0]) == set(reports[1]) == REPORT
    for field in ("state", "documents", "chunks", "ledger"):
        assert reports[0][field] == reports[1][field]
    assert list(reports[0]["documents"]) == list(reports[1]["documents"])


@PRINTED
def test_ingesting_tells_a_person_the_same(service: Service) -> None:
    done = service.run("ingest", DEMO / "handbook", "--source", "handbook")
    assert done.status == 0
    assert done.out.startswith("handbook: succeeded in ")
    assert "0 added, 0 changed, 13 unchanged, 0 removed, 0 quarantined" in done.out


def test_searching_gives_the_same_passages(service: Service, here: Path) -> None:
    options = ("search", "How long is sick pay?", "--source", "handbook", "--json")
    found = [service.run(*options).json, run(*options, data=here).json]
    assert set(found[0]) == set(found[1]) == {"passages", "took_ms"}
    ids = [[passage["chunk_id"] for passage in shown["passages"]] for shown in found]
    assert ids[0] == ids[1] != []
    assert [set(passage) for passage in found[0]["passages"]] == [set(passage) for passage in found[1]["passages"]]


@PRINTED
def test_an_answer_is_the_same_with_and_without_the_service(service: Service, here: Path) -> None:
    options = ("ask", QUESTION, "--source", "handbook", "--json")
    answers = [service.run(*options).json, run(*options, data=here).json]
    assert set(answers[0]) == set(answers[1])
    for field in ("status", "text", "citations", "usage", "grounded", "nearest", "model", "template"):
        assert answers[0][field] == answers[1][field]
    assert answers[0]["status"] in {"answered", "quoted"}
    assert "45p" in answers[0]["citations"][0]["quote"]


@PRINTED
def test_a_person_sees_quotes_sources_status_and_tokens(service: Service) -> None:
    done = service.run("ask", QUESTION, "--source", "handbook")
    assert done.status == 0
    assert done.out.startswith("[1] “")
    assert "\nSources\n  [1] " in done.out
    assert " model tokens · first text after " in done.out


@PRINTED
def test_a_question_that_nothing_answers_is_declined_and_done(service: Service, here: Path) -> None:
    question = "Who won the football world cup in 1974?"
    told = [service.run("ask", question, "--json"), run("ask", question, "--json", data=here)]
    assert [done.status for done in told] == [0, 0]
    assert [done.json["status"] for done in told] == ["declined", "declined"]
    assert [bool(done.json["nearest"]) for done in told] == [True, True]


REFUSED = {
    "an unknown principal": (("search", "leave", "--as", "T1/U1"), 2, "unknown_principal"),
    "an empty question": (("ask", " "), 2, "empty_question"),
    "an unknown run": (("runs", "show", "0" * 32), 2, "run_not_found"),
    "an unknown key": (("keys", "revoke", "0" * 12), 2, "key_not_found"),
    "an unknown source": (("runs", "start", "nowhere"), 2, "unknown_source"),
    "a path with nothing": (("ingest", "nowhere", "--source", "n"), 2, "source_not_found"),
}


@PRINTED
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_alike(service: Service, here: Path, case: str) -> None:
    arguments, status, code = REFUSED[case]
    for done in (service.run(*arguments, "--json"), run(*arguments, "--json", data=here)):
        assert (done.status, done.json["error"]["code"]) == (status, code)
        assert set(done.json["error"]) == {"code", "message", "hint", "retryable"}
        assert done.err.startswith(f"error[{code}]: ")


def test_runs_and_sources_are_listed_in_the_same_shape(service: Service, here: Path) -> None:
    for command, field in (("runs", "runs"), ("sources", "sources"), ("keys list", "keys")):
        told = [service.run(*command.split(), "--json").json, run(*command.split(), "--json", data=here).json]
        assert list(told[0]) == list(told[1]) == [field]
        if told[0][field] and told[1][field]:
            assert set(told[0][field][0]) == set(told[1][field][0])


def test_a_run_can_be_started_again_shown_and_watched(service: Service) -> None:
    report = service.run("runs", "start", "handbook", "--json").json
    assert set(report) == REPORT
    shown = service.run("runs", "show", report["run_id"], "--json").json
    assert (shown["run_id"], shown["state"]) == (report["run_id"], "succeeded")
    assert service.run("runs", "watch", report["run_id"], "--json").json == report
    cancelled = service.run("runs", "cancel", report["run_id"])
    assert (cancelled.status, "has ended: succeeded" in cancelled.out) == (0, True)


def test_one_document_can_be_read_again(service: Service) -> None:
    report = service.run("runs", "start", "handbook", "--document", "leave.md", "--json").json
    assert (report["state"], report["documents"]["removed"]) == ("succeeded", 0)


def test_a_schedule_is_kept_with_its_source(service: Service) -> None:
    assert service.run("runs", "every", "handbook", "1440").status == 0
    rows = service.run("sources", "--json").json["sources"]
    assert {row["name"]: row["every_minutes"] for row in rows}["handbook"] == 1440
    assert "1440 min" in service.run("sources").out


def test_a_key_opens_the_service_until_it_is_revoked(service: Service) -> None:
    made = service.run("keys", "create", "--name", "intranet", "--scope", "ask", "--expires-days", "1", "--json").json
    body = {"question": QUESTION}
    url, headers = service.said["url"] + "/v1/search", {"Authorization": f"Bearer {made['secret']}"}
    assert httpx.post(url, json=body, headers=headers, trust_env=False).status_code == 200
    listed = service.run("keys", "list", "--json")
    assert made["secret"] not in listed.out
    assert made["id"] in {key["id"] for key in listed.json["keys"]}
    assert service.run("keys", "revoke", made["id"]).status == 0
    time.sleep(1)  # for so long a key that was verified may count
    assert httpx.post(url, json=body, headers=headers, trust_env=False).status_code == 401


def test_ctrl_c_leaves_the_run_going_and_says_how_to_watch_it(service: Service) -> None:
    process = start("ingest", DEMO / "slack-export", "--source", "slack", "--json", data=service.data)
    deadline = time.monotonic() + 30
    while not (runs := service.run("runs", "--source", "slack", "--json").json["runs"]):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert (done.status, done.json["error"]["code"]) == (130, "interrupted")
    assert f"threadwise runs watch {runs[0]['run_id']}" in done.json["error"]["hint"]
    report = service.run("runs", "watch", runs[0]["run_id"], "--json").json
    assert (report["state"], report["ledger"]["total"] > 600) == ("succeeded", True)


@PRINTED
def test_a_key_file_that_others_can_read_is_not_used(service: Service) -> None:
    place = service.data / "up.json"
    place.chmod(0o644)
    try:
        done = service.run("search", "leave", "--json")
    finally:
        place.chmod(0o600)
    assert (done.status, bool(done.json["passages"])) == (0, True)
    assert "open to others" in done.err


def test_a_service_that_was_killed_is_not_waited_for_and_can_be_started_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as first:
        assert first.run("ingest", DEMO / "handbook", "--source", "handbook").status == 0
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
    assert (data / "up.json").exists(), "nobody could remove it"
    assert run("search", "leave", "--json", data=data).json["passages"]
    with running(data) as second:
        assert second.said["url"]
        assert second.run("search", "leave", "--json").json["passages"]
    assert second.process.returncode == 0
    assert not (data / "up.json").exists()


@PRINTED
def test_a_port_that_is_taken_is_said_before_anything_starts(service: Service, tmp_path: Path) -> None:
    port = service.said["url"].rpartition(":")[2]
    done = run("up", "--port", port, "--json", data=tmp_path / "data")
    assert (done.status, done.json["error"]["code"]) == (2, "address_in_use")
    assert not (tmp_path / "data").exists()
