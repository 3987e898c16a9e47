"""One target under libFuzzer's Python face, atheris: python -m fuzz.one TARGET CORPUS… [-runs=N …]

Run by `fuzz.run`; by hand, with a file in place of a corpus, it repeats a find.
"""

from __future__ import annotations

import logging
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["panda_edge", "panda_train.data", "PIL", "numpy.lib", "zipfile", "json"]):
    import PIL.Image

    from fuzz import targets
from fuzz.mutate import MUTATORS

PIL.Image.init()  # all of its formats, before the first input asks for one


def main() -> None:
    name = sys.argv.pop(1)
    target, mutator = targets.TARGETS[name], MUTATORS.get(name)
    warnings.simplefilter("ignore")  # Pillow tells of odd tags; what would reach a user is tested under tests/
    logging.disable()
    limits = [f"-max_len={target.most_bytes}", f"-rss_limit_mb={target.most_mb}"]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        assert mutator is not None
        return mutator(bytes(data), most, seed, atheris.Mutate)

    def one(data: bytes) -> None:
        targets.check(name, data)

    own = {"custom_mutator": mutate} if mutator else {}
    atheris.Setup([sys.argv[0], *limits, *sys.argv[1:]], one, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
