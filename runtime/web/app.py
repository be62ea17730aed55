"""The answers: the page, the live picture, pictures that are sent, corrections, bundles, and how the service is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import cv2
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from runtime.broadcast import Broadcast
from runtime.corrections import LABELS, LabeledFolder, SeenCrops
from runtime.errors import BackendError, BundleError, EdgeDigitsError, SinkError
from runtime.metrics import StageTimes
from runtime.monitor import Monitor
from runtime.pictures import picture_size
from runtime.readers import Readers
from runtime.sinks import reading_values, result_values
from runtime.values import Image, Reading
from runtime.web.guard import COOKIE, USUAL, Guard, Limits
from runtime.web.pulse import Pulse

T = TypeVar("T")

_FOLDER = Path(__file__).resolve().parent
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/openapi.json": ("openapi.json", "application/json"),
}
_BOUNDARY = "picture"
_REST = 1.0  # times as long as the work took: what is sent gets half of the time at most


@dataclass(frozen=True, slots=True)
class Parts:
    """What the answers are made from.

    Attributes:
        readers: read frames and pictures.
        broadcast: the live picture.
        pulse: the latest result and the frame rate.
        monitor: how the source is.
        times: how long the stages take, for Prometheus.
        crops: what may be corrected.
        corrected: where corrections are kept.
        bundle: folder in which an uploaded bundle is kept.
    """

    readers: Readers
    broadcast: Broadcast
    pulse: Pulse
    monitor: Monitor
    times: StageTimes
    crops: SeenCrops
    corrected: LabeledFolder
    bundle: Path


def make_app(
    parts: Parts, *, token: str | None = None, hosts: frozenset[str] | None = None, limits: Limits = USUAL
) -> Guard:
    """The whole application, guarded.

    Args:
        parts: what the answers are made from.
        token: what everybody must show; None: nothing.
        hosts: names that requests may be addressed to; None: any.
        limits: how much is served.
    """
    answers = _Answers(parts, limits)
    routes = [Route(path, _file(*file), methods=["GET"]) for path, file in _FILES.items()]
    routes += [
        Route("/healthz", answers.health, methods=["GET"]),
        Route("/metrics", answers.metrics, methods=["GET"]),
        Route("/stream.mjpg", answers.stream, methods=["GET"]),
        Route("/api/snapshot.jpg", answers.snapshot, methods=["GET"]),
        Route("/api/state", answers.state, methods=["GET"]),
        Route("/api/recognize", answers.recognize, methods=["POST"]),
        Route("/api/crops", answers.crops, methods=["GET"]),
        Route("/api/corrections", answers.correct, methods=["POST"]),
        Route("/api/corrections.zip", answers.corrections, methods=["GET"]),
        Route("/api/model", answers.install, methods=["POST"]),
        Route("/api/token", answers.sign_in, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    guard = Guard(app, token=token, hosts=hosts, limits=limits)
    answers.guard = guard
    return guard


class _Answers:
    """One method for each route."""

    guard: Guard

    def __init__(self, parts: Parts, limits: Limits) -> None:
        self._parts = parts
        self._limits = limits
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._free_at = 0.0
        self._viewers: CapacityLimiter | None = None

    async def health(self, request: Request) -> Response:
        """Whether the server answers; that of the source stands beside it."""
        return JSONResponse({"ok": True, "source": not self._parts.monitor.trouble})

    async def metrics(self, request: Request) -> Response:
        """Counts and times for Prometheus."""
        return Response(self._parts.times.text(), media_type="text/plain; version=0.0.4")

    async def state(self, request: Request) -> Response:
        """How the source is, and what it shows."""
        parts = self._parts
        health = parts.monitor.health()
        source = parts.monitor.source
        faults = health["faults"]
        trouble = health["trouble"]
        if not trouble:
            state = "connected" if source.live else "playing"
        elif not health["frames"]:
            state = "waiting"
        else:
            state = "frozen" if faults.get("frozen") and "frozen" in trouble else "reconnecting"
        return JSONResponse(
            {
                "state": state,
                **{name: health[name] for name in ("trouble", "source", "frames", "dropped", "reconnects", "faults")},
                "fps": round(parts.pulse.fps, 1),
                "latest": parts.pulse.latest,
                "viewers": parts.broadcast.viewers,
                "model": parts.readers.model,
                "unsure": len(parts.crops.waiting()),
                "corrections": await to_thread.run_sync(parts.corrected.counts),
                "corrections_folder": str(parts.corrected.folder),
            }
        )

    async def stream(self, request: Request) -> Response:
        """The live picture, for as long as somebody looks."""
        if self._parts.broadcast.viewers >= self._limits.viewers:
            raise HTTPException(429, f"{self._limits.viewers} are looking already: try again later")
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(self._pictures(), media_type=kind)

    async def snapshot(self, request: Request) -> Response:
        """The live picture as it is now."""
        with self._parts.broadcast.viewer(2.0) as pictures:
            found = await to_thread.run_sync(next, pictures, None, limiter=self._viewer_threads())
        if found is None:
            raise HTTPException(404, self._parts.monitor.trouble or "no picture has come yet")
        return Response(found[0], media_type="image/jpeg")

    async def recognize(self, request: Request) -> Response:
        """Read a picture; with ``?explain`` say what the model saw, with ``?ask`` ask a person about what is unsure."""
        data = await self._sent_file(request)
        size = picture_size(data)
        if size and size[0] * size[1] > self._limits.pixels:
            raise HTTPException(
                413,
                f"the picture has {size[0]} x {size[1]} pixels, more than {self._limits.pixels:,}: scale it down",
            )
        explain, ask = (name in request.query_params for name in ("explain", "ask"))
        return JSONResponse(await self._in_turn(lambda: self._read(data, explain=explain, ask=ask)))

    async def crops(self, request: Request) -> Response:
        """The crops to ask a person about."""
        crops = self._parts.crops.waiting()
        values = [
            {
                "crop": crop.name,
                "label": crop.label,
                "confidence": round(crop.confidence, 4),
                "image": _data_url(crop.pixels),
            }
            for crop in crops
        ]
        return JSONResponse({"crops": values})

    async def correct(self, request: Request) -> Response:
        """Keep a crop under the label that a person gave."""
        values = await self._sent_json(request)
        name, label = values.get("crop"), values.get("label")
        if not isinstance(name, str) or label not in LABELS:
            raise HTTPException(422, f'expected {{"crop": NAME, "label": one of {", ".join(LABELS)}}}')
        crop = self._parts.crops.find(name)
        if crop is None:
            raise HTTPException(404, "this crop is not remembered any more: it made room for later ones")
        await self._in_turn(lambda: self._parts.corrected.add(crop, str(label)))
        self._parts.crops.settle(name)
        return JSONResponse({"corrections": await to_thread.run_sync(self._parts.corrected.counts)})

    async def corrections(self, request: Request) -> Response:
        """The labeled folder, as a ZIP file."""
        folder = self._parts.corrected
        if not await to_thread.run_sync(folder.counts):
            raise HTTPException(404, "nothing was corrected yet")
        headers = {"Content-Disposition": f'attachment; filename="{folder.folder.name}.zip"'}
        return Response(await self._in_turn(folder.archive), media_type="application/zip", headers=headers)

    async def install(self, request: Request) -> Response:
        """Verify a bundle and read with it from now on."""
        archive = await self._sent_file(request)
        await self._in_turn(lambda: self._parts.readers.install(archive, self._parts.bundle))
        return JSONResponse({"model": self._parts.readers.model})

    async def sign_in(self, request: Request) -> Response:
        """The token for a cookie, so that a browser's pictures and streams carry it."""
        token = (await self._sent_json(request)).get("token")
        cookie = self.guard.admit(token) if isinstance(token, str) else None
        if cookie is None:
            raise HTTPException(401, "this is not the token", {"WWW-Authenticate": "Bearer"})
        response = JSONResponse({"ok": True})
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response

    def _read(self, data: bytes, *, explain: bool, ask: bool) -> dict[str, Any]:
        frame, result = self._parts.readers.picture(data)
        values = result_values(frame, result, "sent")
        if ask:
            for reading in result.unsure:
                self._parts.crops.add(reading, unsure=True)
        if explain:
            values["hint"] = result.hint
            others = self._parts.readers.rest(frame, result)
            values["others"] = [reading_values(reading) for reading in others]
            for kind, readings in (("readings", result.readings), ("unsure", result.unsure), ("others", others)):
                for entry, reading in zip(values[kind], readings, strict=True):
                    entry |= self._explained(reading)
        return values

    def _explained(self, reading: Reading) -> dict[str, Any]:
        shares = zip(self._parts.readers.labels, reading.prediction.probabilities, strict=True)
        return {
            "probabilities": {label: round(float(share), 4) for label, share in shares},
            "input": "" if reading.pixels is None else _data_url(reading.pixels),
            "crop": self._parts.crops.add(reading, unsure=False),
        }

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Do work in a thread, one at a time, and rest after each: a small computer has its camera to read."""
        if self._waiting >= self._limits.waiting:
            raise HTTPException(429, "busy with other pictures: wait a second", {"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(max(self._free_at - monotonic(), 0.0))
                started = monotonic()
                try:
                    return await to_thread.run_sync(work)
                finally:
                    self._free_at = monotonic() + _REST * (monotonic() - started)
        except SinkError as error:
            raise HTTPException(409, str(error)) from error
        except BackendError as error:
            raise HTTPException(409, str(error)) from error
        except BundleError as error:
            raise HTTPException(422, f"refused, the model in use stays: {error}") from error
        except EdgeDigitsError as error:
            raise HTTPException(422, str(error)) from error
        finally:
            self._waiting -= 1

    async def _pictures(self) -> AsyncIterator[bytes]:
        with self._parts.broadcast.viewer(1.0) as pictures:
            ended = object()
            while True:
                found: Any = await to_thread.run_sync(next, pictures, ended, limiter=self._viewer_threads())
                if found is ended:
                    return
                if found is not None:
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(found[0])}\r\n\r\n"
                    yield head.encode() + found[0] + b"\r\n"

    def _viewer_threads(self) -> CapacityLimiter:
        """Threads that wait for frames: apart from the others, so that viewers keep nobody from asking."""
        if self._viewers is None:
            self._viewers = CapacityLimiter(self._limits.viewers + 4)
        return self._viewers

    async def _body(self, request: Request) -> bytes:
        """What was sent, if it is not too much and does not take too long."""
        most = self._limits.body_bytes
        reason = f"more than {most:,} bytes were sent, which is the most that is taken: scale the picture down"
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise HTTPException(413, reason)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for piece in request.stream():
                    body += piece
                    if len(body) > most:
                        raise HTTPException(413, reason)
        except TimeoutError as error:
            raise HTTPException(408, f"sending took longer than {self._limits.seconds:g} seconds") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the sender went away") from error
        return bytes(body)

    async def _sent_file(self, request: Request) -> bytes:
        """The body; or, of a form, its first file."""
        body = await self._body(request)
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            body = await self._first_file(request, body)
        if not body:
            raise HTTPException(400, "nothing was sent: put the file into the body, or into a form's file field")
        return body

    async def _first_file(self, request: Request, body: bytes) -> bytes:
        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            parsed = Request({**request.scope}, again)
            async with parsed.form(max_files=4, max_fields=16, max_part_size=self._limits.body_bytes) as form:
                for _, value in form.multi_items():
                    if not isinstance(value, str):
                        return await value.read()
        except (MultiPartException, ValueError, KeyError) as error:
            raise HTTPException(400, f"the form cannot be read: {error}") from error
        raise HTTPException(400, "the form holds no file")

    async def _sent_json(self, request: Request) -> dict[str, Any]:
        try:
            values = json.loads(await self._body(request))
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, "the body is not JSON") from error
        if not isinstance(values, dict):
            raise HTTPException(422, "expected a JSON object")
        return values


def _file(name: str, kind: str) -> Callable[[Request], Any]:
    """An answer with a file's content as it was at the start: no request makes a path."""
    content = (_FOLDER / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _data_url(pixels: Image) -> str:
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
