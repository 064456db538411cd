"""A question from its passages to its answer, over a real catalogue: quoted, worded, declined, cut short."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from core.catalog.passages import Reader
from core.settings import AskSettings, LlmSettings, Settings
from core.words import EVERYONE, Passage
from generation.answering import _nearest
from generation.answers import Answer, AskRequest, CitationEvent, DoneEvent, Event, QuoteEvent, StatusEvent, TokenEvent
from generation.budget import QuestionTooLongError
from generation.errors import InvalidSamplingError, ModelMissingError, ModelUnavailableError
from generation.evidence import Evidence, Quote
from generation.model import Message
from generation.scripted import ScriptedModel, repeat_quotes
from retrieval.errors import EmptyQuestionError, NothingIngestedError
from tests.support.installation import write_pages
from threadwise.runtime import Threadwise

ANYONE = Reader(principals=(EVERYONE,))
PAGES = {
    "leave.md": "# Leave\n\nEverybody gets 25 days of paid leave a year. Ask your manager two weeks before.\n",
    "bikes.md": "# Bikes\n\nA leased bike may cost at most 4,000 pounds. The lease runs for three years.\n",
    "links.md": "# Phones\n\nA lost phone is reported at https://evil.example/login within one day.\n",
    "plan.md": "# Plan\n\nThe secret merger with Brightwater closes in October.\n",
}
LEAVE = "How many days of paid leave does everybody get a year?"
Script = Sequence[str] | Callable[[Sequence[Message]], str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with four pages, one of them for one person."""
    folder = tmp_path_factory.mktemp("answering")
    with Threadwise(Settings(data_dir=folder / "data")) as threadwise:
        plan = {"plan.md": PAGES["plan.md"]}
        rest = {name: text for name, text in PAGES.items() if name not in plan}
        threadwise.ingest(write_pages(folder / "docs", rest), name="docs")
        threadwise.ingest(write_pages(folder / "board", plan), name="board", audience=("T1/U1",))
    return folder / "data"


class Asked:
    """An installation with a scripted model, and what it was asked last."""

    def __init__(self, data: Path, script: Script | None, **ask: object) -> None:
        settings = Settings(data_dir=data, llm=LlmSettings(kind="none"), ask=AskSettings.model_validate(ask))
        self.threadwise = Threadwise(settings)
        self.model = None if script is None else ScriptedModel(script)
        self.threadwise.language_model = self.model

    def events(self, question: str, reader: Reader = ANYONE, **request: object) -> list[Event]:
        made = AskRequest(question=question, reader=reader, **request)  # type: ignore[arg-type]
        return list(self.threadwise.ask(made))

    def answer(self, question: str, reader: Reader = ANYONE, **request: object) -> Answer:
        last = self.events(question, reader, **request)[-1]
        assert isinstance(last, DoneEvent)
        return last.answer


@pytest.fixture
def opened(data: Path) -> Iterator[Callable[..., Asked]]:
    made: list[Asked] = []

    def with_script(script: Script | None = None, **ask: object) -> Asked:
        made.append(Asked(data, script, **ask))
        return made[-1]

    yield with_script
    for one in made:
        one.threadwise.close()


Opened = Callable[..., Asked]


def test_without_a_model_the_answer_is_its_quotes(opened: Opened) -> None:
    answer = opened().answer(LEAVE)
    assert (answer.status, answer.note, answer.first_token_ms) == ("quoted", "no_model", None)
    assert "25 days of paid leave a year. [1]" in answer.text
    assert answer.citations[0].uri.startswith("leave.md")
    assert answer.citations[0].quote in PAGES["leave.md"]


def test_what_the_model_words_and_a_quote_says_too_stands_for_the_quote(opened: Opened) -> None:
    asked = opened(["Please note that everybody gets 25 days of paid leave a year."], quotes=1)
    answer = asked.answer(LEAVE)
    assert (answer.status, answer.text) == (
        "answered",
        "Please note that everybody gets 25 days of paid leave a year. [1]",
    )
    assert answer.usage.output_tokens == 12
    assert answer.usage.finish == "stop"
    assert answer.model == "scripted"


def test_what_a_model_cost_that_was_not_heard_to_the_end_is_counted(opened: Opened) -> None:
    asked = opened(["Everybody gets 25 days of paid leave a year. And so on. And so forth. And more."], quotes=1)
    usage = asked.answer(LEAVE).usage
    assert (usage.finish, usage.output_tokens) == ("enough", 10)
    assert usage.prompt_tokens > 40


@pytest.mark.parametrize(
    "said",
    [
        "Everybody gets 52 days of paid leave a year.",
        "Everybody never gets 25 days of paid leave a year.",
        "Managers get 25 days of paid leave a year.",
        "Everybody might get 25 days of paid leave a year.",
        "Everybody gets 25 days of paid leave a year, says https://evil.example.",
        "Ignore the handbook!",
        "",
    ],
)
def test_what_the_model_says_beyond_a_quote_is_never_heard_of(opened: Opened, said: str) -> None:
    asked = opened([said], quotes=1)
    events = asked.events(LEAVE)
    last = events[-1]
    assert isinstance(last, DoneEvent)
    assert last.answer.status == "quoted"
    heard = " ".join(str(event.as_json()) for event in events)
    assert "evil" not in heard
    assert last.answer.text == "Everybody gets 25 days of paid leave a year. [1]"


def test_the_text_is_what_the_tokens_said_one_after_the_other(opened: Opened) -> None:
    events = opened(repeat_quotes).events(LEAVE)
    stages = [event.stage for event in events if isinstance(event, StatusEvent)]
    assert stages == ["retrieving", "reading", "wording"]
    last = events[-1]
    assert isinstance(last, DoneEvent)
    assert "".join(event.text for event in events if isinstance(event, TokenEvent)) == last.answer.text
    quoted = [event.citation for event in events if isinstance(event, QuoteEvent)]
    assert tuple(quoted) == last.answer.citations
    cited = [event.number for event in events if isinstance(event, CitationEvent)]
    assert sorted(cited) == [citation.number for citation in quoted]


def test_a_quote_is_heard_of_before_the_model_is_asked(opened: Opened) -> None:
    asked = opened(repeat_quotes)
    assert asked.model
    heard = asked.threadwise.ask(AskRequest(question=LEAVE, reader=ANYONE))
    before = [bool(asked.model.asked) for event in heard if isinstance(event, QuoteEvent)]
    assert before
    assert not any(before)
    assert asked.model.asked


def test_what_the_sources_do_not_say_is_declined_with_the_nearest(opened: Opened) -> None:
    asked = opened(repeat_quotes, contact="#hr-questions")
    answer = asked.answer("Which vaccinations are needed before travelling to Peru?")
    assert (answer.status, answer.citations) == ("declined", ())
    assert answer.nearest
    assert "#hr-questions" in answer.text
    assert asked.model
    assert asked.model.asked == [], "nothing to word"


def test_somebody_outside_is_told_nothing_of_what_only_others_may_read(opened: Opened) -> None:
    question = "When does the secret merger with Brightwater close?"
    asked = opened(repeat_quotes)
    inside = asked.answer(question, Reader(principals=("T1/U1",)))
    assert "October" in inside.text
    outside = asked.events(question, trace=True)
    assert isinstance(outside[-1], DoneEvent)
    assert outside[-1].answer.status == "declined"
    told = " ".join(str(event.as_json()) for event in outside)
    assert "October" not in told
    assert "plan.md" not in told


def test_a_link_of_a_document_is_no_link_of_the_answer(opened: Opened) -> None:
    answer = opened(repeat_quotes).answer("Where is a lost phone reported and within how many days?")
    assert "within one day" in answer.text
    assert "evil" not in str(answer.as_json())


def test_a_model_that_fails_leaves_the_quotes(opened: Opened) -> None:
    def broken(_messages: object) -> str:
        raise ModelUnavailableError("It is gone.")

    answer = opened(broken).answer(LEAVE)
    assert (answer.status, answer.note) == ("quoted", "language_model_unavailable")


def test_whatever_a_models_engine_throws_the_quotes_stand(opened: Opened) -> None:
    def broken(_messages: object) -> str:
        raise RuntimeError("a bug of the engine")

    answer = opened(broken).answer(LEAVE)
    assert (answer.status, answer.note) == ("quoted", "language_model_failed")


@pytest.mark.no_database
@pytest.mark.parametrize(
    "bad",
    [{"candidates": 0}, {"max_tokens": 0}, {"top_k": 0}, {"deadline_seconds": 0.0}, {"deadline_seconds": math.nan}],
)
def test_a_request_out_of_range_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidSamplingError, match=next(iter(bad))):
        AskRequest(question=LEAVE, reader=ANYONE, **bad)  # type: ignore[arg-type]


def test_a_question_is_kept_as_text_whatever_came_in(opened: Opened) -> None:
    asked = opened()
    answer = asked.answer(f"{LEAVE}\ud800\0")
    assert asked.threadwise.answer(answer.answer_id).question == f"{LEAVE}?\N{REPLACEMENT CHARACTER}"


def test_an_answer_longer_than_the_window_is_asked_for_in_vain(opened: Opened) -> None:
    answer = opened(repeat_quotes).answer(LEAVE, max_tokens=8000)
    assert answer.status == "answered"


@pytest.mark.parametrize("question", ["", "  ", "\N{ZERO WIDTH SPACE}"])
def test_an_empty_question_is_refused_with_and_without_sources(opened: Opened, question: str) -> None:
    for use_rag in (True, False):
        with pytest.raises(EmptyQuestionError):
            opened(["Yes."]).events(question, use_rag=use_rag)


def test_a_model_that_says_nothing_by_itself_is_no_answer(opened: Opened) -> None:
    answer = opened(["It is about"]).answer(LEAVE, use_rag=False, max_tokens=1)
    assert "no whole sentence" in answer.text
    assert answer.note == "length"


def test_whoever_leaves_stops_the_model(opened: Opened) -> None:
    asked = opened(repeat_quotes)
    answer = asked.answer(LEAVE, cancelled=lambda: True)
    assert (answer.status, answer.note) == ("quoted", "cancelled")


def test_at_the_deadline_the_quotes_stand(opened: Opened) -> None:
    answer = opened(repeat_quotes).answer(LEAVE, deadline_seconds=1e-9)
    assert (answer.status, answer.note) == ("quoted", "deadline")


def test_a_sentence_that_was_cut_off_is_not_shown(opened: Opened) -> None:
    answer = opened(repeat_quotes, quotes=1).answer(LEAVE, max_tokens=4)
    assert (answer.usage.finish, answer.status) == ("length", "quoted")


def test_of_several_candidates_the_best_verified_one_is_shown(opened: Opened) -> None:
    said = ["Nothing of this.", "Please note that everybody gets 25 days of paid leave a year.", "No."]
    answer = opened(said, quotes=1).answer(LEAVE, candidates=3, seed=7, trace=True)
    assert answer.status == "answered"
    assert answer.trace
    assert [len(one["verdicts"]) for one in answer.trace["candidates"]] == [1, 1, 1]
    assert answer.trace["seed"] == 7


def test_without_sources_the_model_speaks_alone_and_the_answer_says_so(opened: Opened) -> None:
    asked = opened(["It is 30 days. See https://evil.example for more."])
    answer = asked.answer(LEAVE, use_rag=False)
    assert (answer.status, answer.grounded, answer.note, answer.citations) == (
        "answered",
        False,
        "not_from_sources",
        (),
    )
    assert "evil" not in answer.text
    assert asked.model
    assert "25 days" not in " ".join(message.text for message in asked.model.asked[0])


def test_without_sources_and_without_a_model_there_is_nothing_to_ask(opened: Opened) -> None:
    with pytest.raises(ModelMissingError):
        opened().events(LEAVE, use_rag=False)


def test_the_trace_holds_the_prompt_and_the_scores_only_for_who_asks_for_it(opened: Opened) -> None:
    asked = opened(repeat_quotes)
    traced, plain = asked.answer(LEAVE, trace=True), asked.answer(LEAVE)
    assert plain.trace is None
    assert "trace" not in plain.as_json()
    assert traced.trace
    assert traced.trace["prompt"][-1]["role"] == "user"
    assert "25 days" in traced.trace["prompt"][-1]["text"]
    assert traced.trace["tokens"]["question"] > 0
    assert {"chunk_id", "score", "signals"} <= traced.trace["passages"][0].keys()


def test_an_answer_is_kept_without_the_prompt(opened: Opened) -> None:
    asked = opened(repeat_quotes)
    answer = asked.answer(LEAVE, key_id="k1", trace=True)
    stored = asked.threadwise.answer(answer.answer_id)
    assert (stored.question, stored.status, stored.text, stored.key_id) == (LEAVE, answer.status, answer.text, "k1")
    assert "prompt" not in stored.trace
    assert stored.trace["passages"]


def test_a_question_that_is_too_long_is_refused_before_anything_is_read(opened: Opened) -> None:
    with pytest.raises(QuestionTooLongError, match="2001 characters, 2000"):
        opened().events("x" * 2001)


def test_an_empty_catalogue_says_so(tmp_path: Path) -> None:
    asked = Asked(tmp_path, None)
    with asked.threadwise, pytest.raises(NothingIngestedError):
        asked.events(LEAVE)


def test_neither_vectors_nor_hidden_names_leave_with_an_answer(opened: Opened) -> None:
    shape = opened(repeat_quotes).answer(LEAVE, trace=True).as_json()
    assert "vector" not in str(shape)
    assert {"answer_id", "status", "text", "citations", "took_ms", "first_text_ms", "first_token_ms"} <= shape.keys()


def test_a_quote_of_two_sentences_is_worded_whole_or_stands(opened: Opened) -> None:
    first, second = "Everybody gets 25 days of paid leave a year.", "Ask your manager two weeks before."
    for said, status in ((first, "quoted"), (second, "quoted"), (f"{first} {second}", "answered")):
        asked = opened([said], quotes=1)
        asked.threadwise.answerer.finder = lambda _space: TwoSentences()  # type: ignore[assignment,return-value]
        answer = asked.answer(LEAVE)
        assert (answer.status, answer.text) == (status, f"{first} {second} [1]")


class TwoSentences:
    """Quotes two sentences at once, as the finder does where the second refers to the first."""

    def find(self, _question: str, _vector: object, passages: Sequence[Passage], limit: int) -> Evidence:
        number = next(place for place, passage in enumerate(passages) if "25 days" in passage.text)
        text = passages[number].text
        start, end = text.index("Everybody"), text.index("before.") + len("before.")
        quote = Quote(passage=number, start=start, end=end, text=text[start:end], score=0.9)
        return Evidence(quotes=(quote,)[:limit], confidence=0.9, features={})


def test_a_title_that_is_a_link_of_somebody_elses_is_none_of_the_answer(opened: Opened) -> None:
    asked = opened(repeat_quotes)
    answer = asked.answer("Which vaccinations are needed before travelling to Peru?")
    assert len({source.title for source in answer.nearest}) == len(answer.nearest)
    passage = Passage(
        chunk_id="c",
        document_id="d",
        external_id="e",
        source="s",
        title="https://evil.example/x",
        uri="a.md",
        text="",
        score=1.0,
        signals={},
    )
    assert "evil" not in str(_nearest([passage]))
