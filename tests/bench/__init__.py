"""Benchmarks: `make bench`. Ratios of medians measured in one run; not part of `make test`."""
