"""The one place that imports Feast: seconds and hundreds of megabytes that only a process that retrieves should pay.

Feast imports torch wherever it is installed, and decorates its classes with typeguard's run-time checks. Neither is
wanted here: arguments come from typed code, and no tensor is ever asked for.
"""

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

CHECKER = "typeguard"

_importing = threading.Lock()


def import_feast() -> ModuleType:
    """Feast, without torch and without typeguard's decorators when this call is the first to import it."""
    with _importing:
        if "feast" not in sys.modules:
            # Feast changes the process's warning filters when it is imported.
            with _without("torch"), _untouched_classes(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import feast.feature_store  # noqa: PLC0415 - this is the lazy import
        import feast  # noqa: PLC0415

        return feast


class _Absent(MetaPathFinder):
    """Makes a module look uninstalled, to one thread only: others may be importing it in earnest."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse the module; know nothing of any other."""
        del path, target
        if fullname == self._name and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)


@contextmanager
def _without(name: str) -> Iterator[None]:
    finder = _Absent(name)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def _untouched_classes() -> Iterator[None]:
    """A stand-in for typeguard whose decorator does nothing; whoever asks later gets the real one."""
    if CHECKER in sys.modules:
        yield
        return
    stand_in: Any = ModuleType(CHECKER)
    stand_in.typechecked = _untouched
    sys.modules[CHECKER] = stand_in
    try:
        yield
    finally:
        del sys.modules[CHECKER]


def _untouched(decorated: Any) -> Any:  # noqa: ANN401 - a class or a function, returned as it came
    return decorated
