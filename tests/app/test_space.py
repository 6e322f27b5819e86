"""What a Space does: the tracked files in a folder that cannot be written, run by somebody else."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.answering import answering
from tests.guides.pages import block
from tests.space_staging import (
    MAX_START_S,
    ROOT,
    TORCHES,
    built_environment,
    can_stage,
    python_of_a_space,
    running,
    world,
)
from tests.zero_device import device_api

MAX_BYTES = 4e9


def staged(test):
    """What a test needs that runs a Space and opens its page."""
    marks = (
        pytest.mark.browser,
        pytest.mark.skipif(not can_stage(), reason="needs root, mount namespaces, a git checkout"),
        pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
    )
    for mark in marks:
        test = mark(test)
    return test


@pytest.fixture
def expect():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    return sync_api.expect


@pytest.fixture
def space():
    with world() as folder:
        yield folder


def click(open_page, expect, space, **options):
    """Open the page of a Space and take its first item: both models answer."""
    page = open_page(space.url, **options)
    page.locator(".card").first.click()
    for column in ("hllm", "baseline"):
        expect(page.locator(f".{column}-column .rec")).to_have_count(10)
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".notices")).to_have_text("")
    return page


@staged
@pytest.mark.slow
def test_tracked_files_open_for_an_unprivileged_user(space, open_page, expect):
    with running(space) as opened:
        click(open_page, expect, opened).close()
    said = opened.log.read_text()
    assert "cannot be written; the app writes to" in said
    assert list((space / "tmp").glob("hllm-live-*/books.db"))
    assert "Traceback" not in said and "ZeroGPU" not in said
    assert "Loading weights" not in said and "Warning" not in said


# For the built-in Item LLM, which is small and would not ask for a GPU.
AS_IF_LARGE = """
from tests.zero_device import lend_no_gpu
lend_no_gpu()
import hllm.serving.item_model as item_model
item_model.FOUR_BITS_FROM_PARAMETERS = 0
import runpy
runpy.run_path("app.py", run_name="__main__")
"""


@staged
@pytest.mark.slow
@pytest.mark.skipif(find_spec("spaces") is None, reason="the package spaces is not installed")
def test_on_zerogpu_clicks_need_no_gpu_and_what_is_written_for_a_large_model_does(
    space, open_page, expect
):
    with device_api() as (api, url):
        zero = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": url}
        with running(space, "-c", AS_IF_LARGE, **zero) as opened:
            token = {"X-IP-Token": "head.e30.signature"}  # as the Hub's proxy names a visitor
            page = click(open_page, expect, opened, extra_http_headers=token)
            assert api.paths() == ["/startup-report"]
            page.locator("[data-action=write]").click()
            drawer = page.locator(".drawer")
            state = drawer.locator(".writer-state")

            def write(title):
                drawer.locator("[name=title]").fill(title)
                drawer.get_by_role("button", name="Encode").click()

            write("A funny heist on Mars")
            expect(state).to_have_text("Encoded.")
            expect(drawer.locator(".nears")).to_have_count(2)
            assert api.paths()[1:] == ["/schedule", "/allow", "/release"]
            asked = api.arguments("/schedule")
            assert (asked["durationSeconds"], asked["token"]) == ("10", token["X-IP-Token"])
            assert api.arguments("/release")["fail"] == "false"
            api.busy = "queue"
            write("A long heist on Pluto")
            expect(state).to_have_text("Encoded.")
            for busy, quota, reason in (
                ("none", 120, "No GPU was available"),
                ("late", 120, "No GPU was available after 60s"),
                ("", 5, "You have exceeded your ZeroGPU quota"),
            ):
                api.busy, api.quota = busy, quota
                write(reason)
                expect(state).to_contain_text(f"No GPU has encoded the text ({reason}")
                expect(state).to_contain_text("): try again later.")
                expect(drawer.locator("[name=title]")).to_have_value(reason)
                expect(drawer.locator(".nears")).to_have_count(0)
            api.quota = 120
            write("A merry heist on Venus")
            expect(state).to_have_text("Encoded.")
            page.close()
        said = opened.log.read_text()
        assert "ZeroGPU knows the app" in said
        assert "No blocks.server" not in said  # or inherited connections stay open


@staged
@pytest.mark.long
@pytest.mark.parametrize("torch", [TORCHES[0], TORCHES[-1]])
def test_built_as_a_space_builds_it(torch, space, open_page, expect):
    """With ZeroGPU's package and its torch, which is built for CUDA; then without the package."""
    python = python_of_a_space()
    if python is None:
        pytest.skip("this machine has no Python of the version that the Space asks for")
    made = built_environment(space, python, torch)
    with device_api() as (api, url):
        zero = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": url}
        with running(space, python=made, **zero) as opened:
            hold_to_limits(click(open_page, expect, opened), expect, opened)
        assert api.paths() == ["/startup-report"]
        assert "Traceback" not in opened.log.read_text()
        subprocess.run([made, "-m", "pip", "uninstall", "-q", "-y", "spaces"], check=True)
        with running(space, python=made) as opened:
            hold_to_limits(click(open_page, expect, opened), expect, opened)
        assert api.paths() == ["/startup-report"]
        assert "Traceback" not in opened.log.read_text()


def hold_to_limits(page, expect, opened):
    page.locator("[data-action=write]").click()
    drawer = page.locator(".drawer")
    drawer.locator("[name=title]").fill("A funny heist on Mars")
    drawer.get_by_role("button", name="Encode").click()
    expect(drawer.locator(".writer-state")).to_have_text("Encoded.")
    print(f"open after {opened.start_s:.1f} s, at most {opened.peak_bytes() / 1e6:.0f} MB")
    page.close()
    assert opened.start_s < MAX_START_S
    assert opened.peak_bytes() < MAX_BYTES


class Hub:
    """Answers what its client asks when a Space is made and filled.

    Attributes:
        made: what was asked of the Space.
        files: path -> bytes.
    """

    def __init__(self):
        self.made, self.files = [], {}

    def answer(self, method, path, body):
        """The status and body of an answer."""
        found = {}
        if path.endswith("/repos/create"):
            self.made.append(json.loads(body))
            found = {"url": "https://huggingface.co/spaces/NAME/SPACE"}
        elif path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            found["files"] = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
        elif "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            page = "https://huggingface.co/spaces/NAME/SPACE/commit/" + "0" * 40
            found = {"commitUrl": page, "commitOid": "0" * 40, "success": True}
        return 200, json.dumps(found).encode()


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_commands_of_the_page_push_the_tracked_files_to_a_zerogpu_space(tmp_path):
    """The real client; it is told of a token in place of the dialogue in which it asks for one."""
    commands = block("space.md", "push")
    commands = commands.replace("../space", str(tmp_path / "space"))
    commands = commands.replace(".venv/bin/hf", f"{sys.executable} -m huggingface_hub.cli.hf")
    assert " auth login\n" in commands
    commands = re.sub(r".* auth login\n", "", commands)
    hub = Hub()
    with answering(hub.answer) as address:
        environ = {"HF_ENDPOINT": address, "HF_TOKEN": "hf_x", "HF_HOME": str(tmp_path / "home")}
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=ROOT, env=os.environ | environ, check=True,
        )  # fmt: skip
    assert hub.made[0]["type"] == "space" and hub.made[0]["sdk"] == "gradio"
    assert hub.made[0]["hardware"] == "zero-a10g"
    tree = subprocess.check_output(["git", "ls-tree", "-rz", "--name-only", "HEAD"], cwd=ROOT)
    assert set(hub.files) == set(tree.decode().split("\0")) - {""}
    assert hub.files["README.md"].startswith(b"---\ntitle: HLLM Live\nsdk: gradio\n")
