"""The command that converts a checkpoint: presets, models of one's own, NF4, mistakes."""

import json

import pytest
import torch

from hllm.commands.checkpoint import main
from hllm.model_folder import ModelFolder
from hllm.weights.files import holds_nf4, iter_packed, read_shapes
from hllm.weights.nf4_format import QUANTIZATION_CONFIG
from tests.hllm.published.reference_states import LLAMA, write_checkpoint


@pytest.fixture
def options(tmp_path, tokenizer):
    return write_checkpoint(tmp_path, tokenizer) | {"output": tmp_path / "model"}


def test_a_preset_or_text_keys_are_needed_and_a_preset_sets_all(options, capsys):
    arguments = ["convert", str(options["weights"]), str(options["output"]),
                 "--item-base", str(options["item_base"])]  # fmt: skip
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "--preset NAME or --text-keys" in capsys.readouterr().err
    assert main([*arguments, "--preset", "HLLM-1B-Pixel8M", "--dtype", "bfloat16"]) == 0
    config = ModelFolder(options["output"]).config
    assert config.text_keys == ["title", "tag", "description"]
    assert (config.max_text_tokens, config.max_history) == (256, 10)
    assert config.item_prompt == "Compress the following sentence into embedding: "
    assert config.dtype == torch.bfloat16
    card = (options["output"] / "README.md").read_text()
    for part in ("1B_Pixel8M/pytorch_model.bin", "bytedance/HLLM", "TinyLlama-1.1B: Apache-2.0",
                 "title, tag, description", "PixelRec", "bfloat16"):  # fmt: skip
        assert part in card


def test_nf4(tmp_path, tokenizer):
    wide = LLAMA | {"hidden_size": 64, "intermediate_size": 128}
    options = write_checkpoint(tmp_path, tokenizer, wide, wide)
    arguments = [str(options["weights"]), str(tmp_path / "model")]
    arguments += ["--item-base", str(options["item_base"]), "--text-keys", "title"]
    assert main(["convert", *arguments, "--dtype", "nf4"]) == 0
    assert holds_nf4(tmp_path / "model")
    values = json.loads((tmp_path / "model" / "config.json").read_text())
    assert values["quantization_config"] == QUANTIZATION_CONFIG
    assert values["dtype"] == "bfloat16"
    assert (
        "in NF4 with double quantization, the others bfloat16"
        in (tmp_path / "model" / "README.md").read_text()
    )
    assert len(dict(iter_packed(tmp_path / "model"))) == len(read_shapes(tmp_path / "model"))


@pytest.mark.parametrize("size", ["0", "-1", "inf", "nan"])
def test_a_size_of_files_that_is_none_is_refused_before_any_work(options, capsys, size):
    arguments = ["convert", str(options["weights"]), str(options["output"]), "--text-keys", "title"]
    arguments += ["--item-base", str(options["item_base"]), f"--shard-gb={size}"]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert f"--shard-gb {float(size)}: must be more than 0" in capsys.readouterr().err
    assert not options["output"].exists()
