"""The version of mixfast, for whoever has to name it without importing the package's public names."""

__version__ = "0.1.0"
