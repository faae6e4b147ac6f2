"""The queue: its bound, its batches, and requests that end early."""

import asyncio
import logging
import threading

import httpx
import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.serving.batcher import Batcher
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.refusal import RefusedError
from pyg_agfn.serving.service import Service


class Held:
    """Answers by a run, once it is let go; notes its batches."""

    def __init__(self, answerer) -> None:
        self.answerer = answerer
        self.go = threading.Event()
        self.batches: list[list[str]] = []

    classes = property(lambda self: self.answerer.classes)

    def decode(self, image):
        return self.answerer.decode(image)

    def blank(self):
        return self.answerer.blank()

    def answer(self, names, images, num_references):
        self.batches.append(list(names))
        assert self.go.wait(60)
        if "broken" in names:
            raise InputError("its answer is no number")
        if "bug" in names:
            raise KeyError("bug")
        return self.answerer.answer(names, images, num_references)


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_what_waits_is_one_batch_of_the_size_allowed(answerer):
    held = Held(answerer)
    blank = held.blank()

    async def ask():
        batcher = Batcher(held, ServeLimits(max_batch=3, max_wait_ms=0))
        await batcher.start()

        async def one(name):
            with batcher.places(1):
                return await batcher.submit([name], [blank], 0)

        first = asyncio.create_task(one("0"))
        await until(lambda: held.batches)
        others = [asyncio.create_task(one(str(i))) for i in range(1, 6)]
        await until(lambda: batcher.admitted == 6)
        held.go.set()
        answers = await asyncio.gather(first, *others)
        await batcher.stop()
        return [str(answer.file) for (answer,) in answers], batcher.admitted

    names, admitted = run(ask())
    assert names == list("012345")
    assert held.batches == [["0"], ["1", "2", "3"], ["4", "5"]]
    assert admitted == 0


def test_a_batch_waits_for_images_that_are_being_decoded(answerer):
    held = Held(answerer)
    held.go.set()

    async def ask(wait_ms):
        held.batches.clear()
        batcher = Batcher(held, ServeLimits(max_wait_ms=wait_ms))
        await batcher.start()
        with batcher.places(2):
            first = asyncio.create_task(batcher.submit(["a"], [held.blank()], 0))
            await asyncio.sleep(0.2)
            await asyncio.gather(first, batcher.submit(["b"], [held.blank()], 0))
        await batcher.stop()
        return list(held.batches)

    assert run(ask(1000)) == [["a", "b"]]
    assert run(ask(0)) == [["a"], ["b"]]


def test_a_full_queue_refuses_and_loses_nothing(served, answerer, pngs):
    held = Held(answerer)
    service = Service(held, ServeLimits(max_batch=2, max_queue=4, max_images=3))

    async def ask(client: httpx.AsyncClient):
        def post(count):
            files = [("images", (f"{i}.png", pngs[i])) for i in range(count)]
            return asyncio.create_task(client.post("/predict", files=files))

        accepted = [post(2), post(2)]
        await until(lambda: service.batcher.admitted == 4)
        refused = await post(1)
        held.go.set()
        return refused, await asyncio.gather(*accepted), await post(3)

    refused, accepted, later = served(service, ask)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"].startswith("the queue is full (4 images are waiting)")
    assert [len(response.json()) for response in (*accepted, later)] == [2, 2, 3]


def test_uploads_that_take_all_memory_are_refused(served, answerer, pngs):
    service = Service(answerer)
    service.uploads.held = service.uploads.total - 50
    headers = {"Content-Type": "image/png"}
    ask = lambda client: client.post("/predict", content=pngs[0], headers=headers)  # noqa: E731
    response = served(service, ask)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert service.uploads.held == service.uploads.total - 50


def test_one_image_does_not_take_the_answer_from_others(served, answerer, pngs, caplog):
    held = Held(answerer)
    service = Service(held)
    caplog.set_level(logging.INFO)

    async def ask(client):
        tasks = [
            asyncio.create_task(client.post("/predict", files={"a": (name, pngs[0])}))
            for name in ("first", "good", "broken", "bug")
        ]
        await until(lambda: service.batcher.admitted == 4)
        held.go.set()
        return await asyncio.gather(*tasks)

    responses = served(service, ask)
    assert [response.status_code for response in responses] == [200, 200, 500, 500]
    assert responses[2].json() == {"error": "its answer is no number"}
    assert responses[3].json() == {"error": "the server failed; see its log"}
    (record,) = [r for r in caplog.records if "KeyError" in r.getMessage()]
    assert "test_batcher.py" in record.getMessage()
    assert not [r for r in caplog.records if r.exc_info]


def test_an_answer_that_takes_too_long_is_given_up(served, answerer, pngs):
    held = Held(answerer)
    service = Service(held, ServeLimits(max_seconds=0.3))

    async def ask(client):
        late = await client.post("/predict", files={"a": ("a.png", pngs[0])})
        counted = service.batcher.admitted, service.uploads.held
        held.go.set()
        return late, counted, await client.post("/predict", files={"a": ("b.png", pngs[0])})

    late, counted, later = served(service, ask)
    assert late.status_code == 503
    assert late.json()["error"].startswith("the answer took more than 0.3 s")
    assert counted == (0, 0)
    assert later.status_code == 200


def test_a_slow_upload_is_refused(served, answerer):
    async def slow():
        yield b"a"
        await asyncio.sleep(60)
        yield b"b"

    headers = {"Content-Type": "image/png"}
    ask = lambda client: client.post("/predict", content=slow(), headers=headers)  # noqa: E731
    response = served(Service(answerer, ServeLimits(max_seconds=0.2)), ask)
    assert response.status_code == 408
    assert response.json()["error"].startswith("the upload took more than 0.2 s")


def test_places_end_with_the_queue(answerer):
    batcher = Batcher(answerer, ServeLimits(max_queue=3, max_images=1))
    with batcher.places(3), pytest.raises(RefusedError, match="the queue is full"):
        batcher.places(1).__enter__()
    assert batcher.admitted == 0
