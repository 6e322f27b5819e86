"""Item embeddings as a Parquet file: computed on one machine, read by other programs or served.

    python -m hllm.exchange export runs/games/embeddings.safetensors games.parquet
    python -m hllm.exchange import games.parquet runs/games/embeddings.safetensors

The safetensors file of hllm.embed can be copied between machines as it is; Parquet is for pandas,
DuckDB, Spark and vector databases. Columns: item_id, text_hash, embedding (a list of D numbers).
The fingerprint of the model goes along as metadata, so that what comes back is checked as ever.

A folder of such files is what ``hllm.embed --engine ray`` makes, in an object store too.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("exchange")

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from hllm.atomic import atomic_path
from hllm.errors import DataError
from hllm.places import Place
from hllm.store import FORMAT, ItemEmbeddings, first_not_finite

# In a folder of hllm.embed --engine ray: what it is made of, and that nothing of it is missing.
JOB, COMPLETE = "_job.json", "_complete.json"
_MADE_AGAIN = (
    "give the command that made it (python -m hllm.embed --engine ray) again, which makes what is "
    "missing or damaged"
)
_COLUMNS = ("item_id", "text_hash", "embedding")
_ROWS_PER_GROUP = 16_384
_MAGIC = b"PAR1"  # every Parquet file begins so


def export_parquet(embeddings: ItemEmbeddings, path: str | Path) -> None:
    """Write embeddings as Parquet, under a temporary name first.

    Args:
        embeddings: N items; float16 stays float16.
        path: the file to write.
    """
    with atomic_path(path) as temporary:
        write_parquet(embeddings, temporary)


def write_parquet(embeddings: ItemEmbeddings, file: Path | pa.NativeFile, **metadata: str) -> None:
    """Write embeddings as Parquet to a path or an open file.

    Args:
        embeddings: N items; float16 stays float16.
        file: where to.
        metadata: more that the file shall say of itself.
    """
    width = embeddings.vectors.shape[1]
    number = pa.float16() if embeddings.vectors.dtype == torch.float16 else pa.float32()
    schema = pa.schema(
        [
            ("item_id", pa.string()),
            ("text_hash", pa.string()),
            ("embedding", pa.list_(number, width)),
        ],
        metadata={"format": FORMAT, "fingerprint": embeddings.fingerprint, **metadata},
    )
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, len(embeddings.item_ids), _ROWS_PER_GROUP):
            rows = slice(start, start + _ROWS_PER_GROUP)
            values = pa.array(embeddings.vectors[rows].contiguous().numpy().reshape(-1))
            arrays = [
                pa.array(embeddings.item_ids[rows], pa.string()),
                pa.array(embeddings.text_hashes[rows], pa.string()),
                pa.FixedSizeListArray.from_arrays(values, width),
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def import_parquet(path: str | Path) -> ItemEmbeddings:
    """Read what export_parquet wrote, or another program from it.

    Args:
        path: a file, or a folder of files; also an address (hllm.places).

    Raises:
        DataError: missing, damaged, of another kind, with gaps, or not complete.
    """
    table = _read_table(path)
    metadata = {
        key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()
    }
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing or metadata.get("format") != FORMAT or "fingerprint" not in metadata:
        what = f"no column {missing[0]}" if missing else "no fingerprint of a model"
        raise DataError(
            f"{path} has {what}: make it with  python -m hllm.exchange export  and keep the "
            "metadata."
        )
    kind = table.schema.field("embedding").type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type):
        raise DataError(f"{path}: embedding is {kind}, not lists of one length; export it again.")
    for name in _COLUMNS:
        if table[name].null_count:
            row = table[name].is_null().to_pylist().index(True)
            raise DataError(f"{path}, row {row + 1}: no {name}; remove the row or export again.")
    values = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = torch.from_numpy(values.copy()).reshape(len(table), kind.list_size)
    row = first_not_finite(vectors)
    if row is not None:
        raise DataError(
            f"{path}, row {row + 1}: the embedding of item {table['item_id'][row].as_py()!r} has "
            "NaN or infinity in it; embed it again."
        )
    hashes = table["text_hash"].to_pylist()
    for row, value in enumerate(hashes):
        if len(value) != 16 or set(value) - set("0123456789abcdef"):
            raise DataError(f"{path}, row {row + 1}: text_hash {value[:20]!r} is not a hash.")
    item_ids = table["item_id"].to_pylist()
    if len(set(item_ids)) < len(item_ids):
        raise DataError(f"{path} has an item_id twice: remove one of the rows.")
    return ItemEmbeddings(item_ids, hashes, vectors, metadata["fingerprint"])


def _read_table(path: str | Path) -> pa.Table:
    """All rows of a file or a folder; of a folder that says how many there are, not fewer.

    Raises:
        DataError: it cannot be read, or rows of it are missing.
    """
    place = Place.of(str(path))
    is_job = place.child(JOB).read_json() is not None
    complete = place.child(COMPLETE).read_json() if is_job else None
    if is_job and complete is None:
        raise DataError(
            f"{path} is not complete: give the command that began it (python -m hllm.embed "
            "--engine ray) again, which goes on from there."
        )
    try:
        table = pq.read_table(place.path, filesystem=place.files)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        remedy = _MADE_AGAIN if is_job else "export it again"
        raise DataError(f"{path} cannot be read as Parquet ({reason}): {remedy}.") from error
    if complete is not None and len(table) != complete.get("items"):
        raise DataError(
            f"{path} has {len(table):,} items, and {complete.get('items'):,} were made: files of "
            f"it are lost or do not belong to it; {_MADE_AGAIN}."
        )
    return table


def check_replaceable(path: Path) -> None:
    """Refuse to write Parquet over a file of another kind, such as a model's weights.

    Raises:
        DataError: see above.
    """
    if not path.exists():
        return
    is_parquet = False
    if path.is_file():
        with path.open("rb") as file:
            is_parquet = file.read(len(_MAGIC)) == _MAGIC
    if not is_parquet:
        raise DataError(f"{path} exists and is not Parquet: give another output, or remove it.")
