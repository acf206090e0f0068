"""Draw overview.png, the picture of the README and of the site's first page: python docs/make_overview.py"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from mixfast import GaussianMixture, MixtureDisplay, MixtureMap, select

HERE = Path(__file__).resolve().parent
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.5, 3.9), layout="constrained")

faithful = pd.read_csv(HERE / "examples" / "guide" / "faithful.csv")
model = select(faithful, GaussianMixture(), covariance_type=["full", "tied"], random_state=0).best_
MixtureDisplay.from_estimator(model, faithful, kind="contours", ax=left)
left.set(xlabel="eruption (min)", ylabel="wait for the next (min)", title="clusters of eruptions")

galaxies = np.loadtxt(HERE.parent / "tests" / "data" / "galaxies.csv", skiprows=1)[:, np.newaxis]
model = GaussianMixture(4, reg_covar=0, n_init=20, random_state=0).fit(galaxies)
MixtureDisplay.from_estimator(model, galaxies, ax=middle)
middle.set(xlabel="velocity (1000 km/s)", title="density of galaxies")

digits = load_digits()
scores = PCA(10, random_state=0).fit_transform(digits.data)
model = GaussianMixture(10, covariance_type="tied", n_init=5, random_state=0).fit(scores)
MixtureMap.from_estimator(model, scores).plot(ax=right)
right.set(title="map of ten clusters of digits", xlabel="")

for ax in figure.axes:
    if ax.get_legend() is not None:  # an overview has no room for them
        ax.get_legend().remove()
figure.savefig(HERE / "overview.png", dpi=90)
# 64 colours are enough, and a third of the bytes
Image.open(HERE / "overview.png").convert("RGB").quantize(64).save(HERE / "overview.png", optimize=True)
