#!/usr/bin/env python3
"""Gives the grader answers that were made to harm it, and measures what they cost: each must be wrong, with a reason, within
bounded time and memory.

    python3 Tools/hostile_answers.py --retort .build/release/retort

Every answer is graded against three references, SymPy and Math-Verify included. Prints the whole run's seconds and the largest
process's memory, then the slowest answers by themselves (--each). Ends with code 1 when one is accepted or has no reason.
"""
import argparse
import json
import resource
import subprocess
import tempfile
import time

ANSWERS = {
    "three million nines": "9" * 3_000_000, "braces": "{" * 19_000, "brackets": "(" * 100_000,
    "megabytes of text": "the answer " * 300_000, "import": "__import__('os').system('true')", "tower": "9**9**9**9",
    "LaTeX tower": "9^{9^{9^{9}}}", "nested tower": "((((((((((2^{2^{2^{2^{2^{2}}}}})))))))))!", "open fraction": "\\frac{1}{",
    "open pair": "\\left( 3, ", "power of a sum": "(x+y+z+w)^{99}", "product": "(x+1)" * 3000, "factorial": "10000000!",
    "fractions": "\\frac{" * 3000, "division by zero": "1/0", "zero inverse": "0^{-1}", "open matrix": "\\begin{pmatrix} 1 \\\\",
    "exponent": "1e999999999", "sum": "x_1+" * 4000 + "1", "NUL": "\0", "closing braces": "\\boxed{" + "}" * 50_000,
    "boxes": "\\boxed{1}" * 100_000 + "\\boxed{", "root": "\\sqrt{" + "7" * 5000 + "}", "list": "1,2," * 4000,
    "binomial": "\\binom{1000000000}{500000000}", "sines": "sin(" * 500,
    "eval": "eval(compile('while 1: pass','','exec'))", "lambda": "(lambda f: f(f))(lambda f: f(f))",
    "attribute": "().__class__.__base__.__subclasses__()", "open": "open('/etc/passwd').read()",
    "integral": "\\int_0^{10^{100}} x^{x^{x}} dx", "sum to infinity": "\\sum_{k=1}^{\\infty} \\frac{1}{k^{k^k}}",
    "primes": "2^{82589933}-1", "matrix": "\\begin{pmatrix}" + "1 & " * 4000 + "1\\end{pmatrix}",
    "combining marks": "1" + "\u0301" * 200_000, "right to left": "\u202e" * 10_000 + "42",
    "radicals": "\\sqrt{1+" * 300 + "1" + "}" * 300, "powers": "x^{" * 300 + "2" + "}" * 300,
    "logarithms": "\\log_{" * 300 + "2", "cases": "\\begin{cases}" * 2000,
}
REFERENCES = ["42", "\\frac{x+2}{7}", "(1,2)"]


def grade(program, answers):
    """(seconds, verdicts)"""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for answer in answers:
            for reference in REFERENCES:
                file.write(json.dumps({"prediction": answer, "reference": reference}) + "\n")
        file.flush()
        start = time.perf_counter()
        output = subprocess.run(
            [program, "grade", "--pairs", file.name, "--json"], check=True, capture_output=True, text=True, timeout=900
        ).stdout
        return time.perf_counter() - start, [json.loads(line) for line in output.splitlines()]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--retort", default=".build/release/retort")
    arguments.add_argument("--each", action="store_true", help="also time each answer in a process of its own")
    options = arguments.parse_args()
    seconds, verdicts = grade(options.retort, ANSWERS.values())
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    faults = [v for v in verdicts if v["correct"] or not v["reason"]]
    print(f"{len(verdicts)} pairs of {len(ANSWERS)} answers in {seconds:.1f} s, largest process {memory:.0f} MiB, "
          f"{len(faults)} accepted or without a reason")
    for verdict in faults:
        print(f"  {verdict['prediction'][:60]!r}: {verdict['reason']}")
    if options.each:
        times = sorted(((grade(options.retort, [answer])[0], name) for name, answer in ANSWERS.items()), reverse=True)
        for taken, name in times[:8]:
            print(f"{taken:6.2f} s  {name}")
        print(f"{times[-1][0]:6.2f} s  the quickest, which is the start-up")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
