"""TensorFlow and the converters without their greetings, which are written to stderr below Python."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from train.packages import TRAINING, require


def load_tensorflow(training: bool = False) -> None:
    """Import TensorFlow and wake its devices, a GPU too where there is one; takes seconds.

    Args:
        training: give an operation half of the cores only, unless the environment says otherwise. The networks are too
            small to gain by more, and the other half makes the next epoch's pictures.

    Raises:
        BackendError: TensorFlow, or another package that training needs, is not installed.
    """
    require(*TRAINING)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # later remarks, but for errors
    if training:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max((os.cpu_count() or 1) // 2, 1)))
    print("loading TensorFlow", file=sys.stderr, flush=True)
    with quiet():
        import tensorflow as tf

        if "TF_CONFIG" not in os.environ:  # workers must meet before anything else works
            tf.config.list_logical_devices()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep file descriptor 2 silent while all goes well; what was held back is shown when an exception passes."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as remarks:
            os.dup2(remarks.fileno(), 2)
            try:
                yield
            except BaseException:
                sys.stderr.flush()
                remarks.seek(0)
                os.write(kept, remarks.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)
