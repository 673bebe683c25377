"""`mekb data audit`: leaks in the data, before they are in the results."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from mekb.cli.options import ConfigOption, Format, SetOption, StoreArgument


class AuditFormat(StrEnum):
    """How an audit is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def audit(
    store: StoreArgument,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="A source domain; may be repeated. Default: all others."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="The domain recommended from. Default: each in turn."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave with exit code 1 when a leak is found.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        AuditFormat, typer.Option("--format", help="Print a table, JSON or Markdown.")
    ] = AuditFormat.TABLE,
) -> None:
    """Look for leaks: one product under two ids, test rows in the source, the future in the profile, and more.

    Verdicts: ok; look (may be meant so, know it before you report a number); leak (a model can read test rows
    off its input).

    Example: mekb data audit my.duckdb --source books --target films
    """
    from mekb import api
    from mekb.audit import as_markdown
    from mekb.cli.output import print_json, print_line, print_rows
    from mekb.config import load_settings

    settings = load_settings(config, set_ or [])
    audits = api.audit(store, target=target, sources=source or (), settings=settings)
    if format is AuditFormat.JSON:
        print_json(
            [
                {
                    **each.model_dump(mode="json", exclude={"findings"}),
                    "has_leak": each.has_leak,
                    "findings": [
                        finding.model_dump(mode="json") | {"share": finding.share}
                        for finding in each.findings
                    ],
                }
                for each in audits
            ]
        )
    elif format is AuditFormat.MARKDOWN:
        sys.stdout.write(as_markdown(audits))
    else:
        for each in audits:
            title = f"{' + '.join(each.sources)} -> {each.target}"
            print_rows(each.rows(), Format.TABLE, title=title)
            for finding in each.noticed():
                print_line(f"! {finding.name} ({finding.verdict}): {finding.what}")
                print_line(f"    {finding.advice}")
                for example in finding.examples:
                    print_line(f"    {example}")
    if strict and any(each.has_leak for each in audits):
        raise typer.Exit(1)
