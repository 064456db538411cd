"""A dependency is declared when something uses it, pinned, and locked; nothing is used undeclared."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.architecture.tree import FOLDERS, ROOT, Source, imports, product

# Declared, and yet never imported by name.
USED_WITHOUT_IMPORT = {
    "defusedxml": "openpyxl reads XML with it where it is there, and expands entities where it is not",
    "onnx": "torch.onnx.export and onnxruntime.quantization write and read the model with it",
    "psycopg": "SQLAlchemy loads it when a database URL says postgresql+psycopg",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A library with one place in the house: its distributions, the names they are imported by, where that may be."""

    name: str
    distributions: tuple[str, ...]
    modules: tuple[str, ...]
    folders: tuple[str, ...]


PARTS = (
    Part("sentence-transformers", ("sentence-transformers",), ("sentence_transformers",), ("features",)),
    Part("transformers", ("transformers",), ("transformers",), ("features", "generation")),
    Part("faiss-cpu", ("faiss-cpu",), ("faiss",), ("features",)),
    Part("qdrant-client", ("qdrant-client",), ("qdrant_client",), ("features",)),
    Part("feast", ("feast",), ("feast",), ("features",)),
    Part(
        "langchain",
        ("langchain-core", "langchain-text-splitters"),
        ("langchain_core", "langchain_text_splitters"),
        ("features", "ingest", "retrieval"),
    ),
    Part("fastapi", ("fastapi",), ("fastapi",), ("api",)),
    Part("sqlalchemy", ("sqlalchemy",), ("sqlalchemy",), ("core",)),
    Part("celery", ("celery",), ("celery",), ("workers",)),
    Part("redis", ("redis",), ("redis",), ("workers",)),
)


@cache
def project() -> dict[str, list[str]]:
    """The declared requirements: `product` and `dev`."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"product": table["dependencies"], "dev": table["optional-dependencies"]["dev"]}


def name_of(requirement: str) -> str:
    return re.split(r"[\[=<>!~ ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def declared() -> set[str]:
    return {name_of(requirement) for requirement in project()["product"]}


@cache
def locked() -> dict[str, tuple[str, bool]]:
    """From the lock: the version of each package, and whether the project itself asks for it."""
    found: dict[str, tuple[str, bool]] = {}
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    for block in blocks:
        name, _, version = block.splitlines()[0].partition("==")
        found[name] = (version.strip(), "threadwise (pyproject.toml)" in block)
    return found


def named_modules(source: Source) -> Iterator[str]:
    """Top-level names that a file imports, or passes to the import system as a literal or a constant of its own."""
    yield from (name.partition(".")[0] for name, _ in imports(source.tree))
    constants = {ast.unparse(node.targets[0]): node.value for node in source.tree.body if isinstance(node, ast.Assign)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "find_spec", "files")):
            values = [constants.get(ast.unparse(argument), argument) for argument in node.args]
            literals = [value.value for value in values if isinstance(value, ast.Constant)]
            yield from (value.partition(".")[0] for value in literals if isinstance(value, str))


@cache
def importers() -> dict[str, frozenset[str]]:
    """Which files import each module that is neither ours nor the standard library's."""
    known = set(FOLDERS) | sys.stdlib_module_names
    pairs = {(name, source.path) for source in product() for name in named_modules(source) if name not in known}
    return {name: frozenset(path for other, path in pairs if other == name) for name, _ in pairs}


@cache
def installed() -> Mapping[str, list[str]]:
    """The distributions of every top-level name; each look costs a tenth of a second."""
    return packages_distributions()


def distributions_of(module: str) -> set[str]:
    return {name.lower().replace("_", "-") for name in installed().get(module, [module])}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_is_a_dependency_exactly_as_long_as_its_folder_uses_it(part: Part) -> None:
    users = {path for module in part.modules for path in importers().get(module, frozenset())}
    strangers = {path for path in users if path.partition("/")[0] not in part.folders}
    assert not strangers, f"{part.name} belongs to {' and '.join(part.folders)}"
    missing = set(part.distributions) - declared()
    assert bool(users) == (not missing), f"{part.name}: used by {sorted(users)}, not declared: {sorted(missing)}"


def test_everything_that_is_imported_is_declared() -> None:
    undeclared = {
        module: sorted(files) for module, files in importers().items() if not distributions_of(module) & declared()
    }
    assert not undeclared


def test_everything_that_is_declared_is_used() -> None:
    used = {name for module in importers() for name in distributions_of(module)}
    assert not declared() - used - set(USED_WITHOUT_IMPORT)
    assert not used & set(USED_WITHOUT_IMPORT), "imported by now: no exception needed"


@pytest.mark.parametrize("group", ["product", "dev"])
def test_every_dependency_is_pinned(group: str) -> None:
    assert not [requirement for requirement in project()[group] if not re.search(r"==\d[\w.]*$", requirement)]


def test_the_lock_holds_exactly_the_declared_versions() -> None:
    wanted = {name_of(line): line.partition("==")[2] for group in project().values() for line in group}
    assert {name: version for name, (version, direct) in locked().items() if direct} == wanted


def test_the_lock_can_be_installed_from_any_index() -> None:
    assert not [name for name, (version, _) in locked().items() if not re.fullmatch(r"[\w.]+", version)]


def test_the_lock_brings_no_gpu_libraries() -> None:
    assert not [name for name in locked() if name.startswith(("nvidia-", "cuda-", "triton"))]
