import numpy as np
import pytest
from accelerate.state import AcceleratorState

from tests.hllm.training.runs import NUM_ITEMS


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """One process has one precision, unless it forgets it between two runs."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def write_data(tokenizer, _tiny):
    """Write a data set: users who walk along a ring of items, and a tiny random Llama for them."""

    def write(folder, walks, num_items=NUM_ITEMS):
        _tiny.item_llm.save_pretrained(folder / "item_llm")
        tokenizer.save_pretrained(folder / "item_llm")
        titles = [f"{chr(97 + n) * (3 + n % 5)} {n * 7919 % 997}" for n in range(num_items)]
        rows = "".join(f"i{n},{title}\n" for n, title in enumerate(titles))
        (folder / "items.csv").write_text(f"item_id,title\n{rows}")
        lines = ["item_id,user_id,timestamp"]
        for user, (start, length) in enumerate(walks):
            lines += [f"i{(start + step) % num_items},u{user},{step}" for step in range(length)]
        (folder / "interactions.csv").write_text("\n".join(lines) + "\n")
        return folder

    return write


@pytest.fixture(scope="session")
def ring(tmp_path_factory, write_data):
    """Enough readers to learn the ring from."""
    rng = np.random.default_rng(0)
    walks = [(rng.integers(NUM_ITEMS), rng.integers(5, 14)) for _ in range(120)]
    return write_data(tmp_path_factory.mktemp("ring"), walks)


@pytest.fixture(scope="session")
def small(tmp_path_factory, write_data):
    """Sixteen readers of short histories: two steps are an epoch."""
    walks = [(user, 4 + user % 4) for user in range(16)]
    return write_data(tmp_path_factory.mktemp("small"), walks, num_items=12)
