"""Model bundles: a folder with artifacts, golden vectors, and a manifest that vouches for every byte of both.

A bundle is found by the name of a shipped one (``edge``) or by its folder. Shipped bundles lie beside this package (a
checkout) or inside it (an installed wheel), never in the current directory.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from runtime.errors import BundleError
from runtime.preprocess import FIELD, PREPROCESS_VERSION

FORMAT = 1
"""Version of the manifest's layout."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor at the model's edge.

    Attributes:
        shape: batch first, which is 1; None where the model takes any number at once.
        dtype: as stored.
        scale: the step in which the real values move, 0 where they are not quantized. Where the dtype is an integer,
            real = ``scale`` · (stored − ``zero_point``); a quantized graph may also store real values, as float32.
        zero_point: the stored value of a real zero.
    """

    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model file of a bundle.

    Attributes:
        name: unique in the bundle, such as ``litert-int8``.
        file: its file, in the bundle's folder.
        sha256: of the file.
        bytes: size of the file.
        backend: ``litert`` or ``onnx``.
        precision: ``int8``, ``dynamic``, ``float16``, ``float32``, ``float32-batch``; one file of each for a backend.
        input: pixels in.
        output: logits out.
        temperature: logits are divided by it before softmax.
        accept: confidence from which a digit is read.
        unsure: confidence from which ink is shown as a possible digit.
        none_prior: added to the logit of ``none`` for probabilities: how much commoner it is among a camera's crops
            than the logits assume, as a logarithm.
        metrics: figures measured at export, each with its n and interval.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    backend: str
    precision: str
    input: TensorSpec
    output: TensorSpec
    temperature: float
    accept: float
    unsure: float
    none_prior: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds; see ``Bundle`` for reading one.

    Attributes:
        name: of the model, such as ``edge``.
        labels: meaning of each output, in order.
        preprocess_version: the ``PREPROCESS_VERSION`` that the model was trained on.
        artifacts: the model files.
        golden: file with the golden vectors.
        golden_sha256: of that file.
        provenance: where it comes from: revision, seed, data checksums, package versions, …
        format: layout of the manifest.
    """

    name: str
    labels: tuple[str, ...]
    preprocess_version: int
    artifacts: tuple[Artifact, ...]
    golden: str
    golden_sha256: str
    provenance: Mapping[str, Any]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and the folder that it vouches for."""

    folder: Path
    manifest: Manifest

    def artifact(self, backend: str, precision: str) -> Artifact:
        """The artifact of this backend and precision.

        Raises:
            BundleError: there is none; the message lists those there are.
        """
        for artifact in self.manifest.artifacts:
            if (artifact.backend, artifact.precision) == (backend, precision):
                return artifact
        there = ", ".join(f"--backend {a.backend} --precision {a.precision}" for a in self.manifest.artifacts)
        raise BundleError(f"model {self.manifest.name} has no {precision} artifact for {backend}; it has {there}")

    def read(self, artifact: Artifact) -> bytes:
        """Content of an artifact's file, verified.

        Raises:
            BundleError: the file is missing or altered.
        """
        return self._verified(artifact.file, artifact.sha256)

    def golden(self) -> Golden:
        """The golden vectors, verified.

        Raises:
            BundleError: the file is missing or altered, or holds something else.
        """
        content = self._verified(self.manifest.golden, self.manifest.golden_sha256)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                golden = Golden(arrays["inputs"], {key: arrays[key] for key in arrays.files if key != "inputs"})
            count = len(golden.inputs)
            if golden.inputs.dtype != np.uint8 or golden.inputs.shape != (max(count, 1), FIELD, FIELD):
                raise ValueError(f"inputs are {golden.inputs.dtype} {golden.inputs.shape}")
            for name, logits in golden.logits.items():
                if logits.shape != (count, len(self.manifest.labels)):
                    raise ValueError(f"{name} has {logits.shape}, expected {(count, len(self.manifest.labels))}")
        except (KeyError, TypeError, ValueError, BadZipFile) as error:
            path = self.folder / self.manifest.golden
            raise BundleError(f"{path} does not hold golden vectors ({error}); {_FETCH_AGAIN}") from error
        return golden

    def _verified(self, file: str, sha256: str) -> bytes:
        path = self.folder / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"cannot read {path} ({error.strerror}); {_FETCH_AGAIN}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise BundleError(f"{path} was altered: sha256 {found[:12]}…, expected {sha256[:12]}…; {_FETCH_AGAIN}")
        return content


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Golden vectors: what each artifact must answer to a few inputs.

    Attributes:
        inputs: uint8 (n, 28, 28).
        logits: float32 (n, labels) by ``NAME`` of the artifact; a quantized TFLite artifact has ``NAME@reference`` too,
            the answer of TFLite's reference kernels, which round otherwise than XNNPACK's.
    """

    inputs: npt.NDArray[np.uint8]
    logits: Mapping[str, npt.NDArray[np.float32]]

    def expected(self, artifact: str) -> list[npt.NDArray[np.float32]]:
        """Each answer that counts as right for this artifact."""
        return [logits for name, logits in self.logits.items() if name.split("@")[0] == artifact]


_FETCH_AGAIN = "restore the bundle from where you got it, or export it again"


def load_bundle(model: str | Path = "edge") -> Bundle:
    """Find a bundle and verify its manifest; files are verified as they are read.

    Args:
        model: name of a shipped bundle, or a bundle's folder.

    Raises:
        BundleError: there is no such bundle, its manifest is altered or broken, or it does not fit this version.
    """
    shipped = shipped_models()
    folder = shipped.get(str(model)) or Path(model)
    path = folder / MANIFEST
    if not path.is_file():
        there = ", ".join(shipped) or "none"
        raise BundleError(f"no model {model}: shipped are {there}, and {folder} holds no {MANIFEST}")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        seal = stored.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BundleError(f"{path} is not a manifest ({error or type(error).__name__}); {_FETCH_AGAIN}") from error
    if stored.get("format") != FORMAT:
        raise BundleError(
            f"{path} has format {stored.get('format')}, expected {FORMAT}; install the release that it is for"
        )
    found = _seal(stored)
    if found != seal:
        raise BundleError(
            f"{path} was altered: its content has sha256 {found[:12]}…, it says {str(seal)[:12]}…; {_FETCH_AGAIN}"
        )
    try:
        manifest = _parse(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is not a complete manifest ({error}); {_FETCH_AGAIN}") from error
    if manifest.preprocess_version != PREPROCESS_VERSION:
        raise BundleError(
            f"model {manifest.name} was trained on preprocessing version {manifest.preprocess_version}, "
            f"this runtime has {PREPROCESS_VERSION}; install the release that it came with, or train and export again"
        )
    return Bundle(folder, manifest)


def shipped_models() -> dict[str, Path]:
    """Folders of the shipped bundles by name."""
    package = Path(__file__).resolve().parent
    for models in (package / "models", package.parent / "models"):
        found = {path.parent.name: path.parent for path in sorted(models.glob(f"*/{MANIFEST}"))}
        if found:
            return found
    return {}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, sealed with the sha256 of its own canonical content."""
    content = json.loads(json.dumps(asdict(manifest)))
    text = json.dumps(content | {"sha256": _seal(content)}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _seal(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # JSON can spell half a surrogate pair, which UTF-8 proper cannot: such a manifest is to be refused, not to crash.
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def _parse(stored: dict[str, Any]) -> Manifest:
    artifacts = tuple(
        Artifact(**entry | {"input": _tensor(entry["input"]), "output": _tensor(entry["output"])})
        for entry in stored["artifacts"]
    )
    manifest = Manifest(**stored | {"artifacts": artifacts, "labels": tuple(stored["labels"])})
    for artifact in artifacts:
        batch, *pixels = artifact.input.shape
        if batch not in (1, None) or pixels not in ([FIELD, FIELD, 1], [1, FIELD, FIELD]):
            raise ValueError(f"{artifact.name} takes {artifact.input.shape}, expected (1, {FIELD}, {FIELD}, 1)")
        if artifact.output.shape != (batch, len(manifest.labels)):
            raise ValueError(
                f"{artifact.name} answers {artifact.output.shape}, expected ({batch}, {len(manifest.labels)})"
            )
    return manifest


def _tensor(entry: dict[str, Any]) -> TensorSpec:
    return replace(TensorSpec(**entry), shape=tuple(entry["shape"]))
