"""The product's source files, read and parsed once for all the rules of this folder."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "features", "ingest", "retrieval", "generation", "threadwise", "workers", "api")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file: its path from the repository's root with forward slashes, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def product() -> tuple[Source, ...]:
    """Every Python file of the product's folders, sorted by path."""
    return tuple(read(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))


def read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path=path.relative_to(ROOT).as_posix(), text=text, tree=ast.parse(text, filename=str(path)))


@cache
def repository_files() -> tuple[Path, ...]:
    """Files that are tracked or would be, sorted; without git, whatever lies outside hidden folders."""
    try:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/**/*")]
    return tuple(path for name in sorted(filter(None, names)) if (path := ROOT / name).is_file())


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """The full name of every absolute import anywhere in the tree, with its statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node


def imports_at_start(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Those imports that run when the module is imported: none inside functions, none under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_at_start(node.orelse)
        elif not isinstance(node, Function):
            for name in ("body", "orelse", "finalbody"):
                yield from imports_at_start(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from imports_at_start(handler.body)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from the `def` to the last one, docstring and blank lines counted, decorators not."""
    return (function.end_lineno or function.lineno) - function.lineno + 1
