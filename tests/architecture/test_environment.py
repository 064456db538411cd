"""What a module may do to its process: read the environment, load a heavy library, swallow an error."""

import ast
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pytest_socket import SocketConnectBlockedError

from tests.architecture.tree import ROOT, Source, imports, imports_at_start, product

SETTINGS = "core/settings.py"

# Seconds and hundreds of megabytes at import: a worker starts in a second because it meets none of them.
HEAVY = {"feast", "torch", "transformers", "sentence_transformers", "pandas"}
SLOW = HEAVY | {"onnxruntime", "langchain_core", "langchain_text_splitters"}

# The files that exist to derive from a heavy library's classes. Nothing may import them when it is itself imported.
GATES = {
    "features/online_store.py": {"feast"},
    "features/repo/definitions.py": {"feast"},
    "retrieval/langchain.py": {"langchain_core"},
}

RECORDED_REASON = re.compile(r"# noqa: BLE001\W+\w+\W+\w+")


def environment_reads(source: Source) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.environb", "os.getenv"}:
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in {"environ", "environb", "getenv"})


def broad_handlers(source: Source) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = {"BaseException"} if node.type is None else set(re.findall(r"\w+", ast.unparse(node.type)))
            if caught & {"Exception", "BaseException"}:
                yield node


def swallows(handler: ast.ExceptHandler) -> bool:
    return not any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))


def test_the_environment_is_read_in_one_file() -> None:
    readers = [f"{s.path}:{line}" for s in product() if s.path != SETTINGS for line in environment_reads(s)]
    assert not readers


def test_slow_libraries_are_imported_where_they_are_used_and_not_at_the_start_of_a_module() -> None:
    early = [
        f"{source.path}:{node.lineno} {name}"
        for source in product()
        for name, node in imports_at_start(source.tree.body)
        if name.partition(".")[0] in SLOW - GATES.get(source.path, set())
    ]
    assert not early


def test_nothing_meets_a_heavy_library_by_being_imported() -> None:
    modules = [s.module for s in product() if s.path not in GATES and runs_nothing_when_imported(s)]
    script = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    loaded = finished.stdout.split()
    assert "core.words" in loaded
    assert not HEAVY.intersection(loaded)


def runs_nothing_when_imported(source: Source) -> bool:
    return not source.path.startswith("core/migrations/") and not source.path.endswith("__main__.py")


def test_every_gate_still_needs_to_be_one() -> None:
    present = {source.path: {name.partition(".")[0] for name, _ in imports(source.tree)} for source in product()}
    assert not [path for path, names in GATES.items() if path in present and not names <= present[path]]


def test_an_error_is_swallowed_only_with_a_recorded_reason() -> None:
    silent = [
        f"{source.path}:{handler.lineno}"
        for source in product()
        for handler in broad_handlers(source)
        if swallows(handler) and not RECORDED_REASON.search(source.lines[handler.lineno - 1])
    ]
    assert not silent, "write `# noqa: BLE001 - why nothing narrower will do` beside it"


def test_a_test_cannot_reach_another_machine() -> None:
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_a_test_sees_none_of_its_callers_settings() -> None:
    assert {name for name in os.environ if name.startswith("THREADWISE_")} <= {"THREADWISE_EVAL_DATA"}
    assert os.environ["HF_HUB_OFFLINE"] == "1"
