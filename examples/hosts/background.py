"""Background subtraction with a mixture for each pixel, in C and on the host's threads: background.c.

python examples/hosts/background.py                          # seconds a frame of 640 x 480, beside OpenCV's MOG2
"""

import ctypes
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import mixfast
from mixfast import GaussianMixture, capi

PLACES = ["means", "variances", "roots", "counts", "first", "second"]
NAMES = ["api", "plan", "K", "d", "n_params", "n_sums", *PLACES]
OPTIONS = ["rate", "background", "least_log_density", "new_variance", "new_weight"]


class Settings(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int64) for name in NAMES), *((name, ctypes.c_double) for name in OPTIONS)]


def compile_host():
    """The function of background.c."""
    source = Path(__file__).parent / "background.c"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "background.so")
        command = ["cc", "-O2", "-shared", "-fPIC", f"-I{mixfast.get_include()}", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(target)).subtract_background


class BackgroundSubtractor:
    """Masks of what moves, frame by frame.

    Parameters
    ----------
    n_components : int
        Gaussians of each pixel, with a variance for each channel.
    rate : float
        How much of what a pixel remembers is the last frame.
    background : float
        The largest components, with this share of the weight, are the background. So what rests on a pixel is
        foreground for log(background) / log(1 - rate) frames, 57 of these defaults, and background then.
    variance : float
        Of a new component, and what is added to every variance.
    deviations : float
        A value is explained where its density is at least that of one so many standard deviations from a component of
        this variance and half the weight, in each channel.
    n_threads : int
    """

    def __init__(self, n_components=3, rate=1 / 200, background=0.75, variance=30.0, deviations=4.0, n_threads=2):
        self.n_components, self.rate, self.background = n_components, rate, background
        self.variance, self.deviations, self.n_threads = variance, deviations, n_threads
        self.subtract = compile_host()
        self.state = None

    def begin(self, frame):
        """The first frame: a component for each pixel, and others of no weight to speak of beside it."""
        *size, d = frame.shape
        n_pixels, K = int(np.prod(size)), self.n_components
        model = GaussianMixture(K, covariance_type="diag", reg_covar=self.variance / 2)
        self.plan = plan = capi.plan(model, d, "float32")
        layout, sums_layout = plan.layout, plan.sums_layout
        least = np.log(0.5) - 0.5 * d * (np.log(2 * np.pi * self.variance) + self.deviations**2)
        self.settings = Settings(
            capi.address, plan.address, K, d, plan.n_params, plan.n_sums, layout["means"].offset,
            layout["covariances"].offset, layout["precisions_cholesky"].offset, sums_layout["counts"].offset,
            sums_layout["first"].offset, sums_layout["second"].offset, self.rate, self.background, least, self.variance,
            self.rate,
        )  # fmt: skip
        weights, params, sums = (np.zeros((n_pixels, n)) for n in (K, plan.n_params, plan.n_sums))
        weights[:] = [1 - 1e-6 * (K - 1)] + [1e-6] * (K - 1)
        for i in range(n_pixels):
            layout["means"].of(params[i])[:] = frame.reshape(n_pixels, d)[i]
        params[:, layout["covariances"].offset :] = self.variance
        params[:, layout["precisions_cholesky"].offset :] = self.variance**-0.5
        places = sums_layout["counts"].offset
        sums[:, places : places + K] = weights
        sums[:, sums_layout["weight"].offset] = sums[:, sums_layout["least_weight"].offset] = 1
        for i in range(n_pixels):
            sums_layout["second"].of(sums[i])[:] = weights[i][:, np.newaxis] * self.variance / 2
        self.state = weights, params, sums

    def apply(self, frame):
        """A mask (height, width) of the foreground, for a frame (height, width, channels) of values from 0 to 255."""
        frame = np.ascontiguousarray(frame, dtype=np.float32)
        if self.state is None:
            self.begin(frame)
        mask = np.zeros(frame.shape[:-1], dtype=np.uint8)
        rows, flat = frame.reshape(-1, frame.shape[-1]), mask.reshape(-1)
        cuts = np.linspace(0, len(rows), self.n_threads + 1).astype(int)

        def some(first, last):
            arrays = [rows, *self.state, flat]
            data = [ctypes.c_void_p(array[first:last].ctypes.data) for array in arrays]
            root = ctypes.c_double(self.variance**-0.5)
            return self.subtract(
                ctypes.byref(self.settings), data[0], ctypes.c_int64(last - first), root, *data[1:]
            )  # without the GIL

        with ThreadPoolExecutor(self.n_threads) as pool:
            codes = list(pool.map(some, cuts[:-1], cuts[1:]))
        if any(codes):
            raise ValueError(f"a pixel could not be fitted: codes {codes}")
        return mask.astype(bool)


def video(n_frames, height, width, size, seed=0):
    """(frames (n, height, width, 3) of float32, masks of the truth): noise, a pattern, and a square that moves over it
    once it is known."""
    rng = np.random.default_rng(seed)
    pattern = rng.uniform(60, 120, size=(height, width, 3))
    for t in range(n_frames):
        frame = pattern + rng.normal(scale=4, size=pattern.shape)
        truth = np.zeros((height, width), dtype=bool)
        if t >= n_frames // 2:
            x = (t - n_frames // 2) * 2 % (width - size)
            y = (t - n_frames // 2) % (height - size)
            truth[y : y + size, x : x + size] = True
            frame[truth] = rng.normal([200, 190, 30], 4, size=(int(truth.sum()), 3))
        yield np.clip(frame, 0, 255).astype(np.float32), truth


def overlap(mask, truth):
    """Intersection over union."""
    union = np.sum(mask | truth)
    return np.sum(mask & truth) / union if union else 1.0


def mog2(cv2, ours):
    """OpenCV's, with our rate once it has seen as many frames, share of the background and distance."""
    others = cv2.createBackgroundSubtractorMOG2(round(1 / ours.rate), ours.deviations**2, detectShadows=False)
    others.setBackgroundRatio(ours.background)
    return others


def main():
    ours, others = BackgroundSubtractor(), None
    try:
        import cv2

        others = mog2(cv2, ours)
    except ImportError:
        print("OpenCV is not installed: opencv-python-headless")
    seconds, found = np.zeros(2), ([], [])
    n_frames = 60
    for frame, truth in video(n_frames, 480, 640, 80):  # the square takes 40 frames to leave a pixel
        start = time.perf_counter()
        masks = [ours.apply(frame)]
        middle = time.perf_counter()
        if others is not None:
            masks.append(others.apply(frame.astype(np.uint8)) > 0)
        seconds += middle - start, time.perf_counter() - middle
        if truth.any():
            for list_, mask in zip(found, masks, strict=False):
                list_.append(overlap(mask, truth))
    for name, time_of, overlaps in zip(("mixfast", "MOG2"), seconds, found, strict=True):
        if overlaps:
            speed = f"{name}: {n_frames / time_of:.2f} frames a second"
            print(f"{speed}, IoU {np.mean(overlaps):.3f}, least {min(overlaps):.3f}")


if __name__ == "__main__":
    main()
