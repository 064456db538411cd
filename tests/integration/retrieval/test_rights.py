"""Who may not read a private channel learns nothing of it, not even that there is something to learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core import tables as t
from core.catalog import audiences
from core.catalog.passages import Reader
from core.settings import Settings
from core.words import Passage
from retrieval.errors import InvalidLambdaError
from retrieval.query import Query
from tests.support.slack_export import small_workspace
from threadwise.runtime import Threadwise

WORKSPACE = "T05LQ8R2PNK"
CHANNEL = "C05LQ39T414"
RUTH = f"{WORKSPACE}/U05LQF8E1HC"  # a member of the private channel
OUTSIDERS = {
    "a colleague": (f"{WORKSPACE}/U05LQUZN7GK",),
    "a guest": (f"{WORKSPACE}/U05LQL80175",),
    "everyone": (),
    "a deactivated account": (f"{WORKSPACE}/U05LQ4ZMN4R",),
    "somebody who only knows the channel's name": ("people-ops-private", CHANNEL, "*", "%", ""),
}
GUEST_CHANNEL = "C05LQ8CQL16"
SIGNALS = {"dense", "lexical", "fused", "recency", "helpfulness", "engagement", "resolved", "official"}

Counting = Callable[[Callable[[], object]], dict[str, int]]


def secrets_of(threadwise: Threadwise) -> set[str]:
    """Ids and names of the private channel, and each line that is said there and nowhere else."""
    own = t.audience_principal.c.principal == f"{WORKSPACE}/{CHANNEL}"
    chunks = select(t.chunk.c.id, t.chunk.c.document_id, t.document.c.external_id, t.chunk.c.text).join(
        t.document, t.document.c.id == t.chunk.c.document_id
    )
    hidden = chunks.join(t.audience_principal, t.audience_principal.c.audience_id == t.document.c.audience_id)
    with threadwise.database.read() as session:
        rows = session.execute(hidden.where(own)).all()
        mine = {row[0] for row in rows}
        elsewhere = "\n".join(row[3] for row in session.execute(chunks) if row[0] not in mine)
    lines = {line.partition(": ")[2] for row in rows for line in row[3].splitlines()}
    said = {line for line in lines if len(line) > 20 and line not in elsewhere}
    return {CHANNEL, "people-ops-private", *(text for row in rows for text in row[:3]), *said}


def shown(passages: list[Passage]) -> str:
    """Everything that leaves with the passages, unescaped."""
    fields = ("chunk_id", "document_id", "external_id", "source", "title", "uri", "text", "score", "signals")
    return "\n".join(str(getattr(passage, field)) for passage in passages for field in fields)


def ask(threadwise: Threadwise, question: str, *principals: str, top_k: int = 20) -> list[Passage]:
    return threadwise.search(Query(text=question, reader=Reader(principals=principals), top_k=top_k)).passages


def test_the_private_channel_has_something_to_hide(demo: Threadwise) -> None:
    assert len(secrets_of(demo)) > 60


@pytest.mark.parametrize("outsider", OUTSIDERS)
def test_an_outsider_is_shown_nothing_of_a_private_channel(
    demo: Threadwise, questions: list[dict[str, Any]], outsider: str
) -> None:
    secrets = secrets_of(demo)
    for question in questions:
        found = ask(demo, question["question"], *OUTSIDERS[outsider])
        assert found
        text = shown(found)
        assert not {secret for secret in secrets if secret in text}


@pytest.mark.parametrize("outsider", OUTSIDERS)
def test_the_very_words_of_a_private_channel_find_nothing_of_it(demo: Threadwise, outsider: str) -> None:
    secrets = secrets_of(demo)
    for said in sorted(secrets)[::4]:
        text = shown(ask(demo, said, *OUTSIDERS[outsider], top_k=100))
        assert not {secret for secret in secrets if secret in text}


def test_a_guest_is_shown_no_channel_but_its_own(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    for question in questions:
        found = ask(demo, question["question"], *OUTSIDERS["a guest"])
        channels = {p.external_id.partition(":")[0] for p in found if p.source == "slack"}
        assert channels <= {GUEST_CHANNEL}


def test_a_member_finds_what_only_the_private_channel_answers(
    demo: Threadwise, questions: list[dict[str, Any]]
) -> None:
    private = [question for question in questions if question["private"]]
    assert len(private) == 5
    reader = demo.reader(RUTH)
    for question in private:
        found = demo.search(Query(text=question["question"], reader=reader)).passages
        assert {passage.external_id for passage in found} & set(question["where"]), question["question"]


def test_signals_have_the_same_names_for_all_and_no_score_that_counts_hidden_documents(
    demo: Threadwise, questions: list[dict[str, Any]]
) -> None:
    for question in questions:
        for passage in ask(demo, question["question"], *OUTSIDERS["a colleague"]):
            assert set(passage.signals) == SIGNALS
            scaled = {name: value for name, value in passage.signals.items() if name != "dense"}
            assert all(0.0 <= value <= 1.0 for value in scaled.values()), scaled
            assert -1.0 <= passage.signals["dense"] <= 1.0
            assert 0.0 <= passage.score <= 1.0


def test_an_error_is_the_same_whether_or_not_there_is_something_to_hide(
    demo: Threadwise, without_private: Threadwise, questions: list[dict[str, Any]]
) -> None:
    reader = Reader(principals=OUTSIDERS["a colleague"])
    for question in questions:
        messages = []
        for threadwise in (demo, without_private):
            with pytest.raises(InvalidLambdaError) as refused:
                threadwise.search(Query(text=question["question"], reader=reader, mmr_lambda=2.0))
            messages.append(str(refused.value))
        assert messages[0] == messages[1]


@pytest.mark.parametrize("outsider", OUTSIDERS)
def test_an_outsiders_question_costs_the_same_work_whether_or_not_there_is_something_to_hide(
    demo: Threadwise,
    without_private: Threadwise,
    questions: list[dict[str, Any]],
    outsider: str,
    work_of: Counting,
) -> None:
    for question in questions:
        text = question["question"]
        with_secret = work_of(lambda text=text: ask(demo, text, *OUTSIDERS[outsider]))  # type: ignore[misc]
        without = work_of(lambda text=text: ask(without_private, text, *OUTSIDERS[outsider]))  # type: ignore[misc]
        assert with_secret == without, question["question"]


def test_everybodys_question_costs_the_same_work_whatever_answers_it(
    demo: Threadwise, questions: list[dict[str, Any]], work_of: Counting
) -> None:
    readers = [*OUTSIDERS.values(), (RUTH,)]
    costs = [
        work_of(lambda text=question["question"], who=who: ask(demo, text, *who))  # type: ignore[misc]
        for question in questions
        for who in readers
    ]
    assert costs[0]["statements"] > 0
    assert costs[0]["VectorView.search"] == 1
    assert all(cost == costs[0] for cost in costs)


def test_who_leaves_a_private_conversation_finds_nothing_of_it_from_the_next_question_on(tmp_path: Path) -> None:
    export = small_workspace().unpacked(tmp_path / "export")
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(export, name="slack")
        found = ask(threadwise, "Is the budget ready?", "T1/U1")
        assert "The budget is ready." in shown(found)
        with threadwise.database.write() as session:
            number = session.execute(select(t.source.c.id)).scalar_one()
            audiences.replace_memberships(session, number, [("T1/U1", "T1"), ("T1/U2", "T1")])
        found = ask(threadwise, "Is the budget ready?", "T1/U1")
        assert found, "the public channel is still there"
        assert "G1" not in shown(found)
        assert "budget" not in shown(found)


def test_who_joins_a_private_conversation_finds_it_without_another_ingestion(tmp_path: Path) -> None:
    export = small_workspace().unpacked(tmp_path / "export")
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(export, name="slack")
        assert "budget" not in shown(ask(threadwise, "Is the budget ready?", "T1/U2"))
        with threadwise.database.write() as session:
            number = session.execute(select(t.source.c.id)).scalar_one()
            audiences.replace_memberships(session, number, [("T1/U2", "T1"), ("T1/U2", "T1/G1")])
        assert "budget" in shown(ask(threadwise, "Is the budget ready?", "T1/U2"))
