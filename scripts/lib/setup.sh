# shellcheck shell=bash
# Sourced by scripts/test and scripts/demo: makes a plain Debian machine with Node.js 20 and root ready for
# both. What is there already is left alone, so that a second run is quick and needs no network.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What the container harness and the tests call. util-linux and findutils are on every Debian machine.
debian_packages=(
  age
  ca-certificates
  debian-archive-keyring
  debootstrap
  e2fsprogs
  fish
  gettext-base
  git
  lintian
  mandoc
  nix-bin
  openssh-client
  python3
  python3-yaml
  rpm
  strace
  systemd-container
  zsh
  zstd
)

heading() {
  printf '\n== %s\n' "$*"
}

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Runs a command and shows what it said only when it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1) || status=$?
  if [ "$status" -ne 0 ]; then
    printf '%s\nexit code %s: %s\n' "$output" "$status" "$*" >&2
  fi
  return "$status"
}

require_root() {
  [ "$(id -u)" -eq 0 ] ||
    fail "needs root, since it boots systemd in containers and may install packages: sudo $0"
}

install_debian_packages() {
  local name missing=()
  if ! command -v apt-get >/dev/null; then
    fail "not a Debian machine (no apt-get); the tests need Debian and: ${debian_packages[*]}"
  fi
  for name in "${debian_packages[@]}"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
      missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  heading "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update || fail 'apt-get update failed: is the network there?'
  quietly apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" ||
    fail 'apt-get install failed'
}

# npm refuses a lock file that lacks optional packages (executables for other platforms), though it would
# never install them: github.com/npm/cli/issues/9846. Of which packages a lock file lacks the entries depends on
# what the registry had when it was written. A version that differs from package.json is "Invalid".
only_optional_packages_missing() {
  grep -q 'error Missing: .* from lock file$' "$1" && ! grep -q 'error Invalid: ' "$1"
}

install_node_packages() {
  local lock=$repository/package-lock.json installed=$repository/node_modules/.package-lock.json log
  if [ -e "$installed" ] && ! [ "$lock" -nt "$installed" ]; then
    return 0
  fi
  command -v npm >/dev/null || fail 'no npm: install Node.js 20 or later, with its npm'
  heading 'installing the packages of package-lock.json'
  log=$(mktemp)
  # no install scripts: what they would fetch or make (esbuild's shortcut) is not needed.
  # errors only: that the Node.js that runs npm is too old for some is no matter, another runs them.
  local options=(--prefix "$repository" --ignore-scripts --loglevel=error)
  if ! npm ci "${options[@]}" >"$log" 2>&1; then
    if ! only_optional_packages_missing "$log" ||
      ! npm install --no-save "${options[@]}" >"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      fail 'npm could not install the packages of package-lock.json'
    fi
  fi
  rm -f "$log"
}

# The sources are TypeScript that is run as it is, which needs a newer Node.js than Debian machines have:
# it comes from npm, too.
use_node() {
  local version
  export PATH=$repository/node_modules/.bin:$PATH
  version=$(node --version) || fail 'no Node.js in node_modules: remove node_modules and run this again'
  version=${version#v}
  [ "${version%%.*}" -ge 24 ] ||
    fail "Node.js $version is too old (24 is needed): remove node_modules and run this again"
}

set_up() {
  cd "$repository" || exit
  require_root
  install_debian_packages
  install_node_packages
  use_node
}
