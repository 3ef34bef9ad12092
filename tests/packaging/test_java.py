"""The Java artefacts: what `mvn install` makes, and that a project outside of the tree builds against it and runs."""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from conftest import BUILD, HERE, ROOT, long, run
from test_install import VERSION

NATIVE = "ringlet-native-linux-x86_64"
LIBRARY = "io/ringlet/native/linux-x86_64/libringlet_jni.so"
# Not the one of the environment: Maven takes the first, and a program runs with each.
JAVAS = sorted(str(home) for home in Path("/usr/lib/jvm").glob("*") if not home.is_symlink() and (home / "bin/java").exists())

pytestmark = pytest.mark.skipif(shutil.which("mvn") is None or not (BUILD / "bindings/java/generated").is_dir(),
                                reason="mvn or the JNI library of the build is missing")


def local_repository(directory):
    """A local repository of Maven's with all that was fetched, and nothing of Ringlet."""
    fetched = Path.home() / ".m2/repository"
    directory.mkdir()
    (directory / "io").mkdir()
    for each in [*fetched.glob("*"), *fetched.glob("io/*")]:
        place = directory / each.relative_to(fetched)
        if each.is_dir() and place not in (directory / "io", directory / "io/ringlet"):
            place.symlink_to(each)
    return directory


def maven(*words, **more):
    return run("mvn", "-q", "-B", "-Dstyle.color=never", *words, **more)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The repository that `mvn install` fills: of this build, which is for tests only."""
    directory = local_repository(tmp_path_factory.mktemp("java") / "repository")
    # ./dev test has made the documentation, which takes half of the time.
    there = (ROOT / "java/ringlet-client/target/site/apidocs/index.html").exists()
    maven("-f", ROOT / "java/pom.xml", "-DskipTests", f"-Dringlet.build={BUILD}", "-Dringlet.install.tests.only=true",
          f"-Dmaven.repo.local={directory}", f"-Dmaven.javadoc.skip={str(there).lower()}",
          "-Dmdep.skip=true",  # the class path of YCSB in target/ stays that of ./dev test
          "install")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def consumer(repository, tmp_path_factory):
    """The jar of a project outside of the tree that knows Ringlet by its BOM."""
    project = tmp_path_factory.mktemp("consumer") / "project"
    shutil.copytree(HERE / "consumer", project)
    maven("-f", project / "pom.xml", f"-Dmaven.repo.local={repository}", "package")
    return project / "target/outside-1.jar"


def installed_jar(repository, artefact, classifier=""):
    return repository / f"io/ringlet/{artefact}/{VERSION}/{artefact}-{VERSION}{classifier}.jar"


def test_what_is_installed(repository):
    files = {str(path.relative_to(repository / "io/ringlet")) for path in (repository / "io/ringlet").rglob("*")
             if path.suffix in (".jar", ".pom")}
    # Every module but the BOM, which has no jar, is in the BOM.
    modules = re.findall(r"<module>(.*)</module>", (ROOT / "java/pom.xml").read_text())
    jars = [name for name in modules if name != "ringlet-bom"]
    bom = (ROOT / "java/ringlet-bom/pom.xml").read_text()
    assert sorted(set(re.findall(r"<artifactId>(.*)</artifactId>", bom)) - {"ringlet-bom"} - {
        name for name in re.findall(r"<artifactId>(maven-.*)</artifactId>", bom)}) == sorted(jars)
    wanted = {f"{name}/{VERSION}/{name}-{VERSION}.pom" for name in ("ringlet-parent", *modules)}
    wanted |= {f"{name}/{VERSION}/{name}-{VERSION}.jar" for name in jars}
    wanted |= {f"ringlet-client/{VERSION}/ringlet-client-{VERSION}{kind}.jar" for kind in ("-sources", "-javadoc")}
    # A module may bring its sources along; the client must.
    assert wanted <= files <= wanted | {f"{name}/{VERSION}/{name}-{VERSION}{kind}.jar" for name in jars for kind in ("-sources", "-javadoc")}
    licence = (ROOT / "LICENSE").read_bytes()
    for jar in repository.glob("io/ringlet/**/*.jar"):
        with zipfile.ZipFile(jar) as archive:
            assert archive.read("META-INF/LICENSE") == licence, jar
            # The library is in its own jar alone.
            assert (LIBRARY in archive.namelist()) == jar.name.startswith(NATIVE), jar
            if jar.name.startswith(NATIVE):
                assert archive.read("META-INF/THIRD-PARTY.txt") == (ROOT / "packaging/THIRD-PARTY.txt").read_bytes()
    assert {"io/ringlet/Bucket.java", "io/ringlet/internal/RingletNative.java"} <= set(
        zipfile.ZipFile(installed_jar(repository, "ringlet-client", "-sources")).namelist())
    assert "io.ringlet.client/io/ringlet/Bucket.html" in zipfile.ZipFile(
        installed_jar(repository, "ringlet-client", "-javadoc")).namelist()


def test_what_is_installed_names_nothing_of_this_machine(repository):
    for pom in repository.glob("io/ringlet/**/*.pom"):
        assert str(ROOT) not in pom.read_text(), pom


SAID = "2 siblings\nmilk tea bread\n"


def test_the_project_outside_is_what_the_documentation_shows():
    shown = re.search(r"^```xml\n(.*?)^```", (ROOT / "java/README.md").read_text(), re.S | re.M).group(1)
    assert "".join(shown.split()) in "".join((HERE / "consumer/pom.xml").read_text().split())


@pytest.mark.parametrize("java", JAVAS)
def test_a_project_outside_runs_on_the_class_path(consumer, java):
    said = run(f"{java}/bin/java", "--enable-native-access=ALL-UNNAMED", "-jar", consumer, timeout=120)
    assert said.stdout == SAID
    assert "WARNING: " not in said.stderr


@pytest.mark.parametrize("java", JAVAS)
def test_a_project_outside_runs_on_the_module_path(repository, consumer, java):
    path = ":".join(str(jar) for jar in (consumer, installed_jar(repository, "ringlet-client"), installed_jar(repository, NATIVE)))
    said = run(f"{java}/bin/java", "--enable-native-access=io.ringlet.client", "-p", path, "-m", "outside/outside.Main", timeout=120)
    assert said.stdout == SAID
    assert "WARNING: " not in said.stderr


def test_without_the_native_jar_it_says_what_is_wanted(repository, consumer):
    # The classes, not the jar, whose manifest names a class path.
    path = f"{consumer.parent}/classes:{installed_jar(repository, 'ringlet-client')}"
    for words in (["-cp", path, "outside.Main"], ["-p", path, "-m", "outside/outside.Main"]):
        said = run("java", *words, check=False, timeout=60)
        assert said.returncode == 1
        assert f"wanted the jar {NATIVE} beside this one" in said.stderr


def test_a_build_for_tests_is_not_installed(tmp_path):
    text = (BUILD / "bindings/java/for-tests-only.txt").read_text()
    if not text:
        pytest.skip("this build is none for tests")
    assert "bugs compiled in that tests switch on" in text
    # In a copy: what is in target/ was installed for tests.
    shutil.copytree(ROOT / "java", tmp_path / "tree/java", ignore=shutil.ignore_patterns("target"))
    shutil.copytree(ROOT / "packaging", tmp_path / "tree/packaging")
    shutil.copy(ROOT / "LICENSE", tmp_path / "tree")
    said = maven("-f", tmp_path / "tree/java/pom.xml", "-pl", NATIVE, f"-Dringlet.build={BUILD}", "verify", check=False)
    assert said.returncode != 0
    assert f"for tests only: {BUILD}/bindings/java/for-tests-only.txt says why" in said.stdout + said.stderr


def look_at_release(library):
    """A library that is passed on: stripped, without planted bugs, needing nothing but the C library."""
    planted = re.findall(r"^  (\w+)(?:,| =)", (ROOT / "core/base/planted.hpp").read_text(), re.MULTILINE)
    assert len(planted) > 40
    words = set(run("strings", "-n", "4", library).stdout.split())
    assert not (set(planted) - {"none", "count"}) & words
    assert not [word for word in words if "lanted" in word or "PlantedBug" in word]
    assert not run("nm", library, check=False).stdout.strip(), "not stripped"
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", library).stdout)
    assert set(needed) <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    assert not re.search(r"(RPATH|RUNPATH)", run("objdump", "-p", library).stdout)
    assert library.stat().st_size < 12_000_000


def test_the_library_of_a_release_build():
    library = BUILD.with_name("release") / "bindings/java/resources" / LIBRARY
    if not library.exists():
        pytest.skip("no release build is there; the long form makes one")
    look_at_release(library)


def test_the_check_of_a_release_finds_what_is_for_tests():
    with pytest.raises(AssertionError):
        look_at_release(BUILD / "bindings/java/resources" / LIBRARY)


@long
def test_the_words_of_the_documentation_in_a_fresh_clone(tmp_path):
    run("git", "clone", "-q", ROOT, tmp_path / "clone")
    words = re.search(r"^```sh\n(.*?)^```", (tmp_path / "clone/java/README.md").read_text(), re.S | re.M).group(1)
    assert "cmake --preset release" in words and "install" in words
    repository = local_repository(tmp_path / "repository")
    more = {**os.environ, "MAVEN_OPTS": f"-Dmaven.repo.local={repository}"}
    done = subprocess.run(["sh", "-e", "-c", words], cwd=tmp_path / "clone", env=more, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    with zipfile.ZipFile(installed_jar(repository, NATIVE)) as archive:
        look_at_release(Path(archive.extract(LIBRARY, tmp_path)))
    project = tmp_path / "project"
    shutil.copytree(HERE / "consumer", project)
    maven("-f", project / "pom.xml", f"-Dmaven.repo.local={repository}", "package")
    assert run("java", "-jar", project / "target/outside-1.jar", timeout=120).stdout == SAID
