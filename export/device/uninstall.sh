#!/bin/sh
# Removes what install.sh installed: /opt/edge-digits/current/uninstall.sh [--purge]
# The configuration and what was recorded stay, unless --purge is given.
set -eu
ROOT=${EDGE_DIGITS_ROOT:-}
SYSTEMCTL=${EDGE_DIGITS_SYSTEMCTL:-systemctl}
purge=no
case ${1:-} in
    '') ;;
    --purge) purge=yes ;;
    *)
        echo "usage: sudo uninstall.sh [--purge]" >&2
        exit 2
        ;;
esac
[ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || {
    echo "error: only root may uninstall; run sudo $0" >&2
    exit 1
}
if [ -e "$ROOT/etc/systemd/system/edge-digits.service" ]; then
    "$SYSTEMCTL" disable --now --quiet edge-digits || true
    rm -f "$ROOT/etc/systemd/system/edge-digits.service"
    "$SYSTEMCTL" daemon-reload
fi
rm -rf "$ROOT/opt/edge-digits" "$ROOT/usr/local/bin/edge-digits"
if [ "$purge" = yes ]; then
    rm -rf "$ROOT/etc/edge-digits" "$ROOT/var/lib/edge-digits"
    [ -n "$ROOT" ] || ! id edge-digits >/dev/null 2>&1 || userdel edge-digits
    echo "edge-digits: removed, with its configuration and recordings"
else
    echo "edge-digits: removed; /etc/edge-digits and /var/lib/edge-digits stay (--purge removes them)"
fi
