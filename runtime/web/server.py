"""Listening: a production server in a thread of its own, beside the loop that reads frames."""

from __future__ import annotations

import logging
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from runtime.errors import SinkError
from runtime.sinks import Closing
from runtime.values import Frame, Result

log = logging.getLogger(__name__)

_START_SECONDS = 10.0
_CLOSE_SECONDS = 5.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once.

    asyncio sees to that only for sockets made with their protocol named, which ``create_server`` does not do; without
    it the body of an answer waits 40 ms for the client to acknowledge its head.

    Args:
        host: address of this machine.
        port: 0 takes a free one.

    Raises:
        SinkError: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=64)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SinkError(
            f"cannot listen at {host}:{port}: {reason}; choose another --port, or a --host of this machine"
        ) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class Server(Closing):
    """Serves an application until it is closed; a sink that takes no frames, so that it ends with the others."""

    def __init__(self, app: ASGIApp, host: str, port: int, connections: int = 100) -> None:
        """Start to listen.

        Args:
            app: what answers.
            host: address of this machine to listen on.
            port: 0 takes a free one, which ``port`` tells.
            connections: more at once are refused.

        Raises:
            SinkError: the address is taken, or not this machine's.
        """
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=connections,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
        )
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what a client did wrong is said to the client
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True
        )
        self._thread.start()
        until = time.monotonic() + _START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        if not self._server.started:
            self.close()
            raise SinkError(f"the server at {host}:{self.port} does not start; look for messages above")

    def write(self, frame: Frame, result: Result) -> None:
        """Nothing: others keep what is shown."""

    def close(self) -> None:
        """Stop listening; who still looks is cut off after a second."""
        self._server.should_exit = True
        self._thread.join(_CLOSE_SECONDS)
        self._socket.close()
