"""The commands `panda-train keygen` and `panda-train sign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_train.commands.options import BundlePath, Json


def keygen(
    key: Annotated[Path, typer.Argument(metavar="K.key", help="File to write the secret key to.")],
    json: Json = False,
) -> None:
    """Make a key that signs bundles: K.key, which you keep, and K.pub, which goes onto the devices. Needs the extra
    `sign`."""
    from panda_export.signing import make_key

    public = make_key(key)
    if json:
        print_json({"secret": str(key), "public": str(key.with_suffix(".pub")), "key": public.text()})
    else:
        print_line(f"{key.with_suffix('.pub')}  {public.text()}")


def sign(
    bundle: BundlePath,
    key: Annotated[Path, typer.Option(metavar="K.key", help="File of the secret key.")],
    comment: Annotated[str, typer.Option(help="A line of your own, signed with the bundle.")] = "panda-edge bundle",
    version: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A number, higher with each bundle; devices refuse lower ones than K.pub's line 'least version: N'.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Sign a bundle, once every file's hash is found right. `panda-edge verify --key K.pub` checks it. Needs the extra
    `sign`."""
    from panda_export.signing import read_secret_key, sign_bundle

    facts = sign_bundle(bundle, read_secret_key(key), comment, version).facts()
    if json:
        print_json({"bundle": str(bundle), **facts})
    else:
        print_line(f"{bundle}: signed with key {facts['key']}: {facts['comment']}")
