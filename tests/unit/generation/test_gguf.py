"""Reading the header of a model file, whole or hostile."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.errors import ModelDamagedError, ModelMissingError
from generation.gguf import is_gguf, read_header
from tests.support.gguf_file import TINY, header_bytes


def written(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw)
    return path


def test_a_header_says_what_a_token_of_context_costs(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, header_bytes(TINY) + b"weights"))
    assert (header.architecture, header.window, header.layers) == ("llama", 2048, 3)
    # 3 layers, 2 heads with keys and values of 64 / 8 numbers each, 2 bytes a number
    assert header.kv_bytes(10) == 10 * 3 * 2 * (8 + 8) * 2
    assert header.bytes == len(header_bytes(TINY)) + 7


def test_heads_that_differ_by_layer_are_added_up(tmp_path: Path) -> None:
    pairs = TINY | {"llama.attention.head_count_kv": [1, 0, 4]}
    assert read_header(written(tmp_path, header_bytes(pairs))).kv_width == (1 + 0 + 4) * 16


def test_stated_widths_of_key_and_value_win_over_the_derived_ones(tmp_path: Path) -> None:
    pairs = TINY | {"llama.attention.key_length": 32, "llama.attention.value_length": 16}
    assert read_header(written(tmp_path, header_bytes(pairs))).kv_width == 3 * 2 * 48


def test_only_a_model_with_a_chat_template_is_templated(tmp_path: Path) -> None:
    assert not read_header(written(tmp_path, header_bytes(TINY))).templated
    assert read_header(written(tmp_path, header_bytes(TINY | {"tokenizer.chat_template": "{{ x }}"}))).templated


def test_a_missing_file_is_missing_and_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="models pull"):
        read_header(tmp_path / "nothing.gguf")


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"\x80\x04\x95pickle", b"GGUF", b"GGUF" + struct.pack("<I", 1)])
def test_what_is_no_gguf_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = written(tmp_path, raw)
    assert is_gguf(path) == raw.startswith(b"GGUF")
    with pytest.raises(ModelDamagedError, match="not a readable GGUF"):
        read_header(path)


def test_a_header_that_promises_more_than_any_memory_is_refused_at_once(tmp_path: Path) -> None:
    for hostile in (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, 2**60),
    ):
        with pytest.raises(ModelDamagedError):
            read_header(written(tmp_path, hostile))


@given(cut=st.integers(0, len(header_bytes(TINY)) - 1))
def test_a_header_that_ends_early_is_refused_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = written(tmp_path_factory.mktemp("gguf"), header_bytes(TINY)[:cut])
    with pytest.raises(ModelDamagedError):
        read_header(path)


@given(raw=st.binary(max_size=200))
def test_no_bytes_behind_the_magic_do_anything_but_be_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("gguf"), b"GGUF" + struct.pack("<IQQ", 3, 1, 9) + raw)
    with pytest.raises(ModelDamagedError):
        read_header(path)
