# Makes the virtual environment of a stack, once. Sourced by the launchers beside it.
# prepare_environment REQUIREMENTS FOLDER LOWEST HIGHEST sets $python to the Python of an environment
# with those packages, made from a Python 3.LOWEST to 3.HIGHEST. Nothing is done where it is already
# what the requirements ask for. What was not made here, such as a link to another environment, is
# used where it fits and never removed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

_works() { # PYTHON LOWEST HIGHEST: whether it runs and is a Python 3.LOWEST to 3.HIGHEST
  "$1" -c "import sys, venv, ensurepip
sys.exit(not (3, $2) <= sys.version_info[:2] <= (3, $3))" >/dev/null 2>&1
}

_candidates() { # LOWEST HIGHEST: commands that may be a Python 3.LOWEST to 3.HIGHEST, newest first
  local minor folder
  if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; fi
  for minor in $(seq "$2" -1 "$1"); do
    echo "python3.$minor"
    # A shim of pyenv is on the PATH for versions that are not selected, and refuses to run them.
    for folder in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv" $(tr : '\n' <<<"$PATH" | sed -n 's,/shims/*$,,p'); do
      if [ -d "$folder/versions" ]; then
        find "$folder/versions" -maxdepth 3 -path "*/3.$minor.*/bin/python3.$minor" | sort -rV
      fi
    done
  done
  echo python3
  echo python
}

_mark=made_by_tfhific

_is_replaceable() { # FOLDER REQUIREMENTS: whether nothing, or what was made here, is there; else says so
  if [ -L "$1" ]; then
    echo "error: $1 is a link to $(readlink "$1"), whose packages are not those of $2." \
         "Bring that environment up to date where it was made, or remove the link (rm $1) to have" \
         "one made here." >&2
    return 1
  fi
  if [ -e "$1" ] && [ ! -e "$1/$_mark" ] && [ ! -e "$1/complete" ]; then
    echo "error: $1 was not made by this program, and its packages are not those of $2." \
         "Move it away to have one made here." >&2
    return 1
  fi
}

prepare_environment() { # REQUIREMENTS FOLDER LOWEST HIGHEST
  local requirements=$root/$1 folder=$root/$2 lowest=$3 highest=$4 base="" candidate wanted
  wanted=$(cksum <"$requirements")
  python=$folder/bin/python
  if [ "$(cat "$folder/complete" 2>/dev/null)" = "$wanted" ] && _works "$python" "$lowest" "$highest"; then
    return 0
  fi
  exec 9>"$folder.lock"
  if command -v flock >/dev/null 2>&1; then
    flock 9
    if [ "$(cat "$folder/complete" 2>/dev/null)" = "$wanted" ]; then
      exec 9>&-
      return 0
    fi
  fi
  while IFS= read -r candidate; do
    if _works "$candidate" "$lowest" "$highest"; then base=$candidate; break; fi
  done < <(_candidates "$lowest" "$highest")
  if [ -z "$base" ]; then
    echo "error: expected Python 3.$lowest to 3.$highest with its venv module, found none." \
         "Install one, or name it: PYTHON=/path/to/python3.$highest $0" >&2
    return 1
  fi
  _is_replaceable "$folder" "$1" || return 1
  echo "Setting up $folder with $("$base" --version) (once, about 2 GB)" >&2
  rm -rf "$folder"
  "$base" -m venv "$folder" || return 1
  : >"$folder/$_mark"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 || {
    echo "error: the packages of $1 could not be installed; run the command again when the" \
         "network is back." >&2
    return 1
  }
  echo "$wanted" >"$folder/complete"
  exec 9>&-
}

prepare_stack() { # default | latest
  case "$1" in
    default) prepare_environment requirements.txt .venv 9 11 ;;
    latest)
      prepare_environment requirements-latest.txt .venv-latest 12 13
      export TF_USE_LEGACY_KERAS=1
      ;;
    *)
      echo "error: expected --stack=default or --stack=latest. Received: $1" >&2
      return 1
      ;;
  esac
}
