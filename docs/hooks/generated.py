"""What the documentation says of tables, settings, models, commands and verbs, written from the code when the site is built.

In: a page with a line such as `<!-- generated: table items -->`. Out: the page with that line replaced by what the
schema, the settings class, the registry, the command line or `mekb.api` say of it. So these parts cannot fall behind
the code, and nobody writes them twice. MkDocs calls `on_page_markdown`; the tests call it too.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from importlib import import_module
from itertools import pairwise
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

MARKER = re.compile(r"^<!-- generated: (?P<kind>\w+)(?: (?P<name>[\w.]+))? -->.*$", re.MULTILINE)
SCHEMA_MODULES = ("mekb.schema", "alias_tables.schema", "entity_linking.schema", "training.schema")
LONGEST_DEFAULT = 60
VERB_ROOMS = {
    "data": "Data in, and what a store holds",
    "datasets": "Published data sets",
    "auditing": "The audit",
    "linking": "Alias tables and links",
    "profiles": "Profiles",
    "exports": "Profiles as files",
    "pages": "Profiles as a page",
    "models": "Models, comparisons, bundles",
    "measuring": "Ratings, clicks, every domain",
    "ask": "Recommendations",
    "serving": "Over HTTP",
    "cluster": "Spark",
    "stores": "Stores",
}
"""Module of `mekb.api` -> what its verbs are for, in the order of the page; a new module comes last."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page with its markers replaced; MkDocs calls this for every page.

    Raises:
        KeyError: a marker asks for something that is not there.
    """

    def text(marker: re.Match[str]) -> str:
        name = marker["name"]
        return GENERATORS[marker["kind"]](name) if name else GENERATORS[marker["kind"]]()

    return MARKER.sub(text, markdown)


def table_text(name: str) -> str:
    """Return a table of a store, or "training.METRICS": its columns, key, sort order and checks."""
    module_name, _, constant = name.rpartition(".")
    if module_name:
        schema = getattr(import_module(f"{module_name}.schema"), constant)
    else:
        schema = import_module("mekb.schema").CATALOGUE[name]
    contract = {key.decode(): json.loads(value) for key, value in schema.metadata.items()}
    rows = [
        {
            "column": f"`{field.name}`" + (" (key)" if field.name in contract["key"] else ""),
            "type": f"`{_type_name(field.type)}`",
            "may be null": "yes" if field.nullable else "",
        }
        for field in schema
    ]
    checks = "".join(
        f"- `{check}`\n\n    ```sql\n{textwrap.indent(_folded(query), '    ')}\n    ```\n"
        for check, query in contract["checks"].items()
    )
    return "\n".join(
        [
            f"### `{constant.lower() if module_name else name}`\n",
            _schema_docstring(schema),
            f"\n{_markdown_table(rows)}\n",
            f"Key: {_names(contract['key'])}. Sorted by {_names(contract['sort'])}.\n",
            f"Checks, each a query that must find nothing:\n\n{checks}" if checks else "",
        ]
    )


def _type_name(type_: pa.DataType) -> str:
    return str(type_).replace("item: ", "").replace("element: ", "")


def _folded(query: str) -> str:
    return "\n".join(textwrap.wrap(query, 100, break_long_words=False, break_on_hyphens=False))


def _names(columns: list[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _schema_docstring(schema: pa.Schema) -> str:
    """Return what stands below the constant that holds a schema; "" where nothing does."""
    for module in map(import_module, SCHEMA_MODULES):
        said = docstrings(module)
        for name, value in vars(module).items():
            if value is schema and name in said:
                return said[name]
    return ""


def docstrings(owner: Any) -> dict[str, str]:
    """Return name -> docstring of the assignments in a module or class that have one below them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body if inspect.ismodule(owner) else tree.body[0].body  # type: ignore[attr-defined]  # a class
    found = {}
    for statement, after in pairwise(body):
        match statement, after:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[name] = inspect.cleandoc(said)
    return found


def settings_text(section: str) -> str:
    """Return the settings of a section: name, default, meaning; "train.model" is EmbedMe with its presets."""
    if section == "train.model":
        return _embedme_settings()
    config = import_module("mekb.config").Settings.model_fields[section].annotation
    return _markdown_table(
        {"setting": f"`{section}.{name}`", "default": _default(value), "meaning": said}
        for name, value, said in _fields(config)
    )


def _embedme_settings() -> str:
    module = import_module("training.embedme.config")
    return _markdown_table(
        {
            "setting": f"`train.model.{name}`",
            **{
                preset: _default(given[name]) if name in given else ""
                for preset, given in module.PRESETS.items()
            },
            "where a preset says nothing": _default(value),
            "meaning": said,
        }
        for name, value, said in _fields(module.EmbedMeConfig)
    )


def _fields(config: type[BaseModel]) -> Iterator[tuple[str, Any, str]]:
    """Yield the fields of a settings class with default and docstring, inherited ones first."""
    said: dict[str, str] = {}
    for owner in reversed(config.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            said |= docstrings(owner)
    for name, field in config.model_fields.items():
        yield name, field.get_default(call_default_factory=True), said.get(name, "")


def _default(value: Any) -> str:
    """Return a default as a setting is written, long ones cut."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, BaseModel):
        value = value.model_dump()
    text = "none" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    return f"`{text if len(text) <= LONGEST_DEFAULT else text[: LONGEST_DEFAULT - 1] + '…'}`"


def model_text(name: str) -> str:
    """Return what a model of the registry is: paper, needs, and its module's own words with formula and deviations."""
    registry = import_module("training.registry")
    model = registry.model_class(name)
    module = import_module(registry.MODELS[name][0])
    needs = ", ".join(sorted(f"`{need.value}`" for need in model.needs)) or "nothing"
    return "\n".join(
        [
            f"### `{name}`\n",
            f"{model.paper}.\n",
            f"Needs: {needs}.\n",
            "\n".join(map(_no_tags, inspect.cleandoc(module.__doc__ or "").splitlines())),
            "",
        ]
    )


def commands_text() -> str:
    """Return every command with its help, arguments, options and examples."""
    import typer

    from mekb.cli.app import app

    return "\n".join(
        _command_text(name, command) for name, command in _commands(typer.main.get_command(app))
    )


def _commands(group: Any, words: tuple[str, ...] = ("mekb",)) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def _command_text(name: str, command: Any) -> str:
    help_text = inspect.cleandoc(command.help or "")
    examples = re.findall(r"^Example: (.+)$", help_text, re.MULTILINE)
    said = re.sub(r"^Example: .+$\n*", "", help_text, flags=re.MULTILINE).strip()
    rows = [
        {
            "": _parameter_name(parameter),
            "default": "" if parameter.param_type_name == "argument" else _shown(parameter),
            "meaning": parameter.help or "",
        }
        for parameter in command.params
        if parameter.name != "help"
    ]
    return "\n".join(
        [
            f"## {name}\n",
            f"{_plain(said)}\n",
            "```console\n" + "".join(f"$ {example}\n" for example in examples) + "```\n",
            _markdown_table(rows),
        ]
    )


def _parameter_name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        shown = parameter.name.upper().strip("_")
        return f"`{shown}`" if parameter.required else f"`[{shown}]`"
    return ", ".join(f"`{switch}`" for switch in parameter.opts + parameter.secondary_opts)


def _shown(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or default is False or default == "" or callable(default):
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"


def verbs_text() -> str:
    """Return every public name of `mekb.api`, by what it is for, as directives that mkdocstrings fills."""
    api = import_module("mekb.api")
    by_room: dict[str, list[str]] = {room: [] for room in VERB_ROOMS}
    for name in api.__all__:
        module = getattr(getattr(api, name), "__module__", "")
        room = module.rpartition(".")[2] if module.startswith("mekb.api.") else "stores"
        by_room.setdefault(room, []).append(name)
    parts = []
    for room, names in by_room.items():
        if names:
            parts.append(f"## {VERB_ROOMS.get(room, room)}\n")
            parts += [f"::: mekb.api.{room}.{name}\n" for name in names]
    return "\n".join(parts)


def _markdown_table(rows: "Iterator[Mapping[str, str]] | list[dict[str, str]]") -> str:
    """Return rows as a Markdown table; "" where there are none."""
    rows = list(rows)
    if not rows:
        return ""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a text as one cell: on one line, without anything that Markdown takes for its own."""
    return _plain(" ".join(text.split())).replace("|", r"\|")


def _plain(text: str) -> str:
    """Return prose in which nothing but backticks is markup."""
    return _outside_code(text, lambda part: part.replace("<", "&lt;").replace("*", r"\*"))


def _no_tags(line: str) -> str:
    """Return a line of Markdown whose angle brackets are no tags."""
    if line.startswith("    "):
        return line
    return _outside_code(line, lambda part: part.replace("<", "&lt;"))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)


GENERATORS: Mapping[str, Callable[..., str]] = {
    "table": table_text,
    "settings": settings_text,
    "model": model_text,
    "commands": commands_text,
    "verbs": verbs_text,
}
"""Kind of a marker -> what writes it."""
