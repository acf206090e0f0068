"""Twin of the counter-based random numbers (`_random.pxd`), in Python's integers."""

from __future__ import annotations

import numpy as np

WORD = 0xFFFFFFFF


def philox(key, counter):
    """Philox 4x32, ten rounds: four words from a key of 64 bits and a counter of four words."""
    key = [key & WORD, key >> 32]
    counter = list(counter)
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (right >> 32) ^ counter[1] ^ key[0],
            right & WORD,
            (left >> 32) ^ counter[3] ^ key[1],
            left & WORD,
        ]
        key = [(key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD]
    return counter


def uniform(seed, start, purpose, index):
    """A number in [0, 1) of 53 random bits."""
    words = philox(seed, [index & WORD, index >> 32, purpose, start])
    return ((words[0] >> 5) * 2**26 + (words[1] >> 6)) / 2**53


class Stream:
    """Numbers of one stream, one after the other (`open_stream` in `_random.pyx`)."""

    def __init__(self, seed, sweep, purpose, index):
        self.seed, self.counter, self.spare = seed, [0, index, purpose, sweep], None

    def pair(self):
        """Two numbers in [0, 1)."""
        words = philox(self.seed, self.counter)
        self.counter[0] += 1
        return tuple(((words[i] >> 5) * 2**26 + (words[i + 1] >> 6)) / 2**53 for i in (0, 2))

    def uniform(self):
        return self.pair()[0]

    def normal(self):
        """Box & Muller's, which come in pairs."""
        if self.spare is not None:
            found, self.spare = self.spare, None
            return found
        first, second = self.pair()
        length = np.sqrt(-2 * np.log1p(-first))
        self.spare = length * np.sin(2 * np.pi * second)
        return length * np.cos(2 * np.pi * second)

    def log_gamma(self, shape):
        """The logarithm of Marsaglia & Tsang's Gamma variate, of rate 1."""
        if shape < 1:
            return np.log1p(-self.uniform()) / shape + self.log_gamma(shape + 1)
        scale = shape - 1 / 3
        while True:
            x = self.normal()
            v = (1 + x / np.sqrt(9 * scale)) ** 3
            if v > 0:
                u = 1 - self.uniform()
                if u < 1 - 0.0331 * x**4 or np.log(u) < x * x / 2 + scale * (1 - v + np.log(v)):
                    return np.log(scale * v)


def uniforms(seed, start, purpose, n):
    return np.array([uniform(seed, start, purpose, index) for index in range(n)])
