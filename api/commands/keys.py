"""`threadwise keys`: who may ask the service, as whom, and what else they may do."""

from typing import Annotated

import typer

from api import options
from api.installation import NewKey, opened
from api.output import print_json, print_text, tell

app = typer.Typer(
    help="Keys that open the service for a program or a person.",
    epilog="Example: threadwise keys create --name intranet --scope ask --principal everyone",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SCOPES = ("ask", "admin")


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists and in the audit.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="`ask` for questions, `admin` for everything. Repeatable [default: ask].")
    ] = None,
    principal: Annotated[
        list[str] | None, typer.Option(help="Whose rights it reads with. Repeatable [default: everyone].")
    ] = None,
    expires_days: Annotated[float | None, typer.Option(min=0.0001, max=3650, help="Days until it ends.")] = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a key. Its secret is shown this once and stored nowhere.

    Example: threadwise keys create --name intranet --scope ask --principal T0123 --expires-days 90
    """
    scopes = tuple(map(options.text, scope or ["ask"]))
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise typer.BadParameter(f"{unknown[0]!r} is no scope, choose from {', '.join(SCOPES)}")
    order = NewKey(
        name=options.present(name, "the name"),
        scopes=scopes,
        principals=tuple(options.present(value, "a principal") for value in principal or ["everyone"]),
        expires_days=expires_days,
    )
    with opened(data_dir) as installation:
        key = installation.create_key(order)
    if as_json:
        print_json(key)
    else:
        print_text(str(key["secret"]))
        tell(f"This is the secret of key {key['id']} ({key['name']}). It cannot be shown again.")


@app.command(name="list")
def list_keys(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show every key, without its secret.

    Example: threadwise keys list
    """
    from api.listing import keys_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        rows = installation.keys()
    if as_json:
        print_json({"keys": rows})
    else:
        print_text(keys_text(rows))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, as `threadwise keys list` shows it.")],
    *,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """End a key: from now on it opens nothing.

    Example: threadwise keys revoke 0123456789ab
    """
    with opened(data_dir) as installation:
        row = installation.revoke_key(options.present(key, "the key"))
    if as_json:
        print_json(row)
    else:
        print_text(f"Key {row['id']} ({row['name']}) opens nothing any more.")
