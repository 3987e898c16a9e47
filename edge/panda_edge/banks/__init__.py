"""What is stored of the normal images: one module a kind of bank, which builds, opens, searches and measures it.

`BANKS` is the only place that knows their names; `embeddings.EMBEDDING_KINDS` that of the banks of image embeddings.
"""

from __future__ import annotations

from panda_edge.banks.bank import Bank, Gallery, SearchOptions, Traits
from panda_edge.banks.coreset import Coreset
from panda_edge.banks.embeddings import EMBEDDING_KINDS
from panda_edge.banks.exact import Exact
from panda_edge.banks.gaussian import Gaussian
from panda_edge.banks.joint_hnsw import JointHnsw
from panda_edge.banks.kmeans import KMeans
from panda_edge.banks.kmeans_levels import KMeansLevels
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, Manifest
from panda_edge.errors import BundleError

_EVERY: tuple[type[Bank], ...] = (Exact, KMeans, KMeansLevels, Coreset, JointHnsw, Gaussian)
BANKS = {bank.name: bank for bank in _EVERY}
"""What the manifest's `segmentation.bank` may be; a new kind is a row here."""


def traits_of(manifest: Manifest) -> Traits:
    """Those of the bank that a manifest names."""
    return BANKS[manifest.segmentation.bank].traits


def check_banks(manifest: Manifest, where: str) -> None:
    """Raise BundleError where the manifest's fields do not go with the banks that it names."""
    maps, bank = manifest.segmentation, BANKS[manifest.segmentation.bank]
    EMBEDDING_KINDS[manifest.detection.bank].check(manifest, f"{where}: detection")
    where = f"{where}: segmentation"
    if maps.dtype not in bank.traits.dtypes:
        raise BundleError(
            f"{where}: dtype is {maps.dtype!r} of a {maps.bank} bank; expected {' or '.join(bank.traits.dtypes)}"
        )
    if maps.window is not None and not bank.traits.stores_frames:
        raise BundleError(f"{where}: window is {maps.window} of a {maps.bank} bank; expected an exact one")
    bank.check(manifest, where)


def open_gallery(bundle: Bundle, options: SearchOptions) -> Gallery:
    """The bank of pyramid features that a bundle's manifest names. Raises BundleError."""
    check_banks(bundle.manifest, str(bundle.path / MANIFEST_NAME))
    return BANKS[bundle.manifest.segmentation.bank].open(bundle, options)
