"""The routes: ``POST /predict``, ``GET /health`` and ``GET /metrics``."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from pyg_agfn import __version__
from pyg_agfn.choices import MAX_REFERENCES, MAX_SIZE
from pyg_agfn.datasets.image_memory import OutOfMemoryError
from pyg_agfn.errors import InputError, printable
from pyg_agfn.prediction_output import JsonWriter
from pyg_agfn.serving.client import ClientGoneError, drain, unless_gone
from pyg_agfn.serving.refusal import RefusedError
from pyg_agfn.serving.service import Service
from pyg_agfn.serving.uploads import read_images
from pyg_agfn.serving.watch import FAILED, Watch

if TYPE_CHECKING:
    from pyg_agfn.image_predictions import Prediction

#: Query parameters of ``/predict``, with their least and largest value.
PARAMETERS = {"references": (0, MAX_REFERENCES), "top": (1, MAX_SIZE)}

References = Annotated[int | None, Query(ge=0, le=MAX_REFERENCES)]
Top = Annotated[int | None, Query(ge=1, le=MAX_SIZE)]

#: What the documented body of ``/predict`` is.
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "format": "binary"},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def make_app(service: Service) -> Watch:
    """The ASGI application of a service; it starts and stops the service with itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    # The pages of documentation load scripts from elsewhere; /openapi.json is there.
    app = FastAPI(
        title="pyg_agfn", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )

    @app.post("/predict", openapi_extra=BODY)
    async def predict(request: Request, references: References = None, top: Top = None) -> Response:
        unknown = [name for name in request.query_params if name not in PARAMETERS]
        if unknown:
            known = " and ".join(PARAMETERS)
            name = printable(unknown[0], 80)
            raise RefusedError(422, f"there is no query parameter '{name}': {known} are known")
        count = service.references if references is None else references
        answers = await _answer(service, request, count)
        return Response(json_text(answers, top), media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        status = "stopping" if service.stopping else "ok" if service.ready else "starting"
        content = {
            "status": status,
            "version": __version__,
            "classes": list(service.answerer.classes),
        }
        return JSONResponse(content, 200 if service.ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    _answer_errors(app)
    return Watch(app, service)


def json_text(answers: "list[Prediction]", top: int | None = None) -> str:
    """Predictions as ``predict.py --format json`` prints them."""
    out = io.StringIO()
    writer = JsonWriter(out, top)
    for answer in answers:
        writer.write(answer)
    writer.close()
    return out.getvalue()


async def _answer(service: Service, request: Request, references: int) -> "list[Prediction]":
    """The answers to a request's images.

    Raises:
        RefusedError: It takes too long, or see :func:`read_images` and :meth:`Service.predict`.
        InputError: See :meth:`Service.predict`.
        ClientGoneError: The client has closed the connection.
    """
    seconds = service.limits.max_seconds
    end = time.monotonic() + seconds
    with service.uploads.open() as share:
        try:
            reading = read_images(request, service.limits, share)
            images = await asyncio.wait_for(reading, seconds)
        except asyncio.TimeoutError:
            raise RefusedError(
                408, f"the upload took more than {seconds:g} s; send fewer or smaller images"
            ) from None
        request.scope["note"].images = len(images)
        if not service.batcher.running:
            raise RefusedError(503, "the model is being loaded; try again later")
        try:
            work = service.predict(images, references)
            return await unless_gone(request, work, end - time.monotonic())
        except asyncio.TimeoutError:
            raise RefusedError(
                503, f"the answer took more than {seconds:g} s; try again later"
            ) from None


def _answer_errors(app: FastAPI) -> None:
    """Makes every error a JSON object with one line."""

    async def respond(request: Request, status: int, line: str, **headers: str) -> JSONResponse:
        request.scope["note"].error = line
        await drain(request)
        return JSONResponse({"error": line}, status, headers)

    async def refused(request: Request, error: Any) -> Response:
        return await respond(request, error.status, str(error), **error.headers)

    async def bad_image(request: Request, error: Any) -> Response:
        return await respond(request, 422, str(error))

    async def no_memory(request: Request, error: Any) -> Response:
        return await refused(request, RefusedError(503, str(error)))

    async def gone(request: Request, error: Any) -> Response:
        request.scope["note"].gone = True
        return await respond(request, 400, "the client has closed the connection")

    async def bad_parameter(request: Request, error: Any) -> Response:
        fault = error.errors()[0]
        name = str(fault["loc"][-1])
        low, high = PARAMETERS[name]
        given = printable(repr(fault["input"]), 80)
        return await respond(request, 422, f"{name} must be {low} to {high}, got {given}")

    async def no_route(request: Request, error: Any) -> Response:
        asked = f"{request.method} {printable(request.url.path, 200)}"
        line = f"there is no {asked}: POST /predict, GET /health and GET /metrics are there"
        return await respond(request, error.status_code, line, **(error.headers or {}))

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(OutOfMemoryError, no_memory)
    app.add_exception_handler(InputError, bad_image)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(RequestValidationError, bad_parameter)

    async def failed(request: Request, error: Any) -> Response:
        return JSONResponse({"error": FAILED}, 500)  # and it is raised again, for the log

    app.add_exception_handler(404, no_route)
    app.add_exception_handler(405, no_route)
    app.add_exception_handler(Exception, failed)
