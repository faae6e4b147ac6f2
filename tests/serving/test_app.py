"""The routes, asked as clients ask them."""

import asyncio
import io
import json
import logging
import struct
import zlib

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyg_agfn import __version__
from pyg_agfn.prediction import predict
from pyg_agfn.runs.folder import load_run
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.service import Service


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", file) for file in files]


def post(served, service, **request):
    return served(service, lambda client: client.post("/predict", **request))


def raw_form(*parts: bytes, boundary: bytes = b"b") -> dict:
    """A form by its bytes, for what a client library would not send."""
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return {
        "content": body + b"--" + boundary + b"--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=" + boundary.decode()},
    }


def part(name: bytes, content: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="images"; filename="' + name + b'"'
    return head + b"\r\n\r\n" + content


def same(one: dict, other: dict) -> bool:
    """Whether two answers agree but for rounding, which depends on the size of a batch."""
    close = pytest.approx(other["probabilities"], abs=1e-6) == one["probabilities"]
    weights = [{r["name"]: r["weight"] for r in answer["references"]} for answer in (one, other)]
    return close and weights[0] == pytest.approx(weights[1], abs=1e-6)


def test_answers_are_those_of_predict(served, answerer, digits_run, pngs, tmp_path):
    """Of many requests at once, in batches of any composition."""
    files = []
    for i, content in enumerate(pngs):
        files.append(tmp_path / f"{i}.png")
        files[-1].write_bytes(content)
    expected = {
        p.file.name: json.loads(json.dumps(p.as_json(top=3)))
        for p in predict(load_run(digits_run), files, 64)  # all
    }
    service = Service(answerer, ServeLimits(max_batch=7, max_wait_ms=20))

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        names = [f.name for f in files]
        groups = [[0], [1, 2], [3, 4, 5], *([i] for i in range(6, 30)), list(range(30, 40))]
        requests = [
            client.post(
                "/predict?references=64&top=3", files=form(*((names[i], pngs[i]) for i in group))
            )
            for group in groups
        ]
        return await asyncio.gather(*requests)

    responses = served(service, ask)
    assert {response.status_code for response in responses} == {200}
    answers = [answer for response in responses for answer in response.json()]
    assert [answer["file"] for answer in answers] == [file.name for file in files]
    for answer in answers:
        assert answer.keys() == expected[answer["file"]].keys()
        assert same(answer, expected[answer["file"]])
    batches = service.metrics.registry.get_sample_value("pyg_agfn_batch_images_count")
    assert 40 / 7 <= batches < 28  # batched, and never more than allowed at once
    assert service.metrics.registry.get_sample_value("pyg_agfn_images_total") == 40


def test_requests_choose_their_references_within_a_batch(served, answerer, pngs):
    service = Service(answerer, ServeLimits(max_wait_ms=50), references=4)

    async def ask(client):
        queries = ["", "?references=0", "?references=9"]
        return await asyncio.gather(
            *(client.post(f"/predict{q}", files=form(("a.png", pngs[0]))) for q in queries)
        )

    counts = [len(response.json()[0]["references"]) for response in served(service, ask)]
    assert counts == [4, 0, 9]


def test_a_body_that_is_one_image(served, answerer, pngs):
    for kind in ("image/png", "application/octet-stream", "IMAGE/PNG; q=1"):
        response = post(served, Service(answerer), content=pngs[0], headers={"Content-Type": kind})
        assert response.status_code == 200
        (answer,) = response.json()
        assert answer["file"] == "upload"


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG file of few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    ends = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + ends


def truncated_jpeg() -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").save(out, "JPEG")
    return out.getvalue()[:900]


BAD_IMAGES = {
    "empty": (b"", 422, "image x.png: cannot be read (it is empty); fix or remove it"),
    "text": (b"no image", 422, "image x.png: cannot be read (its content is none of PNG"),
    "truncated": (truncated_jpeg(), 422, "image x.png: cannot be read (image file is truncated"),
    "bomb": (png_that_claims(60_000, 60_000), 422, "could be decompression bomb"),
    "too many pixels": (png_that_claims(10_000, 10_000), 422, "10000x10000 is more than"),
    "script": (b"%!PS-Adobe-3.0 EPSF-3.0\n", 422, "its content is none of"),
    "large": (bytes(200_001), 413, "image x.png: it has more than 200,000 bytes"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as run_script does
@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_is_refused_in_one_line(served, answerer, pngs, caplog, kind):
    content, status, complaint = BAD_IMAGES[kind]
    service = Service(answerer, ServeLimits(max_bytes=200_000))
    caplog.set_level(logging.INFO)
    response = post(served, service, files=form(("good.png", pngs[0]), ("x.png", content)))
    assert response.status_code == status
    assert response.json().keys() == {"error"}
    line = response.json()["error"]
    assert complaint in line
    assert "\n" not in line
    (record,) = [r for r in caplog.records if r.name == "pyg_agfn.serving"]
    assert complaint in record.getMessage()
    assert record.exc_info is None
    assert not [r for r in caplog.records if r.exc_info]
    assert (service.batcher.admitted, service.uploads.held, service.in_flight) == (0, 0, 0)
    assert (
        service.metrics.registry.get_sample_value("pyg_agfn_errors_total", {"code": str(status)})
        == 1
    )


BAD_REQUESTS = {
    "no body": ({}, 415, "content type (none): send images as"),
    "text": ({"content": b"a", "headers": {"Content-Type": "text/plain"}}, 415, "text/plain"),
    "url form": ({"data": {"a": "b"}}, 415, "application/x-www-form-urlencoded"),
    "no boundary": (
        {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "must have a boundary",
    ),
    "long boundary": (raw_form(part(b"a", b"b"), boundary=b"b" * 71), 400, "of at most 70 bytes"),
    "no form": (
        {"content": b"xyz", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        400,
        "the form cannot be read",
    ),
    "no file": (raw_form(), 400, "the form has no image"),
    "field": (
        raw_form(b'Content-Disposition: form-data; name="top"\r\n\r\n3'),
        400,
        "form field 'top' is no file",
    ),
    "no headers": (raw_form(b"\r\nabc"), 400, "form field '' is no file"),
    "cut": (
        {
            "content": b"--b\r\n" + part(b"c.png", b"xy"),
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        "image c.png: the form ends in it",
    ),
    "long header": (
        raw_form(b"".join(b"A: " + b"x" * 3000 + b"\r\n" for _ in range(3)) + part(b"a", b"")),
        413,
        "headers",
    ),
    "many files": (
        raw_form(*(part(b"a", b"") for _ in range(17))),
        413,
        "the form has more than 16 images",
    ),
    "huge": (
        {"content": b"a", "headers": {"Content-Type": "image/png", "Content-Length": "9" * 30}},
        413,
        "the request has more than",
    ),
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_a_bad_request_is_refused_in_one_line(served, answerer, kind):
    request, status, complaint = BAD_REQUESTS[kind]
    service = Service(answerer)
    response = post(served, service, **request)
    assert (response.status_code, response.json().keys()) == (status, {"error"})
    assert complaint in response.json()["error"]
    assert (service.batcher.admitted, service.uploads.held) == (0, 0)


def test_a_body_without_a_length_is_counted(served, answerer):
    limits = ServeLimits(max_bytes=100_000, max_images=2)
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 100_000_000:
            sent += 65_536
            yield bytes(65_536)

    response = post(
        served, Service(answerer, limits), content=endless(), headers={"Content-Type": "image/png"}
    )
    assert response.status_code == 413
    assert "image upload: it has more than 100,000 bytes" in response.json()["error"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9.png", "caf\udce9.png"),
        ("顔.png".encode(), "顔.png"),
        (b"../../etc/passwd", "../../etc/passwd"),
        (b"/etc/passwd", "/etc/passwd"),
        (b"", "image"),
        (b"a\x1b[31m.png", "a\x1b[31m.png"),
    ],
)
def test_a_name_is_only_repeated(served, answerer, pngs, caplog, name, shown):
    caplog.set_level(logging.INFO)
    response = post(served, Service(answerer), **raw_form(part(name, pngs[0])))
    assert response.status_code == 200
    assert response.json()[0]["file"] == shown
    refused = post(served, Service(answerer), **raw_form(part(name, b"no image")))
    assert refused.json()["error"].startswith("image ")
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("references=x", "references must be 0 to 65536, got 'x'"),
        ("references=-1", "references must be 0 to 65536, got '-1'"),
        ("references=65537", "references must be 0 to 65536"),
        ("references=", "references must be 0 to 65536, got ''"),
        ("top=0", "top must be 1 to 65536, got '0'"),
        ("top=1e99", "top must be 1 to 65536"),
        ("reference=3", "there is no query parameter 'reference': references and top are known"),
        ("a%0Ab=3", "there is no query parameter 'a\\nb'"),
    ],
)
def test_a_bad_parameter_is_named(served, answerer, pngs, query, complaint):
    ask = lambda client: client.post(f"/predict?{query}", files=form(("a.png", pngs[0])))  # noqa: E731
    response = served(Service(answerer), ask)
    assert response.status_code == 422
    assert response.json()["error"].startswith(complaint)


def test_other_routes_are_named(served, answerer):
    async def ask(client):
        return [
            await client.get("/"),
            await client.get("/predict"),
            await client.post("/health"),
            await client.get("/docs"),
        ]

    responses = served(Service(answerer), ask)
    assert [response.status_code for response in responses] == [404, 405, 405, 404]
    for response in responses:
        assert "POST /predict, GET /health and GET /metrics" in response.json()["error"]


def test_health_says_when_the_model_answers(served, answerer):
    service = Service(answerer)

    async def ask(client):
        ready = await client.get("/health")
        service.stopping = True
        stopping = await client.get("/health")
        refused = await client.post("/predict", files=form(("a.png", b"")))
        service.stopping = False
        await service.batcher.stop()
        return ready, stopping, refused, await client.get("/health")

    ready, stopping, refused, ended = served(service, ask)
    classes = list(map(str, range(10)))
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "version": __version__, "classes": classes}
    assert (stopping.status_code, stopping.json()["status"]) == (503, "stopping")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {"error": "the server is stopping"}
    assert (ended.status_code, ended.json()["status"]) == (503, "starting")


def test_metrics_are_the_text_of_prometheus(served, answerer, pngs):
    async def ask(client):
        await client.post("/predict", files=form(("a.png", pngs[0]), ("b.png", pngs[1])))
        await client.post("/predict")
        return await client.get("/metrics")

    response = served(Service(answerer), ask)
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = response.text.splitlines()
    assert 'pyg_agfn_requests_total{path="/predict"} 2.0' in lines
    assert 'pyg_agfn_errors_total{code="415"} 1.0' in lines
    assert "pyg_agfn_images_total 2.0" in lines
    assert "pyg_agfn_predict_seconds_count 2.0" in lines
    assert "pyg_agfn_batch_images_sum 2.0" in lines
    assert "pyg_agfn_queue_images 0.0" in lines


#: What forms are made of.
PIECES = (
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n",
    b"Content-Disposition: form-data; name=a; filename=b\r\n",
    b"Content-Disposition: form-data; name=\"\xff\"; filename*=UTF-8''%ff\r\n",
    b"Content-Disposition:\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b": \r\n",
    b"P2 1 1 255 7",
    b"\x89PNG\r\n\x1a\n",
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it keeps nothing
)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join))
def test_any_body_is_answered_or_refused_in_one_line(served, answerer, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    service = Service(answerer)
    response = post(served, service, content=body, headers=headers)
    assert response.status_code in (200, 400, 413, 422)
    if response.status_code != 200:
        assert response.json()["error"].isprintable()
    assert (service.batcher.admitted, service.uploads.held) == (0, 0)
