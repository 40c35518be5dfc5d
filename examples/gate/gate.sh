#!/usr/bin/env bash
# The gate without GitHub: any continuous integration that runs a shell. The exit code is the verdict.
set -euo pipefail
cd "$(dirname "$0")"
python -m pip install ".[gate]"
focal-ref smoke --profile=conformance/profile.toml
focal-ref conform --profile=conformance/profile.toml --waivers=conformance/waivers.toml --level=0.1 -n 2
