"""Takes the pictures of the README from the real app: python tests/app/screenshots.py URL

The URL is that of a running `python app.py` with the built-in books (default: its usual address);
the pictures go to docs/images. Needs chromium and playwright. Not a test: pytest leaves it out.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP, PHONE = (1440, 900), (375, 812)
EXAMPLE = "Out into space"
SETTLE_MS = 1800  # covers are decoded and new rows have stopped glowing


def open_page(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Page:
    """Open the page in a fresh browser profile."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, device_scale_factor=1
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".card")
    page.wait_for_selector(".rec", state="attached")
    return page


def start_example(page: Page) -> None:
    """Take an example for one's own history and wait until both models have answered."""
    page.locator("[data-action=own]").click()
    page.wait_for_selector(".example", state="attached")
    page.wait_for_selector(".settling", state="detached")  # until then, rows take no click
    page.locator(f'[data-example="{EXAMPLE}"]').evaluate("button => button.click()")
    page.wait_for_selector(".hllm:not([data-history=''])")


def save(page: Page, name: str) -> None:
    """Write one picture."""
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.context.close()


def main() -> None:
    """Take all pictures."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        save(open_page(browser, url, DESKTOP, "light"), "start")
        for name, size, scheme in (
            ("desktop", DESKTOP, "light"),
            ("dark", DESKTOP, "dark"),
            ("phone", PHONE, "light"),
        ):
            page = open_page(browser, url, size, scheme)
            start_example(page)
            if size == PHONE:
                page.locator(".tabs [data-tab=hllm]").click()
            save(page, name)
        browser.close()


if __name__ == "__main__":
    main()
