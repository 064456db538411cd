from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blobs import BlobStore
from core.errors import BlobDamagedError


@given(data=st.binary(max_size=200))
def test_what_was_put_comes_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    blobs = BlobStore(tmp_path_factory.mktemp("blobs"))
    assert blobs.get(blobs.put(data)) == data


def test_putting_twice_keeps_one_file(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    assert blobs.put(b"same") == blobs.put(b"same")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_missing_blob_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BlobDamagedError, match="Ingest its source again"):
        BlobStore(tmp_path).get("0" * 64)


def test_a_blob_of_which_no_hash_is_known_is_missing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.put(b"another")
    with pytest.raises(BlobDamagedError):
        store.get("")


@pytest.mark.parametrize("damage", [b"who", b"\0\0\0\0\0", b""])
def test_an_altered_blob_is_never_returned_and_is_repaired_by_putting_it_again(tmp_path: Path, damage: bytes) -> None:
    blobs = BlobStore(tmp_path)
    sha = blobs.put(b"whole")
    (tmp_path / sha[:2] / sha).write_bytes(damage)
    with pytest.raises(BlobDamagedError, match="altered"):
        blobs.get(sha)
    assert blobs.get(blobs.put(b"whole")) == b"whole"
