"""Any sentence-transformers model as an embedder, on torch in this process."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from core.words import Space
from features.errors import ModelUnavailableError, TextTooLongError
from features.tokenizer import Tokenizer, encodable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # the names, in the order, that sentence-transformers looks for


class SentenceTransformerEmbedder:
    """A model by its id or folder; dimension, length limit and prompts are the model's own.

    One text at a time, because padding in a batch changes the last bits. `threads` is torch's and thereby the
    process's. Raises `ModelUnavailableError` for a model that cannot be loaded or has no fast tokenizer.
    """

    def __init__(self, model: str, *, threads: int = 1) -> None:
        self._model = _load(model, threads)
        self.tokenizer = _tokenizer_of(self._model)
        self.space = _space_of(model, self._model, self.tokenizer)

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (len(texts), dimension), one text at a time; raises `TextTooLongError`."""
        vectors = np.empty((len(texts), self.space.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._vector(text, prefix=self.space.document_prefix, task="document")
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of length 1 of a question, shape (dimension,); raises `TextTooLongError`."""
        return self._vector(text, prefix=self.space.query_prefix, task="query")

    def _vector(self, text: str, *, prefix: str, task: Literal["document", "query"]) -> NDArray[np.float32]:
        count = self.tokenizer.count(prefix + text) + self.tokenizer.special
        if count > self.space.max_tokens:
            raise TextTooLongError.of(count, self.space.max_tokens)
        vector = self._model.encode(
            encodable(text), prompt=prefix, task=task, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vector, dtype=np.float32)


def _load(model: str, threads: int) -> "SentenceTransformer":
    import torch  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    torch.set_num_threads(threads)
    try:
        if Path(model).is_dir():
            return SentenceTransformer(model, device="cpu", local_files_only=True)
        if _is_cached(model):
            # Without a network every file would be asked for six times before the cache is used.
            with suppress(OSError):
                return SentenceTransformer(model, device="cpu", local_files_only=True)
        return SentenceTransformer(model, device="cpu")
    except Exception as error:
        message = f"The embedding model {model} cannot be loaded: {str(error) or type(error).__name__}"
        hint = "Name a model's id or a folder with its files; a model that was never fetched needs the network once."
        raise ModelUnavailableError(message, hint=hint) from error


def _is_cached(model: str) -> bool:
    """Whether sentence-transformers fetched it before; another library leaves what says how to pool behind."""
    from sentence_transformers.util import is_sentence_transformer_model  # noqa: PLC0415

    name = model if "/" in model else f"sentence-transformers/{model}"
    return bool(is_sentence_transformer_model(name, local_files_only=True))


def _tokenizer_of(model: "SentenceTransformer") -> Tokenizer:
    fast = getattr(model.tokenizer, "backend_tokenizer", None)
    if fast is None:
        message = "The embedding model has no fast tokenizer, so its tokens have no places in the text."
        raise ModelUnavailableError(message)
    return Tokenizer.from_json(fast.to_str())


def _space_of(name: str, model: "SentenceTransformer", tokenizer: Tokenizer) -> Space:
    dimension, limit = model.get_embedding_dimension(), model.max_seq_length
    if dimension is None or limit is None:
        message = f"The embedding model {name} says neither how long its vectors are nor how much it reads."
        raise ModelUnavailableError(message)
    return Space(
        model=Path(name).resolve().name if Path(name).is_dir() else name,
        revision=_revision_of(model, tokenizer),
        runtime="torch-fp32",
        dimension=dimension,
        max_tokens=limit,
        query_prefix=_prompt_of(model, ("query",)),
        document_prefix=_prompt_of(model, _DOCUMENT_PROMPTS),
    )


def _prompt_of(model: "SentenceTransformer", names: tuple[str, ...]) -> str:
    known = (name for name in (*names, model.default_prompt_name) if name in model.prompts)
    return next((model.prompts[name] or "" for name in known), "")


def _revision_of(model: "SentenceTransformer", tokenizer: Tokenizer) -> str:
    """Twelve hex digits over the loaded weights and the tokenizer, so that the name and place of the files are moot."""
    import torch  # noqa: PLC0415

    sha = hashlib.sha256(tokenizer.fingerprint.encode())
    for name, tensor in sorted(model.state_dict().items()):
        sha.update(name.encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return sha.hexdigest()[:12]
