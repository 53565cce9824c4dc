#!/bin/sh
# Builds what the examples and the check of asyncapi.yaml need, below target/examples: a Python
# environment, Node packages, Java classes. Quick when nothing changed since the last time.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out="${CARGO_TARGET_DIR:-$root/target}/examples"
mkdir -p "$out"

# fresh <name> <file>...: whether <name> was built from these files as they are now.
fresh() {
    name=$1
    shift
    cat "$@" | cksum >"$out/$name.new"
    cmp -s "$out/$name.new" "$out/$name.sum"
}

built() {
    mv "$out/$1.new" "$out/$1.sum"
}

fail() {
    echo "examples: $1" >&2
    exit 1
}

python="$root/examples/analytics/requirements.txt"
if ! fresh python "$python"; then
    echo "examples: installing the analysts' Python packages (once)" >&2
    rm -rf "$out/python"
    python3 -m venv "$out/python" || fail "python3 has no venv; type: apt-get install python3-venv"
    "$out/python/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        -r "$python" ||
        fail "pip could not install examples/analytics/requirements.txt"
    built python
fi

# node_packages <name> <folder>: its packages below target, from its lock file.
node_packages() {
    rm -rf "${out:?}/$1"
    mkdir -p "$out/$1"
    cp "$2/package.json" "$2/package-lock.json" "$out/$1/"
    (cd "$out/$1" && npm ci --ignore-scripts --no-audit --no-fund --silent) ||
        fail "npm could not install the packages of $2"
}

typescript="$root/examples/typescript"
if ! fresh typescript "$typescript"/package*.json "$typescript/tsconfig.json" \
    "$typescript"/src/*.ts; then
    echo "examples: building the TypeScript consumer (once)" >&2
    node_packages typescript "$typescript"
    cp -R "$typescript/tsconfig.json" "$typescript/src" "$out/typescript/"
    (cd "$out/typescript" && npx --no-install tsc) || fail "the TypeScript consumer does not compile"
    built typescript
fi

asyncapi="$root/scripts/asyncapi"
if ! fresh asyncapi "$asyncapi"/package*.json; then
    echo "examples: installing the AsyncAPI parser (once)" >&2
    node_packages asyncapi "$asyncapi"
    built asyncapi
fi

java="$root/examples/java"
if ! fresh java "$java/pom.xml" "$java"/src/main/java/example/*.java; then
    echo "examples: building the Java consumer (once)" >&2
    rm -rf "$out/java"
    mkdir -p "$out/java"
    cp -R "$java/pom.xml" "$java/src" "$out/java/"
    (cd "$out/java" && mvn --quiet --batch-mode --strict-checksums compile \
        dependency:copy-dependencies) ||
        fail "Maven could not build the Java consumer"
    built java
fi
