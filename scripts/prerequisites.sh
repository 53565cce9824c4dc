#!/bin/sh
# Makes sure that everything is here that `cargo` does not bring: a C toolchain, Java and Maven for
# the local Kafka and schema registry, Postgres, kcat; Python, Node and Java's compiler for examples.
#
# Quick when nothing is missing, because every target of the Makefile begins with it. What is
# missing is installed with apt-get where this user may do that without a password; otherwise one
# sentence says what is missing and what to type.
set -eu

packages=""
missing=""

# lack <what it is> <Debian package>...
lack() {
    missing="${missing:+$missing, }$1"
    shift
    packages="$packages $*"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# The broker and the registry are compiled for Java 17.
java_is_17() {
    java="java"
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then
        java="$JAVA_HOME/bin/java"
    fi
    major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 17 ]
}

# kit-stack looks in the same two places.
postgres_is_15() {
    for initdb in $(command -v initdb) /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && [ -x "${initdb%initdb}postgres" ] || continue
        major=$("${initdb%initdb}postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        [ "${major:-0}" -lt 15 ] || return 0
    done
    return 1
}

look() {
    packages=""
    missing=""
    have cc && have c++ && have make || lack "a C toolchain" build-essential
    if have pkg-config; then
        pkg-config --exists openssl || lack "OpenSSL's headers" libssl-dev
        pkg-config --exists zlib || lack "zlib's headers" zlib1g-dev
    else
        lack "pkg-config with the headers of OpenSSL and zlib" pkg-config libssl-dev zlib1g-dev
    fi
    java_is_17 && have javac || lack "Java 17 with its compiler" default-jdk-headless
    have mvn || lack "Maven" maven
    postgres_is_15 && have psql || lack "PostgreSQL 15" postgresql
    have kcat || lack "kcat" kcat
    have curl || lack "curl" curl
    have python3 && python3 -c 'import ensurepip' 2>/dev/null ||
        lack "Python 3 with venv" python3 python3-venv
    have node && have npm || lack "Node.js with npm" nodejs npm
}

# Debian's package makes and starts a cluster of its own unless it is told not to. It is told so
# for this one installation; clusters that are already here are never touched.
cluster_conf=/etc/postgresql-common/createcluster.conf

install_postgres() {
    apt_install postgresql-common || return 1
    $sudo cp -p "$cluster_conf" "$cluster_conf.before-arteria"
    printf 'create_main_cluster = false\n' | $sudo tee -a "$cluster_conf" >/dev/null
    status=0
    apt_install postgresql || status=$?
    $sudo mv "$cluster_conf.before-arteria" "$cluster_conf"
    return "$status"
}

apt_install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        --quiet=2 -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null
}

look
[ -n "$missing" ] || exit 0

typed="apt-get install$packages"
sudo=""
if [ "$(id -u)" != 0 ]; then
    typed="sudo $typed"
    sudo="sudo -n"
fi
if ! have apt-get || { [ -n "$sudo" ] && ! sudo -n true 2>/dev/null; }; then
    echo "prerequisites: $missing missing; type: $typed" >&2
    exit 1
fi

echo "prerequisites: installing $missing (once)" >&2
if ! $sudo apt-get update --quiet=2 </dev/null; then
    echo "prerequisites: the package lists could not be refreshed; trying with what is known" >&2
fi
others=$(printf '%s\n' $packages | grep -vx postgresql | tr '\n' ' ')
failed=""
# shellcheck disable=SC2086 # a list of words
[ -z "${others% }" ] || apt_install $others || failed=yes
case " $packages " in
    *" postgresql "*) install_postgres || failed=yes ;;
esac

look
if [ -n "$missing" ] || [ -n "$failed" ]; then
    echo "prerequisites: ${missing:-a package} could not be installed; type: $typed" >&2
    exit 1
fi
