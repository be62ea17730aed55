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
rm -rf "$base"/versions/.new-* "$base"/.current-*

current() { readlink "$base/current" 2>/dev/null | sed 's|^versions/||'; }

# One rename; what it points to was written to the disk before.
switch_to() {
    ln -s "versions/$1" "$base/.current-$$"
    mv -T "$base/.current-$$" "$base/current"
    sync
}

# Writes a file whole or not at all.
place() { # source, target, mode
    cp "$1" "$2.new-$$"
    chmod "$3" "$2.new-$$"
    mv "$2.new-$$" "$2"
}

before=$(current)
if [ ! -d "$slot" ]; then
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
    # A version is judged before it counts: hashes, golden vectors, and digits of the demo read through it.
    (cd / && PYTHONPATH=$new/site PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -m runtime.camera --model "$model" \
        --backend "$backend" --source demo --max-frames 20 --display none >"$new/self-test.txt" 2>&1) ||
        fail "the new version failed its self-test: $(tail -n 1 "$new/self-test.txt"); the old one stays"
    sync
    mv -T "$new" "$slot"
    trap - EXIT
    sync
else
    say "$name is already here"
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
    code=$("$PYTHON" - "${EDGE_DIGITS_HEALTH:-http://127.0.0.1:9464/health}" <<'PROBE'
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=3).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
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
    "$SYSTEMCTL" restart edge-digits || return 1
}

# Well enough: as well as it was before, within the time that it is given.
well() {
    deadline=$(($(date +%s) + patience))
    while :; do
        now=0
        health || now=$?
        [ "$now" -gt "$1" ] || return 0
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 1
    done
}

was=1
if [ "$service" = yes ] && [ -n "$before" ]; then
    health && was=0
fi
[ "$before" = "$name" ] || switch_to "$name"

if [ "$service" = yes ]; then
    if restart && well "$was"; then
        health || say "the service runs, but no frames come: is a camera plugged in? (edge-digits doctor)"
    elif [ -n "$before" ] && [ "$before" != "$name" ] && [ -d "$base/versions/$before" ]; then
        switch_to "$before"
        restart || true
        rm -rf "$slot"
        fail "the new version's service was not healthy within $patience s; $before is current again (journalctl -u edge-digits)"
    else
        fail "the service is not healthy after $patience s: journalctl -u edge-digits says why; edge-digits doctor helps"
    fi
fi

# Only the current version and the one before it stay.
for old in "$base"/versions/*; do
    case $(basename "$old") in "$name" | "$before") ;; *) rm -rf "$old" ;; esac
done
say "$name is current$([ -z "$before" ] || [ "$before" = "$name" ] || printf '%s' "; before it was $before")"
[ "$service" = no ] || say "the service runs: systemctl status edge-digits; settings in /etc/edge-digits/service.toml"
say "try: edge-digits doctor"
