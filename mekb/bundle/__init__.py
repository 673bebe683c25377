"""The bundle: an immutable folder that answers for users never seen, without the store.

    manifest.json           format, versions, target and sources, SHA-256 of every other file and of itself
    model/                  the trained encoder (training.checkpoint)
    items.parquet           every item of source and target: ids, domain, title, training count
    item_entities.parquet   which item holds which entity
    entities.parquet        titles, multipliers and user counts (idf) as counted on training rows
    evidence.arrow          where an item's entities stand in its texts: field, start, stop, surface, P(e|m)
    relations.arrow         what is related to an entity; only where the store has relations
    neighbours.parquet      how much of an interest passes to each neighbour; only where models read that
    index.faiss             index of inner products over the target's item vectors, exact unless asked otherwise
    encoder.onnx            the language model for ONNX Runtime; only where it was asked for
    aliases/                the alias dictionary, for interests given by name

Written aside and renamed, so that a folder of the final name is whole; every hash is checked when opened.
"""

from mekb.bundle.manifest import MARKS
from mekb.bundle.read import Bundle, ItemTable
from mekb.bundle.write import BundleParts, write_bundle

__all__ = ["MARKS", "Bundle", "BundleParts", "ItemTable", "write_bundle"]
