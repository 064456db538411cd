"""The routes over a real installation: who gets in, what is answered, what is refused and how."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.rest.gate import FAILURES_AT_ONCE, PUBLIC, SCOPES, SIGNED
from tests.support.rest import Door, Headers, bearer, events_of, new_key

QUESTION = "How many days of leave does everybody have?"
SHAPE = {"type", "title", "status", "code", "detail", "hint", "retryable", "request_id"}
RUN_ID = "0" * 32


def routes(door: Door) -> set[tuple[str, str]]:
    app = door.client.app
    assert isinstance(app, FastAPI)
    found = [(route.methods or set(), route.path or "") for route in iter_route_contexts(app.routes)]
    return {(method, path) for methods, path in found for method in methods}


def problem_of(response: Any, status: int, code: str) -> dict[str, Any]:  # noqa: ANN401 - the test client's own
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    shape: dict[str, Any] = response.json()
    assert shape.keys() >= SHAPE
    assert (shape["status"], shape["code"]) == (status, code)
    assert "Traceback" not in response.text
    return shape


def test_every_route_has_its_line_in_the_table_of_scopes(door: Door) -> None:
    assert routes(door) == set(SCOPES) | {("GET", path) for path in PUBLIC} | {("POST", path) for path in SIGNED}


@pytest.mark.parametrize("path", sorted(SIGNED))
def test_what_slack_is_to_sign_is_closed_where_there_is_no_bot(door: Door, path: str) -> None:
    problem_of(door.client.post(path, content=b"{}"), 404, "slack_off")


@pytest.mark.parametrize(("method", "path"), sorted(SCOPES))
def test_nothing_opens_without_a_key(door: Door, method: str, path: str) -> None:
    filled = re.sub(r"\{[^}]+\}", "x", path)
    refused = door.client.request(method, filled, json={"question": "x"})
    problem_of(refused, 401, "unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), sorted(SCOPES))
def test_a_key_opens_the_routes_of_its_scopes_and_no_others(door: Door, method: str, path: str) -> None:
    filled = re.sub(r"\{[^}]+\}", "x", path)
    body = {"/v1/keys": {"name": "k", "scopes": ["ask"]}, "/v1/runs": {"source": "nobody"}}.get(path)
    body = body or {"question": QUESTION, "answer_id": "x", "value": 1, "every_minutes": 1}
    for headers, scope in ((door.ask, "ask"), (door.admin, "admin")):
        status = door.client.request(method, filled, headers=headers, json=body).status_code
        assert (status != 403) is (scope in SCOPES[method, path])
        assert status < 500


@pytest.mark.parametrize("header", ["Bearer tw_000000000000_x", "Bearer", "Basic abc", "Bearer \xff", ""])
def test_what_is_no_key_opens_nothing(door: Door, header: str) -> None:
    refused = door.client.get("/v1/models", headers={b"Authorization": header.encode("latin-1")})
    problem_of(refused, 401, "unauthorized")


def test_a_key_may_come_in_a_header_of_its_own(door: Door) -> None:
    secret = door.ask["Authorization"].removeprefix("Bearer ")
    assert door.client.get("/v1/models", headers={"X-API-Key": secret}).status_code == 200


def test_a_revoked_key_is_dead_at_once(door: Door) -> None:
    made = door.client.post("/v1/keys", headers=door.admin, json={"name": "short", "scopes": ["ask"]}).json()
    mine = bearer(made["secret"])
    assert door.client.get("/v1/models", headers=mine).status_code == 200
    revoked = door.client.delete(f"/v1/keys/{made['id']}", headers=door.admin)
    assert revoked.json()["revoked_at"]
    problem_of(door.client.get("/v1/models", headers=mine), 401, "unauthorized")
    problem_of(door.client.delete(f"/v1/keys/{made['id']}", headers=door.admin), 404, "key_not_found")


def test_an_expired_key_is_dead(door: Door) -> None:
    _, secret = door.threadwise.keyring.create(name="old", scopes=["ask"], expires_days=-1)
    problem_of(door.client.get("/v1/models", headers=bearer(secret)), 401, "unauthorized")


def test_a_list_of_keys_has_no_secret_in_it(door: Door) -> None:
    listed = door.client.get("/v1/keys", headers=door.admin)
    assert len(listed.json()["keys"]) >= 3
    for headers in (door.ask, door.admin, door.local):
        assert headers["Authorization"].rpartition("_")[2] not in listed.text


def test_the_scope_that_names_paths_is_not_given_away(door: Door) -> None:
    refused = door.client.post("/v1/keys", headers=door.local, json={"name": "k", "scopes": ["local"]})
    problem_of(refused, 403, "forbidden")


def test_an_answer_has_its_text_and_its_citations(door: Door) -> None:
    response = door.client.post("/v1/ask", headers=door.ask, json={"question": QUESTION})
    answer = response.json()
    assert answer["status"] in {"answered", "quoted"}
    assert "25 days" in answer["text"]
    assert answer["citations"][0]["external_id"] == "leave.md"
    assert answer.keys() >= {"answer_id", "citations", "took_ms", "first_text_ms", "first_token_ms"}
    assert "trace" not in answer


@pytest.mark.parametrize("how", [{"stream": True}, {"accept": "text/event-stream"}])
def test_a_stream_ends_with_the_whole_answer(door: Door, how: dict[str, Any]) -> None:
    headers = door.ask | ({"Accept": how["accept"]} if "accept" in how else {})
    body = {"question": QUESTION} | ({"stream": True} if "stream" in how else {})
    response = door.client.post("/v1/ask", headers=headers, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    names = [name for name, _ in events]
    assert names[0] == "status"
    assert names.index("quote") < names.index("token") < names.index("done") == len(names) - 1
    assert "".join(data["text"] for name, data in events if name == "token") == events[-1][1]["text"]


def test_a_search_asks_no_model(door: Door) -> None:
    model = door.threadwise.language_model
    assert model is not None
    before = len(model.asked)  # type: ignore[attr-defined]
    searched = door.client.post("/v1/search", headers=door.ask, json={"question": "vpn", "top_k": 1}).json()
    asked = door.client.post("/v1/ask", headers=door.ask, json={"question": "vpn", "top_k": 1, "mode": "search"}).json()
    assert searched["passages"] == asked["passages"]
    assert [passage["external_id"] for passage in searched["passages"]] == ["vpn.md"]
    assert "vector" not in json.dumps(searched)
    assert len(model.asked) == before  # type: ignore[attr-defined]


def test_only_an_admin_reads_as_somebody_else_and_it_is_written_down(door: Door) -> None:
    body = {"question": "vpn", "as": "everyone"}
    problem_of(door.client.post("/v1/search", headers=door.ask, json=body), 403, "forbidden")
    problem_of(door.client.post("/v1/ask", headers=door.ask, json=body), 403, "forbidden")
    assert door.client.post("/v1/search", headers=door.local, json=body).status_code == 200
    latest = door.client.get("/v1/audit", headers=door.admin, params={"limit": 1}).json()["acts"][0]
    assert (latest["act"], latest["target"], latest["outcome"]) == ("read_as", "everyone", "done")


def test_only_an_admin_sees_how_an_answer_came_about(door: Door) -> None:
    body = {"question": QUESTION, "trace": True}
    problem_of(door.client.post("/v1/ask", headers=door.ask, json=body), 403, "forbidden")
    trace = door.client.post("/v1/ask", headers=door.local, json=body).json()["trace"]
    assert trace["passages"]


def test_an_answer_is_shown_to_whoever_asked_and_to_admins(door: Door) -> None:
    stranger = new_key(door.threadwise, "ask")
    given = door.client.post("/v1/ask", headers=door.ask, json={"question": QUESTION}).json()
    place = f"/v1/answers/{given['answer_id']}"
    mine = door.client.get(place, headers=door.ask).json()
    assert (mine["text"], mine["withheld"], "trace" in mine) == (given["text"], False, False)
    assert "trace" in door.client.get(place, headers=door.admin).json()
    problem_of(door.client.get(place, headers=stranger), 404, "answer_not_found")
    opinion = {"answer_id": given["answer_id"], "value": 1}
    problem_of(door.client.post("/v1/feedback", headers=stranger, json=opinion), 404, "answer_not_found")
    assert door.client.post("/v1/feedback", headers=door.ask, json=opinion).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"question": "x", "unknown": 1}, 422, "invalid_request"),
        ({"question": ""}, 422, "empty_question"),
        ({"question": " \n"}, 422, "empty_question"),
        ({"question": "x" * 2001}, 422, "question_too_long"),
        ({"question": "x", "top_k": 51}, 422, "invalid_top_k"),
        ({"question": "x", "max_tokens": 10**9}, 422, "over_limit"),
        ({"question": "x", "deadline_seconds": 1e9}, 422, "over_limit"),
        ({"question": "x", "top_k": 10**400}, 400, "malformed_body"),
        ({"question": "x" * 9000}, 413, "body_too_large"),
    ],
)
def test_what_costs_too_much_or_has_no_sense_is_refused(
    door: Door, body: dict[str, Any], status: int, code: str
) -> None:
    text = json.dumps(body) if "top_k" not in body or body["top_k"] < 100 else '{"question":"x","top_k":1' + "0" * 5000
    text += "}" if text[-1] != "}" else ""
    headers = door.ask | {"Content-Type": "application/json"}
    shape = problem_of(door.client.post("/v1/ask", headers=headers, content=text), status, code)
    assert "x" * 100 not in json.dumps(shape)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 3000,
        b'{"question": ' * 300,
        b"\xff\xfe",
        b'"\xc3"',
        b'{"question": NaN}',
        b"null",
        b"[]",
        b"1e999",
    ],
)
@pytest.mark.parametrize("path", ["/v1/ask", "/v1/runs", "/v1/keys", "/v1/feedback"])
def test_what_is_no_request_is_never_an_error_of_ours(door: Door, path: str, body: bytes) -> None:
    headers = door.local | {"Content-Type": "application/json"}
    response = door.client.post(path, headers=headers, content=body)
    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_half_a_character_and_a_nul_are_questions_like_others(door: Door) -> None:
    headers = door.ask | {"Content-Type": "application/json"}
    body = b'{"question": "leave \\ud800 \\u0000 days", "authors": ["\\udfff"]}'
    assert door.client.post("/v1/search", headers=headers, content=body).status_code == 200
    assert door.client.post("/v1/ask", headers=headers, content=body).status_code == 200


def test_an_address_nobody_knows_is_a_problem(door: Door) -> None:
    for path in ("/v1/nothing", "/docs", "/redoc", "/v1/ask/"):
        problem_of(door.client.get(path, headers=door.local), 404, "not_found")
    problem_of(door.client.put("/v1/ask", headers=door.local), 405, "method_not_allowed")


def test_a_page_that_calls_this_machine_by_another_name_is_turned_away(door: Door) -> None:
    problem_of(door.client.get("/healthz", headers={"Host": "evil.example"}), 421, "unknown_host")
    assert door.client.get("/healthz", headers={"Host": "localhost:8765"}).status_code == 200


def test_every_response_says_how_it_is_to_be_taken_and_none_allows_another_origin(door: Door) -> None:
    for method, path, headers in (
        ("GET", "/healthz", {}),
        ("GET", "/v1/models", door.ask),
        ("OPTIONS", "/v1/ask", door.ask),
        ("GET", "/v1/nothing", {}),
    ):
        response = door.client.request(method, path, headers=headers | {"Origin": "https://evil.example"})
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_failures_use_up_the_share_of_an_address_but_not_of_a_key(door: Door) -> None:
    statuses = [door.client.get("/v1/models").status_code for _ in range(FAILURES_AT_ONCE + 50)]
    assert statuses[-1] == 429
    refused = door.client.get("/v1/models")
    problem_of(refused, 429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert door.client.get("/v1/models", headers=door.ask).status_code == 200


def test_the_description_lists_exactly_the_routes(door: Door) -> None:
    described = door.client.get("/openapi.json", headers=door.ask).json()
    paths = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    hidden = {("GET", "/openapi.json")} | {("POST", path) for path in SIGNED}
    wanted = {(method, path.replace(":path", "")) for method, path in routes(door)} - hidden
    assert paths == wanted


def test_the_numbers_move_with_what_happens(door: Door) -> None:
    def count(pattern: str) -> float:
        text = door.client.get("/metrics", headers=door.admin).text
        return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))

    missing = r'threadwise_requests_total\{method="GET",route="unknown",status="404"\}'
    asked = r'threadwise_asks_total\{outcome="(?:answered|quoted)"\}'
    tokens = r'threadwise_model_tokens_total\{kind="output"\}'
    before = [count(name) for name in (missing, asked, tokens, "threadwise_ask_seconds_count")]
    door.client.get("/v1/nothing", headers=door.ask)
    door.client.post("/v1/ask", headers=door.ask, json={"question": QUESTION})
    after = [count(name) for name in (missing, asked, tokens, "threadwise_ask_seconds_count")]
    assert [now - then for then, now in zip(before, after, strict=True)][:2] == [1, 1]
    assert after[2] > before[2]
    assert after[3] == before[3] + 1
    assert count("threadwise_asks_open") == count("threadwise_asks_waiting") == 0
    assert count("threadwise_init_seconds") > 0
    assert count(r'threadwise_runs\{state="succeeded"\}') >= 1


def test_a_source_is_read_as_often_as_somebody_says(door: Door) -> None:
    changed = door.client.patch("/v1/sources/pages", headers=door.admin, json={"every_minutes": 90})
    assert (changed.json()["name"], changed.json()["every_minutes"]) == ("pages", 90)
    listed = door.client.get("/v1/sources", headers=door.admin).json()["sources"]
    assert [(row["name"], row["every_minutes"]) for row in listed] == [("pages", 90)]
    missing = door.client.patch("/v1/sources/a%2Fb", headers=door.admin, json={"every_minutes": 90})
    problem_of(missing, 404, "unknown_source")


def test_what_breaks_unexpectedly_tells_nothing_of_the_inside(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(door.threadwise.runs, "sources", broken)
    shape = problem_of(door.client.get("/v1/sources", headers=door.admin), 500, "internal")
    assert "secret" not in json.dumps(shape)
    logged = capsys.readouterr()
    assert shape["request_id"] in logged.out + logged.err
    assert "secret of the house" not in logged.out + logged.err


def test_a_log_line_has_nothing_of_what_was_said(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    canary = "canary7c1f"
    headers: Headers = door.ask | {"X-Canary": canary, "User-Agent": canary, "Referer": canary}
    for path in ("/v1/search", f"/v1/{canary}", "/v1/ask"):
        door.client.post(f"{path}?q={canary}", headers=headers, json={"question": canary, "sources": [canary]})
    logged = capsys.readouterr()
    assert "/v1/search" in logged.out + logged.err
    assert canary not in logged.out + logged.err
    assert canary not in door.client.get("/metrics", headers=door.admin).text
    assert door.ask["Authorization"].rpartition("_")[2] not in logged.out + logged.err


def test_a_description_of_a_path_shows_no_folder_of_this_machine(door: Door, tmp_path: Path) -> None:
    text = door.client.get("/openapi.json", headers=door.ask).text
    assert str(tmp_path.parent) not in text
    assert str(door.threadwise.settings.data_dir) not in text
