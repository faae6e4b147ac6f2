"""Mini-batches from a data set that is one uint8 array: gathered, augmented, normalized at once."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.distributed import own_rows
from pyg_agfn.generators import generator_for


def to_float(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W], 0..255, to channels-last floats, -1..1."""
    images = images.to(torch.float32, memory_format=torch.channels_last)
    return images.div_(127.5).sub_(1)


def random_affine(
    images: Tensor, draw: Tensor, shift: float = 0.1, degrees: float = 10.0
) -> Tensor:
    r"""Crop, flip and small rotation, the usual augmentation of facial images.

    Each image is moved (a crop of the padded image), mirrored with probability 1/2 and turned,
    all in one bilinear look-up, the border repeated. torchvision's transforms draw once for a
    batch, and kornia's would be a dependency for this and :func:`random_erasing` alone.

    Args:
        images (Tensor): Floats, -1..1.
        draw (Tensor): Of each image, turn, flip and move to the right and down, uniform in 0..1.
        shift (float): Furthest move either way, a share of the image's size.
        degrees (float): Furthest turn either way.

    Shapes:
        - **input:** :math:`(N, C, H, W)`, draws :math:`(4, N)`
        - **output:** :math:`(N, C, H, W)`
    """
    _, _, height, width = images.shape
    angle = (2 * draw[0] - 1) * torch.pi / 180 * degrees
    mirror = torch.where(draw[1] < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    # Rows of the 2x3 maps from output to input coordinates, which run from -1 to 1.
    x_row = torch.stack(
        [mirror * cos, -mirror * sin * height / width, 2 * shift * (2 * draw[2] - 1)]
    )
    y_row = torch.stack([sin * width / height, cos, 2 * shift * (2 * draw[3] - 1)])
    theta = torch.stack([x_row.t(), y_row.t()], dim=1)  # N, 2, 3
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_erasing(images: Tensor, draw: Tensor, probability: float = 0.5) -> Tensor:
    r"""Makes a rectangle of 2 to 20% of an image grey (random erasing).

    Args:
        images (Tensor): Floats, -1..1.
        draw (Tensor): Of each image, the rectangle's area, aspect, top and left, and whether there
            is one, uniform in 0..1.
        probability (float): Share of the images that lose a rectangle.

    Shapes:
        - **input:** :math:`(N, C, H, W)`, draws :math:`(5, N)`
        - **output:** :math:`(N, C, H, W)`
    """
    _, _, height, width = images.shape
    area = 0.02 + 0.18 * draw[0]
    aspect = (2 * draw[1] - 1).exp()  # 0.37 to 2.7, symmetric in the logarithm
    box_height, box_width = (area * aspect).sqrt(), (area / aspect).sqrt()
    top, left = draw[2] * (1 - box_height), draw[3] * (1 - box_width)
    row = (torch.arange(height, device=images.device) + 0.5) / height
    column = (torch.arange(width, device=images.device) + 0.5) / width
    rows = (row >= top[:, None]) & (row < (top + box_height)[:, None])
    columns = (column >= left[:, None]) & (column < (left + box_width)[:, None])
    box = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(box & (draw[4] < probability)[:, None, None, None], 0.0)


class Batches:
    r"""Iterates over a data set in mini-batches on a device.

    The whole array lies on the device when it takes less than half of what is free there, else
    each batch is copied from the memory map, by threads that read ahead if there are any. The
    order is drawn anew at each pass, from the seed alone, so that two methods see the same images
    in the same order. A last batch of fewer images is left out of a shuffled pass: it would be a
    graph of another size.

    Args:
        dataset (ImageDataset): Images and labels.
        batch_size (int): Images a batch; all of them if there are fewer. Of a shuffled pass each
            process (:mod:`pyg_agfn.distributed`) gets its part of the batch that one would get.
        device (torch.device): Where batches are wanted.
        shuffle (bool): Draw the order; else it is the data set's, without augmentation.
        augmented (bool): Pass the images through :func:`random_affine` and :func:`random_erasing`.
        seed (int): Of order and augmentation.
        mirrored (bool): Behind the N images of a batch come their mirrored views, each erased by
            a draw of its own; the N are the same as without, but for an erasing if they are not
            augmented.
        workers (int): Threads that read batches ahead. They change nothing but the time.

    Yields images ``float32`` :math:`(N, C, H, W)`, channels last, or :math:`2N` of them, labels
    :math:`(N)`, and which images of the data set these are, :math:`(N)`.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        device: torch.device | str,
        shuffle: bool = False,
        augmented: bool = False,
        seed: int = 0,
        mirrored: bool = False,
        workers: int = 0,
    ) -> None:
        self.images = dataset.images
        device = torch.device(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.images.numel() < free // 2:
                self.images = self.images.to(device)
        self.labels = dataset.labels.to(device)
        self.batch_size = min(batch_size, len(dataset))
        self.device = device
        self.shuffle = shuffle
        self.augmented = augmented
        self.generator = generator_for("order", seed)
        self.mirrored = mirrored
        # Of its own, so that a method with a second view sees the same first ones as the others.
        self.mirror_generator = generator_for("mirrored view", seed)
        #: Batches of the pass so far.
        self.done = 0
        self._skip = 0
        self._begin: dict[str, Tensor] | None = None
        self.workers = 0 if self.images.device.type == "cuda" else workers

    def __len__(self) -> int:
        n = self.labels.numel()
        return n // self.batch_size if self.shuffle else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        n = self.labels.numel()
        self._begin = self._generators()
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        whole = order.split(self.batch_size)[: len(self)]
        draws = [self._draws(len(batch)) for batch in whole]
        # Draws are of the whole batch, whatever part of it this process has.
        parts = [own_rows(len(batch)) if self.shuffle else slice(None) for batch in whole]
        own = [batch[part] for batch, part in zip(whole, parts, strict=True)]
        self.done = first = self._skip
        self._skip = 0
        remaining = zip(own[first:], parts[first:], draws[first:], strict=True)
        for (chosen, part, drawn), pixels in zip(remaining, self._read(own[first:]), strict=True):
            images = self._prepare(
                pixels, {name: draw[:, part].to(self.device) for name, draw in drawn.items()}
            )
            self.done += 1
            yield images, self.labels[chosen.to(self.device)], chosen
        self._begin, self.done = None, 0

    def state_dict(self) -> dict[str, Tensor]:
        """The generators where the pass began; :attr:`done` tells how many batches came since."""
        return self._generators() if self._begin is None else self._begin

    def load_state_dict(self, state: dict[str, Tensor], done: int) -> None:
        """The next pass is the one of that state, without its first batches."""
        self.generator.set_state(state["generator"])
        self.mirror_generator.set_state(state["mirror_generator"])
        self._begin, self.done, self._skip = None, done, done

    def _generators(self) -> dict[str, Tensor]:
        return {
            "generator": self.generator.get_state(),
            "mirror_generator": self.mirror_generator.get_state(),
        }

    def _draws(self, n: int) -> dict[str, Tensor]:
        """What is drawn for a batch of n, on the CPU, so that every device sees the same."""
        drawn = {}
        if self.augmented:
            drawn["random_affine"] = torch.rand(4, n, generator=self.generator)
            drawn["random_erasing"] = torch.rand(5, n, generator=self.generator)
        elif self.mirrored:
            drawn["random_erasing"] = torch.rand(5, n, generator=self.mirror_generator)
        if self.mirrored:
            drawn["random_erasing mirrored"] = torch.rand(5, n, generator=self.mirror_generator)
        return drawn

    def _prepare(self, pixels: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        images = to_float(pixels.to(self.device, non_blocking=True))
        if "random_affine" in drawn:
            images = random_affine(images, drawn["random_affine"])
        mirrored = images.flip(-1)
        if "random_erasing" in drawn:
            images = random_erasing(images, drawn["random_erasing"])
        if self.mirrored:
            images = torch.cat([images, random_erasing(mirrored, drawn["random_erasing mirrored"])])
        return images

    def _read(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """The pixels of each batch, in order; with workers, up to two a worker are read ahead."""

        def gather(chosen: Tensor) -> Tensor:
            pixels = self.images[chosen.to(self.images.device)]
            return pixels.pin_memory() if self.workers and self.device.type == "cuda" else pixels

        if not self.workers:
            yield from map(gather, batches)
            return
        # Threads, not processes: reading a memory map holds no lock, and nothing is copied twice.
        pool = ThreadPoolExecutor(self.workers)
        try:
            ahead = deque(pool.submit(gather, chosen) for chosen in batches[: 2 * self.workers])
            for chosen in batches[2 * self.workers :]:
                yield ahead.popleft().result()
                ahead.append(pool.submit(gather, chosen))
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
