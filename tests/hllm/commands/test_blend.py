"""The command that blends a trained model: what it writes, says and refuses."""

import numpy as np
import pytest

from hllm.commands.blend import main
from hllm.embed import embed_items
from hllm.evaluate import DataSet
from hllm.serving.blend import Blend
from hllm.store import BLEND, EMBEDDINGS


@pytest.fixture
def arguments(model_folder, tiny_model, csv_pair, monkeypatch):
    vectors = np.eye(13, 16, dtype=np.float32)
    monkeypatch.setattr("hllm.blend.sentence_vectors", lambda *args, **options: vectors)
    data = DataSet.read(*csv_pair)
    pairs = zip(data.interactions.item_ids[1:], data.fields[1:], strict=True)
    texts = [(item_id, tiny_model.config.item_text(fields)) for item_id, fields in pairs]
    embed_items(model_folder, texts, model_folder / EMBEDDINGS, progress=False)
    interactions, items = map(str, csv_pair)
    return ["--model", str(model_folder), "--items", items, "--interactions", interactions]


def test_it_writes_the_blend_and_says_what_it_gives(arguments, model_folder, capsys):
    assert main([*arguments, "--device", "cpu"]) == 0
    said = "".join(capsys.readouterr())
    weights = Blend.load(model_folder / BLEND).weights
    assert f"{weights.neighbours:g} * neighbours" in said
    for name in ("HLLM alone", "text weighted 0.7^age", "text of the last item", "the blend"):
        assert f"{name}" in said
    assert "recall@10" in said and "30 users" in said


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--max-users", "0"], "--max-users 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--device", "nowhere"], "--device nowhere"),
        (["--model", "missing"], "No HLLM model at missing"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(arguments, model_folder, capsys, extra, message):
    try:
        code = main([*arguments, *extra])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert message in "".join(capsys.readouterr())
    assert not (model_folder / BLEND).exists()
