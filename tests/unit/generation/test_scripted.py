"""The scripted model beyond what every model promises."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.errors import ModelUnavailableError
from generation.model import Delta, End, Message, Sampling
from generation.scripted import ScriptedModel

HELLO = (Message("user", "Hello"),)


def text_of(model: ScriptedModel, sampling: Sampling) -> str:
    return "".join(part.text for part in model.generate(HELLO, sampling) if isinstance(part, Delta))


def test_replies_come_in_turn_and_begin_again() -> None:
    model = ScriptedModel(["one", "two"])
    assert [text_of(model, Sampling()) for _ in range(3)] == ["one", "two", "one"]
    assert model.asked == [HELLO] * 3


@given(reply=st.text(max_size=60), limit=st.integers(1, 20))
def test_a_reply_is_given_word_by_word_up_to_the_limit(reply: str, limit: int) -> None:
    *deltas, end = ScriptedModel([reply]).generate(HELLO, Sampling(max_tokens=limit))
    said = "".join(delta.text for delta in deltas if isinstance(delta, Delta))
    assert isinstance(end, End)
    assert reply.startswith(said)
    assert end.output_tokens == len(deltas) <= limit
    assert (said == reply) == (end.reason == "stop")


@given(before=st.text("ab \n", max_size=20), stop=st.text("xy", min_size=1, max_size=3), after=st.text(max_size=9))
def test_nothing_of_a_stop_string_is_said(before: str, stop: str, after: str) -> None:
    model = ScriptedModel([before + stop + after])
    assert text_of(model, Sampling(stop=("never", stop), max_tokens=99)) == before


def test_a_further_generation_waits_for_a_slot_and_gets_it_when_one_is_closed() -> None:
    model = ScriptedModel(["one two three"], slots=1)
    first = model.generate(HELLO, Sampling())
    next(first)
    second = threading.Thread(target=text_of, args=(model, Sampling()))
    second.start()
    assert len(model.asked) == 1
    first.close()  # type: ignore[attr-defined]
    second.join(5)
    assert not second.is_alive()
    assert len(model.asked) == 2


def test_what_a_script_raises_reaches_the_caller() -> None:
    def down(_: object) -> str:
        raise ModelUnavailableError("Down.")

    with pytest.raises(ModelUnavailableError):
        text_of(ScriptedModel(down), Sampling())


def test_each_token_takes_the_time_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("generation.scripted.time.sleep", waited.append)
    text_of(ScriptedModel(["one two three"], first_token_seconds=0.5, token_seconds=0.25), Sampling())
    assert sum(waited) == pytest.approx(1.0)
    assert max(waited) <= 0.05, "somebody may want to stop meanwhile"
