"""The manifest: what is written is read back, and whatever else is in the file gives one BundleError."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panda_edge.banks import check_banks
from panda_edge.bundle.manifest import MANIFEST_NAME, Manifest, check_seal, parse_manifest, read_manifest
from panda_edge.errors import BundleError

MISSING = object()


@pytest.fixture(scope="module")
def plain(made_bundles: dict[str, Path]) -> dict[str, Any]:
    """The manifest of an hnsw bundle: the kind with the most fields."""
    parsed: dict[str, Any] = json.loads((made_bundles["hnsw"] / MANIFEST_NAME).read_text())
    return parsed


def changed(plain: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the field at a path such as levels.0.stride set; % stands for a dot inside a name."""
    result = copy.deepcopy(plain)
    *parents, last = (int(key) if key.isdigit() else key.replace("%", ".") for key in path.split("."))
    target: Any = result
    for key in parents:
        target = target[key]
    if value is MISSING:
        del target[last]
    else:
        target[last] = value
    return result


def test_round_trip(any_bundle: Path) -> None:
    manifest = read_manifest(any_bundle)
    text = (any_bundle / MANIFEST_NAME).read_text(encoding="utf-8")
    assert manifest.to_json() == text
    assert checked(json.loads(text), "again") == manifest
    check_seal(any_bundle)


def test_what_the_bundles_say(made_bundles: dict[str, Path]) -> None:
    manifest = read_manifest(made_bundles["hnsw"])
    assert manifest.method == {"name": "dn2"}
    assert (manifest.detection.bank, manifest.detection.count, manifest.detection.knn) == ("hnsw", 12, 2)
    assert manifest.detection.ef is not None
    assert [(lv.stride, lv.height, lv.channels) for lv in manifest.levels] == [(16, 4, 7), (8, 8, 5), (4, 16, 3)]
    assert read_manifest(made_bundles["kmeans"]).detection.count == 5


def checked(plain: dict[str, Any], where: str) -> Manifest:
    """As whoever opens the banks reads it."""
    manifest = parse_manifest(plain, where)
    check_banks(manifest, where)
    return manifest


WRONG_TYPES = [
    "method", "backbone", "preprocessing", "preprocessing.height", "preprocessing.width", "preprocessing.resize",
    "preprocessing.cover", "embedding_size", "levels", "levels.0", "levels.0.stride", "levels.1.height",
    "levels.2.width", "levels.2.channels", "detection", "detection.bank", "detection.count", "detection.knn",
    "detection.ef", "segmentation", "segmentation.bank", "segmentation.count", "segmentation.neighbors",
    "segmentation.dtype", "segmentation.sigma", "segmentation.normal_low", "segmentation.normal_high", "recipe",
    "recipe.opset", "recipe.precision", "recipe.seed", "recipe.train_images", "recipe.bank", "recipe.augment",
    "recipe.extended_by",
    "files", "files.model%onnx", "files.model%onnx.bytes", "files.model%onnx.sha256", "created_with",
    "format_version", "magic",
]  # fmt: skip


WRONG_VALUES = [MISSING, None, True, [], "five", -1, 1.5, 10**100, {}]
RIGHT = {
    "created_with": "five", "preprocessing.cover": 1.5, "segmentation.sigma": 1.5, "segmentation.normal_low": 1.5,
    "segmentation.normal_high": 1.5, "method": {}, "backbone": {}, "recipe.bank": {}, "files": {},
    "levels.0": MISSING, "files.model%onnx": MISSING,
}  # fmt: skip


@pytest.mark.parametrize("path", WRONG_TYPES)
def test_a_field_of_a_wrong_type_or_size_is_named(plain: dict[str, Any], path: str) -> None:
    for value in WRONG_VALUES:
        if path in RIGHT and value == RIGHT[path]:
            continue
        message = None
        try:
            checked(changed(plain, path, value), "x.panda/manifest.json")
        except BundleError as error:
            message = str(error)
        assert message is not None, f"{value!r} is taken"
        last = path.split(".")[-1].replace("%", ".")
        assert message.startswith("x.panda/manifest.json: ")
        assert (f"[{last}]" if last.isdigit() else last.replace("_", " ")) in message.replace("_", " "), repr(value)
        assert "\n" not in message
        assert len(message) < 400


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("magic", "PK", "not a panda-edge bundle"),
        ("format_version", 7, "format version 7, this panda-edge reads 6; update"),
        ("format_version", 5, "format version 5, this panda-edge reads 6; fit the bundle again"),
        ("format_version", 0, "format version 0"),
        ("preprocessing.height", 15, "preprocessing: height is 15"),
        ("preprocessing.width", 100_000, "preprocessing: width is 100000"),
        ("preprocessing.resize", "stretch", "resize is 'stretch', expected squash or crop"),
        ("preprocessing.cover", 0.5, "cover is 0.5"),
        ("preprocessing.cover", math.nan, "cover is nan"),
        ("detection.knn", 13, "knn is 13"),
        ("detection.bank", "flat", "bank is 'flat'"),
        ("detection.bank", "kmeans", "kmeans detection"),
        ("detection.count", 11, "11 of a hnsw detection"),
        ("detection.ef", 10**9, "ef is 1000000000"),
        ("segmentation.sigma", 1e9, "sigma is 1000000000.0"),
        ("segmentation.sigma", math.inf, "sigma is inf"),
        ("segmentation.dtype", "float64", "dtype is 'float64'"),
        ("segmentation.count", 2**62, "count is 4611686018427387904"),
        ("levels", [], "0 levels"),
        ("levels.0.height", 8, "levels"),
        ("levels.2.stride", 8, "levels: 16×16 cells of stride 8 do not cover the input of 64×64"),
    ],
)
def test_values_out_of_range(plain: dict[str, Any], path: str, value: Any, expected: str) -> None:
    with pytest.raises(BundleError, match=expected):
        checked(changed(plain, path, value), "m")


@pytest.mark.parametrize("value", [True, [], {}, "five", -1, 0, 1.5, 16, 2**62, 10**100])
def test_a_rank_that_a_gaussian_bank_cannot_have(made_bundles: dict[str, Path], value: Any) -> None:
    gaussian = json.loads((made_bundles["gaussian"] / MANIFEST_NAME).read_text())  # 7 + 5 + 3 channels
    with pytest.raises(BundleError, match="segmentation: rank is") as caught:
        checked(changed(gaussian, "segmentation.rank", value), "m")
    assert "\n" not in str(caught.value)


def test_a_gaussian_bank_without_a_rank_keeps_all_directions(made_bundles: dict[str, Path]) -> None:
    gaussian = json.loads((made_bundles["gaussian"] / MANIFEST_NAME).read_text())
    assert gaussian["segmentation"]["rank"] is None
    assert checked(changed(gaussian, "segmentation.rank", MISSING), "m").segmentation.rank is None
    assert checked(changed(gaussian, "segmentation.rank", 15), "m").segmentation.rank == 15


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "bank/../../x", "a/b/c", "..", ".", "", ".hidden", "a\\b", "bank/", "C:x", "a\nb"]
)
def test_hostile_file_names(plain: dict[str, Any], name: str) -> None:
    hostile = copy.deepcopy(plain)
    hostile["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    with pytest.raises(BundleError, match="not a file name inside the bundle") as caught:
        checked(hostile, "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "x", 3, True, {}])
def test_not_an_object_of_ours(value: Any) -> None:
    with pytest.raises(BundleError):
        checked(value, "m")


CONTENTS = {
    "empty": b"",
    "text": b"hello",
    "cut": b'{"magic": "panda-edge bundle", "form',
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "long number": b'{"magic": ' + b"9" * 100_000 + b"}",
    "NaN": b'{"magic": "panda-edge bundle", "format_version": NaN}',
    "too large": b" " * 4_000_001,
    "half a surrogate pair": b'{"magic": "panda-edge bundle", "created_with": "\\ud800"}',
    "an endless number": b'{"magic": "panda-edge bundle", "format_version": 1e999}',
    "a field twice": b'{"magic": "panda-edge bundle", "magic": "panda-edge bundle"}',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError):
        check_seal(tmp_path)


def test_no_manifest_or_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no manifest\.json in it"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST_NAME).mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_nan_anywhere_is_not_json(bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None]) -> None:
    # Such a value would come out again through `info --json`, which must stay JSON.
    bundle = bundle_copy()
    edit_manifest(bundle, lambda plain: plain["method"].update(rate=math.nan))
    with pytest.raises(BundleError, match="not valid JSON"):
        read_manifest(bundle)


def test_a_field_that_stands_twice_is_named(bundle_copy: Callable[..., Path]) -> None:
    manifest = bundle_copy() / MANIFEST_NAME
    manifest.write_text(manifest.read_text().replace('"knn":', '"count": 5,\n  "knn":'))
    with pytest.raises(BundleError, match="'count' stands twice"):
        read_manifest(manifest.parent)


@dataclass(frozen=True)
class _Later(Manifest):
    """A manifest with a table that version 1 did not have."""

    addition: dict[str, Any] | None = None


def test_a_later_table_is_written_only_where_it_is_there(made_bundles: dict[str, Path]) -> None:
    manifest = read_manifest(made_bundles["hnsw"])
    fields = {field.name: getattr(manifest, field.name) for field in dataclasses.fields(manifest)}
    assert _Later(**fields).to_json() == manifest.to_json()
    assert json.loads(_Later(**fields, addition={"of": 2}).to_json())["addition"] == {"of": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_gives_a_manifest_or_a_bundle_error(plain: dict[str, Any], data: st.DataObject) -> None:
    mutated = copy.deepcopy(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        target: Any = mutated
        while True:
            keys = list(target) if isinstance(target, dict) else list(range(len(target)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(target[key], dict | list) and target[key] and data.draw(st.booleans()):
                target = target[key]
                continue
            if isinstance(target, dict) and data.draw(st.booleans()):
                value = target.pop(key)
                target[data.draw(st.text(max_size=8))] = value
            else:
                target[key] = data.draw(json_values)
            break
    message = "one line"
    try:
        assert checked(mutated, "m").preprocessing.height <= 4096
    except BundleError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
