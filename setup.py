"""Builds the Cython extensions; everything else about the package is in pyproject.toml.

WAROUTER_CYTHON_DEBUG=1 builds them with bounds checks, line tracing and an annotated listing, and
without optimisation. The checks are switched here, since a directive in a .pyx would win over this.
WAROUTER_CYTHON_SANITIZE=1 builds them with AddressSanitizer and UBSan (`make sanitize`).
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("WAROUTER_CYTHON_DEBUG") == "1"
SANITIZE = ["-fsanitize=address,undefined"] * (os.environ.get("WAROUTER_CYTHON_SANITIZE") == "1")
CAREFUL = [*SANITIZE, "-O1", "-g", "-fno-omit-frame-pointer"] if SANITIZE else ["-O3"]

setup(
    ext_modules=cythonize(
        [
            Extension(
                "*",
                [sources],
                extra_compile_args=["-O0", "-g"] if DEBUG else CAREFUL,
                extra_link_args=SANITIZE,
                define_macros=[("CYTHON_TRACE_NOGIL", "1")] if DEBUG else [],
            )
            for sources in (
                "src/warouter/_*.pyx",
                "src/warouter/*/_*.pyx",
                "src/warouter/*/*/_*.pyx",
            )
        ],
        build_dir="build/cython",
        annotate=DEBUG,
        compiler_directives={"boundscheck": DEBUG, "wraparound": DEBUG, "linetrace": DEBUG},
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
