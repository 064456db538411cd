"""The one look at a document before it is stored."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Block, Document
from ingest.hygiene.encoding import broken_places, is_heavy
from ingest.hygiene.inspection import inspect
from ingest.hygiene.language import language_of
from ingest.options import POLICIES, Policy, SourceOptions

KEY = "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ENGLISH = "Please send the form to the people team before Friday, and they will answer what is open about it."
GERMAN = "Bitte schickt das Formular bis Freitag an die Personalabteilung, dort wird alles Offene beantwortet."
BROKEN = "Die Größe der Schlüssel für Türen in Köln müssen wir überprüfen. ".encode().decode("cp1252")


def page(*texts: str, title: str = "A page", heading: tuple[str, ...] = ()) -> Document:
    blocks = tuple(Block(text=text, anchor=f"a{i}", heading=heading, speaker="Ada") for i, text in enumerate(texts))
    return Document(
        external_id="p", kind="page", title=title, uri="https://a.example", audience=("everyone",), blocks=blocks
    )


def texts_of(document: Document | None) -> list[str]:
    assert document is not None
    return [block.text for block in document.blocks]


def test_a_harmless_document_only_learns_its_language() -> None:
    before = page(ENGLISH, "Second.", heading=("Top", "Below"))
    inspected = inspect(before, SourceOptions())
    assert inspected.document == replace(before, language="en")
    assert inspected.document.content_sha == before.content_sha
    assert inspected.refusal is None
    assert dict(inspected.findings) == {("language", "en"): 1}


@pytest.mark.parametrize("policy", ["keep", "mask"])
def test_secrets_go_whatever_the_policy_says(policy: str) -> None:
    before = page(f"token {KEY} here", title=f"token {KEY[:20]}…", heading=(f"Use {KEY}",))
    inspected = inspect(before, SourceOptions().changed_by({"personal_data": policy}))
    assert texts_of(inspected.document) == ["token [secret removed: github token] here"]
    assert inspected.document is not None
    assert KEY[:12] not in inspected.document.canonical().decode()
    assert inspected.document.title == "token [secret removed: github token]…"
    assert inspected.document.blocks[0].heading == ("Use [secret removed: github token]",)
    assert inspected.findings["secret", "github_token"] == 2


def test_personal_data_is_kept_masked_or_refused_as_the_source_says() -> None:
    before = page("write to ada@mail.example", "or to ada@mail.example", title="write to ada@mail.example")
    kept = inspect(before, SourceOptions(personal_data="keep"))
    assert texts_of(kept.document) == texts_of(before)
    assert kept.findings["personal", "email"] == 2
    hidden = inspect(before, SourceOptions(personal_data="mask"))
    assert texts_of(hidden.document) == ["write to [e-mail]", "or to [e-mail]"]
    assert hidden.document is not None
    assert hidden.document.title == "write to [e-mail]"
    refused = inspect(before, SourceOptions(personal_data="quarantine"))
    assert refused.document is None
    assert refused.refusal == ("personal_data", "It holds personal data: email (2).")


def test_a_document_in_another_language_is_refused_only_when_that_is_sure() -> None:
    options = SourceOptions(languages=("en",))
    refused = inspect(page(GERMAN), options)
    assert refused.refusal is not None
    assert refused.refusal[0] == "wrong_language"
    assert inspect(page(ENGLISH), options).refusal is None
    assert inspect(page("Ja, genau."), options).refusal is None


def test_a_document_read_with_the_wrong_table_is_refused() -> None:
    refused = inspect(page(BROKEN), SourceOptions())
    assert refused.refusal is not None
    assert refused.refusal[0] == "broken_encoding"
    assert refused.findings["encoding", "mojibake"] >= 3
    assert "Größe" not in refused.refusal[1]
    some = inspect(page(ENGLISH * 20 + "FranÃ§ais"), SourceOptions())
    assert some.refusal is None
    assert some.findings["encoding", "mojibake"] == 1


@pytest.mark.parametrize("table", ["latin-1", "cp1252", "mac_roman"])
def test_every_common_wrong_table_is_recognised(table: str) -> None:
    text = "Müller\u2019s Größe: 5 € \u2013 “très” naïf, à côté. " * 2
    wrong = text.encode().decode(table, "ignore")
    assert is_heavy(broken_places(wrong), len(wrong))
    assert broken_places(text) == 0


def test_hidden_characters_are_counted_and_gone() -> None:
    inspected = inspect(page("pay\u202elap\u200b", title="t\u200b"), SourceOptions())
    assert texts_of(inspected.document) == ["paylap"]
    assert inspected.findings["unicode", "bidi_control"] == 1
    assert inspected.findings["unicode", "zero_width"] == 2
    assert inspected.findings["short", ""] == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        ("Le formulaire de congé se trouve sur l'intranet, demandez à votre responsable avant vendredi, merci.", "fr"),
        ("thanks!", ""),
        ("kubectl get pods -n prod; docker ps -a; ls -la /var/log; tail -f x.log; grep -rn foo .", ""),
        ("", ""),
    ],
)
def test_languages_are_told_apart_where_there_is_enough_text(text: str, language: str) -> None:
    assert language_of(text) == language


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=30), st.sampled_from(POLICIES))
def test_inspecting_twice_changes_nothing(texts: list[str], title: str, policy: Policy) -> None:
    options = SourceOptions(personal_data=policy)
    once = inspect(page(*texts, title=title, heading=(title,)), options).document
    if once is not None:
        assert inspect(once, options).document == once
        assert len(once.blocks) == len(texts)
