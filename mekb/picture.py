"""A user's MeKB as a picture: the user in the middle, interests around them, the items they came from outside.

A circle's area is the interest's weight; its slices are the domains its evidence is from, so an interest
that bridges domains shows both colours. Wikidata entities are discs; what the data set names itself
(brands, categories, products) are rings. Curves lead on to the liked items that name the interest.

Everything is placed by `mekb.layout`, in inches from the middle. An SVG keeps its text as text.
"""

import io
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch, Wedge
from matplotlib.path import Path as Curve

from mekb.errors import OutputError
from mekb.graph import Interest, UserGraph
from mekb.layout import Spot, interest_spots, item_spots, items_of, network
from mekb.output import written_whole

FORMATS = ("png", "svg")

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Of the domains in order of name: the colour-blind safe palette of Okabe and Ito (2008)."""
OTHER_COLOUR = "#8A8F98"
"""Of any further domain, and of an interest without evidence."""
INK = "#1F2933"
QUIET = "#6B7280"
PAPER = "#FFFFFF"

LARGEST_RADIUS = 0.23
LARGEST_STROKE = 3.2
THIN_STROKE = 0.9
SMALLEST_RADIUS = 0.05
ITEM_RADIUS = 0.055
USER_RADIUS = 0.34
HALF_WIDTH = 7.5
LEGEND_COLUMNS = 6
LEGEND_LETTERS = 28
HEAD, FOOT = 0.95, 0.75
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
)
"""Tried in order, letter by letter, as far as installed."""


@dataclass(frozen=True)
class _Style:
    """How a line of text looks, and how many inches it may take; a longer one is cut."""

    size: float
    room: float
    colour: str = INK
    weight: str = "normal"


TITLE = _Style(18, room=12, weight="bold")
SUBTITLE = _Style(10.5, room=13, colour=QUIET)
LABEL = _Style(10.5, room=2.25, weight="bold")
DETAIL = _Style(8, room=2.25, colour=QUIET)
ITEM = _Style(9, room=1.95)


def draw_user_graph(graph: UserGraph, path: Path, *, top: int = 25, force: bool = False) -> None:
    """Draw a user's MeKB to a PNG or SVG file, by the path's ending.

    Args:
        graph: the MeKB.
        path: where to.
        top: how many interests, by falling weight.
        force: whether an existing file may be replaced.

    Raises:
        OutputError: if the ending is neither, the file exists, or it cannot be written.
    """
    content = draw(graph, path.suffix.removeprefix(".").lower(), top=top)
    with written_whole(path, force=force) as aside:
        aside.write_bytes(content)


def draw(graph: UserGraph, format: str, *, top: int = 25) -> bytes:  # noqa: A002  (as in mekb.export)
    """Return the picture as the bytes of a PNG or SVG file; the same MeKB gives the same bytes.

    Raises:
        OutputError: if the format is neither, or `top` is not positive.
    """
    if format not in FORMATS:
        raise OutputError(f"a picture is {' or '.join(FORMATS)}, not {format!r}")
    if top < 1:
        raise OutputError(f"top is {top}; a picture needs at least one interest")
    fonts = [name for name in FONTS if name in font_manager.get_font_names()]
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcParams["font.family"] = fonts
        mpl.rcParams["svg.hashsalt"] = "mekb"
        mpl.rcParams["svg.fonttype"] = "none"
        # Without a font for some script its letters are boxes in a PNG; an SVG keeps the text itself.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure = _figure(graph, top)
        content = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(content, format=format, dpi=150, facecolor=PAPER, metadata=metadata)
    return content.getvalue()


def _figure(graph: UserGraph, top: int) -> Figure:
    """Draw everything on a figure of its own; pyplot and its state are not used."""
    net = network(graph, top)
    shown = [interest for interest in graph.interests if interest.entity_id in net]
    shown.sort(key=lambda interest: interest.rank)
    spots = interest_spots(shown, net)
    places = item_spots(spots, net)
    domains = sorted({key[0] for interest in shown for key in items_of(interest)})
    colours = dict(itertools.zip_longest(domains, COLOURS[: len(domains)], fillvalue=OTHER_COLOUR))

    heights = [spot.y for spot in (*spots.values(), *places.values())] or [0.0]
    half = max(1.2, max(map(abs, heights)) + 0.3)
    figure = Figure(figsize=(2 * HALF_WIDTH, 2 * half + HEAD + FOOT))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-HALF_WIDTH, HALF_WIDTH), ylim=(-half - FOOT, half + HEAD))
    axes.set_axis_off()

    largest = max((interest.weight for interest in shown), default=1.0)
    for interest in shown:
        spot = spots[interest.entity_id]
        radius = max(SMALLEST_RADIUS, LARGEST_RADIUS * math.sqrt(interest.weight / largest))
        end = _draw_interest(axes, interest, spot, radius, colours)
        width = LARGEST_STROKE * radius / LARGEST_RADIUS
        _draw_curve(axes, (0, 0), (spot.x, spot.y), _main_colour(interest, colours), width)
        for key in net[interest.entity_id]:
            place = places[key]
            is_near = place.side == spot.side
            start = (end if is_near else spot.x, spot.y)
            width = THIN_STROKE if is_near else 0.6 * THIN_STROKE
            _draw_curve(axes, start, (place.x, place.y), colours[key[0]], width)
    for key, spot in places.items():
        _draw_item(axes, net.nodes[key]["title"], spot, colours[key[0]])
    _draw_user(axes, is_empty=not shown)
    _draw_head(axes, graph, len(shown), len(places), half)
    _draw_legend(axes, shown, colours)
    return figure


def _main_colour(interest: Interest, colours: Mapping[str, str]) -> str:
    """Return the colour of the domain that most of an interest's items are of."""
    shares = _domain_shares(interest)
    return colours[shares.most_common(1)[0][0]] if shares else OTHER_COLOUR


def _domain_shares(interest: Interest) -> Counter[str]:
    """Return how many items of each domain hold an interest, in order of the domains."""
    return Counter(sorted(domain for domain, _ in items_of(interest)))


def _draw_curve(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    width: float,
) -> None:
    """Draw a curve that leaves and arrives level."""
    reach = 0.5 * (end[0] - start[0])
    points = [start, (start[0] + reach, start[1]), (end[0] - reach, end[1]), end]
    codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    stroke = PathPatch(
        Curve(points, codes), fill=False, edgecolor=colour, linewidth=width, alpha=0.38, zorder=1
    )
    stroke.set_capstyle("round")
    axes.add_patch(stroke)


def _draw_interest(
    axes: Axes, interest: Interest, spot: Spot, radius: float, colours: Mapping[str, str]
) -> float:
    """Draw an interest's slices and its two lines of text; return the x where the text ends."""
    shares = _domain_shares(interest)
    total = sum(shares.values())
    axes.add_patch(Circle((spot.x, spot.y), radius + 0.025, color=PAPER, zorder=2))
    start = 90.0
    for domain, n_items in (shares or Counter([""])).items():
        stop = start + 360.0 * n_items / (total or 1)
        colour = colours.get(domain, OTHER_COLOUR)
        axes.add_patch(Wedge((spot.x, spot.y), radius, start, stop, color=colour, lw=0, zorder=3))
        start = stop
    if interest.kind != "wikidata":
        axes.add_patch(Circle((spot.x, spot.y), 0.55 * radius, color=PAPER, zorder=4))
    kind = "" if interest.kind == "wikidata" else f" · {interest.kind}"
    x = spot.x + spot.side * (radius + 0.09)
    label = interest.label or interest.title
    above = _draw_text(axes, label, (x, spot.y + 0.075), spot.side, LABEL)
    share = f"{100 * interest.weight:.1f} %{kind}"
    below = _draw_text(axes, share, (x, spot.y - 0.105), spot.side, DETAIL)
    return max(above, below, key=abs)


def _draw_item(axes: Axes, title: str, spot: Spot, colour: str) -> None:
    """Draw an item's dot and title."""
    axes.add_patch(Circle((spot.x, spot.y), ITEM_RADIUS, color=colour, lw=0, zorder=3))
    _draw_text(axes, title, (spot.x + spot.side * 0.13, spot.y), spot.side, ITEM)


def _draw_user(axes: Axes, *, is_empty: bool) -> None:
    """Draw the user in the middle, with what to say when there is nothing else."""
    axes.add_patch(Circle((0, 0), USER_RADIUS + 0.05, color=PAPER, zorder=5))
    axes.add_patch(Circle((0, 0), USER_RADIUS, color=INK, zorder=6))
    # A head and shoulders, so that the middle reads as a person.
    axes.add_patch(Circle((0, 0.09), 0.095, color=PAPER, zorder=7))
    axes.add_patch(Wedge((0, -0.2), 0.185, 0, 180, color=PAPER, lw=0, zorder=7))
    if is_empty:
        message = "nothing this user liked could be linked to an entity"
        _draw_text(axes, message, (0, -0.75), 0, SUBTITLE)


def _draw_head(axes: Axes, graph: UserGraph, n_shown: int, n_items: int, half: float) -> None:
    """Write the title and what part of the MeKB is shown."""
    every_item = {key for interest in graph.interests for key in items_of(interest)}
    _draw_text(axes, f"Interests of {graph.user}", (0, half + 0.6), 0, TITLE)
    counts = (
        f"{n_shown:,} of {len(graph.interests):,} interests,"
        f" {n_items:,} of the {len(every_item):,} liked items that name them"
    )
    _draw_text(axes, counts, (0, half + 0.27), 0, SUBTITLE)


def _draw_legend(axes: Axes, shown: Sequence[Interest], colours: Mapping[str, str]) -> None:
    """Explain colours, fillings and sizes in a line or two at the foot."""
    if not shown:
        return

    def dot(label: str, colour: str, inside: str | None = None, alpha: float = 1.0) -> Line2D:
        return Line2D(
            [], [], ls="", marker="o", ms=9, mew=2.5 if inside else 0, color=colour,
            mfc=inside or colour, alpha=alpha, label=_one_line(label)[:LEGEND_LETTERS],
        )  # fmt: skip

    named = [domain for domain in colours if colours[domain] != OTHER_COLOUR]
    handles = [dot(domain, colours[domain]) for domain in named]
    if len(named) < len(colours):
        handles.append(dot(f"{len(colours) - len(named)} other domains", OTHER_COLOUR))
    if any(interest.kind != "wikidata" for interest in shown):
        handles.append(dot("Wikidata entity", QUIET))
        handles.append(dot("named by the data set", QUIET, inside=PAPER))
    handles.append(dot("area: weight of the interest", QUIET, alpha=0.4))
    n_columns = len(handles) if len(handles) <= LEGEND_COLUMNS else math.ceil(len(handles) / 2)
    legend = axes.legend(
        handles=handles, loc="lower center", ncols=n_columns, frameon=False, fontsize=10,
        handletextpad=0.1, columnspacing=1.6, borderaxespad=0.8,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_color(INK)
        text.set_parse_math(parse_math=False)


def _draw_text(axes: Axes, text: str, at: tuple[float, float], side: int, style: _Style) -> float:
    """Write a line that grows outwards (side 1 or -1) or both ways (0); return the x where it ends."""
    line = _one_line(text)
    drawn = axes.text(
        *at, line, size=style.size, color=style.colour, weight=style.weight, zorder=8,
        parse_math=False, ha={1: "left", -1: "right", 0: "center"}[side], va="center",
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
    )  # fmt: skip
    to_inches = axes.transData.inverted()
    box = drawn.get_window_extent().transformed(to_inches)
    while box.width > style.room and line:
        line = line[: min(len(line) - 1, int(len(line) * style.room / box.width))].rstrip()
        drawn.set_text(f"{line}…")
        box = drawn.get_window_extent().transformed(to_inches)
    return float(box.x0 if side < 0 else box.x1) + 0.05 * side


def _one_line(text: str) -> str:
    r"""Return a label without line ends and letters that cannot be printed.

    >>> _one_line("Heat\n (1995\x00)")
    'Heat (1995)'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
