"""YCSB's workloads against a local cluster of ringletd, a node of which is killed in the middle of each.

    .venv/bin/python java/ringlet-ycsb/run.py [--seconds N] [--workloads A,B,C,D,F] [--bin DIR]

It wants the jars (java/README.md) and ringletd. Three nodes with WiredTiger and N = 3, R = W = 2 on 127.0.0.1, killed with
SIGKILL after half of the time and started again after three quarters. Exit status 1: an operation failed.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The proportions are YCSB's own: read, update, insert, read-modify-write; which records.
WORKLOADS = {
    "A": (0.5, 0.5, 0, 0, "zipfian"),
    "B": (0.95, 0.05, 0, 0, "zipfian"),
    "C": (1, 0, 0, 0, "zipfian"),
    "D": (0.95, 0, 0.05, 0, "latest"),
    "F": (0.5, 0, 0, 0.5, "zipfian"),
}
NAMES = ("readproportion", "updateproportion", "insertproportion", "readmodifywriteproportion", "requestdistribution")


def class_path():
    jar, others = HERE / "target/ringlet-ycsb-0.1.0.jar", HERE / "target/classpath.txt"
    if not jar.exists() or not others.exists():
        sys.exit(f"run.py: no {jar}: build the jars first, as java/README.md says")
    return f"{jar}:{others.read_text().strip()}"


def start(phase, seeds, arguments, properties, log):
    properties = {
        "workload": "site.ycsb.workloads.CoreWorkload", "recordcount": arguments.records, "scanproportion": 0, "ringlet.seeds": seeds,
        "ringlet.option.cluster.name": "ycsb", "measurementtype": "hdrhistogram", "hdrhistogram.percentiles": "50,99,99.9", **properties,
    }
    words = [word for name, value in properties.items() for word in ("-p", f"{name}={value}")]
    return subprocess.Popen(["java", "-Xmx512m", "-cp", class_path(), "site.ycsb.Client", phase, "-db", "io.ringlet.ycsb.RingletDB",
                             "-threads", str(arguments.threads), *words], stdout=subprocess.PIPE, stderr=log, text=True)


def ended(process, seconds, log):
    """What it measured: {(operation, what): number}."""
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        sys.exit(f"run.py: YCSB did not end within {seconds} s")
    measured = {(operation, what): float(number)
                for operation, what, number in re.findall(r"^\[([^\]]+)\], ([^,]+), ([\d.E]+)$", said, re.MULTILINE)}
    # It ends with 0 when its client could not be opened.
    if process.returncode != 0 or not measured.get(("OVERALL", "Throughput(ops/sec)")):
        log.seek(0)
        sys.exit(f"run.py: YCSB ended with {process.returncode}:\n{said}\n{log.read()[-4000:]}")
    return measured


def errors(measured):
    return int(sum(number for (_, what), number in measured.items() if what.startswith("Return=") and what != "Return=OK"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=20, help="a workload's time (20)")
    parser.add_argument("--workloads", default="A,B,C,D,F", help="which, with commas between")
    parser.add_argument("--records", type=int, default=2000, help="what is loaded, 1 KiB each (2000)")
    parser.add_argument("--threads", type=int, default=8, help="of YCSB (8)")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin", help="where ringletd is (build/release/bin)")
    arguments = parser.parse_args()
    names = arguments.workloads.split(",")
    if set(names) - set(WORKLOADS):
        parser.error(f"wanted workloads of {','.join(WORKLOADS)}, got '{arguments.workloads}'")
    if not (arguments.bin / "ringletd").exists():
        sys.exit(f"run.py: no {arguments.bin}/ringletd: build it first")
    class_path()

    sys.path.insert(0, str(ROOT / "tests/cluster"))
    import conftest
    conftest.BIN = arguments.bin.resolve()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ringlet-ycsb-") as directory, open(Path(directory) / "ycsb.log", "w+") as log:
        cluster = conftest.Cluster(Path(directory), name="ycsb").start()
        try:
            loaded = ended(start("-load", cluster.seeds, arguments, {}, log), 300, log)
            failed += errors(loaded)
            print(f"load: {arguments.records} records, {loaded['OVERALL', 'Throughput(ops/sec)']:.0f}/s, {errors(loaded)} errors")
            print("workload  ops/s  errors  read p50/p99/p99.9 ms    write p50/p99/p99.9 ms", flush=True)
            for name in names:
                properties = dict(zip(NAMES, WORKLOADS[name]))
                begun = time.monotonic()
                process = start("-t", cluster.seeds, arguments,
                                {**properties, "maxexecutiontime": arguments.seconds, "operationcount": 1_000_000_000}, log)
                victim = cluster.nodes[1]
                time.sleep(1 + arguments.seconds / 2)  # the virtual machine takes a second to start
                if process.poll() is not None:
                    ended(process, 1, log)
                    sys.exit(f"run.py: YCSB has ended after {time.monotonic() - begun:.1f} s of {arguments.seconds}")
                victim.kill()
                time.sleep(arguments.seconds / 4)
                victim.start()
                measured = ended(process, arguments.seconds + 60, log)
                failed += errors(measured)
                row = [f"{name:8}  {measured['OVERALL', 'Throughput(ops/sec)']:5.0f}  {errors(measured):6}"]
                for operations in (("READ",), ("UPDATE", "INSERT", "READ-MODIFY-WRITE")):
                    of = next((each for each in operations if (each, "50thPercentileLatency(us)") in measured), None)
                    row.append("-" if of is None else "/".join(
                        f"{measured[of, each + 'PercentileLatency(us)'] / 1000:.2f}" for each in ("50th", "99th", "99.9")))
                print(f"{row[0]}  {row[1]:22}  {row[2]}", flush=True)
        finally:
            cluster.stop()
        if failed:
            log.seek(0)
            print(log.read()[-4000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
