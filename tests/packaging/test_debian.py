"""The Debian packages: what is in them, what lintian says, and that they are installed in a clean root and removed again."""

import os
import re
import shutil
from contextlib import contextmanager

import pytest
from conftest import LONG, ROOT, long, run
from test_install import ABI, HEADER, VERSION

MAJOR = re.search(r"RINGLET_ABI_MAJOR (\d+)u", HEADER).group(1)
PACKAGES = (f"libringlet{MAJOR}", "libringlet-dev", "ringletd", "ringlet-tools")
DIST = ROOT / "dist"
REVISION = f"{VERSION}-1~deb12"

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this machine has no dpkg-deb")


@pytest.fixture(scope="module")
def packages():
    """name -> file. The packages of `./dev package deb`, if they are there; the long form makes them anew."""
    if LONG:
        run("./dev", "package", "deb", cwd=ROOT, timeout=3600)
    found = {name: max(DIST.glob(f"{name}_{VERSION}-*.deb"), default=None) for name in PACKAGES}
    if None in found.values():
        pytest.skip("no packages are in dist/: ./dev package deb makes them, and the long form does")
    sources = [*(ROOT / "packaging").rglob("*.*"), ROOT / "CMakePresets.json", ROOT / "capi/CMakeLists.txt"]
    if max(path.stat().st_mtime for path in sources) > min(file.stat().st_mtime for file in found.values()):
        pytest.skip("the packages in dist/ are older than what they are made of: ./dev package deb")
    return found


def files_of(package):
    # permissions, owner, size, date, time, name, and " -> target" of a link
    lines = run("dpkg-deb", "-c", package).stdout.splitlines()
    return {line.split()[5].removeprefix(".") for line in lines if not line.startswith("d")}


def field(package, name):
    return run("dpkg-deb", "-f", package, name).stdout.strip()


def test_what_is_in_the_packages(packages):
    library = "/usr/lib/x86_64-linux-gnu"
    wanted = {
        f"libringlet{MAJOR}": {f"{library}/libringlet.so.{MAJOR}", f"{library}/libringlet.so.{ABI}"},
        "libringlet-dev": {"/usr/include/ringlet/ringlet.h", "/usr/include/ringlet/ringlet.hpp", f"{library}/libringlet.so",
                           f"{library}/libringlet.a", f"{library}/pkgconfig/ringlet.pc",
                           *(f"{library}/cmake/Ringlet/Ringlet{name}.cmake" for name in
                             ("Config", "ConfigVersion", "Targets", "Targets-release"))},
        "ringletd": {"/usr/sbin/ringletd", "/lib/systemd/system/ringletd.service", "/usr/share/man/man8/ringletd.8.gz",
                     "/usr/share/doc/ringletd/examples/ringletd.toml"},
        "ringlet-tools": {"/usr/bin/ringlet", "/usr/share/man/man1/ringlet.1.gz"},
    }
    if field(packages["ringletd"], "Architecture") != "amd64":
        pytest.skip("the folders of another processor have another name")
    for name, package in packages.items():
        documents = {f"/usr/share/doc/{name}/{file}" for file in ("copyright", "changelog.Debian.gz")}
        assert {file for file in files_of(package) if not file.startswith("/usr/share/lintian/")} == wanted[name] | documents, name
        assert field(package, "Version") == REVISION


def test_they_name_what_they_need(packages):
    for package in (packages["ringletd"], packages["ringlet-tools"], packages[f"libringlet{MAJOR}"]):
        needed = {word.split()[0] for word in field(package, "Depends").split(",")}
        assert {"libc6", "libssl3", "libc-ares2"} <= needed, package
    assert "libwiredtiger0" in field(packages["ringletd"], "Depends")
    assert field(packages["libringlet-dev"], "Depends").startswith(f"libringlet{MAJOR} (= {REVISION})")


def test_lintian_says_nothing(packages):
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", *packages.values(), check=False)
    assert done.returncode == 0 and not re.search(r"^[EW]: ", done.stdout, re.MULTILINE), done.stdout + done.stderr


def dpkg(root, *words, check=True):
    return run("dpkg", f"--root={root}", "--force-not-root", *words, check=check)


def status(root, name):
    done = run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${db:Status-Status}", name, check=False)
    return done.stdout.strip() or "absent"


@contextmanager
def goes_in_and_out(root, packages, *force):
    """Installs, looks, removes, purges; what was there before is there again."""
    def there():
        return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()
                and "var/lib/dpkg" not in str(path) and "var/log" not in str(path) and "var/cache" not in str(path)}

    before = there()
    dpkg(root, *force, "-i", *packages.values())
    assert {status(root, name) for name in packages} == {"installed"}
    assert (root / "usr/sbin/ringletd").exists() and (root / "lib/systemd/system/ringletd.service").exists()
    yield
    # The operator's own: not the packages' to remove.
    (root / "etc/ringlet").mkdir(parents=True, exist_ok=True)
    (root / "etc/ringlet/ringletd.toml").write_text("[node]\nname = 'n1'\n")
    (root / "var/lib/ringlet").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/ringlet/data").write_text("the last copy of a write")
    said = dpkg(root, *force, "--purge", *packages)
    assert "the data in /var/lib/ringlet are left as they are" in said.stderr
    assert {status(root, name) for name in packages} <= {"absent", "not-installed", "unknown"}
    left = there() - before - {"etc/ld.so.cache"}
    assert left == {"etc/ringlet/ringletd.toml", "var/lib/ringlet/data"}
    assert before <= there()


@pytest.fixture
def bare(tmp_path):
    """A root with nothing but what the packages' scripts are run by: the machine's own shell, without its dpkg database."""
    if os.geteuid() != 0:
        pytest.skip("scripts of packages are run in another root, which takes root")
    root = tmp_path / "root"
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "bin", "lib/x86_64-linux-gnu", "lib64", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("")
    for program in ("sh", "kill"):  # the unit file names kill
        shutil.copy(f"/bin/{program}", root / "bin")
    for library in re.findall(r"(/lib\S+)", run("ldd", "/bin/sh").stdout):
        shutil.copy(library, root / library.lstrip("/"))
    return root


def test_they_are_installed_in_a_bare_root_and_removed_again(packages, bare):
    """Without what they need, and so without running them: the long form has a whole Debian."""
    with goes_in_and_out(bare, packages, "--force-depends"):
        unit = bare / "lib/systemd/system/ringletd.service"
        if shutil.which("systemd-analyze"):
            said = run("systemd-analyze", f"--root={bare}", "verify", "--man=no", unit, check=False).stderr
            # The rest of systemd's units is not in this root.
            complaints = [line for line in said.splitlines() if "ringletd" in line and "not found" not in line]
            assert not complaints


@long
def test_a_clean_debian(packages, tmp_path):
    """Debian 12 with what the packages name, and nothing more: no compiler, no source."""
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        pytest.skip("a clean Debian takes mmdebstrap and root")
    own = set(packages)
    needed = {re.sub(r"[ (|].*", "", word.strip()) for package in packages.values() for word in field(package, "Depends").split(",")}
    root = tmp_path / "root"
    run("mmdebstrap", "--variant=minbase", f"--include=python3-venv,{','.join(sorted(needed - own))}", "bookworm", root, timeout=1200)
    assert not list(root.glob("usr/bin/*gcc*")), "wanted a root without a compiler"
    with goes_in_and_out(root, packages):
        inside = ["chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        assert run(*inside, "ringletd", "--version").stdout == f"ringletd {VERSION}\n"
        assert run(*inside, "ringlet", "--version").stdout == f"ringlet {VERSION}\n"
        example = "/usr/share/doc/ringletd/examples/ringletd.toml"
        assert "3 members: ok" in run(*inside, "ringletd", "--config", example, "--check-config").stdout
        assert f"libringlet.so.{MAJOR}" in run(*inside, "ldconfig", "-p").stdout
    wheels = sorted(DIST.glob("ringlet-*-cp311-*manylinux*.whl"))
    if wheels:  # Debian 12's own Python is 3.11
        shutil.copy(wheels[-1], root / "tmp")
        shutil.copy(ROOT / "README.md", root / "tmp")
        program = ("import doctest, warnings; warnings.simplefilter('ignore'); "
                   "result = doctest.testfile('/tmp/README.md', module_relative=False); print(result.attempted, result.failed)")
        run("chroot", root, "python3", "-m", "venv", "/tmp/venv")
        run("chroot", root, "/tmp/venv/bin/pip", "install", "-q", "--no-index", f"/tmp/{wheels[-1].name}")
        attempted, failed = run("chroot", root, "/tmp/venv/bin/python", "-I", "-c", program).stdout.split()
        assert int(attempted) >= 15 and failed == "0"
