#!/bin/sh
# Makes the image debian:bookworm-slim from Debian's mirror, for a machine that no image registry can be reached from:
#   sh delivery/docker/debian_base.sh       as root, with debootstrap and buildah
# It leaves out what Debian's own slim image leaves out: manuals, locales, lists of packages.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root/debian" http://deb.debian.org/debian
cd "$root/debian"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/*
container=$(buildah from scratch)
buildah add --quiet "$container" "$root/debian" /
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$container"
buildah commit --quiet --rm "$container" localhost/debian:bookworm-slim
