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


def uniforms(seed, start, purpose, n):
    return np.array([uniform(seed, start, purpose, index) for index in range(n)])
