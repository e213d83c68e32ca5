# Sourced by the scripts of this folder: finds a Python, keeps the checkout's virtual environment up to date.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

# Print the first interpreter that gpugrad supports and that can make virtual environments. Each is run, not just looked
# up: a version manager may put a name on the PATH that starts nothing. PYTHON=... decides for itself.
find_python() {
    local candidate candidates="${PYTHON:-python3.11 python3.12 python3.13 python3.10 python3 python}"
    local usable='import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
    for candidate in $candidates; do
        if "$candidate" -c "$usable" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "No usable Python among: $candidates" >&2
    echo "gpugrad needs Python 3.10, 3.11, 3.12 or 3.13 with its venv module (on Debian and Ubuntu: python3-venv)." >&2
    return 1
}

# install EXTRAS: make .venv where there is none, and install this checkout into it with these extras. A stamp in .venv
# says what was installed, so that nothing is done again until pyproject.toml changes or the checkout moves.
install() {
    local extras="$1" python stamp state
    stamp="$venv/.installed-$extras"
    state="$root $(cksum <"$root/pyproject.toml")"
    if ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
        python="$(find_python)"
        echo "Creating $venv with $("$python" --version)" >&2
        "$python" -m venv --clear "$venv"
    fi
    if [[ ! -f "$stamp" || "$(<"$stamp")" != "$state" ]]; then
        echo "Installing gpugrad[$extras] into $venv" >&2
        pip install --editable "$root[$extras]"
        echo "$state" >"$stamp"
    fi
}

pip() {
    "$venv/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input "$@"
}
