"""HLLMs and ID models as the loop sees them: made, continued from a folder, refused."""

import pytest

from hllm.baselines.id_models import load_id_model
from hllm.errors import CheckpointError, DataError
from tests.hllm.training.runs import small_trainer


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
