"""Items of no catalogue: as one of the same text in it, and within bounds."""

import threading

import pytest
import torch
import torch.nn.functional as F

from hllm.checkpoint import save_model
from hllm.embed import embed_items
from hllm.errors import CheckpointError
from hllm.recommend import load_hllm
from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.serving.new_items import NewItem, NewItems, rows_of, vectors_of
from hllm.serving.prefix_tree import NODE_BYTES, PrefixTree
from hllm.serving.request_batching import BusyError
from hllm.store import BLEND, EMBEDDINGS, ItemEmbeddings
from hllm.text import item_text

N = 20
FIELDS = [{"title": f"book number {n * 37 % 101}", "shelf": "not read"} for n in range(N)]
PROMPT = "Compress the following sentence into embedding: "
NEW = {"title": "A funny heist on Mars"}


@pytest.fixture
def folder(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    texts = [(f"i{n}", item_text(values, ["title"], PROMPT)) for n, values in enumerate(FIELDS)]
    embed_items(tmp_path, texts, tmp_path / EMBEDDINGS, half=False, progress=False)
    return tmp_path


def blended(folder):

    stored = ItemEmbeddings.load(folder / EMBEDDINGS)
    noise = torch.Generator().manual_seed(7)
    Blend(
        BlendWeights(text=0.5, rare_text=0.25, neighbours=0.4, decay=0.7),
        F.normalize(torch.randn(N, 8, generator=noise), dim=1).half(),
        torch.arange(N + 1),
        (torch.arange(N, dtype=torch.int32) + 1) % N,
        torch.rand(N, generator=noise),
        torch.arange(N, dtype=torch.int32),
        catalog_of(stored),
    ).save(folder / BLEND)


@pytest.fixture(params=["exact", "approximate"])
def recommender(request, folder, monkeypatch):
    if request.param == "approximate":
        monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
    return load_hllm(folder)


def test_the_text_of_an_item_of_the_catalogue_has_its_embedding(recommender):
    for row in (0, 7):
        new = recommender.new_item(FIELDS[row])
        expected = recommender.item_embedding(f"i{row}")
        torch.testing.assert_close(new.vector, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "history", [["i7"], ["i1", "i7"], ["i7", "i1", "i2"], [f"i{n}" for n in range(3, 16)]]
)
def test_such_a_history_recommends_what_that_of_the_catalogue_does(recommender, history):
    """The tiny model reads six items: the last history has more."""
    written = [FIELDS[7] if item == "i7" else item for item in history]
    for length in range(1, len(history) + 1):  # click after click, from what is known
        catalogue = recommender.recommend(history[:length], top_k=N).items
        new = recommender.recommend(written[:length], top_k=N).items
        found = {item.item_id: item.score for item in new if item.item_id != "i7"}
        expected = {i.item_id: i.score for i in catalogue if i.item_id != "i7"}
        assert found == pytest.approx(expected, abs=1e-5)
        if "i7" in history[:length]:
            assert "i7" in {item.item_id for item in new}  # nothing tells that they are the same
    whole = recommender.read_whole(written)
    assert whole.cosine == pytest.approx(1, abs=1e-5)


def test_what_is_known_of_a_new_item_is_not_read_again(recommender):
    first = recommender.recommend(["i1", NEW])
    assert (first.num_read, first.num_known) == (2, 0)
    again = recommender.recommend(["i1", dict(NEW), "i2"])
    assert (again.num_read, again.num_known) == (1, 2)
    other = recommender.recommend(["i1", {"title": "Another text"}, "i2"])
    assert (other.num_read, other.num_known) == (2, 1)


def test_a_new_item_is_ranked_as_its_twin_of_the_catalogue(recommender):
    history = ["i1", "i2", "i3"]
    twin, new = recommender.rank_of(history, "i7"), recommender.rank_of(history, FIELDS[7])
    assert new.score == pytest.approx(twin.score, abs=1e-5)
    assert new.rank - twin.rank in (0, 1)  # the twin itself may be before it
    assert new.item_id == recommender.new_item(FIELDS[7]).name
    nearest = recommender.similar(FIELDS[7], 3)
    assert nearest[0].item_id == "i7" and nearest[0].cosine == pytest.approx(1, abs=1e-5)
    changes = recommender.explain(["i1", FIELDS[7], "i3"], "i9")
    expected = recommender.explain(["i1", "i7", "i3"], "i9")
    assert [c.change for c in changes] == pytest.approx([c.change for c in expected], abs=1e-5)
    assert [c.item_id for c in changes] == ["i1", new.item_id, "i3"]


def test_the_other_parts_of_a_blend_do_not_see_it(folder):
    blended(folder)
    recommender = load_hllm(folder)
    assert recommender.recommend([NEW], top_k=N).items  # nothing of the catalogue is in it
    plain = recommender.recommend(["i1", NEW], top_k=N).items
    blend = Blend.load(folder / BLEND)
    user = recommender._user(recommender._keys(["i1", NEW]))
    cosines = F.normalize(recommender._inputs.float(), dim=1) @ F.normalize(user, dim=0)
    expected = blend.scores(cosines.unsqueeze(0), [[1]])[0]
    assert {i.item_id: i.score for i in plain} == pytest.approx(
        {f"i{n}": float(expected[n]) for n in range(N) if n != 1}, abs=1e-5
    )
    cosine = F.cosine_similarity(recommender.new_item(NEW).vector, recommender._user([1]), dim=0)
    assert recommender.rank_of(["i1"], NEW).score == pytest.approx(float(cosine), abs=1e-5)
    changes = recommender.explain([NEW, {"title": "Another"}], "i4")
    assert len(changes) == 2 and recommender.explain(["i1", "i2"], NEW)


def counted(made, max_kept=3):
    def encode(fields):
        made.append(fields["title"])
        return torch.ones(4)

    return NewItems(lambda fields: fields["title"], lambda: None, encode, max_kept)


def test_the_last_ones_are_remembered_and_no_more():
    made = []
    items = counted(made)
    for title in ("a", "b", "c", "a", "d", "a", "b"):
        items.get({"title": title, "not read": title * 2})
    assert made == ["a", "b", "c", "d", "b"]
    assert len(items._kept) == 3


def test_no_more_than_a_few_wait_to_be_encoded(monkeypatch):
    entered, go_on = threading.Semaphore(0), threading.Event()

    def encode(fields):
        entered.release()
        go_on.wait(20)
        return torch.ones(4)

    items = NewItems(lambda fields: fields["title"], lambda: None, encode)
    threads = [
        threading.Thread(target=items.get, args=({"title": str(n)},), daemon=True) for n in range(4)
    ]
    for thread in threads:
        thread.start()
        assert entered.acquire(timeout=20)
    with pytest.raises(BusyError, match="try again"):
        items.get({"title": "one too many"})
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert items.get({"title": "one too many"}).encode_ms >= 0


def test_a_model_that_is_damaged_says_so_and_nothing_is_kept(folder):
    items = NewItems(
        lambda fields: "", lambda: None, lambda fields: torch.tensor([1.0, float("nan")])
    )
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        items.get({})
    assert not items._kept
    recommender = load_hllm(folder)
    recommender._new_items = None
    with pytest.raises(CheckpointError, match="encodes texts"):
        recommender.recommend(["i1", NEW])
    with pytest.raises(CheckpointError, match="encodes texts"):
        recommender.load_item_encoder()


def test_keys_are_rows_or_bring_their_vectors():
    vectors, new = torch.randn(4, 3).half(), NewItem("n", torch.randn(3), 0.5)
    assert rows_of([3, new, 1]) == [3, 1]
    assert vectors_of(vectors, [3, 1]).dtype == torch.float16
    mixed = vectors_of(vectors, [3, new])
    assert torch.equal(mixed, torch.stack([vectors[3].float(), new.vector]))
    assert new == NewItem("n", torch.zeros(3), 9.0) != NewItem("m", new.vector, 0.5)


def test_the_tree_of_prefixes_counts_the_embedding_that_it_holds():
    tree = PrefixTree()
    tree.add([1, NewItem("n", torch.ones(6), 0.0)], torch.ones(2, 5))
    assert tree.num_bytes == 2 * (5 * 4 + NODE_BYTES) + 6 * 4
