"""What docs/documents.md and examples/README.md show is true: their Python, Java and commands are run as they stand.

README's session is run by python/tests/test_session.py.
"""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import BIN, ROOT, Node, free_ports

ringlet = pytest.importorskip("ringlet")
from ringlet.document import Counter, Flag, Map, Register, Set  # noqa: E402

DOCUMENTS = ROOT / "docs" / "documents.md"


@pytest.fixture(scope="module")
def seeds():
    with ringlet.local_cluster() as cluster:
        yield cluster.seeds


def block(language, file=DOCUMENTS, number=0):
    return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(), re.S | re.M)[number]


def test_python(seeds):
    with ringlet.connect(seeds) as client:
        names = {"ringlet": ringlet, "client": client, "Map": Map, "Counter": Counter, "Set": Set, "Flag": Flag, "Register": Register}
        made = client.bucket("carts", codec=Map(items=Map(of=Counter)))
        made.edit("alice", lambda c: c["items"]["milk"].increment(1))  # the example deletes it
        exec(compile(block("python"), str(DOCUMENTS), "exec"), names)
        assert names["carts"].get("alice").value == {"items": {"tea": 2}, "coupons": set(), "gift": False, "note": "ring twice"}
        client.bucket("lists", codec=ringlet.Json).put("bob", ["A", "B"])
        assert client.bucket("lists", codec=names["old"]).edit("bob", lambda c: c["coupons"].add("C")).value["coupons"] == {"A", "B", "C"}
        exec(compile(block("python", number=1), str(DOCUMENTS), "exec"), names)
        read = names["carts"].get("alice").value
        assert isinstance(read, names["Cart"]) and (read.items, read.note) == ({"tea": 2}, "ring twice")


def test_java(seeds, tmp_path):
    jar = ROOT / "java" / "ringlet-client" / "target" / "ringlet-client-0.1.0.jar"
    if shutil.which("java") is None or not jar.exists():
        pytest.skip("java or the client's jar is missing")
    program = tmp_path / "Shown.java"
    shown = block("java").replace('"carts"', '"carts of java"')
    program.write_text(f"""
        import io.ringlet.*;
        import io.ringlet.document.*;
        class Shown {{
          public static void main(String[] arguments) {{
            try (RingletClient client = RingletClient.builder().seeds("{seeds}").build()) {{
              {shown}
              System.out.println(tea);
            }}
          }}
        }}""")
    native = "ringlet-native-linux-x86_64"
    path = f"{jar}:{ROOT}/java/{native}/target/{native}-0.1.0.jar"
    said = subprocess.run(["java", "-cp", path, str(program)], capture_output=True, text=True, timeout=120)
    assert said.stdout == "2\n", said.stderr


def test_the_command_line(seeds):
    text = DOCUMENTS.read_text()
    lines = [line.strip() for line in text[text.index("At the command line:"):].splitlines() if line.startswith("    ringlet ")]
    assert [line.split()[1] for line in lines] == ["edit", "get"]
    for line in lines:
        words, _, wanted = line.partition("#")
        said = subprocess.run([str(BIN / "ringlet"), "--seeds", seeds, "--bucket", "shell", *shlex.split(words)[1:]],
                              capture_output=True, text=True, timeout=30)
        assert said.returncode == 0, said.stderr
        if wanted:
            assert said.stdout.strip() == wanted.strip()


def test_the_examples(tmp_path):
    readme = ROOT / "examples" / "README.md"
    if shutil.which("java") is None or not (ROOT / "java" / "ringlet-client" / "target" / "ringlet-client-0.1.0.jar").exists():
        pytest.skip("java or the client's jar is missing")
    node = Node(tmp_path / "n1", "n1", f"127.0.0.1:{free_ports(1)[0]}")
    config = block("toml", readme).replace("127.0.0.1:7400", node.address)
    node.config.write_text(config.replace('data_dir = "n1"', f'data_dir = "{node.data}"\nport_file = "{node.directory}/port"'))
    node.start()
    try:
        lines = [line.strip() for line in readme.read_text().splitlines() if line.startswith("    ") and "127.0.0.1:7400" in line]
        said = [subprocess.run([*shlex.split(line.replace("127.0.0.1:7400", node.address).replace("build/dev/bin", str(BIN)))],
                               env={**os.environ, "PYTHONPATH": "python"}, cwd=ROOT, capture_output=True, text=True, timeout=60)
                for line in lines]
        assert [each.returncode for each in said] == [0] * 5, said
        assert [each.stdout for each in said] == ["   2 tea\n", "   3 tea\n", "coupon SUMMER\n   3 tea\n", "coupon SUMMER\n   3 tea\n",
                                                  "1 packed\n"]
    finally:
        node.kill()
