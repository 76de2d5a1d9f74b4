"""A real browser for tests: Chromium, if this machine has it."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def opened_page(width: int = 1280, **options: Any) -> Iterator[Any]:
    """A page of a headless Chromium; an error in a script of the page fails the test."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
        assert errors == []


def wait_until(page: Any, expression: str, seconds: float = 60) -> None:
    """Waits until a JavaScript expression is true; Playwright's own way needs `eval`, which the page forbids."""
    from playwright.sync_api import Error

    def is_true() -> bool:
        try:
            return bool(page.evaluate(expression))
        except Error:  # the page is loading anew
            return False

    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not true after {seconds} s: {expression}"
        page.wait_for_timeout(200)


def wait_until_ready(page: Any) -> None:
    """Waits until the page has drawn its first values."""
    wait_until(page, "document.body?.dataset.ready === 'yes'")


def shown_rows(page: Any) -> dict[str, int]:
    """How many rows of each figure the page's filter shows."""
    counts: dict[str, int] = page.evaluate(
        """() => Object.fromEntries(Object.keys(data.sources).flatMap((name) =>
            named(`${name} shown`).slice(0, 1).map((filter) => [name, filter.booleans.filter(Boolean).length])))"""
    )
    return counts
