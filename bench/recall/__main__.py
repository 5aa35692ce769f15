"""Prints how well each way of searching finds what was said."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from bench.recall.asking import Figures, Library, Way
from bench.recall.samples import NAMES, Sample, locomo, ours
from domain.ranking import WEIGHTS, Weights
from domain.search import SearchMode
from server.settings import Settings

MODES = [Way(mode.name, mode) for mode in (SearchMode.TEXT, SearchMode.SEMANTIC, SearchMode.HYBRID)]
WITHOUT = [
    Way(f"HYBRID - {name}", weights=msgspec.structs.replace(WEIGHTS, **{name: 0.0}))
    for name in Weights.__struct_fields__
]


@click.command()
@click.option("--locomo", "locomo_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Conversations in LoCoMo's form, which are asked first.")  # fmt: skip
@click.option("--only", multiple=True, metavar="NAME", help="Only this sample of ours. May be repeated.")
@click.option("--mode", type=click.Choice([mode.name for mode in SearchMode]), help="Only in this mode.")
@click.option("--signals/--no-signals", default=True, help="Also HYBRID without each of its signals.")
@click.option("--embedder", default=Settings().embedder, show_default=True, help="What makes the vectors.")
@click.option("--bar", type=float, help="Fail where R@10 of HYBRID is below this on any sample.")
def main(
    locomo_file: Path | None, only: Sequence[str], mode: str | None, signals: bool, embedder: str, bar: float | None
) -> None:
    """Print R@10 and MRR of every way to search, for each sample."""
    if unknown := [name for name in only if name not in NAMES]:
        raise click.UsageError(f"There is no sample {unknown[0]!r}; there are {', '.join(NAMES)}.")
    samples = [ours(name) for name in only or NAMES]
    if locomo_file is not None:
        try:
            samples = [locomo(locomo_file), *(samples if only or mode is None else [])]
        except msgspec.DecodeError as error:
            raise click.ClickException(f"{locomo_file}: {error}") from None
    ways = [way for way in MODES if mode is None or way.mode.name == mode]
    if signals and mode in (None, SearchMode.HYBRID.name):
        ways += WITHOUT
    table = asyncio.run(_measured(samples, ways, embedder))
    click.echo(shown(table))
    below = [name for name, found in table.items() if bar is not None and found["HYBRID"].recall < bar]
    if below:
        raise click.ClickException(f"R@10 of HYBRID is below {bar} on {', '.join(below)}.")


async def _measured(samples: Sequence[Sample], ways: Sequence[Way], embedder: str) -> dict[str, dict[str, Figures]]:
    """By sample and way."""
    found: dict[str, dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder), embedder)
        try:
            for sample in samples:
                for conversation in sample.conversations:
                    await library.keep(conversation)
                found[sample.name] = {way.name: await library.figures(sample, way) for way in ways}
        finally:
            await library.close()
    return found


def shown(table: Mapping[str, Mapping[str, Figures]]) -> str:
    """A Markdown table: a column for each sample, R@10 and MRR in each cell."""
    ways = list(next(iter(table.values())))
    counts = [str(next(iter(found.values())).questions) for found in table.values()]
    lines = [
        ["", *table],
        ["---"] * (len(table) + 1),
        ["questions", *counts],
        *([way, *(_cell(found[way]) for found in table.values())] for way in ways),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(figures: Figures) -> str:
    return f"{figures.recall:.3f} {figures.mrr:.3f}".replace("0.", ".")


if __name__ == "__main__":
    main()
