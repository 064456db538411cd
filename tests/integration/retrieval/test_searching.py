"""What a question may look like, how it is narrowed and ordered, and what it is refused for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.settings import RetrievalSettings, Settings
from core.words import Instant, Passage
from retrieval.errors import EmptyQuestionError, InvalidLambdaError, NothingIngestedError
from retrieval.query import Query
from retrieval.retriever import Retriever
from threadwise.runtime import Threadwise

RUTH = "T05LQ8R2PNK/U05LQF8E1HC"
HOSTILE = {
    "quotes": '"parental leave" \'bike\' "unclosed',
    "a field": "text:leave chunk_id:* audience_id:2",
    "parentheses": "((leave) OR (bike AND NOT",
    "wildcards": "* le?ve bik* /regex.*/ vpn~2 leave^99999999999",
    "ranges": "[a TO z] {0 TO *}",
    "signs": "+must -not \\ && || !",
    "sql": "'; DROP TABLE chunk; -- %s :at",
    "emoji": "🚲👨‍👩‍👧‍👦 leave? 🎉",
    "emoji alone": "😀",
    "nul": "parental\x00leave\x00",
    "nul alone": "\x00",
    "control characters": "\x01\x02\x1b[31mleave\x7f\x9b",
    "reversed": "\u202eevael\u202c",
    "nothing visible": "\u200b\u2060",
    "half a character": "leave \ud800 \udcff",
    "half a character alone": "\udcff",
    "one long word": "x" * 10_000,
    "ten thousand characters": "how many days of leave " * 435,
    "thousands of different words": " ".join(f"w{number}" for number in range(1_500)),
    "another alphabet": "育児休暇 отпуск إجازة",
    "the last code point": "\U0010ffff",
}


def ask(threadwise: Threadwise, text: str, **more: Any) -> list[Passage]:  # noqa: ANN401 - any field of a query
    return threadwise.search(Query(text=text, reader=threadwise.reader(RUTH), **more)).passages


def retriever_with(threadwise: Threadwise, **settings: Any) -> Retriever:  # noqa: ANN401 - any retrieval setting
    """The same catalogue and engines under other settings."""
    old = threadwise.retriever
    new = RetrievalSettings.model_validate(settings)
    return Retriever(old.database, old.store, embed_question=old.embed_question, settings=new, clock=old.clock)


@pytest.mark.parametrize("question", HOSTILE)
def test_no_question_breaks_the_search(demo: Threadwise, question: str) -> None:
    found = ask(demo, HOSTILE[question])
    assert 0 < len(found) <= 5
    assert all(0.0 <= passage.score <= 1.0 for passage in found)


@pytest.mark.parametrize("mark", ['"', "(", "leave:", "*", "\\", "AND"])
def test_query_syntax_is_read_as_words_and_not_as_syntax(demo: Threadwise, mark: str) -> None:
    plain = ask(demo, "How many weeks off does a dad get when a baby arrives?")
    marked = ask(demo, f"How many weeks off does a dad get when a baby arrives? {mark}")
    assert plain[0].chunk_id in {passage.chunk_id for passage in marked}


def test_the_end_of_a_question_longer_than_the_embedder_reads_still_counts(demo: Threadwise) -> None:
    tokenizer = demo.embedder.tokenizer
    padding = "I have thought about this for a long time and I would like to be told. " * 20
    asked = "What is the highest price for a bike on the leasing scheme?"
    assert tokenizer.count(padding + asked) > 256
    found = ask(demo, padding + asked)
    assert any("bike" in passage.text.lower() for passage in found)


@pytest.mark.parametrize("question", ["", " ", "\n\t ", "\u3000"])
def test_an_empty_question_is_refused(demo: Threadwise, question: str) -> None:
    with pytest.raises(EmptyQuestionError):
        ask(demo, question)


@pytest.mark.parametrize("mmr_lambda", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_trade_off_out_of_range_is_refused(demo: Threadwise, mmr_lambda: float) -> None:
    with pytest.raises(InvalidLambdaError):
        ask(demo, "leave", mmr_lambda=mmr_lambda)


def test_a_catalogue_without_documents_says_so(tmp_path: Path) -> None:
    with Threadwise(Settings(data_dir=tmp_path)) as threadwise, pytest.raises(NothingIngestedError):
        threadwise.search(Query(text="leave", reader=threadwise.reader()))


@pytest.mark.parametrize("source", ["slack", "handbook"])
def test_a_source_is_asked_alone(demo: Threadwise, questions: list[dict[str, Any]], source: str) -> None:
    for question in questions[:10]:
        found = ask(demo, question["question"], sources=(source,))
        assert {passage.source for passage in found} == {source}


def test_a_kind_of_document_is_asked_alone(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    for question in questions[:10]:
        pages = ask(demo, question["question"], kinds=("page",), top_k=10)
        assert {passage.source for passage in pages} == {"handbook"}
        talk = ask(demo, question["question"], kinds=("thread", "sitting"), top_k=10)
        assert {passage.source for passage in talk} == {"slack"}
        threads = ask(demo, question["question"], kinds=("thread",), top_k=10)
        sittings = ask(demo, question["question"], kinds=("sitting",), top_k=10)
        assert not {p.document_id for p in threads} & {p.document_id for p in sittings}


def test_an_authors_threads_are_asked_alone(demo: Threadwise) -> None:
    found = ask(demo, "What was announced?", authors=("Ruth",), top_k=20)
    assert found
    assert all(passage.text.startswith(("Ruth:", "Ruth (edited):")) for passage in found)


def test_filters_are_all_met_at_once(demo: Threadwise) -> None:
    assert not ask(demo, "leave", sources=("handbook",), kinds=("thread",))
    assert not ask(demo, "leave", sources=("nowhere",))
    both = ask(demo, "leave", sources=("handbook", "slack"), kinds=("page", "thread"), top_k=20)
    assert {passage.source for passage in both} == {"handbook", "slack"}


@pytest.mark.parametrize("name", ['a"b', "x:y", "*", "\x00", "\ud800", "' OR 1=1 --"])
def test_an_odd_name_in_a_filter_matches_nothing_and_breaks_nothing(demo: Threadwise, name: str) -> None:
    for part in ("sources", "kinds", "authors"):
        assert not ask(demo, "leave", **{part: (name,)})


@pytest.mark.parametrize("top_k", [1, 3, 20])
def test_as_many_passages_come_as_were_asked_for(demo: Threadwise, top_k: int) -> None:
    found = ask(demo, "What do I do when I am ill?", top_k=top_k)
    assert len(found) == top_k
    assert len({passage.chunk_id for passage in found}) == top_k


def test_the_setting_counts_where_the_question_names_no_number(demo: Threadwise) -> None:
    few = retriever_with(demo, top_k=2)
    assert len(few.search(Query(text="leave", reader=demo.reader(RUTH))).passages) == 2


def test_lambda_one_is_the_order_of_the_scores(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    for question in questions:
        scores = [passage.score for passage in ask(demo, question["question"], mmr_lambda=1.0, top_k=20)]
        assert scores == sorted(scores, reverse=True)


def test_lambda_zero_keeps_the_best_and_then_looks_elsewhere(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    different = 0
    for question in questions:
        relevant = ask(demo, question["question"], mmr_lambda=1.0)
        diverse = ask(demo, question["question"], mmr_lambda=0.0)
        assert relevant[0].chunk_id == diverse[0].chunk_id
        different += [p.chunk_id for p in relevant] != [p.chunk_id for p in diverse]
    assert different > len(questions) / 2


def test_the_same_question_gives_the_same_answer(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    at = demo.clock()
    for question in questions[:5]:
        query = Query(text=question["question"], reader=demo.reader(RUTH), at=at)
        assert demo.search(query).passages == demo.search(query).passages


def test_both_fusions_find_the_answers(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    reader = demo.reader(RUTH)
    answerable = [question for question in questions if question["answerable"]]
    for fusion in ("convex", "rrf"):
        retriever = retriever_with(demo, fusion=fusion)
        found = 0
        for question in answerable:
            passages = retriever.search(Query(text=question["question"], reader=reader)).passages
            found += any(passage.external_id in question["where"] for passage in passages)
        assert found >= 0.85 * len(answerable), fusion


def test_a_question_about_the_past_finds_nothing_that_was_said_later(demo: Threadwise) -> None:
    reader = demo.reader(RUTH)
    question = Query(text="Where is the company moving to?", reader=reader, sources=("slack",), top_k=20)
    january = replace(question, at=Instant(1_767_225_600_000_000))  # 2026-01-01; the move was decided in March
    assert any("Flaxgate Mill" in passage.text for passage in demo.search(question).passages)
    past = demo.search(january).passages
    assert past
    assert not any("Flaxgate Mill" in passage.text for passage in past)


def test_the_answer_has_the_shape_that_tools_rely_on(demo: Threadwise) -> None:
    ranking = demo.search(Query(text="leave", reader=demo.reader())).as_json()
    assert set(ranking) == {"passages", "took_ms"}
    passages = ranking["passages"]
    assert isinstance(passages, list)
    fields = {"chunk_id", "document_id", "external_id", "source", "title", "uri", "text", "score", "signals"}
    assert all(set(passage) == fields for passage in passages)
