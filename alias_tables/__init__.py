"""From Wikimedia dumps to an alias table: which entity does a surface form mean, and how surely.

A dump is read page by page (`dumps`), its links are found in the wikitext (`wikitext`), titles and
redirects are resolved as MediaWiki does (`titles`), and counts per channel become P(e|m) (`build`).
`lookup` answers from the finished table: candidates of a surface, and matches in running text.
"""
