"""The page as a person uses it, in Chromium; skipped where that or playwright is missing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_stand_in import audit_of

from pyg_agfn.audit.page import write_page
from pyg_agfn.datasets import read_noise_file

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

NAMES = ['a, "b".png', "'c'.png", "é è.png", "=1+1.png", "</script>.png", "x/f.png", "x/g.png"]
CLASSES = ["sad face", "happy", 'the "third"']


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context()
        browser.close()


@pytest.fixture
def page(context: Any, tmp_path: Path) -> Iterator[Any]:
    write_page(audit_of(NAMES, CLASSES, issues=5), tmp_path / "page.html")
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("localStorage.clear()")
    page.reload()
    yield page
    assert not problems
    assert set(requests) <= {"file", "data", "blob"}
    page.close()


def press(page: Any, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def current(page: Any) -> str:
    return page.locator("li[aria-current] .file").inner_text()


def downloaded(page: Any, folder: Path) -> dict[int, int]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == "label_decisions.csv"
    return read_noise_file(path, NAMES, CLASSES, notation="names").labels


def test_keys_decide_and_the_download_is_read_back(page, tmp_path):
    press(page, "a r 3 a a")  # row i is given class i, suggested i + 1
    assert page.locator("#progress").inner_text() == "5 decided, 0 left"
    assert downloaded(page, tmp_path) == {0: 1, 1: 1, 2: 2, 3: 1, 4: 2}
    page.reload()
    assert page.locator("#progress").inner_text() == "5 decided, 0 left"
    assert downloaded(page, tmp_path) == {0: 1, 1: 1, 2: 2, 3: 1, 4: 2}


def test_undo_takes_back_one_decision_at_a_time(page, tmp_path):
    press(page, "a a k k r")
    assert page.locator("li.rejected").count() == 1
    press(page, "u")
    assert (page.locator("li.accepted").count(), current(page)) == (2, NAMES[0])
    press(page, "u")
    assert downloaded(page, tmp_path) == {0: 1}
    press(page, "u u")
    assert page.locator("#status").inner_text() == "Nothing to undo."
    assert page.get_by_role("button", name="Download").is_disabled()


def test_keys_move_the_focus_and_type_into_the_search(page):
    press(page, "j ArrowRight k")
    assert current(page) == NAMES[1]
    assert page.evaluate("document.activeElement.matches('li[aria-current]')")
    press(page, "/ a r")
    assert page.locator("#search").input_value() == "ar"
    assert page.locator("#progress").inner_text() == "0 decided, 5 left"


def test_filters_by_issue_pair_and_name(page):
    shown = page.locator("#shown")
    assert shown.inner_text() == "5 shown"
    page.select_option("#show", "all")
    assert shown.inner_text() == "7 shown"
    page.select_option("#pair", label="sad face → happy (3)")
    assert page.locator("li:visible .file").all_inner_texts() == [NAMES[0], NAMES[3], NAMES[6]]
    page.fill("#search", "X/G")
    assert page.locator("li:visible .file").all_inner_texts() == [NAMES[6]]
    assert current(page) == NAMES[6]
    page.fill("#search", "no such name")
    assert page.locator("#none").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert shown.inner_text() == "7 shown"


def test_the_mouse_decides_too(page, tmp_path):
    card = page.locator("li").nth(1)
    card.get_by_role("button", name='Accept the "third"').click()
    assert card.get_by_role("button", name="Accept").get_attribute("aria-pressed") == "true"
    page.locator("li").nth(2).get_by_role("combobox").select_option("happy")
    page.locator("li").nth(0).get_by_role("button", name="Reject").click()
    card.get_by_role("button", name="Accept").click()  # takes it back
    assert downloaded(page, tmp_path) == {0: 0, 2: 1}


def test_each_card_shows_its_images(page):
    assert page.locator("li").first.locator("img").count() == 4
    for image in page.locator("li").first.locator("img").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 6
