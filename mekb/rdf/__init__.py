"""A user's MeKB as a knowledge graph: statements out, the same MeKB back in, and shapes that hold it to its form.

    profile ──wi:preference──> interest ──wi:topic──> entity (Wikidata, its Wikipedia page, or the store's own)
                                  ├──wo:weight──> value on mekb:UnitScale
                                  └──prov:wasDerivedFrom──> mention ──nif:referenceContext──> item's text
       └──prov:wasGeneratedBy──> run (software, settings, dumps, time)

An interest is a node of its own (rdflib reads no RDF-star), in the Weighted Interests vocabulary; mentions are
NIF strings with offsets in code points and ITS-RDF links; the run is a PROV activity; labels are SKOS. There
are no blank nodes, so one user's statements are the same lines in every file.

`statements` holds the shape, as text; `write` turns it into Turtle and JSON-LD; `read` and `files` bring it
back; `validate` checks it against `shapes.ttl`. Many users are N-Quads, one named graph each, called by the
profile's own IRI. Names of ours are in `urn:mekb:ns#`, what a store names is below `urn:mekb:<store>/`.

Left room for, and written by nobody yet: a dislike, as a weight below 0 on a scale of its own.
"""
