"""K-means centres by scikit-learn."""

from __future__ import annotations

import numpy as np


class KMeansCentres:
    """See `panda_edge.banks.centres.Centres`."""

    def of_descriptors(self, drawn: np.ndarray, count: int, seed: int) -> np.ndarray:
        from sklearn.cluster import MiniBatchKMeans  # seconds to import, and most banks need none

        fit = MiniBatchKMeans(count, batch_size=4096, n_init=3, random_state=seed).fit(drawn.astype(np.float32))
        return np.asarray(fit.cluster_centers_)

    def of_embeddings(self, vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        return np.asarray(KMeans(count, n_init=4, random_state=seed).fit(vectors).cluster_centers_)
