"""Natural photographs that come with the installed packages, for what needs pre-training-like images offline.

scikit-image ships several, scikit-learn two. They are few, so images are drawn from them as ImageNet training does:
random crops (8 % to 100 % of the area, sides 3:4 to 4:3) and mirror images.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

# Those in scikit-image's wheel itself; the others would be downloaded.
_SCIKIT_IMAGE = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
                 "moon", "rocket")  # fmt: skip


def photographs() -> list[Image.Image]:
    """The photographs, RGB."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    pictures = [getattr(data, name)() for name in _SCIKIT_IMAGE]
    pictures += list(load_sample_images().images)
    return [Image.fromarray(np.asarray(picture)).convert("RGB") for picture in pictures]


def crops(count: int, height: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """`count` frames, uint8 (height, width, 3); the same for the same seed."""
    pictures = photographs()
    generator = np.random.default_rng(seed)
    for _ in range(count):
        picture = pictures[generator.integers(len(pictures))]
        area = picture.width * picture.height * generator.uniform(0.08, 1.0)
        aspect = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
        crop_width = min(picture.width, np.sqrt(area * aspect))
        crop_height = min(picture.height, np.sqrt(area / aspect))
        left = generator.uniform(0, picture.width - crop_width)
        top = generator.uniform(0, picture.height - crop_height)
        box = (left, top, left + crop_width, top + crop_height)
        frame = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0))
        yield frame[:, ::-1].copy() if generator.random() < 0.5 else frame
