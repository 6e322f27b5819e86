import io

import pytest

from hllm.checkpoint import save_model


@pytest.fixture
def folder(tiny_model, tokenizer, tmp_path, monkeypatch):
    """A valid one to spoil. Somebody says yes to every question; code in it would leave a mark."""
    made = tmp_path / "model"
    save_model(tiny_model, made, tokenizer)
    code = f"open({str(tmp_path / 'mark')!r}, 'w').close()\n"
    for name in ("evil", "tokenization_evil"):
        (made / f"{name}.py").write_text(f"{code}class Model: pass\nConfig = Evil = Model\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 100))
    yield made
    assert not (tmp_path / "mark").exists()
