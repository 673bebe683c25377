"""From item text to Wikidata entities: find spans, look them up, take the most likely entity.

`text` cleans what shops write and keeps a map back to the original offsets; `titles` takes titles apart;
`spans` finds mentions (spaCy NER, the alias dictionary, or both). A chooser takes an entity or none: `disambiguate`
the likeliest (AT@1, paper 002, section 3.1.2), `typed` the one whose type and year fit, `context` the one that is
spoken of. `linker` runs it all from Arrow batches to Arrow batches; `evaluate` measures it against gold files.
"""
