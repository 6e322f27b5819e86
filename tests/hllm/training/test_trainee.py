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
