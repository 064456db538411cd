"""What every embedder promises, asked of each; and what the bundled one promises beyond that."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from core.settings import EmbeddingSettings
from features.embedding import Embedder, document_room, embed_question, open_embedder
from features.errors import ModelCheckError, ModelUnavailableError, TextTooLongError
from features.minilm import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE, Manifest, MiniLM, prepare
from features.minilm_export import SENTENCES, Agreement, publish, wheel_folder

ROOT = Path(__file__).resolve().parents[2]
TEXTS = (
    "How many vacation days do I get?",
    "",
    "The office in Zürich is closed on Ascension Day. 📅 祝日",
    "VPN",
    " ".join(["The quarterly report is due on the last working day of the month."] * 12),
    "kubectl get pods\n\tNAME READY STATUS",
)


def settings_for(name: str) -> EmbeddingSettings:
    return EmbeddingSettings(model=name if name == "minilm" else str(wheel_folder()))


@pytest.fixture(scope="module")
def prepared() -> Path:
    return prepare(EmbeddingSettings().cache_dir)


@pytest.fixture(scope="module", params=["minilm", "sentence-transformers"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return open_embedder(settings_for(cast("str", request.param)))


def words(count: int) -> str:
    return " ".join(["leave"] * count)


def test_documents_become_rows_of_the_spaces_dimension(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.space.dimension)
    assert vectors.dtype == np.float32
    assert embedder.space.dimension == 384


def test_no_documents_are_an_empty_array_of_the_right_width(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.space.dimension)


def test_every_vector_has_length_one_the_empty_texts_too(embedder: Embedder) -> None:
    lengths = np.linalg.norm(embedder.embed_documents(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
    assert embedder.embed_query("").shape == (embedder.space.dimension,)


def test_many_at_once_equal_one_by_one_to_the_last_bit(embedder: Embedder) -> None:
    together = embedder.embed_documents(TEXTS)
    alone = [embedder.embed_documents([text])[0] for text in TEXTS]
    assert together.tobytes() == np.stack(alone).tobytes()


def test_the_order_of_texts_changes_nothing_but_the_order_of_rows(embedder: Embedder) -> None:
    forward = embedder.embed_documents(TEXTS)
    backward = embedder.embed_documents(TEXTS[::-1])
    assert forward.tobytes() == backward[::-1].tobytes()


def test_a_question_lies_where_the_same_text_as_a_document_lies(embedder: Embedder) -> None:
    assert embedder.space.query_prefix == embedder.space.document_prefix == ""
    assert embedder.embed_query(TEXTS[0]).tobytes() == embedder.embed_documents(TEXTS[:1])[0].tobytes()


def test_every_thread_gets_the_same_bytes(embedder: Embedder) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(embedder.embed_documents(TEXTS).tobytes())) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {embedder.embed_documents(TEXTS).tobytes()}
    assert len(found) == 2


def test_the_longest_text_counts_its_special_tokens(embedder: Embedder) -> None:
    room = document_room(embedder)
    assert room == embedder.space.max_tokens - embedder.tokenizer.special == 254
    assert embedder.embed_documents([words(room)]).shape == (1, 384)


def test_what_stands_at_the_end_of_the_longest_text_is_read(embedder: Embedder) -> None:
    room = document_room(embedder)
    plain, other = embedder.embed_documents([words(room), f"{words(room - 1)} printer"])
    assert plain.tobytes() != other.tobytes()


def test_a_text_that_is_too_long_is_refused_with_its_length_and_never_cut(embedder: Embedder) -> None:
    with pytest.raises(TextTooLongError, match=r"257 tokens.* 256") as refusal:
        embedder.embed_documents(["fine", words(255)])
    assert refusal.value.code == "text_too_long"
    with pytest.raises(TextTooLongError, match=r"257 tokens.* 256"):
        embedder.embed_query(words(255))


def test_half_an_emoji_is_embedded_like_any_text(embedder: Embedder) -> None:
    assert embedder.embed_query("pay day \ud83d").shape == (384,)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("annual leave", "vacation days", "network printer"),
        ("My laptop is broken.", "The notebook does not start.", "Lunch is served at noon."),
        ("Who approves travel costs?", "Expenses of a business trip are signed off by your lead.", "Reset the router."),
    ],
)
def test_what_means_the_same_lies_nearer(embedder: Embedder, *, text: str, near: str, far: str) -> None:
    vectors = embedder.embed_documents([near, far])
    similar, different = vectors @ embedder.embed_query(text)
    assert similar > different + 0.1


def test_a_question_that_fits_is_embedded_as_it_is(embedder: Embedder) -> None:
    assert embed_question(embedder, TEXTS[0]).tobytes() == embedder.embed_query(TEXTS[0]).tobytes()


def test_every_part_of_a_long_question_counts(embedder: Embedder) -> None:
    question = f"{words(600)} {' '.join(['printer'] * 200)}"
    vector = embed_question(embedder, question)
    assert vector.shape == (384,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    printer = embedder.embed_query("printer printer printer")
    assert vector @ printer > embed_question(embedder, words(800)) @ printer + 0.1


def test_the_bundled_model_agrees_with_the_reference_library() -> None:
    ours, reference = (open_embedder(settings_for(n)).embed_documents(SENTENCES) for n in ("minilm", "reference"))
    assert np.sum(ours * reference, axis=1).min() >= 0.96
    assert Agreement.of(ours, reference).enough


def test_the_two_forms_of_the_model_are_two_spaces_with_one_tokenizer() -> None:
    ours, reference = (open_embedder(settings_for(name)) for name in ("minilm", "reference"))
    assert ours.space.id != reference.space.id
    assert ours.tokenizer.fingerprint == reference.tokenizer.fingerprint


def test_embedding_with_the_bundled_model_loads_neither_torch_nor_transformers(prepared: Path) -> None:
    script = (
        "import sys; from core.settings import EmbeddingSettings; from features.embedding import open_embedder;"
        f"open_embedder(EmbeddingSettings(cache_dir={str(prepared.parent)!r})).embed_query('hello');"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "transformers", "sentence_transformers", "pandas", "feast"}


def test_the_space_names_the_weights_and_the_very_file_that_runs(prepared: Path) -> None:
    space, manifest = MiniLM(prepared).space, Manifest.read(prepared)
    assert (space.model, space.revision) == ("all-MiniLM-L6-v2", "53aa51172d14")
    assert space.runtime == f"onnx-int8:{manifest.onnx_sha256[:12]}"


def copy_of(prepared: Path, folder: Path) -> Path:
    for name in (MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE):
        (folder / name).write_bytes((prepared / name).read_bytes())
    return folder


def test_a_model_file_with_one_changed_byte_is_refused(prepared: Path, tmp_path: Path) -> None:
    model = copy_of(prepared, tmp_path) / MODEL_FILE
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelCheckError, match="not the one that was checked"):
        MiniLM(tmp_path)


def test_the_tokenizer_of_another_model_is_refused(prepared: Path, tmp_path: Path) -> None:
    tokenizer = copy_of(prepared, tmp_path) / TOKENIZER_FILE
    tokenizer.write_text(
        tokenizer.read_text(encoding="utf-8").replace('"lowercase":true', '"lowercase":false'), "utf-8"
    )
    with pytest.raises(ModelCheckError, match="not the one that was checked"):
        MiniLM(tmp_path)


@pytest.mark.parametrize("missing", [MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE])
def test_a_prepared_model_without_one_of_its_files_says_how_to_get_it_back(
    prepared: Path, tmp_path: Path, missing: str
) -> None:
    (copy_of(prepared, tmp_path) / missing).unlink()
    with pytest.raises(ModelUnavailableError, match="Remove"):
        MiniLM(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        open_embedder(EmbeddingSettings(model=str(tmp_path)))


def test_of_two_exports_that_end_together_the_first_one_stays(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST_FILE).write_text(name, encoding="utf-8")
        publish(tmp_path / name, tmp_path / "dest")
    assert (tmp_path / "dest" / MANIFEST_FILE).read_text(encoding="utf-8") == "first"


def test_an_export_never_hides_behind_something_that_is_no_model(tmp_path: Path) -> None:
    for name in ("made", "dest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "something").touch()
    with pytest.raises(OSError, match="not empty"):
        publish(tmp_path / "made", tmp_path / "dest")


def units(*angles: float) -> NDArray[np.float32]:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], dtype=np.float32)


def test_agreement_is_perfect_with_itself() -> None:
    same = Agreement.of(units(0.0, 0.1, 1.0, 1.2), units(0.0, 0.1, 1.0, 1.2))
    assert same.enough
    assert (same.mean, same.min, same.neighbours) == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "ours",
    [
        units(*itertools.repeat(0.2, 20)) * 0,  # the mean is too low
        units(*(0.3 if place == 7 else 0.0 for place in range(20))),  # one is too far away
    ],
)
def test_a_model_that_differs_too_much_is_refused(ours: NDArray[np.float32]) -> None:
    assert not Agreement.of(ours, units(*itertools.repeat(0.0, 20))).enough


def test_a_model_that_moves_the_neighbours_is_refused() -> None:
    reference, ours = units(0.0, 0.010, 0.021, 0.033), units(0.0, 0.012, 0.021, 0.031)
    agreement = Agreement.of(ours, reference)
    assert agreement.min > 0.99
    assert agreement.neighbours < 0.9
    assert not agreement.enough
