"""Documents that could not be taken, on both databases: tried again, done without, or taken after all."""

import shutil
from pathlib import Path

import pytest

from core.catalog import documents
from ingest.errors import LetterNotFoundError
from tests.support.installation import PAGES, PoisonError, installation, live_texts, write_pages
from threadwise.opening import AS_IN_SOURCE, SubmitRequest
from threadwise.runtime import Threadwise


def never() -> bool:
    return False


class Poison:
    """Lets every text fail that has this word, until it is lifted."""

    def __init__(self, word: str = "client") -> None:
        self.word = word

    def __call__(self, text: str) -> None:
        if self.word and self.word in text:
            message = "It cannot be embedded."
            raise PoisonError(message)


def poisoned(tmp_path: Path) -> tuple[Threadwise, Poison, Path]:
    """An installation that could not take one page of three."""
    poison = Poison()
    threadwise, _ = installation(tmp_path / "data", before=poison)
    docs = write_pages(tmp_path / "docs", PAGES)
    assert threadwise.ingest(docs, name="docs").state == "succeeded_with_quarantine"
    return threadwise, poison, docs


def rerun(threadwise: Threadwise) -> str:
    return threadwise.runs.work(threadwise.runs.submit(SubmitRequest(source="docs")), never)


def test_a_letter_is_tried_again_from_the_stored_form_though_the_source_is_gone(tmp_path: Path) -> None:
    threadwise, poison, docs = poisoned(tmp_path)
    with threadwise:
        [letter] = threadwise.runs.letters()
        assert (letter.place, letter.stage, letter.code) == ("vpn.md", "embed", "poison")
        shutil.rmtree(docs)
        poison.word = ""
        [run_id] = threadwise.runs.retry_letters(requested_by="k1")
        assert threadwise.runs.letters() == []
        assert threadwise.runs.work(run_id, never) == "succeeded"
        assert "client" in " ".join(live_texts(threadwise))
        assert threadwise.runs.letter(letter.id).state == "resolved"
        assert threadwise.runs.standing(run_id).buckets == {"indexed": 1}
        assert threadwise.runs.retry_letters() == []


def test_a_letter_that_fails_again_is_open_again(tmp_path: Path) -> None:
    threadwise, _, _ = poisoned(tmp_path)
    with threadwise:
        [first] = threadwise.runs.letters()
        [run_id] = threadwise.runs.retry_letters([first.id])
        assert threadwise.runs.work(run_id, never) == "succeeded_with_quarantine"
        [again] = threadwise.runs.letters("docs")
        assert (again.place, again.run_id, again.id > first.id) == ("vpn.md", run_id, True)
        assert threadwise.runs.standing(run_id).buckets == {"failed": 1}
        with pytest.raises(LetterNotFoundError):
            threadwise.runs.ignore_letters([again.id + 1])


def test_what_is_ignored_is_not_tried_again_and_holds_up_no_good_end_until_it_changes(tmp_path: Path) -> None:
    threadwise, poison, docs = poisoned(tmp_path)
    with threadwise:
        [letter] = threadwise.runs.letters()
        assert threadwise.runs.ignore_letters([letter.id]) == 1
        assert rerun(threadwise) == "succeeded"
        assert threadwise.runs.standing(threadwise.runs.latest()[0].run_id).buckets == {"indexed": 2, "filtered": 1}
        assert rerun(threadwise) == "succeeded"
        poison.word = ""
        (docs / "vpn.md").write_text("# VPN\n\nUse the new client.\n")
        assert rerun(threadwise) == "succeeded"
        assert "new client" in " ".join(live_texts(threadwise))


def test_a_later_run_that_takes_the_document_resolves_its_letter(tmp_path: Path) -> None:
    threadwise, poison, _ = poisoned(tmp_path)
    with threadwise:
        [letter] = threadwise.runs.letters()
        poison.word = ""
        assert rerun(threadwise) == "succeeded"
        assert threadwise.runs.letters() == []
        assert threadwise.runs.letter(letter.id).state == "resolved"


def test_a_file_that_could_not_be_read_is_read_again_with_its_source(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    docs = write_pages(tmp_path / "docs", PAGES)
    (docs / "vpn.md").write_bytes(b"\xff\xfe\x00bad")
    with threadwise:
        threadwise.ingest(docs, name="docs")
        [letter] = threadwise.runs.letters()
        assert (letter.kind, letter.stage, letter.place) == ("place", "read", "vpn.md")
        (docs / "vpn.md").write_text(PAGES["vpn.md"])
        [run_id] = threadwise.runs.retry_letters([letter.id])
        assert threadwise.runs.letter(letter.id).state == "retried"
        assert threadwise.runs.work(run_id, never) == "succeeded"
        assert len(live_texts(threadwise)) == 3


def test_a_retry_that_waits_while_its_document_leaves_the_source_brings_nothing_back(tmp_path: Path) -> None:
    threadwise, poison, docs = poisoned(tmp_path)
    with threadwise:
        whole = threadwise.runs.submit(SubmitRequest(source="docs"))
        [letter] = threadwise.runs.letters()
        [retry] = threadwise.runs.retry_letters([letter.id])
        write_pages(docs, {name: text for name, text in PAGES.items() if name != letter.place})
        poison.word = ""
        assert threadwise.runs.work(whole, never) == "succeeded"
        assert threadwise.runs.work(retry, never) == "succeeded"
        assert threadwise.runs.standing(retry).progress.states == {"superseded": 1}
        assert "client" not in " ".join(live_texts(threadwise))


def test_what_is_ignored_still_takes_rights_away(tmp_path: Path) -> None:
    threadwise, _, docs = poisoned(tmp_path)
    with threadwise:
        narrow = write_pages(tmp_path / "narrow", PAGES)
        threadwise.ingest(narrow, name="docs", audience=("group:hr",))
        [letter] = threadwise.runs.letters()
        threadwise.runs.ignore_letters([letter.id])
        write_pages(docs, PAGES | {letter.place: "# VPN\n\nSign in.\n"})
        threadwise.ingest(docs, name="docs", audience=(AS_IN_SOURCE,))
        threadwise.ingest(narrow, name="docs", audience=("group:hr",))
        with threadwise.database.read() as session:
            known = documents.known_documents(session, 1)
        assert known[letter.place].audience == frozenset(), "it is shown to those alone who may read both"
