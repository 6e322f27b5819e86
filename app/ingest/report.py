"""What an import did, said to people: what came in, what stayed out, what is no longer there."""

from pathlib import Path

from app.catalog import Catalog
from app.catalog.write import NUM_EXAMPLES, InteractionCounts
from app.ingest.run import Summary


def report(catalog: Catalog, summary: Summary) -> str:
    """The summary of an import, a few lines."""
    items, interactions = summary.items, summary.interactions
    num_interactions, num_users = catalog.count_interactions()
    lines = [
        *summary.speeds,
        f"items: {items.added:,} added, {items.updated:,} updated, {items.unchanged:,} unchanged",
        *_repeated(summary),
        f"interactions: {interactions.added:,} added, {interactions.duplicates:,} already there",
        *(
            _unknown(path, counts)
            for path, counts in summary.by_file.items()
            if counts.unknown_items
        ),
        *_left_over(summary),
    ]
    if summary.removed_by_k_core:
        lines.append(f"  {summary.removed_by_k_core:,} removed by --k-core")
    if summary.unused_items:
        lines.append(f"  {summary.unused_items:,} items without interactions left out")
    if summary.rejects:
        lines.append(f"{summary.num_rejects:,} records could not be read: see {summary.rejects}")
    lines.append(
        f"{catalog.place} ({catalog.name}): {catalog.num_items:,} items, {num_interactions:,} "
        f"interactions of {num_users:,} users, data version {catalog.data_version}, "
        f"{summary.seconds:.1f} s"
    )
    return "\n".join(lines)


def _repeated(summary: Summary) -> list[str]:
    items = summary.items
    if not items.repeated:
        return []
    examples = ", ".join(
        f"{id_!r} (lines {first} and {last})" for id_, first, last in items.examples
    )
    return [
        f"  {items.repeated:,} records have an item id that their file had before, and the last of "
        f"each counts: {examples}"
    ]


def _share(counts: InteractionCounts) -> float:
    return counts.unknown_items / (counts.added + counts.duplicates + counts.unknown_items)


def _unknown(path: Path, counts: InteractionCounts) -> str:
    examples = ", ".join(map(repr, counts.examples))
    return (
        f"  {counts.unknown_items:,} left out because their item is not in the catalogue "
        f"({100 * _share(counts):.1f}% of {path.name}; items {examples}): import its metadata and "
        "repeat the command"
    )


def _left_over(summary: Summary) -> list[str]:
    num_items, num_interactions = summary.left_over
    if not num_items and not num_interactions:
        return []
    what = f"{num_items:,} items and {num_interactions:,} interactions"
    if summary.replaced:
        return [f"replaced: {what} removed that the files no longer have"]
    return [
        f"kept: {what} of earlier versions of these files that the files no longer have; repeat "
        "the command with --replace to remove them"
    ]


def unmet_ids(catalog: Catalog, summary: Summary) -> str:
    """What is wrong if no interaction of a file names an item of the catalogue, "" if nothing."""
    for path, counts in summary.by_file.items():
        if counts.unknown_items and not counts.added + counts.duplicates:
            there = ", ".join(repr(item.item_id) for item in catalog.popular(NUM_EXAMPLES))
            return (
                f"{path}: none of its {counts.unknown_items:,} interactions names an item of the "
                f"catalogue: items are {', '.join(map(repr, counts.examples))} there and {there} "
                "in the catalogue; write the ids alike, or check which column is which."
            )
    return ""
