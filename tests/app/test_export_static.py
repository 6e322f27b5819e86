import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from app.books.facts import load_books
from app.catalog import Catalog
from app.detail import Details
from app.errors import CatalogError
from app.export_static import MARKER, check_target, main, replacing
from app.opening import BUILT_IN_BASELINE, BUILT_IN_MODELS, open_service
from app.payloads import answer_payload, browse_payload, detail_payload, pushes_payload, why_payload
from app.settings import ROOT, Settings
from app.static_space.export import write_static
from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.store import BLEND, EMBEDDINGS, ItemEmbeddings

SCRIPT = ROOT / "tests" / "assets" / "static_answers.js"
TOLERANCE = 1e-3  # of a score
NUM_BOOKS = 150
LIMIT_S = 120  # a guard


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """150 of the built-in books, whose models know all 1,397."""
    path = tmp_path_factory.mktemp("books") / "books.db"
    with Catalog.create(path, name='Some "books": <b>') as catalog:
        catalog.add_items(book.as_item() for book in load_books()[:NUM_BOOKS])
    return Settings(
        catalog=path,
        model=BUILT_IN_MODELS[0],
        baseline=BUILT_IN_BASELINE,
        precision="fp32",
        data_dir=path.parent,
        events_days=0,
    )


@pytest.fixture(scope="module")
def service(settings):
    service = open_service(settings)
    yield service
    service.close()


@pytest.fixture(scope="module")
def out(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("static") / "page"
    options = ("catalog", "model", "baseline", "data_dir")
    named = [f"--{o.replace('_', '-')}={getattr(settings, o)}" for o in options]
    assert main([str(out), *named]) == 0
    return out


@contextmanager
def asking(out):
    """Asks the page's scripts, in node, with the runtime that a browser has."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    process = subprocess.Popen(
        ["node", str(SCRIPT), str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(name, asked):
        process.stdin.write(json.dumps([name, asked]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "it ended: its error stands above"
        return json.loads(line)

    yield ask
    process.stdin.close()
    assert process.wait(LIMIT_S) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def ask(out):
    with asking(out) as ask:
        yield ask


def ids(*places):
    books = load_books()
    return [books[place].item_id for place in places]


SCORE, WIDTH = re.compile(r"[01]\.\d{3}\b"), re.compile(r"width:[\d.]+%")
RANK = re.compile(r"#([\d,]+) of")
COVER = re.compile(r'(src=\\"|"cover": ")[^"]+')


def assert_alike(found, expected):
    """Equal but for covers, which are files here, and for rounding."""
    found, expected = (
        COVER.sub(r"\1", json.dumps(v, ensure_ascii=False, sort_keys=True))
        for v in (found, expected)
    )
    places = zip(RANK.findall(found), RANK.findall(expected), strict=True)
    assert [(a, b) for a, b in places if abs(whole(a) - whole(b)) > 2] == []
    for pattern in (RANK, WIDTH):
        found, expected = pattern.sub("#", found), pattern.sub("#", expected)
    assert SCORE.sub("#", found) == SCORE.sub("#", expected)
    pairs = zip(SCORE.findall(found), SCORE.findall(expected), strict=True)
    assert [(a, b) for a, b in pairs if abs(float(a) - float(b)) > TOLERANCE + 1e-9] == []


def whole(number):
    return int(number.replace(",", ""))


def question(history, **more):
    return {
        "version": 3,
        "history": history,
        "filter": {"category": "", "min_price": None, "max_price": None},
        "session": "0" * 32,
        "example": False,
        "blind": "",
        "what_if": None,
        **more,
    }


def only(**values):
    return {"category": "", "min_price": None, "max_price": None, **values}


def test_answers_are_those_of_the_server(ask, service):
    [category, *_] = [name for name, _ in service.categories]
    asked = [
        question([]),
        question([], example=True),
        question(ids(3)),
        question(ids(3, 7, 11, 3)),
        question([*ids(5, 6), "gone", "away"]),
        question(ids(*range(60))),
        question(ids(4, 9), filter=only(category=category)),
        question(ids(4, 9), filter=only(category="gone")),
        question(ids(4, 9), filter=only(min_price=3.5)),
        question(ids(4, 9), filter=only(category=category, min_price=9.5, max_price=3.5)),
        question(ids(1, 2), what_if={"diversity": 0.6, "less_popular": 0}),
        question(ids(1, 2), what_if={"diversity": 0.3, "less_popular": 1}),
        question(ids(1, 2), what_if={"diversity": 0, "less_popular": 0}),
    ]
    for raw in asked:
        found, expected = ask("answer", raw), answer_payload(service, raw)
        how, of_server = found.pop("how"), expected.pop("how")
        assert_alike(found, expected)
        assert (how is None) == (of_server is None)
        if how:
            same = ("width", "num_items", "num_candidates")
            assert [how[name] for name in same] == [of_server[name] for name in same]
            assert how["num_read"] == of_server["num_read"] + of_server["num_known"]


def test_search_finds_what_the_server_finds(ask, service):
    [category, *_] = [name for name, _ in service.categories]
    texts = [
        "",
        "the",
        "THE ring",
        "tolkien",
        "mur",
        "m\u00fcrder",
        "zzz",
        "...",
        "o'",
        "love war",
        "a a a",
    ]
    asked = [
        {"text": text, "category": chosen, "sort": sort, "cursor": None}
        for text in texts
        for chosen in ("", category, "gone")
        for sort in ("popularity", "title", "newest", "year")
    ]
    for raw in asked:
        found, expected = ask("browse", raw), browse_payload(service, raw)
        is_last = expected.pop("cursor") is None
        assert (found.pop("cursor") is None) == is_last, raw
        assert_alike(found, expected)


def test_the_next_page_goes_on_where_the_first_ended(ask, service):
    asked = {"text": "", "category": "", "sort": "title", "cursor": None}
    expected = browse_payload(
        service, {**asked, "cursor": browse_payload(service, asked)["cursor"]}
    )
    second = ask("browse", {**asked, "cursor": ask("browse", asked)["cursor"]})
    assert_alike(second["html"], expected["html"])


def test_the_drawer_says_what_the_server_says(ask, service):
    details = Details(service)
    asked = [
        {"item": item, "history": history, "blind": False}
        for item in [*ids(20, 140), "gone"]
        for history in ([], ids(1), ids(20, 3), ids(1, 2, 3))
    ]
    payloads = {"detail": detail_payload, "why": why_payload}
    for name, raw in [(name, q) for q in asked for name in payloads]:
        found, expected = ask(name, raw), payloads[name](details, raw)
        changes, of_server = found.pop("changes", {}), expected.pop("changes", {})
        assert changes == pytest.approx(of_server, abs=0.02)
        assert_alike(found, expected)


def test_what_items_push_and_where_a_pick_stood(ask, service):
    history = ids(1, 2, 3, 40)
    lists = answer_payload(service, question(history))["columns"]
    rows = {key: re.findall(r'class="rec item"[^>]*data-id="([^"]+)', lists[key]) for key in lists}
    asked = {"history": history, "rows": rows}
    pick = {"item": ids(50)[0], "history": history, "session": "0" * 32}
    pushed, verdict, scores = ask("pushes", asked), ask("judge", pick), ask("scores", {})
    expected = pushes_payload(Details(service), asked)["pushes"]
    assert pushed["pushes"].keys() == expected.keys() == {"hllm", "baseline"}
    for key in expected:
        for item in history:
            found = pushed["pushes"][key][item]
            for row in {*found, *expected[key][item]}:
                assert found.get(row, 0) == pytest.approx(expected[key][item].get(row, 0), abs=0.02)
    places = {c.key: c.wait().rank_of(history, ids(50)[0]) for c in service.columns}
    for key, place in places.items():
        assert verdict["ranks"][key] == pytest.approx(place.rank, abs=2)
    assert verdict["num_ranked"] == {key: place.num_ranked for key, place in places.items()}
    assert scores["picks"] == 0 and "server" in scores["message"]


def with_blend(folder, tmp_path):
    """A copy of a model folder, with a blend of random neighbours."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    embeddings = ItemEmbeddings.load(copy / EMBEDDINGS)
    size, chance = len(embeddings.item_ids), torch.Generator().manual_seed(5)
    Blend(
        weights=BlendWeights(text=0.4, rare_text=0.3, neighbours=0.5, decay=0.8),
        texts=torch.nn.functional.normalize(torch.randn(size, 16, generator=chance)).half(),
        starts=torch.arange(size + 1) * 4,
        neighbours=torch.randint(size, (4 * size,), generator=chance, dtype=torch.int32),
        similarities=torch.rand(4 * size, generator=chance),
        counts=torch.randint(9, (size,), generator=chance, dtype=torch.int32),
        catalog=catalog_of(embeddings),
    ).save(copy / BLEND)
    return copy


def test_blended_model_answers_with_the_same_blend(settings, tmp_path):
    blended = replace(settings, model=with_blend(settings.model, tmp_path))
    service, told = open_service(blended), []
    (tmp_path / "page").mkdir()
    write_static(tmp_path / "page", blended, told.append)
    details = {"item": ids(20)[0], "history": ids(1, 2, 3), "blind": False}
    with asking(tmp_path / "page") as ask:
        for asked in (question(ids(5)), question(ids(*range(30)))):
            found, expected = ask("answer", asked), answer_payload(service, asked)
            del found["how"], expected["how"]
            assert "text and item-kNN" in found["columns"]["hllm"]
            assert_alike(found, expected)
        found, expected = ask("why", details), why_payload(Details(service), details)
        assert found.pop("changes") == pytest.approx(expected.pop("changes"), abs=0.02)
        assert_alike(found, expected)
    service.close()


def test_files_are_small_and_all_there(out, service):
    files = [path for path in out.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10_000_000
    names = {path.name for path in out.iterdir()}
    assert names == {*json.loads((out / MARKER).read_text())["files"], MARKER}
    assert len(list(out.glob("covers/*/*.svg"))) == NUM_BOOKS


def test_page_is_for_any_folder_and_asks_nobody_else(out):
    html = (out / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert "default-src &#x27;none&#x27;" in policy and "http" not in policy
    loaded = re.findall(r'(?:src|<link [^>]*href)="([^"]+)"', html)
    assert loaded and all(not re.match(r"/|\w+://", address) for address in loaded)
    assert "Some &quot;books&quot;: &lt;b&gt;" in html
    assert "needs the Item LLM, which runs on a server only" in html


def test_card_makes_it_a_static_space(out):
    yaml = pytest.importorskip("yaml")
    _, front, text = (out / "README.md").read_text("utf-8").split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["sdk"] == "static" and values["app_file"] == "index.html"
    assert values["title"] == 'HLLM Live: Some "books": <b>'
    assert "http.server" in text


def test_older_export_is_replaced_when_the_new_one_is_whole(tmp_path):
    out = tmp_path / "page"
    for content in ("old", "new"):
        check_target(out)
        with replacing(out) as folder:
            (folder / "index.html").write_text(content)
            (folder / MARKER).write_text(
                json.dumps({"format": "hllm-static/1", "files": ["index.html"]})
            )
            if content == "new":
                assert (out / "index.html").read_text() == "old"
    assert (out / "index.html").read_text() == "new"
    with pytest.raises(RuntimeError), replacing(out) as folder:
        (folder / "index.html").write_text("half")
        raise RuntimeError
    assert (out / "index.html").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_folder_with_something_else_in_it_is_left_alone(tmp_path, out):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CatalogError, match=r"not empty, and thesis\.txt in it is not of an export"):
        check_target(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    check_target(copy)
    (copy / ".git").mkdir()
    with pytest.raises(CatalogError, match=r"\.git in it is not of an export"):
        check_target(copy)
    with pytest.raises(CatalogError, match="is a file"):
        check_target(tmp_path / "thesis.txt")


def test_what_cannot_be_exported_is_one_sentence(settings, tmp_path, capsys):
    named = [f"--catalog={settings.catalog}", f"--data-dir={tmp_path}"]
    assert main([str(tmp_path / "page"), *named]) == 2
    assert "There is no HLLM for this catalogue yet" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()
