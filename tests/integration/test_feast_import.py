"""What importing the feature layer costs a process: Feast only where it is asked for, torch never."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).parents[2]


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_engines_and_the_facade_import_neither_feast_nor_torch() -> None:
    run("""
import sys
import features.engines, features.store, core.catalog.features
assert not {"feast", "torch", "pandas"} & sys.modules.keys(), sys.modules.keys()
""")


def test_feast_is_imported_without_torch_and_leaves_everything_as_it_was() -> None:
    run("""
import sys, warnings
from importlib.util import find_spec
from features.feast_import import import_feast
filters = list(warnings.filters)
import six.moves  # a library of Feast's adds a finder of its own
finders = list(sys.meta_path)
feast = import_feast()
from features import online_store, registry
assert import_feast() is feast
assert "torch" not in sys.modules
assert warnings.filters == filters
assert sys.meta_path == finders
assert find_spec("torch") is not None
import typeguard
assert typeguard.check_type(1, int) == 1
""")
