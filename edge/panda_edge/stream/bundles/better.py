"""From labels to a better bundle: tried beside the one at work, applied, undone, or asked of the workstation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from panda_edge.detector import Detector
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.labelled import DEFECT, NORMAL
from panda_edge.stream.bundles.labels import Labels
from panda_edge.stream.bundles.request import write_request
from panda_edge.stream.bundles.shelf import Shelf
from panda_edge.stream.bundles.work import Work
from panda_edge.stream.why import why

REQUEST = "request.zip"
_JOINING = "path", "severity", "chance", "threshold", "verdict"


@dataclass(frozen=True)
class AtWork:
    """The loop, as far as it matters here. detector: at work; reload: takes up the bundle that stands at its path.
    require_signature: the key that bundles must be signed with, so that none made here can be used. saved: the folder
    of `watch --save`, whose pictures are compared; None without."""

    detector: Callable[[], Detector]
    reload: Callable[[], None]
    require_signature: str | None = None
    saved: Path | None = None


class BetterBundle:
    """Every method may be called by any thread."""

    def __init__(self, at_work: AtWork, labels: Labels, keep: int) -> None:
        """keep: how many bundles before the one at work stay."""
        self._at_work = at_work
        self.labels = labels
        self._shelf = Shelf(at_work.detector().bundle.path, keep)
        self._work = Work()
        self._lock = RLock()
        self._tried: _Tried | None = None

    def state(self) -> dict[str, Any]:
        """What the page shows.

        job: what is being done, or was last: `what` (`try`, `find`), `running`, `seconds`, `progress`, `done`, `total`,
        `error`. tried: see `_Tried.facts`. finds: see `find_all`. kept: bundles that one can go back to.
        """
        job = self._work.job
        tried = self._tried
        facts: dict[str, Any] = {
            "job": None if job is None else job.facts(),
            "tried": None if tried is None else tried.facts(self._shelf),
            "finds": None,
            "labels": self.labels.counts(),
            "changes": self.labels.changes,
            "kept": self._shelf.kept(),
            "applies": self._at_work.require_signature is None and self._shelf.writable,
            "requested": (self.labels.folder / REQUEST).is_file(),
        }
        if job is not None and job.what == "find" and job.result is not None:
            facts["finds"] = _finds(job.result["lines"])
        return facts

    def attempt(self) -> int:
        """Begin to make a bundle with all pictures labelled normal, and compare; returns how many these are. Raises
        PandaError."""
        with self._lock:
            self._work.check_free()
            return self._attempt()

    def _attempt(self) -> int:
        joining = self.labels.all(NORMAL)
        if not joining:
            raise PandaError("no picture is labelled normal that is not in the bundle already; label some first")
        self._shelf.prepare()
        detector = self._at_work.detector()
        decider = detector.decider
        more = ["--fpr", repr(decider.fpr)] if decider is not None else []
        if self._at_work.saved is not None:
            more += ["--kept", str(self._at_work.saved)]
        if self._at_work.require_signature is not None:
            more += ["--require-signature", self._at_work.require_signature]
        files = [one.file for one in joining]
        tried = _Tried(detector.bundle.manifest.identity, tuple(file.name for file in files))

        def ended() -> None:
            tried.end(job.result, job.error)

        self._tried = tried
        job = self._work.start(
            "try",
            ["extend", str(self._shelf.bundle), "-", "--out", str(self._shelf.next), "--json", "--progress-lines",
             "--labels", str(self.labels.folder), *more],
            b"".join(os.fsencode(file) + b"\n" for file in files),
            ended,
        )  # fmt: skip
        return len(files)

    def stop(self) -> None:
        """End what is being tried."""
        self._work.stop()

    def apply(self, who: str, sure: bool) -> dict[str, Any]:
        """Put the bundle that was tried at work; what became of it. sure: somebody has looked again at the pictures
        that are asked about. Raises PandaError."""
        with self._lock:
            self._work.check_free()
            return self._apply(who, sure)

    def _apply(self, who: str, sure: bool) -> dict[str, Any]:
        tried = self._tried
        if self._at_work.require_signature is not None:
            raise PandaError(
                "this device takes signed bundles alone; export a request, and sign what comes of it on the workstation"
            )
        if tried is None or tried.result is None:
            raise PandaError("nothing to apply; try first")
        if tried.asked and not sure:
            raise PandaError(f"look again at {len(tried.asked)} pictures that score unlike normal ones, and say so")
        facts = {"who": who, "pictures": list(tried.names), "before": tried.result["before"],
                 "after": tried.result["after"]}  # fmt: skip
        self._shelf.apply(tried.identity, facts)
        self._tried = None
        self.labels.join(tried.names, joined=True)
        self._at_work.reload()
        return {"bundle": self._shelf.identity(), "pictures": len(tried.names)}

    def undo(self) -> dict[str, Any]:
        """Put the bundle before at work again. Raises PandaError."""
        with self._lock:
            self._work.check_free()
            facts = self._shelf.undo()
            self._tried = None
            names = facts.get("pictures")
            self.labels.join(names if isinstance(names, list) else [], joined=False)
            self._at_work.reload()
        return {"bundle": self._shelf.identity(), "pictures": len(names) if isinstance(names, list) else 0}

    def find_all(self) -> int:
        """Begin to look for the least false-alarm rate at which every labelled defect is found; returns how many these
        are. Raises PandaError."""
        defects = self.labels.all(DEFECT)
        if not defects:
            raise PandaError("no picture is labelled a defect; label some first")
        signed = self._at_work.require_signature
        self._work.start(
            "find",
            ["detect", str(self._shelf.bundle), "-", "--json", *(["--require-signature", signed] if signed else [])],
            b"".join(os.fsencode(one.file) + b"\n" for one in defects),
            lambda: None,
        )
        return len(defects)

    def request(self, who: str) -> Path:
        """Write what the workstation needs to make the bundle: pictures, labels and the wish. Raises PandaError."""
        joining, defects = self.labels.all(NORMAL), self.labels.all(DEFECT)
        if not joining:
            raise PandaError("no picture is labelled normal that is not in the bundle already; label some first")
        bundle, path = self._at_work.detector().bundle, self.labels.folder / REQUEST
        about = {
            "bundle": bundle.path.name,
            "identity": bundle.manifest.identity,
            "who": who,
            "add": [one.file.name for one in joining],
        }
        try:
            write_request(path, about, {NORMAL: [one.file for one in joining], DEFECT: [one.file for one in defects]})
        except OSError as error:
            raise PandaError(f"{path}: cannot be written ({why(error)}); make room") from error
        return path

    def close(self) -> None:
        self._work.close()


class _Tried:
    """What was tried. identity: of the bundle that it was tried against; names: of the pictures."""

    def __init__(self, identity: str, names: Sequence[str]) -> None:
        self.identity, self.names = identity, names
        self.result: dict[str, Any] | None = None
        self.refused: list[dict[str, Any]] = []

    def end(self, result: dict[str, Any] | None, error: str | None) -> None:
        lines = [] if result is None else result["lines"]
        last = lines[-1] if lines else {}
        if "refused" in last:
            self.refused = last["refused"]
        elif error is None:
            self.result = last

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Pictures that somebody should look at again."""
        pictures = [] if self.result is None else self.result["pictures"]
        return [one for one in pictures if one.get("verdict") == "ask"]

    def facts(self, shelf: Shelf) -> dict[str, Any]:
        """before, after: as `compared` gives them; null where nothing came of it. refused, asked: pictures with
        `id`, `severity`, `chance` and the `threshold` that one alone would make. current: whether the bundle at work
        is the one that it was tried against."""
        try:
            current = shelf.identity() == self.identity
        except BundleError:
            current = False
        found = self.result or {"before": None, "after": None}
        return {
            "pictures": len(self.names),
            "before": found["before"],
            "after": found["after"],
            "asked": [_shown(one) for one in self.asked],
            "refused": [_shown(one) for one in self.refused],
            "current": current,
        }


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    name = Path(str(one["path"])).name
    return {"id": name.partition("_")[0], **{key: one.get(key) for key in _JOINING if key != "path"}}


def _finds(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """pictures: defects that were judged. rate: the least false-alarm rate that finds them all, null without
    calibration. weakest: the id of the one that asks for it."""
    known = [(one["p_value"], one) for one in lines if one.get("p_value") is not None]
    rate, weakest = max(known, key=lambda one: one[0], default=(None, None))
    name = None if weakest is None else str(weakest.get("input"))
    identity = None if name is None else Path(name).name.partition("_")[0]
    return {"pictures": len(known), "rate": rate, "weakest": identity}
