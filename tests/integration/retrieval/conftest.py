"""The demo company, ingested once for all tests of this folder: they read it and change nothing."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from core.settings import Settings
from features.vector_view import VectorView
from features.words import WordIndex
from threadwise.runtime import Threadwise

DEMO = Path(__file__).resolve().parents[3] / "demo"
PRIVATE_FOLDER = "people-ops-private"


def company(data_dir: Path, export: Path) -> Threadwise:
    """An installation with a Slack export and the handbook, its engines loaded."""
    threadwise = Threadwise(Settings(data_dir=data_dir))
    threadwise.ingest(export, name="slack")
    threadwise.ingest(DEMO / "handbook", name="handbook")
    threadwise.warm()
    return threadwise


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Threadwise]:
    """The whole demo company."""
    with company(tmp_path_factory.mktemp("demo"), DEMO / "slack-export") as threadwise:
        yield threadwise


@pytest.fixture(scope="session")
def without_private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Threadwise]:
    """The same company, whose export has no private channel."""
    place = tmp_path_factory.mktemp("public")
    hidden = shutil.ignore_patterns("groups.json", PRIVATE_FOLDER)
    shutil.copytree(DEMO / "slack-export", place / "export", ignore=hidden)
    with company(place / "data", place / "export") as threadwise:
        yield threadwise


@pytest.fixture(scope="session")
def questions() -> list[dict[str, Any]]:
    """The demo's questions with what answers them."""
    return [json.loads(line) for line in (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def work_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], dict[str, int]]]:
    """Counts what a call costs: SQL statements on every database of the process, and calls of each engine."""
    counted: Counter[str] = Counter()

    def statement(*_: object) -> None:
        counted["statements"] += 1

    def watch(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the engine takes and gives
            counted[f"{owner.__name__}.{name}"] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in ((VectorView, "search"), (VectorView, "similarities"), (WordIndex, "search")):
        watch(owner, name)
    watch(WordIndex, "scores")
    event.listen(Engine, "before_cursor_execute", statement)

    def measure(call: Callable[[], object]) -> dict[str, int]:
        counted.clear()
        call()
        return dict(counted)

    yield measure
    event.remove(Engine, "before_cursor_execute", statement)
