"""The benchmark, `make bench`. Each part returns sections of figures. No component imports this package."""
