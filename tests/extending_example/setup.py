from setuptools import Extension, setup

import mixfast

setup(
    ext_modules=[
        Extension(
            "geometric_mixture._geometric", ["geometric_mixture/_geometric.c"], include_dirs=[mixfast.get_include()]
        )
    ]
)
