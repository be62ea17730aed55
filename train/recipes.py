"""What ``--recipe`` and ``--model`` come to: how a network is trained unless options say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from train.augment import AugmentSettings
from train.epochs import EpochSettings
from train.fit import FitSettings

_ALONE = EpochSettings(drawn=0.0, nones=0.0, crops=0.0, crop_nones=0.0)

_TIMID = {"micro": 0.35, "tiny": 0.4, "small": 0.6, "medium": 0.8}
"""How far pictures are varied for networks too small to learn all of it, as a share of what is usual."""


_EPOCHS = {"wide": 25}
"""Passes over the training digits where they are not as many as usual: a step of ``wide`` takes four of ``edge``'s."""

_CLASSIC_EPOCHS, _CLASSIC_BEND, _CLASSIC_SHIFT = 120, 1.0, 1.0
"""Of ``classic``, whose dense layer has room for more that is bent, but learns each place of a digit anew."""


def recipe(name: Literal["full", "digits"], model: str) -> tuple[FitSettings, AugmentSettings]:
    """Settings by which a network is trained.

    Args:
        name: ``full`` is for a camera, with the label ``none`` and what the detector cuts out of frames; ``digits`` for
            MNIST's own pixels and ten labels.
        model: name of the network in ``NETWORKS``.
    """
    usual = FitSettings(model, epochs=_EPOCHS.get(model, FitSettings().epochs))
    if name == "full":
        return usual, AugmentSettings()
    varied = AugmentSettings(through_preprocess=0.0).scaled(_TIMID.get(model, 1.0))
    alone = replace(usual, epoch=_ALONE, none_margin=0.0)
    if model == "classic":
        return replace(alone, epochs=_CLASSIC_EPOCHS), replace(varied, bend=_CLASSIC_BEND, shift=_CLASSIC_SHIFT)
    return replace(alone, learning_rate=6e-3, weight_decay=0.01) if model in _TIMID else alone, varied
