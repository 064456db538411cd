"""Nobody learns by REST what a private channel holds: every route, asked by everybody who is no member of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.rest.gate import PUBLIC, SCOPES
from core.settings import ApiSettings, AskSettings, LlmSettings, Settings
from tests.support.rest import Door, Headers, new_key
from tests.support.rest import door as opened
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[3] / "demo"
WORKSPACE = "T05LQ8R2PNK"
MEMBER = f"{WORKSPACE}/U05LQF8E1HC"
READERS = {
    "an outsider": (f"{WORKSPACE}/U05LQUZN7GK",),
    "a guest": (f"{WORKSPACE}/U05LQL80175",),
    "the workspace": (WORKSPACE,),
    "everyone": ("everyone",),
}
Json = dict[str, Any]


def private_questions() -> list[str]:
    rows = [json.loads(line) for line in (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["question"] for row in rows if row["private"]]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The demo company; whatever is found counts as an answer, so that nothing is held back by doubt alone."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("company"),
        llm=LlmSettings(kind="scripted"),
        ask=AskSettings(threshold=0.0),
        api=ApiSettings(requests_per_minute=1_000_000, burst=100_000),
    )
    with Threadwise(settings) as threadwise:
        threadwise.ingest(DEMO / "slack-export", name="slack")
        threadwise.ingest(DEMO / "handbook", name="handbook")
        with opened(threadwise) as service:
            yield service


@pytest.fixture(scope="module")
def secrets(company: Door) -> frozenset[str]:
    """Ids, titles and links of the private channel, the sentences of its messages, and its name."""
    asked = {"question": "people-ops-private", "top_k": 50, "as": MEMBER}
    passages: list[Json] = []
    for question in [asked["question"], *private_questions()]:
        body = asked | {"question": question}
        passages += company.client.post("/v1/search", headers=company.local, json=body).json()["passages"]
    private = [passage for passage in passages if passage["external_id"].startswith("C05LQ39T414")]
    assert len(private) > 10
    found = {
        passage[name] for passage in private for name in ("chunk_id", "document_id", "external_id", "title", "uri")
    }
    lines = {line.strip() for passage in private for line in passage["text"].splitlines()}
    # A short line may be said in public as well.
    return frozenset({"people-ops-private", "C05LQ39T414"} | found | {line for line in lines if len(line) > 60})


@pytest.fixture(scope="module")
def own_answer(company: Door) -> str:
    """The id of an answer from the private channel, asked for by a member."""
    headers = new_key(company.threadwise, "ask", principals=(MEMBER,))
    body = {"question": private_questions()[0]}
    answer_id: str = company.client.post("/v1/ask", headers=headers, json=body).json()["answer_id"]
    return answer_id


def calls(answer_id: str) -> dict[tuple[str, str], list[tuple[str, Json | None]]]:
    """How every route is called: address and body. A new route has to be listed here."""
    slack_run = "0" * 32
    asked: list[Json] = [{"question": question} for question in private_questions()]
    more: list[Json] = [{"top_k": 50}, {"sources": ["slack"]}, {"authors": ["U05LQF8E1HC"]}]
    searches = asked + [body | extra for body in asked[:2] for extra in more]
    streams = [body | {"stream": True} for body in asked]
    direct = [body | {"mode": "search"} for body in asked]
    listed: dict[tuple[str, str], list[tuple[str, Json | None]]] = {
        ("POST", "/v1/search"): [("/v1/search", body) for body in searches],
        ("POST", "/v1/ask"): [("/v1/ask", body) for body in [*asked, *streams, *direct]],
        ("POST", "/v1/feedback"): [("/v1/feedback", {"answer_id": answer_id, "value": 1})],
        ("GET", "/v1/answers/{answer_id}"): [(f"/v1/answers/{answer_id}", None)],
        ("PATCH", "/v1/sources/{name:path}"): [("/v1/sources/slack", {"every_minutes": 1})],
        ("POST", "/v1/runs"): [("/v1/runs", {"source": "slack"})],
        ("POST", "/v1/runs/{run_id}/cancel"): [(f"/v1/runs/{slack_run}/cancel", None)],
        ("POST", "/v1/keys"): [("/v1/keys", {"name": "k", "scopes": ["ask"], "principals": [MEMBER]})],
        ("DELETE", "/v1/keys/{key_id}"): [("/v1/keys/x", None)],
    }
    letters: Json = {"source": "slack"}
    listed |= {
        ("POST", "/v1/sources/{name:path}/pause"): [("/v1/sources/slack/pause", None)],
        ("POST", "/v1/sources/{name:path}/resume"): [("/v1/sources/slack/resume", None)],
        ("POST", "/v1/plans/{plan_hash}/apply"): [("/v1/plans/0a1b/apply", None)],
        ("GET", "/v1/dead-letters/{letter_id}"): [("/v1/dead-letters/1", None)],
        ("POST", "/v1/dead-letters/retry"): [("/v1/dead-letters/retry", letters)],
        ("POST", "/v1/dead-letters/ignore"): [("/v1/dead-letters/ignore", letters)],
        ("DELETE", "/v1/documents/{document_id}"): [(f"/v1/documents/{slack_run}", None)],
        ("POST", "/v1/people/erase"): [("/v1/people/erase", {"principal": MEMBER})],
    }
    for tail in ("", "/events", "/ledger", "/quarantine", "/plan"):
        listed[("GET", f"/v1/runs/{{run_id}}{tail}")] = [(f"/v1/runs/{slack_run}{tail}", None)]
    plain = ["/v1/models", "/v1/audit", "/openapi.json", "/metrics", *PUBLIC]
    plain += [f"/v1/{name}" for name in ("sources", "runs", "dead-letters", "documents/twins", "deletions", "keys")]
    return listed | {("GET", path): [(path, None)] for path in plain}


def told(company: Door, headers: Headers, called: dict[tuple[str, str], list[tuple[str, Json | None]]]) -> list[str]:
    """Everything that every route says: status line apart, headers included."""
    said = []
    for (method, _), requests in called.items():
        for address, body in requests:
            response = company.client.request(method, address, headers=headers, json=body)
            assert response.status_code < 500
            said.append(f"{response.headers}{response.content.decode('unicode_escape', 'replace')}{response.text}")
    return said


def test_every_route_is_called(own_answer: str) -> None:
    assert set(calls(own_answer)) == set(SCOPES) | {("GET", path) for path in PUBLIC}


@pytest.mark.parametrize("reader", READERS)
def test_no_route_tells_an_outsider_anything_of_the_private_channel(
    company: Door, secrets: frozenset[str], own_answer: str, reader: str
) -> None:
    headers = new_key(company.threadwise, "ask", principals=READERS[reader])
    said = told(company, headers, calls(own_answer))
    assert not [secret for secret in secrets for text in said if secret in text]


def test_no_route_tells_anything_without_a_key(company: Door, secrets: frozenset[str], own_answer: str) -> None:
    said = told(company, {}, calls(own_answer))
    assert not [secret for secret in secrets for text in said if secret in text]


def test_an_outsider_gets_the_same_errors_whether_the_channel_has_something_or_not(company: Door) -> None:
    headers = new_key(company.threadwise, "ask", principals=READERS["an outsider"])
    for body in ({"question": "x", "as": MEMBER}, {"question": "x", "as": "T0/U0"}):
        response = company.client.post("/v1/ask", headers=headers, json=body)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_a_member_is_told(company: Door, secrets: frozenset[str]) -> None:
    headers = new_key(company.threadwise, "ask", principals=(MEMBER,))
    body = {"question": private_questions()[0]}
    said = company.client.post("/v1/ask", headers=headers, json=body).text
    assert [secret for secret in secrets if secret in said]


def test_an_answer_is_withheld_from_whoever_lost_the_right_to_it(
    company: Door, secrets: frozenset[str], tmp_path: Path
) -> None:
    headers = new_key(company.threadwise, "ask", principals=(MEMBER,))
    body = {"question": private_questions()[0]}
    given = company.client.post("/v1/ask", headers=headers, json=body).json()
    place = f"/v1/answers/{given['answer_id']}"
    assert company.client.get(place, headers=headers).json()["text"] == given["text"]
    company.threadwise.ingest(_without(tmp_path, MEMBER), name="slack")
    kept = company.client.get(place, headers=headers).json()
    assert (kept["text"], kept["withheld"]) == ("", True)
    assert len(kept["citations"]) < len(given["citations"])
    assert not [secret for secret in secrets if secret in json.dumps(kept)]


def test_only_an_admin_learns_that_a_document_has_a_twin_for_others(company: Door, tmp_path: Path) -> None:
    page = max((DEMO / "handbook").glob("*.md"), key=lambda path: path.stat().st_size)
    (tmp_path / "board").mkdir()
    shutil.copy(page, tmp_path / "board" / "copy.md")
    company.threadwise.ingest(tmp_path / "board", name="board", audience=("board",))
    place, wanted = "/v1/documents/twins", {"source": "board"}
    told = company.client.get(place, headers=company.admin, params=wanted).json()
    (pair,) = told["twins"]
    assert (told["total"], pair["similarity"], pair["same_audience"]) == (1, 1.0, False)
    assert {one["external_id"] for one in pair["documents"]} == {"copy.md", page.name}
    for principals in READERS.values():
        headers = new_key(company.threadwise, "ask", principals=principals)
        assert company.client.get(place, headers=headers, params=wanted).json()["code"] == "forbidden"
    assert company.client.get(place, headers=company.admin, params={"source": "none"}).status_code == 404


def _without(folder: Path, member: str) -> Path:
    """The export after somebody has left the private channel."""
    export = Path(shutil.copytree(DEMO / "slack-export", folder / "slack-export"))
    groups = json.loads((export / "groups.json").read_text(encoding="utf-8"))
    for group in groups:
        group["members"] = [user for user in group["members"] if not member.endswith(user)]
    (export / "groups.json").write_text(json.dumps(groups), encoding="utf-8")
    return export
