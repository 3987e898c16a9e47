"""The command `panda-edge info`."""

from __future__ import annotations

from panda_edge.commands.console import print_json
from panda_edge.commands.options import BundlePath, Json, RequireSignature, Threads


def info(
    bundle: BundlePath, threads: Threads = None, require_signature: RequireSignature = None, json: Json = False
) -> None:
    """What is inside a bundle, and how this machine would run it."""
    from panda_edge.inspect.info import describe, describe_in_words

    facts = describe(bundle, threads, require_signature)
    if json:
        print_json(facts)
    else:
        print(describe_in_words(facts))
