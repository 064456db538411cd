"""Does a model fit? Rules of thumb for planning, and the check against free memory before weights are loaded.

Planning counts in GB of 10^9 bytes, as model cards do. The check counts bytes: file, key-value cache, working memory.
"""

from dataclasses import dataclass
from pathlib import Path

from generation.errors import ModelTooLargeError

HALF_PRECISION_BYTES = 2  # of one parameter
FULL_PRECISION_BYTES = 4
TRAINING_BYTES = 24  # weights, gradients, two moments of the optimiser, activations; at 32 bits
EMBEDDER_GB = 1.0
TOKENS_PER_GB = 1024  # of context, as a rule of thumb for models of 7 billion parameters
RAM_BESIDE_FILE_GB = 2.5  # every row of the table says so
WORKING_BYTES = 128 * 2**20  # buffers of one batch; measured 36 MiB with 135 million parameters

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Quant:
    """A GGUF quantization of a model with 7 billion parameters: its file, and whether its quality is recommended."""

    name: str
    bits: int
    file_gb: float
    recommended: bool = False

    @property
    def ram_gb(self) -> float:
        """What running it takes."""
        return round(self.file_gb + RAM_BESIDE_FILE_GB, 2)


QUANTS = (
    Quant("Q2_K", 2, 2.72),
    Quant("Q3_K_S", 3, 3.16),
    Quant("Q3_K_M", 3, 3.52),
    Quant("Q3_K_L", 3, 3.82),
    Quant("Q4_0", 4, 4.11),
    Quant("Q4_K_S", 4, 4.14),
    Quant("Q4_K_M", 4, 4.37, recommended=True),
    Quant("Q5_0", 5, 5.00),
    Quant("Q5_K_S", 5, 5.00, recommended=True),
    Quant("Q5_K_M", 5, 5.13, recommended=True),
    Quant("Q6_K", 6, 5.94),
    Quant("Q8_0", 8, 7.70),
)


def fits(quant: Quant, ram_gb: float) -> bool:
    """Whether a 7-billion-parameter model in this quantization runs in so much free memory."""
    return quant.ram_gb <= ram_gb


def largest_recommended(ram_gb: float) -> Quant | None:
    """The best recommended quantization that fits; None where none does."""
    return max((q for q in QUANTS if q.recommended and fits(q, ram_gb)), key=lambda q: q.file_gb, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Memory of a whole installation at half precision, in GB."""

    weights_gb: float
    embedder_gb: float
    context_gb: float

    @property
    def total_gb(self) -> float:
        """The sum of the parts."""
        return self.weights_gb + self.embedder_gb + self.context_gb


def plan(billions: float, *, tokens: int, batches: int = 1) -> Plan:
    """The rule of thumb: 2 GB for a billion parameters, 1 GB for the embedder, 1 MB for a token of each batch.

    A thousand-and-twenty-four tokens count as one GB, so that 512 tokens in 16 batches take 8 GB.
    """
    return Plan(
        weights_gb=weights_gb(billions, HALF_PRECISION_BYTES),
        embedder_gb=EMBEDDER_GB,
        context_gb=tokens * batches / TOKENS_PER_GB,
    )


def weights_gb(billions: float, bytes_per_parameter: int) -> float:
    """GB of so many billion parameters: 2 bytes each at half precision, 4 at 32 bits, 24 in training."""
    return billions * bytes_per_parameter


def available_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Memory a process can still take: what the kernel reports, or what is left of the container's limit."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    left = _left_in_container(cgroup)
    return free if left is None else min(free, left)


def _left_in_container(cgroup: Path) -> int | None:
    """What a cgroup (version 2) leaves, with the file cache that it can drop; None without a limit."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", "0")))


def check_fit(model_bytes: int, kv_bytes: int, available: int) -> None:
    """Raise `ModelTooLargeError`, with every number, where the model does not fit into the available bytes."""
    needed = model_bytes + kv_bytes + WORKING_BYTES
    if needed > available:
        parts = " + ".join(_mib(part) for part in (model_bytes, kv_bytes, WORKING_BYTES))
        raise ModelTooLargeError(
            f"The model needs {_mib(needed)} MiB (weights {parts} for context and work), {_mib(available)} are free.",
            hint="Use a smaller model, fewer slots or a shorter context.",
        )


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f}"
