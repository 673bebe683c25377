"""From item text to Wikidata entities: find spans, look them up, take the most likely entity.

`text` cleans what shops write and keeps a map back to the original offsets; `titles` takes titles apart;
`spans` finds mentions (spaCy NER, the alias dictionary, or both); `disambiguate` chooses an entity (AT@1, paper 002 section 3.1.2) or
none; `linker` runs it all from Arrow batches to Arrow batches.
"""
