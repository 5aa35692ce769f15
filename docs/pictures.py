"""Makes the pictures of the console from the demo: python docs/pictures.py [FOLDER, else docs]

It needs Chromium and the extra `browser`. The pictures are of few colours, so that they stay small.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

PORT = 8765
SIZE = {"width": 1280, "height": 800}
COLOURS = 96


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        command = [
            sys.executable,
            "-c",
            "from cli.main import main; main()",
            "serve",
            "--demo",
            "--port",
            str(PORT),
            "--data",
            data,
        ]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 120
            while not _answers():
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.2)
            time.sleep(25)  # the agent needs something to show
            _take(folder)
        finally:
            server.terminate()
            server.wait(60)


def _answers() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{PORT}/readyz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _take(folder: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport=SIZE, color_scheme=scheme, base_url=f"http://127.0.0.1:{PORT}")
            ending = "" if scheme == "light" else "-dark"
            _session(page)
            _keep(page, folder / f"console{ending}.png")
            if scheme == "light":
                for name, take in {"traces": _trace, "graph": _graph, "query": _query}.items():
                    take(page)
                    _keep(page, folder / f"console-{name}.png")
        browser.close()


def _session(page: Page) -> None:
    page.goto("/sessions?text=4760")
    page.get_by_role("link", name="Parcel delay again").click()
    page.get_by_role("button", name="memories").first.click()
    page.locator(".why .card").first.wait_for()
    page.goto(page.url.replace("text=4760&", ""))
    page.locator(".why .card").first.wait_for()
    page.locator(".sessions .row").nth(5).wait_for()
    page.get_by_role("log").evaluate("box => box.scrollTo(0, 0)")


def _trace(page: Page) -> None:
    page.goto("/traces")
    page.locator(".sessions .row a", has_text="iris.answer").nth(2).click()
    page.locator(".line-row", has_text="llm").or_(page.locator(".line-row").nth(1)).first.click()
    page.get_by_role("complementary", name="Span").get_by_role("tab", name="Raw").wait_for()
    page.wait_for_timeout(500)


def _graph(page: Page) -> None:
    page.goto("/memories?view=graph")
    page.locator(".plane[data-settled=true]").wait_for()
    page.get_by_text("As a list").click()
    page.locator(".as-list button").nth(3).click()
    page.get_by_text("As a list").click()
    page.locator(".plane[data-settled=true]").wait_for()
    page.wait_for_timeout(3000)


def _query(page: Page) -> None:
    page.goto("/query")
    page.get_by_role("button", name="Run").click()
    page.locator(".answer .json").wait_for()


def _keep(page: Page, file: Path) -> None:
    page.wait_for_timeout(500)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
