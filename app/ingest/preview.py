"""What an import found, said before anything is written."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from app.catalog import CatalogItem
from app.errors import IngestError
from app.ingest.files import FileProgress, Record, raw_text, start_progress
from app.ingest.formats import Source
from hllm.errors import HLLMError

SAMPLE_RECORDS = 2_000
ESTIMATE_RECORDS = 50_000
ESTIMATE_BYTES = 2 * 2**20
_SHOWN_CHARS = 160
_SHOWN_FIELDS = 30


@dataclass
class Preview:
    """The first records of a file.

    Attributes:
        num_records: estimate for the whole file; exact if the sample was all of it.
        fields: how many records of the sample have each field.
        sample: the first good record as it will be stored.
    """

    source: Source
    num_records: int = 0
    exact: bool = True
    num_sampled: int = 0
    num_rejected: int = 0
    first_problem: str = ""
    fields: Counter[str] = field(default_factory=Counter)
    sample: Any = None


def preview(source: Source) -> Preview:
    """Read the beginning of a file.

    Raises:
        IngestError: it holds no records, or none of those read can be used.
    """
    found = Preview(source)
    progress = start_progress(source.path)
    records = source.read(source.path, progress, 0)
    for record in islice(records, SAMPLE_RECORDS):
        found.num_sampled += 1
        converted, problem = source.convert_or_explain(record)
        if not problem:
            found.sample = converted if found.sample is None else found.sample
            found.fields.update(key for key, value in record.fields.items() if _filled(value))
        else:
            found.num_rejected += 1
            found.first_problem = found.first_problem or (
                f"line {record.line}: {problem}: {raw_text(record, 80)!r}"
            )
    found.num_records, found.exact = _estimate(records, found.num_sampled, progress)
    if found.sample is None:
        raise IngestError(_useless(found))
    return found


def _estimate(records: Iterator[Record], num_read: int, progress: FileProgress) -> tuple[int, bool]:
    """Number of records of the whole file, and whether it is exact.

    Reads on for a while: a packed file comes in blocks that are longer than the sample.
    """
    try:
        for _ in records:
            num_read += 1
            is_enough = progress.done > ESTIMATE_BYTES or num_read >= ESTIMATE_RECORDS
            if is_enough and progress.done < progress.total:
                return round(num_read * progress.total / max(progress.done, 1)), False
    except HLLMError:
        # Damage further on: the import says so, after it has kept what comes before.
        return num_read, False
    return num_read, True


def _filled(value: Any) -> bool:
    return value is not None and value not in ("", [], {}, ())


def _useless(found: Preview) -> str:
    path = found.source.path
    if not found.num_sampled:
        return f"{path} holds no records: check that it is the right file."
    return (
        f"{path}: none of the first {found.num_sampled:,} records can be used; "
        f"{found.first_problem}. Check the format and that the file holds {found.source.kind}."
    )


def describe(found: Preview) -> str:
    """A preview for people, a few lines."""
    amount = f"{found.num_records:,}" if found.exact else f"about {found.num_records:,}"
    lines = [f"{found.source.path}: {amount} {found.source.kind}"]
    lines += [f"  {note}" for note in found.source.notes]
    shares = [
        f"{name} {100 * count // max(found.num_sampled, 1)}%"
        for name, count in found.fields.most_common(_SHOWN_FIELDS)
    ]
    lines.append(f"  fields (filled in the first {found.num_sampled:,}): {', '.join(shares)}")
    if found.num_rejected:
        lines.append(f"  {found.num_rejected:,} of them cannot be used; {found.first_problem}")
    lines.append("  will be stored as:")
    lines += [f"    {name}: {value}" for name, value in _sample_lines(found.sample)]
    return "\n".join(lines)


def _sample_lines(sample: Any) -> list[tuple[str, str]]:
    if isinstance(sample, CatalogItem):
        values = {
            name: value for name, value in asdict(sample).items() if _filled(value) and value != 0
        }
    else:
        values = dict(zip(("user_id", "item_id", "timestamp"), sample, strict=True))
    return [(name, _short(value)) for name, value in values.items()]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\n", " / ")
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
