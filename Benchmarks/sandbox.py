"""Times the sandboxed interpreter beside what others use, in one run: a fresh python3 -I, smolagents' local executor
(which is no sandbox), and a Jupyter kernel. Prints a Markdown table of milliseconds."""
import json
import os
import statistics
import subprocess
import sys
import time


def timed(count, action):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {"median": statistics.median(times), "p95": times[min(int(count * 0.95), count - 1)]}


def fresh_python(program):
    subprocess.run([sys.executable, "-I", "-c", program], check=True)


def smolagents_local():
    from smolagents.local_python_executor import LocalPythonExecutor

    def session():
        executor = LocalPythonExecutor(["numpy", "sympy"])
        executor.send_tools({})
        return executor

    executor = session()
    return timed(50, session), timed(100, lambda: executor("x = 1"))


def jupyter_kernel():
    from jupyter_client.manager import start_new_kernel

    def session():
        manager, client = start_new_kernel(kernel_name="python3")
        client.stop_channels()
        manager.shutdown_kernel(now=True)

    starts = timed(3, session)
    manager, client = start_new_kernel(kernel_name="python3")
    step = timed(50, lambda: client.execute_interactive("x = 1", timeout=30))
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return starts, step


def main():
    bench = os.path.join(os.path.dirname(__file__), "..", ".build", "release", "sandbox-bench")
    ours = json.loads(subprocess.run([bench], check=True, capture_output=True).stdout)
    rows = [(f"Retort: {name}", timing) for name, timing in ours.items()]
    rows.append(("python3 -I, nothing imported", timed(20, lambda: fresh_python("pass"))))
    rows.append(("python3 -I, numpy and sympy", timed(5, lambda: fresh_python("import numpy, sympy"))))
    start, step = smolagents_local()
    rows += [("smolagents local executor (no sandbox): session", start), ("smolagents local executor: step", step)]
    start, step = jupyter_kernel()
    rows += [("Jupyter kernel: session", start), ("Jupyter kernel: step", step)]
    print("| what | median ms | p95 ms |\n| --- | ---: | ---: |")
    for name, timing in rows:
        print(f"| {name} | {timing['median']:.1f} | {timing['p95']:.1f} |")


main()
