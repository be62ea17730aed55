from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.backends import ArtifactClassifier, load_classifier
from runtime.bundle import Artifact, TensorSpec
from runtime.detect import Candidates, Detection, DetectSettings
from runtime.errors import UsageError
from runtime.pages import PAPERS, draw_page
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.strokes import PENS, Hand
from runtime.track import Candidate, Tracked
from runtime.values import Box, Crop, Frame, Image, Reading, Result

LABELS = (*"0123456789", "none")
PAPER, INK = 230, 20


class BarReader(ArtifactClassifier):
    """Reads bars, solid or hollow: one whose width is (d + 1) tenths of its height is the digit d.

    One wider than tall is no digit, nor is ink that lacks a side.
    ``sure`` says how sure it is of a label, 0.99 where it says nothing; what is left goes to the other labels alike.
    """

    def __init__(self, sure: Mapping[str, float] | None = None) -> None:
        spec = TensorSpec((1, 28, 28, 1), "uint8"), TensorSpec((1, len(LABELS)), "float32")
        super().__init__(LABELS, Artifact("bars", "", "", 0, "litert", "x", *spec, 1.0, accept=0.6, unsure=0.3))
        self.sure = dict(sure or {})
        self.asked = 0

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self.asked += 1
        ink = pixels[0, :, :, 0] > 127
        (top, bottom), (left, right) = ((places.min(), places.max()) for places in np.nonzero(ink))
        height, width = bottom - top + 1, right - left + 1
        columns, rows = ink[:, left : right + 1], ink[top : bottom + 1]
        whole = min(columns[top].mean(), columns[bottom].mean(), rows[:, left].mean(), rows[:, right].mean()) > 0.25
        solid = columns[top : bottom + 1].mean()
        whole &= bool(solid > 0.93 or solid < 0.75)
        label = str(round(10 * width / height) - 1) if whole and width <= height else "none"
        sure = self.sure.get(label, 0.99)
        shares = np.full(len(LABELS), (1 - sure) / (len(LABELS) - 1))
        shares[LABELS.index(label)] = sure
        return np.log(shares).astype(np.float32)


def bar(digit: int, x: int, y: int, height: int = 60) -> Box:
    return Box(x, y, height * (digit + 1) // 10, height)


NO_DIGIT = Box(300, 300, 70, 50)


def page(*bars: Box, size: tuple[int, int] = (640, 480)) -> Image:
    luma = np.full(size[::-1], PAPER, np.uint8)
    for box in bars:
        luma[box.y : box.bottom, box.x : box.right] = INK
    return luma


def read(luma: Image, classifier: ArtifactClassifier | None = None, **settings: Any) -> Result:
    return Recognizer(classifier or BarReader(), RecognizerSettings(**settings))(Frame(luma, None, 0, 0.0))


def labels(readings: tuple[Reading, ...]) -> str:
    return "".join(reading.label for reading in readings)


@pytest.mark.parametrize("digit", range(10))
def test_the_bar_reader_reads_every_bar_where_it_is(digit: int) -> None:
    # A test of the fake: all others here stand on it.
    (reading,) = read(page(bar(digit, 200, 150))).readings
    assert reading.label == str(digit)
    assert reading.confidence == pytest.approx(0.99)
    assert reading.box.iou(bar(digit, 200, 150)) > 0.8


def test_readings_and_numbers_come_in_reading_order() -> None:
    result = read(page(bar(1, 400, 300), bar(4, 100, 100), bar(0, 150, 104), bar(3, 60, 306), bar(2, 90, 300)))
    assert [number.text for number in result.numbers] == ["40", "32", "1"]
    assert result.readings == tuple(reading for number in result.numbers for reading in number.readings)
    assert (result.unsure, result.hint) == ((), "")


def test_sure_digits_are_read_less_sure_ones_unsure_the_rest_and_what_is_no_digit_in_neither() -> None:
    sure = {"1": 0.61, "2": 0.59, "3": 0.31, "4": 0.29}
    luma = page(*(bar(digit, 60 + 120 * digit, 100) for digit in range(1, 5)), NO_DIGIT)
    result = read(luma, BarReader(sure))
    assert (labels(result.readings), labels(result.unsure)) == ("1", "23")
    assert [reading.confidence for reading in (*result.readings, *result.unsure)] == pytest.approx([0.61, 0.59, 0.31])


def test_a_sure_digit_beside_specks_is_not_taken_for_a_part_of_what_may_be_another() -> None:
    specks = [Box(132, 100 + 21 * i, 10, 18) for i in range(3)]
    result = read(page(bar(2, 100, 100), *specks), BarReader({"5": 0.2, "6": 0.45}))
    assert (labels(result.readings), labels(result.unsure)) == ("2", "")


class Offered(Candidates):
    """Crops that are offered whatever the frame shows."""

    dropped = 0

    def __init__(self, crops: list[Crop]) -> None:
        self._offered = crops

    def wholes(self) -> list[Crop]:
        return []

    def all(self, settled: Sequence[Crop] = ()) -> list[Crop]:
        return self._offered


def offered(digit: int, place: int, parts: frozenset[int], whole: frozenset[int], held: float) -> Crop:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 4 : 4 + 2 * (digit + 1)] = 255
    transform = np.eye(2, 3, dtype=np.float32)
    return Crop(Box(3 * place, 3 * place, 40, 60), pixels, "dark", transform, 0, parts, whole, held)


def kept_of(crops: list[Crop], sure: Mapping[str, float], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of those that the recognizer chooses."""
    kept: list[Candidate] = []

    def follow(self: Recognizer, found: list[Candidate]) -> list[Tracked]:
        kept.extend(found)
        return [Tracked(0, 0, each.probabilities) for each in found]

    monkeypatch.setattr(Recognizer, "_follow", follow)
    found = Detection(Offered(crops), (), 0, float(PAPER), 0.0)
    Recognizer(BarReader(sure), find=lambda luma, settings: found)(Frame(page(), None, 0, 0.0))
    return [candidate.box.x // 3 for candidate in kept]


def test_ink_with_no_end_of_alternatives_is_chosen_from_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its covers are more than could ever be looked at."""
    rng = np.random.default_rng(0)
    whole = frozenset(range(90))
    parts = [frozenset(range(i, i + 3)) for i in range(0, 90, 3)]
    parts += [frozenset(rng.choice(90, 3, replace=False).tolist()) for _ in range(130)]
    crops = [offered(4, i, members, whole, 3 / 90) for i, members in enumerate(parts)]
    chosen = [parts[place] for place in kept_of(crops, {"4": 0.9}, monkeypatch)]
    assert len(chosen) > 20
    assert sum(map(len, chosen)) == len(frozenset().union(*chosen))


@pytest.mark.parametrize(("sure", "kept"), [(0.6, [0, 1]), (0.99, [2])])
def test_ink_of_two_sure_digits_and_much_else_must_be_surer_than_they_are(
    sure: float, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = frozenset(range(9))
    pieces = [frozenset((part,)) for part in range(2)]
    crops = [offered(2, part, members, members, 1.0) for part, members in enumerate(pieces)]
    crops.append(offered(4, 2, everything, everything, 9.0))
    assert kept_of(crops, {"2": 0.95, "4": sure}, monkeypatch) == kept


def test_ink_beyond_what_a_frame_is_given_time_for_is_counted() -> None:
    luma = page(*(bar(3, 60 + 80 * i, 100, height=60 - 4 * i) for i in range(6)))
    assert read(luma).left_out == 0
    result = read(luma, detect=DetectSettings(max_candidates=4))
    assert (labels(result.readings), result.left_out) == ("3333", 2)


@pytest.mark.parametrize(
    ("min_confidence", "accepted", "unsure"),
    [(None, "1", "2"), (0.0, "1234", ""), (0.25, "123", ""), (0.5, "12", ""), (0.9, "1", "2"), (1.0, "", "12")],
)
def test_min_confidence_takes_the_place_of_the_artifacts_threshold(
    min_confidence: float | None, accepted: str, unsure: str
) -> None:
    luma = page(*(bar(digit, 60 + 120 * digit, 100) for digit in range(1, 5)))
    result = read(luma, BarReader({"1": 0.95, "2": 0.55, "3": 0.28, "4": 0.2}), min_confidence=min_confidence)
    assert (labels(result.readings), labels(result.unsure)) == (accepted, unsure)


@pytest.mark.parametrize("value", [-0.1, 1.1, 60, float("nan")])
def test_a_min_confidence_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match=f"min confidence is {value}; expected 0 to 1"):
        Recognizer(BarReader(), RecognizerSettings(min_confidence=value))


# A tall bar, the digit 1, with a small one to its right: together they look like the digit 5 (36 of 60 pixels wide).
STEM, FLAG = bar(1, 100, 100), Box(117, 100, 19, 17)
# The same stem with a half-height bar, the digit 2, to its right: together 26 of 60, the digit 3.
SMALL = Box(117, 130, 9, 30)


def test_ink_is_read_whole_where_the_whole_is_the_likelier_digit() -> None:
    classifier = BarReader({"5": 0.9, "1": 0.8})
    result = read(page(STEM, FLAG), classifier)
    assert labels(result.readings) == "5"
    assert result.readings[0].box.iou(STEM.union(FLAG)) > 0.8
    assert result.unsure == ()
    assert classifier.asked == 3  # the whole and both parts, in one pass


def test_ink_is_read_in_parts_where_a_part_is_the_likelier_digit() -> None:
    # A whole counts for both its pieces, so it must be less than half as likely as the stem alone.
    result = read(page(STEM, FLAG), BarReader({"5": 0.4, "1": 0.9}))
    assert labels(result.readings) == "1"
    assert result.readings[0].box.iou(STEM) > 0.8
    assert result.unsure == ()


def test_two_parts_that_are_digits_are_both_read() -> None:
    assert labels(read(page(STEM, SMALL), BarReader({"3": 0.8, "1": 0.9, "2": 0.9})).readings) == "12"
    assert labels(read(page(STEM, SMALL), BarReader({"3": 0.95, "1": 0.9, "2": 0.9})).readings) == "3"


@pytest.mark.parametrize(("sure", "apart"), [(0.95, False), (0.8, True)])
def test_only_ink_that_is_no_sure_digit_is_taken_apart(sure: float, apart: bool) -> None:
    luma = page(bar(2, 100, 100), bar(2, 134, 100))
    luma[128:132, 118:134] = INK  # together the digit 7, and wide enough for two
    classifier = BarReader({"7": sure})
    assert labels(read(luma, classifier).readings) == "7"
    assert (classifier.asked > 1) is apart


def test_no_ink_is_read_twice() -> None:
    result = read(page(STEM, FLAG), BarReader({"5": 0.9, "1": 0.9}), min_confidence=0.0)
    whole = [reading for reading in result.readings if reading.box.iou(STEM.union(FLAG)) > 0.8]
    assert len(result.readings) == len(whole) == 1


@pytest.mark.parametrize("rings", [5, 17])
def test_ink_of_many_pieces_is_settled_at_once(rings: int) -> None:
    # A bull's eye is one group of many pieces: trying every subset of them would take longer with each.
    luma = page()
    for ring in range(rings):
        cv2.circle(luma, (320, 240), 14 + 10 * ring, INK, 2, cv2.LINE_AA)
    started = time.process_time()  # 0.2 s
    read(luma)
    assert time.process_time() - started < 2


def test_a_region_of_interest_is_all_that_is_read_and_boxes_stay_in_the_frame() -> None:
    luma = page(bar(1, 100, 100), bar(2, 300, 200), bar(3, 500, 350))
    (whole,) = (reading for reading in read(luma).readings if reading.label == "2")
    (inside,) = read(luma, roi=Box(250, 150, 200, 170)).readings
    assert (inside.label, inside.box) == ("2", whole.box)


@pytest.mark.parametrize("roi", [Box(0, 0, 640, 480), Box(639, 479, 1, 1)])
def test_a_region_may_reach_to_the_frames_last_pixel(roi: Box) -> None:
    read(page(), roi=roi)


@pytest.mark.parametrize(
    "roi",
    [
        Box(600, 0, 41, 10),
        Box(0, 0, 641, 480),
        Box(-1, 0, 10, 10),
        Box(700, 500, 10, 10),
        Box(5, 5, 0, 10),
        Box(100, 100, -50, 10),
        Box(100, 100, -50, -10),
    ],
)
def test_a_region_that_is_not_in_the_frame_is_refused_with_the_frames_size(roi: Box) -> None:
    with pytest.raises(UsageError, match=r"region of interest \[.*\] is not inside the frame of 640x480"):
        read(page(bar(1, 100, 100)), roi=roi)


def test_identities_are_kept_over_frames_and_ages_counted() -> None:
    recognizer = Recognizer(BarReader())
    for frame in range(4):
        luma = page(bar(1, 100 + 5 * frame, 100), bar(4, 200 + 5 * frame, 100))
        result = recognizer(Frame(luma, None, frame, frame / 30))
        assert [(r.label, r.track, r.age) for r in result.readings] == [("1", 1, frame), ("4", 2, frame)]


def test_one_bad_frame_flips_no_label_but_its_own_prediction_says_what_it_was() -> None:
    classifier = BarReader()
    recognizer = Recognizer(classifier)
    frame = Frame(page(bar(4, 100, 100)), None, 0, 0.0)
    for _ in range(4):
        recognizer(frame)
    classifier.sure = {"4": 0.01}  # the others, 7 among them, are each likelier now
    result = recognizer(frame)
    (reading,) = (*result.readings, *result.unsure)
    assert reading.label == "4"
    assert 0.3 < reading.confidence < 0.99
    assert reading.prediction.probabilities[4] == pytest.approx(0.01)


def test_without_tracking_each_frame_is_the_first() -> None:
    classifier = BarReader()
    recognizer = Recognizer(classifier, RecognizerSettings(track=False))
    frame = Frame(page(bar(4, 100, 100)), None, 0, 0.0)
    for confidence in (0.99, 0.7, 0.95):
        classifier.sure = {"4": confidence}
        (reading,) = recognizer(frame).readings
        assert (reading.track, reading.age, reading.confidence) == (0, 0, pytest.approx(confidence))


def test_an_unsure_digit_parts_the_number_that_it_stands_in() -> None:
    luma = page(bar(1, 100, 100), bar(0, 120, 100), bar(2, 134, 100))
    assert [number.text for number in read(luma).numbers] == ["102"]
    result = read(luma, BarReader({"0": 0.5}))
    assert [number.text for number in result.numbers] == ["1", "2"]
    assert labels(result.unsure) == "0"


def test_ink_that_is_no_digit_parts_the_number_that_it_stands_in() -> None:
    luma = page(bar(2, 100, 100), Box(126, 110, 44, 40), bar(3, 178, 100))
    assert [number.text for number in read(luma).numbers] == ["2", "3"]


def blurred() -> Image:
    drawn = draw_page(["407"], (640, 480), np.random.default_rng(0), pen=PENS["marker"], digit_height=150)
    return np.asarray(cv2.GaussianBlur(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY), (0, 0), 8))


@pytest.mark.parametrize(
    ("luma", "sure", "hint"),
    [
        (page(bar(1, 100, 100)), {}, ""),
        (page(), {}, "no digit"),
        (np.full((480, 640), 12, np.uint8), {}, "too dark"),
        (page(NO_DIGIT), {}, "no digit"),
        (page(bar(1, 100, 100)), {"1": 0.5}, "unsure"),
        (page(*(Box(x, 100, 4, 6) for x in range(50, 600, 50))), {}, "too small"),
        (blurred(), dict.fromkeys(LABELS, 0.1), "blurred"),
    ],
    ids=["read", "blank", "dark", "no digit", "unsure", "specks", "blurred"],
)
def test_where_nothing_is_read_the_result_says_why(luma: Image, sure: dict[str, float], hint: str) -> None:
    result = read(luma, BarReader(sure))
    assert hint in result.hint
    assert bool(result.hint) is not bool(result.readings)


def test_times_of_the_stages_add_up_to_the_total() -> None:
    times = read(page(bar(1, 100, 100))).milliseconds
    assert set(times) == {"detect", "classify", "total"}
    assert min(times.values()) > 0
    assert times["detect"] + times["classify"] <= times["total"]


def test_only_luma_is_read_and_the_frame_is_left_as_it_was() -> None:
    luma = page(bar(1, 100, 100), STEM, FLAG)
    before = luma.copy()
    luma.flags.writeable = False
    Recognizer(BarReader())(Frame(luma, np.zeros((480, 640, 3), np.uint8), 0, 0.0))
    np.testing.assert_array_equal(luma, before)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 2000), (2000, 1), (2, 1500), (9, 640)])
def test_a_frame_of_any_size_is_read_without_an_error(shape: tuple[int, int]) -> None:
    # Columns of both brightnesses: there is contrast, and nothing to read.
    luma = np.full(shape, PAPER, np.uint8)
    luma[::2, ::2] = INK
    assert read(luma).readings == ()


@pytest.mark.parametrize("paper", ["white", "chalkboard"])
def test_the_shipped_model_reads_a_drawn_page(paper: str) -> None:
    hand = Hand(
        ("0-round", "1-flag", "2-straight", "3-round", "4-open", "5-bar", "6-straight", "7-plain", "8-s", "9-straight")
    )
    drawn = draw_page(
        ["407", "1985"],
        (640, 480),
        np.random.default_rng(1),
        hand=hand,
        pen=PENS["marker"],
        paper=PAPERS[paper],
        digit_height=110,
    )
    result = read(np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY)), load_classifier())
    assert [number.text for number in result.numbers] == ["407", "1985"]
    for reading, digit in zip(result.readings, drawn.digits, strict=True):
        assert reading.box.iou(digit.box) >= 0.5


def test_a_speck_inside_a_digit_is_no_digit() -> None:
    # An upright 9 of the bar reader, hollow, with a small bar inside it.
    luma = page(bar(9, 200, 100, height=200))
    luma[110:290, 210:390] = PAPER
    luma[180:210, 290:296] = INK
    assert labels(read(luma).readings) == "9"


def test_a_ring_around_a_digit_that_fills_it_is_no_digit() -> None:
    luma = page(bar(9, 200, 100, height=200))
    luma[106:294, 206:394] = PAPER
    luma[150:250, 280:310] = INK
    assert labels(read(luma).readings) == "2"


def test_a_frame_around_several_digits_is_no_digit() -> None:
    luma = page(bar(9, 150, 50, height=380))
    luma[56:424, 156:524] = PAPER
    luma[200:250, 250:265] = INK
    luma[200:250, 300:320] = INK
    assert labels(read(luma).readings) == "23"


WORD = [Box(50 + 46 * i, 120, 42, 32) for i in range(4)]


def test_a_lone_stroke_close_beside_letters_is_a_letter_rather() -> None:
    result = read(page(*WORD, bar(1, 240, 100)))
    assert (labels(result.readings), labels(result.unsure)) == ("", "1")


@pytest.mark.parametrize(
    ("bars", "text"),
    [
        ((bar(1, 290, 100),), "1"),  # further off than letters of a word are
        ((bar(1, 240, 200),), "1"),  # on another line
        ((bar(2, 240, 100),), "2"),  # no letter looks like it
        ((bar(2, 240, 100), bar(3, 270, 100)), "23"),  # nor like these
    ],
)
def test_a_stroke_that_is_no_letter_is_read_beside_a_word(bars: tuple[Box, ...], text: str) -> None:
    assert labels(read(page(*WORD, *bars)).readings) == text


def test_a_number_beside_one_letter_is_read() -> None:
    assert labels(read(page(WORD[-1], bar(1, 240, 100), bar(2, 270, 100), bar(0, 310, 100))).readings) == "120"


def test_strokes_as_close_as_hatching_are_no_number() -> None:
    def strokes(pitch: int) -> list[Box]:
        return [bar(1, 100 + pitch * i, 100) for i in range(5)]

    assert labels(read(page(*strokes(16))).readings) == ""
    assert labels(read(page(*strokes(30))).readings) == "11111"


def test_two_lone_strokes_with_nothing_else_on_their_line_are_read() -> None:
    assert labels(read(page(bar(1, 100, 100), bar(1, 300, 100))).readings) == "11"


@pytest.mark.parametrize(("sure", "text"), [(0.9, "234"), (0.999, "2345")])
def test_a_digit_of_another_polarity_than_the_rest_must_be_surer(sure: float, text: str) -> None:
    luma = page(*(bar(digit, 40 + 130 * i, 100) for i, digit in enumerate((2, 3, 4))))
    luma[250:] = 90  # a board under the page
    luma[330:390, 40:76] = PAPER
    result = read(luma, BarReader({"5": sure}))
    assert "".join(sorted(labels(result.readings))) == text


@pytest.mark.parametrize(("sure", "text"), [(0.8, "345"), (0.99, "2345")])
def test_a_digit_of_another_size_than_the_rest_must_be_surer(sure: float, text: str) -> None:
    bars = [bar(digit, 40 + 130 * i, 100) for i, digit in enumerate((3, 4, 5))]
    result = read(page(*bars, bar(2, 40, 300, height=150)), BarReader({"2": sure}))
    assert "".join(sorted(labels(result.readings))) == text
    alike = read(page(*bars, bar(2, 40, 300, height=70)), BarReader({"2": sure}))
    assert "".join(sorted(labels(alike.readings))) == "2345"
