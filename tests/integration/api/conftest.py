"""One small installation behind the REST service, in this process, for all tests that change nothing of it."""

from collections.abc import Iterator

import pytest

from core.settings import ApiSettings, AskSettings, LlmSettings, Settings
from tests.support.installation import PAGES, write_pages
from tests.support.rest import Door
from tests.support.rest import door as opened
from threadwise.runtime import Threadwise


@pytest.fixture(autouse=True)
def nobody_failed_before(request: pytest.FixtureRequest) -> None:
    """Every test is sent by the same address: its failures are forgotten."""
    if "door" in request.fixturenames:
        door: Door = request.getfixturevalue("door")
        door.client.app.state.shares._failures._buckets.clear()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Three pages, a model that says the quotes again, and limits that no test meets by accident."""
    folder = tmp_path_factory.mktemp("rest")
    settings = Settings(
        data_dir=folder / "data",
        llm=LlmSettings(kind="scripted"),
        ask=AskSettings(threshold=0.0),
        api=ApiSettings(
            requests_per_minute=1_000_000, burst=100_000, max_body_bytes=8192, max_upload_bytes=5000, max_top_k=50
        ),
    )
    with Threadwise(settings) as threadwise:
        threadwise.ingest(write_pages(folder / "pages", PAGES), name="pages")
        with opened(threadwise) as service:
            yield service
