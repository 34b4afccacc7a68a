"""AeroDB inside other people's frameworks. Each module needs its extra, and nothing imports them."""
