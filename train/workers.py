"""Training by several processes, on one machine or many: each takes part of every batch, and all take the same step.

``python -m train --workers 2`` starts them on this machine, one for each GPU where there are any; on several machines
each is started by hand with ``TF_CONFIG``, as TensorFlow documents it for ``MultiWorkerMirroredStrategy``. Keras 3.15's
``fit`` does not work under that strategy (it reduces scalars over a dimension that they lack), so that the strategy is
used for what it does well, the mean of gradients over all workers, and the rest is as in one process.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import BackendError, UsageError
from train.quiet import quiet

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True, eq=False)
class Workers:
    """The processes that train together.

    Attributes:
        index: of this one; 0 is the chief, which alone writes results.
        count: how many.
        strategy: ``tf.distribute.MultiWorkerMirroredStrategy``, which connects them.
    """

    index: int
    count: int
    strategy: Any

    def share(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Let an optimizer take each step by the mean gradient of all workers."""
        import tensorflow as tf

        alone = optimizer.apply

        def mean(gradients: tuple[Any, ...]) -> Any:
            own = [tf.identity(each) for each in gradients]  # on this worker's device by name, as the strategy wants
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, own)

        def together(gradients: Sequence[Any], variables: Any = None) -> Any:
            return alone(list(self.strategy.run(mean, args=(tuple(gradients),))), variables)

        # On the one instance: a class of our own would be what checkpoints are saved as.
        optimizer.apply = together

    def wait(self) -> None:
        """Return when all workers have come here: one that leaves early takes the others down."""
        import tensorflow as tf

        def together() -> Any:
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0))

        self.strategy.run(tf.function(together))


def connect() -> Workers | None:
    """Meet the other workers that ``TF_CONFIG`` names; None where it names none. To be called before TensorFlow works.

    Raises:
        UsageError: ``TF_CONFIG`` is not of its documented form.
        BackendError: the others cannot be reached.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        config = json.loads(text)
        count, index = len(config["cluster"]["worker"]), int(config["task"]["index"])
        if config["task"]["type"] != "worker" or not 0 <= index < count:
            raise ValueError("this task is none of its workers")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            'TF_CONFIG is not {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}: '
            f"{error}"
        ) from error
    import tensorflow as tf

    try:
        with quiet():
            return Workers(index, count, tf.distribute.MultiWorkerMirroredStrategy())
    except (RuntimeError, tf.errors.OpError) as error:
        raise BackendError(f"the workers of TF_CONFIG do not connect: {str(error).splitlines()[0]}") from error


def start(arguments: Sequence[str], count: int) -> int:
    """Run ``python -m train`` in so many processes on this machine; returns the chief's exit code.

    Args:
        arguments: of the command, without ``--workers``.
        count: of processes; each sees one GPU where there are any.

    Raises:
        BackendError: another worker than the chief failed.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    with ExitStack() as stack:
        processes = []
        for index in range(count):
            task = {"type": "worker", "index": index}
            settings = {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
            if "CUDA_VISIBLE_DEVICES" not in os.environ:
                settings["CUDA_VISIBLE_DEVICES"] = str(index)
            # Into a file: a pipe that nobody reads is full after some minutes of progress, and all would wait for it.
            remarks = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-m", "train", *arguments],
                env=os.environ | settings,
                stdout=None if index == 0 else subprocess.DEVNULL,
                stderr=None if index == 0 else remarks,
            )
            stack.callback(process.kill)
            processes.append((process, remarks))
        (chief, _), *others = processes
        for other, _ in others:
            other.wait()
        code = chief.wait()
        for other, remarks in others:
            if code == 0 and other.returncode:
                remarks.seek(0)
                last = remarks.read().decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
                raise BackendError(f"a worker ended with {other.returncode}: {last[0]}")
    return code


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
