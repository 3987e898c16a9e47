"""What `panda-edge extend` does and says: a bundle's bank changes, and its figures before and after."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_edge.builder.added import read_added
from panda_edge.builder.extend import extend_bundle
from panda_edge.builder.progress import Progress
from panda_edge.builder.remove import remove_pictures
from panda_edge.builder.trial import Candidate, candidates, compared
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.commands.before_after import table
from panda_edge.commands.console import print_json, print_line, print_remark, show, show_lines
from panda_edge.commands.extend_options import CompareOptions, ExtendOptions
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.images.inputs import expand_inputs
from panda_edge.images.labelled import labelled_pictures, newest_pictures
from panda_edge.stream.bundles.request import Request, opened_request

_KEPT = 50  # pictures of `watch --save` that are judged by both bundles, so that a try takes no minutes
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Change(ExtendOptions, CompareOptions):
    """What the command line asked for."""

    bundle: Path
    inputs: tuple[str, ...]
    remove: tuple[str, ...]
    require_signature: str | None
    json: bool

    @property
    def progress(self) -> Progress:
        return show_lines if self.progress_lines else show


def added_lines(bundle: Path, require_signature: str | None) -> Iterator[dict[str, Any]]:
    """A line for each picture that was added. Raises BundleError."""
    for picture in read_added(open_bundle(bundle, require_signature)).pictures:
        yield {"name": picture.name, "run": picture.extension, "kind": picture.kind}


def change_bundle(asked: Change) -> None:
    """Make the new bundle, print what became of it. Raises PandaError, BundleError, DataError."""
    with ExitStack() as stack:
        request = None if asked.request is None else stack.enter_context(opened_request(asked.request))
        new = _new(asked, request)
        pictures = {"new": new, **_beside(asked, request, new)}
        # Opened before the new one may take its place.
        before = load(asked.bundle, fpr=asked.fpr, require_signature=asked.require_signature)
        if request is not None and request.identity != before.bundle.manifest.identity:
            print_remark(f"{asked.request}: of another bundle, {request.bundle} ({request.identity})")
        joining = candidates(before, new, asked.progress)
        _refuse(asked, joining)
        if asked.out is None or asked.dry_run:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="panda-edge-"))
            target = Path(folder) / asked.bundle.name
        else:
            target = asked.out
        facts = _made(asked, target, new)
        after = load(target, fpr=asked.fpr)
        figures = compared([before, after], pictures, asked.progress)
    facts |= {"before": figures[0], "after": figures[1], "pictures": [_of(one) for one in joining]}
    if asked.json:
        print_json(facts)
        return
    done = f"{facts['removed']} pictures taken out" if asked.remove else f"{facts['added']} normal images added"
    held = f", {facts['held_out']} more only calibrate" if facts["held_out"] else ""
    print_line(f"{'nothing written' if asked.dry_run else asked.out}: {done}{held}")
    for line in table(figures[0], figures[1]):
        print_line(line)


def _new(asked: Change, request: Request | None) -> list[Path]:
    if request is not None:
        return list(request.normal)
    found = []
    for item in expand_inputs(asked.inputs):
        if item.error:
            raise item.error
        found.append(item.path)
    return found


def _beside(asked: Change, request: Request | None, new: Sequence[Path]) -> dict[str, Sequence[Path]]:
    """The pictures that are judged by both bundles, by kind."""
    found: dict[str, Sequence[Path]] = {} if request is None else dict(request.labelled)
    if asked.labels is not None:
        joining = {os.path.realpath(path) for path in new}
        labelled = labelled_pictures(asked.labels)
        found = {
            kind: [one for one in paths if os.path.realpath(one) not in joining] for kind, paths in labelled.items()
        }
    if asked.kept is not None:
        found["kept"] = newest_pictures(asked.kept, _KEPT)
    return found


def _made(asked: Change, target: Path, new: Sequence[Path]) -> dict[str, Any]:
    if asked.remove:
        removed = remove_pictures(asked.bundle, asked.remove, target, asked.require_signature, asked.progress)
        facts, manifest = {"added": 0, "held_out": 0, "removed": removed.removed}, removed.manifest
    else:
        done = extend_bundle(
            asked.bundle, new, target, asked.max_bank_mb, asked.hold_out, asked.require_signature, asked.progress
        )
        copies, kept = done.said
        if copies:
            print_remark(copies)
        if kept:
            print_remark(f"--max-bank-mb {done.manifest.recipe.bank['max_bank_mb']:g} keeps {kept}")
        facts, manifest = {"added": done.added, "held_out": done.held_out, "removed": 0}, done.manifest
    if not asked.dry_run and (asked.bundle / SIGNATURE_NAME).exists():
        print_remark(f"{asked.out}: not signed, as {asked.bundle} is; sign it with `panda-train sign`")
    return {"bundle": None if asked.dry_run else str(asked.out), **facts, **_sizes(manifest)}


def _sizes(manifest: Manifest) -> dict[str, Any]:
    calibration = manifest.calibration or {"images": 0}
    return {
        "train_images": manifest.recipe.train_images,
        "calibration_images": calibration["images"],
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
    }


def _of(one: Candidate) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": str(one.path)}
    if one.joining is not None:
        known = one.joining
        facts |= {
            "severity": known.severity,
            "chance": known.chance,
            "threshold": known.threshold,
            "verdict": known.verdict,
        }
    return facts


def _refuse(asked: Change, found: Sequence[Candidate]) -> None:
    """Raise PandaError where pictures are too far from the normal ones, which JSON lists, too; say which ones somebody
    should look at again."""
    scored = [(one, one.joining) for one in found if one.joining is not None]
    most = asked.max_severity
    if most is not None:
        far = [(one, known) for one, known in scored if not known.severity <= most]
    else:
        far = [(one, known) for one, known in scored if known.verdict == "refuse"]
        for one, known in scored:
            if known.verdict == "ask":
                print_remark(
                    f"{one.path}: severity {known.severity:.3g}; {100 * known.chance:.2g} % of normal pictures' false "
                    f"alarms score so high, and alone it would raise the threshold to {known.threshold:.4g}; look again"
                )
    if not far:
        return
    if asked.json:
        print_json({"refused": [_of(one) for one, _ in far]})
    named = ", ".join(f"{one.path} ({known.severity:.3g})" for one, known in far[:_NAMED])
    more = f" and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
    bound = f"severity above {most:g}" if most is not None else "severity beyond what normal pictures have"
    raise PandaError(
        f"{bound}, as defects have, which would raise the threshold for all: {named}{more}; look at them and leave "
        f"them out, or give --max-severity {far[0][1].severity * 1.01:.3g}"
    )
