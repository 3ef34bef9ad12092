"""Every rule of tidy.py must be able to fail, and must not fail on what only looks like a fault."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import tidy  # noqa: E402

CLEAN = {
    "core/base/CMakeLists.txt": "ringlet_library(base SOURCES a.cpp PRIVATE_LINK OpenSSL::Crypto)",
    "core/base/ids.hpp": "#pragma once\n",
    "core/ring/CMakeLists.txt": "ringlet_library(ring\n  SOURCES a.cpp\n  LINK ringlet_base)",
    "core/ring/ring.hpp": '#include "base/ids.hpp"\n',
    "core/protocol/CMakeLists.txt": "ringlet_library(protocol SOURCES a.cpp LINK ringlet_ring)",
    "core/protocol/messages.hpp": '#include "base/ids.hpp"\n#include "ring/ring.hpp"\n',
    "core/coordination/CMakeLists.txt": "ringlet_library(coordination LINK ringlet_protocol)",
    "core/coordination/put.cpp": '#include "protocol/messages.hpp"\n',
    "core/runtime/io.cpp": "#include <boost/asio.hpp>\nauto t = std::chrono::steady_clock::now();\n",
    "bindings/python/core.cpp": '#include "ringlet/ringlet.h"\n#include "own.hpp"\n#include <vector>\n',
    "bindings/python/own.hpp": "#pragma once\n",
    "bindings/python/CMakeLists.txt": "target_link_libraries(x PRIVATE ringlet_capi_static)",
    "capi/include/ringlet/ringlet.h": "#include <stdint.h>\n",
    "tests/unit/ring/ring_test.cpp": "",
    "tests/README.md": "| F-01 | a ring (unit/ring/ring_test.cpp) |\n| F-02 | fault `split` |\n",
    "docs/requirements.md": "| R4.1-c | 4.1 | MD5 |\n| L18 | a write is seen once |\n",
    "docs/failure-modes.md": "".join(f"| F-0{i} | a fault | L18 |\n" for i in range(1, 5)),
}


def findings_of(changes: dict[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, text in {**CLEAN, **changes}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return tidy.Tidy(root).run()


class TidyTest(unittest.TestCase):
    def assert_finds(self, name: str, text: str, *parts: str) -> None:
        findings = findings_of({name: text})
        self.assertEqual(len(findings), 1, findings)
        self.assertTrue(findings[0].startswith(name), findings[0])
        self.assertTrue(findings[0].endswith("."), findings[0])
        for part in parts:
            self.assertIn(part, findings[0])

    def test_a_clean_tree_has_no_findings(self) -> None:
        self.assertEqual(findings_of({}), [])

    def test_an_include_against_the_arrows(self) -> None:
        self.assert_finds(
            "core/ring/ring.cpp",
            '#include "base/ids.hpp"\n#include "protocol/messages.hpp"\n',
            "ring.cpp:2:",
            "ring/ must not include",
        )

    def test_siblings_are_blind_to_each_other(self) -> None:
        self.assert_finds(
            "core/coordination/x.cpp", '#include "membership/fault_detector.hpp"\n', "coordination/ must not"
        )
        self.assert_finds("core/sim/x.cpp", '#include "runtime/server.hpp"\n', "sim/ must not include")

    def test_a_folder_nobody_knows(self) -> None:
        findings = findings_of({"core/utils/x.cpp": ""})
        self.assertEqual(findings, ["core/utils: core/utils has no arrows in tests/tidy/tidy.py."])

    def test_an_include_without_its_folder(self) -> None:
        self.assert_finds("core/ring/x.cpp", '#include "ring.hpp"\n', "named by its folder")
        self.assert_finds("core/ring/x.cpp", '#include "ringlet/ringlet.h"\n', "named by its folder")

    def test_libraries_stay_where_they_belong(self) -> None:
        for library in tidy.LIBRARIES:
            with self.subTest(library):
                self.assert_finds("core/ring/x.cpp", f"#include <{library}x.hpp>\n", "ring/ must not include")

    def test_forbidden_calls(self) -> None:
        for text in (
            "auto t = std::chrono::steady_clock::now();",
            "auto t = std::chrono::system_clock :: now();",
            "clock_gettime(CLOCK_MONOTONIC, &t);",
            "auto t = std::time(nullptr);",
            "auto t = time(0);",
            "std::random_device device;",
            "std::mt19937 engine;",
            "int r = rand();",
            "#include <thread>",
            "#include <mutex>",
            "std::jthread worker;",
            "std::mutex mutex;",
            "pthread_create(&t, 0, f, 0);",
            "bool yes = reader.get_bool();",
        ):
            with self.subTest(text):
                self.assert_finds("core/coordination/x.cpp", f"\n{text}\n", "x.cpp:2:", "coordination/ must not use")

    def test_every_driven_folder_is_watched(self) -> None:
        for folder in tidy.DRIVEN:
            with self.subTest(folder):
                self.assert_finds(f"core/{folder}/x.cpp", "std::random_device device;\n", "must not use")

    def test_every_exception_is_needed_for_its_call_alone(self) -> None:
        for where, kind, _ in tidy.EXCEPTIONS:
            name = f"core/{where}x.cpp"
            text = {"threads": "std::mutex m;\n", "clock": "steady_clock::now();\n"}[kind]
            with self.subTest(where + " " + kind):
                self.assertEqual(findings_of({name: text}), [])
                self.assert_finds(name, "std::random_device device;\n", "must not use")

    def test_comments_and_strings_are_not_calls(self) -> None:
        text = (
            "// std::chrono::steady_clock::now() is forbidden\n"
            "/* std::mutex\n std::thread */\n"
            'const char* text = "std::random_device \\" rand()";\n'
            'auto raw = R"x(std::mutex)x"; char quote = \'"\'; int n = 1\'000\'000;\n'
            "object.time(0); brand(); my::rand();\n"
        )
        self.assertEqual(findings_of({"core/ring/x.cpp": text}), [])
        self.assert_finds("core/ring/x.cpp", text + "std::mutex m;\n", "x.cpp:7:")

    def test_unordered_iteration(self) -> None:
        declaration = "std::unordered_map<int, std::vector<int>> waiting_;\n"
        for walk in ("for (auto& [a, b] : waiting_) f(a);", "f(waiting_.begin());", "for (auto& x : self->waiting_) f(x);"):
            with self.subTest(walk):
                findings = findings_of({"core/coordination/x.hpp": declaration, "core/coordination/x.cpp": walk})
                self.assertEqual(len(findings), 1, findings)
                self.assertIn("waiting_ is unordered", findings[0])
        self.assertEqual(findings_of({"core/coordination/x.cpp": declaration + "waiting_.find(1); waiting_.erase(2);"}), [])

    def test_link_against_the_arrows(self) -> None:
        self.assert_finds(
            "core/ring/CMakeLists.txt",
            "ringlet_library(ring SOURCES a.cpp LINK ringlet_base ringlet_protocol)",
            "ring/ must not link ringlet_protocol",
        )

    def test_an_include_that_link_does_not_reach(self) -> None:
        findings = findings_of({"core/coordination/CMakeLists.txt": "ringlet_library(coordination LINK ringlet_base)"})
        self.assertEqual(len(findings), 1, findings)
        self.assertIn("does not reach ringlet_protocol", findings[0])

    def test_bindings_see_the_c_header_alone(self) -> None:
        for name in ('"base/ids.hpp"', '"../../core/base/ids.hpp"', '"ringlet/other.h"', "<ringlet/other.h>", "<base/ids.hpp>"):
            with self.subTest(name):
                self.assert_finds("bindings/python/x.cpp", f"#include {name}\n", "nothing of Ringlet but")
        self.assert_finds(
            "bindings/python/CMakeLists.txt", "target_link_libraries(x PRIVATE ringlet_node)", "not ringlet_node"
        )
        self.assert_finds(
            "bindings/python/CMakeLists.txt", "target_include_directories(x PRIVATE ${PROJECT_SOURCE_DIR}/core)", "/core"
        )

    def test_the_c_header_needs_standard_c_alone(self) -> None:
        self.assert_finds("capi/include/ringlet/ringlet.h", "#include <vector>\n", "standard C headers alone")

    def test_the_table_of_failures_names_tests_that_are_there(self) -> None:
        self.assert_finds("tests/README.md", "| F-03 | all (unit/ring/gone_test.cpp) |\n", "F-03", "gone_test.cpp, which is not")
        self.assert_finds("tests/README.md", "| F-04 | none yet |\n", "README.md:1:", "F-04 names neither")

    def test_each_code_that_is_cited_has_a_row(self) -> None:
        for cited in ("L17", "O-3", "M-10", "F-99", "R4.1-d", "R2.3-c(i)"):
            with self.subTest(cited):
                self.assert_finds("core/ring/a.cpp", f"// The rule of {cited}.\n", "a.cpp:1", cited.removesuffix("(i)"), "has a row")
        self.assert_finds("python/ringlet/a.py", "x = 1\n# See L17.\n", "a.py:2", "L17")
        self.assert_finds("README.md", "As O-3 says.\n", "O-3")
        for well in ("// R4.1-c and L18.\n", "// x86-64, L1-norm, ML18, UTF-8, F-1234, 3.F-01\n"):
            self.assertEqual(findings_of({"core/ring/a.cpp": well, "build/b.cpp": "// O-99\n"}), [])
        self.assertEqual(findings_of({"java/client/target/a.java": "// O-99\n"}), [])

    def test_a_code_has_one_row(self) -> None:
        self.assert_finds(
            "docs/failure-modes.md",
            "".join(f"| F-0{i} | a fault | L18 |\n" for i in range(1, 5)) + "| L18 | again |\n",
            "failure-modes.md:5",
            "L18 has a row in docs/requirements.md",
        )

    def test_the_program_says_what_is_wrong_with_its_argument(self) -> None:
        with tempfile.TemporaryDirectory() as empty, contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(tidy.main([empty]), 2)
            self.assertIn("which has no core/", said.getvalue())


if __name__ == "__main__":
    unittest.main()
