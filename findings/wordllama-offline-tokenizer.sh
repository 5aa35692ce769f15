#!/usr/bin/env bash
# wordllama 0.4.0.post1 ships its weights and its tokenizer in the wheel, and promises to look for both there first.
# Yet loading with disable_download=True fails in a fresh environment: FileNotFoundError for the tokenizer, which it
# seeks in a folder beside the one it is in. Told the installed package's own folder as cache_dir, it loads offline.
# What we do instead: read the two shipped files ourselves (stores/embedder.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check wordllama==0.4.0.post1
HOME="$folder" "$folder/env/bin/python" - <<'PYTHON'
from pathlib import Path

import wordllama
from wordllama import WordLlama

package = Path(wordllama.__file__).parent
shipped = sorted(str(file.relative_to(package)) for file in package.rglob("*") if "tokenizer" in file.name and file.suffix == ".json")
print("shipped:", shipped)
assert shipped
try:
    WordLlama.load(disable_download=True)
except FileNotFoundError as error:
    print("alone: FileNotFoundError:", str(error)[:90].replace(str(package), "<package>"))
else:
    raise SystemExit("It loads now.")
vectors = WordLlama.load(cache_dir=package, disable_download=True).embed(["black tea"])
print("with cache_dir=<package>: a vector of shape", vectors.shape)
assert vectors.shape == (1, 256)
PYTHON
echo "As described."
