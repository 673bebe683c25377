"""A page for people who would rather look than read: interests, what they are from, and what they lead to.

    content     what the page shows of one person, as plain data
    read        what that takes of a store beside the person's graph
    document    the page as one self-contained file (`mekb profiles show --html`)
    site        the page on a server (`mekb serve`), where interests can be removed and added
    assets/     the page itself: HTML, CSS, scripts, and Cytoscape.js, which draws the graph

`docs/page.md` shows what it looks like.
"""
