"""HLLMs and ID models as the loop sees them: made, continued from a folder, refused."""

import numpy as np
import pytest

from hllm.baselines.id_models import load_id_model
from hllm.errors import CheckpointError, DataError
from hllm.store import EMBEDDINGS, ItemEmbeddings
from tests.hllm.training.runs import losses, small_trainer


def test_gradient_checkpointing_of_small_models_is_one_clear_error(small, tmp_path):
    with pytest.raises(DataError, match="too small"):
        small_trainer(small, tmp_path / "run", model_kind="sasrec", gradient_checkpointing=True)


def test_id_model_goes_on_from_another_run_on_the_same_items_only(small, tmp_path):
    small_trainer(small, tmp_path / "first", model_kind="hstu").run()
    again = small_trainer(
        small, tmp_path / "second", model_kind="hstu", start_from=tmp_path / "first"
    )
    saved = load_id_model(tmp_path / "first")[0].state_dict()
    assert all(v.equal(saved[k]) for k, v in again.trainee.step.model.state_dict().items())
    other = tmp_path / "other.csv"
    other.write_text((small / "interactions.csv").read_text().replace("i3,", "new,"))
    with pytest.raises(CheckpointError, match="another data set"):
        small_trainer(
            small, tmp_path / "third", model_kind="hstu", start_from=tmp_path / "first",
            interactions=other,
        )  # fmt: skip
    with pytest.raises(CheckpointError, match="does not fit these options"):
        small_trainer(
            small, tmp_path / "third", model_kind="hstu", start_from=tmp_path / "first",
            user_size=32,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"text_keys": "titel"}, r"items.csv: no column 'titel' .*: the columns are title"),
        ({}, r"items.csv: no column 'title' .*: the columns are name"),
    ],
)
def test_a_text_key_that_no_item_has_is_an_error(small, tmp_path, keys, message):
    items = tmp_path / "items.csv"
    header = "title" if keys else "name"
    rows = (small / "items.csv").read_text().split("\n", 1)[1]
    items.write_text(f"item_id,{header}\n{rows}")
    with pytest.raises(DataError, match=message):
        small_trainer(small, tmp_path / "run", items=items, **keys)


@pytest.fixture
def with_untouched(small, tmp_path):
    """The items of `small` and one more, which nobody has touched."""
    items = tmp_path / "more_items.csv"
    items.write_text((small / "items.csv").read_text() + "untouched,aaa 0\n")
    return items


@pytest.mark.parametrize("way", ["frozen", "top", "full"])
def test_validation_ranks_the_catalogue_and_training_draws_what_was_touched(
    small, with_untouched, tmp_path, way
):
    run = small_trainer(small, tmp_path / "run", items=with_untouched, item_training=way)
    scores = run.trainee.scorer().score([np.array([1, 2])])
    assert run.trainee.texts.item_ids[-1] == "untouched"
    assert scores.shape[1] == run.interactions.num_items + 1
    run.run()
    assert "untouched" in ItemEmbeddings.load(tmp_path / "run" / EMBEDDINGS).item_ids


def test_what_nobody_has_touched_does_not_change_training(small, with_untouched, tmp_path):
    options = {"item_adapter": "mlp", "item_adapter_hidden_size": 8}  # with a whitening
    small_trainer(small, tmp_path / "a", **options).run()
    small_trainer(small, tmp_path / "b", items=with_untouched, **options).run()
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=1e-4)


def test_as_in_the_reference_validation_leaves_out_what_nobody_has_touched(
    small, with_untouched, tmp_path
):
    run = small_trainer(small, tmp_path / "run", items=with_untouched, reference_compatible=True)
    scores = run.trainee.scorer().score([np.array([1, 2])])
    assert scores.shape[1] == run.interactions.num_items


def test_items_are_embedded_where_the_model_was_trained(small, tmp_path, monkeypatch):
    run = small_trainer(small, tmp_path / "run")
    devices = []
    monkeypatch.setattr(
        "hllm.training.trainee.embed_items", lambda *_, device: devices.append(device)
    )
    run.trainee.save(tmp_path / "run")
    run.trainee.finish(tmp_path / "run")
    assert devices == [run.accelerator.device]
