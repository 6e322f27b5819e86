"""Fakes and small catalogues for tests of the app."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch

from app.catalog import Catalog, CatalogItem
from app.catalog.events import events_path
from app.columns import Column
from app.service import Service
from app.settings import Settings
from hllm.errors import UnknownItemError
from hllm.recommend import Recommendation, Recommendations
from hllm.serving.explain import ItemRank, Neighbour, ScoreChange
from hllm.serving.history_encoder import EncoderCounts
from hllm.serving.item_model import ItemText
from hllm.serving.new_items import Item, NewItem
from hllm.serving.projection import Projection, fit_pca
from hllm.serving.ranker import Stage, Stages, WholeReading
from hllm.serving.rerank import NUM_CANDIDATES, Reranking
from tests.served import page_of, served

HOSTILE_TITLES = (
    "${alert(1)}",
    "<img src=x onerror=alert(2)>",
    "back\\slash \\u and \\x",
    "a ` back-tick",
    "{{value}} @children",
    "\"quotes\" & 'apostrophes' </li></ol>",
)
GENRES = ("Fantasy", "Science Fiction", "Mystery", "History")

DESKTOP, PHONE = (1440, 900), (375, 812)
LIMIT_MS = 20_000  # a guard; pages answer in far less


class FakeRecommender:
    """Deterministic: scores depend on the last item of the history and on the name."""

    def __init__(self, name: str, item_ids: Sequence[str]) -> None:
        self.name = name
        self.model = f"fake {name}"
        self.precision = "fp32"
        self.device = "cpu"
        self.num_items = len(item_ids)
        self.text_keys = ("title", "description")
        self.calls: list[tuple[str, ...]] = []
        self.item_ids = list(item_ids)
        self.explains_at_once = True

    def recommend(
        self,
        history: Sequence[Item],
        *,
        top_k: int = 10,
        allowed: np.ndarray | None = None,
        diversity: float = 0.0,
        less_popular: float = 0.0,
        popularity: np.ndarray | None = None,
    ) -> Recommendations:
        history = [self._name(item) for item in history]
        self.calls.append(tuple(history))
        unknown = [i for i in history if i not in self.item_ids and not i.startswith("new ")]
        if unknown:
            raise UnknownItemError(f"No embedding for item {unknown[0]!r}: embed again.")
        found = self.item_ids if allowed is None else [self.item_ids[row] for row in allowed]
        candidates = [item_id for item_id in found if item_id not in history]
        scored = sorted(((self._score(history, i), i) for i in candidates), reverse=True)
        by_score = ranked(scored[:top_k])
        numbers = (1.25, 0.5, len(found), 1, len(history) - 1)
        reranking = Reranking(diversity, less_popular, popularity)
        if not reranking:
            return Recommendations(by_score, *numbers)
        rows = np.array([self.item_ids.index(item_id) for _, item_id in scored[:NUM_CANDIDATES]])
        vectors = np.random.default_rng(0).normal(size=(self.num_items, 8))[rows]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = np.array([score for score, _ in scored[:NUM_CANDIDATES]])
        places = reranking.choose(scores, vectors, rows, top_k)
        return Recommendations(ranked([scored[n] for n in places]), *numbers, by_score)

    def rank_of(self, history: Sequence[Item], item: Item) -> ItemRank:
        if not isinstance(item, str):
            score = self._score([self._name(i) for i in history], self._name(item))
            others = self.recommend(history, top_k=len(self.item_ids)).items
            rank = 1 + sum(other.score > score for other in others)
            return ItemRank(self._name(item), score, rank, len(others) + 1)
        found = self.recommend(history, top_k=len(self.item_ids)).items
        [at] = [i for i in found if i.item_id == item] or [None]
        if at is None:
            raise UnknownItemError(f"No embedding for item {item!r}: embed again.")
        return ItemRank(item, at.score, at.rank, len(found))

    def explain(self, history: Sequence[Item], item: str) -> list[ScoreChange]:
        score = self.rank_of(history, item).score
        rests = [[h for h in history if h != left_out] for left_out in history]
        return [
            ScoreChange(self._name(left_out), self.rank_of(rest, item).score - score)
            for left_out, rest in zip(history, rests, strict=True)
        ]

    def explain_all(self, history: Sequence[Item], items: Sequence[str]) -> list[list[ScoreChange]]:
        return [self.explain(history, item) for item in items]

    def load_item_encoder(self) -> None:
        self.is_encoder_loaded = True

    def new_item(self, fields: Mapping[str, str]) -> NewItem:
        return NewItem(self._name(fields), torch.ones(8), 12.5)

    @staticmethod
    def _name(item: Item) -> str:
        if isinstance(item, str):
            return item
        return "new " + hashlib.sha256(repr(sorted(item.items())).encode()).hexdigest()[:16]

    def similar(self, item: Item, top_k: int = 10) -> list[Neighbour]:
        if not isinstance(item, str):
            near = self.item_ids[:top_k]
            return [Neighbour(item_id, 0.8 - n / 100) for n, item_id in enumerate(near)]
        if item not in self.item_ids:
            raise UnknownItemError(f"No embedding for item {item!r}: embed again.")
        others = [item_id for item_id in self.item_ids if item_id != item]
        return [Neighbour(item_id, 0.9 - n / 100) for n, item_id in enumerate(others[:top_k])]

    def item_text(self, fields: Mapping[str, str]) -> ItemText | None:
        if self.name != "HLLM":
            return None
        words = f"title: {fields['title']}" if "title" in fields else ""
        tokens = tuple(words.split())
        return ItemText(words, len(tokens), False, "", tokens, True)

    def item_embedding(self, item: str) -> torch.Tensor:
        return torch.linspace(-1, 1, 8)

    def _vectors(self) -> torch.Tensor:
        return torch.randn(self.num_items, 8, generator=torch.Generator().manual_seed(0))

    def projection(self) -> Projection | None:
        return fit_pca(self._vectors()) if self.name == "HLLM" else None

    def user_embedding(self, history: Sequence[Item]) -> torch.Tensor:
        rows = [self.item_ids.index(item) for item in history if isinstance(item, str)]
        return self._vectors()[rows].sum(dim=0) + 0.1

    def nearest(self, vector: torch.Tensor, top_k: int) -> list[tuple[int, float]]:
        cosines = torch.cosine_similarity(self._vectors(), vector[None])
        values, rows = cosines.topk(min(top_k, len(cosines)))
        return list(zip(rows.tolist(), values.tolist(), strict=True))

    def stages(self) -> Stages | None:
        if self.name != "HLLM":
            return None
        return Stages(
            item=Stage("fake Item LLM", "fp32", "cpu", 22_700_000, 0),
            user=Stage("fake User LLM", "int4", "cpu", 1_100_000_000, 620_000_000),
            search=Stage("exact cosine", "float32", "cpu", 0, 40_000),
            width=8,
        )

    def counts(self) -> EncoderCounts | None:
        return EncoderCounts(encoded=4, reused=5) if self.name == "HLLM" else None

    def read_whole(self, history: Sequence[Item]) -> WholeReading | None:
        return WholeReading(len(history), 3.5, 1.0) if self.name == "HLLM" else None

    def _score(self, history: Sequence[str], item_id: str) -> float:
        key = f"{self.name}|{history[-1]}|{len(history)}|{item_id}".encode()
        own = int.from_bytes(hashlib.sha256(key).digest()[:4], "big") / 2**32
        shared = int.from_bytes(hashlib.sha256(key.split(b"|", 1)[1]).digest()[:4], "big") / 2**32
        return 0.2 + 0.3 * own + 0.5 * shared


def ranked(scored: Sequence[tuple[float, str]]) -> list[Recommendation]:
    return [Recommendation(item_id, score, rank) for rank, (score, item_id) in enumerate(scored, 1)]


def some_items(count: int = 40) -> list[CatalogItem]:
    return [
        CatalogItem(
            item_id=f"book-{number:03d}",
            title=f"Book number {number}",
            creator=f"Author {number % 7}",
            year=1900 + number,
            categories=(GENRES[number % len(GENRES)],),
            description=f"What happens in book {number}.",
            price=None if number % 5 == 4 else float(number),
            popularity=1000 - number,
        )
        for number in range(count)
    ]


def hostile_items() -> list[CatalogItem]:
    return [
        CatalogItem(
            item_id=f"hostile-{number}\"'<&>",
            title=title,
            creator=title,
            categories=(title,),
            description=title,
            popularity=100 - number,
        )
        for number, title in enumerate(HOSTILE_TITLES)
    ]


def make_service(
    path: Path,
    items: Sequence[CatalogItem],
    *,
    name: str = "Test books",
    load_hllm: Callable[[], FakeRecommender] | None = None,
    loaded: bool = True,
) -> Service:
    with Catalog.create(path, name=name) as catalog:
        catalog.add_items(items)
    item_ids = [item.item_id for item in items]
    columns = [
        Column("hllm", "HLLM", load_hllm or (lambda: FakeRecommender("HLLM", item_ids))),
        # Rows of the two are in different orders, as those of two embeddings files can be.
        Column("baseline", "Baseline", lambda: FakeRecommender("Baseline", item_ids[::-1])),
    ]
    if loaded:
        for column in columns:
            column.load()
    return Service(Catalog.open(path), columns)


# Test modules cannot import this file (importlib mode), so everything is handed out by fixtures.


@pytest.fixture(scope="session")
def hostile_titles() -> tuple[str, ...]:
    return HOSTILE_TITLES


@pytest.fixture(scope="session")
def new_service() -> Callable[..., Service]:
    return make_service


@pytest.fixture(scope="session")
def beside() -> Callable[..., Service]:
    """Makes services those of one app: gives the first, whose page offers all of them by name."""

    def link(**services: Service) -> Service:
        for name, service in services.items():
            service.name, service.installed = name, services
        return next(iter(services.values()))

    return link


@pytest.fixture(scope="session")
def new_items() -> Callable[[int], list[CatalogItem]]:
    return some_items


@pytest.fixture(scope="session")
def new_hostile_items() -> Callable[[], list[CatalogItem]]:
    return hostile_items


@pytest.fixture(scope="session")
def fake_recommender() -> type[FakeRecommender]:
    return FakeRecommender


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path / "catalog.db", some_items())


@pytest.fixture(scope="session")
def events_of() -> Callable[[Service], list[tuple]]:
    """What a service has recorded: (kind, model, item_ids, rank, session) of every event."""

    def read(service: Service) -> list[tuple]:
        service.events.flush()
        with closing(sqlite3.connect(events_path(service.catalog.path))) as connection:
            columns = "kind, model, item_ids, rank, session"
            return connection.execute(f"SELECT {columns} FROM events ORDER BY id").fetchall()

    return read


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=LIMIT_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    settings = Settings(host="127.0.0.1", data_dir=tmp_path_factory.mktemp("data"))

    def start(service):
        _, url = stack.enter_context(served(page_of(service, settings)))
        return url

    with ExitStack() as stack:
        yield start


@pytest.fixture(scope="module")
def page_service(new_service, new_items, tmp_path_factory):
    """What `url` shows, where a test file has no other: 60 books, models that answer at once."""
    return new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(60))


@pytest.fixture(scope="module")
def url(serve, page_service):
    return serve(page_service)


@pytest.fixture
def open_page(chromium):
    """Opens pages and holds them to: no errors, no dialogs, nothing from elsewhere."""
    contexts, problems = [], []

    def open_at(url, size=DESKTOP, context=None, **options):
        if context is None:
            viewport = {"width": size[0], "height": size[1]}
            context = chromium.new_context(viewport=viewport, has_touch=size == PHONE, **options)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on(
            "dialog",
            lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        )
        page.on(
            "console",
            lambda m: problems.append(f"console: {m.text}") if m.type == "error" else None,
        )
        page.on("request", lambda request: problems.extend(foreign(request.url, url)))
        page.goto(url)
        ready(page)
        return page

    open_at.problems = problems
    yield open_at
    for context in contexts:
        context.close()
    assert problems == []


def foreign(address, url):
    same = urlsplit(address).netloc == urlsplit(url).netloc
    return [] if same or address.startswith(("data:", "blob:")) else [f"request: {address}"]


def ready(page):
    page.wait_for_selector(".hllm:not([data-version='0'])", state="attached")
    page.wait_for_selector(".grid[aria-busy=false] .card, .grid .nothing")
