"""The command line as people and scripts run it: one data folder, real processes, exit codes and shapes."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from tests.support.databases import current_mode, database_variables, url_of, variables_of

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
WORKSPACE = "T05LQ8R2PNK"
RUTH = f"{WORKSPACE}/U05LQF8E1HC"
OWEN = f"{WORKSPACE}/U05LQUZN7GK"
PRIVATE_QUESTION = "Where is the company moving to, and when is the first working day there?"
SECRETS = ("C05LQ39T414", "people-ops-private", "Flaxgate", "Thornmere")


STREAMS = pytest.mark.embedded_only("standard streams and signals, in which the database has no part")
WORDING = pytest.mark.embedded_only("how a command is read and what it prints, in which the database has no part")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        """Standard output, which has to be one JSON object in one line and nothing else."""
        assert self.out.count("\n") == 1, self.out + self.err
        return json.loads(self.out)

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.out + self.err or "Exception ignored" in self.err


def command(*arguments: str | bytes | Path, python: Sequence[str] = ()) -> list[str | bytes | Path]:
    return [sys.executable, *python, "-m", "api.cli", *arguments]


def run(*arguments: str | bytes | Path, data: Path, python: Sequence[str] = (), **environment: str) -> Done:
    """One command over a data folder, from the root of the repository."""
    done = subprocess.run(
        command(*arguments, python=python),
        cwd=ROOT,
        env=os.environ | variables_of(data) | environment,
        check=False,
        capture_output=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(frozen=True, slots=True)
class Company:
    """The demo company's data folder and what its two ingestions said."""

    data: Path
    slack: Done
    handbook: Done


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The demo company, ingested by two commands."""
    data = tmp_path_factory.mktemp("company") / "data"
    slack = run("ingest", DEMO / "slack-export", "--source", "slack", "--json", data=data)
    handbook = run("ingest", DEMO / "handbook", "--source", "handbook", data=data)
    return Company(data, slack, handbook)


def test_ingesting_reports_in_the_shape_that_tools_rely_on(company: Company) -> None:
    report = company.slack.json
    assert company.slack.status == 0
    assert set(report) == {"run_id", "state", "documents", "chunks", "embedded", "ledger", "seconds"}
    assert report["state"] == "succeeded"
    assert set(report["documents"]) == {"added", "changed", "unchanged", "removed", "quarantined"}
    assert report["ledger"]["total"] == sum(report["ledger"]["buckets"].values()) > 600
    assert report["chunks"] >= report["documents"]["added"] > 100


def test_ingesting_tells_a_person_what_happened(company: Company) -> None:
    assert company.handbook.status == 0
    assert company.handbook.out.startswith("handbook: succeeded in ")
    assert "13 added, 0 changed, 0 unchanged, 0 removed, 0 quarantined" in company.handbook.out
    assert "13 items: indexed 13" in company.handbook.out


def test_ingesting_again_writes_and_embeds_nothing(company: Company) -> None:
    again = run("ingest", DEMO / "handbook", "--source", "handbook", "--json", data=company.data).json
    assert (again["documents"]["unchanged"], again["chunks"], again["embedded"]) == (13, 0, 0)


def test_a_member_finds_what_only_the_private_channel_answers(company: Company) -> None:
    done = run("search", PRIVATE_QUESTION, "--as", RUTH, "--top-k", "3", "--json", data=company.data)
    assert done.status == 0
    assert set(done.json) == {"passages", "took_ms"}
    passages = done.json["passages"]
    assert len(passages) == 3
    fields = {"chunk_id", "document_id", "external_id", "source", "title", "uri", "text", "score", "signals"}
    assert all(set(passage) == fields for passage in passages)
    assert passages[0]["external_id"] == "C05LQ39T414:1773939756.636772"
    assert "Flaxgate Mill" in passages[0]["text"]
    assert done.json["took_ms"] > 0


def test_an_outsider_is_told_nothing_not_even_that_there_is_something_to_tell(company: Company) -> None:
    for who in (("--as", OWEN), ()):
        done = run("search", PRIVATE_QUESTION, *who, "--top-k", "50", "--json", data=company.data)
        assert done.status == 0
        assert len(done.json["passages"]) > 5
        assert not [secret for secret in SECRETS if secret in done.out + done.err]


@WORDING
def test_a_person_reads_passages_with_their_place(company: Company) -> None:
    done = run("search", "What may a hotel in London cost?", "--as", OWEN, "--top-k", "2", data=company.data)
    assert done.status == 0
    assert "£185" in done.out
    assert "https://pennock-ladders.slack.com/archives/" in done.out
    assert "2 passages in " in done.out


def test_filters_narrow_the_search(company: Company) -> None:
    options = ("--source", "handbook", "--kind", "page", "--kind", "thread", "--mmr-lambda", "1", "--json")
    passages = run("search", "How long is sick pay?", *options, data=company.data).json["passages"]
    assert {passage["source"] for passage in passages} == {"handbook"}
    scores = [passage["score"] for passage in passages]
    assert scores == sorted(scores, reverse=True)


def test_bytes_that_are_no_text_are_a_question_like_any_other(company: Company) -> None:
    done = run("search", b"holiday \xff", "--author", b"\xfe", "--json", data=company.data, PYTHONUTF8="1")
    assert (done.status, done.json["passages"]) == (0, [])


ASCII = {
    "an ASCII stream": {"PYTHONIOENCODING": "ascii"},
    "an ASCII locale": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


LONDON = ("search", "What may a hotel in London cost, £?", "--as", OWEN, "--top-k", "2")


@pytest.fixture(scope="module")
def usual(company: Company) -> Done:
    """What a terminal of today is shown."""
    return run(*LONDON, "--json", data=company.data)


@STREAMS
@pytest.mark.parametrize("terminal", ASCII)
def test_an_old_terminal_gets_numbers_for_its_missing_letters_and_no_error(
    company: Company, usual: Done, terminal: str
) -> None:
    text = run(*LONDON, data=company.data, **ASCII[terminal])
    assert (text.status, text.err) == (0, "")
    assert text.out.isascii()
    assert "\\xa3185" in text.out
    done = run(*LONDON, "--json", data=company.data, **ASCII[terminal])
    assert (done.status, done.err) == (0, "")
    assert done.out.isascii()
    assert "£185" in done.json["passages"][0]["text"]
    chunks = [[passage["chunk_id"] for passage in found.json["passages"]] for found in (done, usual)]
    assert chunks[0] == chunks[1], "the question was understood alike"


REFUSAL = "ingest nowhere --json"  # without waiting for the engines that a search opens


def shell(line: str, data: Path) -> Done:
    """A command line as a shell reads it, where $threadwise is the command."""
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("$threadwise", f"{sys.executable} -m api.cli")],
        cwd=ROOT,
        env=os.environ | variables_of(data),
        check=False,
        capture_output=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@STREAMS
@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
@pytest.mark.parametrize("what", ["search leave", "search leave --json", "--help", "--version", REFUSAL])
def test_an_answer_that_cannot_be_written_is_one_line_on_stderr(company: Company, what: str, where: str) -> None:
    done = shell(f"$threadwise {what} {where}", company.data)
    refused = what == REFUSAL and "full" in where
    assert (done.status, done.out, done.traceback) == (2 if refused else 1, "", False), done.err
    assert done.err.startswith("error[source_not_found]" if refused else "error[file_system]: ")
    assert done.err.count("\n") == 1


@STREAMS
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_without_standard_error_a_command_works(company: Company, where: str) -> None:
    done = shell(f"$threadwise search leave --json {where}", company.data)
    assert done.status == 0
    assert done.json["passages"]
    refused = shell(f"$threadwise {REFUSAL} {where}", company.data)
    assert (refused.status, refused.json["error"]["code"]) == (2, "source_not_found")


@STREAMS
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_command_that_is_interrupted_says_so_and_exits_like_any_other(
    company: Company, tmp_path: Path, options: tuple[str, ...]
) -> None:
    place = tmp_path / "pipe"
    os.mkfifo(place)  # reading it takes for ever, so that the interruption comes in time
    script = (
        "import os, signal, sys; from core import settings; from api import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs this in the background ignores it
        "def stop(*_): os.kill(os.getpid(), signal.SIGINT); open(sys.argv.pop())\n"
        "settings.load_settings = stop\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "search", "leave", *options, "--as", place],
        cwd=ROOT,
        env=os.environ | variables_of(company.data),
        check=False,
        capture_output=True,
        timeout=60,
    )
    ended = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert (ended.status, ended.traceback) == (130, False)
    assert ended.err.startswith("error[interrupted]: ")
    if options:
        assert ended.json["error"]["code"] == "interrupted"


def test_what_is_registered_is_one_object(company: Company) -> None:
    listed = run("features", "list", "--json", data=company.data)
    assert listed.status == 0
    assert {row["name"] for row in listed.json["registered"]} >= {"chunk_embedding", "document_signals"}


@pytest.mark.embedded_only("the database lies in the folder too")
@pytest.mark.parametrize("name", ["a%41 b?c#d", os.fsdecode(b"no text \xff")])
def test_everything_lies_in_exactly_the_data_folder_that_was_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "page.md").write_text("# Leave\n\nAsk Ruth.\n")
    folder = tmp_path / "data" / name
    ingested = run("ingest", tmp_path / "page.md", "--json", "--data-dir", folder, data=tmp_path / "unused")
    assert ingested.status == 0, ingested.err
    found = run("search", "leave", "--json", "--data-dir", folder, data=tmp_path / "unused")
    assert found.status == 0, found.err
    assert len(found.json["passages"]) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [name]
    assert not (tmp_path / "unused").exists()


@STREAMS
def test_whoever_stops_reading_the_output_gets_no_complaint(company: Company) -> None:
    started = subprocess.Popen(
        command("search", "leave", "--json", "--data-dir", company.data),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.stdout
    assert started.stderr
    started.stdout.close()
    complaint = started.stderr.read().decode()
    started.stderr.close()
    assert (started.wait(timeout=60), complaint) == (1, "")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and folders that cannot be used, each in its own way."""
    place = tmp_path_factory.mktemp("broken")
    (place / "empty").mkdir()
    (place / "file").write_bytes(os.urandom(2_000))
    (place / "binary.md").write_bytes(b"\xff\xfe" + os.urandom(2_000))
    (place / "garbage.zip").write_bytes(b"PK\x03\x04" + os.urandom(2_000))
    (place / "no-blobs").mkdir()
    (place / "no-blobs" / "blobs").write_text("not a folder")
    (place / "future").mkdir()
    future = Database(url_of(place / "future"))
    future.migrate()
    with future.write() as session:
        session.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    future.close()
    return place


DEAD_SERVER = "postgresql+psycopg://threadwise:hunter2@127.0.0.1:1/threadwise"
REFUSED: dict[str, tuple[int, str, tuple[str, ...], dict[str, str]]] = {
    "a path that does not exist": (2, "source_not_found", ("ingest", "nowhere"), {}),
    "a zip that is not whole": (1, "source_unreadable", ("ingest", "garbage.zip"), {}),
    "a file of no known kind": (2, "unknown_kind", ("ingest", "file"), {}),
    "a kind that does not exist": (2, "unknown_kind", ("ingest", "empty", "--kind", "sharepoint"), {}),
    "an audience of nobody": (2, "empty_audience", ("ingest", "empty", "--audience", ""), {}),
    "an empty question": (2, "empty_question", ("search", " "), {}),
    "nothing ingested": (1, "nothing_ingested", ("search", "leave"), {}),
    "an unknown principal": (2, "unknown_principal", ("search", "leave", "--as", "T1/U1"), {}),
    "no evaluation set": (2, "not_an_evaluation_set", ("eval", "empty"), {}),
    "a setting of another type": (2, "invalid_setting", ("search", "x"), {"THREADWISE_RETRIEVAL__TOP_K": "abc"}),
    "a setting that does not exist": (2, "invalid_setting", ("search", "x"), {"THREADWISE_INDEX__COLOUR": "red"}),
    "a data folder without a name": (2, "invalid_setting", ("search", "x", "--data-dir", ""), {}),
    "a server that is down": (3, "database_unavailable", ("search", "x"), {"THREADWISE_DATABASE_URL": DEAD_SERVER}),
    "no database at all": (3, "database_unavailable", ("search", "x"), {"THREADWISE_DATABASE_URL": "nonsense"}),
    "a data folder that is a file": (3, "database_unavailable", ("search", "x", "--data-dir", "file"), {}),
    "a data folder that cannot be made": (3, "database_unavailable", ("ingest", "x.md", "--data-dir", "file/x"), {}),
    "a database from the future": (1, "schema_too_new", ("search", "x", "--data-dir", "future"), {}),
    "a folder in the way": (1, "file_system", ("ingest", str(DEMO / "handbook"), "--data-dir", "no-blobs"), {}),
    "a missing argument": (2, "bad_use", ("search",), {}),
    "an unknown option": (2, "bad_use", ("search", "x", "--nope"), {}),
    "a number out of range": (2, "bad_use", ("search", "x", "--top-k", "0"), {}),
    "an unknown command": (2, "bad_use", ("answer",), {}),
}


BY_THE_DATABASE = {"nothing_ingested", "unknown_principal", "database_unavailable", "schema_too_new", "file_system"}
CASES = [
    pytest.param(case, marks=[] if code in BY_THE_DATABASE else WORDING) for case, (_, code, *_) in REFUSED.items()
]
A_SERVER_NEEDS_NO_FOLDER = {
    "a data folder that is a file": (1, "file_system"),
    "a data folder that cannot be made": (1, "file_system"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_done_ends_in_an_exit_code_and_one_object(broken: Path, tmp_path: Path, case: str) -> None:
    status, code, arguments, environment = REFUSED[case]
    if current_mode() == "server":
        status, code = A_SERVER_NEEDS_NO_FOLDER.get(case, (status, code))
    (broken / "x.md").write_text("# Leave\n")
    places = {name.name: str(name) for name in broken.iterdir()}
    placed = [places.get(argument, argument.replace("file/", f"{broken}/file/")) for argument in arguments]
    folder = Path(placed[-1]) if placed[-2:-1] == ["--data-dir"] else tmp_path / "data"
    done = run(*placed, "--json", data=tmp_path / "data", **database_variables(folder) | environment)
    assert not done.traceback, done.err
    assert done.status == status, done.err
    error = done.json["error"]
    assert set(error) == {"code", "message", "hint", "retryable"}
    assert error["code"] == code
    assert "hunter2" not in done.out + done.err, "a password is nobody's business"
    assert done.err.startswith(f"error[{code}]: ")
    assert done.err.count("\n") == 1


@WORDING
def test_an_error_without_json_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = run("ingest", "nowhere", data=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error[source_not_found]: There is nothing at nowhere.")
    assert done.err.count("\n") == 1


def test_a_folder_without_files_is_ingested_as_nothing(broken: Path, tmp_path: Path) -> None:
    done = run("ingest", broken / "empty", "--json", data=tmp_path)
    assert (done.status, done.json["ledger"]) == (0, {"total": 0, "buckets": {}})


def test_a_page_that_is_no_text_is_quarantined_and_named(broken: Path, tmp_path: Path) -> None:
    done = run("ingest", broken / "binary.md", "--json", data=tmp_path)
    assert done.status == 0
    assert (done.json["state"], done.json["ledger"]["buckets"]) == ("succeeded_with_quarantine", {"failed": 1})
    assert "binary.md: not_utf8" in done.err


@pytest.mark.embedded_only("tests/integration/threadwise/test_evaluation.py does it in both modes")
def test_a_set_is_evaluated_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "title": "Bikes", "text": "A bike is leased for 3 years."}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "How long is a bike leased?"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    done = run("eval", tmp_path, "--keep", tmp_path / "kept", "--json", data=tmp_path / "own")
    assert done.status == 0
    assert (done.json["ndcg@10"], done.json["mrr@10"], done.json["documents"]) == (1.0, 1.0, 1)
    assert not (tmp_path / "own").exists()
