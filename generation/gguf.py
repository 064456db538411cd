"""Reads the header of a GGUF file: what the model is and how much memory a token of context costs.

Layout: magic `GGUF`, version (2 or 3), number of tensors, number of metadata pairs, then the pairs (key, type,
value), little endian; see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Values that are not asked for
are skipped, tensors are never read.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from generation.errors import ModelDamagedError, ModelMissingError

MAGIC = b"GGUF"
HALF_BYTES = 2

_VERSIONS = (2, 3)
_MAX_PAIRS, _MAX_STRING, _MAX_ITEMS, _MAX_DEPTH = 10_000, 2**24, 2**24, 4
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}

Value = str | int | float | list["Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the metadata of a model say."""

    architecture: str
    window: int  # tokens it was trained to read
    layers: int
    kv_width: int  # numbers that one token adds to the cache, over all layers, keys and values together
    templated: bool  # True where it carries a chat template, as instruction-tuned models do
    bytes: int  # of the whole file

    def kv_bytes(self, tokens: int) -> int:
        """Bytes of the key-value cache for so many tokens at half precision, llama.cpp's default."""
        return tokens * self.kv_width * HALF_BYTES


def is_gguf(path: Path) -> bool:
    """Whether the file begins as a GGUF does; pickles and archives do not."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_header(path: Path) -> Header:
    """Read a model's header; raises `ModelMissingError`, or `ModelDamagedError` where it is no readable GGUF."""
    try:
        with path.open("rb") as file:
            return _header(_pairs(file), path.stat().st_size)
    except FileNotFoundError as error:
        raise ModelMissingError(f"There is no file {path}.", hint="Fetch it: threadwise models pull.") from error
    except (OSError, struct.error, UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
        raise ModelDamagedError(
            f"{path} is not a readable GGUF model ({error}).", hint="Only GGUF files are loaded; fetch it again."
        ) from error


def _header(pairs: dict[str, Value], size: int) -> Header:
    architecture = str(pairs["general.architecture"])
    layers = _int(pairs[f"{architecture}.block_count"])
    return Header(
        architecture=architecture,
        window=_int(pairs[f"{architecture}.context_length"]),
        layers=layers,
        kv_width=_kv_width(pairs, architecture, layers),
        templated="tokenizer.chat_template" in pairs,
        bytes=size,
    )


def _kv_width(pairs: dict[str, Value], architecture: str, layers: int) -> int:
    """Sum over the layers of key-value heads times the width of a key and a value."""
    heads = pairs[f"{architecture}.attention.head_count"]
    kv_heads = pairs.get(f"{architecture}.attention.head_count_kv", heads)
    per_layer = kv_heads if isinstance(kv_heads, list) else [kv_heads] * layers
    widest = max(_int(head) for head in heads) if isinstance(heads, list) else _int(heads)
    head_width = _int(pairs[f"{architecture}.embedding_length"]) // max(widest, 1)
    key = _int(pairs.get(f"{architecture}.attention.key_length", head_width))
    value = _int(pairs.get(f"{architecture}.attention.value_length", head_width))
    return sum(_int(head) for head in per_layer) * (key + value)


def _int(value: Value) -> int:
    if not isinstance(value, int):
        message = f"{value!r} where a whole number belongs"
        raise TypeError(message)
    return value


def _pairs(file: BinaryIO) -> dict[str, Value]:
    if file.read(len(MAGIC)) != MAGIC:
        message = "it does not begin with GGUF"
        raise ValueError(message)
    version, _, count = struct.unpack("<IQQ", _exactly(file, 20))
    if version not in _VERSIONS or count > _MAX_PAIRS:
        message = f"version {version} with {count} metadata"
        raise ValueError(message)
    return {_string(file): _value(file, *struct.unpack("<I", _exactly(file, 4))) for _ in range(count)}


def _value(file: BinaryIO, kind: int, depth: int = 0) -> Value:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        layout = _SCALARS[kind]
        scalar: int | float = struct.unpack(layout, _exactly(file, struct.calcsize(layout)))[0]
        return scalar
    inner, count = struct.unpack("<IQ", _exactly(file, 12))
    if count > _MAX_ITEMS or depth > _MAX_DEPTH:
        message = f"an array of {count} items"
        raise ValueError(message)
    return [_value(file, inner, depth + 1) for _ in range(count)]


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _exactly(file, 8))
    if length > _MAX_STRING:
        message = f"a string of {length} bytes"
        raise ValueError(message)
    return _exactly(file, length).decode("utf-8", "surrogateescape")


def _exactly(file: BinaryIO, count: int) -> bytes:
    raw = file.read(count)
    if len(raw) != count:
        message = "it ends too early"
        raise ValueError(message)
    return raw
