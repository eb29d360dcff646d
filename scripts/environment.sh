#!/bin/sh
# Make the virtual environment FOLDER, or take the one that is there, and install chainrule with EXTRAS into it:
#     scripts/environment.sh FOLDER [EXTRAS]
# The interpreter is $PYTHON, or else the first of python3.13 … python3 that runs and is new enough.
set -u

folder=$1
extras=${2:-}
needed="3.11"

version_of() {  # empty when the command is missing, or a shim that exists and fails
    "$1" -c 'import sys; print("%d.%d" % tuple(sys.version_info[:2]))' 2>/dev/null
}

new_enough() {
    major=${1%%.*}
    minor=${1#*.}
    [ "$major" -gt 3 ] || { [ "$major" -eq 3 ] && [ "$minor" -ge "${needed#*.}" ]; }
}

install_command() {  # of Python version $1 with venv and pip, on the systems we know
    as_root="sudo "
    [ "$(id -u)" = 0 ] && as_root=""
    if command -v apt-get >/dev/null 2>&1; then echo "${as_root}apt install python$1-venv"
    elif command -v dnf >/dev/null 2>&1; then echo "${as_root}dnf install python$1 python3-pip"
    elif command -v pacman >/dev/null 2>&1; then echo "${as_root}pacman -S python python-pip"
    elif command -v zypper >/dev/null 2>&1; then echo "${as_root}zypper install python$1 python3-pip"
    elif command -v apk >/dev/null 2>&1; then echo "${as_root}apk add python3 py3-pip"
    elif command -v brew >/dev/null 2>&1; then echo "brew install python@$1"
    else echo "see https://www.python.org/downloads/"
    fi
}

refuse() {
    printf 'chainrule: %s\n' "$1" >&2
    printf '  %s\n' "$2" >&2
    exit 2
}

if [ -n "${PYTHON:-}" ]; then
    version=$(version_of "$PYTHON")
    [ -n "$version" ] || refuse "PYTHON=$PYTHON does not run." "Give another: PYTHON=/path/to/python3"
else
    version=""
    oldest=""
    for candidate in python3.13 python3.12 python3.11 python3; do
        version=$(version_of "$candidate")
        if [ -n "$version" ] && new_enough "$version"; then PYTHON=$candidate; break; fi
        oldest=${version:-$oldest}
        version=""
    done
    if [ -z "$version" ]; then
        [ -n "$oldest" ] && found="only Python $oldest was found" || found="no Python was found"
        refuse "$found, and Python $needed or newer is needed. Install one with:" "$(install_command $needed)"
    fi
fi

new_enough "$version" || refuse \
    "PYTHON=$PYTHON is Python $version, and Python $needed or newer is needed. Install one with:" \
    "$(install_command $needed)    (then: make PYTHON=python$needed)"

usable() {  # an environment of the interpreter's version, with pip
    [ "$(version_of "$folder/bin/python")" = "$version" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1
}

if ! usable; then
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || refuse \
        "$PYTHON (Python $version) comes without venv and pip. Install them with:" "$(install_command "$version")"
    if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ]; then
        refuse "$folder exists and is no virtual environment." "Move it away, or choose another: VENV=FOLDER"
    fi
    echo "Making the environment $folder with $PYTHON (Python $version)"
    "$PYTHON" -m venv --clear "$folder" || refuse "$folder could not be made." "The reason is above."
fi

echo "Installing chainrule${extras:+ [$extras]} into $folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}" || refuse \
    "the installation failed; pip's reason is above." "It needs the network, or pip set up with a local index."
