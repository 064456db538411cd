"""Where a sentence-transformers model is looked for, and what is said when it cannot be opened."""

import sys
from types import ModuleType

import pytest

from features.errors import ModelUnavailableError
from features.sentence_transformer import SentenceTransformerEmbedder


class Library(ModuleType):
    """Stands for the library: notes how it was asked, and fails as it was told."""

    def __init__(self, *, cached: bool, failures: list[Exception]) -> None:
        super().__init__("sentence_transformers")
        self.asked: list[bool] = []
        self._failures = failures
        self.util = ModuleType("sentence_transformers.util")
        vars(self.util)["is_sentence_transformer_model"] = lambda _name, *, local_files_only: (
            cached and local_files_only
        )

    def SentenceTransformer(self, _model: str, *, device: str, local_files_only: bool = False) -> None:  # noqa: N802
        assert device == "cpu"
        self.asked.append(local_files_only)
        raise self._failures.pop(0)


def opened(monkeypatch: pytest.MonkeyPatch, library: Library, model: str) -> ModelUnavailableError:
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    monkeypatch.setitem(sys.modules, "sentence_transformers.util", library.util)
    with pytest.raises(ModelUnavailableError) as caught:
        SentenceTransformerEmbedder(model)
    return caught.value


@pytest.mark.parametrize(
    "failure", [KeyError("model_type"), RuntimeError("shapes differ"), AttributeError(), OSError()]
)
def test_whatever_the_library_raises_says_what_to_do(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    error = opened(monkeypatch, Library(cached=False, failures=[failure]), "acme/model")
    assert error.message.startswith("The embedding model acme/model cannot be loaded: ")
    assert error.hint


def test_a_model_in_the_cache_is_opened_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(cached=True, failures=[ValueError("a damaged file")])
    opened(monkeypatch, library, "acme/model")
    assert library.asked == [True]


def test_a_model_of_which_the_cache_has_a_part_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(cached=True, failures=[FileNotFoundError("no weights"), ValueError("gone")])
    opened(monkeypatch, library, "model")
    assert library.asked == [True, False]


def test_a_folder_is_never_asked_of_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = Library(cached=False, failures=[OSError("no config.json")])
    opened(monkeypatch, library, str(tmp_path_factory.mktemp("model")))
    assert library.asked == [True]
