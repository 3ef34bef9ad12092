"""`cmake --install`: what is there, and that programs outside of the tree build against it and run."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import BUILD, HERE, ROOT, long, run

PROGRAM = HERE / "outside"
VERSION = re.search(r"project\(ringlet VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
HEADER = (ROOT / "capi/include/ringlet/ringlet.h").read_text()
ABI = ".".join(re.search(rf"RINGLET_ABI_{part} (\d+)u", HEADER).group(1) for part in ("MAJOR", "MINOR"))


def environment(prefix):
    return {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "LD_LIBRARY_PATH": str(prefix / "lib")}


def says_tea(program, prefix):
    assert run(program, env=environment(prefix), timeout=60).stdout == f"{VERSION}: tea\n"


def test_what_is_installed(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    assert {re.sub(r"RingletTargets-\w+", "RingletTargets-TYPE", file) for file in files} == {
        "bin/ringlet",
        "include/ringlet/ringlet.h",
        "include/ringlet/ringlet.hpp",
        "lib/cmake/Ringlet/RingletConfig.cmake",
        "lib/cmake/Ringlet/RingletConfigVersion.cmake",
        "lib/cmake/Ringlet/RingletTargets-TYPE.cmake",
        "lib/cmake/Ringlet/RingletTargets.cmake",
        "lib/libringlet.a",
        "lib/libringlet.so",
        "lib/libringlet.so.1",
        f"lib/libringlet.so.{ABI}",
        "lib/pkgconfig/ringlet.pc",
        "lib/systemd/system/ringletd.service",
        "sbin/ringletd",
        "share/doc/ringletd/examples/ringletd.toml",
        "share/man/man1/ringlet.1",
        "share/man/man8/ringletd.8",
    }


def test_no_file_names_the_trees_it_came_from(installed):
    for path in installed.rglob("*"):
        if path.suffix in (".pc", ".cmake", ".service", ".toml") or path.parent.name in ("man1", "man8"):
            text = path.read_text()
            assert str(ROOT) not in text and str(BUILD) not in text, path
            assert str(installed.with_name("first")) not in text, path


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_program_builds_with_pkg_config(installed, tmp_path, language):
    compiler = ["cc", "-std=c99"] if language == "c" else ["c++", "-std=c++20"]
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "ringlet", env=environment(installed)).stdout)
    warnings = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
    run(*compiler, *warnings, PROGRAM / f"program.{language}", *flags, "-o", tmp_path / "program")
    says_tea(tmp_path / "program", installed)
    # With the library that the flags name, and not with one that the machine happens to have.
    used = run("ldd", tmp_path / "program", env=environment(installed)).stdout
    assert f"libringlet.so.1 => {installed}/lib/libringlet.so.1" in used


def test_a_program_links_statically_with_pkg_config(installed, tmp_path):
    flags = shlex.split(run("pkg-config", "--static", "--cflags", "--libs", "ringlet", env=environment(installed)).stdout)
    flags = ["-l:libringlet.a" if flag == "-lringlet" else flag for flag in flags]
    run("cc", PROGRAM / "program.c", *flags, "-o", tmp_path / "program")
    says_tea(tmp_path / "program", installed)
    assert "libringlet" not in run("ldd", tmp_path / "program").stdout


def configure(prefix, build, **more):
    return run("cmake", "-S", PROGRAM, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
               *(f"-D{name}={value}" for name, value in more.items()), check=False)


def test_programs_build_with_find_package(installed, tmp_path):
    done = configure(installed, tmp_path, WANTED_VERSION=VERSION)
    assert done.returncode == 0, done.stderr
    run("cmake", "--build", tmp_path, "-j", "2")
    for program in ("c_shared", "c_static", "cpp_shared", "cpp_static"):
        says_tea(tmp_path / program, installed)


def test_what_the_documentation_shows_builds(installed, tmp_path):
    text = (ROOT / "docs/packaging.md").read_text()
    shown = {name: re.search(rf"^```{name}\n(.*?)^```", text, re.S | re.M).group(1) for name in ("cmake", "cpp")}
    (tmp_path / "program.cpp").write_text(shown["cpp"])
    call, link = shown["cmake"].splitlines()
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(shown LANGUAGES CXX)\nset(CMAKE_CXX_STANDARD 20)\n"
        f"{call}\nadd_executable(program program.cpp)\n{link}\n")
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", tmp_path / "build")
    done = run(tmp_path / "build/program", env=environment(installed), check=False)
    # No node is there: it says why in one sentence.
    assert done.returncode in (0, 1) and len(done.stdout + done.stderr) > 1


@pytest.mark.parametrize("more, said", [({"WANTED_VERSION": "7.0"}, "7.0"), ({"WANTED_COMPONENTS": "nonsense"}, "nonsense")])
def test_find_package_refuses_what_is_not_there(installed, tmp_path, more, said):
    done = configure(installed, tmp_path, **more)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_static_library_shows_what_the_header_declares(installed):
    symbols = run("nm", "-g", "--defined-only", installed / "lib/libringlet.a").stdout.split("\n")
    names = sorted(line.split()[2] for line in symbols if len(line.split()) == 3)
    assert names == sorted((ROOT / "tests/capi/exports.txt").read_text().split())


def test_the_programs_run_where_they_were_installed(installed):
    assert run(installed / "bin/ringlet", "--version").stdout == f"ringlet {VERSION}\n"
    assert run(installed / "sbin/ringletd", "--version").stdout == f"ringletd {VERSION}\n"
    example = installed / "share/doc/ringletd/examples/ringletd.toml"
    assert "3 members: ok" in run(installed / "sbin/ringletd", "--config", example, "--check-config").stdout


def test_the_unit_file_starts_the_program_that_is_installed(installed):
    unit = (installed / "lib/systemd/system/ringletd.service").read_text()
    assert re.search(r"^ExecStart=/\S+/sbin/ringletd --config /etc/ringlet/ringletd.toml$", unit, re.MULTILINE)
    assert re.search(r"^LimitNOFILE=\d{5,}$", unit, re.MULTILINE)
    if shutil.which("systemd-analyze"):
        # Where the program is on this machine, for systemd looks whether it is there.
        here = installed.parent / "ringletd.service"
        here.write_text(re.sub(r"(?<==)/\S+/sbin/ringletd", str(installed / "sbin/ringletd"), unit))
        done = run("systemd-analyze", "verify", "--man=no", here, check=False)
        complaints = [line for line in done.stderr.splitlines() if "ringletd.service" in line]
        assert not complaints


def test_the_manual_has_every_verb_and_option(installed):
    page = (installed / "share/man/man1/ringlet.1").read_text()
    for words in ("ringlet put", "ringlet cluster join", "\\-\\-write\\-id TEXT", "\\-\\-seeds TEXT", "Exit codes:"):
        assert words in page
    page = (installed / "share/man/man8/ringletd.8").read_text()
    for option in subprocess.run([installed / "sbin/ringletd", "--help"], capture_output=True, text=True).stdout.split():
        if re.fullmatch(r"--[a-z-]+", option):
            assert option.replace("-", "\\-") in page
    if shutil.which("groff"):
        for name in ("man1/ringlet.1", "man8/ringletd.8"):
            done = run("groff", "-man", "-Tutf8", "-ww", "-z", installed / "share/man" / name)
            assert not done.stderr


@pytest.mark.parametrize("fetch", ["OFF", "ON"])
def test_a_project_takes_the_tree_in(tmp_path, fetch):
    """Configured only: a build of the library takes minutes."""
    run("cmake", "-S", HERE / "inside", "-B", tmp_path, "-G", "Ninja", f"-DRINGLET_SOURCE={ROOT}", f"-DBY_FETCH_CONTENT={fetch}")


@long
def test_the_library_of_a_project_that_takes_the_tree_in(tmp_path):
    # The compile flags of preset dev, so that what is compiled already comes from the cache.
    run("cmake", "-S", HERE / "inside", "-B", tmp_path, "-G", "Ninja", f"-DRINGLET_SOURCE={ROOT}",
        "-DCMAKE_CXX_FLAGS=-O1 -g1", "-DCMAKE_C_FLAGS=-O1 -g1")
    run("cmake", "--build", tmp_path, "-j", "2", timeout=1800)
    assert run(tmp_path / "inside", timeout=60).stdout == f"{VERSION}: tea\n"


@long
def test_the_target_ringlet_is_the_library(tmp_path):
    run("cmake", "--build", BUILD, "--target", "ringlet", timeout=1800)
    rules = (BUILD / "build.ninja").read_text()
    assert re.search(r"^build ringlet: phony lib/libringlet\.so$", rules, re.MULTILINE)
