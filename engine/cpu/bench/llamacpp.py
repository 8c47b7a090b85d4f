"""Measures the CPU engine beside llama.cpp on the same GGUF file, in turns.

  python llamacpp.py MODEL.gguf ... [--rounds 3] [--cpu-time]

Each round runs ours (the Go benchmarks of engine/cpu) and llama.cpp (through
llama-cpp-python, its default build) at the same threads and batch; the table shows
medians in tokens per second and the ratio of medians. Run it on a quiet machine: what
else runs takes from both, but not evenly. Where there is none, --cpu-time counts
tokens per second that the processes themselves ran, with one thread.
Needs: llama-cpp-python, Go.
"""
import argparse
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import llama_cpp as lc

root = Path(__file__).resolve().parents[3]
CASES = [("decode", t, b) for t in (1, 2) for b in (1, 8)] + [("prefill", t, 1) for t in (1, 2)]
PREFILL, DECODED = 256, 96


class Peer:
    """llama.cpp's model with one context per thread count."""

    def __init__(self, path, clock):
        self.clock = clock
        lc.llama_log_set(silent, None)
        lc.llama_backend_init()
        self.model = lc.llama_model_load_from_file(str(path).encode(), lc.llama_model_default_params())
        self.batch = lc.llama_batch_init(PREFILL, 0, 1)

    def context(self, threads, sequences):
        p = lc.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = 512 * sequences, 512, 512, sequences
        p.n_threads = p.n_threads_batch = threads
        return lc.llama_init_from_model(self.model, p)

    def fill(self, rows):
        """rows of (token, position, sequence, wants logits)"""
        self.batch.n_tokens = len(rows)
        for i, (token, position, sequence, logits) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, sequence
            self.batch.logits[i] = logits

    def decode(self, threads, sequences):
        ctx = self.context(threads, sequences)
        began = 0
        for step in range(DECODED + 8):
            if step == 8:
                began = self.clock()
            self.fill([(100 + step % 50, step, s, True) for s in range(sequences)])
            assert lc.llama_decode(ctx, self.batch) == 0
        rate = DECODED * sequences / (self.clock() - began)
        lc.llama_free(ctx)
        return rate

    def prefill(self, threads, _):
        ctx = self.context(threads, 1)
        rates = []
        for _ in range(3):
            lc.llama_memory_clear(lc.llama_get_memory(ctx), True)
            self.fill([(100 + i % 50, i, 0, i == PREFILL - 1) for i in range(PREFILL)])
            began = self.clock()
            assert lc.llama_decode(ctx, self.batch) == 0
            rates.append(PREFILL / (self.clock() - began))
        lc.llama_free(ctx)
        return statistics.median(rates)


@lc.llama_log_callback
def silent(level, text, data):
    pass


def ours(binary, path, unit, threads):
    """The Go benchmarks' rates by case."""
    out = subprocess.run(
        [binary, "-test.run", "^$", "-test.bench", f"(Decode|Prefill)/threads=[{threads}]", "-test.benchtime", "1s"],
        check=True, capture_output=True, text=True, cwd=root / "engine/cpu", env={**os.environ, "NANOFLEET_MODEL": str(path)},
    ).stdout
    rates = {}
    for kind, threads, batch, rate in re.findall(rf"Benchmark(\w+)/threads=(\d)(?:/batch=(\d))?\S*\s.*?([\d.]+) {unit}", out):
        rates[(kind.lower(), int(threads), int(batch or 1))] = float(rate)
    return rates


def measure(binary, path, args):
    unit, clock, threads = ("tok/cpu-s", time.process_time, "1") if args.cpu_time else ("tok/s", time.perf_counter, "12")
    cases = [c for c in CASES if str(c[1]) in threads]
    peer, mine, theirs = Peer(path, clock), {c: [] for c in cases}, {c: [] for c in cases}
    for _ in range(args.rounds):
        for case, rate in ours(binary, path, unit, threads).items():
            mine[case].append(rate)
        for case in cases:
            theirs[case].append(getattr(peer, case[0])(*case[1:]))
    print(f"| {path.stem} | nanofleet {unit} | llama.cpp {unit} | ratio |")
    print("|---|---|---|---|")
    for case in cases:
        a, b = statistics.median(mine[case]), statistics.median(theirs[case])
        print(f"| {case[0]}, {case[1]} threads, batch {case[2]} | {a:.0f} | {b:.0f} | {a / b:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    binary = str(root / ".cache" / "cpu.test")
    subprocess.run(["go", "test", "-c", "-o", binary, "./engine/cpu"], check=True, cwd=root)
    for path in args.models:
        measure(binary, path.resolve(), args)


if __name__ == "__main__":
    main()
