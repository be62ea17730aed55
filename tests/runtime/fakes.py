"""Stand-ins that several tests of the runtime hand in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from runtime.backends import ArtifactClassifier
from runtime.bundle import Artifact, TensorSpec
from runtime.pages import DrawnDigit
from runtime.values import Box, Frame, Image, Result

LABELS = (*"0123456789", "none")


def plain(value: int, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def quadrants() -> Image:
    """Gray levels 10 and 20 above 30 and 40: any turn can be told from any other."""
    return np.kron(np.array([[10, 20], [30, 40]], np.uint8), np.ones((20, 30), np.uint8))


def corners(luma: Image) -> tuple[int, int, int, int]:
    return int(luma[0, 0]), int(luma[0, -1]), int(luma[-1, 0]), int(luma[-1, -1])


class SevenReader(ArtifactClassifier):
    """Says of all ink that it is a 7."""

    def __init__(self, **_: Any) -> None:
        spec = TensorSpec((1, 28, 28, 1), "uint8"), TensorSpec((1, len(LABELS)), "float32")
        super().__init__(LABELS, Artifact("sevens", "", "", 0, "litert", "x", *spec, 1.0, accept=0.6, unsure=0.3))

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.where(np.arange(len(LABELS)) == 7, 9.0, 0.0).astype(np.float32)


def sheet(*bars: tuple[int, int], size: tuple[int, int] = (320, 240)) -> Image:
    """White paper with upright bars of ink, 12 x 48, at these places (x, y)."""
    picture = np.full((size[1], size[0], 3), 230, np.uint8)
    for x, y in bars:
        picture[y : y + 48, x : x + 12] = 20
    return picture


def drawn(label: str, x: int, y: int) -> DrawnDigit:
    return DrawnDigit(label, Box(x, y, 12, 48), "")


class ListSource:
    """Yields frames, then raises what it is told to."""

    name = "list"
    fps = 30.0
    live = False
    dropped = 0

    def __init__(self, pictures: Iterable[Image], error: Exception | None = None) -> None:
        self.pictures, self.error = pictures, error
        self.entered = self.exited = False

    def __enter__(self) -> Self:
        self.entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.exited = True

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self.pictures):
            yield Frame(picture[:, :, 0].copy(), picture, index, index / 30)
        if self.error:
            raise self.error


class Recorder:
    """A sink that keeps what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.indices: list[int] = []
        self.error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, frame: Frame, result: Result) -> None:
        self.indices.append(frame.index)
        if self.error:
            raise self.error


def nothing(frame: Frame) -> Result:
    return Result((), (), ())


class ScriptedCapture:
    """Delivers pictures whose gray level is their number; what comes after them is up to the script."""

    def __init__(self, count: int, *, then: Callable[[], tuple[bool, Image | None]], pace_seconds: float = 0.0) -> None:
        self.count, self.then, self.pace = count, then, pace_seconds
        self.reads = 0
        self.released = threading.Event()
        self.readers: set[str] = set()

    def read(self) -> tuple[bool, Image | None]:
        self.readers.add(threading.current_thread().name)
        time.sleep(self.pace)
        self.reads += 1
        return (True, plain(self.reads - 1)) if self.reads <= self.count else self.then()

    def release(self) -> None:
        self.released.set()


def fail() -> tuple[bool, None]:
    return False, None


def forever() -> ScriptedCapture:
    return ScriptedCapture(10**9, then=fail, pace_seconds=0.002)
