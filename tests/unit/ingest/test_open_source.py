"""Which kind of source a path is."""

import zipfile
from pathlib import Path

import pytest

from core.settings import IngestSettings
from ingest.errors import EmptyAudienceError, SourceNotFoundError, SourceUnreadableError, UnknownKindError
from ingest.sources import Source, open_source
from tests.support.slack_export import small_workspace


def opened(place: Path, kind: str | None = None, audience: list[str] | None = None) -> Source:
    return open_source(place, kind, name="s", settings=IngestSettings(), audience=audience)


def test_a_slack_export_is_recognised_in_every_wrapping(tmp_path: Path) -> None:
    builder = small_workspace()
    places = [
        builder.zipped(tmp_path / "a.zip"),
        builder.zipped(tmp_path / "b.zip", wrapper="export/"),
        builder.unpacked(tmp_path / "c"),
        builder.unpacked(tmp_path / "d" / "export").parent,
    ]
    assert [opened(place).kind for place in places] == ["slack-export"] * 4


def test_folders_and_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    assert opened(tmp_path).kind == opened(tmp_path / "a.md").kind == "files"
    (tmp_path / "corpus.jsonl").write_text("")
    assert opened(tmp_path).kind == "files"
    assert opened(tmp_path, "beir").kind == opened(tmp_path / "corpus.jsonl").kind == "beir"
    (tmp_path / "queries.jsonl").write_text("")
    assert opened(tmp_path).kind == "beir"
    assert opened(tmp_path, "files").kind == "files"


def test_an_export_is_found_among_what_lies_around_it(tmp_path: Path) -> None:
    small_workspace().unpacked(tmp_path / "export")
    for folder in ("__MACOSX", ".git", "notes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "users.json").write_text("[]")
    source = opened(tmp_path)
    assert source.kind == "slack-export"
    assert list(source.memberships())


def test_of_two_exports_one_has_to_be_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        small_workspace().unpacked(tmp_path / "both" / name)
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for name, content in small_workspace().entries().items():
            archive.writestr(f"one/{name}", content)
            archive.writestr(f"two/{name}", content)
    for place in (tmp_path / "both", tmp_path / "both.zip"):
        with pytest.raises(UnknownKindError, match="one, two") as caught:
            opened(place)
        assert "Name the folder" in caught.value.hint
        with pytest.raises(SourceUnreadableError):
            list(opened(place, "slack-export").read())


def test_a_handbook_with_a_file_called_like_a_listing_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("[]")
    (tmp_path / "a.md").write_text("# A")
    assert opened(tmp_path).kind == "files"


def test_conversations_beside_their_listing_are_an_export(tmp_path: Path) -> None:
    folder = small_workspace().unpacked(tmp_path / "export")
    (folder / "users.json").unlink()
    assert opened(folder).kind == "slack-export"


def test_a_zip_without_an_export_holds_documents(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    assert opened(tmp_path / "other.zip").kind == "files"


def test_what_cannot_be_opened_says_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "photo.png").write_bytes(b"x")
    cases: list[tuple[Path, str | None, type[SourceNotFoundError | SourceUnreadableError | UnknownKindError]]] = [
        (tmp_path / "missing", None, SourceNotFoundError),
        (tmp_path / "half.zip", None, SourceUnreadableError),
        (tmp_path / "photo.png", None, UnknownKindError),
        (tmp_path, "carrier-pigeon", UnknownKindError),
        (tmp_path, "beir", SourceUnreadableError),
    ]
    for place, kind, error in cases:
        with pytest.raises(error) as caught:
            opened(place, kind)
        assert caught.value.hint


def test_an_empty_audience_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyAudienceError):
        opened(tmp_path, audience=[])
