"""Planning figures, and the check in front of loading a model."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.errors import ModelTooLargeError
from generation.memory import (
    FULL_PRECISION_BYTES,
    QUANTS,
    TRAINING_BYTES,
    WORKING_BYTES,
    available_bytes,
    check_fit,
    fits,
    largest_recommended,
    plan,
    weights_gb,
)

# name: bits, GB of the file, GB of memory, recommended; a 7-billion-parameter model
PUBLISHED = {
    "Q2_K": (2, 2.72, 5.22, False),
    "Q3_K_S": (3, 3.16, 5.66, False),
    "Q3_K_M": (3, 3.52, 6.02, False),
    "Q3_K_L": (3, 3.82, 6.32, False),
    "Q4_0": (4, 4.11, 6.61, False),
    "Q4_K_S": (4, 4.14, 6.64, False),
    "Q4_K_M": (4, 4.37, 6.87, True),
    "Q5_0": (5, 5.00, 7.50, False),
    "Q5_K_S": (5, 5.00, 7.50, True),
    "Q5_K_M": (5, 5.13, 7.63, True),
    "Q6_K": (6, 5.94, 8.44, False),
    "Q8_0": (8, 7.70, 10.20, False),
}


def test_the_table_of_quantizations_is_the_published_one() -> None:
    assert {q.name: (q.bits, q.file_gb, q.ram_gb, q.recommended) for q in QUANTS} == PUBLISHED


@pytest.mark.parametrize(
    ("ram_gb", "name"), [(6.86, None), (6.87, "Q4_K_M"), (7.5, "Q5_K_S"), (7.63, "Q5_K_M"), (64.0, "Q5_K_M")]
)
def test_the_largest_recommended_quantization_that_fits_is_chosen(ram_gb: float, name: str | None) -> None:
    chosen = largest_recommended(ram_gb)
    assert (chosen and chosen.name) == name


@given(ram_gb=st.floats(0, 20))
def test_what_is_recommended_fits(ram_gb: float) -> None:
    chosen = largest_recommended(ram_gb)
    assert chosen is None or (fits(chosen, ram_gb) and chosen.recommended)


def test_seven_billion_parameters_with_sixteen_batches_take_14_and_1_and_8_gb() -> None:
    planned = plan(7, tokens=512, batches=16)
    assert (planned.weights_gb, planned.embedder_gb, planned.context_gb, planned.total_gb) == (14.0, 1.0, 8.0, 23.0)
    assert plan(7, tokens=512).context_gb == 0.5


def test_a_billion_parameters_take_4_gb_at_32_bits_and_24_in_training() -> None:
    assert weights_gb(1, FULL_PRECISION_BYTES) == 4
    assert weights_gb(1, TRAINING_BYTES) == 24


def test_the_half_precision_rule_gives_the_size_of_a_real_model() -> None:
    assert plan(7.24, tokens=0).weights_gb == pytest.approx(4.94 + 5.00 + 4.54)
    assert plan(7.24, tokens=0).weights_gb == pytest.approx(14.48)


def test_a_model_that_does_not_fit_is_refused_with_every_number() -> None:
    with pytest.raises(ModelTooLargeError, match=r"needs 628 MiB \(weights 400 \+ 100 \+ 128 .*, 600 are free"):
        check_fit(400 * 2**20, 100 * 2**20, 600 * 2**20)


@given(model=st.integers(0, 2**40), kv=st.integers(0, 2**40), spare=st.integers(0, 2**40))
def test_a_model_fits_from_the_very_byte_on(model: int, kv: int, spare: int) -> None:
    needed = model + kv + WORKING_BYTES
    check_fit(model, kv, needed + spare)
    with pytest.raises(ModelTooLargeError):
        check_fit(model, kv, needed - 1 - min(spare, needed - 1))


def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       4000 kB\nMemAvailable:   1000 kB\n", encoding="ascii")
    return path


def limited(tmp_path: Path, limit: str) -> Path:
    (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("500000\n", encoding="ascii")
    (tmp_path / "memory.stat").write_text("anon 400000\ninactive_file 100000\n", encoding="ascii")
    return tmp_path


def test_without_a_container_the_kernels_figure_counts(tmp_path: Path) -> None:
    assert available_bytes(meminfo(tmp_path), tmp_path / "none") == 1000 * 1024
    assert available_bytes(meminfo(tmp_path), limited(tmp_path, "max")) == 1000 * 1024


def test_a_containers_limit_counts_with_the_cache_it_can_drop(tmp_path: Path) -> None:
    assert available_bytes(meminfo(tmp_path), limited(tmp_path, "900000")) == 900_000 - 500_000 + 100_000
    assert available_bytes(meminfo(tmp_path), limited(tmp_path, "300000")) == 0


def test_this_machine_has_some_memory() -> None:
    assert available_bytes() > 2**20
