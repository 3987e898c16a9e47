"""Rung by rung: who goes on, who is left out and why, and what is not done again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_choice import settings_for
from panda_edge.banks.coreset import Coreset
from panda_edge.decide.local import Cells
from panda_edge.errors import PandaError
from panda_train.backbones import DEFAULT
from panda_train.choosing import choosing, halving
from panda_train.choosing.candidates import Candidate, Look, candidates, looks, looks_also
from panda_train.choosing.chart import draw, frontier
from panda_train.choosing.fit_command import arguments, command
from panda_train.choosing.halving import RUNGS, Halving, Row
from panda_train.choosing.judge import Verdict, figures
from panda_train.choosing.options import ChooseOptions, check_chart
from panda_train.choosing.pictures import Judged
from panda_train.choosing.plain import fit_command
from panda_train.choosing.state import State
from panda_train.choosing.trial import Seen
from panda_train.evaluation.pixel_scores import PixelScores
from panda_train.resolution import Resolution

LOOK = Look("224²", Resolution())


def verdict_of(score: float, ms: float = 10.0) -> Verdict:
    return Verdict(score, "max", score, score, score, score, ms, 1.0, 5000)


class Fake:
    """A look whose trials are looked up; counts them."""

    def __init__(self, scores: dict[str, tuple[float, float]]) -> None:
        self.scores, self.tried = scores, []  # type: ignore[var-annotated]

    def try_out(self, candidate: Candidate, images: int, shown: Any) -> Any:
        self.tried.append((candidate.name, images))
        if candidate.name not in self.scores:
            raise PandaError(f"{candidate.name} is too small")
        return verdict_of(*self.scores[candidate.name])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(halving, "verdict", lambda tried, fpr, slowness: tried)

    def go(
        fake: Fake,
        names: list[str],
        ms: float = 30.0,
        state: State | None = None,
        looks: dict[str, Look] | None = None,
    ) -> list[Row]:
        pictures = Judged([], [], (10, 10))
        made = [Candidate(name, (looks or {}).get(name, LOOK), settings_for()) for name in names]
        return Halving(lambda look: fake, pictures, ms, 1.0, 0.01, state or State(None, {})).run(made)  # type: ignore[arg-type,return-value]

    return go


def test_the_best_within_the_time_is_chosen(run: Any) -> None:
    scores = {str(i): (i / 20, 10.0 + i) for i in range(20)}
    fake = Fake(scores)
    rows = run(fake, list(scores), ms=25.5)
    assert rows[0].candidate.name == "15"
    assert not rows[0].left_out
    assert rows[0].rung == 3
    said = {row.candidate.name: row.left_out for row in rows}
    assert "ms, more than 25.5" in said["19"]
    assert said["1"].endswith("behind the best")
    tried = [sum(images == rung.fitted for _, images in fake.tried) for rung in RUNGS]
    assert tried == [20, RUNGS[0].survivors + 4, 2 * RUNGS[1].survivors]  # 16 to 19 may be slow by noise


def test_where_all_that_are_left_are_too_slow_after_all_others_get_their_turn(run: Any) -> None:
    class Slower(Fake):
        def try_out(self, candidate: Candidate, images: int, shown: Any) -> Any:
            found = super().try_out(candidate, images, shown)
            late = images == RUNGS[-1].fitted and candidate.name != "3"
            return replace(found, ms=100.0) if late else found

    scores = {str(i): (i / 20, 10.0) for i in range(20)}
    rows = run(Slower(scores), list(scores))
    assert rows[0].candidate.name == "3"
    assert not rows[0].left_out


def test_a_little_over_the_time_is_forgiven_until_the_last_rung(run: Any) -> None:
    rows = run(Fake({"slow": (0.9, 33.0), "fast": (0.5, 10.0)}), ["slow", "fast"])
    assert [row.candidate.name for row in rows] == ["fast", "slow"]
    assert rows[1].rung == 3


@pytest.mark.parametrize(("other", "chosen"), [(0.599, "usual"), (0.601, "other")])
def test_what_fit_does_by_itself_is_left_for_what_is_surely_better(run: Any, other: float, chosen: str) -> None:
    usual = {"usual": replace(LOOK, usual=True)}
    rows = run(Fake({"usual": (0.5, 10.0), "other": (other, 10.0)}), ["usual", "other"], looks=usual)
    assert rows[0].candidate.name == chosen
    assert rows[0].verdict.score == {"usual": 0.5, "other": other}[chosen]  # as it was measured
    said = "0.099 ahead of what is usual" if chosen == "usual" else "0.101 behind the best"
    assert rows[1].left_out.startswith(said)


@pytest.mark.parametrize(
    ("ms", "chosen"), [(30.0, "lite2 256²"), (20.0, "lite1 256²"), (12.0, "lite1 224²"), (9.0, "224²")]
)
def test_the_network_that_finds_most_within_the_time(run: Any, ms: float, chosen: str) -> None:
    """Along the networks of which none is better in less time; one of them is behind in both."""
    scores = {
        "224²": (0.50, 8.0), "lite1 224²": (0.65, 11.0), "lite2 224²": (0.64, 14.0), "lite1 256²": (0.70, 16.0),
        "lite2 256²": (0.75, 25.0),
    }  # fmt: skip
    tried = {name: replace(LOOK, usual=name == "224²", backbone=name.partition(" ")[0]) for name in scores}
    assert run(Fake(scores), list(scores), ms=ms, looks=tried)[0].candidate.name == chosen


@pytest.mark.parametrize(
    ("model_ms", "tried"),
    [(14.0, [("a", "float32")]), (20.0, [("a", "float32"), ("a int8", "int8")]), (40.0, [("a int8", "int8")])],
)
def test_int8_is_tried_where_the_network_takes_most_of_the_time(model_ms: float, tried: list[tuple[str, str]]) -> None:
    found = choosing._within([Look("a", Resolution(), usual=True)], lambda look: model_ms, 30.0)
    assert [(look.name, look.precision) for look in found] == tried
    assert all(look.usual == (look.precision == "float32") for look in found)


def test_a_network_far_above_the_time_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    of = [Look("a", Resolution()), Look("b", Resolution(), backbone="resnet18")]
    found = choosing._within(of, lambda look: 60.0 if look.backbone else 10.0, 30.0)
    assert [look.name for look in found] == ["a"]
    assert "b is left out: the model alone takes 60 ms a picture" in capsys.readouterr().err


def test_the_chosen_network_is_in_the_command() -> None:
    def said(asked: ChooseOptions, look: Look) -> str:
        candidate = Candidate("x", look, settings_for("exact"))
        return fit_command(Path("parts"), asked, Row(candidate, 3, verdict_of(0.9), ""))

    own = ChooseOptions(backbone="resnet18", weights=Path("own.pth"), also=("efficientnet-lite1", DEFAULT))
    assert "--backbone resnet18 --weights own.pth" in said(own, LOOK)
    assert "--backbone efficientnet-lite1 --bank" in said(own, replace(LOOK, backbone="efficientnet-lite1"))
    assert "--backbone" not in said(own, replace(LOOK, backbone=DEFAULT))


def test_what_is_usual() -> None:
    def usual(smallest: float | None, size: tuple[int, int] = (900, 900)) -> list[str]:
        return [one.name for one in candidates(looks(smallest, size), 100.0) if one.usual]

    assert usual(None) == ["224²: exact"]
    assert usual(12.0) == ["tiles: exact"]
    assert not replace(candidates(looks(None, (300, 300)), 50.0)[0], look=LOOK).usual


@pytest.mark.parametrize(
    ("size", "inputs"),  # (width, height) of pictures
    [
        ((266, 200), [None]),
        ((267, 200), [None, "320"]),
        ((374, 374), [None, "320", "448"]),
        ((447, 900), [None, "320", "448"]),
        ((448, 448), [None, "320", "448", "tiles"]),
        ((2000, 500), [None, "160x640", "224x896", "tiles"]),
    ],
)
def test_looks_by_the_size_of_the_pictures(size: tuple[int, int], inputs: list[str | None]) -> None:
    tiles = Look("tiles", Resolution(tiles="auto"))
    sides = [
        Look(f"{side}²", Resolution(given), usual=given is None)
        for side, given in zip((224, 320, 448), inputs, strict=False)
    ]
    assert looks(None, size) == sides + [tiles] * ("tiles" in inputs)
    by_defect = Look("tiles", Resolution(smallest_defect=12.0), usual=True)
    assert looks(12.0, size) == [*(replace(side, usual=False) for side in sides), by_defect]


def test_another_network_is_tried_at_two_resolutions() -> None:
    assert looks_also(["resnet18", "resnet50"], (300, 300)) == [
        Look(f"{name} {side}²", Resolution(given), backbone=name)
        for name in ("resnet18", "resnet50")
        for side, given in ((224, None), (256, "256x256"))
    ]


def test_banks_are_what_their_names_say() -> None:
    exact, gaussian = settings_for("exact", max_bank_mb=50), settings_for("gaussian", max_bank_mb=50)
    coreset = settings_for("coreset", max_bank_mb=50)
    means = settings_for("kmeans-levels", means=200, max_bank_mb=50)
    few = [("exact", exact, None), ("coreset 1 %", coreset, 0.01), ("coreset 10 %", coreset, 0.1)]
    every = [
        few[0], ("exact, K 15", dataclasses.replace(exact, neighbors=15), None), ("gaussian", gaussian, None),
        *few[1:], ("k-means of levels 200", means, None),
    ]  # fmt: skip
    tiles = Look("tiles", Resolution(tiles="auto"))
    assert candidates([LOOK, tiles], 50) == [
        *(Candidate(f"224²: {name}", LOOK, bank, share) for name, bank, share in every),
        *(Candidate(f"tiles: {name}", tiles, bank, share) for name, bank, share in few),
    ]


def test_a_share_is_of_the_cells_of_the_pictures_it_is_tried_on() -> None:
    coreset = Candidate("x", LOOK, settings_for("coreset"), share=0.1)
    assert [coreset.of_cells(cells).kind for cells in (0, 26)] == [Coreset(1), Coreset(3)]
    assert [coreset.tried_on(200, cells) for cells in (150_000, 150_001, 300_000, 10**9)] == [200, 199, 100, 1]


def test_nothing_within_the_time(run: Any) -> None:
    with pytest.raises(PandaError, match=r"at most 5 ms a picture; the fastest, b, takes 9.0: give --ms 9.9 or more"):
        run(Fake({"a": (0.9, 12.0), "b": (0.5, 9.0)}), ["a", "b"], ms=5)


def test_nothing_fits(run: Any) -> None:
    with pytest.raises(PandaError, match="no candidate fits: a is too small"):
        run(Fake({}), ["a"])


def test_what_is_done_is_not_done_again(run: Any, tmp_path: Path) -> None:
    path, scores = tmp_path / "state.json", {"a": (0.9, 12.0), "b": (0.5, 9.0)}
    first = run(Fake(scores), ["a", "b"], state=State(path, {"seed": 0}))
    fake = Fake(scores)
    assert run(fake, ["a", "b"], state=State(path, {"seed": 0})) == first
    assert fake.tried == []
    with pytest.raises(PandaError, match="was made with another seed; give --state another name"):
        State(path, {"seed": 1})
    path.write_text(json.dumps([1]))
    with pytest.raises(PandaError, match="not a state of `choose`"):
        State(path, {"seed": 0})


class Stopped(Fake):
    """Interrupted after so many trials."""

    def __init__(self, scores: dict[str, tuple[float, float]], after: int) -> None:
        super().__init__(scores)
        self.after = after

    def try_out(self, candidate: Candidate, images: int, shown: Any) -> Any:
        if len(self.tried) == self.after:
            raise KeyboardInterrupt
        return super().try_out(candidate, images, shown)


def test_interrupted_ends_with_the_best_so_far_and_goes_on(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores = tmp_path / "state.json", {"slow": (0.95, 31.0), "a": (0.8, 12.0), "b": (0.9, 9.0), "c": (0.1, 9.0)}
    rows = run(Stopped(scores, 3), list(scores), state=State(path, {}))
    assert [(row.candidate.name, row.left_out) for row in rows] == [("b", ""), ("a", "stopped"), ("slow", "stopped")]
    assert "stopped: the best of the 3 of 4 that were tried" in capsys.readouterr().err
    fake = Fake(scores)
    assert run(fake, list(scores), state=State(path, {}))[0].candidate.name == "b"
    assert fake.tried[0] == ("c", RUNGS[0].fitted)


def test_of_two_rungs_the_higher_one_counts(run: Any) -> None:
    scores = {"a": (0.8, 12.0), "b": (0.9, 9.0)}
    (first, second) = run(Stopped(scores, 3), list(scores))
    assert (first.candidate.name, first.rung, second.rung) == ("b", 2, 1)


def test_interrupted_before_anything_was_in_time_is_an_interrupt(run: Any) -> None:
    for scores in ({}, {"slow": (0.9, 100.0)}):
        with pytest.raises(KeyboardInterrupt):
            run(Stopped(scores, len(scores)), ["slow", "b"])


def test_figures_of_what_was_seen() -> None:
    def seen(kind: str | None, value: float) -> Seen:
        pixels = PixelScores()
        mask = np.zeros((4, 4), bool)
        mask[0, 0] = kind is not None
        pixels.add(np.where(mask, value, 0.5), mask)
        cells = Cells.of(np.full((4, 4), value, np.float32))
        return Seen(kind, {"embedding": -value, "max": value, "top1": value}, cells, pixels)

    normal = [seen(None, value) for value in np.linspace(0, 1, 11)]
    found = figures([*normal, seen("hole", 2.0), seen("hole", 3.0), seen("stain", 0.35)], 0.1)
    assert found["hole"].image["max"] == 1.0
    assert found["hole"].image["embedding"] == 0.0
    assert found["hole"].image["local"] == 1.0
    assert found["hole"].found["max"] == 1.0
    assert found["stain"].found["max"] == 0.0
    assert found["hole"].pixel == 1.0
    assert found["stain"].pixel == 0.0
    assert found["stain"].image["max"] == pytest.approx(4 / 11)
    assert set(found) == {"hole", "stain", "all"}


def test_the_frontier_is_of_the_last_rung() -> None:
    def row(name: str, score: float, ms: float, rung: int = 3) -> Row:
        return Row(Candidate(name, LOOK, settings_for()), rung, verdict_of(score, ms), "")

    rows = [row("c", 0.9, 20), row("a", 0.7, 5), row("b", 0.6, 8), row("early", 0.99, 1, rung=1), row("d", 0.8, 12)]
    assert [found.candidate.name for found in frontier(rows)] == ["a", "d", "c"]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_chart(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    check_chart(path)
    rows = [Row(Candidate(f"c{i}", LOOK, settings_for()), 3 - i, verdict_of(0.5 + i / 10, 5 + i), "") for i in range(3)]
    draw(rows, 30.0, path)
    assert path.stat().st_size > 1000
    with pytest.raises(PandaError, match=r"ends in .png or .svg"):
        check_chart(tmp_path / "x.pdf")
    with pytest.raises(PandaError, match="there is no folder"):
        check_chart(tmp_path / "none" / "x.png")


def test_without_limits_the_usual_candidate_is_what_fit_makes() -> None:
    """Found: 100 MB, if no limit was given, took two thirds of a large default bank away."""
    (usual,) = (one for one in candidates(looks(None, (484, 358)), ChooseOptions().bank_mb) if one.usual)
    assert usual.bank == settings_for()
    assert arguments(usual, verdict_of(1)) == ["--bank", "exact"]


def test_the_command_names_what_differs_from_the_defaults() -> None:
    plain = Candidate("exact", LOOK, settings_for(max_bank_mb=100))
    assert arguments(plain, verdict_of(1)) == ["--bank", "exact", "--max-bank-mb", "100"]
    bank = settings_for("exact", average=3, level_weights=(1.0, 1.0, 0.0), window=2, neighbors=15)
    look = Look("int8", Resolution(input_size="320"), "int8")
    line = command(Path("/data/my parts"), ["--seed", "3"], arguments(Candidate("x", look, bank), verdict_of(1)))
    assert line == (
        "panda-train fit '/data/my parts' --out 'my parts.panda' --seed 3 --bank exact --window 2 --neighbors 15 "
        "--average 3 --level-weights 1,1,0 --input-size 320 --precision int8"
    )
    lost = dataclasses.replace(verdict_of(1), rule="embedding", lost=True)
    assert arguments(Candidate("x", LOOK, settings_for()), lost)[-4:] == [
        "--score",
        "embedding",
        "--embedding",
        "rooted",
    ]
    coreset = arguments(Candidate("x", LOOK, settings_for("coreset"), share=0.1), verdict_of(1))
    assert coreset == ["--bank", "coreset"]  # 5,000, as by default
