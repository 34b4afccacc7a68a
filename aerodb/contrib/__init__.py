"""AeroDB inside other people's frameworks. Each module needs its extra; nothing imports it."""
