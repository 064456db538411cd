"""What the command line sends to a running service, and what it makes of any answer."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import errors
from api.client import PATIENCE, Client
from api.connection import KNOCKS
from api.endpoint import Endpoint
from api.installation import Ask, Ingest, Letters, NewKey, Search, ended_well, report_of
from core.errors import ThreadwiseError

Answer = Callable[[httpx.Request], httpx.Response]
HERE = Endpoint("http://127.0.0.1:8765", "tw_1_secret", os.getpid())
ENDED = {
    "run_id": "r1", "source": "docs", "state": "succeeded", "requested_by": "local", "attempt": 1, "error_code": "",
    "error": "", "queued_at": 1_000_000, "started_at": 2_000_000, "finished_at": 3_500_000, "chunks": 3, "embedded": 2,
    "documents": {"added": 1, "changed": 0, "removed": 0, "unchanged": 4, "quarantined": 0},
    "ledger": {"total": 5, "buckets": {"indexed": 5}}, "settled": 1, "total": 1, "cancel_requested": False,
}  # fmt: skip
STANDING = {"stage": "embedding", "done": 1, "total": 2, "chunks": 3, "rate": None, "eta_seconds": None}
PLANNED = ENDED | {"state": "planned", "finished_at": None}
PLAN = {"run_id": "r1", "source": "docs", "plan_hash": "0a1b", "state": "planned"}


class Scripted(httpx.BaseTransport):
    """A service that answers from a list, in order, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[Any]:
        """What was sent, as JSON."""
        return [json.loads(request.content) for request in self.asked if request.content]


def client(service: Scripted, waits: list[float] | None = None, endpoint: Endpoint = HERE) -> Client:
    return Client(endpoint, transport=service, sleep=(waits if waits is not None else []).append)


def events(*pairs: tuple[str, object]) -> httpx.Response:
    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in pairs)
    return httpx.Response(200, content=text.encode(), headers={"Content-Type": "text/event-stream"})


def nothing(_standing: Mapping[str, Any], /) -> None:
    """A progress that shows nothing."""


def test_a_question_carries_the_key_and_only_what_was_said() -> None:
    service = Scripted(httpx.Response(200, json={"passages": [], "took_ms": 1.0}))
    with client(service) as asked:
        assert asked.search(Search(question="leave", as_principal="T1/U1", sources=("docs",)))["passages"] == []
    request = service.asked[0]
    assert request.headers["Authorization"] == "Bearer tw_1_secret"
    assert (request.method, request.url.path) == ("POST", "/v1/search")
    assert service.bodies == [{"question": "leave", "as": "T1/U1", "sources": ["docs"]}]


def test_half_a_character_in_an_argument_is_sent_as_an_escape() -> None:
    service = Scripted(httpx.Response(200, json={"passages": [], "took_ms": 1.0}))
    client(service).search(Search(question="\udcff"))
    assert service.asked[0].content.isascii()


def test_an_answer_comes_event_by_event_and_ends_with_done() -> None:
    stream = events(("status", {"stage": "reading"}), ("token", {"text": "Yes."}), ("done", {"status": "answered"}))
    service = Scripted(stream)
    assert [name for name, _ in client(service).ask(Ask(question="?"))] == ["status", "token", "done"]
    assert service.bodies[0]["stream"] is True


def test_a_stream_without_its_end_is_an_error_and_no_answer() -> None:
    seen = client(Scripted(events(("token", {"text": "Half"})))).ask(Ask(question="?"))
    assert next(seen)[0] == "token"
    with pytest.raises(errors.ServiceUnavailableError, match="broke off"):
        next(seen)


def test_an_error_in_a_stream_is_that_error() -> None:
    problem = {"code": "shutting_down", "detail": "The service stops.", "hint": "", "retryable": True}
    with pytest.raises(ThreadwiseError) as caught:
        list(client(Scripted(events(("error", problem)))).ask(Ask(question="?")))
    assert caught.value.code == "shutting_down"


def test_a_problem_keeps_its_code_hint_and_exit_code() -> None:
    problem = {"code": "unknown_principal", "detail": "No principal.", "hint": "Use another.", "retryable": False}
    with pytest.raises(ThreadwiseError) as caught:
        client(Scripted(httpx.Response(422, json=problem))).search(Search(question="x"))
    assert errors.as_text(caught.value) == "error[unknown_principal]: No principal. Use another."
    assert errors.exit_code(caught.value) == errors.BAD_USE


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"Location": "http://elsewhere.example/"}),
        httpx.Response(500, text="<html>"),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json=["a list"]),
        httpx.Response(404, json=[]),
    ],
)
def test_what_no_threadwise_says_is_an_error_of_its_own(answer: httpx.Response) -> None:
    service = Scripted(answer)
    with pytest.raises(errors.ServiceRefusedError) as caught:
        client(service).sources()
    assert caught.value.code == "service_refused"
    assert len(service.asked) == 1, "no redirect is followed: the key would go with it"


@pytest.mark.parametrize("failure", [httpx.ConnectError("no"), httpx.ReadTimeout("no"), httpx.ReadError("no")])
def test_a_service_that_does_not_answer_is_a_dependency_that_is_down(failure: Exception) -> None:
    with pytest.raises(errors.ServiceUnavailableError) as caught:
        client(Scripted(*[failure] * (len(KNOCKS) + 1))).runs(None, 5)
    assert errors.exit_code(caught.value) == errors.DEPENDENCY_DOWN
    assert "tw_1_secret" not in str(caught.value)


def test_a_door_that_is_being_started_again_is_waited_for() -> None:
    waits: list[float] = []
    service = Scripted(httpx.ConnectError("not yet"), httpx.Response(200, json={"sources": []}))
    assert client(service, waits).sources() == []
    assert waits == [KNOCKS[0]]


def test_ingesting_submits_the_whole_path_and_shows_progress_until_the_end() -> None:
    shown: list[Mapping[str, Any]] = []
    service = Scripted(
        httpx.Response(202, json={"run_id": "r1"}),
        events(("progress", STANDING), ("done", {"state": "succeeded"})),
        httpx.Response(200, json=ENDED),
    )
    order = Ingest(path="docs", source="docs", audience=("T1",))
    report = client(service).ingest(order, shown.append)
    assert service.bodies == [
        {"path": f"{Path.cwd()}/docs", "source": "docs", "audience": ["T1"], "allow_empty": False}
    ]
    assert shown == [STANDING]
    assert report["seconds"] == 1.5
    assert {"run_id", "state", "documents", "chunks", "embedded", "ledger", "source"} <= set(report)


def test_planning_submits_the_path_as_a_plan_and_tells_what_it_would_do() -> None:
    service = Scripted(
        httpx.Response(202, json={"run_id": "r1"}),
        events(("done", PLANNED)),
        httpx.Response(200, json=PLANNED),
        httpx.Response(200, json=PLAN),
    )
    assert client(service).plan(Ingest(path="docs"), nothing) == PLAN
    assert service.bodies == [{"path": f"{Path.cwd()}/docs", "allow_empty": False, "plan": True}]
    assert service.asked[-1].url.path == "/v1/runs/r1/plan"


def test_a_plan_that_could_not_be_made_is_an_error_and_no_plan() -> None:
    failed = ENDED | {"state": "failed", "error_code": "source_unreadable", "error": "It is no zip."}
    service = Scripted(
        httpx.Response(202, json={"run_id": "r1"}), events(("done", failed)), httpx.Response(200, json=failed)
    )
    with pytest.raises(ThreadwiseError, match="It is no zip"):
        client(service).plan(Ingest(path="docs"), nothing)


def test_applying_a_plan_is_followed_to_its_end() -> None:
    service = Scripted(
        httpx.Response(202, json={"run_id": "r1"}), events(("done", ENDED)), httpx.Response(200, json=ENDED)
    )
    assert client(service).apply("0a1b", nothing)["state"] == "succeeded"
    assert [request.url.path for request in service.asked][:2] == ["/v1/plans/0a1b/apply", "/v1/runs/r1/events"]


def test_a_run_that_is_only_planned_has_done_nothing_and_says_how_to_go_on() -> None:
    with pytest.raises(errors.RunFailedError, match="nothing of it is done") as caught:
        ended_well(PLANNED)
    assert "runs show r1" in caught.value.hint


def test_a_run_that_nobody_took_waits_and_has_not_failed() -> None:
    with pytest.raises(errors.RunFailedError, match="is queued and waits"):
        ended_well(ENDED | {"state": "queued", "finished_at": None})


@pytest.mark.parametrize(
    ("numbers", "source", "body"),
    [([3, 5], None, {"ids": [3, 5]}), (None, "docs", {"source": "docs"}), (None, None, {"all": True})],
)
def test_letters_are_tried_again_by_number_by_source_or_all(
    numbers: list[int] | None, source: str | None, body: dict[str, object]
) -> None:
    service = Scripted(
        httpx.Response(202, json={"run_ids": ["r1"]}), events(("done", ENDED)), httpx.Response(200, json=ENDED)
    )
    assert [report["run_id"] for report in client(service).retry_letters(numbers, source, nothing)] == ["r1"]
    assert (service.asked[0].url.path, service.bodies) == ("/v1/dead-letters/retry", [body])


def test_letters_are_listed_shown_and_ignored() -> None:
    service = Scripted(
        httpx.Response(200, json={"dead_letters": [{"id": 3}]}),
        httpx.Response(200, json={"id": 3}),
        httpx.Response(200, json={"ignored": 1}),
    )
    asked = client(service)
    assert (asked.letters(Letters(source="docs")), asked.letter(3), asked.ignore_letters([3])) == (
        [{"id": 3}],
        {"id": 3},
        1,
    )
    assert dict(service.asked[0].url.params) == {"source": "docs", "state": "open", "limit": "100"}


def test_a_source_is_paused_and_resumed_by_its_name() -> None:
    service = Scripted(httpx.Response(200, json={"paused": "asked"}), httpx.Response(200, json={"paused": ""}))
    asked = client(service)
    assert (asked.pause("a/b")["paused"], asked.resume("a/b")["paused"]) == ("asked", "")
    assert [request.url.raw_path for request in service.asked] == [
        b"/v1/sources/a%2Fb/pause",
        b"/v1/sources/a%2Fb/resume",
    ]


def test_a_run_that_failed_ends_with_its_own_error() -> None:
    failed = ENDED | {"state": "failed", "error_code": "source_unreadable", "error": "It is no zip."}
    service = Scripted(
        httpx.Response(202, json={"run_id": "r1"}), events(("done", {})), httpx.Response(200, json=failed)
    )
    with pytest.raises(ThreadwiseError, match="It is no zip") as caught:
        client(service).again("docs", None, nothing)
    assert caught.value.code == "source_unreadable"


def test_a_cancelled_run_is_no_success() -> None:
    with pytest.raises(errors.RunFailedError, match="is cancelled"):
        ended_well(ENDED | {"state": "cancelled"})


def test_following_survives_a_restart_of_the_service() -> None:
    waits: list[float] = []
    service = Scripted(
        events(("progress", STANDING)),
        httpx.ConnectError("restarting"),
        events(("done", {})),
        httpx.Response(200, json=ENDED),
    )
    assert client(service, waits).follow("r1", nothing)["state"] == "succeeded"
    assert waits == [PATIENCE[0], KNOCKS[0]]


def test_following_ends_when_the_service_is_gone_for_good() -> None:
    dead = Endpoint(HERE.url, HERE.key, 2**22 + 1)
    waits: list[float] = []
    with pytest.raises(errors.ServiceUnavailableError, match="It was stopped"):
        client(Scripted(httpx.ConnectError("gone")), waits, dead).follow("r1", nothing)
    assert not waits


def test_following_gives_up_after_a_while() -> None:
    waits: list[float] = []
    tries = (len(PATIENCE) + 1) * (len(KNOCKS) + 1)
    service = Scripted(*(httpx.ConnectError("down") for _ in range(tries)))
    with pytest.raises(errors.ServiceUnavailableError):
        client(service, waits).follow("r1", nothing)
    assert sum(waits) == pytest.approx(sum(PATIENCE) + (len(PATIENCE) + 1) * sum(KNOCKS))


def test_names_cannot_leave_their_place_in_an_address() -> None:
    service = Scripted(httpx.Response(200, json=ENDED), httpx.Response(200, json={"id": "k"}))
    client(service).run("../../keys?x=1#\udcff")
    assert service.asked[0].url.raw_path == b"/v1/runs/..%2F..%2Fkeys%3Fx%3D1%23%3F"


def test_keys_are_made_listed_and_revoked() -> None:
    service = Scripted(
        httpx.Response(201, json={"id": "k", "secret": "tw_k_s"}),
        httpx.Response(200, json={"keys": [{"id": "k"}]}),
        httpx.Response(200, json={"id": "k"}),
    )
    asked = client(service)
    made = asked.create_key(NewKey(name="n", scopes=("ask",), principals=("everyone",), expires_days=1.5))
    assert (made["secret"], asked.keys(), asked.revoke_key("k")["id"]) == ("tw_k_s", [{"id": "k"}], "k")
    assert service.bodies[0] == {"name": "n", "scopes": ["ask"], "principals": ["everyone"], "expires_days": 1.5}


def test_a_list_that_is_none_is_refused() -> None:
    with pytest.raises(errors.ServiceRefusedError, match="no list"):
        client(Scripted(httpx.Response(200, json={"runs": "many"}))).runs("docs", 5)


def test_a_report_has_exactly_the_shape_that_tools_rely_on() -> None:
    names = ["source", "run_id", "state", "documents", "chunks", "embedded", "ledger", "seconds"]
    assert list(report_of(ENDED)) == names
    assert report_of(ENDED | {"finished_at": None})["seconds"] == 0.0


def pieces() -> Iterator[bytes]:
    yield b"event: token\ndata: {}\n\n"
    raise httpx.ReadError("gone")


def test_a_stream_that_breaks_in_the_middle_is_a_service_that_is_down() -> None:
    with pytest.raises(errors.ServiceUnavailableError, match="broke off"):
        list(client(Scripted(httpx.Response(200, content=pieces()))).ask(Ask(question="?")))


def test_ctrl_c_while_following_leaves_the_run_going_and_says_how_to_see_and_end_it() -> None:
    def interrupted(_standing: Mapping[str, Any], /) -> None:
        raise KeyboardInterrupt

    service = Scripted(events(("progress", STANDING)))
    with pytest.raises(errors.InterruptionError, match="Run r1 goes on") as caught:
        client(service).follow("r1", interrupted)
    assert "runs watch r1" in caught.value.hint
    assert "runs cancel r1" in caught.value.hint
    assert len(service.asked) == 1, "nothing was cancelled"
