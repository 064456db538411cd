"""The address that Slack calls: who is let in, what is answered, and how soon."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from api.errors import http_status
from api.rest.routes import slack
from api.slack.signature import Replays
from core.errors import DatabaseUnavailableError, ThreadwiseError
from tests.support.slack_door import LOOKING, House
from tests.support.slack_events import Envelope, signed

SECRET = "e6b19c573432dcc6b075501d51b51bb8"  # noqa: S105 - of this test alone
NEXT = "4f2a9c573432dcc6b075501d51b5aaaa"


class Slack:
    """The application with only this route, and Slack calling it."""

    def __init__(self) -> None:
        self.house = House()
        self.app = FastAPI()
        self.app.include_router(slack.router)
        self.app.add_exception_handler(ThreadwiseError, _shown)
        bot = SimpleNamespace(door=self.house.door, secrets=(SECRET, NEXT), replays=Replays())
        self.app.state.service = SimpleNamespace(slack=bot)
        self.client = TestClient(self.app)

    def post(self, envelope: Envelope, *, secret: str = SECRET, at: float | None = None, body: bytes = b"") -> int:
        headers = {"Content-Type": envelope.content_type, **signed(envelope.body, secret, at)}
        return self.client.post(slack.PATH, content=body or envelope.body, headers=headers).status_code


async def _shown(_: Request, error: Exception) -> Response:
    assert isinstance(error, ThreadwiseError)
    return JSONResponse({"code": error.code}, http_status(error))


@pytest.fixture
def called() -> Iterator[Slack]:
    slack_ = Slack()
    with slack_.client:
        yield slack_


def test_what_slack_signed_is_kept_and_answered(called: Slack) -> None:
    assert called.post(called.house.mention()) == 200
    answer = called.client.post(slack.PATH, content=b"", headers={})
    assert answer.status_code == 401
    assert len(called.house.kept) == 1


def test_a_command_is_answered_with_what_its_asker_sees_at_once(called: Slack) -> None:
    envelope = called.house.command()
    headers = {"Content-Type": envelope.content_type, **signed(envelope.body, SECRET)}
    answer = called.client.post(slack.PATH, content=envelope.body, headers=headers)
    assert answer.json() == LOOKING
    assert answer.headers["content-type"].startswith("application/json")


def test_the_address_proves_itself_to_slack(called: Slack) -> None:
    envelope = called.house.says.url_verification("abc123")
    headers = {"Content-Type": envelope.content_type, **signed(envelope.body, SECRET)}
    assert called.client.post(slack.PATH, content=envelope.body, headers=headers).json() == {"challenge": "abc123"}


def test_either_secret_opens_the_door(called: Slack) -> None:
    assert called.post(called.house.mention(), secret=NEXT) == 200


@pytest.mark.parametrize("seconds", [-302, 302])
def test_what_is_too_old_or_too_far_ahead_is_refused(called: Slack, seconds: int) -> None:
    assert called.post(called.house.mention(), at=time.time() + seconds) == 401
    assert not called.house.kept


def test_what_somebody_else_signed_or_changed_is_refused(called: Slack) -> None:
    assert called.post(called.house.mention(), secret="0" * 32) == 401
    assert called.post(called.house.mention(), body=b'{"type": "event_callback"}') == 401
    assert not called.house.kept


def test_the_same_request_a_second_time_is_refused_and_a_real_repeat_is_not(called: Slack) -> None:
    envelope, now = called.house.mention(), time.time()
    assert [called.post(envelope, at=now) for _ in range(2)] == [200, 401]
    assert called.post(envelope, at=now + 1) == 200


def test_what_could_not_be_kept_may_come_again_within_the_same_second(called: Slack) -> None:
    envelope, now = called.house.mention(), time.time()
    called.house.failure = DatabaseUnavailableError("away")
    assert called.post(envelope, at=now) == 503
    called.house.failure = None
    assert called.post(envelope, at=now) == 200
    assert len(called.house.kept) == 1


def test_a_service_without_a_bot_has_nothing_there(called: Slack) -> None:
    called.app.state.service.slack = None
    answer = called.client.post(slack.PATH, content=b"", headers={})
    assert (answer.status_code, answer.json()) == (404, {"code": "slack_off"})


def test_a_slow_disk_is_answered_in_time_and_holds_no_more_than_its_threads(
    called: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "SECONDS", 0.2)
    monkeypatch.setattr(slack, "THREADS", 2)
    released, inside = threading.Event(), list[str]()

    def accept(delivery: object) -> bool:
        inside.append(str(delivery))
        return released.wait(10)

    called.house.door._accept = accept
    envelopes = [called.house.mention() for _ in range(6)]
    started = time.perf_counter()
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(called.post, envelopes))
    assert time.perf_counter() - started < 2
    assert statuses == [503] * 6
    assert len(inside) == 2
    assert called.post(called.house.mention()) == 503
    released.set()
    assert called.post(envelopes[-1], at=time.time() + 1) == 200
    assert len(inside) == 3  # the others never began: nobody was there any more to hear what became of them
