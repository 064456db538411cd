"""What holds for every test: settings of the caller stay out, models are never fetched, inputs are repeatable.

Sockets beyond loopback are closed by the options in pyproject.toml. Tests of whole parts run in both modes, see
tests/support/modes.py.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.databases", "tests.support.modes", "tests.support.schedule"]

KEPT = frozenset({"THREADWISE_EVAL_DATA"})

for name in [name for name in os.environ if name.startswith("THREADWISE_") and name not in KEPT]:
    del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """The folder with public question sets in BEIR form and public Slack exports."""
    folder = os.environ.get("THREADWISE_EVAL_DATA", "")
    if not folder:
        pytest.skip("THREADWISE_EVAL_DATA is not set: no public question sets at hand")
    return Path(folder).resolve(strict=True)


@pytest.fixture(scope="session")
def full_size() -> bool:
    """Whether `FULL=1` asks for hundreds of faults instead of a handful."""
    return os.environ.get("FULL") == "1"
