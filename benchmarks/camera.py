"""How well labeled pictures are read, end to end, by the shipped pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.labels import LabeledPicture
from benchmarks.matching import PictureScore, score_picture
from benchmarks.peers import tutorial_reader
from benchmarks.progress import Progress
from runtime.backends import ArtifactClassifier, Classifier
from runtime.pictures import read_picture, to_frame
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.values import Frame, Reading

Reader: TypeAlias = Callable[[Frame], Sequence[Reading]]

PIPELINE = "pipeline"
TUTORIAL = "tutorial"


@dataclass(frozen=True, slots=True)
class CameraRun:
    """One reader on one folder.

    Attributes:
        folder: of the labeled pictures.
        reader: ``pipeline``, the shipped one, or ``tutorial``, see ``benchmarks.peers``.
        artifact: name in the manifest.
        pictures: what became of each.
    """

    folder: str
    reader: str
    artifact: str
    pictures: tuple[PictureScore, ...]


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera benchmark: every reader on every folder."""

    runs: tuple[CameraRun, ...]


def pipeline_reader(classifier: Classifier) -> Reader:
    """What a person who runs the program gets: detect, classify, choose, group; each picture by itself."""
    recognizer = Recognizer(classifier, RecognizerSettings(track=False))

    def read(frame: Frame) -> tuple[Reading, ...]:
        return recognizer(frame).readings

    return read


def measure_camera(
    classifiers: Sequence[ArtifactClassifier],
    labeled: Mapping[Path, Sequence[LabeledPicture]],
    *,
    tutorial: bool = False,
) -> Camera:
    """Read the pictures of folders, each by itself, and score the readings.

    Args:
        classifiers: what to classify with.
        labeled: folders and the pictures in them.
        tutorial: read them the tutorials' way, too.

    Raises:
        SourceError: a picture cannot be read.
    """
    runs = []
    for classifier in classifiers:
        readers: dict[str, Reader] = {PIPELINE: pipeline_reader(classifier)}
        if tutorial:
            readers[TUTORIAL] = tutorial_reader(classifier)
        for folder, pictures in labeled.items():
            found: dict[str, list[PictureScore]] = {name: [] for name in readers}
            with Progress(f"camera: {folder.name}", len(pictures)) as progress:
                for index, picture in enumerate(pictures):
                    frame = to_frame(read_picture(picture.path), index, 0.0)
                    for name, reader in readers.items():
                        found[name].append(score_picture(picture, reader(frame)))
                    progress.step()
            runs += [
                CameraRun(_shown(folder), name, classifier.artifact.name, tuple(scores))
                for name, scores in found.items()
            ]
    return Camera(tuple(runs))


def _shown(folder: Path) -> str:
    """The folder's path, from here where it lies below: a report is not to tell where this project does."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
