"""The index on the disk, with the real engine: exact search's results, filters, damage, kills."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hllm.recommend
from hllm.errors import HLLMError, StaleEmbeddingsError
from hllm.serving.index import ItemIndex
from hllm.store import ItemEmbeddings

pytest.importorskip("lancedb", reason="requirements-scale.txt is not installed")

from hllm.serving import lance_index
from hllm.serving.lance_index import LanceIndex

ROOT = Path(__file__).parents[3]
COUNT, WIDTH = 6_000, 68  # not a multiple of 8
IDS = [f"i{n}" for n in range(COUNT)]


def save(vectors, path):
    ids = IDS[: len(vectors)]
    ItemEmbeddings(ids, ["0" * 16] * len(ids), vectors, "f" * 16).save(path)
    return ItemEmbeddings.load(path).vectors


@pytest.fixture(scope="module")
def vectors():
    """Items in 200 groups of about equal direction, of different lengths; one is zero."""
    random = torch.Generator().manual_seed(7)
    groups = torch.randn(200, WIDTH, generator=random)
    chosen = groups[torch.randint(200, (COUNT,), generator=random)]
    noise = 0.5 * torch.randn(COUNT, WIDTH, generator=random)
    found = ((chosen + noise) * (0.5 + torch.rand(COUNT, 1, generator=random))).half()
    found[17] = 0
    return found


@pytest.fixture(scope="module")
def path(vectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "embeddings.safetensors"
    save(vectors, path)
    return path


@pytest.fixture(scope="module")
def indexes(vectors, path):
    return ItemIndex(IDS, vectors), LanceIndex(IDS, ItemEmbeddings.load(path).vectors, path)


@pytest.fixture(scope="module")
def queries(vectors):
    return F.normalize(vectors[100:120].float() + vectors[101:121].float(), dim=-1)


def filters(vectors):
    """Rows that a filter leaves: scattered, alike, few, none."""
    towards = vectors.float() @ torch.ones(WIDTH)
    return {
        "all": None,
        "half": np.arange(0, COUNT, 2, dtype=np.int32),
        "most": np.arange(COUNT // 20, COUNT),
        "alike": np.sort(towards.topk(COUNT // 2).indices.numpy()),
        "few": np.arange(5, COUNT, 50),
        "fewer than asked": np.array([3, 17, 4_000]),
        "none": np.array([], dtype=np.int64),
    }


@pytest.mark.parametrize("name", filters(torch.zeros(COUNT, WIDTH)))
@pytest.mark.parametrize("exact_rows", [0, 2_000])
def test_the_best_hundred_are_those_of_exact_search(
    indexes, vectors, queries, monkeypatch, name, exact_rows
):
    monkeypatch.setattr("hllm.serving.approximate_index.EXACT_ROWS", exact_rows)
    exact, on_disk = indexes
    allowed = filters(vectors)[name]
    found = wanted = 0
    for query in queries:
        exclude = [row for row, _ in exact.search(query, 5, allowed=allowed)]
        best = exact.search(query, 100, exclude, allowed)
        answer = on_disk.search(query, 100, exclude, allowed)
        assert len(answer) == len(best)
        assert all(np.isfinite(score) for _, score in answer)
        scores = [score for _, score in answer]
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx(
            [(exact.vectors[row] @ query).item() for row, _ in answer], abs=1e-5
        )
        rows = {row for row, _ in answer}
        assert not rows & set(exclude)
        assert allowed is None or rows <= set(allowed.tolist())
        found, wanted = found + len(rows & dict(best).keys()), wanted + len(best)
    assert found >= 0.99 * wanted


def test_an_engine_that_finds_few_allowed_items_is_asked_for_more(
    indexes, vectors, queries, monkeypatch
):
    """The items that a filter leaves may be the farthest from the query."""
    exact, on_disk = indexes
    asked = []
    real = LanceIndex._nearest
    monkeypatch.setattr(
        LanceIndex, "_nearest", lambda self, u, n, **o: asked.append(n) or real(self, u, n, **o)
    )
    allowed = np.sort((exact.vectors @ queries[0]).topk(4_800, largest=False).indices.numpy())
    best = exact.search(queries[0], 20, allowed=allowed)
    answer = on_disk.search(queries[0], 20, allowed=allowed)
    assert answer == [(row, pytest.approx(score, abs=1e-5)) for row, score in best]
    assert asked == [1_500]  # of which 300 are allowed; for 6,000 the allowed are ranked instead


def test_ranks_are_those_of_exact_search(indexes, queries):
    exact, on_disk = indexes
    row = exact.search(queries[0], 30)[-1][0]
    assert on_disk.rank(queries[0], row)[1] == exact.rank(queries[0], row)[1] == 30
    assert on_disk.rank(queries[0], exact.search(queries[0], 2_000)[-1][0])[1] is None


def test_visitors_search_at_once(indexes, queries):
    _, on_disk = indexes
    one_by_one = [on_disk.search(query, 50) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: on_disk.search(query, 50), queries)) == one_by_one


def kept(path):
    return list(path.parent.glob("*.lancedb"))


def test_the_index_is_kept_and_made_again_for_other_embeddings(vectors, tmp_path, monkeypatch):
    path = tmp_path / "embeddings.safetensors"
    stored = save(vectors[:1_500], path)
    built = []
    real = lance_index._build
    monkeypatch.setattr(lance_index, "_build", lambda v, f: built.append(1) or real(v, f))
    first = LanceIndex(IDS[:1_500], stored, path)
    (folder,) = kept(path)
    again = LanceIndex(IDS[:1_500], stored, path)
    assert len(built) == 1
    assert first.search(vectors[3].float(), 20) == again.search(vectors[3].float(), 20)
    other = save(vectors[1_500:3_000], path)
    LanceIndex(IDS[:1_500], other, path)
    assert len(built) == 2
    assert kept(path) != [folder]
    assert len(kept(path)) == 1


def test_damage_that_shows_makes_it_again(vectors, tmp_path, caplog):
    path = tmp_path / "embeddings.safetensors"
    stored = save(vectors[:1_500], path)
    LanceIndex(IDS[:1_500], stored, path)
    (folder,) = kept(path)
    assert lance_index._problem(folder, 1_500) == ""
    assert lance_index._problem(folder, 1_501) == "it holds other items"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) >= 5
    for file in files:
        whole = file.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole + b"x", None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            assert lance_index._problem(folder, 1_500), file
            file.write_bytes(whole)
    assert lance_index._problem(folder, 1_500) == ""
    files[0].unlink()
    index = LanceIndex(IDS[:1_500], stored, path)
    assert f"{folder} is damaged" in caplog.text
    assert lance_index._problem(folder, 1_500) == ""
    exact = ItemIndex(IDS[:1_500], stored)
    query = vectors[3].float()
    assert [row for row, _ in index.search(query, 5)] == [row for row, _ in exact.search(query, 5)]


def test_damage_inside_a_file_never_shows_a_wrong_score(vectors, tmp_path):
    path = tmp_path / "embeddings.safetensors"
    stored = save(vectors[:3_000], path)
    LanceIndex(IDS[:3_000], stored, path)
    (folder,) = kept(path)
    file = next(folder.rglob("auxiliary.idx"))
    whole = file.read_bytes()
    scores = F.normalize(stored.float(), dim=-1) @ F.normalize(vectors[3].float(), dim=-1)
    for start in range(0, len(whole), len(whole) // 12):
        file.write_bytes(whole[:start] + b"\xa5" * 64 + whole[start + 64 :])
        os.truncate(file, len(whole))
        try:
            found = LanceIndex(IDS[:3_000], stored, path).search(vectors[3].float(), 20)
        except StaleEmbeddingsError as error:
            assert "delete it, and the next start makes it again" in str(error)
            continue
        for row, score in found:
            assert score == pytest.approx(scores[row].item(), abs=1e-5)
        if not kept(path)[0].samefile(folder):
            break


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_half(vectors, tmp_path):
    path = tmp_path / "embeddings.safetensors"
    stored = save(vectors, path)
    code = (
        "import sys; from pathlib import Path\n"
        "from hllm.serving import lance_index\n"
        "from hllm.store import ItemEmbeddings\n"
        "path = Path(sys.argv[1]); found = ItemEmbeddings.load(path)\n"
        "lance_index._sizes_of = lambda folder: print('built', flush=True) or input()\n"
        "lance_index.LanceIndex(found.item_ids, found.vectors, path)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"built\n"
        process.send_signal(signal.SIGKILL)
    assert kept(path) == []
    assert list(tmp_path.glob(".*.partial")) != []
    LanceIndex(IDS, stored, path)
    assert len(kept(path)) == 1
    assert list(tmp_path.glob(".*.partial")) == []


def test_not_a_number_is_refused_before_anything_is_written(vectors, tmp_path):
    path = tmp_path / "embeddings.safetensors"
    path.touch()
    broken = vectors[:500].clone()
    broken[7, 3] = float("nan")
    with pytest.raises(StaleEmbeddingsError, match="i7"):
        LanceIndex(IDS[:500], broken, path)
    assert os.listdir(tmp_path) == [path.name]


def test_without_the_package_it_is_said_how_to_install_it(vectors, tmp_path, monkeypatch):
    path = tmp_path / "embeddings.safetensors"
    stored = save(vectors[:500], path)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(HLLMError, match=r"pip install -r requirements-scale\.txt"):
        LanceIndex(IDS[:500], stored, path)
    assert kept(path) == []


@pytest.mark.slow
def test_it_opens_no_connection(path, tmp_path):
    """Building and searching without a network, and without a socket that could reach one."""
    code = (
        "import os, re, sys; from pathlib import Path\n"
        "from hllm.serving.lance_index import LanceIndex\n"
        "from hllm.store import ItemEmbeddings\n"
        "path = Path(sys.argv[1]); found = ItemEmbeddings.load(path)\n"
        "index = LanceIndex(found.item_ids, found.vectors, path)\n"
        "assert index.search(found.vectors[0].float(), 50)\n"
        "names = [os.readlink(f) for f in Path('/proc/self/fd').iterdir() if f.is_symlink()]\n"
        "own = {m[1] for m in (re.match(r'socket:\\[(\\d+)', n) for n in names) if m}\n"
        "for kind in ('tcp', 'tcp6', 'udp', 'udp6'):\n"
        "    table = Path('/proc/self/net', kind)\n"
        "    lines = table.read_text().splitlines()[1:] if table.exists() else []\n"
        "    assert not own & {line.split()[9] for line in lines}, kind\n"
        "print('done')\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    cut = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*cut, "true"], capture_output=True, check=False).returncode == 0:
        command = [*cut, *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr


def test_it_is_chosen_by_name(vectors, path):
    embeddings = ItemEmbeddings.load(path)
    assert isinstance(hllm.recommend.make_index(embeddings, path), ItemIndex)
    assert isinstance(hllm.recommend.make_index(embeddings, path, "lancedb"), LanceIndex)
