"""From Wikimedia dumps to an alias table: which entity does a surface form mean, and how surely.

A dump is read page by page (`sources`, `dumps`), its links are found in the wikitext (`wikitext`), titles
and redirects are resolved as MediaWiki does (`titles`, `resolve`), and counts per channel become P(e|m)
(`priors`). `build.build` runs these steps into the tables of `schema`; `lookup.AliasIndex` answers from the
finished tables: candidates of a surface, and matches in running text.
"""
