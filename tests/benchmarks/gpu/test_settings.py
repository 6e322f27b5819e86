from dataclasses import replace

import pytest

from benchmarks.gpu.settings import FILE, Settings, load_settings
from hllm.errors import DataError


def test_a_folder_takes_results_of_one_kind_only(tmp_path):
    settings = Settings(output=str(tmp_path), device="cpu", text_keys=("title", "creator"))
    settings.save()
    settings.save()
    assert load_settings(tmp_path / FILE) == settings
    with pytest.raises(DataError, match="holds results of another device, tiny: "):
        replace(settings, device="cuda", tiny=True).save()
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(DataError, match=r"settings\.json is damaged"):
        settings.save()
