"""`mekb profiles`: people's interests, and a look at one person's."""

import typer

from mekb.cli.profiles import build, files, person

app = typer.Typer(
    no_args_is_help=True, help="Build, show, export and validate people's interest graphs."
)
app.command("build")(build.build)
app.command("import")(build.import_)
app.command("update")(build.update)
app.command("show")(person.show)
app.command("edit")(person.edit)
app.command("infer")(build.infer)
app.command("forget")(person.forget)
app.command("export")(files.export)
app.command("dump")(files.dump)
app.command("validate")(files.validate)
