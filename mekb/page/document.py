"""The page as one self-contained file that asks nothing of anybody.

In: `PageContent`. Out: HTML with styles and scripts inside, and the data as JSON in a script element that is
never executed. The file's own policy (CSP Level 3) allows the scripts and the style that are in it, by their
SHA-256, and nothing else: no network, no plug-in, no form. In the JSON "<", ">" and "&" are escaped, so that
no label can end the element; the scripts put labels into the page as text nodes only.
"""

import base64
import hashlib
import html
import json
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from mekb.output import written_whole
from mekb.page.content import PageContent

ASSETS = files("mekb.page") / "assets"
PAGE = "index.html"

STYLE_LINK = re.compile(r'<link rel="stylesheet" href="([\w./-]+)" id="(\w+)">')
SCRIPT_LINK = re.compile(r'<script src="([\w./-]+)"></script>')
ONLY_SERVED = re.compile(r"<!-- served -->.*?<!-- /served -->\n?", re.DOTALL)
"""Parts of the page that need a server."""
TITLE = "<title>mekb</title>"
DATA_PLACE = "<!-- data -->"

HTML_IN_JSON = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}


def write_page(content: PageContent, path: Path, *, force: bool = False) -> None:
    """Write the page as one file, whole or not at all.

    Args:
        content: What it shows.
        path: Where to.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: if the file exists, or cannot be written.
    """
    with written_whole(path, force=force) as aside:
        aside.write_text(page_of(content), encoding="utf-8", newline="\n")


def page_of(content: PageContent) -> str:
    """Return the page as one file: the same content gives the same text."""
    page = ONLY_SERVED.sub("", asset(PAGE))
    scripts = [asset(match[1]) for match in SCRIPT_LINK.finditer(page)]
    styles = [asset(match[1]) for match in STYLE_LINK.finditer(page)]
    page = SCRIPT_LINK.sub(lambda link: f"<script>{asset(link[1])}</script>", page)
    page = STYLE_LINK.sub(lambda link: f'<style id="{link[2]}">{asset(link[1])}</style>', page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, styles)}">'
    title = html.escape(f"Interests of {content.person}".encode(errors="replace").decode())
    page = page.replace(TITLE, f"{policy}\n<title>{title}</title>", 1)
    return page.replace(DATA_PLACE, _data(content), 1)


def asset(name: str) -> str:
    """Return one of the page's files."""
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return a policy that lets just these scripts and styles run."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(content: str) -> str:
    """Return a hash as a policy has it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _data(content: PageContent) -> str:
    """Return the content as an element that holds data: plain ASCII, and nothing that could end it."""
    text = json.dumps(asdict(content), allow_nan=False).translate(HTML_IN_JSON)
    return f'<script type="application/json" id="content">{text}</script>'
