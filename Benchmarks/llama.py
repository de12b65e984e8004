#!/usr/bin/env python3
"""llama.cpp built for this processor, as the peer of the serving bench.

    python Benchmarks/llama.py            prints the folder of llama-server, llama-bench and llama-quantize; builds them when it is not there

The source is in the sdist of llama-cpp-python; wheels know AVX2 only. It lies in `.retort/llama`, or its programs where RETORT_LLAMA says.
"""
import os
import pathlib
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".retort/llama"
PACKAGE = "llama-cpp-python==0.3.36"
PROGRAMS = ["llama-server", "llama-bench", "llama-quantize"]


def programs():
    """The folder of the programs, which are built unless they are there."""
    if given := os.environ.get("RETORT_LLAMA"):
        return pathlib.Path(given)
    target = FOLDER / "build/bin"
    if all((target / name).exists() for name in PROGRAMS):
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    tools = pathlib.Path(sys.executable).parent
    run = lambda *command: subprocess.run(command, check=True, env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"})
    run(sys.executable, "-m", "pip", "install", "-q", "scikit-build-core", "cmake", "ninja")
    run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python", "--no-build-isolation",
        "-d", str(FOLDER), PACKAGE)
    (archive,) = FOLDER.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(FOLDER, filter="data")
    source = FOLDER / archive.name.removesuffix(".tar.gz") / "vendor/llama.cpp"
    # With AMX, llama-server 0.3.36 ends with SIGILL on q8_0 weights: it uses tiles before their shape is set. bfloat16 does without AMX anyway.
    has_amx = "amx_tile" in pathlib.Path("/proc/cpuinfo").read_text()
    flags = [f"-DCMAKE_CXX_FLAGS={' '.join(f'-mno-amx-{part}' for part in ('tile', 'int8', 'bf16'))}"] if has_amx else []
    run("cmake", *flags, "-G", "Ninja", "-S", str(source), "-B", str(FOLDER / "build"), "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
        "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF")
    run("cmake", "--build", str(FOLDER / "build"), "--target", *PROGRAMS)
    return target


if __name__ == "__main__":
    print(programs())
