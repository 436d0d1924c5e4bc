#!/usr/bin/env bash
# The one command of the shop: sets up what is missing, then starts, tests or checks it.
set -euo pipefail

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
venv=$root/.venv
python=$venv/bin/python
stamp=$venv/.set-up-as         # "run" or "dev", and what it was made from
compiled=$venv/.compiled       # as old as the youngest bytecode of the shop's own modules
unfinished=$venv/.unfinished   # is there while a set-up is under way, and after a broken one
export DATA_DIR=${DATA_DIR:-$root/var}
unset PYTHONHOME
export PYTHONPATH=$root

usage() {
  cat <<'TEXT'
Usage: ./run.sh [COMMAND]

  (none)                 set up what is missing and start the shop; Ctrl-C stops it
  setup                  set up only
  test [PYTEST OPTIONS]  set up and run the tests, in some minutes
  test --long            run all of them: longer, and in more combinations
  check                  format, lint, types and lock files
  bench [OPTIONS]        measure how fast the shop is (20 minutes); --help tells more
  flask COMMAND …        the shop's commands: import-products FILE, export-products FILE,
                         cleanup-reservations, migrate, create-owner EMAIL, …
  help                   this text

Without STRIPE_SECRET_KEY in the environment the shop runs as a demo, with a stand-in for
Stripe. STOREFRONT_PORT (8000), DASHBOARD_PORT (8501), STRIPE_EMULATOR_PORT (8420) and
DATA_DIR (var/) say where; README.md lists the rest.
TEXT
}

# Words about the set-up go to stderr: what a command prints may be read by a program.
say() { printf '%s\n' "$*" >&2; }
fail() { say "run.sh: $*"; exit 1; }

find_python() {
  local candidate found=
  for candidate in python3 python3.13 python3.12 python3.11; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    found=$candidate
    "$candidate" -c 'import ensurepip, venv' 2>/dev/null || continue
    printf '%s\n' "$candidate"
    return
  done
  [ -n "$found" ] || fail "Python 3.11 or newer is needed, and python3 is older or missing." \
    "On Debian and Ubuntu: apt install python3 python3-venv"
  fail "$found cannot make virtual environments: its modules venv and ensurepip are missing." \
    "On Debian and Ubuntu: apt install python3-venv"
}

# A folder that was moved or copied has a .venv whose programs point at the old place.
venv_is_usable() {
  [ ! -e "$unfinished" ] &&
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    [[ $(sed -n 's/^command = //p' "$venv/pyvenv.cfg") == *" $venv" ]]
}

lock_file() {
  if [ "$1" = dev ]; then echo "$root/requirements-dev.lock"; else echo "$root/requirements.lock"; fi
}

fingerprint() {
  { "$python" -c 'import sys; print(sys.version, "compiled")'; cat "$(lock_file "$1")"; } | sha256sum
}

# What the tests need contains what the shop needs, so that "dev" serves for both.
is_set_up() {
  local profile
  venv_is_usable && [ -e "$stamp" ] || return 1
  profile=$(cut -d ' ' -f 1 "$stamp")
  case $1-$profile in run-run | run-dev | dev-dev) ;; *) return 1 ;; esac
  [ "$(cat "$stamp")" = "$profile $(fingerprint "$profile")" ]
}

make_venv() {
  local base
  base=$(find_python)
  rm -rf -- "$venv"
  mkdir -- "$venv"
  touch -- "$unfinished"
  "$base" -m venv "$venv" || fail "$base could not make the virtual environment in $venv."
}

with_uv() {
  local pinned
  pinned=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$root/requirements-setup.lock")
  if [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d ' ' -f 2)" != "$pinned" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes \
      -r "$root/requirements-setup.lock" || return 1
  fi
  # uv does not read pip's settings; every file is checked against its hash wherever it is from.
  [ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
  if [ -n "${PIP_EXTRA_INDEX_URL:-}" ]; then
    export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}" UV_INDEX_STRATEGY=unsafe-best-match
  fi
  # A company's own certificates are in the system's store, which uv leaves aside by default.
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS=1
  [ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
  mkdir -p -- "${HOME:-/nonexistent}/.cache" 2>/dev/null || export UV_NO_CACHE=1
  "$venv/bin/uv" pip sync --quiet --compile-bytecode --python "$python" --require-hashes "$1"
}

with_pip() {
  "$python" -m pip install --quiet --compile --disable-pip-version-check --require-hashes -r "$1"
}

install() {
  local profile=$1 lock
  say "Setting up the shop in $venv: about a minute the first time, to load its packages;" \
    "seconds when only some of them have changed."
  venv_is_usable || make_venv
  if [ -e "$venv/bin/pytest" ]; then profile=dev; fi
  touch -- "$unfinished"
  rm -f -- "$stamp"
  lock=$(lock_file "$profile")
  if ! with_uv "$lock"; then
    say "That did not work with uv; trying again with pip, which takes a few minutes."
    with_pip "$lock" || fail "The packages could not be installed (see above). Is this machine" \
      "online? The next start begins anew."
  fi
  printf '%s\n' "$profile $(fingerprint "$profile")" >"$stamp"
  rm -f -- "$unfinished"
  say "The set-up is complete."
}

# A missing or outdated .mo file would show bare message ids or yesterday's words.
compile_translations() {
  local catalogue outdated=
  for catalogue in "$root"/storefront/translations/*/LC_MESSAGES/*.po; do
    if [ -e "$catalogue" ] && [ "$catalogue" -nt "${catalogue%.po}.mo" ]; then outdated=yes; fi
  done
  [ -z "$outdated" ] ||
    "$python" -m babel.messages.frontend --quiet compile -d "$root/storefront/translations"
}

# With PYTHONDONTWRITEBYTECODE, which many machines that run tests set, each of the shop's
# processes would compile everything anew. Python itself sees when a file is newer.
compile_programs() {
  local changed folders=(core storefront admin_dashboard stripe_emulator scripts tests benchmarks)
  folders=("${folders[@]/#/$root/}")
  if [ -e "$compiled" ]; then
    changed=$(find "${folders[@]}" -name '*.py' -newer "$compiled" -print -quit)
    [ -n "$changed" ] || return 0
  fi
  # What cannot be compiled, or not be written here, is no reason not to start.
  "$python" -m compileall -q "${folders[@]}" >&2 || return 0
  touch -- "$compiled"
}

# The lock is on the folder itself, so that nothing is left behind. The subshell gives it back.
set_up() (
  exec 9<"$root"
  if command -v flock >/dev/null && ! flock --nonblock 9; then
    say "Another set-up is at work in this folder; waiting for it."
    flock 9
  fi
  is_set_up "$1" || install "$1"
  compile_translations
  compile_programs
)

playwright_chromium() {
  "$python" -c 'from playwright.sync_api import sync_playwright
with sync_playwright() as p: print(p.chromium.executable_path)' 2>/dev/null
}

# Without a window of its own a browser costs half as much.
find_chromium() {
  local name path
  for name in "${CHROMIUM:-}" chromium-headless-shell chromium chromium-browser google-chrome \
    "$(playwright_chromium)"; do
    path=$(command -v -- "${name:-/nonexistent}") || continue
    # Ubuntu's package is only a word about snap: a program that does not run is none.
    if "$path" --version >/dev/null 2>&1; then printf '%s\n' "$path"; return; fi
  done
  return 1
}

get_chromium() {
  local package as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  say "The browser tests need Chromium, and there is none here: getting it, about a minute."
  if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    as_root+=(env DEBIAN_FRONTEND=noninteractive "PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH")
    "${as_root[@]}" apt-get update -qq >&2 || true
    for package in chromium-headless-shell chromium; do
      "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$package" >&2 || true
      if find_chromium >/dev/null; then return; fi
    done
  fi
  "$python" -m playwright install chromium >&2 || true
}

serve() {
  set_up run
  exec "$python" "$root/scripts/serve.py"
}

run_flask() {
  set_up run
  # The path, not the name: the caller's folder may hold another "storefront".
  exec "$python" -P -m flask --app "$root/storefront" "$@"
}

run_tests() {
  set_up dev
  find_chromium >/dev/null || get_chromium
  if CHROMIUM=$(find_chromium); then
    export CHROMIUM
  else
    unset CHROMIUM
    [ "${CI:-}" != true ] || fail "There is no Chromium and none could be installed."
    say "There is no Chromium and none could be installed: the browser tests will be skipped."
  fi
  cd -- "$root"
  # The whole suite is shared by more workers than there are processors: many tests wait.
  local workers=$(($(nproc) < 4 ? $(nproc) * 2 : 8))
  case $* in '' | --long) set -- --numprocesses "$workers" --dist loadgroup "$@" ;; esac
  exec "$python" -m pytest "$@"
}

run_bench() {
  set_up dev
  cd -- "$root"
  exec "$python" -m benchmarks "$@"
}

run_checks() {
  set_up dev
  cd -- "$root"
  "$python" -m ruff format --check .
  "$python" -m ruff check .
  "$python" -m mypy --num-workers 2
  "$python" scripts/check_locks.py
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
  test) run_tests "$@" ;;
  bench) run_bench "$@" ;;
  flask) run_flask "$@" ;;
  '' | setup | check | help | --help | -h)
    if [ $# -gt 0 ]; then usage >&2; exit 2; fi
    case $command in
      '') serve ;;
      setup) set_up run ;;
      check) run_checks ;;
      *) usage ;;
    esac
    ;;
  *)
    say "run.sh: there is no command '$command'."
    usage >&2
    exit 2
    ;;
esac
