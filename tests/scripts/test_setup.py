"""`scripts/setup` in a machine of stubs: its own PATH, HOME and root folder, nothing of the real ones."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
REAL_TOOLS = ("bash", "cat", "chmod", "cksum", "cp", "dirname", "env", "grep", "ls", "mkdir", "rm", "sh", "sleep")
FILTERS = ("sort", "tail")
SERVERS = ("prometheus", "prometheus-pushgateway", "prometheus-alertmanager", "postgresql")
EVERYTHING = (*SERVERS, "chromium-headless-shell")
DEBIAN = "ID=debian\n"
UBUNTU = "ID=ubuntu\nID_LIKE=debian\n"

PYTHON = r"""
case "$1" in
  -V) echo "Python 3.12.1" ;;
  -c) [ -n "$OLD_PYTHON" ] && exit 1
      case "$2" in *ensurepip*) [ -z "$NO_ENSUREPIP" ] || [ -e "$BIN/python3-venv" ] || exit 1 ;; esac ;;
  -m) echo "python $*" >>"$LOG"
      if [ "$2" = venv ]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi
      if [ "$2" = pip ]; then [ -z "$PIP_FAILS" ] || exit 1; cp "$BIN/playwright.stub" .venv/bin/playwright; fi ;;
esac
"""
APT_GET = r"""
echo "apt-get $*" >>"$LOG"
[ "$1" = install ] || exit 0
if [ -x "$ROLLOUT_SETUP_ROOT/usr/sbin/policy-rc.d" ]; then
  "$ROLLOUT_SETUP_ROOT/usr/sbin/policy-rc.d"
  echo "services are answered $?" >>"$LOG"
fi
[ -z "$APT_HANGS" ] || sleep 30
[ -z "$APT_FAILS" ] || exit 100
for package; do
  case $package in
    postgresql)
      mkdir -p "$ROLLOUT_SETUP_ROOT/usr/lib/postgresql/15/bin"
      cp "$BIN/apt-cache" "$ROLLOUT_SETUP_ROOT/usr/lib/postgresql/15/bin/postgres" ;;
    prometheus* | chromium* | python* | libatomic*) printf '#!/bin/sh\n' >"$BIN/$package"; chmod +x "$BIN/$package" ;;
  esac
done
"""
PLAYWRIGHT = r"""
echo "playwright $*" >>"$LOG"
folder=$HOME/.cache/ms-playwright/chromium_headless_shell-1255/chrome-headless-shell-linux64
mkdir -p "$folder"
printf '#!/bin/sh\n' >"$folder/chrome-headless-shell"
chmod +x "$folder/chrome-headless-shell"
"""
BREW = r"""
echo "brew $*" >>"$LOG"
[ "$3" = alertmanager ] && exit 1
[ "$3" = "$NO_FORMULA" ] && exit 1
case $3 in
  postgresql@*) folder=$ROLLOUT_SETUP_ROOT/opt/homebrew/opt/$3/bin; mkdir -p "$folder"; set -- - - postgres ;;
  *) folder=$BIN ;;
esac
printf '#!/bin/sh\n' >"$folder/$3"
chmod +x "$folder/$3"
"""
STUBS = {
    "python3": PYTHON,
    "apt-get": APT_GET,
    "apt-cache": '[ -z "$NO_HEADLESS_SHELL" ]',
    "playwright.stub": PLAYWRIGHT,
    "systemctl": 'echo "systemctl $*" >>"$LOG"',
    "id": 'echo "${USER_ID:-0}"',
    "uname": 'case $1 in -s) echo "${SYSTEM:-Linux}" ;; -m) echo arm64 ;; esac',
}


@dataclass(frozen=True)
class Machine:
    """A folder that stands for a computer with a checkout on it."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def policy(self) -> Path:
        return self.root / "usr/sbin/policy-rc.d"

    @property
    def log(self) -> list[str]:
        """The commands that were run to change something."""
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def has(self, *names: str) -> None:
        for name in names:
            self.program(self.bin / ("postgres" if name == "postgresql" else name))

    def program(self, path: Path, text: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        own = {"PATH": str(self.bin), "HOME": str(self.folder / "home"), "BIN": str(self.bin), "CI": "true"}
        return {**own, "LOG": str(self.folder / "log"), "ROLLOUT_SETUP_ROOT": str(self.root), **more}

    def setup(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.bin / "bash", self.checkout / "scripts/setup"],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian, root, nothing of what is needed but Python and apt."""
    machine = Machine(tmp_path)
    for name, text in STUBS.items():
        machine.program(machine.bin / name, text)
    for name in (*REAL_TOOLS, *FILTERS):
        (machine.bin / name).symlink_to(shutil.which(name) or name)
    (machine.root / "etc").mkdir(parents=True)
    (machine.root / "etc/os-release").write_text(DEBIAN)
    machine.policy.parent.mkdir(parents=True)
    (machine.checkout / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts/setup", machine.checkout / "scripts/setup")
    (machine.checkout / "pyproject.toml").write_text("[project]\n")
    return machine


PIP = "python -m pip install -qq --disable-pip-version-check --no-input -e .[all,sandbox,dev]"
NEW_VENV = ["python -m venv --clear .venv", PIP]
APT = "apt-get install -y --no-install-recommends -qq -o DPkg::Lock::Timeout=120"


def test_nothing_missing_installs_nothing_but_the_venv(machine: Machine) -> None:
    machine.has(*EVERYTHING)

    done = machine.setup()

    assert done.stdout.splitlines() == [
        f"setup: prometheus found: {machine.bin}/prometheus",
        f"setup: pushgateway found: {machine.bin}/prometheus-pushgateway",
        f"setup: alertmanager found: {machine.bin}/prometheus-alertmanager",
        f"setup: postgres found: {machine.bin}/postgres",
        f"setup: browser found: {machine.bin}/chromium-headless-shell",
        "setup: .venv ready: Python 3.12.1",
    ]
    assert done.returncode == 0
    assert machine.log == NEW_VENV


def test_the_second_run_does_nothing_and_is_quick(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    machine.setup()
    before = machine.log

    begin = time.monotonic()
    done = machine.setup()
    took = time.monotonic() - begin

    assert (done.returncode, done.stdout, done.stderr) == (0, "setup: nothing to do\n", "")
    assert machine.log == before
    assert took < 1


def test_a_change_of_the_project_installs_again_into_the_same_venv(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    machine.setup()

    (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    machine.setup()

    assert machine.log == [*NEW_VENV, PIP]


def test_a_program_that_went_away_is_noticed(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    machine.setup()

    (machine.bin / "prometheus-pushgateway").unlink()
    done = machine.setup()

    assert f"{APT} prometheus-pushgateway" in machine.log
    assert f"setup: pushgateway installed: {machine.bin}/prometheus-pushgateway" in done.stderr
    assert f"setup: prometheus found: {machine.bin}/prometheus" in done.stdout


def test_a_failed_install_is_not_taken_for_done(machine: Machine) -> None:
    machine.has(*EVERYTHING)

    failed = machine.setup(PIP_FAILS="1")
    machine.setup()

    assert failed.returncode == 1
    assert "setup: pip could not install into .venv; is the package index reachable?\n" in failed.stderr
    assert machine.log == [*NEW_VENV, PIP]


def test_going_back_after_a_failed_install_installs_again(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    machine.setup()
    project = machine.checkout / "pyproject.toml"
    before = project.read_text()

    project.write_text("[project]\nname = 'x'\n")
    machine.setup(PIP_FAILS="1")
    project.write_text(before)

    assert machine.setup().stdout != "setup: nothing to do\n"


# --- Debian and its services --------------------------------------------------------------------------------


def test_debian_gets_what_is_missing_and_no_service_starts(machine: Machine) -> None:
    (machine.root / "run/systemd/system").mkdir(parents=True)

    done = machine.setup()

    assert machine.log[:-2] == [
        "apt-get update -qq",
        f"{APT} {' '.join(EVERYTHING)}",
        "services are answered 101",
        *(f"systemctl disable {unit}" for unit in SERVERS),
    ]
    assert not machine.policy.exists()
    assert done.returncode == 0
    assert f"setup: browser installed: {machine.bin}/chromium-headless-shell" in done.stderr


def test_what_was_there_keeps_its_service(machine: Machine) -> None:
    (machine.root / "run/systemd/system").mkdir(parents=True)
    machine.has(*(name for name in EVERYTHING if name != "prometheus-alertmanager"))

    machine.setup()

    assert [line for line in machine.log if "systemctl" in line] == ["systemctl disable prometheus-alertmanager"]


def test_a_policy_of_the_machine_is_left_alone(machine: Machine) -> None:
    machine.program(machine.policy, "exit 104 # the administrator's")
    before = machine.policy.read_text()

    machine.setup()

    assert "services are answered 104" in machine.log
    assert machine.policy.read_text() == before


def test_a_failing_apt_leaves_no_policy_behind(machine: Machine) -> None:
    done = machine.setup(APT_FAILS="1")

    assert done.returncode == 1
    assert done.stderr.endswith(f"setup: apt-get could not install: {' '.join(EVERYTHING)}\n")
    assert "services are answered 101" in machine.log
    assert not machine.policy.exists()


def test_an_interrupted_install_leaves_no_policy_behind(machine: Machine) -> None:
    command = [machine.bin / "bash", machine.checkout / "scripts/setup"]
    environment = machine.environment(APT_HANGS="1")
    with subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while "services are answered 101" not in machine.log and time.monotonic() < deadline:
            time.sleep(0.01)
        assert machine.policy.exists()
        os.killpg(process.pid, signal.SIGTERM)

    assert process.returncode == 143
    assert not machine.policy.exists()


def test_chromium_stands_in_where_debian_has_no_headless_shell(machine: Machine) -> None:
    machine.has(*SERVERS)

    machine.setup(NO_HEADLESS_SHELL="1")

    assert f"{APT} chromium" in machine.log


def test_a_python_without_ensurepip_gets_its_package(machine: Machine) -> None:
    machine.has(*EVERYTHING)

    assert machine.setup(NO_ENSUREPIP="1").returncode == 0

    assert f"{APT} python3-venv" in machine.log


# --- who may install ----------------------------------------------------------------------------------------


def test_a_minimal_debian_gets_the_library_of_the_browser_driver(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    library = machine.bin / "libatomic1"
    node = machine.checkout / ".venv/lib/python3.12/site-packages/playwright/driver/node"
    machine.program(node, f'[ -e "{library}" ] || {{ echo "node: cannot open libatomic.so.1" >&2; exit 127; }}')
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert f"{APT} libatomic1" in machine.log


def test_a_browser_driver_that_cannot_start_is_an_error(machine: Machine) -> None:
    machine.has(*EVERYTHING)
    node = machine.checkout / ".venv/lib/python3.12/site-packages/playwright/driver/node"
    machine.program(node, 'echo "node: cannot open libodd.so.1" >&2; exit 127')
    done = machine.setup()
    assert done.returncode == 1
    assert "setup: the browser driver does not start: node: cannot open libodd.so.1\n" in done.stderr


def test_neither_root_nor_sudo_says_what_to_type(machine: Machine) -> None:
    machine.has("prometheus", "postgresql", "chromium")

    done = machine.setup(USER_ID="1000")

    packages = "prometheus-pushgateway prometheus-alertmanager"
    assert done.returncode == 1
    assert done.stderr == (
        f"setup: missing: {packages}; only root may install them, and sudo is not at hand. Run as root:\n"
        f"setup:   apt-get update && apt-get install -y --no-install-recommends {packages}\n"
        "setup: and then again: make setup\n"
    )
    assert machine.log == []


def test_sudo_is_used_where_there_is_no_root(machine: Machine) -> None:
    machine.has(*EVERYTHING[1:])
    machine.program(machine.bin / "sudo", 'echo "sudo $1" >>"$LOG"; [ "$1" = -n ] || exec "$@"')

    assert machine.setup(USER_ID="1000").returncode == 0

    assert [line for line in machine.log if line.startswith("sudo")] == [
        "sudo -n",
        "sudo sh",
        "sudo apt-get",
        "sudo env",
        "sudo rm",
    ]
    assert not machine.policy.exists()


# --- other systems ------------------------------------------------------------------------------------------


def test_ubuntu_gets_its_browser_from_playwright(machine: Machine) -> None:
    """Ubuntu's own is a stub for a snap: it is there and does not start."""
    (machine.root / "etc/os-release").write_text(UBUNTU)
    machine.program(machine.bin / "chromium-browser", "exit 1")

    done = machine.setup()

    assert f"{APT} {' '.join(SERVERS)}" in machine.log
    assert machine.log[-1] == "playwright install --with-deps chromium-headless-shell"
    browser = "chromium_headless_shell-1255/chrome-headless-shell-linux64/chrome-headless-shell"
    assert f"setup: browser installed: {machine.folder}/home/.cache/ms-playwright/{browser}\n" in done.stderr
    assert not machine.policy.exists()


def test_macos_names_what_homebrew_does_not_have(machine: Machine) -> None:
    machine.has("pushgateway")
    machine.program(machine.bin / "brew", BREW)

    done = machine.setup(SYSTEM="Darwin")

    formulas = ("prometheus", "alertmanager", "postgresql@16")
    assert machine.log == [f"brew install --quiet {formula}" for formula in formulas]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "setup: Homebrew has no alertmanager: download alertmanager-*.darwin-arm64.tar.gz (amd64 for x86_64) "
        "from https://github.com/prometheus/alertmanager/releases, put the program alertmanager on PATH, "
        "run again: make setup"
    )


def test_a_system_without_known_packages_says_what_to_download(machine: Machine) -> None:
    (machine.root / "etc/os-release").write_text("ID=fedora\n")

    done = machine.setup()

    assert done.returncode == 1
    assert done.stderr == (
        "setup: missing: prometheus pushgateway alertmanager postgres; this system's packages are not known here.\n"
        "setup: Download them from https://prometheus.io/download/ and https://www.postgresql.org/download/,\n"
        "setup: put the programs on PATH, run again: make setup\n"
    )


@pytest.mark.parametrize(
    ("release", "advice"),
    [
        (DEBIAN, ", which Debian 12 and later have: apt-get install python3 python3-venv"),
        (UBUNTU, ": apt-get install python3.11 python3.11-venv"),
        ("ID=fedora\n", ", with venv and pip"),
    ],
    ids=["debian", "ubuntu", "other"],
)
def test_a_python_that_is_too_old_says_what_to_install(machine: Machine, release: str, advice: str) -> None:
    (machine.root / "etc/os-release").write_text(release)

    done = machine.setup(OLD_PYTHON="1")

    assert (done.returncode, done.stderr) == (1, f"setup: needs Python 3.11 or newer{advice}\n")


# --- PostgreSQL, which is kept out of PATH -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("homes", "newest"),
    [
        (("usr/lib/postgresql/9.6", "usr/lib/postgresql/17", "usr/lib/postgresql/15"), "usr/lib/postgresql/17"),
        (("opt/homebrew/opt/postgresql@16",), "opt/homebrew/opt/postgresql@16"),
        (("usr/local/opt/postgresql@16", "usr/local/opt/postgresql@9"), "usr/local/opt/postgresql@16"),
    ],
    ids=["debian", "homebrew", "homebrew on intel"],
)
def test_the_newest_postgresql_is_found(machine: Machine, homes: tuple[str, ...], newest: str) -> None:
    machine.has(*(name for name in EVERYTHING if name != "postgresql"))
    for home in homes:
        machine.program(machine.root / home / "bin/postgres")

    done = machine.setup()

    assert f"setup: postgres found: {machine.root}/{newest}/bin/postgres\n" in done.stdout
    assert machine.log == NEW_VENV


def test_a_homebrew_without_postgresql_says_where_to_get_it(machine: Machine) -> None:
    machine.has("prometheus", "pushgateway", "alertmanager")
    machine.program(machine.bin / "brew", BREW)

    done = machine.setup(SYSTEM="Darwin", NO_FORMULA="postgresql@16")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "setup: Homebrew has no postgresql@16: install PostgreSQL from https://postgresapp.com, put its programs "
        "on PATH, run again: make setup"
    )


# --- browsers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "environment"),
    [
        ("my browser", {"ROLLOUT_BROWSER": "my browser"}),
        ("home/.cache/ms-playwright/chromium-1255/chrome-linux/chrome", {}),
        ("own/chromium-1255/chrome-linux64/chrome", {"PLAYWRIGHT_BROWSERS_PATH": "own"}),
        ("bin/google-chrome", {}),
        ("root/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", {"SYSTEM": "Darwin"}),
        (
            "home/Library/Caches/ms-playwright/chromium-1/chrome-mac/Chromium.app/Contents/MacOS/Chromium",
            {"SYSTEM": "Darwin"},
        ),
    ],
    ids=["named", "playwright", "playwright-elsewhere", "chrome", "macos-app", "macos-playwright"],
)
def test_a_browser_is_found(machine: Machine, place: str, environment: dict[str, str]) -> None:
    machine.has(*SERVERS)
    machine.program(machine.folder / place)
    paths = {name: str(machine.folder / value) for name, value in environment.items() if name != "SYSTEM"}

    done = machine.setup(**{**environment, **paths})

    assert f"setup: browser found: {machine.folder / place}\n" in done.stdout
    assert machine.log == NEW_VENV


def test_a_browser_that_is_named_and_missing_is_an_error(machine: Machine) -> None:
    done = machine.setup(ROLLOUT_BROWSER="/nowhere/chrome")

    assert (done.returncode, done.stderr) == (1, "setup: ROLLOUT_BROWSER=/nowhere/chrome is not a program\n")
