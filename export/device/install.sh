#!/bin/sh
# Installs, or updates to, what lies beside this script; asks nothing and needs no network.
#
#   sudo ./install.sh [--no-service] [--health-seconds N]
#
# A version goes into a folder of its own; one rename makes it the current one. Killed or without power at any moment, the
# old version or the new one is whole and current; run this again to go on. A version that its service does not get well
# with is left again by itself, and the one before it is current once more.
set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
ROOT=${EDGE_DIGITS_ROOT:-}                    # another root than /, for trying it out
PYTHON=${EDGE_DIGITS_PYTHON:-/usr/bin/python3}
SYSTEMCTL=${EDGE_DIGITS_SYSTEMCTL:-systemctl}
service=yes
patience=60

say() { printf '%s\n' "edge-digits: $*"; }
fail() {
    printf '%s\n' "error: $*" >&2
    exit 1
}
usage() {
    printf '%s\n' "usage: sudo ./install.sh [--no-service] [--health-seconds N]" "$1" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --no-service) service=no ;;
        --health-seconds)
            [ $# -gt 1 ] || usage "--health-seconds needs a number"
            shift
            patience=$1
            ;;
        *) usage "unknown option: $1" ;;
    esac
    shift
done
case $patience in '' | *[!0-9]*) usage "--health-seconds is $patience; expected a whole number" ;; esac

[ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || fail "only root may install; run sudo $0"
[ -r "$here/SHA256SUMS" ] || fail "$here holds no SHA256SUMS; unpack the archive again"
(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) ||
    fail "the archive was altered or is not whole; copy and unpack it again"
# What the sums do not vouch for has no business here.
[ "$(cd "$here" && find . -type f ! -name SHA256SUMS | wc -l)" -eq "$(wc -l <"$here/SHA256SUMS")" ] ||
    fail "the archive holds files that SHA256SUMS does not list; unpack it again, into an empty folder"
. "$here/target.env"

if [ -z "${EDGE_DIGITS_ANY_MACHINE:-}" ]; then
    [ "$(uname -m)" = "$architecture" ] || fail "this is $(uname -m), the archive is for $architecture; use the 64-bit Raspberry Pi OS"
    found=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || fail "no $PYTHON here; apt install python3"
    # Its kernel has 64 bits, and says so, below a system of 32 too.
    "$PYTHON" -c 'import sys; sys.exit(sys.maxsize < 2**32)' || fail "this system has 32 bits, the archive is for $architecture; use the 64-bit Raspberry Pi OS"
    [ "$found" = "$python" ] || fail "this system has Python $found, the archive is for $system with $python; make one with --os for this system"
fi

base=$ROOT/opt/edge-digits
state=$ROOT/var/lib/edge-digits
etc=$ROOT/etc/edge-digits
unit=$ROOT/etc/systemd/system/edge-digits.service
name=$model-$backend-$(sha256sum "$here/SHA256SUMS" | cut -c1-12)
slot=$base/versions/$name

mkdir -p "$base/versions" "$etc" "$(dirname "$unit")" "$ROOT/usr/local/bin"
exec 9>"$base/lock"
flock -n 9 || fail "another install is running"

# Leftovers of an install that was killed.
rm -rf "$base"/versions/.new-* "$base"/.*-[0-9]* "$base"/trial.new-* "$etc"/*.new-* "$unit".new-* \
    "$ROOT"/usr/local/bin/edge-digits.new-*

current() { readlink "$base/current" 2>/dev/null | sed 's|^versions/||'; }

# One rename; what it points to was written to the disk before.
switch_to() {
    ln -s "versions/$1" "$base/.current-$$"
    mv -T "$base/.current-$$" "$base/current"
    sync
}

# Writes a file whole or not at all, whenever the power goes: a rename may reach the disk before what it names.
place() { # source, target, mode
    cp "$1" "$2.new-$$"
    chmod "$3" "$2.new-$$"
    sync "$2.new-$$"
    mv "$2.new-$$" "$2"
}

# A version is judged before it counts: hashes, golden vectors, and digits of the demo read through it.
self_test() { # folder of the version; what it said is left in $said
    said=$(cd / && PYTHONPATH=$1/site PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -m runtime.camera --model "$model" \
        --backend "$backend" --source demo --max-frames 20 --display none 2>&1) &&
        printf '%s' "$said" | grep -q ' frames: [1-9][0-9]* right'
}
last_line() { printf '%s' "$said" | tail -n 1; }

before=$(current)
# An update that was cut off before its service was well: what was current before it is what is known to be.
[ ! -s "$base/trial" ] || before=$(cat "$base/trial")
if [ -d "$slot" ] && self_test "$slot"; then
    say "$name is already here"
else
    [ ! -d "$slot" ] || say "$name is here, but damaged: $(last_line)"
    say "installing $name"
    new=$base/versions/.new-$$
    mkdir "$new"
    trap 'rm -rf "$new"' EXIT
    # pip runs from its wheel: a Lite system may have none.
    (cd "$here" && "$PYTHON" "$(ls pip-*.whl)/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-index \
        --no-deps --no-compile --require-hashes --root-user-action=ignore --target "$new/site" -r requirements.txt) ||
        fail "pip could not install the wheels; see above"
    # For graphics cards that no Raspberry Pi has; and the libraries' own tests.
    rm -f "$new"/site/ai_edge_litert/*WebGpu*
    find "$new/site" -type d -name tests -path '*/numpy/*' -prune -exec rm -rf {} +
    rm -rf "$new/site/bin"
    cp "$here/target.json" "$here/target.env" "$here/SHA256SUMS" "$here/uninstall.sh" "$here/edge-digits.service" "$here/service.toml" "$new"
    chmod 755 "$new/uninstall.sh"
    self_test "$new" || fail "the new version failed its self-test: $(last_line); the old one stays"
    sync
    [ ! -d "$slot" ] || mv -T "$slot" "$new-damaged"
    mv -T "$new" "$slot"
    trap - EXIT
    sync
    rm -rf "$new-damaged"
fi

[ -e "$etc/service.toml" ] || place "$slot/service.toml" "$etc/service.toml" 640

launcher=$base/.launcher-$$
cat >"$launcher" <<'LAUNCHER'
#!/bin/sh
# edge-digits camera | image | serve | doctor …: python -m runtime.WORD of the installed version; also benchmarks.
case ${1:-} in
    camera | image | serve | doctor) module=runtime.$1 ;;
    benchmarks) module=benchmarks ;;
    *) echo "usage: edge-digits camera|image|serve|doctor|benchmarks [options]" >&2; exit 2 ;;
esac
shift
PYTHONPATH=/opt/edge-digits/current/site PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -m "$module" "$@"
LAUNCHER
place "$launcher" "$ROOT/usr/local/bin/edge-digits" 755
rm -f "$launcher"

if [ "$service" = yes ]; then
    if [ -z "$ROOT" ]; then
        id edge-digits >/dev/null 2>&1 || useradd --system --user-group --home-dir "$state" --shell /usr/sbin/nologin --groups video edge-digits
        chgrp edge-digits "$etc/service.toml"
    fi
    mkdir -p "$state"
    [ -n "$ROOT" ] || chown edge-digits: "$state"
fi

# 0 reading frames, 1 running without frames (no camera yet), 2 not running
health() {
    [ "$("$SYSTEMCTL" is-active edge-digits 2>/dev/null)" = active ] || return 2
    code=$("$PYTHON" - "$etc/service.toml" "${EDGE_DIGITS_HEALTH:-}" <<'PROBE'
import sys, tomllib, urllib.error, urllib.request
try:
    with open(sys.argv[1], "rb") as file:
        host, _, port = str(tomllib.load(file).get("metrics", "")).rpartition(":")
    # Whatever it listens on, this computer is among it; without metrics it can tell no more than that it runs.
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    url = sys.argv[2] or (port and f"http://{host}:{port}/health")
    print(urllib.request.urlopen(url, timeout=3).status if url else 200)
except urllib.error.HTTPError as error:
    print(error.code)
except (OSError, ValueError):
    print(0)
PROBE
    )
    case $code in 200) return 0 ;; 503) return 1 ;; *) return 2 ;; esac
}

restart() {
    place "$base/current/edge-digits.service" "$unit" 644
    sync
    "$SYSTEMCTL" daemon-reload
    "$SYSTEMCTL" enable --quiet edge-digits
    timeout "$patience" "$SYSTEMCTL" restart edge-digits || return 1
}

# Seconds on a clock that nobody sets: a Pi learns the time of day from the network, when there is one.
clock() { cut -d . -f 1 /proc/uptime; }

# Well enough: as well as it was before, within the time that it is given, and not for a moment only.
well() { # how it was, until when
    good=0
    while :; do
        now=0
        health || now=$?
        if [ "$now" -gt "$1" ]; then good=0; else good=$((good + 1)); fi
        [ "$good" -lt 3 ] || return 0
        [ "$(clock)" -lt "$2" ] || return 1
        sleep 1
    done
}

was=1
if [ "$service" = yes ] && [ -n "$before" ]; then
    health && was=0
fi
if [ "$(current)" != "$name" ]; then
    # Known as well as the rename is, should the power go before the service is well.
    if [ "$service" = yes ] && [ -n "$before" ]; then
        printf '%s' "$before" >"$base/.trial-$$"
        place "$base/.trial-$$" "$base/trial" 644
        rm -f "$base/.trial-$$"
    fi
    switch_to "$name"
fi

if [ "$service" = yes ]; then
    deadline=$(($(clock) + patience))
    if restart && well "$was" "$deadline"; then
        rm -f "$base/trial"
        health || say "the service runs, but no frames come: is a camera plugged in? (edge-digits doctor)"
    elif [ -n "$before" ] && [ "$before" != "$name" ] && [ -d "$base/versions/$before" ]; then
        switch_to "$before"
        restart || true
        rm -rf "$slot" "$base/trial"
        fail "the new version's service was not healthy within $patience s; $before is current again (journalctl -u edge-digits)"
    else
        fail "the service is not healthy after $patience s: journalctl -u edge-digits says why; edge-digits doctor helps"
    fi
fi

# Only the current version and the one before it stay; installed twice, nothing is before it but what was.
if [ "$before" != "$name" ]; then
    for old in "$base"/versions/*; do
        case $(basename "$old") in "$name" | "$before") ;; *) rm -rf "$old" ;; esac
    done
fi
say "$name is current$([ -z "$before" ] || [ "$before" = "$name" ] || printf '%s' "; before it was $before")"
[ "$service" = no ] || say "the service runs: systemctl status edge-digits; settings in /etc/edge-digits/service.toml"
say "try: edge-digits doctor"
