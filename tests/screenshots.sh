#!/bin/bash
# Remakes screenshots/ from the demo, through the explorer's real event loop.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build -q --release
shoot() { target/release/hangscope --demo --screenshot "$2" --size "$3" --out "screenshots/$1.svg"; }
shoot first '' 120x36
shoot task 'g148<enter>' 120x36
shoot locks 'L' 120x40
target/release/hangscope --demo=seed --screenshot '' --size 120x40 --out screenshots/seed.svg
