"""The data sets of the field, each read as it is published: a folder, a zip archive or files in, tables out.

    with dataset("movielens", {"films": "ml-1m.zip"}) as found:
        found.items, found.interactions        # `SourceFile`s, which the import reads like any other file

A preset knows a format's files by their names, its columns, encodings and traps, and the policies that go
with it. It is no second way in: what it finds is read, judged and merged by the import.
"""

from mekb.sources.presets.amazon import AMAZON_2014, AMAZON_2018, AMAZON_2023
from mekb.sources.presets.dataset import DatasetFiles, dataset, with_policies
from mekb.sources.presets.douban import DOUBAN
from mekb.sources.presets.movielens import MOVIELENS
from mekb.sources.presets.preset import Found, Preset
from mekb.sources.presets.recbole import RECBOLE

__all__ = ["PRESETS", "DatasetFiles", "Found", "Preset", "dataset", "with_policies"]

PRESETS = {
    preset.name: preset
    for preset in (AMAZON_2023, AMAZON_2018, AMAZON_2014, MOVIELENS, RECBOLE, DOUBAN)
}
"""Name -> preset."""
